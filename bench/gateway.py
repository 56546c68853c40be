"""The gateway beside a bare pass-through of the same parts: added latency, and requests a second at 32 clients.

Model, pass-through and gateway are processes of their own; each pair of measurements is taken in turn, in one run.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is nine o'clock. " * 10},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 50, "total_tokens": 59},
    }
).encode()
CHUNKS = [
    b"data: "
    + json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    ).encode()
    + b"\n\n"
    for choice in [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}] * 20
    + [{"index": 0, "delta": {}, "finish_reason": "stop"}]
] + [b"data: [DONE]\n\n"]


def model() -> Starlette:
    """A model that answers at once."""

    async def chat(request: Request) -> Response:
        if json.loads(await request.body()).get("stream"):

            async def stream() -> Any:
                for chunk in CHUNKS:
                    yield chunk

            return StreamingResponse(stream(), media_type="text/event-stream")
        return Response(ANSWER, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


def bare(upstream: str) -> Starlette:
    """A pass-through that does nothing else."""
    client = Upstream(upstream)

    async def chat(request: Request) -> Response:
        body = await request.body()
        asking = client.ask("POST", "/chat/completions", body, headers.upward(request))
        answer = await asking.__aenter__()

        async def stream() -> Any:
            async for chunk in answer.chunks:
                yield chunk
            await asking.__aexit__(None, None, None)

        return StreamingResponse(stream(), status_code=answer.status, headers=headers.back(answer.headers))

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


def gateway(upstream: str, db: str) -> Any:
    """Adjourn, with its store and the lexical layer, as `adjourn serve` sets it up."""
    sys.setswitchinterval(SWITCH_SECONDS)
    return application(Serving(db=db, policy=Policy(), upstream=upstream))


def _run(app: Callable[..., Any], arguments: tuple[Any, ...], port: int) -> None:
    uvicorn.run(app(*arguments), port=port, log_level="error", access_log=False)


@contextmanager
def serving(app: Callable[..., Any], *arguments: Any) -> Iterator[str]:
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
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.join()


def body(stream: bool, client: int, number: int) -> bytes:
    """A first message, another each time."""
    messages = [{"role": "user", "content": f"Hello from {client}, what time is it in Lisbon today? ({number})"}]
    return json.dumps({"model": "m", "messages": messages, "stream": stream}).encode()


async def ask(session: aiohttp.ClientSession, url: str, data: bytes) -> None:
    async with session.post(
        f"{url}/chat/completions", data=data, headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()


async def rate(url: str, stream: bool) -> float:
    """Requests a second with 32 clients."""
    done, until = 0, time.perf_counter() + SECONDS

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        nonlocal done
        turn = 0
        while time.perf_counter() < until:
            await ask(session, url, body(stream, number, turn))
            done, turn = done + 1, turn + 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(number, session) for number in range(CLIENTS)))
    return done / SECONDS


async def latency(url: str, stream: bool) -> float:
    """The median milliseconds of a request, one client."""
    times = []
    async with aiohttp.ClientSession() as session:
        for number in range(ONE_BY_ONE):
            began = time.perf_counter()
            await ask(session, url, body(stream, 0, number))
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serving(model) as upstream:
        db = f"sqlite:///{Path(folder) / 'bench.db'}"
        with serving(bare, upstream) as through, serving(gateway, upstream, db) as judged:
            for stream in (False, True):
                name = "streamed" if stream else "plain"
                rates = [(asyncio.run(rate(through, stream)), asyncio.run(rate(judged, stream))) for _ in range(ROUNDS)]
                ratio = statistics.median(ours / theirs for theirs, ours in rates)
                print(
                    f"{name:<8} {CLIENTS} clients: bare {rates[-1][0]:,.0f}/s,"
                    f" gateway {rates[-1][1]:,.0f}/s, {ratio:.2f} of it"
                )
                waits = [
                    (asyncio.run(latency(through, stream)), asyncio.run(latency(judged, stream))) for _ in range(ROUNDS)
                ]
                added = statistics.median(ours - theirs for theirs, ours in waits)
                print(
                    f"{name:<8} one client: bare p50 {waits[-1][0]:.2f} ms,"
                    f" gateway {waits[-1][1]:.2f} ms, {added:+.2f} ms"
                )


if __name__ == "__main__":
    main()
