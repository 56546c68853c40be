"""Answers that take a while, and clients that do not wait for them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from adjourn.core.errors import ClientError

LOOKS_AFTER = 0.02
"""From how many seconds on it is looked whether the client is still there; what is answered sooner is spared it."""


class ClientGone(ClientError):
    """The client went away before it had its answer."""


@asynccontextmanager
async def while_there(receive: Receive) -> AsyncIterator[None]:
    """Cancel what runs within as soon as the client goes away; then ClientGone is raised. The body has been read."""
    within = asyncio.current_task()
    assert within is not None
    watch: asyncio.Future[Message] | None = None
    left = False

    def leave(_: object) -> None:
        nonlocal left
        left = True
        within.cancel()

    def look() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(receive())
        watch.add_done_callback(leave)

    timer = asyncio.get_running_loop().call_later(LOOKS_AFTER, look)
    try:
        yield
    except asyncio.CancelledError:
        if left and within.uncancel() == 0:
            raise ClientGone("the client went away") from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.remove_done_callback(leave)
            watch.cancel()


class Stream(Response):
    """A streamed answer: each piece is sent before the next is asked for, so a slow reader slows the model down."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], status_code: int, headers: Mapping[str, str]) -> None:
        self.chunks = chunks
        self.status_code = status_code
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with aclosing(self.chunks), while_there(receive):
                async for chunk in self.chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except ClientGone:
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
