"""The gateway: a client's request, judged, up to the model; and its answer back (DESIGN, section 5).

With no flag on a branch, what goes up are the client's bytes, and what comes back are the model's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from adjourn.core.errors import ClientError, StoreError, UpstreamError
from adjourn.core.events import Outcome
from adjourn.core.machine import Finish
from adjourn.host import Aside, Host, Manner, Turn
from adjourn.host.aside import is_like_one
from adjourn.host.words import words
from adjourn.upstream.client import Answered, Upstream, UpstreamLate
from adjourn.web import headers
from adjourn.web.guard import BODY_BYTES
from adjourn.web.streaming import ClientGone, Stream, while_there
from adjourn.wire import sse
from adjourn.wire.interface import Told, Wire
from adjourn.wire.reply import Reply
from adjourn.wire.request import ASSISTANT
from adjourn.wire.request import Request as Asked
from adjourn.wire.side import CLOSES

PING_SECONDS = 5.0
"""How long the host may delay a stream before it says that it is still there."""
RETRY_AFTER = {"Retry-After": "1"}
NEVER_AGAIN = {"x-should-retry": "false"}
SENT_AGAIN = "the message was sent again, and is answered there"
NOT_KEPT = "what was written could not be kept just now; please try again"
JSON = "application/json"


class TooLarge(ClientError):
    """The body is larger than the server takes."""


@dataclass(slots=True)
class Gateway:
    """One vendor's wire in front of a model. Without a host (mode off) everything passes.

    `forms`: the form of guidance that a model takes, by its name, where models differ. `names`: of the headers that
    tell of chats and side requests. `running`: the attempts that are under way in this process, by conversation and
    message.
    """

    host: Host | None
    upstream: Upstream
    manner: Manner
    forms: Callable[[str], str] | None = None
    names: headers.Names = field(default_factory=headers.Names)
    running: dict[tuple[str, str], asyncio.Task[Any]] = field(default_factory=dict)

    @property
    def wire(self) -> Wire:
        return self.manner.wire

    async def chat(self, request: Request) -> Response:
        """Answer a request for an answer of the model."""
        try:
            body = await whole(request)
            asked = self.wire.parse(body)
        except TooLarge as error:
            return refused(self.wire, 413, str(error))
        except ClientError as error:
            return refused(self.wire, 400, str(error))
        if self.host is None or asked.newest < 0:
            return await self.passed(request, self.wire.PATH, body)
        try:
            return await self.judged(request, self.host, asked)
        except StoreError:
            return refused(self.wire, 503, NOT_KEPT, RETRY_AFTER)

    async def judged(self, request: Request, host: Host, asked: Asked) -> Response:
        """Answer a request that holds a person's words."""
        scope, conversation = headers.scope(request, asked.user), headers.conversation(request, self.names)
        task = headers.task(request, self.names)
        if task or is_like_one(asked):
            beside = await host.aside(scope=scope, request=asked, conversation=conversation, told=bool(task))
            if beside is Aside.PASSES:
                return await self.passed(request, self.wire.PATH, asked.body)
            if beside is Aside.CLOSED:
                return closed(self.wire, words()["refusal"], None, {})
            asked, conversation = replace(asked, observe_only=True), None  # it quotes nothing that is known
        turn = await host.begin(
            scope=scope,
            request=asked,
            conversation=conversation,
            retried=headers.retried(request),
            manner=replace(self.manner, form=self.forms(asked.model)) if self.forms else self.manner,
        )
        if turn.refused:
            return closed(self.wire, turn.say or "", turn.object, {"Adjourn-Conversation": turn.conversation})
        return await self.attempt(turn, request)

    async def through(self, request: Request, path: str) -> Response:
        """Pass a request that is neither judged nor recorded, whatever it is."""
        try:
            return await self.passed(request, path, await whole(request) or None)
        except TooLarge as error:
            return refused(self.wire, 413, str(error))
        except ClientError as error:
            return refused(self.wire, 400, str(error))

    async def passed(self, request: Request, path: str, body: bytes | None) -> Response:
        """Pass a request that is not judged."""
        stack = AsyncExitStack()
        try:
            asking = self.upstream.ask(request.method, path + query(request), body, headers.upward(request))
            answer = await stack.enter_async_context(asking)
        except UpstreamError as error:
            await stack.aclose()
            return unreachable(self.wire, error)
        return Stream(_closing(answer.chunks, stack), answer.status, headers.back(answer.headers))

    async def attempt(self, turn: Turn, request: Request) -> Response:
        """Have the message answered. A client that sends it again by itself has given up the attempt before."""
        if headers.retried(request) and (turn.conversation, turn.node) in self.running:
            self.running[turn.conversation, turn.node].cancel(SENT_AGAIN)
        try:
            with self.under_way(turn):
                async with while_there(request.receive):
                    while turn.forks:
                        turn = await self.asked(turn, request)
                    return closed_now(turn) if turn.ended else await self.answered(turn, request)
        except asyncio.CancelledError as stopped:
            await asyncio.shield(_failed(turn, Outcome.CANCELLED))
            if not sent_again(stopped):
                raise
            return refused(self.wire, 503, SENT_AGAIN, NEVER_AGAIN)
        except ClientGone:
            await asyncio.shield(_failed(turn, Outcome.CANCELLED))
            return Response()

    @contextmanager
    def under_way(self, turn: Turn) -> Iterator[None]:
        """Have the attempt known as the one that answers this message, for as long as it runs in this task."""
        place, task = (turn.conversation, turn.node), asyncio.current_task()
        assert task is not None
        self.running[place] = task
        try:
            yield
        finally:
            if self.running.get(place) is task:
                del self.running[place]

    async def asked(self, turn: Turn, request: Request) -> Turn:
        """Ask the model whether it wants to close. Whatever goes wrong is CONTINUE."""
        said, message = "", None
        with suppress(UpstreamError):
            body = await self.told(turn.question_body or b"", request)
            if body is None and turn.first_reply is not None:  # refused as it came: then without what is beside it
                turn.first_reply = self.wire.bare(turn.first_reply)
                body = await self.told(turn.question_body or b"", request)
            reply = self.wire.read_reply(body or b"")
            if not reply.unread and body is not None:
                said, message = verdict(reply, tool=self.manner.tool), self.wire.message_of(body)
        return await turn.reply(said, message)

    async def told(self, body: bytes, request: Request) -> bytes | None:
        """Return what the model says to a side request; None if it refuses it."""
        async with AsyncExitStack() as stack:
            answer = await self.sent(body, request, stack, fork=True)
            said = await answer.body()
        return said if answer.status == 200 else None

    async def sent(self, body: bytes, request: Request, stack: AsyncExitStack, *, fork: bool = False) -> Answered:
        """Send a request up; once more if it is refused for a reason that the vendor names a way out of."""
        path, up = self.wire.PATH + query(request), headers.upward(request)
        answer = await stack.enter_async_context(self.upstream.ask("POST", path, body, up, fork=fork))
        if answer.status != 400:
            return answer
        said = await answer.body()
        other = self.wire.way_out(body, answer.status, said)
        if other is None:
            return Answered(answer.status, answer.headers, _again(said))
        request.app.state.metrics.unbound_retried()
        changed, more = other
        asking = self.upstream.ask("POST", path, changed, headers.merged(up, more), fork=fork)
        return await stack.enter_async_context(asking)

    async def answered(self, turn: Turn, request: Request) -> Response:
        """Send the main request up, and its answer back."""
        stack = AsyncExitStack()
        try:
            answer = await self.sent(turn.body, request, stack)
            back = headers.back(answer.headers) | {"Adjourn-Conversation": turn.conversation}
            if answer.status == 200 and "text/event-stream" in answer.headers.get("content-type", ""):
                return Stream(self.streamed(turn, answer, stack), 200, back)
            async with stack:
                body = await answer.body()
        except UpstreamError as error:
            await stack.aclose()
            await _failed(turn)
            return unreachable(self.wire, error, turn)
        except asyncio.CancelledError:
            await stack.aclose()
            raise
        if answer.status != 200:
            await _failed(turn)
            return Response(self.wire.with_object(body, turn.object), answer.status, back)
        reply = self.wire.read_reply(body)
        await settled(turn, reply)
        if turn.object is not None or turn.say is not None:
            body = self.wire.with_object(body, turn.object, turn.say or "")
        return Response(body, headers=back)

    async def streamed(self, turn: Turn, answer: Answered, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
        """Yield whole events as they come; the last ones once the answer is durable."""
        events, reply, held, kept = sse.Events(), Reply(), list[bytes](), False
        try:
            with self.under_way(turn):
                async for chunk in answer.chunks:
                    ready = self.read(events.feed(chunk), reply, held)
                    if ready:
                        yield ready
                    if reply.over:  # whatever comes behind it, the answer is whole
                        break
                if reply.finish is not None:
                    async for ping in self.kept(turn, reply):
                        yield ping
                    kept = True
                yield self.wire.last_events(reply, held, turn.object, turn.say or "") + events.rest()
                async for chunk in answer.chunks:
                    yield chunk
        except asyncio.CancelledError as stopped:
            if not sent_again(stopped):
                raise
            yield self.wire.error_event(SENT_AGAIN, 503)
        except UpstreamError as error:
            if not kept:
                yield self.wire.error_event(str(error), 502, adjourn=turn.object)
        except StoreError:
            kept = True
            yield self.wire.error_event(NOT_KEPT, 503)
        finally:
            await asyncio.shield(_finished(turn, stack, kept, reply))

    def read(self, events: Iterator[bytes], reply: Reply, held: list[bytes]) -> bytes:
        """Read events up to the last of the answer. Return those that may pass; the others are held."""
        ready: list[bytes] = []
        read = self.wire.read_event
        for event in events:
            if read(reply, event) or held:
                held.append(event)
                if reply.over:
                    break
            else:
                ready.append(event)
        return b"".join(ready)

    async def kept(self, turn: Turn, reply: Reply) -> AsyncIterator[bytes]:
        """Have the answer committed; while that takes long, say that the host is still there."""
        keeping = asyncio.ensure_future(settled(turn, reply))
        try:
            while not (await asyncio.wait([keeping], timeout=PING_SECONDS))[0]:
                yield self.wire.PING
            await keeping
        finally:
            keeping.cancel()  # of a client that is gone: or the answer would come behind the end of its attempt


async def settled(turn: Turn, reply: Reply) -> None:
    """Have an answer, and those beside it, committed."""
    prefilled = turn.request.messages[-1].role == ASSISTANT  # one that the client began counts for nothing
    for one in (reply, *reply.siblings.values()):
        finish = Finish.PREFILLED if prefilled else one.finished()
        await turn.answer(one.words, finish, calls=one.calls)


def sent_again(stopped: asyncio.CancelledError) -> bool:
    """Whether an attempt was stopped because its message was sent again; then its task goes on."""
    task = asyncio.current_task()
    if stopped.args != (SENT_AGAIN,) or task is None:
        return False
    task.uncancel()
    return True


def verdict(reply: Reply, *, tool: bool) -> str:
    """Return what the model says to the question whether to close: in words, or with the tool."""
    if not tool or not reply.tools:
        return "" if reply.calls else reply.words
    (name, arguments), *others = reply.tools
    if name != CLOSES or others:
        return ""
    with suppress(msgspec.DecodeError):
        said = msgspec.json.decode(arguments or "{}")
        return f"END\n{said.get('words') or ''}" if isinstance(said, dict) else ""
    return ""


async def _finished(turn: Turn, stack: AsyncExitStack, kept: bool, reply: Reply) -> None:
    """Let go of the model's answer; an attempt that brought none settles nothing, and what came of it is kept."""
    await stack.aclose()
    if not kept:
        await _failed(turn, Outcome.INTERRUPTED if reply.words else Outcome.FAILED, reply.words)


async def _failed(turn: Turn, outcome: Outcome = Outcome.FAILED, said: str = "") -> None:
    """Put on record that an attempt brought no answer; if it cannot be kept, the message is unanswered anyhow."""
    with suppress(StoreError):
        await turn.failed(outcome, said)


async def _closing(chunks: AsyncIterator[bytes], stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    async with stack:
        async for chunk in chunks:
            yield chunk


async def _again(body: bytes) -> AsyncIterator[bytes]:
    yield body


def query(request: Request) -> str:
    """Return what stands behind the address, from the question mark on."""
    found: bytes = request.scope.get("query_string", b"")
    return "?" + found.decode("latin-1") if found else ""


async def whole(request: Request) -> bytes:
    """Return the body of a request; raises TooLarge, and ClientError if the client went away."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > BODY_BYTES:
                raise TooLarge("the body is larger than 64 MB")
            parts.append(part)
    except ClientDisconnect:
        raise ClientError("the client went away") from None
    return b"".join(parts)


# Answers of our own.


def refused(wire: Wire, status: int, message: str, more: Mapping[str, str] | None = None) -> Response:
    """Return an error of our own in the wire's form."""
    extra = dict(more or {}) if status >= 500 else NEVER_AGAIN | dict(more or {})
    return Response(wire.error_of(message, status), status, extra, media_type=JSON)


def unreachable(wire: Wire, error: UpstreamError, turn: Turn | None = None) -> Response:
    """Return the answer to a request whose model could not be reached; help lines come all the same."""
    status = 504 if isinstance(error, UpstreamLate) else 502
    return Response(wire.error_of(str(error), status, adjourn=turn.object if turn else None), status, media_type=JSON)


def closed(wire: Wire, says: str, adjourn: Told | None, more: Mapping[str, str]) -> Response:
    """Return the refusal of a message below an end: 400 is the one status that no client retries (WIRE)."""
    body = wire.error_of(says, 400, code="conversation_ended", adjourn=adjourn)
    return Response(body, 400, {**NEVER_AGAIN, "Adjourn-Stage": "ENDED", **more}, media_type=JSON)


def closed_now(turn: Turn) -> Response:
    """Return the closing words as an ordinary answer."""
    said: dict[str, Any] = {
        "model": turn.request.model or "adjourn",
        "ident": turn.attempt,
        "created": turn.host.now() // 1000,
        "adjourn": turn.object,
    }
    told = {"Adjourn-Conversation": turn.conversation}
    if turn.request.stream:
        stream = turn.manner.wire.stream_of(turn.say or "", **said)
        return Response(stream, headers=told, media_type="text/event-stream")
    return Response(turn.manner.wire.answer_of(turn.say or "", **said), headers=told, media_type=JSON)
