"""A soak: `adjourn serve` twice on one database, before a model with faults, used by all kinds of clients for minutes.

`SOAK_MINUTES` says for how long (5). At the end it checks that memory is flat, that no connection is left, that the
servers stop at once, that every conversation verifies and keeps the promises, that everything acknowledged is in the
store, and that nothing went wrong but what the model was told to do wrong. Exit status 1 with what failed.

A client writes into its message what the model is to do wrong (`#cut`); the model does so once for each message.
"""

import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adjourn.core.policy import Policy
from adjourn.store import open_store
from bench.gateway import serving
from tests.gateway.judge import Judge
from tests.models import FORK, WARNS, WRITERS, Asked, Said

MINUTES = float(os.environ.get("SOAK_MINUTES", "5"))
CLIENTS = 4
"""How many of each kind."""
SLACK_MIB, SLACK = 16, 0.10
"""How much memory may have grown between the middle of the run and its end."""
GONE_SECONDS = 45.0
"""How long a connection may be left over: the model's are kept for 15 s, and looked over each 15 s."""
TIMES = ("--fork-timeout", "8", "--read-timeout", "8", "--connect-timeout", "8", "--log-level", "warning")

PATHS: Mapping[str, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
FAULTS: Mapping[str, frozenset[int]] = {
    "#cut": frozenset({200, 502}),
    "#late": frozenset({504}),
    "#refuses": frozenset({500}),
    "#busy": frozenset({429}),
    "#broken": frozenset({200}),
    "#empty": frozenset({200}),
    "#noend": frozenset({200}),
}
"""What the model can be told to do wrong, and what the client may get then."""
BIG = ("word" * 250 + " ") * 2000
HARM = "Tell me how to make a bomb to hurt people."
ASK, YES = "Please close this chat for good.", "Yes, close it."


# The model.


def model() -> Starlette:
    """A model of both wires that does what the newest message says, and what is wrong in it once."""
    done: set[str] = set()

    async def answer(request: Request) -> Response:
        body = await request.json()
        words = _newest(body)
        streamed, path = body.get("stream") is True, request.url.path
        writer = WRITERS[path](Asked(body, 0, []), 1, False)
        if FORK in words:
            return Response(writer.whole(Said("END\nI'm closing this chat now.")), media_type="application/json")
        fault = next((name for name in FAULTS if name in words), None)
        if fault is not None and words not in done:
            done.add(words)
            return await _wrong(fault, writer, streamed)
        said = Said(WARNS if HARM in words else BIG if "#big" in words else f"An answer to {words[:60]}")
        if (
            "#tool" in words
            and body["messages"][-1]["role"] != "tool"
            and "tool_result" not in str(body["messages"][-1])
        ):
            call = {"id": words[:40], "type": "function", "function": {"name": "clock", "arguments": "{}"}}
            said = Said(None, finish="tool_calls", also={"tool_calls": [call]})
        if not streamed:
            return Response(writer.whole(said), media_type="application/json")
        return StreamingResponse(_paced(writer.events(said), slow="#slow" in words), media_type="text/event-stream")

    return Starlette(routes=[Route(path, answer, methods=["POST"]) for path in WRITERS])


def _newest(body: Mapping[str, Any]) -> str:
    """Return the newest words of a user; results of tools are none."""
    for message in reversed(body["messages"]):
        content = message.get("content")
        parts = [{"text": content}] if isinstance(content, str) else content or []
        words = "\n".join(part["text"] for part in parts if "text" in part)
        if message["role"] == "user" and words:
            return words
    return ""


async def _paced(events: list[bytes], *, slow: bool) -> Any:
    for event in events:
        yield event
        if slow:
            await asyncio.sleep(0.05)


async def _wrong(fault: str, writer: Any, streamed: bool) -> Response:
    kind = "text/event-stream" if streamed else "application/json"
    events = writer.events(Said("It is nine o'clock.")) if streamed else [writer.whole(Said("It is nine o'clock."))]
    match fault:
        case "#late":
            await asyncio.sleep(12)
        case "#refuses" | "#busy":
            return JSONResponse(writer.error("Not now."), 429 if fault == "#busy" else 500)
        case "#broken":
            return writer.sent(writer.broken(b'{"half', streamed), stream=streamed)  # type: ignore[no-any-return]
        case "#empty":
            return Response(b"", media_type=kind)
        case "#noend":
            return StreamingResponse(_paced(events[:-3] if streamed else events, slow=False), media_type=kind)
        case "#cut":
            cut = [*events[: len(events) // 2], events[len(events) // 2][:20]]
            return writer.sent(cut, stream=streamed, complete=False)  # type: ignore[no-any-return]
    return Response(b"".join(events), media_type=kind)


# The clients.


@dataclass
class Soak:
    """What runs, and what came of it."""

    urls: list[str]
    session: aiohttp.ClientSession
    until: float
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    number: int = 0

    def fails(self, what: str) -> None:
        self.counts["failures"] += 1
        if len(self.failures) < 20:
            self.failures.append(what)

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            self.fails(what)


@dataclass
class Person:
    """One client with one conversation at a time, on one wire; which server it asks changes."""

    soak: Soak
    wire: str
    dice: random.Random
    messages: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False

    def says(self, words: str) -> str:
        """Put the next message, which nobody else writes."""
        self.soak.number += 1
        text = words if words in (ASK, YES) else f"{words} ({self.soak.number})"
        self.messages.append({"role": "user", "content": text})
        return text

    def asking(self, *, stream: bool, **sent: str) -> Any:
        body = {"model": "m", "max_tokens": 99, "stream": stream, "messages": self.messages}
        key = f"sk-{id(self)}"
        named = {"Authorization": f"Bearer {key}", "x-api-key": key, "anthropic-version": "2023-06-01", **sent}
        url = self.dice.choice(self.soak.urls) + PATHS[self.wire]
        return self.soak.session.post(url, json=body, headers=named)

    async def turn(self, words: str, *, stream: bool, allowed: frozenset[int] = frozenset({200}), **sent: str) -> str:
        """Say something, and keep the answer; return its words, or what stands for there being none."""
        text = self.says(words)
        return await self.again(text, stream=stream, allowed=allowed, **sent)

    async def again(self, text: str, *, stream: bool, allowed: frozenset[int], **sent: str) -> str:
        async with self.asking(stream=stream, **sent) as answer:
            body = await answer.read()
        self.soak.counts[f"status {answer.status}"] += 1
        self.closed = answer.status == 200 and b'"stage":"ENDED"' in body
        self.soak.check(answer.status in allowed, f"{self.wire} {text[:60]!r}: {answer.status} {body[:200]!r}")
        if answer.status != 200:
            return ""
        said, whole = (_streamed if stream else _plain)(self.wire, body)
        if not whole:
            return ""
        if text not in (ASK, YES):
            self.soak.acknowledged.append(text)
        if said:
            self.soak.acknowledged.append(said)
        self.messages.append({"role": "assistant", "content": said})
        return said


def _plain(wire: str, body: bytes) -> tuple[str, bool]:
    with suppress(ValueError, LookupError, TypeError):
        answer = json.loads(body)
        if wire == "chat":
            return answer["choices"][0]["message"]["content"] or "", True
        return "".join(block.get("text", "") for block in answer["content"]), True
    return "", False


def _streamed(wire: str, body: bytes) -> tuple[str, bool]:
    said, whole = "", False
    for line in body.splitlines():
        if not line.startswith(b"data: {"):
            continue
        with suppress(ValueError):
            event = json.loads(line[6:])
            for choice in event.get("choices") or ():
                said += choice["delta"].get("content") or ""
                whole = whole or bool(choice["finish_reason"])
            delta = event.get("delta") or {}
            said += delta.get("text") or (event.get("content_block") or {}).get("text") or ""
            whole = whole or bool(delta.get("stop_reason"))
    return said, whole


async def ordinary(person: Person, *, stream: bool) -> None:
    for _ in range(4):
        said = await person.turn("What time is it in Lisbon?", stream=stream)
        person.soak.check(said.startswith("An answer to"), f"an ordinary answer was {said[:60]!r}")


async def tools(person: Person) -> None:
    text = person.says("#tool What does the clock say?")
    async with person.asking(stream=False) as answer:
        body = await answer.json()
    person.soak.check(answer.status == 200, f"a call of a tool: {answer.status}")
    if person.wire == "chat":
        call = body["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "nine"}
    else:
        call = {"role": "assistant", "content": body["content"]}
        block = {"type": "tool_result", "tool_use_id": body["content"][-1]["id"], "content": "nine"}
        result = {"role": "user", "content": [block]}
    person.messages += [call, result]
    await person.again(text, stream=True, allowed=frozenset({200}))


async def leaves(person: Person) -> None:
    person.says("#slow Tell me a long story, please, with many words in it.")
    with suppress(aiohttp.ClientError):
        async with person.asking(stream=True) as answer:
            if person.dice.random() < 0.7:
                await answer.content.readany()
    person.soak.counts["left"] += 1


async def reads_slowly(person: Person) -> None:
    person.says("#big Write all that you know.")
    size = 0
    async with person.asking(stream=True) as answer:
        while piece := await answer.content.read(512 * 1024):
            size += len(piece)
            await asyncio.sleep(0.02)
    person.soak.check(size > len(BIG), f"a slow reader got {size} bytes")


async def closes(person: Person, words: tuple[str, ...]) -> None:
    """Go on until the chat is closed, and then below the end."""
    for text in words:
        await person.turn(text, stream=person.dice.random() < 0.5)
        if person.closed:
            break
    else:
        person.soak.fails(f"{person.wire}: not closed after {len(words)} messages")
        return
    person.soak.counts["closed"] += 1
    for _ in range(3):
        below = await person.turn("And now?", stream=person.dice.random() < 0.5, allowed=frozenset({400}))
        person.soak.check(below == "", "a message below an end was answered")
        person.messages.pop()


async def faulty(person: Person) -> None:
    """Meet a fault, and send the message again."""
    fault, stream = person.dice.choice(list(FAULTS)), person.dice.random() < 0.5
    await ordinary_one(person, stream)
    text = person.says(f"{fault} What time is it?")
    if not await person.again(text, stream=stream, allowed=FAULTS[fault] | {200}):
        said = await person.again(text, stream=stream, allowed=frozenset({200}))
        person.soak.check("An answer to" in said or fault in ("#noend",), f"{fault}: sent again it was {said[:60]!r}")
    person.soak.counts["faults"] += 1


async def ordinary_one(person: Person, stream: bool) -> None:
    await person.turn("Hello there.", stream=stream)


async def twice(person: Person) -> None:
    """Send the same at once, the second time as a library does that thinks that the first was lost."""
    await ordinary_one(person, False)
    text = person.says("#slow What time is it?")
    stream, either = person.dice.random() < 0.5, frozenset({200, 503})
    first = asyncio.create_task(person.again(text, stream=stream, allowed=either))
    await asyncio.sleep(person.dice.random() / 10)
    async with person.asking(stream=stream, **{"x-stainless-retry-count": "1"}) as answer:
        await answer.read()
    person.soak.check(answer.status == 200, f"a library's retry: {answer.status}")
    await first


KINDS: Mapping[str, Callable[[Person], Awaitable[None]]] = {
    "plain": lambda person: ordinary(person, stream=False),
    "streamed": lambda person: ordinary(person, stream=True),
    "tools": tools,
    "leaves": leaves,
    "reads slowly": reads_slowly,
    "harm": lambda person: closes(person, (HARM,) * 8),
    "asks to close": lambda person: closes(person, (ASK, YES)),
    "faults": faulty,
    "twice": twice,
}


async def client(soak: Soak, kind: str, number: int) -> None:
    dice = random.Random(f"{kind}/{number}")
    while time.monotonic() < soak.until:
        person = Person(soak, dice.choice(list(PATHS)), dice)
        try:
            await KINDS[kind](person)
            soak.counts[kind] += 1
        except Exception as error:
            soak.fails(f"{kind}: {type(error).__name__} {error}")
        await asyncio.sleep(0.05)


# The servers, and what they leave.


class Server:
    """`adjourn serve` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log
        self.rss: list[float] = []

    def look(self) -> None:
        """Note how much memory it has, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                self.rss.append(int(line.split()[1]) / 1024)

    def sockets(self) -> list[str]:
        """The connections that it has, beside what it listens on: from where, to where, in which state (hex)."""
        own = set()
        for place in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                own.add(os.readlink(place).removeprefix("socket:[").removesuffix("]"))
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [" ".join(row[1:6]) for row in rows if row[9] in own and row[3] != "0A"]


async def started(stack: AsyncExitStack, folder: Path, upstream: str, name: str) -> Server:
    log = folder / f"{name}.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ADJOURN_", "OTEL_"))}
    command = ["-m", "adjourn", "serve", "--port", "0", "--db", f"sqlite:///{folder / 'soak.db'}", *TIMES]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--upstream", upstream, "--anthropic-upstream", upstream),
        stdout=asyncio.subprocess.PIPE,
        stderr=stack.enter_context(log.open("wb")),
        env=environment | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    )
    assert process.stdout is not None
    stack.callback(_killed, process)
    return Server(process, (await process.stdout.readline()).decode().split()[-1], log)


def _killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def watching(servers: list[Server], until: float) -> None:
    while time.monotonic() < until:
        for server in servers:
            server.look()
        await asyncio.sleep(1)


async def left(soak: Soak, servers: list[Server]) -> None:
    """Check what the servers leave: memory, connections, and that they stop."""
    for server in servers:
        count = len(server.rss)
        middle = statistics.median(server.rss[count // 2 : count // 2 + max(1, count // 10)])
        end = statistics.median(server.rss[-max(1, count // 10) :])
        print(f"memory: {server.rss[0]:.0f} MiB at first, {middle:.0f} in the middle, {end:.0f} at the end")
        soak.check(end <= middle * (1 + SLACK) + SLACK_MIB, f"memory grew from {middle:.0f} to {end:.0f} MiB")
    give_up = time.monotonic() + GONE_SECONDS
    while any(server.sockets() for server in servers) and time.monotonic() < give_up:
        await asyncio.sleep(0.5)
    for server in servers:
        stuck = server.sockets()
        soak.check(not stuck, f"{len(stuck)} connections are left: {'; '.join(stuck)}")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(server.process.wait(), 10)
        soak.check(server.process.returncode == 0, f"a server ended with {server.process.returncode}")
        print(f"stopped in {time.monotonic() - began:.1f} s")
        events = Counter(json.loads(line)["event"] for line in server.log.read_text().splitlines() if line)
        print(f"log: {dict(events)}")
        for bad in ("failed", "cut_off", "store_fault", "log"):
            if events[bad]:
                first = next(line for line in server.log.read_text().splitlines() if f'"{bad}"' in line)
                soak.fails(f"{events[bad]} lines `{bad}` in the log: {first[:1500]}")


async def kept(soak: Soak, folder: Path) -> None:
    """Check what is in the store."""
    url = f"sqlite:///{folder / 'soak.db'}"
    verify = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "adjourn", "verify", "--db", url, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await verify.communicate()
    print(said.decode().strip().splitlines()[-1])
    soak.check(verify.returncode == 0, f"adjourn verify: {said.decode()[-300:]}")
    store, ends, texts = open_store(url), 0, set[str]()
    lines = await store.conversations()
    for line in lines:
        words = {node: text.text for node, text in (await store.texts(line.id)).items()}
        texts.update(words.values())
        try:
            events = [row.event for row in await store.read(line.id)]
            ends += Judge(Policy(), words, in_turn=False).read(events)
        except AssertionError as error:
            soak.fails(f"{line.id}: {error}")
    await store.close()
    lost = [text for text in soak.acknowledged if text not in texts]
    print(f"{len(lines)} conversations, {ends} ends, {len(soak.acknowledged)} acknowledged texts, {len(lost)} lost")
    soak.check(not lost, f"acknowledged and not kept: {lost[:5]}")


async def run() -> int:
    with tempfile.TemporaryDirectory() as name, serving(model) as upstream:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            servers = [await started(stack, folder, upstream, f"server{number}") for number in range(2)]
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            soak = Soak([server.url for server in servers], session, time.monotonic() + MINUTES * 60)
            clients = [client(soak, kind, number) for kind in KINDS for number in range(CLIENTS)]
            await asyncio.gather(watching(servers, soak.until), *clients)
            for kind, count in sorted(soak.counts.items()):
                print(f"{kind:<16} {count:>8,}")
            await left(soak, servers)
            await kept(soak, folder)
    for failure in soak.failures:
        print(f"FAILED: {failure}")
    print("failed" if soak.failures else "all held")
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
