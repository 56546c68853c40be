"""A model's API that plays what it is given, byte for byte: any head, any framing, any pieces; and what it was sent.

Where the stubs of `models.py` behave, this one recites. It stands on bare sockets: nothing mends what it plays.

    async with playing([Played(b'{"choices": []}')]) as model, rig(model) as served:
        …
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from starlette.datastructures import State

from tests.models import Received

JSON, SSE = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Played:
    """An answer as it stands on the wire.

    `framing`: `chunked` (a chunk for each piece), `length`, or `close` (the end of the connection is its end). `whole`:
    False where the connection is closed before the end of the body is told. `holds`: after these pieces nothing more
    comes until whoever asked goes away.
    """

    body: bytes = b""
    kind: str = JSON
    status: str = "200 OK"
    headers: Sequence[tuple[str, str]] = ()
    framing: str = "chunked"
    pieces: int = 0  # bytes in each; 0: all in one
    whole: bool = True
    holds: bool = False
    length: int | None = None  # what is said of it, if that is not so

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        lines += [f"Content-Type: {self.kind}"] if self.kind else []
        if self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.framing == "length":
            lines.append(f"Content-Length: {len(self.body) if self.length is None else self.length}")
        return "\r\n".join([*lines, "\r\n"]).encode()

    def parts(self) -> list[bytes]:
        step = self.pieces or max(len(self.body), 1)
        cut = [self.body[at : at + step] for at in range(0, len(self.body), step)]
        if self.framing != "chunked":
            return cut
        end = [b"0\r\n\r\n"] if self.whole and not self.holds else []
        return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in cut] + end


Playing = Sequence[Played] | Callable[[Received], Played]


@dataclass
class Playback:
    """The API while it runs. `left`: how many went away from an answer that holds; `connections`: how many came."""

    plays: Playing
    url: str = ""
    left: int = 0
    connections: int = 0
    state: State = field(default_factory=lambda: State({"received": []}))

    @property
    def received(self) -> list[Received]:
        found: list[Received] = self.state.received
        return found

    def answer(self, one: Received) -> Played:
        if callable(self.plays):
            return self.plays(one)
        return self.plays[min(len(self.received), len(self.plays)) - 1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                one = await _request(reader)
                self.received.append(one)
                played = self.answer(one)
                writer.write(played.head())
                for piece in played.parts():
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if played.holds:
                    await reader.read()
                    self.left += 1
                if played.framing == "close" or played.holds or not played.whole:
                    break
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    _, target, _ = first.split(b" ")
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    told = {name.lower(): value for name, value in headers}
    if told.get(b"transfer-encoding") == b"chunked":
        body = await _chunked(reader)
    else:
        body = await reader.readexactly(int(told.get(b"content-length", b"0")))
    path, _, query = target.partition(b"?")
    return Received(path.decode("latin-1"), headers, body, query)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


@asynccontextmanager
async def playing(plays: Playing) -> AsyncIterator[Playback]:
    """Run it on a free port of this machine, in this loop. The last of a list is played for ever."""
    playback = Playback(plays)
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(playback.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    playback.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield playback
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
