"""The answers that are being written in this process. They belong to it: whoever reads them may come and go.

An answer is asked for through the gateway's own steps (`Host.begin`, `Gateway.attempt`), as for any client; the page is
the client here, and keeps what has come so far until it is over, and for a while after that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message as Sent

from adjourn.core.errors import StoreError
from adjourn.host import Host, Turn
from adjourn.web.chat import markdown
from adjourn.web.gateway import Gateway
from adjourn.web.stopping import Stopping
from adjourn.web.titles import entitle
from adjourn.wire import anthropic, openai_chat, sse
from adjourn.wire.interface import Wire
from adjourn.wire.reply import Reply

T = TypeVar("T")

KEPT = 256
"""So many answers that are over stay known, so that whoever reads them is told how they ended."""
GATHER_SECONDS = 0.04
"""For how long words are gathered before they are shown: that is smooth to the eye, and saves rendering."""
MOST_TOKENS = 8192
"""How long an answer may become on a wire where that must be said."""

ALSO: Mapping[str, Mapping[str, Any]] = {openai_chat.NAME: {}, anthropic.NAME: {"max_tokens": MOST_TOKENS}}
"""What each wire wants beside model and messages."""


class State(StrEnum):
    """How an answer stands."""

    COMING = "coming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


TROUBLES: Mapping[int, str] = {
    401: "trouble_refused",
    403: "trouble_refused",
    413: "trouble_long",
    429: "trouble_busy",
    502: "trouble_model",
    503: "trouble_store",
    504: "trouble_model",
}
"""What is said when there is no answer, by the status that came instead."""


@dataclass(slots=True)
class Writing:
    """What has been written of an answer, as blocks of HTML; `number` rises with every change.

    A block carries the number at which it last changed, so a reader who has seen everything up to a number is sent
    only the blocks that are newer.
    """

    number: int = 0
    blocks: list[tuple[int, str]] = field(default_factory=list)
    _length: int = 0
    _whole: int = 0  # so many blocks do not change any more
    _line: int = 0  # where the next one begins

    def show(self, text: str) -> None:
        """Take the text as it is now; it begins with what it was before."""
        if len(text) == self._length:
            return
        self._length, self.number = len(text), self.number + 1
        found = list(markdown.blocks("\n".join(text.split("\n")[self._line :])))
        if found:
            self.blocks[self._whole :] = [(self.number, html) for _, html in found]
            self._whole += len(found) - 1
            self._line += found[-1][0]

    def since(self, number: int) -> list[tuple[int, str]]:
        """Return the blocks that are newer than this number, each with its place."""
        return [(place, html) for place, (at, html) in enumerate(self.blocks) if at > number]


@dataclass(slots=True, eq=False)
class Running:
    """An answer that is being written, or was. `begun`: the words that it goes on with; `trouble`: why it failed."""

    turn: Turn
    begun: str = ""
    state: State = State.COMING
    trouble: str | None = None
    detail: str = ""
    writing: Writing = field(default_factory=Writing)
    reply: Reply = field(default_factory=Reply)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.turn.attempt

    def shown(self) -> Writing:
        """Return what has been written until now."""
        self.writing.show(self.begun + self.reply.words)
        return self.writing

    def tell(self) -> None:
        """Wake whoever waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, number: int) -> AsyncIterator[tuple[int, Sequence[tuple[int, str]]]]:
        """Yield what is newer than this number, until the answer is over: the new number, and the new blocks."""
        while True:
            waiting, over = self._news, self.state is not State.COMING
            writing = self.shown()
            new = writing.since(number)
            if new:
                yield writing.number, new
            number = writing.number
            if over:
                return
            await waiting.wait()
            await asyncio.sleep(GATHER_SECONDS if self.state is State.COMING else 0)


@dataclass(slots=True)
class Answers:
    """The answers of this process, by their ids, and by the key under which a page sent a message.

    `titled`: the model is asked for a title after the first answer of a chat.
    """

    app: Starlette
    stopping: Stopping
    titled: bool = False
    _by_id: OrderedDict[str, Running] = field(default_factory=OrderedDict)
    _by_key: dict[tuple[str, str], asyncio.Future[Any]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _titles: set[asyncio.Task[str | None]] = field(default_factory=set)

    def get(self, scope: str, ident: str) -> Running | None:
        """Return an answer of a conversation of this scope."""
        found = self._by_id.get(ident)
        return found if found is not None and found.turn.recogniser.scope == scope else None

    def of(self, conversation: str | None) -> list[Running]:
        """Return the answers that are being written in a conversation."""
        coming = (one for one in self._by_id.values() if one.state is State.COMING)
        return [one for one in coming if one.turn.conversation == conversation]

    async def once(self, scope: str, key: str, begin: Callable[[], Awaitable[T]]) -> T:
        """Return what `begin` returns; what is sent again with the same key gets what the first sending got.

        A sending that failed is none.
        """
        before = self._by_key.get((scope, key))
        if before is None:
            before = self._by_key[scope, key] = asyncio.ensure_future(begin())
            while len(self._by_key) > KEPT:
                self._by_key.pop(next(iter(self._by_key)))
        try:
            return await asyncio.shield(before)
        except Exception:
            self._by_key.pop((scope, key), None)
            raise

    def newest(self, node: str | None) -> Running | None:
        """Return the newest answer to this message."""
        return next((one for one in reversed(self._by_id.values()) if one.turn.node == node), None)

    async def begin(
        self,
        host: Host,
        gateway: Gateway,
        *,
        scope: str,
        model: str,
        messages: Sequence[Mapping[str, str]],
        conversation: str,
    ) -> Running | Turn:
        """Take a message, and begin its answer; what is returned instead is a turn that was refused.

        The last of `messages` may be an assistant's, with which the answer goes on. Raises StoreError.
        """
        wire = gateway.wire
        said = {"model": model, "messages": messages, "stream": True, **ALSO[wire.NAME]}
        asked = wire.parse(msgspec.json.encode(said))
        turn = await host.begin(
            scope=scope, request=asked, conversation=conversation, manner=gateway.manner_of(asked.model)
        )
        if turn.refused:
            return turn
        last = messages[-1]
        running = Running(turn, begun=last["content"] if last["role"] == "assistant" else "")
        self._keep(running)
        task = asyncio.create_task(self._run(running, gateway))
        if self.titled and len(messages) == 1:
            task.add_done_callback(lambda _: self._entitle(running, gateway, host, model))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return running

    def _keep(self, running: Running) -> None:
        self._by_id[running.id] = running
        over = [one for one in self._by_id.values() if one.state is not State.COMING]
        for one in over[: max(0, len(self._by_id) - KEPT)]:
            del self._by_id[one.id]

    async def _run(self, running: Running, gateway: Gateway) -> None:
        """Have the answer written: the server waits for it when it is to stop, as for a request."""
        self.stopping.running += 1
        try:
            await Asking(self.app, running, gateway).run()
        except StoreError:
            running.trouble = TROUBLES[503]
        finally:
            if running.state is State.COMING:
                running.state = State.FAILED
                running.trouble = running.trouble or "trouble_other"
            running.over.set()
            running.tell()
            self.stopping.leaves()

    def _entitle(self, running: Running, gateway: Gateway, host: Host, model: str) -> None:
        """Have the chat called by a title, if its first answer is there; nobody waits for that."""
        if running.state is State.DONE and not self.stopping.begun:
            asking = entitle(host, gateway.upstream, gateway.wire, running.turn.conversation, model)
            title = asyncio.create_task(asking)
            self._titles.add(title)
            title.add_done_callback(self._titles.discard)

    async def close(self) -> None:
        """Cut off what is still being written, and wait until that is on record."""
        for running in self._by_id.values():
            running.stopped.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for title in self._titles:
            title.cancel()
        await asyncio.gather(*self._titles, return_exceptions=True)


@dataclass(slots=True)
class Asking:
    """One answer's way from the gateway to the page: the page as a client on no socket."""

    app: Starlette
    running: Running
    gateway: Gateway
    status: int = 0
    streamed: bool = False
    body: bytearray = field(default_factory=bytearray)
    events: sse.Events = field(default_factory=sse.Events)

    @property
    def wire(self) -> Wire:
        return self.gateway.wire

    async def run(self) -> None:
        """Go through all steps of the answer; afterwards the state says what came of it."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/v1{self.wire.PATH}",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "app": self.app,
        }
        response = await self.gateway.attempt(self.running.turn, Request(scope, self.receive))
        await response(scope, self.receive, self.send)
        self.settle()

    async def receive(self) -> Sent:
        """Say that the client went away, once the person stops the answer."""
        await self.running.stopped.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Sent) -> None:
        """Take a piece of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = dict(message["headers"]).get(b"content-type", b"")
            self.streamed = self.status == 200 and named.startswith(b"text/event-stream")
            return
        piece = message.get("body", b"")
        if self.streamed:
            for event in self.events.feed(piece):
                self.wire.read_event(self.running.reply, event)
            self.running.tell()
        else:
            self.body += piece

    def settle(self) -> None:
        """Note how the answer ended."""
        running = self.running
        if running.stopped.is_set() and running.reply.finish is None:
            running.state = State.STOPPED
        elif self.streamed and running.reply.finish is not None:
            running.state = State.DONE
        elif self.status == 200 and not self.streamed:
            running.reply = self.wire.read_reply(bytes(self.body))
            running.state = State.FAILED if running.reply.unread else State.DONE
        else:
            running.state = State.FAILED
            running.trouble = "trouble_broken" if self.streamed else TROUBLES.get(self.status, "trouble_other")
            running.detail = "" if self.streamed else _reason(bytes(self.body))


class _Error(msgspec.Struct):
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Error = field(default_factory=_Error)


def _reason(body: bytes) -> str:
    """Return what an error says, on either wire; nothing if it says nothing that can be read."""
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(body, type=_Refusal).error.message
    return ""
