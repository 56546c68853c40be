"""A gateway in front of a stub model, both on real sockets of this machine, and a client that knows nothing of Adjourn.

Harm and abuse are the demo's stand-in words; `Cues` stands for the other detectors, so that a test says with a phrase
what a message is.
"""

import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import aiohttp
import uvicorn
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send
from yarl import URL

from adjourn.core.errors import StoreError
from adjourn.core.events import Ended, Event
from adjourn.core.policy import Policy
from adjourn.host import Host
from adjourn.host.words import words
from adjourn.signals import Detectors, Message, Seen
from adjourn.store import Feedback, Store, key_digest, new_key
from adjourn.store.verify import verify
from adjourn.upstream.choice import WIRES, Named
from adjourn.upstream.client import Timeouts, Upstream
from adjourn.upstream.stand_ins import StandIns
from adjourn.web.app import create_app
from adjourn.web.guard import Guard
from adjourn.web.headers import Names
from adjourn.web.stopping import Stopping
from adjourn.web.watch import Watch
from adjourn.wire import sse
from tests.models import FORK, Received
from tests.playback import Playback

QUICK = Policy(revision="quick", redirections=1)
"""Rules under which one redirection is enough before a warning counts."""

CALM = "What time is it?"
BAD = "This is a forbidden request."
ABUSE = "You are an insult."
FLAGGED = "This is nearly bad."
FAINT = "There is a faint sign here."
CLEAR = "There is a clear sign here."
UNREAD = "This cannot be read."
ASK = "Please close this chat for good."
YES = "Yes, close it."
HARM_REFUSAL = words()["refusal"]
QUESTION = words()["question"]
CRISIS = "I'm glad you told me. You can call a help line."

_CUES: Mapping[str, Mapping[str, float]] = {
    "nearly bad": {"harmful": 0.6},
    "faint sign": {"risk": 0.6},
    "clear sign": {"risk": 0.9},
    "close this chat for good": {"asks_end": 0.9},
}
_SAID: Mapping[str, Mapping[str, float]] = {
    "I can't help with this": {"declined": 0.9},
    "something else instead": {"redirected": 0.9},
    "I may close this chat": {"warned": 0.9},
    "Close this chat for good?": {"asked_to_confirm": 0.9},
    "help line": {"supported": 0.9},
}


class Cues:
    """A detector of phrases that tests write."""

    name = "cues"
    version = "1"

    def user(self, text: str, before: Sequence[Message] = ()) -> Seen:
        if "cannot be read" in text:
            raise ValueError("it cannot be read")
        scores = _scores(_CUES, text)
        if text.strip() == YES:
            scores["confirms_end"] = 0.9
        return Seen(scores)

    def assistant(self, text: str) -> Seen:
        return Seen(_scores(_SAID, text))


def _scores(table: Mapping[str, Mapping[str, float]], text: str) -> dict[str, float]:
    return {name: score for cue, scores in table.items() if cue in text for name, score in scores.items()}


def detectors(policy: Policy) -> Detectors:
    return Detectors([Cues(), StandIns()], policy.thresholds)


class Watched:
    """A store of which is seen what it commits, and that cannot write when `fails` says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ends = 0
        self.fails: Callable[[], bool] = lambda: False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *arguments: Any, **named: Any) -> Any:
        if self.fails():
            raise StoreError("the disk is full")
        committed = await self._store.commit(*arguments, **named)
        self.ends += sum(isinstance(event, Ended) for event in committed.events)
        return committed

    async def comment(self, feedback: Feedback) -> None:
        if self.fails():
            raise StoreError("the disk is full")
        await self._store.comment(feedback)


async def add_key(store: Store, name: str = "laptop") -> tuple[str, str]:
    """Make a key; return its id and the key."""
    key, secret = new_key(name, 1)
    await store.add_key(key, key_digest(secret))
    return key.id, secret


# Servers.


class _Server(uvicorn.Server):
    """Runs in the test's own loop until it is told to stop; signals are the test's, and nothing waits by the clock."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1))
        self.begun = asyncio.Event()
        self.stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop at once; uvicorn's own way takes a tenth of a second, and there are hundreds of servers."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=5)
        await self.lifespan.shutdown()


@asynccontextmanager
async def here(app: ASGIApp) -> AsyncIterator[str]:
    """Run an app on a free port in this loop, and give its URL (without a slash at its end)."""
    # With its protocol named, asyncio sends what it has at once (TCP_NODELAY); else each answer waits for 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = _Server(app)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    begun = asyncio.create_task(server.begun.wait())
    await asyncio.wait([running, begun], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop.set()
        begun.cancel()
        await running
        listening.close()


@dataclass(kw_only=True)
class Rig:
    """A gateway that runs: its address, its host, the model behind it, and a session for bytes."""

    url: str
    model_url: str
    host: Host
    received: list[Received]  # what the model was sent
    session: aiohttp.ClientSession

    @property
    def store(self) -> Watched:
        assert isinstance(self.host.store, Watched)
        return self.host.store

    @property
    def asked(self) -> list[Received]:
        """What the model was asked for an answer, without the questions whether to close."""
        return [one for one in self.received if not is_fork(one)]

    @property
    def forks(self) -> list[Received]:
        return [one for one in self.received if is_fork(one)]

    def chat(self, **options: Any) -> "Chat":
        return Chat(self, **options)

    def client(self, **options: Any) -> AsyncOpenAI:
        """The official client, with this gateway as its address."""
        return client_of(self.url, **options)

    def claude(self, **options: Any) -> "Claude":
        """A client that speaks Anthropic Messages."""
        return Claude(self, **options)

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        url: str = "",
        path: str = "/v1/chat/completions",
    ) -> "Reply":
        """Send these bytes, and return the whole answer."""
        kind = ClaudeReply if path.startswith("/v1/messages") else Reply
        sent = {"Content-Type": "application/json", **(headers or {})}
        address = URL((url or self.url) + path, encoded=True)
        async with self.session.post(address, data=io.BytesIO(body), headers=sent) as answer:
            return kind(answer.status, answer.headers, await answer.read())

    async def events(self, conversation: str) -> list[Event]:
        return [row.event for row in await self.store.read(conversation)]

    async def every_event(self) -> list[Event]:
        lines = await self.store.conversations()
        return [event for line in reversed(lines) for event in await self.events(line.id)]

    async def count(self, kind: type[Event]) -> int:
        """How many events of this kind there are, in all conversations."""
        return sum(isinstance(event, kind) for event in await self.every_event())

    async def verified(self) -> int:
        """Check every conversation in the store; return how many there are."""
        policies = await self.store.policies()
        lines = await self.store.conversations()
        for line in lines:
            found = await verify(self.store, line.id, policies)
            assert not found.faults, (line.id, found.faults)
            assert not found.only_chained
        return len(lines)


class Recording:
    """An app, and what it received."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state = State({"received": []})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            parts: list[bytes] = []

            async def noted() -> Any:
                message = await receive()
                parts.append(message.get("body", b""))
                return message

            await self._app(scope, noted, send)
            self.state.received.append(Received(scope["path"], tuple(scope["headers"]), b"".join(parts)))
        else:
            await self._app(scope, receive, send)


def is_fork(one: Received) -> bool:
    """Whether the model was asked whether it wants to close."""
    last = json.loads(one.body)["messages"][-1] if one.body else {}
    return last.get("role") != "assistant" and FORK in str(last.get("content"))


def client_of(url: str, **options: Any) -> AsyncOpenAI:
    """The official client, with this server's address."""
    plain = DefaultAsyncHttpxClient(verify=False)  # no certificates are read: there is no TLS
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", http_client=plain, **options)


@asynccontextmanager
async def rig(
    model: "Starlette | Recording | Playback",
    policy: Policy = QUICK,
    *,
    db: str = "memory:",
    guard: Guard | None = None,
    names: Names | None = None,
    seen: Detectors | None = None,
    model_url: str | None = None,
    timeouts: Timeouts | None = None,
    watch: Watch | None = None,
    stopping: Stopping | None = None,
    pass_unkept: bool = False,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Run a gateway in front of this model. `options` are the host's."""
    async with AsyncExitStack() as stack:
        if isinstance(model, Playback):
            address = model.url
        else:
            address = model_url if model_url is not None else await stack.enter_async_context(here(model))
        hosts: list[Host] = []

        @asynccontextmanager
        async def opened() -> AsyncIterator[tuple[Host | None, Mapping[Named, Upstream]]]:
            upstream = Upstream(f"{address}/v1", timeouts=timeouts)
            async with Host.open(db, policy, detectors=seen or detectors(policy), **options) as host:
                host.store = Watched(host.store)
                hosts.append(host)
                yield host, {Named(name="stub", wire=wire, url=upstream.url): upstream for wire in WIRES}
            await upstream.close()

        app = create_app(opened, guard or Guard(), names=names, watch=watch, stopping=stopping, pass_unkept=pass_unkept)
        url = await stack.enter_async_context(here(app))
        session = aiohttp.ClientSession(
            skip_auto_headers=("User-Agent", "Accept"), connector=aiohttp.TCPConnector(limit=0)
        )
        await stack.enter_async_context(session)
        yield Rig(url=url, model_url=address, host=hosts[0], received=model.state.received, session=session)


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Go on as soon as this holds; it may be awaitable."""
    deadline = time.monotonic() + seconds
    while True:
        held = condition()
        if held if not asyncio.iscoroutine(held) else await held:
            return
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.002)


# A client.


def is_json(data: bytes) -> bool:
    """Whether this is an object; a model may talk rubbish."""
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


@dataclass(frozen=True)
class Reply:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def streamed(self) -> bool:
        return self.headers.get("Content-Type", "").startswith("text/event-stream")

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The JSON objects of a stream."""
        data = [sse.data_of(event) for event in sse.Events().feed(self.body)]
        return [json.loads(one) for one in data if one and is_json(one)]

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def text(self) -> str:
        """The assistant's words."""
        if self.status != 200:
            return ""
        try:
            if not self.streamed:
                return self.json["choices"][0]["message"].get("content") or ""
            choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
        except (ValueError, LookupError):
            return ""  # the model talked rubbish

    @property
    def adjourn(self) -> dict[str, Any] | None:
        """Adjourn's object, if there is one."""
        if not self.streamed:
            return self.json.get("adjourn") if is_json(self.body) else None
        found = [chunk["adjourn"] for chunk in self.chunks if "adjourn" in chunk]
        assert len(found) < 2, found
        return found[0] if found else None

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end; a stream can break off."""
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())] if self.streamed else []
        return not self.streamed or any(choice["finish_reason"] for choice in choices)

    @property
    def stage(self) -> str | None:
        return (self.adjourn or {}).get("stage")

    @property
    def ended(self) -> bool:
        """Whether the chat was closed with this answer."""
        return self.status == 200 and self.stage == "ENDED"

    @property
    def refused(self) -> bool:
        """Whether this is the refusal of a message below an end, in every detail that WIRE.md names."""
        if self.status != 400 or self.json["error"]["code"] != "conversation_ended":
            return False
        assert self.headers["x-should-retry"] == "false"
        assert self.headers["Adjourn-Stage"] == "ENDED"
        assert self.headers["Content-Type"] == "application/json"
        error = self.json["error"]
        assert error == {"message": HARM_REFUSAL, "type": "conversation_ended", "param": None, "code": error["code"]}
        return True

    @property
    def conversation(self) -> str:
        return self.headers["Adjourn-Conversation"]


class ClaudeReply(Reply):
    """The same on Anthropic's wire."""

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks of the assistant's message, every field of them, as a client sends them back."""
        if self.status != 200:
            return []
        if not self.streamed:
            content: list[dict[str, Any]] = self.json.get("content", [])
            return content
        blocks: dict[int, dict[str, Any]] = {}
        for event in self.chunks:
            match event.get("type"):
                case "content_block_start":
                    assert event["index"] == len(blocks)
                    blocks[event["index"]] = dict(event["content_block"])
                case "content_block_delta":
                    for name, more in event["delta"].items():
                        field = {"partial_json": "input"}.get(name, name)
                        if field != "type":
                            blocks[event["index"]][field] = (blocks[event["index"]].get(field) or "") + more
        for block in blocks.values():
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["input"] or "{}")
        return list(blocks.values())

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def whole(self) -> bool:
        return not self.streamed or any(event.get("type") == "message_stop" for event in self.chunks)

    @property
    def refused(self) -> bool:
        if self.status != 400 or self.json["error"].get("code") != "conversation_ended":
            return False
        assert self.headers["x-should-retry"] == "false"
        assert self.headers["Adjourn-Stage"] == "ENDED"
        assert self.headers["Content-Type"] == "application/json"
        error = {"type": "invalid_request_error", "message": HARM_REFUSAL, "code": "conversation_ended"}
        assert (self.json["type"], self.json["error"]) == ("error", error)
        return True


@dataclass
class Chat:
    """A client that has never heard of Adjourn: it keeps the messages, and sends all of them every time."""

    rig: Rig
    stream: bool = False
    key: str = "sk-test"
    headers: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def post(self, messages: Sequence[Mapping[str, Any]], **headers: str) -> Reply:
        body = {"model": "stub", "messages": messages, **({"stream": True} if self.stream else {}), **self.also}
        sent = {"Authorization": f"Bearer {self.key}", **self.headers, **headers}
        return await self.rig.post(json.dumps(body).encode(), sent, url=self.url)

    async def send(self, text: str, **headers: str) -> Reply:
        """Say something; what a client gets back as an answer, it keeps."""
        self.messages.append({"role": "user", "content": text})
        return await self.again(**headers)

    async def again(self, **headers: str) -> Reply:
        """Send the messages as they are."""
        reply = await self.post(self.messages, **{name.replace("_", "-"): value for name, value in headers.items()})
        if reply.status == 200:
            self.messages.append({"role": "assistant", "content": self.kept(reply)})
        return reply

    def kept(self, reply: Reply) -> Any:
        """What is sent back of an answer."""
        return reply.text

    async def say(self, *texts: str) -> list[Reply]:
        return [await self.send(text) for text in texts]

    def back(self, count: int = 1) -> Self:
        """Take back the newest messages."""
        del self.messages[-count:]
        return self

    def fork(self) -> Self:
        """The same chat in another window."""
        return replace(self, messages=list(self.messages))


@dataclass
class Claude(Chat):
    """The same on Anthropic's wire: it sends back every block of an answer."""

    model: str = "claude-opus-5-5"

    async def post(self, messages: Sequence[Mapping[str, Any]], **headers: str) -> Reply:
        body = {"model": self.model, "max_tokens": 500, "messages": messages, "stream": self.stream, **self.also}
        sent = {"x-api-key": self.key, "anthropic-version": "2023-06-01", **self.headers, **headers}
        return await self.rig.post(json.dumps(body).encode(), sent, url=self.url, path="/v1/messages")

    def kept(self, reply: Reply) -> Any:
        assert isinstance(reply, ClaudeReply)
        return reply.content


async def close(chat: Chat, *, redirections: int = 1) -> Reply:
    """Go on until the model may close the chat; return the answer that closed it."""
    for _ in range(redirections + 1):
        assert (await chat.send(BAD)).status == 200
    reply = await chat.send(BAD)
    assert reply.ended, reply
    return reply
