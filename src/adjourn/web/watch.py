"""What happens at the three edges of the server (requests, store, model), told to metrics, traces and log.

Nothing of it knows how a turn is made: what came of it is read from the facts that were committed.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.core.errors import StoreError, UpstreamError
from adjourn.core.events import Answer, Ended, Event, Held, UserReceived
from adjourn.core.machine import Hold, Stage
from adjourn.host import Host
from adjourn.signals.remote.heard import TROUBLED, Came
from adjourn.store import Committed, Store, chance
from adjourn.upstream.client import Question, Upstream, UpstreamLate, UpstreamUnreachable
from adjourn.web import log
from adjourn.web.addresses import NO_WIRE, address_of, wire_name
from adjourn.web.metrics import Metrics
from adjourn.web.traces import CHATS, ChatSpan, RequestSpan, Traces
from adjourn.web.trouble import trouble

SLOW_SECONDS = 1.0
"""A commit that takes longer stands in the log."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ASKED = (b"adjourn-request", b"x-request-id")


def request_id(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the id that the client gave its request, if it is short and plain; else a new one."""
    for wanted in _ASKED:
        for name, value in headers:
            if name == wanted and _PLAIN.fullmatch(value.decode("latin-1")):
                return value.decode("latin-1")
    return chance(8).hex()


@dataclass(slots=True)
class Exchange:
    """A request, from its first byte to the last of its answer. Times are those of `time.perf_counter`."""

    request: str
    method: str
    path: str
    began: float
    status: int = 0
    conversation: str | None = None
    stage: str | None = None
    asked: bool = False
    last_byte: float | None = None
    span: RequestSpan | None = None


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


@dataclass(slots=True)
class Watch:
    """Who is told what happens. `traces`: None if nobody wants them."""

    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces | None = None

    def begins(self, scope: Scope) -> Exchange:
        """Begin to watch a request."""
        headers, path = scope["headers"], scope["path"]
        exchange = Exchange(request_id(headers), scope["method"], path, time.perf_counter())
        if self.traces is not None and wire_name(path) != NO_WIRE:
            carried = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            exchange.span = self.traces.request(exchange.method, address_of(path), carried)
        log.REQUEST.set(exchange.request)
        _EXCHANGE.set(exchange)
        return exchange

    def ends(self, exchange: Exchange) -> None:
        """Note what came of a request."""
        now = time.perf_counter()
        wire, address = wire_name(exchange.path), address_of(exchange.path)
        self.metrics.answered(wire, address, exchange.status)
        if exchange.last_byte is not None:
            self.metrics.added_after(now - exchange.last_byte)
        if exchange.span is not None:
            exchange.span.ends(exchange.status, exchange.conversation, exchange.stage)
        if not log.debugs():
            return
        log.debug(
            "request",
            method=exchange.method,
            address=address,
            wire=wire,
            status=exchange.status,
            ms=round((now - exchange.began) * 1000, 1),
            conversation=exchange.conversation,
            stage=exchange.stage,
        )

    async def close(self) -> None:
        """Send off what has not been sent yet."""
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)

    # The store.

    def store(self, store: Store) -> Store:
        """Return the store, whose commits are watched."""
        return cast("Store", _WatchedStore(store, self))

    def host(self, host: Host) -> Host:
        """Return the host, whose commits and whose questions to witnesses are watched."""
        host.witnesses.told = self.witness_asked
        return replace(host, store=self.store(host.store))

    def committed(self, conversation: str, events: Sequence[Event], seconds: float) -> None:
        """Note the facts that were put on record."""
        self.metrics.committed(events, seconds)
        exchange = _EXCHANGE.get()
        if exchange is not None:
            exchange.conversation = conversation
        for event in events:
            match event:
                case UserReceived() | Answer():
                    if exchange is not None:
                        exchange.stage = event.stage
                case Ended():
                    log.info("ended", conversation=conversation, ground=event.ground, receipt=event.receipt)
                    if exchange is not None:
                        exchange.stage = Stage.ENDED
                case Held(level=Hold.SHOWN):
                    log.info("hold_shown", conversation=conversation, kind=event.kind)
        if seconds > SLOW_SECONDS:
            log.warning("slow_commit", conversation=conversation, ms=round(seconds * 1000))

    def commit_failed(self, conversation: str, error: StoreError) -> None:
        """Note that nothing was put on record."""
        self.metrics.commit_failed()
        log.error("store_fault", conversation=conversation, message=str(error))

    def unkept(self, what: str) -> None:
        """Note that a message, or an answer, passed although it could not be kept."""
        self.metrics.unjudged(what)
        exchange = _EXCHANGE.get()
        log.warning("unjudged", what=what, conversation=exchange.conversation if exchange is not None else None)

    # Witnesses elsewhere.

    def witness_asked(self, kind: str, came: Came) -> None:
        """Note how a question to a witness elsewhere went."""
        self.metrics.witness_asked(kind, came)
        if came in TROUBLED:
            log.warning("witness_fault", kind=kind, came=came)

    # The model.

    def upstream(self, upstream: Upstream) -> Upstream:
        """Return the model's API, whose questions are watched."""

        def watching(path: str, body: bytes | None, fork: bool) -> Question:
            return _WatchedQuestion(self, upstream.url, path, body, fork)

        upstream.watch = watching
        return upstream


class _WatchedStore:
    """A store whose commits are watched; all else is the store's own."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, conversation: str, *arguments: Any, **named: Any) -> Committed:
        began = time.perf_counter()
        try:
            committed = await self._store.commit(conversation, *arguments, **named)
        except StoreError as error:
            self._watch.commit_failed(conversation, error)
            raise
        self._watch.committed(conversation, committed.events, time.perf_counter() - began)
        return committed


class _WatchedQuestion(Question):
    """A question to the model's API: how long it takes, and what goes wrong."""

    def __init__(self, watch: Watch, url: str, path: str, body: bytes | None, fork: bool) -> None:
        path = path.partition("?")[0]
        self._metrics = watch.metrics
        self._kind = "fork" if fork else "answer" if path in CHATS and body is not None else "other"
        self._began = time.perf_counter()
        self._exchange = exchange = _EXCHANGE.get()
        self._span: ChatSpan | None = None
        if exchange is None:
            return
        if not exchange.asked:
            exchange.asked = True
            self._metrics.added_before(self._began - exchange.began)
        if exchange.span is not None and watch.traces is not None and path in CHATS and body is not None:
            self._span = watch.traces.chat(
                exchange.span, url, path, body, fork=fork, conversation=exchange.conversation
            )
            self.headers, self.kept = self._span.headers, self._span.kept

    def answered(self, status: int) -> None:
        if self._span is not None:
            self._span.answered(status)
        if status >= 300:
            self._failed(f"status_{min(status // 100, 5)}xx", status)

    def began(self) -> None:
        seconds = time.perf_counter() - self._began
        self._metrics.first_byte(self._kind, seconds)
        if self._span is not None:
            self._span.began(seconds)

    def ended(self) -> None:
        if self._exchange is not None and self._kind != "fork":
            self._exchange.last_byte = time.perf_counter()

    def failed(self, error: UpstreamError) -> None:
        late, away = isinstance(error, UpstreamLate), isinstance(error, UpstreamUnreachable)
        self._failed("late" if late else "unreachable" if away else "broke_off", None)
        if self._span is not None:
            self._span.failed(error)

    def closed(self) -> None:
        if self._span is not None:
            self._span.ends()

    def _failed(self, kind: str, status: int | None) -> None:
        self._metrics.upstream_failed(self._kind, kind)
        conversation = self._exchange.conversation if self._exchange is not None else None
        log.warning("upstream_fault", question=self._kind, kind=kind, status=status, conversation=conversation)


# Requests.


def own_fault(scope: Scope) -> Response:
    """Return the answer to a request that failed by our own fault."""
    return trouble(scope, 500, f"something went wrong here; this server's log has it under {log.REQUEST.get()}")


def watched(app: ASGIApp, watch: Watch) -> ASGIApp:
    """Return the application whose requests are watched, each answered under an id of its own.

    What goes wrong by our own fault is written to the log, and answered with 500 and that id.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        exchange = watch.begins(scope)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status, headers = message["status"], message.get("headers", ())
                if exchange.status == 400 and (b"adjourn-stage", b"ENDED") in headers:
                    watch.metrics.refused()
                message["headers"] = [*headers, (b"adjourn-request", exchange.request.encode())]
            await send(message)

        try:
            await app(scope, receive, sending)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception as fault:
            log.error("failed", fault, conversation=exchange.conversation, address=address_of(exchange.path))
            if exchange.status == 0:
                await own_fault(scope)(scope, receive, sending)
        finally:
            watch.ends(exchange)

    return serve
