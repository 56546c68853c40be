"""The gateway: a client's request, judged, up to the model; and its answer back (DESIGN, section 5).

With no flag on a branch, what goes up are the client's bytes, and what comes back are the model's.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from adjourn.core.errors import ClientError, StoreError, UpstreamError
from adjourn.core.events import Outcome
from adjourn.core.machine import Finish
from adjourn.host import Host, Turn
from adjourn.upstream.client import Answered, Upstream, UpstreamLate
from adjourn.web import headers
from adjourn.web.guard import BODY_BYTES
from adjourn.wire import openai_chat, sse
from adjourn.wire.openai_chat import Reply
from adjourn.wire.request import ASSISTANT

PATH = "/chat/completions"
RETRY_AFTER = {"Retry-After": "1"}
NEVER_AGAIN = {"x-should-retry": "false"}


class TooLarge(ClientError):
    """The body is larger than the server takes."""


@dataclass(slots=True)
class Gateway:
    """Chat Completions in front of a model. Without a host (mode off) everything passes."""

    host: Host | None
    upstream: Upstream

    async def chat(self, request: Request) -> Response:
        """Answer `POST /v1/chat/completions`."""
        try:
            body = await whole(request)
            asked = openai_chat.parse(body)
        except TooLarge as error:
            return refused(413, str(error))
        except ClientError as error:
            return refused(400, str(error))
        if self.host is None or asked.newest < 0:
            return await self.passed(request, "POST", PATH, body)
        try:
            turn = await self.host.begin(
                scope=headers.scope(request, asked.user),
                request=asked,
                conversation=headers.conversation(request),
                retried=headers.retried(request),
            )
            while turn.forks:
                turn = await self.asked(turn, request)
        except StoreError:
            return refused(503, "what was written could not be kept just now; please try again", RETRY_AFTER)
        if turn.refused:
            return closed_before(turn)
        if turn.ended:
            return closed_now(turn)
        return await self.answered(turn, request)

    async def models(self, request: Request) -> Response:
        """Answer `GET /v1/models`."""
        return await self.passed(request, "GET", "/models", None)

    async def asked(self, turn: Turn, request: Request) -> Turn:
        """Ask the model whether it wants to close. Whatever goes wrong is CONTINUE."""
        reply, message = Reply(), None
        try:
            up = headers.upward(request)
            async with self.upstream.ask("POST", PATH, turn.question_body, up, fork=True) as answer:
                body = await answer.body()
            reply = openai_chat.read_reply(body)
            message = openai_chat.first_message(body) if answer.status == 200 and not reply.unread else None
        except UpstreamError:
            pass
        said = reply.words if message is not None and not reply.steps else ""
        return await turn.reply(said, message)

    async def passed(self, request: Request, method: str, path: str, body: bytes | None) -> Response:
        """Pass a request that is not judged."""
        stack = AsyncExitStack()
        try:
            asking = self.upstream.ask(method, path, body, headers.upward(request))
            answer = await stack.enter_async_context(asking)
        except UpstreamError as error:
            await stack.aclose()
            return unreachable(error)
        return StreamingResponse(
            _closing(answer.chunks, stack), status_code=answer.status, headers=headers.back(answer.headers)
        )

    async def answered(self, turn: Turn, request: Request) -> Response:
        """Send the main request up, and its answer back."""
        stack = AsyncExitStack()
        try:
            asking = self.upstream.ask("POST", PATH, turn.body, headers.upward(request))
            answer = await stack.enter_async_context(asking)
            back = headers.back(answer.headers) | {"Adjourn-Conversation": turn.conversation}
            if answer.status == 200 and "text/event-stream" in answer.headers.get("content-type", ""):
                return StreamingResponse(self.streamed(turn, answer, stack), headers=back)
            async with stack:
                body = await answer.body()
        except UpstreamError as error:
            await stack.aclose()
            await _failed(turn)
            return unreachable(error, turn)
        if answer.status != 200:
            await _failed(turn)
            return Response(openai_chat.with_object(body, turn.object), status_code=answer.status, headers=back)
        reply = openai_chat.read_reply(body)
        try:
            await turn.answer(reply.words, finish_of(turn, reply), steps=reply.steps)
        except StoreError:
            return refused(503, "the answer could not be kept just now; please try again", RETRY_AFTER)
        if turn.object is not None or turn.say is not None:
            body = openai_chat.with_object(body, turn.object, turn.say or "")
        return Response(body, headers=back)

    async def streamed(self, turn: Turn, answer: Answered, stack: AsyncExitStack) -> AsyncIterator[bytes]:
        """Yield whole events as they come; the last ones once the answer is durable."""
        events, reply = sse.Events(), Reply()
        held: list[bytes] = []
        settled = False
        try:
            async for chunk in answer.chunks:
                ready = b""
                for event in events.feed(chunk):
                    if openai_chat.read_chunk(reply, event) or held:
                        held.append(event)
                    else:
                        ready += event
                if ready:
                    yield ready
            if reply.finish is not None:
                await turn.answer(reply.words, finish_of(turn, reply), steps=reply.steps)
                settled = True
            yield last_events(turn, held) + events.rest()
        except UpstreamError as error:
            yield sse.event_of(openai_chat.error_of(str(error), kind="upstream_error", adjourn=turn.object))
        except StoreError:
            settled = True
            yield sse.event_of(openai_chat.error_of("the answer could not be kept", kind="store_error"))
        finally:
            await asyncio.shield(_finished(turn, stack, settled, reply))


async def _finished(turn: Turn, stack: AsyncExitStack, settled: bool, reply: Reply) -> None:
    """Let go of the model's answer; an attempt that brought none settles nothing."""
    await stack.aclose()
    if not settled:
        await _failed(turn, Outcome.INTERRUPTED if reply.text else Outcome.FAILED)


async def _failed(turn: Turn, outcome: Outcome = Outcome.FAILED) -> None:
    """Put on record that an attempt brought no answer; if it cannot be kept, the message is unanswered anyhow."""
    with suppress(StoreError):
        await turn.failed(outcome)


async def _closing(chunks: AsyncIterator[bytes], stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in chunks:
            yield chunk


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


def finish_of(turn: Turn, reply: Reply) -> Finish:
    """Return how an answer came to its end; one that the client began counts for nothing."""
    return Finish.PREFILLED if turn.request.messages[-1].role == ASSISTANT else reply.finished()


def last_events(turn: Turn, held: list[bytes]) -> bytes:
    """Return the events that end a stream, with what the host adds."""
    told = turn.object
    if not held:  # it broke off: help lines come all the same
        return openai_chat.object_event(told) if told else b""
    first, *others = held
    last = openai_chat.event_with_object(first, told) if told else first
    return (openai_chat.event_with_words(last, turn.say) if turn.say else last) + b"".join(others)


# Answers of our own.


def refused(status: int, message: str, more: Mapping[str, str] | None = None) -> Response:
    """Return an error of our own in the wire's form."""
    kinds = {400: "invalid_request_error", 413: "invalid_request_error", 503: "store_error"}
    body = openai_chat.error_of(message, kind=kinds.get(status, "invalid_request_error"))
    extra = dict(more or {}) if status >= 500 else NEVER_AGAIN | dict(more or {})
    return Response(body, status_code=status, media_type="application/json", headers=extra)


def unreachable(error: UpstreamError, turn: Turn | None = None) -> Response:
    """Return the answer to a request whose model could not be reached; help lines come all the same."""
    status = 504 if isinstance(error, UpstreamLate) else 502
    body = openai_chat.error_of(str(error), kind="upstream_error", adjourn=turn.object if turn else None)
    return Response(body, status_code=status, media_type="application/json")


def closed_before(turn: Turn) -> Response:
    """Return the refusal of a message below an end: 400 is the one status that no client retries (WIRE)."""
    kind = "conversation_ended"
    body = openai_chat.error_of(turn.say or "", kind=kind, code=kind, adjourn=turn.object)
    told = {**NEVER_AGAIN, "Adjourn-Stage": "ENDED", "Adjourn-Conversation": turn.conversation}
    return Response(body, status_code=400, media_type="application/json", headers=told)


def closed_now(turn: Turn) -> Response:
    """Return the closing words as an ordinary answer."""
    said: dict[str, Any] = {
        "model": turn.request.model or "adjourn",
        "ident": f"chatcmpl-{turn.attempt}",
        "created": turn.host.now() // 1000,
        "adjourn": turn.object,
    }
    told = {"Adjourn-Conversation": turn.conversation}
    if turn.request.stream:
        stream = openai_chat.stream_of(turn.say or "", **said)
        return Response(stream, media_type="text/event-stream", headers=told)
    return Response(openai_chat.answer_of(turn.say or "", **said), media_type="application/json", headers=told)
