"""The gateway: a client's request, judged, up to the model; and its answer back (DESIGN, section 5).

With no flag on a branch, what goes up are the client's bytes, and what comes back are the model's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from adjourn.core.errors import ClientError, StoreError, UpstreamError
from adjourn.core.events import Outcome
from adjourn.core.machine import Finish
from adjourn.host import Aside, Closed, Host, Manner, Turn
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
ENDING_SECONDS = 5.0
"""How long what comes behind the end of an answer (tokens used, say) is waited for before the answer is kept."""
ENDING_BYTES = 1024 * 1024
"""How much of that is held at most."""
READ_BYTES = 8 * 1024 * 1024
"""A longer answer passes and counts as unread: the detectors would hold up everybody else."""
STREAM_BYTES = 8 * READ_BYTES
"""The same for a streamed answer, in which a word comes with a hundred bytes around it."""
RETRY_AFTER = {"Retry-After": "1"}
UNJUDGED = {"Adjourn-Unjudged": "1"}
NEVER_AGAIN = {"x-should-retry": "false"}
SENT_AGAIN = "the message was sent again, and is answered there"
NOT_KEPT = "what was written could not be kept just now; please try again"
JSON = "application/json"


class TooLarge(ClientError):
    """The body is larger than the server takes."""


@dataclass(slots=True)
class Gateway:
    """One vendor's wire in front of a model. Without a host (mode off) everything passes.

    `manners`: how a model is spoken to, by its name, where models differ. `choose`: the gateway in front of the
    upstream that has a model, where there are several on this wire. `names`: of the headers that tell of chats and side
    requests. `running`: the attempts that are under way in this process, by conversation and message: what is done once
    the client has given one up. `unkept`: is told what passes although the store cannot keep it (a message, or an
    answer); None: it does not pass.
    """

    host: Host | None
    upstream: Upstream
    manner: Manner
    manners: Callable[[str], Manner] | None = None
    choose: Callable[[str], "Gateway"] | None = None
    names: headers.Names = field(default_factory=headers.Names)
    running: dict[tuple[str, str], asyncio.Future[None]] = field(default_factory=dict)
    unkept: Callable[[str], None] | None = None

    @property
    def wire(self) -> Wire:
        return self.manner.wire

    def manner_of(self, model: str) -> Manner:
        """Return how this model is spoken to."""
        return self.manners(model) if self.manners else self.manner

    def of(self, model: str) -> "Gateway":
        """Return the gateway in front of the upstream that has this model."""
        return self.choose(model) if self.choose else self

    async def chat(self, request: Request) -> Response:
        """Answer a request for an answer of the model."""
        try:
            body = await whole(request)
            asked = self.wire.parse(body)
        except TooLarge as error:
            return refused(self.wire, 413, str(error))
        except ClientError as error:
            return refused(self.wire, 400, str(error))
        return await self.of(asked.model).take(request, asked)

    async def take(self, request: Request, asked: Asked) -> Response:
        """Answer a request for an answer of a model behind this very gateway."""
        if self.host is None or asked.newest < 0:
            return await self.passed(request, self.wire.PATH, asked.body)
        try:
            return await self.judged(request, self.host, asked)
        except StoreError:
            if self.unkept is None:
                return refused(self.wire, 503, NOT_KEPT, RETRY_AFTER)
            return await self.unjudged(request, self.host, asked, self.unkept)

    async def judged(self, request: Request, host: Host, asked: Asked) -> Response:
        """Answer a request that holds a person's words."""
        scope, conversation = headers.scope(request, asked.user), headers.conversation(request, self.names)
        task = bool(headers.task(request, self.names))
        beside = await host.aside(scope=scope, request=asked, conversation=conversation, told=task)
        if beside is Aside.PASSES:
            return await self.passed(request, self.wire.PATH, asked.body)
        if beside is Aside.CLOSED:
            return closed(self.wire, words()["refusal"], None, {})
        if beside is Aside.OBSERVED:
            asked, conversation = replace(asked, observe_only=True), None
        turn = await host.begin(
            scope=scope,
            request=asked,
            conversation=conversation,
            retried=headers.retried(request),
            details=headers.details(request, self.names),
            manner=self.manner_of(asked.model),
        )
        return closed_before(self.wire, turn.closed) if turn.refused else await self.attempt(turn, request)

    async def unjudged(self, request: Request, host: Host, asked: Asked, told: Callable[[str], None]) -> Response:
        """Pass a request on whose turn cannot be kept; below an end it is refused as ever."""
        scope, conversation = headers.scope(request, asked.user), headers.conversation(request, self.names)
        below = await host.closed(scope=scope, request=asked, conversation=conversation)
        if below is not None:
            return closed_before(self.wire, below)
        told("message")
        stack = AsyncExitStack()
        return await self._back(self.sent(asked.body, request, stack), request, stack, UNJUDGED)

    async def through(self, request: Request, path: str) -> Response:
        """Pass a request that is neither judged nor recorded, whatever it is."""
        try:
            body = await whole(request)
            return await self.of(model_in(body)).passed(request, path, body or None)
        except TooLarge as error:
            return refused(self.wire, 413, str(error))
        except ClientError as error:
            return refused(self.wire, 400, str(error))

    async def passed(self, request: Request, path: str, body: bytes | None) -> Response:
        """Pass a request that is not judged."""
        stack = AsyncExitStack()
        asking = self.upstream.ask(request.method, path + query(request), body, headers.upward(request))
        return await self._back(stack.enter_async_context(asking), request, stack)

    async def _back(
        self,
        asking: Awaitable[Answered],
        request: Request,
        stack: AsyncExitStack,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """Return the model's answer as it comes, whatever it is."""
        try:
            async with while_there(request.receive):
                answer = await asking
        except UpstreamError as error:
            await stack.aclose()
            return unreachable(self.wire, error)
        except ClientGone:
            await stack.aclose()
            return Response()
        return Stream(answer.chunks, answer.status, headers.back(answer.headers) | dict(more), stack.aclose)

    async def attempt(self, turn: Turn, request: Request) -> Response:
        """Have the message answered. A client that sends it again by itself has given up the attempt before."""
        place = (turn.conversation, turn.node)
        before = self.running.get(place)
        if before is not None and not before.done() and headers.retried(request):
            before.set_result(None)
        given_up = self.running[place] = asyncio.get_running_loop().create_future()
        answer: Response | None = None
        try:
            async with while_there(request.receive, given_up):
                while turn.forks:
                    turn = await self.asked(turn, request)
                answer = closed_now(turn) if turn.ended else await self.answered(turn, request, given_up)
        except ClientGone:
            await asyncio.shield(_failed(turn, Outcome.CANCELLED))
            answer = refused(self.wire, 503, SENT_AGAIN, NEVER_AGAIN) if given_up.done() else Response()
        except asyncio.CancelledError:
            await asyncio.shield(_failed(turn, Outcome.CANCELLED))
            raise
        finally:
            if not isinstance(answer, Stream):  # a stream is over when it has been sent
                self.over(turn, given_up)
        return answer

    def over(self, turn: Turn, attempt: asyncio.Future[None]) -> None:
        """Note that an attempt is over."""
        place = (turn.conversation, turn.node)
        if self.running.get(place) is attempt:
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
                said, message = verdict(reply, tool=turn.manner.tool), self.wire.message_of(body)
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

    async def answered(self, turn: Turn, request: Request, given_up: asyncio.Future[None]) -> Response:
        """Send the main request up, and its answer back."""
        stack = AsyncExitStack()
        try:
            answer = await self.sent(turn.body, request, stack)
            back = headers.back(answer.headers) | {"Adjourn-Conversation": turn.conversation}
            if answer.status == 200 and "text/event-stream" in answer.headers.get("content-type", "").lower():
                streaming = Streaming(turn, answer, stack, given_up)
                return Stream(
                    self.streamed(streaming),
                    200,
                    back,
                    partial(self.finished, streaming),
                    given_up=given_up,
                    farewell=self.wire.error_event(SENT_AGAIN, 503),
                )
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
        reply = self.wire.read_reply(body) if len(body) <= READ_BYTES else Reply(unread=True)
        if not await self.settle(turn, reply):
            back |= UNJUDGED
        if turn.object is not None or turn.say is not None:
            body = self.wire.with_object(body, turn.object, turn.say or "")
        return Response(body, headers=back)

    async def streamed(self, streaming: "Streaming") -> AsyncGenerator[bytes, None]:
        """Yield whole events as they come; the last ones once the answer is durable."""
        turn, answer, reply = streaming.turn, streaming.answer, streaming.reply
        events, held, size = sse.Events(), list[bytes](), 0
        try:
            async for chunk in answer.chunks:
                ready = self.read(events.feed(chunk), reply, held)
                if ready:
                    yield ready
                size += len(chunk)
                if size > STREAM_BYTES:
                    reply.unread = True
                    reply.text.clear()
                if held:
                    break
            if held and not reply.over:
                await self.ending(answer, events, reply, held)
            if reply.finish is not None:
                async for ping in self.kept(streaming):
                    yield ping
            yield self.wire.last_events(reply, held, turn.object, turn.say or "") + events.rest()
            async for chunk in answer.chunks:
                yield chunk
        except UpstreamError as error:
            if streaming.keeping is None:
                yield self.wire.error_event(str(error), 502, adjourn=turn.object)
        except StoreError:
            yield self.wire.error_event(NOT_KEPT, 503)

    async def ending(self, answer: Answered, events: sse.Events, reply: Reply, held: list[bytes]) -> None:
        """Hold what comes behind the end of an answer until it is over, or enough of it has come for long enough."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                async for chunk in answer.chunks:
                    self.read(events.feed(chunk), reply, held)
                    if reply.over or sum(map(len, held)) > ENDING_BYTES:
                        break

    async def settle(self, turn: Turn, reply: Reply) -> bool:
        """Have an answer committed; return whether it was. Raises StoreError if it may not pass all the same."""
        try:
            await settled(turn, reply)
        except StoreError:
            if self.unkept is None:
                raise
            self.unkept("answer")
            turn.warned, turn.say = False, None
            return False
        return True

    def read(self, events: Iterator[bytes], reply: Reply, held: list[bytes]) -> bytes:
        """Read events up to the last of the answer. Return those that may pass; the others are held."""
        ready: list[bytes] = []
        read = self.wire.read_event
        for event in events:
            if type(event) is sse.Piece:
                reply.unread = True
                ends = False
            else:
                ends = read(reply, event)
            if ends or held:
                held.append(event)
                if reply.over:
                    break
            else:
                ready.append(event)
        return b"".join(ready)

    async def kept(self, streaming: "Streaming") -> AsyncIterator[bytes]:
        """Have the answer committed; while that takes long, say that the host is still there."""
        keeping = streaming.keeping = asyncio.ensure_future(self.settle(streaming.turn, streaming.reply))
        while not (await asyncio.wait([keeping], timeout=PING_SECONDS))[0]:
            yield self.wire.PING
        await keeping

    async def finished(self, streaming: "Streaming") -> None:
        """Let go of the model's answer; an attempt that brought none settles nothing, and what came of it is kept."""
        await streaming.stack.aclose()
        if streaming.keeping is None:
            said = streaming.reply.words
            await _failed(streaming.turn, Outcome.INTERRUPTED if said else Outcome.FAILED, said)
        else:  # a client that went away meanwhile changes nothing: the answer is whole
            with suppress(StoreError):
                await streaming.keeping
        self.over(streaming.turn, streaming.given_up)


@dataclass(slots=True)
class Streaming:
    """A streamed answer on its way. `keeping`: its commit, once that has begun."""

    turn: Turn
    answer: Answered
    stack: AsyncExitStack
    given_up: asyncio.Future[None]
    reply: Reply = field(default_factory=Reply)
    keeping: asyncio.Future[bool] | None = None


async def settled(turn: Turn, reply: Reply) -> None:
    """Have an answer, and those beside it, committed."""
    prefilled = turn.request.messages[-1].role == ASSISTANT  # one that the client began counts for nothing
    for one in (reply, *reply.siblings.values()):
        finish = Finish.PREFILLED if prefilled else one.finished()
        await turn.answer(one.words, finish, calls=one.calls)


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


async def _failed(turn: Turn, outcome: Outcome = Outcome.FAILED, said: str = "") -> None:
    """Put on record that an attempt brought no answer; if it cannot be kept, the message is unanswered anyhow."""
    with suppress(StoreError):
        await turn.failed(outcome, said)


async def _again(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


class _Model(msgspec.Struct):
    """What a body that nobody reads may say: the model that is asked."""

    model: str = ""


_MODEL = msgspec.json.Decoder(_Model)


def model_in(body: bytes) -> str:
    """Return the model that a body names; none if it is no JSON, or names none."""
    try:
        return _MODEL.decode(body).model
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


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


def closed_before(wire: Wire, below: Closed) -> Response:
    """Return the refusal of a message below an end."""
    return closed(wire, below.say, below.told, {"Adjourn-Conversation": below.conversation})


def closed(wire: Wire, says: str, adjourn: Told | None, more: Mapping[str, str]) -> Response:
    """Return the refusal of what would go on in a closed conversation: 400 is the one status nobody retries (WIRE)."""
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
