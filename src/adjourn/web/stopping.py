"""A graceful stop: what runs is finished, what is new is told to come back, and then the server ends."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.web.trouble import trouble

STOP_SECONDS = 30.0
LEAVE_SECONDS = 1
"""How long requests that have been waited for long enough have to take leave."""

STILL_ANSWERS = frozenset({"/healthz", "/readyz"})


@dataclass(slots=True)
class Stopping:
    """Whether the server is to stop, how many requests run, and for how long they are waited for, in seconds."""

    timeout: float = STOP_SECONDS
    running: int = 0
    deadline: float | None = None
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def begun(self) -> bool:
        """Whether nothing new is taken any more."""
        return self.deadline is not None

    @property
    def over(self) -> bool:
        """Whether nothing runs any more, or it has been waited for long enough."""
        return self.deadline is not None and (self.running == 0 or time.monotonic() >= self.deadline)

    def begin(self, *, at_once: bool = False) -> None:
        """Take nothing new from now on; `at_once`: nor wait for what runs."""
        self.deadline = time.monotonic() + (0 if at_once else self.timeout)

    def leaves(self) -> None:
        """Note that a request that ran is done."""
        self.running -= 1
        if self.begun and self.running == 0:
            self.empty.set()

    async def left(self) -> None:
        """Wait until what was cut off has taken leave, and put that on record."""
        if self.running:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.empty.wait()


def stoppable(app: ASGIApp, stopping: Stopping) -> ASGIApp:
    """Return the application that counts what runs, and refuses what is new once the server is to stop."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        if stopping.begun and scope["path"] not in STILL_ANSWERS:
            refused = trouble(scope, 503, "this server is being stopped; please try again")
            await refused(scope, receive, send)
            return
        stopping.running += 1
        try:
            await app(scope, receive, send)
        finally:
            stopping.leaves()

    return serve
