"""Bytes: events cut anywhere, insertions into JSON of any shape, and bodies that are anything at all."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adjourn.core.errors import ClientError
from adjourn.core.machine import Finish
from adjourn.wire import anthropic, openai_chat, sse
from adjourn.wire.canonical import canonical
from adjourn.wire.reply import Reply
from adjourn.wire.splice import Insertion, elements, insert, members
from adjourn.wire.view import Note, view
from tests.models import FORGERIES, odd_json

# Events of a stream.

ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
LINES = st.sampled_from([b"data: {}", b"data:x", b"data", b": comment", b"event: a", b"id: 7", b"data: \xc3\xa9", b"x"])
STREAMS = st.lists(st.tuples(st.lists(LINES, min_size=1, max_size=3).map(b"\n".join), ENDS).map(b"".join), max_size=6)


def fed(pieces: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    events = sse.Events()
    return [event for piece in pieces for event in events.feed(piece)], events.rest()


@given(STREAMS, LINES | st.just(b""), st.data())
def test_events_are_the_same_whole_byte_by_byte_and_cut_anywhere(
    events: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    stream = b"".join(events) + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = fed([stream])
    assert b"".join(whole[0]) + whole[1] == stream
    for one in (fed(pieces), fed([stream[at : at + 1] for at in range(len(stream))])):
        assert b"".join(one[0]) + one[1] == stream
        assert [sse.data_of(event) for event in one[0]] == [sse.data_of(event) for event in whole[0]]


@given(st.binary())
def test_no_byte_of_a_stream_is_lost_whatever_it_is(stream: bytes) -> None:
    events, rest = fed([stream[at : at + 1] for at in range(len(stream))])
    assert b"".join(events) + rest == stream


@given(st.binary())
def test_an_event_of_any_bytes_is_read_or_counts_as_unread(event: bytes) -> None:
    for one in (event, b"data: " + event + b"\n\n", b'data: {"choices": ' + event + b"}\n\n"):
        openai_chat.read_event(Reply(), one)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(FORGERIES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_an_answer_of_any_json_is_read_or_counts_as_unread(value: Any) -> None:
    said = {"message": {"content": "x"}, "delta": {"content": "x"}, "finish_reason": value}
    for body in (value, *({"choices": choices} for choices in (value, [{"message": value, "delta": value}], [said]))):
        data = json.dumps(body).encode()
        assert isinstance(openai_chat.read_reply(data).finished(), Finish)
        reply = Reply()
        openai_chat.read_event(reply, sse.event_of(data))
        assert isinstance(reply.finished(), Finish)
        for told in ({"stage": "ENDED"}, None):
            openai_chat.with_object(data, told)
            openai_chat.last_events(reply, [sse.event_of(data)], told, "")


@pytest.mark.parametrize(
    "event",
    [
        'data: {"choices":[]}\n\n',
        'data: {"choices":\r\ndata: []}\r\nid: }\r\n: {"}\r\n\r\n',
        'id: }\rdata:{"choices":[]}  \r: }\r\r',
        'data: {"choices":[]}\nevent: }\ndata: \ndatabase: }\n\n',
    ],
)
def test_the_object_stands_in_the_data_of_an_event_whatever_stands_beside_it(event: str) -> None:
    told = {"stage": "ENDED"}
    for wire in (openai_chat, anthropic):
        out = wire.last_events(Reply(), [event.encode()], told, "")
        assert json.loads(sse.data_of(out) or b"") == {"choices": [], "adjourn": told}
        assert len(out) == len(event) + len(',"adjourn":{"stage":"ENDED"}')


@pytest.mark.parametrize("message", ["{}", "{ }", '{"content":null}', '{"role":"assistant"}', '{"content":[]}'])
def test_words_of_the_hosts_stand_in_a_message_that_has_none(message: str) -> None:
    body = f'{{"choices":[{{"message":{message}}}]}}'.encode()
    (choice,) = json.loads(openai_chat.with_object(body, None, "Well?"))["choices"]
    assert choice["message"]["content"] == "Well?"


# Places in JSON.

WRITERS = [
    lambda value: json.dumps(value),
    lambda value: json.dumps(value, ensure_ascii=False, indent=3),
    lambda value: json.dumps(value, separators=(",", ":")),
    lambda value: f" \r\n\t{odd_json(value)} \n",
]
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=5)


@given(OBJECTS, st.sampled_from(WRITERS))
@example({'"': '\\"', "\\": '"}', "{": "[", ":": ","}, WRITERS[0])
def test_the_values_of_an_object_are_where_they_are_said_to_be(value: dict[str, Any], write: Any) -> None:
    body = write(value).encode()
    found = members(body)
    assert {key: json.loads(body[span.start : span.end]) for key, span in found.items()} == value


@given(st.lists(JSON, max_size=5), st.sampled_from(WRITERS))
def test_the_elements_of_a_list_are_where_they_are_said_to_be(value: list[Any], write: Any) -> None:
    body = write(value).encode()
    assert [json.loads(body[span.start : span.end]) for span in elements(body, 0)] == value


@given(st.binary(), st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=3)), max_size=5))
def test_what_is_put_in_stands_at_its_place_and_everything_else_is_as_it_was(
    body: bytes, places: list[tuple[int, bytes]]
) -> None:
    insertions = [Insertion(min(at, len(body)), data) for at, data in places]
    expected = b"".join(
        b"".join(data for place, data in insertions if place == at) + body[at : at + 1] for at in range(len(body) + 1)
    )
    assert insert(body, insertions) == expected


# Guidance in a request.

TEXTS = st.text(max_size=12) | st.sampled_from(["", '"', "\\", "\u2028", "[adjourn/redirect]", *FORGERIES])
PARTS = st.lists(
    TEXTS.map(lambda text: {"type": "text", "text": text}) | JSON.map(lambda value: {"type": "x", "content": value}),
    max_size=3,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "wizard"]), "content": TEXTS | PARTS},
        optional={"name": TEXTS, "x": JSON},
    ),
    min_size=1,
    max_size=5,
)


@given(
    MESSAGES,
    st.dictionaries(st.sampled_from(["a", "tools", "", "é"]), JSON, max_size=3),
    st.sampled_from(WRITERS),
    st.sampled_from(["in_user", "developer", "system"]),
    st.lists(st.tuples(st.integers(0, 4), TEXTS), min_size=1, max_size=3, unique_by=lambda note: note[0]),
)
def test_p13_a_view_is_the_request_with_the_notes_put_in_and_nothing_else(
    messages: list[dict[str, Any]], more: dict[str, Any], write: Any, form: str, at: list[tuple[int, str]]
) -> None:
    body = write({**more, "messages": messages, "model": "m"}).encode()
    request = openai_chat.parse(body)
    notes = [Note(place, form, text) for place, text in sorted(at) if place < len(messages)]
    viewed = view(request, notes)
    assert view(request, []) is body
    expected: list[Any] = []
    own = True
    for place, message in enumerate(messages):
        expected.append(message)
        beside = any(other["role"] != "assistant" for other in messages[place + 1 : place + 2])  # none may stand there
        own = own and not (beside and any(note.behind == place for note in notes))
        for note in (note for note in notes if note.behind == place):
            if form != "in_user" and not beside:
                expected.append({"role": form, "content": note.text})
            elif isinstance(message["content"], str):
                expected[-1] = {**message, "content": f"{message['content']}\n\n{note.text}"}
            else:
                expected[-1] = {**message, "content": [*message["content"], {"type": "text", "text": note.text}]}
    told = json.loads(viewed)
    assert told == {**more, "messages": expected, "model": "m"}
    if form != "in_user" and own:  # the bytes of the client are all there, in their order
        rest = viewed
        for number, note in reversed(list(enumerate(notes))):
            addition = b"," + msgspec.json.encode({"role": form, "content": note.text})
            place = elements(rest, members(rest)["messages"].start)[note.behind + number].end
            assert rest[place : place + len(addition)] == addition
            rest = rest[:place] + rest[place + len(addition) :]
        assert rest == body


@given(
    MESSAGES, st.dictionaries(st.sampled_from(["stop", "n", "stream", "max_tokens", "tools", "é"]), JSON, max_size=4)
)
def test_a_side_request_has_the_clients_values_raw_and_ours_behind_its_messages(
    messages: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    body = odd_json({**more, "messages": messages}).encode()
    said = {"role": "assistant", "content": "END", "reasoning_content": "…", "x": [1.0]}
    for replied, added in ((None, []), (json.dumps(said).encode(), [said, {"role": "user", "content": "Well?"}])):
        asked = json.loads(
            openai_chat.side_request(body, replied=replied, again="Well?", form="in_user", store=None, tool=False)
        )
        assert asked["messages"] == [*messages, *added]
        for key, value in more.items():
            if key in ("tools", "é"):
                assert asked[key] == value
        assert not {"stop", "n", "stream"} & asked.keys()
        assert asked.get("max_tokens", 1024) >= 1024


# Bodies.


def parsed(body: bytes) -> bool:
    try:
        openai_chat.parse(body)
    except ClientError:
        return False
    return True


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_request_or_the_clients_error(body: bytes) -> None:
    parsed(body)
    parsed(b'{"messages": [{"role": "user", "content": ' + body + b"}]}")
    parsed(b'{"messages": ' + body + b"}")


FIELDS = st.sampled_from(["messages", "role", "content", "tools", "tool_choice", "n", "user", "model", "stream"])


@given(st.dictionaries(FIELDS, JSON, max_size=6), st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=3))
def test_json_of_any_shape_is_a_request_or_the_clients_error(more: dict[str, Any], messages: list[Any]) -> None:
    parsed(json.dumps(more).encode())
    for role in ("user", "assistant", "tool", "x"):
        whole = {**more, "messages": [{**message, "role": role} for message in messages]}
        parsed(odd_json(whole).encode())


def escaped(key: str, places: Sequence[int]) -> str:
    return "".join(f"\\u{ord(letter):04x}" if at in places else letter for at, letter in enumerate(key))


@given(
    st.sampled_from(["messages", "role", "content"]),
    st.sets(st.integers(0, 7)),
    st.sampled_from(["", " ", "\n\t"]),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_key_twice_is_refused_however_it_is_written(
    key: str, places: set[int], blank: str, others: int, bare: bool
) -> None:
    one = '{"role": "user", "content": "x"}'
    other = '{"role": "tool"}' if bare else one
    twice = f'"{escaped(key, list(places))}"{blank}:{blank}' + ("[]" if key == "messages" else '"user"')
    message = one if key == "messages" else one[:-1] + f",{blank}{twice}}}"
    messages = f'"messages": [{", ".join([*[other] * others, message])}]'
    body = f"{{{messages}{f', {twice}' if key == 'messages' else ''}}}"
    with pytest.raises(ClientError, match=f"`{key}` twice"):
        openai_chat.parse(body.encode())


# Messages that are the same.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a  b\n\n c ", "a b c"),
        ("\u00e9", "e\u0301"),
        ("<think>one\ntwo</think>\nYes.", "Yes."),
        ("<THINKING>x</THINKING>Yes.", "Yes."),
        ('<details type="reasoning" done="true">x</details> Yes.', "Yes."),
        ("a\u00a0b", "a b"),
    ],
)
def test_what_clients_do_to_a_text_does_not_make_another_of_it(one: str, other: str) -> None:
    assert canonical(one, assistant=True) == canonical(other, assistant=True)


@pytest.mark.parametrize(("one", "other"), [("Yes", "yes"), ("<b>x</b>", "x"), ("1", "１")])
def test_other_words_are_another_text(one: str, other: str) -> None:
    assert canonical(one, assistant=True) != canonical(other, assistant=True)


@given(st.text())
def test_a_canonical_text_is_its_own(text: str) -> None:
    assert canonical(canonical(text, assistant=True), assistant=True) == canonical(text, assistant=True) or "<" in text


@pytest.mark.parametrize(
    ("finish", "read"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.CONTENT_FILTER),
        ("brand_new", Finish.STOP),
        (None, Finish.STOP),
    ],
)
def test_a_finish_reason_is_read(finish: str | None, read: Finish) -> None:
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": finish}]}
    assert openai_chat.read_reply(json.dumps(body).encode()).finished() is read
