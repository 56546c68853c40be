"""Running the server, and the demo assistant behind it where no other model is named."""

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from adjourn.core.errors import CallerError
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.host import Host
from adjourn.signals import Detectors
from adjourn.signals.lexical import Lexical
from adjourn.store import open_store
from adjourn.store.erase import retain
from adjourn.upstream.client import Upstream
from adjourn.upstream.demo import demo_app
from adjourn.upstream.stand_ins import StandIns
from adjourn.web.app import create_app
from adjourn.web.guard import LOCAL, Guard

DEMO = "adjourn-demo"

SWITCH_SECONDS = 0.0005
"""How long one thread of ours may keep the others waiting: the writer of the store must not hold up the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the server is started with. `upstream`: a model's address, or None for the demo assistant.

    `keep_ms`: how long conversations are kept, in milliseconds; None: until somebody erases them.
    """

    db: str
    policy: Policy
    address: str = "127.0.0.1"
    port: int = 8080
    upstream: str | None = None
    key: str | None = None
    model: str = ""
    country: str | None = None
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    keep_ms: int | None = None


def serve(serving: Serving, started: Callable[[str], None]) -> None:
    """Serve until a signal comes; `started` is told the address once it answers."""
    if serving.address not in LOCAL and serving.address != "::1":
        raise CallerError(
            f"--host {serving.address}: without keys or sign-in only this machine may be served; use 127.0.0.1"
        )
    if serving.upstream is not None and not serving.upstream.startswith(("http://", "https://")):
        raise CallerError(f"--upstream {serving.upstream}: an address that begins with http:// or https:// is needed")
    if serving.upstream is not None and serving.upstream.rstrip("/").endswith("/chat/completions"):
        raise CallerError(f"--upstream {serving.upstream}: leave out /chat/completions")
    if serving.policy.mode is not Mode.OFF:
        asyncio.run(open_store(serving.db).close())  # what is wrong with it is said before anything starts
    bound = _bound(serving.address, serving.port)
    sys.setswitchinterval(SWITCH_SECONDS)
    server = _Server(_config(application(serving)), started)
    with suppress(KeyboardInterrupt):  # a person stopped it
        server.run(sockets=[bound])


def application(serving: Serving) -> ASGIApp:
    """Return the server's application, which opens its store and its upstream when it starts."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Host | None, Upstream]]:
        async with _upstream(serving) as upstream:
            if serving.policy.mode is Mode.OFF:
                yield None, upstream
                return
            form = "developer" if urlsplit(upstream.url).hostname == "api.openai.com" else "in_user"
            own = form == "developer"
            async with Host.open(
                serving.db,
                serving.policy,
                detectors=detectors(serving),
                form=form,
                fork_store=False if own else None,
                country=serving.country,
            ) as host:
                gc.collect()
                gc.freeze()  # what was loaded stays: it need not be looked through for garbage at every turn
                async with _retaining(host, serving.keep_ms):
                    yield host, upstream

    guard = Guard(hosts=serving.hosts, origins=serving.origins)
    demo = serving.upstream is None
    return create_app(opened, guard, model=serving.model or (DEMO if demo else ""), demo=demo)


@asynccontextmanager
async def _retaining(host: Host, keep_ms: int | None) -> AsyncIterator[None]:
    """Erase what is older than that, now and every hour, for as long as the server runs."""
    if keep_ms is None:
        yield
        return
    erasing = asyncio.create_task(retain(host.store, keep_ms, now=host.now, rest=asyncio.sleep))
    try:
        yield
    finally:
        erasing.cancel()
        with suppress(asyncio.CancelledError):
            await erasing


def detectors(serving: Serving) -> Detectors:
    """Return the local detectors; with the demo assistant, two harmless phrases stand for harm and abuse.

    Raises CallerError if one cannot read at all: every message would be blind, and nothing could ever be closed.
    """
    stand_ins = [StandIns()] if serving.upstream is None else []
    found = Detectors([Lexical(), *stand_ins], serving.policy.thresholds)
    failed = found.user("Hello").failed + found.assistant("Hello").failed
    if failed:
        raise CallerError(f"these detectors cannot read: {', '.join(dict.fromkeys(failed))}")
    return found


@asynccontextmanager
async def _upstream(serving: Serving) -> AsyncIterator[Upstream]:
    if serving.upstream is not None:
        upstream = Upstream(serving.upstream, serving.key)
        yield upstream
        await upstream.close()
        return
    bound = _bound("127.0.0.1", 0)
    server = _Inner(_config(demo_app()), lambda _: None)
    running = asyncio.create_task(server.serve(sockets=[bound]))
    upstream = Upstream(f"http://127.0.0.1:{bound.getsockname()[1]}/v1")
    try:
        yield upstream
    finally:
        await upstream.close()
        server.should_exit = True
        await running


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or Nagle's algorithm stays on
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise CallerError(f"--port {port}: {error.strerror}") from None
    return bound


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="on")


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            address, port = sockets[0].getsockname()[:2]
            self._told(f"http://{f'[{address}]' if ':' in address else address}:{port}")


class _Inner(_Server):
    """The demo's server: signals are the outer one's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
