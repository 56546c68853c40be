"""HTTP itself, on bare sockets: what a client may write, and what a model may answer, beside the usual."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from adjourn.core.events import Answer as Answered
from tests.gateway.rig import CALM, Rig, rig
from tests.models import Received
from tests.playback import JSON, SSE, Playback, Played, playing

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": CALM}]}).encode()
STREAM_ASKED = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": CALM}]}).encode()
SAID = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Nine."},"finish_reason":"stop"}]}'
STREAMED = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Nine."},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


@dataclass(frozen=True)
class Came:
    """An answer as it came over a socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """One connection to a server, for bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, body: bool = True) -> Came:
        """Read one answer, whole; `body`: whether one with this status and method has one."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        data = b""
        if not body:
            pass
        elif "content-length" in headers:
            data = await self.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                data += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        return Came(int(first.split(" ")[1]), headers, data)


@asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            yield Line(reader, writer)
    finally:
        writer.close()


def asking(
    body: bytes = ASKED, *lines: str, method: str = "POST", target: str = CHAT, version: str = "1.1", sized: bool = True
) -> bytes:
    """A request as it stands on the wire."""
    told = [f"{method} {target} HTTP/{version}", "Host: localhost", "Content-Type: application/json", *lines]
    told += [f"Content-Length: {len(body)}"] if sized else []
    return "\r\n".join([*told, "\r\n"]).encode() + body


async def asked(served: Rig, request: bytes, *, body: bool = True) -> Came:
    async with line(served.url) as one:
        one.write(request)
        return await one.answer(body=body)


@asynccontextmanager
async def behind(played: Played | Callable[[Received], Played]) -> AsyncIterator[tuple[Playback, Rig]]:
    async with playing([played] if isinstance(played, Played) else played) as model, rig(model) as served:
        yield model, served


# What a client may write.


async def test_a_header_that_comes_twice_goes_up_as_a_list() -> None:
    async with behind(Played(SAID)) as (model, served):
        await asked(served, asking(ASKED, "anthropic-beta: one", "Anthropic-Beta: two", "X-Mine: 1"))
        up = model.received[0]
        assert (up.header("anthropic-beta"), up.header("x-mine")) == ("one, two", "1")


async def test_a_header_in_any_letters_goes_up_and_comes_back_as_its_bytes() -> None:
    async with behind(Played(SAID, headers=[("X-Request-Id", "é – 😀")])) as (model, served):
        came = await asked(served, asking(ASKED, "X-Name: é – 😀"))
        (name,) = (value for key, value in model.received[0].headers if key.lower() == b"x-name")
        assert name == "é – 😀".encode()
        assert came.headers["x-request-id"].encode("latin-1") == "é – 😀".encode()


async def test_headers_for_one_hop_stay_on_it() -> None:
    async with behind(Played(SAID)) as (model, served):
        hop = ("Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Connection: x", "TE: trailers")
        await asked(served, asking(ASKED, *hop, "X-Stays: 1"))
        names = {name.decode().lower() for name, _ in model.received[0].headers}
        assert "x-stays" in names
        assert not names & {"x-hop", "keep-alive", "proxy-connection", "te"}


async def test_a_client_that_sends_no_accept_and_no_user_agent_is_given_none() -> None:
    async with behind(Played(SAID)) as (model, served):
        await asked(served, asking())
        names = {name.decode().lower() for name, _ in model.received[0].headers}
        assert names == {"host", "content-type", "content-length", "accept-encoding"}


@pytest.mark.parametrize("query", ["", "?", "?a=%2F%20+&&a=b;c=[d]'\"", "?%zz", "?a=http://x/?y#"])
async def test_what_stands_behind_the_address_goes_up_letter_for_letter(query: str) -> None:
    async with behind(Played(SAID)) as (model, served):
        await asked(served, asking(target=CHAT + query))
        assert model.received[0].path == CHAT
        assert model.received[0].query == query[1:].partition("#")[0].encode()


async def test_a_body_in_chunks_goes_up_whole() -> None:
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in ASKED) + b"0\r\n\r\n"
    async with behind(Played(SAID)) as (model, served):
        request = asking(chunked, "Transfer-Encoding: chunked", sized=False)
        assert (await asked(served, request)).body == SAID
        assert model.received[0].body == ASKED
        assert model.received[0].header("transfer-encoding") is None


async def test_a_client_that_asks_first_whether_to_send_its_body_is_told_to() -> None:
    async with behind(Played(SAID)) as (model, served), line(served.url) as one:
        head, _, body = asking(ASKED, "Expect: 100-continue").partition(b"\r\n\r\n")
        one.write(head + b"\r\n\r\n")
        assert (await one.answer(body=False)).status == 100
        one.write(body)
        assert (await one.answer()).body == SAID
        assert model.received[0].header("expect") is None


@pytest.mark.parametrize(("request_body", "answer"), [(ASKED, Played(SAID)), (STREAM_ASKED, Played(STREAMED, SSE))])
async def test_requests_one_behind_the_other_are_answered_in_their_order(request_body: bytes, answer: Played) -> None:
    async with behind(answer) as (model, served), line(served.url) as one:
        one.write(asking(request_body) * 3)
        for _ in range(3):
            assert (await one.answer()).body == answer.body
        assert [up.body for up in model.received] == [request_body] * 3


async def test_a_client_of_the_old_protocol_gets_its_answer_and_the_end_of_the_connection() -> None:
    async with behind(Played(SAID)) as (_, served), line(served.url) as one:
        one.write(asking(version="1.0"))
        assert (await one.answer()).body == SAID
        assert await one.reader.read() == b""


async def test_a_client_that_breaks_off_in_its_body_is_not_passed_on() -> None:
    async with behind(Played(SAID)) as (model, served):
        async with line(served.url) as one:
            one.write(asking()[:-3])
        assert (await asked(served, asking())).body == SAID
        assert [up.body for up in model.received] == [ASKED]


async def test_heads_are_answered_without_a_body_and_side_doors_stay_shut_for_every_method() -> None:
    async with behind(Played(framing="none")) as (model, served):
        assert (await asked(served, asking(b"", method="HEAD", target="/v1/models"), body=False)).status == 200
        assert len(model.received) == 1
        for method in ("HEAD", "GET", "PUT", "PATCH", "DELETE"):
            for target in (CHAT, MESSAGES, "/v1/completions"):
                came = await asked(served, asking(b"", method=method, target=target), body=method != "HEAD")
                assert came.status == 404
        for method, status in (("OPTIONS", 204), ("TRACE", 405)):
            assert (await asked(served, asking(b"", method=method), body=status != 204)).status == status
        assert len(model.received) == 1


async def test_a_connection_is_used_again_after_refusals_errors_and_streams() -> None:
    def plays(one: Received) -> Played:
        if b"fails" in one.body:
            return Played(b"<h1>busy</h1>", "text/html", "503 Service Unavailable", framing="length")
        return Played(STREAMED, SSE) if b"stream" in one.body else Played(SAID)

    async with behind(plays) as (_, served), line(served.url) as one:
        for body, status, answer in (
            (ASKED, 200, SAID),
            (b"{", 400, None),
            (STREAM_ASKED, 200, STREAMED),
            (ASKED.replace(b"{", b'{"fails":1,', 1), 503, b"<h1>busy</h1>"),
            (ASKED, 200, SAID),
        ):
            one.write(asking(body))
            came = await one.answer()
            assert came.status == status
            assert answer is None or came.body == answer


async def test_what_the_model_kept_open_is_used_again_and_what_a_client_left_is_not() -> None:
    def plays(one: Received) -> Played:
        return Played(STREAMED[:90], SSE, holds=True) if b"holds" in one.body else Played(SAID)

    async with behind(plays) as (model, served):
        for _ in range(3):
            assert (await asked(served, asking())).body == SAID
        assert model.connections == 1
        async with line(served.url) as one:
            one.write(asking(STREAM_ASKED.replace(b"{", b'{"holds":1,', 1)))
            await one.reader.readuntil(b"Nine.")
        assert (await asked(served, asking())).body == SAID
        assert model.connections <= 3


# What a model may answer.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZip", gzip.compress)]
)
@pytest.mark.parametrize("pieces", [0, 1])
async def test_an_answer_that_is_packed_unasked_is_unpacked_and_read(
    name: str, pack: Callable[[bytes], bytes], pieces: int, stream: bool
) -> None:
    said, kind = (STREAMED, SSE) if stream else (SAID, JSON)
    packed = Played(pack(said), kind, headers=[("Content-Encoding", name)], pieces=pieces)
    async with behind(packed) as (model, served):
        came = await asked(served, asking(STREAM_ASKED if stream else ASKED))
        assert model.received[0].header("accept-encoding") == "identity"
        assert came.body == said
        assert "content-encoding" not in came.headers
        (answered,) = (event for event in await served.every_event() if isinstance(event, Answered))
        assert answered.kind == "HELP"


@pytest.mark.parametrize("name", ["gzip", "br"])
async def test_an_answer_that_cannot_be_unpacked_is_the_models_fault(name: str) -> None:
    async with behind(Played(b"rubbish", headers=[("Content-Encoding", name)], framing="length")) as (_, served):
        assert (await asked(served, asking())).status == 502


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream; charset=UTF-8"])
async def test_a_stream_is_one_however_its_type_is_written(kind: str) -> None:
    begun = STREAMED[: STREAMED.index(b"\n\n") + 2]
    async with behind(Played(begun, kind, holds=True)) as (_, served), line(served.url) as one:
        one.write(asking(STREAM_ASKED))
        await one.reader.readuntil(begun)  # though its end has not come


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("pieces", [0, 1, 7])
async def test_an_answer_is_the_same_however_it_is_framed(framing: str, pieces: int) -> None:
    for body, played in (
        (ASKED, Played(SAID, framing=framing, pieces=pieces)),
        (STREAM_ASKED, Played(STREAMED, SSE, framing=framing, pieces=pieces)),
    ):
        async with behind(played) as (_, served):
            assert (await asked(served, asking(body))).body == played.body


@pytest.mark.parametrize(
    "more",
    [b"data: more\n\n", b": a comment\n\n", b"data: half of an ev", b"\r\n\r\n", b"data: [DONE]\n\n", b"\xff\x00"],
)
async def test_what_comes_behind_the_end_of_a_stream_is_passed_on(more: bytes) -> None:
    for pieces in (0, 1):
        async with behind(Played(STREAMED + more, SSE, pieces=pieces)) as (_, served):
            assert (await asked(served, asking(STREAM_ASKED))).body == STREAMED + more


async def test_a_stream_without_its_last_mark_is_whole_once_it_said_why_it_stopped() -> None:
    short = STREAMED.removesuffix(b"data: [DONE]\n\n")
    async with behind(Played(short, SSE)) as (_, served):
        assert (await asked(served, asking(STREAM_ASKED))).body == short
        assert await served.count(Answered) == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_without_a_body_comes_back_without_one(status: str) -> None:
    async with behind(Played(kind="", status=status, framing="none")) as (_, served), line(served.url) as one:
        one.write(asking() * 2)
        for _ in range(2):
            came = await one.answer(body=False)
            assert came.status == int(status[:3])
            assert not came.headers.keys() & {"content-length", "transfer-encoding"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_neither_followed_nor_leads_the_client_past_the_gateway(status: str) -> None:
    async with behind(Played(b"{}", status=status, headers=[("Location", "http://127.0.0.1:1/")])) as (model, served):
        came = await asked(served, asking())
        assert (came.status, came.body) == (int(status[:3]), b"{}")
        assert "location" not in came.headers
        assert len(model.received) == 1


@pytest.mark.parametrize(
    "played",
    [
        Played(b"<html>Bad Gateway</html>", "text/html", "502 Bad Gateway"),
        Played(b"\xff\xfe\x00", "application/octet-stream", "500 Internal Server Error"),
        Played(b"", "", "503 Service Unavailable", framing="length"),
        Played(b"[]", JSON, "400 Bad Request"),
        Played(b'"no"', JSON, "400 Bad Request"),
        Played(b'{"error": null', JSON, "400 Bad Request"),
        Played(STREAMED, SSE, "429 Too Many Requests"),
        Played(b'event: error\ndata: {"error":{}}\n\n', SSE, "529 Overloaded"),
        Played(SAID, JSON, "201 Created"),
        Played(STREAMED, SSE, "202 Accepted"),
        Played(b"", JSON, framing="length"),
        Played(b"null", JSON),
        Played(b"", SSE),
        Played(STREAMED, ""),
        Played(SAID, SSE),
    ],
)
async def test_an_error_and_an_answer_of_any_form_comes_back_as_it_is(played: Played) -> None:
    for target in (CHAT, MESSAGES):
        for body in (ASKED, STREAM_ASKED):
            async with behind(played) as (_, served):
                came = await asked(served, asking(body, target=target))
                assert (came.status, came.body) == (int(played.status[:3]), played.body)
                assert came.headers.get("content-type", "") == played.kind
                assert await served.verified() == 1


@pytest.mark.parametrize("name", ["x-ratelimit-long", "x-other"])
async def test_a_long_header_of_the_models_does_not_lose_its_answer(name: str) -> None:
    async with behind(Played(SAID, headers=[(name, "a" * 60_000)])) as (_, served):
        came = await asked(served, asking())
        assert (came.status, came.body) == (200, SAID)
        assert len(came.headers.get(name, "")) == (60_000 if name.startswith("x-rate") else 0)


async def test_only_headers_that_concern_the_answer_come_back_and_twice_given_ones_as_a_list() -> None:
    back = [("Retry-After", "3"), ("Retry-After-Ms", "3000"), ("X-Request-ID", "r"), ("Request-Id", "q")]
    back += [("X-RateLimit-Reset", "1"), ("OpenAI-Version", "2"), ("Anthropic-Organization-Id", "o")]
    hidden = [("Set-Cookie", "a=b"), ("Server", "x"), ("Access-Control-Allow-Origin", "*"), ("X-Request-Id2", "no")]
    twice = [("x-ratelimit-twice", "1"), ("X-Ratelimit-Twice", "2"), ("x-ratelimit-twice", "3")]
    async with behind(Played(SAID, headers=[*back, *hidden, *twice])) as (_, served):
        headers = (await asked(served, asking())).headers
        assert {name: headers[name.lower()] for name, _ in back} == dict(back)
        assert not headers.keys() & {"set-cookie", "access-control-allow-origin", "x-request-id2"}
        assert headers["x-ratelimit-twice"] == "1, 2, 3"


async def test_a_header_with_control_characters_in_it_is_left_out() -> None:
    async with behind(Played(SAID, headers=[("X-Request-Id", "a\x01b"), ("x-ratelimit-a", "a\tb")])) as (_, served):
        came = await asked(served, asking())
        assert came.body == SAID
        assert "x-request-id" not in came.headers
        assert came.headers["x-ratelimit-a"] == "a\tb"


@pytest.mark.parametrize(
    "played",
    [
        Played(SAID, framing="length", length=len(SAID) + 9, whole=False),
        Played(SAID, whole=False),
        Played(SAID, status="799 Odd"),
        Played(SAID, status="2000 Odd"),
    ],
)
async def test_an_answer_that_breaks_off_or_is_none_is_said_to_be_the_models_fault(played: Played) -> None:
    async with behind(played) as (_, served), line(served.url) as one:
        for _ in range(2):
            one.write(asking())
            came = await one.answer()
            assert came.status == 502
            assert json.loads(came.body)["error"]["type"] == "upstream_error"
