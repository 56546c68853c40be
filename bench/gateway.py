"""The gateway beside a bare pass-through of the same parts, on both wires, plain and streamed.

Model, pass-through and gateway are processes of their own; each pair of measurements is taken in turn, in one run.
"""

import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from adjourn.core.policy import Policy
from adjourn.upstream.client import Upstream
from adjourn.web import headers
from adjourn.web.serve import SWITCH_SECONDS, Serving, application

CLIENTS, ROUNDS, SECONDS, ONE_BY_ONE = 32, 3, 3.0, 200
PACED_STREAMS, PACED_CHUNKS, PACE_SECONDS, BEGIN_SECONDS = 200, 100, 0.02, 1.0
HISTORY_TURNS, HISTORY_WORDS = 50, 200
"""How long a history is: about 100 KB."""
STALL_MS = 40.0
"""What Nagle's algorithm and a delayed acknowledgement would add to a piece (RFC 9293, section 3.7.4)."""
PATHS: Mapping[str, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
WORDS = "It is nine o'clock. " * 10


def _event(data: Mapping[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + json.dumps(data).encode() + b"\n\n"


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return _event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices})


def _named(kind: str, **fields: Any) -> bytes:
    return _event({"type": kind, **fields}, kind)


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
USAGE = {"input_tokens": 9, "output_tokens": 50}


class Answer(NamedTuple):
    """What the model says on a wire: plain, or the first events of a stream, one with words, and the last."""

    plain: bytes
    first: Sequence[bytes]
    words: bytes
    last: Sequence[bytes]

    def events(self, count: int) -> list[bytes]:
        return [*self.first, *[self.words] * count, *self.last]


ANSWERS: Mapping[str, Answer] = {
    "/v1/chat/completions": Answer(
        json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"},
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": 50, "total_tokens": 59},
            }
        ).encode(),
        [],
        _chunk({"content": "word "}),
        [_chunk({}, "stop"), b"data: [DONE]\n\n"],
    ),
    "/v1/messages": Answer(
        json.dumps(
            {**MESSAGE, "content": [{"type": "text", "text": WORDS}], "stop_reason": "end_turn", "usage": USAGE}
        ).encode(),
        [
            _named("message_start", message={**MESSAGE, "content": [], "stop_reason": None, "usage": USAGE}),
            _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": "word "}),
        [
            _named("content_block_stop", index=0),
            _named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=USAGE),
            _named("message_stop"),
        ],
    ),
}


def model() -> Starlette:
    """A model that answers at once, or, if its name is `paced`, a piece each 20 ms."""

    async def answer(request: Request) -> Response:
        said, answer = json.loads(await request.body()), ANSWERS[request.url.path]

        async def stream() -> Any:
            paced = said["model"] == "paced"
            for event in answer.events(PACED_CHUNKS if paced else 20):
                yield event
                if paced:
                    await asyncio.sleep(PACE_SECONDS)

        if said.get("stream"):
            return StreamingResponse(stream(), media_type="text/event-stream")
        return Response(answer.plain, media_type="application/json")

    async def models(_: Request) -> Response:
        listed = [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "bench"}]
        return Response(json.dumps({"object": "list", "data": listed}), media_type="application/json")

    routes = [Route(path, answer, methods=["POST"]) for path in ANSWERS]
    return Starlette(routes=[*routes, Route("/v1/models", models)])


def bare(upstream: str) -> Starlette:
    """A pass-through that does nothing else."""
    client = Upstream(upstream)

    async def passed(request: Request) -> Response:
        body = await request.body()
        asking = client.ask("POST", request.url.path.removeprefix("/v1"), body, headers.upward(request))
        answer = await asking.__aenter__()

        async def stream() -> Any:
            async for chunk in answer.chunks:
                yield chunk
            await asking.__aexit__(None, None, None)

        return StreamingResponse(stream(), status_code=answer.status, headers=headers.back(answer.headers))

    return Starlette(routes=[Route(path, passed, methods=["POST"]) for path in ANSWERS])


def gateway(upstream: str, db: str) -> Any:
    """Adjourn, with its store and the lexical layer, as `adjourn serve` sets it up."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return application(Serving(db=db, policy=Policy(), upstream=upstream, anthropic_upstream=upstream))


def _run(app: Callable[..., Any], arguments: tuple[Any, ...], port: int) -> None:
    uvicorn.run(app(*arguments), port=port, log_level="error", access_log=False, timeout_keep_alive=75)


class Server(str):
    """The address of a process that serves an application; `pid`: which it is."""

    pid: int

    @property
    def mib(self) -> float:
        """How much memory it has."""
        rows = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))


@contextmanager
def serving(app: Callable[..., Any], *arguments: Any) -> Iterator[Server]:
    """A process that serves an application; yields its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(app, arguments, port), daemon=True)
    process.start()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    try:
        server = Server(f"http://127.0.0.1:{port}/v1")
        server.pid = process.pid or os.getpid()
        yield server
    finally:
        process.terminate()
        process.join()


class Asks(NamedTuple):
    """What is asked of a server."""

    wire: str
    stream: bool
    model: str = "m"
    history: Sequence[Mapping[str, str]] = ()

    def body(self, client: int, number: int) -> bytes:
        """A first message, another each time; or one below a history of so many bytes."""
        words = f"Hello from {client}, what time is it in Lisbon today? ({number})"
        messages = [*self.history, {"role": "user", "content": words}]
        asked = {"model": self.model, "max_tokens": 99, "messages": messages, "stream": self.stream}
        return json.dumps(asked).encode()


async def ask(session: aiohttp.ClientSession, url: str, asks: Asks, client: int = 0, number: int = 0) -> list[float]:
    """Ask, and return when the pieces came, in milliseconds from the question on."""
    address, began = url.removesuffix("/v1") + PATHS[asks.wire], time.perf_counter()
    data, sent = asks.body(client, number), {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
    async with session.post(address, data=data, headers=sent) as answer:
        assert answer.status == 200, await answer.text()
        return [(time.perf_counter() - began) * 1000 async for _ in answer.content.iter_any()]


async def grown(url: str, asks: Asks) -> list[dict[str, str]]:
    """Have a long conversation, and return it."""
    history: list[dict[str, str]] = []
    async with aiohttp.ClientSession() as session:
        for turn in range(HISTORY_TURNS):
            said = " ".join(f"word{turn * HISTORY_WORDS + word}" for word in range(HISTORY_WORDS))
            await ask(session, url, asks._replace(history=[*history, {"role": "user", "content": said}]))
            history += [{"role": "user", "content": said}, {"role": "assistant", "content": WORDS}]
    return history


async def rate(url: str, asks: Asks) -> float:
    """Requests a second with 32 clients."""
    done, until = 0, time.perf_counter() + SECONDS

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() < until:
            await ask(session, url, asks, number, turn)
            done, turn = done + 1, turn + 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(number, session) for number in range(CLIENTS)))
    return done / SECONDS


async def whole(url: str, asks: Asks) -> float:
    """The median milliseconds of a request, one client."""
    return statistics.median([times[-1] for times in await _one_by_one(url, asks)])


async def first(url: str, asks: Asks) -> float:
    """The median milliseconds to the first byte of an answer, one client."""
    return statistics.median([times[0] for times in await _one_by_one(url, asks)])


async def longest(url: str, asks: Asks) -> float:
    """The longest of the medians of what one piece waits for the one before it, one client, in milliseconds."""
    found = await _one_by_one(url, asks)
    return statistics.median(max([after - before for before, after in pairwise(times)], default=0) for times in found)


async def _one_by_one(url: str, asks: Asks) -> list[list[float]]:
    async with aiohttp.ClientSession() as session:
        return [await ask(session, url, asks, 0, number) for number in range(ONE_BY_ONE)]


async def paced(url: str, asks: Asks) -> float:
    """The 99th percentile of what a piece is late by, 200 streams at once, in milliseconds.

    They begin one after another: how many can begin in a second is what `rate` measures.
    """

    async def one(session: aiohttp.ClientSession, number: int) -> list[float]:
        await asyncio.sleep(number * BEGIN_SECONDS / PACED_STREAMS)
        return await ask(session, url, asks, number)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        found = await asyncio.gather(*(one(session, number) for number in range(PACED_STREAMS)))
    late = sorted(
        max(0.0, after - before - PACE_SECONDS * 1000) for times in found for before, after in pairwise(times)
    )
    return late[len(late) * 99 // 100]


Measure = Callable[[str, Asks], Coroutine[Any, Any, float]]


def both(measure: Measure, asks: Asks, bare: str, judged: str, rounds: int = ROUNDS) -> list[tuple[float, float]]:
    """Measure the one and the other in turn."""
    return [(asyncio.run(measure(bare, asks)), asyncio.run(measure(judged, asks))) for _ in range(rounds)]


def report(bare: str, judged: Server) -> None:
    """Print what the gateway costs on each wire."""
    for wire in PATHS:
        for stream in (False, True):
            name, asks = f"{wire:<8} {'streamed' if stream else 'plain':<8}", Asks(wire, stream)
            rates = both(rate, asks, bare, judged)
            ratio = statistics.median(ours / theirs for theirs, ours in rates)
            print(
                f"{name} {CLIENTS} clients: bare {rates[-1][0]:,.0f}/s, gateway {rates[-1][1]:,.0f}/s,"
                f" {ratio:.2f} of it"
            )
            added(f"{name} one client", whole, asks, bare, judged)
            if stream:
                added(f"{name} first byte", first, asks, bare, judged)
                stall = asyncio.run(longest(judged, asks))
                print(f"{name} longest wait for a piece {stall:.2f} ms{', A STALL' if stall >= STALL_MS else ''}")
        history = asyncio.run(grown(judged, Asks(wire, False)))
        told = [{**message, "content": message["content"][::-1]} for message in history]
        added(f"{wire:<8} a history of 100 KB", whole, Asks(wire, False, history=history), bare, judged)
        added(f"{wire:<8} the same, never seen before", whole, Asks(wire, False, history=told), bare, judged)
        found = both(paced, Asks(wire, True, "paced"), bare, judged)
        ratio = statistics.median(ours / max(theirs, 0.01) for theirs, ours in found)
        print(
            f"{wire:<8} {PACED_STREAMS} streams, a piece each {PACE_SECONDS * 1000:.0f} ms: late by (p99)"
            f" bare {found[-1][0]:.2f} ms, gateway {found[-1][1]:.2f} ms, {ratio:.2f} of it"
        )
    print(f"memory after all that: {judged.mib:.0f} MiB")


def added(name: str, measure: Measure, asks: Asks, bare: str, judged: str) -> None:
    """Print what the gateway adds to a median."""
    waits = both(measure, asks, bare, judged)
    more = statistics.median(ours - theirs for theirs, ours in waits)
    print(f"{name}: bare p50 {waits[-1][0]:.2f} ms, gateway {waits[-1][1]:.2f} ms, {more:+.2f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving(model) as upstream:
        db = f"sqlite:///{Path(folder) / 'bench.db'}"
        with serving(bare, upstream) as through, serving(gateway, upstream, db) as judged:
            report(through, judged)


if __name__ == "__main__":
    main()
