"""Anything at all, over real HTTP: bytes pass or are the client's fault, and never the server's."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from adjourn.wire import sse
from tests.gateway.corpus import ANSWERED, FRAMES, PATHS, talk
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, Rig, is_json, rig
from tests.gateway.rig import Reply as Came
from tests.models import Received
from tests.playback import JSON, SSE, Played, playing

CASES = 150
NASTY = [
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n\n",
    b"\r\n\r\n",
    b"null",
]
NASTY += [
    b"\\ud83d",
    b"\\u0000",
    b"\\u0072",
    b"1e999",
    b"-0",
    b"9" * 40,
    b"data: ",
    b"data:[DONE]\n\n",
    b"event: ",
    b"true",
]
NASTY += [
    b'"role":"user",',
    b'"content":',
    b'"choices":',
    b'"index":',
    b'"type":',
    b"\xef\xbb\xbf",
    b"[" * 300,
    b"{}",
    b"1.5",
]


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The same with one to four things gone, doubled, moved or put in."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice([1, 1, 2, 5, 20, 100]))
        part = data[start:end]
        match chance.randint(0, 5):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + part + data[end:]
            case 2:
                data = data[:start] + chance.choice(NASTY) + data[start:]
            case 3:
                data = data[:start] + chance.choice(NASTY) + data[end:]
            case 4:
                data = data[:start] + bytes(byte ^ 1 << chance.randint(0, 7) for byte in part[:1]) + data[start + 1 :]
            case _:
                data = data[:start] if chance.random() < 0.2 else data[:start] + data[end:] + part
    return data


STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2.5,
    10**30,
    "",
    "x",
    "user",
    "text",
    "stop",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"": 1},
    ["x"],
]


def changed(chance: random.Random, value: Any) -> Any:
    """The same value with one thing in it replaced, left out or doubled, however deep."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or chance.random() < 0.1:
        return chance.choice(STRANGE)
    key = chance.choice(keys)
    match chance.randint(0, 9):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.append(value[key])
        case 1:
            value[chance.choice(["role", "content", "type", "text", "messages", "index"])] = value[key]
        case _:
            value[key] = changed(chance, value[key])
    return value


def altered(chance: random.Random, data: bytes) -> bytes:
    """The same JSON, or the same stream with JSON in one of its events, with other values in it."""
    lines = data.split(b"\n") if b"data:" in data else [b"data:" + data]
    told = [place for place, line in enumerate(lines) if line.startswith(b"data:") and b"{" in line]
    if not told:
        return data
    place = chance.choice(told)
    try:
        value = json.loads(lines[place][5:])
    except ValueError:
        return data
    ascii_only = chance.random() < 0.5
    lines[place] = b"data:" + json.dumps(changed(chance, value), ensure_ascii=ascii_only).encode(errors="surrogatepass")
    return b"\n".join(lines) if b"data:" in data else lines[0][5:]


def spoiled(chance: random.Random, data: bytes) -> bytes:
    return altered(chance, data) if chance.random() < 0.7 else mutated(chance, data)


def asked(chance: random.Random, wire: str, streamed: bool) -> bytes:
    """A request in one of the spellings, at one of the turns."""
    spelling = chance.choice(list(FRAMES.values()))
    return spelling.body(chance.choice(talk(wire, spelling)), streamed)


def said(chance: random.Random, wire: str, streamed: bool) -> bytes:
    return chance.choice(list(ANSWERED[wire, streamed].values())).encode()


def played(chance: random.Random, body: bytes, streamed: bool) -> Played:
    return Played(body, SSE if streamed else JSON, pieces=chance.choice([0, 0, 1, 9]) if len(body) < 500 else 0)


def objects(stream: bytes) -> list[bytes]:
    """The data of a stream's events that are JSON objects."""
    return [data for data in map(sse.data_of, sse.Events().feed(stream)) if data and is_json(data)]


async def fuzzed(
    wire: str,
    streamed: bool,
    write: Callable[[random.Random], bytes],
    answer: Callable[[random.Random], bytes],
    check: Callable[[Came, Played, bytes], None],
) -> None:
    """Send and answer these, and check what came back; each case has its own seed."""
    plays: list[Played] = []
    async with playing(lambda _: plays[-1]) as model, rig(model) as served:
        for seed in range(CASES):
            chance = random.Random(f"{wire}/{streamed}/{seed}")
            body = write(chance)
            plays.append(played(chance, answer(chance), streamed))
            before = len(model.received)
            came = await served.post(body, path=PATHS[wire])
            try:
                check(came, plays[-1], body)
                asks(model.received[before:], body, came)
            except (AssertionError, ValueError) as error:
                raise AssertionError(f"seed {seed}: {body!r} {plays[-1]!r} {came!r}") from error
        await alive(served, wire, plays)


def asks(up: list[Received], body: bytes, came: Came) -> None:
    """What went up is what came; what was refused did not."""
    assert [one.body for one in up if b"adjourn/" not in one.body] in ([body], []) if came.status == 200 else not up


async def alive(served: Rig, wire: str, plays: list[Played]) -> None:
    """It still works, and what it kept is whole."""
    plays.append(Played(ANSWERED[wire, False]["numbers"].encode()))
    body = FRAMES["plain"].body([FRAMES["plain"].said(CALM)], False)
    assert (await served.post(body, path=PATHS[wire])).body == plays[-1].body
    await served.verified()


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def streamed(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=sorted(PATHS))
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_request_of_any_bytes_passes_as_it_is_or_is_the_clients_fault(wire: str, streamed: bool) -> None:
    def check(came: Came, answer: Played, _: bytes) -> None:
        assert came.status in (200, 400)
        if came.status == 200:
            assert came.body == answer.body
        else:
            assert came.json["error"]["message"]
            assert came.headers["x-should-retry"] == "false"

    write = lambda chance: spoiled(chance, asked(chance, wire, streamed))  # noqa: E731
    await fuzzed(wire, streamed, write, lambda chance: said(chance, wire, streamed), check)


async def test_an_answer_of_any_bytes_passes_as_it_is(wire: str, streamed: bool) -> None:
    def check(came: Came, answer: Played, _: bytes) -> None:
        assert (came.status, came.body) == (200, answer.body)

    write = lambda chance: asked(chance, wire, streamed)  # noqa: E731
    await fuzzed(wire, streamed, write, lambda chance: spoiled(chance, said(chance, wire, streamed)), check)


@pytest.mark.parametrize("text", [CLEAR, ASK, BAD])
async def test_an_answer_of_any_bytes_takes_what_is_put_in_or_passes_without_it(
    wire: str, streamed: bool, text: str
) -> None:
    def check(came: Came, answer: Played, _: bytes) -> None:
        assert came.status == 200
        left = iter(came.body)
        if text != ASK:  # words are never taken out; the question may stand for a content of null
            assert all(byte in left for byte in answer.body)
        if not streamed and came.body != answer.body:
            json.loads(came.body)
        assert len(objects(came.body)) >= len(objects(answer.body))

    spelling = FRAMES["parts"]
    body = spelling.body([spelling.said(text)], streamed)
    await fuzzed(wire, streamed, lambda _: body, lambda chance: spoiled(chance, said(chance, wire, streamed)), check)
