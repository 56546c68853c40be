"""Answers that take a while, and clients that do not wait for them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adjourn.core.errors import ClientError

LOOKS_AFTER = 0.02
"""From how many seconds on it is looked whether the client is still there; what is answered sooner is spared it."""


class ClientGone(ClientError):
    """The client went away before it had its answer, or gave it up."""


@asynccontextmanager
async def while_there(receive: Receive, given_up: asyncio.Future[None] | None = None) -> AsyncIterator[None]:
    """Cancel what runs within as soon as the client goes away; then ClientGone is raised. The body has been read.

    `given_up`: done once the client wants no answer here any more, even if its connection stands.
    """
    within = asyncio.current_task()
    assert within is not None
    watched: list[asyncio.Future[Any]] = [given_up] if given_up is not None else []
    left = over = False

    def leave(_: object) -> None:  # it may be on its way when what runs within is over
        nonlocal left
        if not left and not over:
            left = True
            within.cancel()

    def look() -> None:
        watched.append(asyncio.ensure_future(receive()))
        watched[-1].add_done_callback(leave)

    for one in watched:
        one.add_done_callback(leave)
    timer = asyncio.get_running_loop().call_later(LOOKS_AFTER, look)
    try:
        yield
    except asyncio.CancelledError:
        if left and within.uncancel() == 0:
            raise ClientGone("the client went away") from None
        raise
    finally:
        over = True
        timer.cancel()
        for one in watched:
            one.remove_done_callback(leave)
            if one is not given_up:
                one.cancel()


class Stream(Response):
    """A streamed answer: each piece is sent before the next is asked for, so a slow reader slows the model down.

    `closing` is awaited once, however the stream ends and whether or not it began. `given_up`: as in `while_there`;
    `farewell`: the last piece for a client that gave it up.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        status_code: int,
        headers: Mapping[str, str],
        closing: Callable[[], Awaitable[None]],
        *,
        given_up: asyncio.Future[None] | None = None,
        farewell: bytes = b"",
    ) -> None:
        self.chunks = chunks
        self.closing = closing
        self.given_up = given_up
        self.farewell = farewell
        self.status_code = status_code
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self.chunks), while_there(receive, self.given_up):
                async for chunk in self.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            last = b""
        except ClientGone:
            if self.given_up is None or not self.given_up.done():
                return
            last = self.farewell
        finally:
            await asyncio.shield(asyncio.ensure_future(self.closing()))
        await send({"type": "http.response.body", "body": last, "more_body": False})
