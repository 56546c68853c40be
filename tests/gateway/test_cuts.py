"""Streams cut anywhere: the same events, and the same answer read out of them, on both wires."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.wire import anthropic, openai_chat, sse
from adjourn.wire.interface import Wire
from adjourn.wire.reply import Reply
from tests.gateway.corpus import ANSWERED, claude, event, openai_chunk

WIRES: Mapping[str, Wire] = {"openai": openai_chat, "anthropic": anthropic}
STREAMS = [
    (wire, name, stream) for (wire, streamed), table in ANSWERED.items() if streamed for name, stream in table.items()
]
LONG = 400


def read(wire: Wire, pieces: Iterable[bytes]) -> tuple[list[bytes], bytes, list[bool], dict[str, Any]]:
    """The events of a stream, what is left, which of them are at its end, and what was read."""
    events, reply, seen, ends = sse.Events(), Reply(), list[bytes](), list[bool]()
    for piece in pieces:
        for one in events.feed(piece):
            seen.append(one)
            ends.append(wire.read_event(reply, one))
    return seen, events.rest(), ends, asdict(reply)


def letters(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


@pytest.mark.parametrize(
    ("wire", "text"),
    [(wire, stream) for wire, _, stream in STREAMS],
    ids=[f"{wire}-{name}" for wire, name, _ in STREAMS],
)
def test_a_stream_cut_at_any_place_is_read_as_if_it_were_whole(wire: str, text: str) -> None:
    stream = text.encode()
    whole = read(WIRES[wire], [stream])
    assert b"".join(whole[0]) + whole[1] == stream
    assert read(WIRES[wire], letters(stream)) == whole
    for at in range(len(stream) + 1):
        assert read(WIRES[wire], [stream[:at], stream[at:]]) == whole


@pytest.mark.parametrize(
    ("wire", "text"),
    [(wire, stream) for wire, _, stream in STREAMS if len(stream) < LONG],
    ids=[f"{wire}-{name}" for wire, name, stream in STREAMS if len(stream) < LONG],
)
def test_a_stream_cut_into_short_pieces_is_read_as_if_it_were_whole(wire: str, text: str) -> None:
    stream = text.encode()
    whole = read(WIRES[wire], [stream])
    for size in range(2, 40):
        assert read(WIRES[wire], [stream[at : at + size] for at in range(0, len(stream), size)]) == whole


ENDS = st.sampled_from(["\n", "\r\n", "\r"])
OPENAI = st.sampled_from(
    [
        *(f"data: {openai_chunk(text)}" for text in ("A", "", "\\ud83d\\ude00", "é\u2028")),
        f"data: {openai_chunk('', chr(34) + 'stop' + chr(34))}",
        'data: {"choices":[{"index":1,"delta":{"content":"B"},"finish_reason":"length"}]}',
        'data: {"choices":[{"delta":{"tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]}}]}',
        "data: [DONE]",
        "data: {",
        ": comment",
        "data",
        "event: x",
    ]
)
CLAUDE = st.sampled_from(
    [
        claude("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}').strip(),
        claude("content_block_start", ',"index":1,"content_block":{"type":"tool_use","id":"t","name":"f"}').strip(),
        claude("content_block_delta", ',"index":0,"delta":{"type":"text_delta","text":"é\u2028"}').strip(),
        claude("content_block_delta", ',"index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}').strip(),
        claude("content_block_stop", ',"index":0').strip(),
        claude("message_delta", ',"delta":{"stop_reason":"end_turn"}').strip(),
        claude("message_stop").strip(),
        claude("dream", ',"index":[]').strip(),
        "data: {",
        ": comment",
    ]
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, Sequence[bytes]]:
    """A wire, and a stream on it in pieces."""
    wire = draw(st.sampled_from(sorted(WIRES)))
    told = draw(st.lists(st.tuples(OPENAI if wire == "openai" else CLAUDE, ENDS), max_size=8))
    text = "".join(event(*one.split("\n"), end=end) for one, end in told) + draw(st.sampled_from(["", "data: x", "\n"]))
    stream = text.encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=9)))
    return wire, [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(streams())
def test_a_random_stream_cut_at_random_is_read_as_if_it_were_whole(one: tuple[str, Sequence[bytes]]) -> None:
    wire, pieces = one
    stream = b"".join(pieces)
    whole = read(WIRES[wire], [stream])
    assert read(WIRES[wire], pieces) == whole
    assert read(WIRES[wire], letters(stream)) == whole


@given(st.binary(max_size=60), st.sampled_from(sorted(WIRES)), st.integers(1, 7))
def test_bytes_of_any_kind_cut_at_random_are_read_as_if_they_were_whole(data: bytes, wire: str, size: int) -> None:
    stream = data.replace(b"\x00", b"\n\n").replace(b"\x01", b"data: ")
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert read(WIRES[wire], pieces) == read(WIRES[wire], [stream])
