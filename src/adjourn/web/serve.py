"""Running the server, and the demo assistant behind it where no other model is named."""

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from adjourn.core.errors import CallerError
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.host import Host, Witnesses
from adjourn.host.words import DEFAULT
from adjourn.signals import Detectors, Lexical, local
from adjourn.store import BUSY_SECONDS, Store, open_store
from adjourn.store.erase import forget, retain
from adjourn.upstream.choice import WIRES, Named, checked_url
from adjourn.upstream.client import Timeouts, Upstream
from adjourn.upstream.demo import demo_app
from adjourn.upstream.stand_ins import StandIns
from adjourn.upstream.witnesses import JUDGE, NamedWitness
from adjourn.version import __version__
from adjourn.web import log
from adjourn.web.app import create_app
from adjourn.web.guard import LOCAL, Guard
from adjourn.web.headers import Names
from adjourn.web.stopping import STOP_SECONDS, Stopping
from adjourn.web.traces import from_environment
from adjourn.web.watch import Watch
from adjourn.wire import anthropic, openai_chat

DEMO = "adjourn-demo"

GARBAGE = 20_000
"""After how many new objects they are looked through for garbage that only a cycle holds."""
REFUSE, PASS = "refuse", "pass"
ON_STORE_FAILURE = (REFUSE, PASS)
"""What becomes of a message that the store cannot keep: 503, or it goes to the model unjudged."""

SWITCH_SECONDS = 0.0005
"""How long one thread of ours may keep the others waiting: the writer of the store must not hold up the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the server is started with.

    `upstreams`: those that the settings file names; or `upstream`, `anthropic_upstream`: the addresses of models that
    speak Chat Completions and Anthropic Messages, one each. With none of them, the demo assistant speaks both.
    `country`, `language`: of the people, where nothing else says it. `keep_ms`: how long conversations are kept, in
    milliseconds; None: until somebody erases them. `busy_seconds`: how long a write waits for another process's;
    `stop_seconds`: how long, at a stop, what runs is waited for; `log_level`: a key of `log.LEVELS`;
    `on_store_failure`: one of `ON_STORE_FAILURE`. `witnesses`: those elsewhere that are asked besides.
    """

    db: str
    policy: Policy
    address: str = "127.0.0.1"
    port: int = 8080
    upstreams: Sequence[Named] = ()
    upstream: str | None = None
    key: str | None = None
    anthropic_upstream: str | None = None
    anthropic_key: str | None = None
    model: str = ""
    country: str | None = None
    language: str = DEFAULT
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    expose_stage: bool = False
    conversation_headers: Sequence[str] = ()
    task_headers: Sequence[str] = ()
    keep_ms: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    busy_seconds: float = BUSY_SECONDS
    stop_seconds: float = STOP_SECONDS
    log_level: str = "info"
    on_store_failure: str = REFUSE
    witnesses: Sequence[NamedWitness] = ()

    @property
    def demo(self) -> bool:
        """Whether the demo assistant answers."""
        return not self.named

    @property
    def named(self) -> Sequence[Named]:
        """The upstreams, however they were given; raises CallerError if they were given in both ways, or wrongly."""
        short = (self.upstream, self.key, self.anthropic_upstream, self.anthropic_key)
        if self.upstreams and any(value is not None for value in short):
            raise CallerError(
                "the settings file names upstreams ([upstream.NAME]): then there is no --upstream and no"
                " --anthropic-upstream, and no key for them"
            )
        return self.upstreams or [
            Named(name=name, wire=wire, url=checked_url(f"--{name}", url, wire), key=key)
            for name, wire, url, key in (
                ("upstream", openai_chat.NAME, self.upstream, self.key),
                ("anthropic-upstream", anthropic.NAME, self.anthropic_upstream, self.anthropic_key),
            )
            if url is not None
        ]


def serve(serving: Serving, started: Callable[[str], None]) -> None:
    """Serve until a signal comes, and then until what runs is finished, or a second one comes.

    `started` is told the address once the server answers.
    """
    _ = serving.named  # what is wrong with them is said before anything starts
    stored = serving.policy.mode is not Mode.OFF
    # What is wrong with the store is said before anything starts.
    opens = stored and asyncio.run(_some_key_opens(serving.db, serving.busy_seconds))
    refusal = address_refusal(serving, opens=opens)
    if refusal is not None:
        raise CallerError(refusal)
    bound = _bound(serving.address, serving.port)
    sys.setswitchinterval(SWITCH_SECONDS)
    log.configure(serving.log_level)
    stopping = Stopping(serving.stop_seconds)
    server = _Server(_config(application(serving, stopping)), partial(_started, started, serving), stopping)
    server.run(sockets=[bound])
    log.info("stopped")


def address_refusal(serving: Serving, *, opens: bool) -> str | None:
    """Return why the server may not listen where others reach it, if it is to; `opens`: some key opens it."""
    if opens or serving.address in LOCAL or serving.address == "::1":
        return None
    why = (
        "others may use this server with a key only, and no key opens it: `adjourn keys create NAME` makes one"
        if serving.policy.mode is not Mode.OFF
        else "in mode off there is no store, so there are no keys, and only this machine may use this server"
    )
    return f"--host {serving.address}: {why}; or listen on 127.0.0.1"


async def _some_key_opens(db: str, busy_seconds: float) -> bool:
    store = open_store(db, busy_seconds=busy_seconds)
    try:
        return any(key.opens for key in await store.keys())
    finally:
        await store.close()


def _started(told: Callable[[str], None], serving: Serving, address: str) -> None:
    log.info("started", version=__version__, address=address, mode=serving.policy.mode.name.lower())
    told(address)


def application(serving: Serving, stopping: Stopping | None = None) -> ASGIApp:
    """Return the server's application, which opens its store and its upstream when it starts."""
    watch = Watch(traces=from_environment())

    @asynccontextmanager
    async def opened() -> AsyncIterator[tuple[Host | None, Mapping[Named, Upstream]]]:
        async with _upstreams(serving) as upstreams:
            if serving.policy.mode is Mode.OFF:
                yield None, upstreams
                return
            async with Host.open(
                serving.db,
                serving.policy,
                detectors=detectors(serving),
                country=serving.country,
                busy_seconds=serving.busy_seconds,
                witnesses=witnesses(serving.witnesses),
            ) as host:
                gc.collect()
                gc.freeze()  # what was loaded stays: it need not be looked through for garbage at every turn
                gc.set_threshold(GARBAGE)  # a turn makes some hundred objects, and hardly a cycle
                async with _retaining(watch.store(host.store), host.now, serving.keep_ms):
                    yield host, upstreams

    guard = Guard(hosts=serving.hosts, origins=serving.origins)
    headers = serving.conversation_headers, serving.task_headers
    names = Names.with_more(*headers, details=serving.expose_stage)
    model = serving.model or (DEMO if serving.demo else "")
    return create_app(
        opened,
        guard,
        model=model,
        demo=serving.demo,
        country=serving.country,
        language=serving.language,
        names=names,
        watch=watch,
        stopping=stopping,
        pass_unkept=serving.on_store_failure == PASS,
    )


@asynccontextmanager
async def _retaining(store: Store, now: Callable[[], int], keep_ms: int | None) -> AsyncIterator[None]:
    """Erase what people deleted, and what is older than `keep_ms`, for as long as the server runs."""
    times: dict[str, Any] = {"now": now, "rest": asyncio.sleep}
    erasing = [asyncio.create_task(forget(store, **times))]
    if keep_ms is not None:
        erasing.append(asyncio.create_task(retain(store, keep_ms, **times)))
    try:
        yield
    finally:
        for task in erasing:
            task.cancel()
        await asyncio.gather(*erasing, return_exceptions=True)


def detectors(serving: Serving) -> Detectors:
    """Return the local detectors; for the demo, a script, the tables and two phrases that stand for harm and abuse.

    Raises CallerError if one cannot read at all: every message would be blind, and nothing could ever be closed.
    """
    rules = serving.policy.thresholds
    found = Detectors([Lexical(), StandIns()], rules) if serving.demo else local(rules)
    failed = found.user("Hello").failed + found.assistant("Hello").failed
    if failed:
        raise CallerError(f"these detectors cannot read: {', '.join(dict.fromkeys(failed))}")
    return found


def witnesses(named: Sequence[NamedWitness]) -> Witnesses:
    """Return the witnesses elsewhere; no connection is made yet."""
    opened = [one.open() for one in named]
    readers = [one for one in opened if one.kind != JUDGE]
    return Witnesses(readers, next((one for one in opened if one.kind == JUDGE), None))


@asynccontextmanager
async def _upstreams(serving: Serving) -> AsyncIterator[Mapping[Named, Upstream]]:
    """Yield the upstreams; with none named, the demo assistant's, which speaks every wire."""
    async with AsyncExitStack() as stack:
        named = serving.named
        if not named:
            url = await stack.enter_async_context(_demo())
            named = [Named(name=DEMO, wire=wire, url=url) for wire in WIRES]
        upstreams = {one: one.open(serving.timeouts) for one in named}
        for upstream in upstreams.values():
            stack.push_async_callback(upstream.close)
        yield upstreams


@asynccontextmanager
async def _demo() -> AsyncIterator[str]:
    """Run the demo assistant, and yield its address."""
    bound = _bound("127.0.0.1", 0)
    server = _Inner(_config(demo_app()), lambda _: None, Stopping())
    running = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    finally:
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
    return uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, server_header=False, lifespan="on"
    )


class _Server(uvicorn.Server):
    """Says when it answers, and keeps listening while it stops, so that whoever comes is told."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str], None], stopping: Stopping) -> None:
        super().__init__(config)
        self._told = started
        self._stopping = stopping
        self._said = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once nothing runs; at a second signal at once, and what runs is cut off."""
        self._stopping.begin(at_once=self._stopping.begun)

    async def on_tick(self, counter: int) -> bool:
        if self._stopping.begun and not self._said:
            self._said = True
            log.info("stopping")
        if self._stopping.over and self._stopping.running:
            log.warning("cut_off", requests=self._stopping.running)
            self.config.timeout_graceful_shutdown = 0  # it has been waited for
        return await super().on_tick(counter) or self._stopping.over

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
