"""Anthropic's bytes: bodies and events that are anything at all, what is read of them, and what is put in."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.core.errors import ClientError
from adjourn.core.machine import Finish
from adjourn.wire import anthropic, sse
from adjourn.wire.reply import Reply
from adjourn.wire.request import ASSISTANT, CONTEXT, TOOL, USER, Request
from adjourn.wire.view import Note, view
from tests.gateway.test_wire import JSON, WRITERS
from tests.models import FORGERIES, odd_json

KINDS = ["text", "thinking", "tool_use", "tool_result", "image", "text_delta", "input_json_delta", "x"]
EVENTS = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error"]
NAMES = [
    "type",
    "text",
    "index",
    "delta",
    "content_block",
    "stop_reason",
    "id",
    "name",
    "input",
    "partial_json",
    "content",
]
WILD = st.recursive(
    JSON | st.sampled_from([*KINDS, *EVENTS, "end_turn", "refusal"]),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)
TOLD = {"stage": "ENDED"}


# Anything at all.


@given(st.binary())
def test_an_event_of_any_bytes_is_read_or_counts_as_unread(event: bytes) -> None:
    for one in (
        event,
        b"data: " + event + b"\n\n",
        b'data: {"type": "content_block_start", "index": ' + event + b"}\n\n",
    ):
        reply = Reply()
        anthropic.read_event(reply, one)
        assert isinstance(reply.finished(), Finish)


@given(st.lists(st.tuples(st.sampled_from([*EVENTS, "message_stop", "x"]), WILD), max_size=6), WILD)
def test_events_of_any_json_are_read_or_count_as_unread(events: list[tuple[str, Any]], value: Any) -> None:
    reply = Reply()
    for kind, more in (*events, ("content_block_start", value)):
        fields = more if isinstance(more, dict) else {"index": 0, "delta": more, "content_block": more}
        event = sse.event_of(json.dumps({"index": 1, **fields, "type": kind}).encode(), kind)
        anthropic.read_event(reply, event)
        for told in (TOLD, None):
            last = anthropic.last_events(reply, [event], told, "Well?")
            assert last.endswith(b"\n\n")
            assert anthropic.last_events(reply, [event], None, "") == event
    assert isinstance(reply.words, str)


@given(WILD)
def test_an_answer_of_any_json_is_read_or_counts_as_unread(value: Any) -> None:
    for body in (value, {"content": value}, {"content": [value], "stop_reason": value}, {"type": "message", **TOLD}):
        data = json.dumps(body).encode()
        reply = anthropic.read_reply(data)
        assert isinstance(reply.finished(), Finish)
        assert anthropic.with_object(data, None) == data
        told = json.loads(anthropic.with_object(data, TOLD))
        assert told == ({**body, "adjourn": TOLD} if isinstance(body, dict) and body else body)
        if not reply.unread:  # then it can be spoken on, and asked about
            assert json.loads(anthropic.with_object(data, TOLD, "Well?"))["content"][-1]["text"] == "\n\nWell?"
            message = json.loads(anthropic.message_of(data))
            assert message == {"role": "assistant", "content": body["content"]}
            assert json.loads(anthropic.bare(anthropic.message_of(data)))["role"] == "assistant"


FIELDS = st.sampled_from(["messages", "system", "tools", "tool_choice", "metadata", "output_config", "model", "stream"])
BLOCKS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional=dict.fromkeys(("text", "id", "content"), JSON))
    | JSON,
    max_size=4,
)
ROLES = st.sampled_from(["user", "assistant", "system", "x"])


def parsed(body: bytes) -> Request | None:
    try:
        return anthropic.parse(body)
    except ClientError:
        return None


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_request_or_the_clients_error(body: bytes) -> None:
    parsed(body)
    parsed(b'{"messages": [{"role": "user", "content": ' + body + b"}]}")


@given(
    st.dictionaries(FIELDS, JSON, max_size=5),
    st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=8) | BLOCKS | JSON}), max_size=4),
)
def test_json_of_any_shape_is_a_request_or_the_clients_error(more: dict[str, Any], messages: list[Any]) -> None:
    parsed(json.dumps(more).encode())
    parsed(odd_json({**more, "messages": messages}).encode())


# What a request says.


def read(*messages: Mapping[str, Any], **more: Any) -> Request:
    return anthropic.parse(json.dumps({"model": "m", "messages": messages, **more}).encode())


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": list(content)}


TEXT = {"type": "text", "text": "Hello"}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "nine"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}


@pytest.mark.parametrize(
    ("told", "role", "text"),
    [
        ({"role": "user", "content": "Hello"}, USER, "Hello"),
        (message("user", TEXT, TEXT), USER, "Hello\nHello"),
        (message("user", RESULT), TOOL, ""),
        (message("user", RESULT, RESULT), TOOL, ""),
        (message("user", RESULT, TEXT), USER, "Hello"),
        (message("user", PICTURE), USER, ""),
        (message("user"), USER, ""),
        (message("assistant", TEXT, TEXT), ASSISTANT, "HelloHello"),
        ({"role": "system", "content": "Be brief."}, CONTEXT, "Be brief."),
        ({"role": "wizard", "content": "Hello"}, CONTEXT, "Hello"),
    ],
)
def test_a_message_is_what_its_role_and_its_blocks_make_of_it(told: Any, role: str, text: str) -> None:
    (one,) = read(told).messages
    assert (one.role, one.text) == (role, text)


@pytest.mark.parametrize(
    "blocks",
    [
        [TEXT | {"cache_control": {"type": "ephemeral"}}],
        [RESULT, TEXT],
        [RESULT | {"content": "[trimmed]"}, TEXT],
    ],
)
def test_what_clients_mark_or_trim_makes_no_other_message_of_it(blocks: list[Any]) -> None:
    (plain,), (other,) = read(message("user", TEXT)).messages, read(message("user", *blocks)).messages
    assert plain == other


@pytest.mark.parametrize("block", [PICTURE, {"type": "document", "title": "x"}, {"type": "from_the_future"}, 7])
def test_pictures_documents_and_what_is_not_known_make_another_message_of_it(block: Any) -> None:
    (plain,), (other,) = read(message("user", TEXT)).messages, read(message("user", TEXT, block)).messages
    assert (plain.role, plain.text) == (other.role, other.text)
    assert plain.others != other.others


def test_thinking_is_no_part_of_what_an_assistant_said_and_its_calls_are() -> None:
    thinking = [{"type": "thinking", "thinking": "Hm."}, {"type": "redacted_thinking", "data": "x"}]
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    (plain,), (thought,) = (
        read(message("assistant", TEXT)).messages,
        read(message("assistant", *thinking, TEXT)).messages,
    )
    (searched,), (called,) = (read(message("assistant", TEXT, one)).messages for one in (server, CALL))
    assert plain == thought == searched
    assert called.steps
    assert called.others != plain.others
    assert not searched.steps


@pytest.mark.parametrize(
    ("more", "observed"),
    [
        ({}, False),
        ({"tool_choice": {"type": "auto"}}, False),
        ({"tool_choice": {"type": "none"}}, False),
        ({"tool_choice": {"type": "any"}}, True),
        ({"tool_choice": {"type": "tool", "name": "x"}}, True),
        ({"output_config": {"effort": "low"}}, False),
        ({"output_config": {"format": {"type": "json_schema"}}}, True),
        ({"output_format": {"type": "json_schema"}}, True),
        ({"output_format": None}, False),
    ],
)
def test_a_forced_or_shaped_answer_is_only_observed(more: dict[str, Any], observed: bool) -> None:
    assert read(message("user", TEXT), **more).observe_only is observed


def test_a_history_with_nothing_to_answer_is_only_observed() -> None:
    assert read(message("user", TEXT), message("assistant", TEXT)).observe_only
    assert read(message("user", PICTURE)).observe_only
    assert not read(message("user", TEXT), message("assistant", CALL), message("user", RESULT)).observe_only
    assert read(message("user", TEXT), metadata={"user_id": "u"}).user == "u"


# What an answer says.


def grown(*events: Mapping[str, Any]) -> tuple[Reply, list[bool]]:
    reply = Reply()
    ends = [
        anthropic.read_event(reply, sse.event_of(json.dumps(event).encode(), str(event["type"]))) for event in events
    ]
    return reply, ends


def started(index: int, block: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **more: str) -> Mapping[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stopped(index: int) -> Mapping[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_a_stream_is_read_block_by_block() -> None:
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    reply, ends = grown(
        {"type": "message_start", "message": {"content": []}},
        {"type": "ping"},
        started(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "thinking_delta", thinking="Hm."),
        delta(0, "signature_delta", signature="x"),
        stopped(0),
        started(1, {"type": "text", "text": ""}),
        delta(1, "text_delta", text="Let me "),
        delta(1, "from_the_future", text="!"),
        delta(1, "text_delta", text="see."),
        stopped(1),
        started(2, server),
        delta(2, "input_json_delta", partial_json='{"q": 1}'),
        stopped(2),
        started(3, CALL),
        delta(3, "input_json_delta", partial_json='{"a"'),
        delta(3, "input_json_delta", partial_json=": 1}"),
        stopped(3),
        {"type": "from_the_future", "index": "?"},
        {"type": "message_delta", "delta": {"stop_reason": None}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    assert (reply.words, reply.calls, reply.tools) == ("Let me see.", ["t"], [("look", '{"a": 1}')])
    assert (reply.finish, reply.over, reply.unread, reply.blocks) == (Finish.STOP, True, False, 4)
    assert ends == [False] * (len(ends) - 2) + [True, True]


def test_an_error_in_a_stream_is_no_end_and_broken_json_is_unread() -> None:
    reply, ends = grown(started(0, TEXT), {"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    assert (reply.finish, reply.over, reply.unread, ends) == (None, False, False, [False, False])
    anthropic.read_event(reply, b"event: x\ndata: {\n\n")
    assert reply.finished() is Finish.UNREADABLE


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.STOP),
        ("stop_sequence", Finish.STOP),
        ("max_tokens", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
        ("pause_turn", Finish.LENGTH),
        ("refusal", Finish.REFUSAL),
        ("brand_new", Finish.STOP),
        (None, Finish.STOP),
    ],
)
def test_a_stop_reason_is_read(reason: str | None, finish: Finish) -> None:
    body = {"content": [TEXT], "stop_reason": reason}
    assert anthropic.read_reply(json.dumps(body).encode()).finished() is finish
    assert grown({"type": "message_delta", "delta": {"stop_reason": reason}})[0].finished() is finish


def test_words_of_the_hosts_are_a_block_behind_those_that_came() -> None:
    reply, _ = grown(started(0, TEXT), stopped(0), started(1, TEXT), stopped(1))
    held = [
        b'event: message_delta\ndata: {"type": "message_delta" , "delta":{"stop_reason":"end_turn"} }\n\n',
        b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
    ]
    out = anthropic.last_events(reply, held, TOLD, "Well?")
    events = [json.loads(sse.data_of(event) or b"") for event in sse.Events().feed(out)]
    assert [event["type"] for event in events] == [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert [event["index"] for event in events[:3]] == [2, 2, 2]
    assert [event.get("adjourn") for event in events] == [None, None, None, TOLD, None]
    assert anthropic.last_events(reply, held, None, "") == b"".join(held)


@pytest.mark.parametrize("words", ["Bye.", *FORGERIES])
def test_an_answer_of_our_own_is_read_as_what_it_says(words: str) -> None:
    ours: Mapping[str, Any] = {"model": "m", "ident": "1", "created": 7, "adjourn": TOLD}
    assert anthropic.read_reply(anthropic.answer_of(words, **ours)).words == words
    reply = Reply()
    for event in sse.Events().feed(anthropic.stream_of(words, **ours)):
        anthropic.read_event(reply, event)
    assert (reply.words, reply.finish, reply.over) == (words, Finish.STOP, True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_error_of_our_own_is_of_the_vendors_kind(status: int, kind: str) -> None:
    told = json.loads(anthropic.error_of("It broke.", status))
    assert told == {"type": "error", "error": {"type": kind, "message": "It broke."}}
    assert anthropic.error_event("It broke.", status).startswith(b"event: error\ndata: ")


# The fork.


@given(
    st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=8) | BLOCKS}), min_size=1, max_size=3),
    st.dictionaries(
        st.sampled_from(["stop_sequences", "stream", "max_tokens", "thinking", "system"]), JSON, max_size=4
    ),
    st.sampled_from(WRITERS),
)
def test_a_side_request_has_the_clients_values_and_ours_behind_its_messages(
    messages: Sequence[Any], more: Mapping[str, Any], write: Any
) -> None:
    body = write({**more, "messages": messages}).encode()
    said = {"role": "assistant", "content": [{"type": "thinking", "signature": "x"}, {"type": "text", "text": "END"}]}
    for replied, added in ((None, []), (json.dumps(said).encode(), [said, {"role": "user", "content": "Well?"}])):
        for form in ("in_user", "system"):
            asked = json.loads(
                anthropic.side_request(body, replied=replied, again="Well?", form=form, store=None, tool=False)
            )
            assert asked["messages"] == [*messages, *added]
            assert asked.get("system") == more.get("system")
            assert not {"stop_sequences", "stream", "tool_choice"} & asked.keys()
            assert asked["max_tokens"] >= 1024


def test_the_answer_to_the_question_has_room_above_what_goes_to_thinking() -> None:
    for given_tokens, budget, least in ((500, 4000, 5024), (9000, 4000, 9000), (500, None, 1024), (None, 4000, 5024)):
        body: dict[str, Any] = {"messages": [message("user", TEXT)], "max_tokens": given_tokens}
        body["thinking"] = {"type": "enabled", "budget_tokens": budget} if budget else {"type": "adaptive"}
        asked = anthropic.side_request(
            json.dumps(body).encode(), replied=None, again="", form="system", store=None, tool=False
        )
        assert json.loads(asked)["max_tokens"] == least


def test_a_note_stands_in_the_users_text_behind_its_last_block() -> None:
    marked = message("user", RESULT, TEXT | {"cache_control": {"type": "ephemeral"}})
    request = read(marked)
    told = json.loads(view(request, [Note(0, "in_user", "Note.")]))
    assert told["messages"][0]["content"] == [*marked["content"], {"type": "text", "text": "Note."}]


# The way out.

BOUND = anthropic.error_of("messages.1.content.0: … The block is bound to a different conversation. …", 400)
DROP = {"prefix_mismatch_behavior": "drop_block"}


@pytest.mark.parametrize(
    ("thinking", "put_in"),
    [
        ({}, {"thinking": {"type": "adaptive", "block_binding": DROP}}),
        ({"thinking": {}}, {"thinking": {"block_binding": DROP}}),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive", "block_binding": DROP}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9, "x": "}"}},
            {"thinking": {"type": "enabled", "budget_tokens": 9, "x": "}", "block_binding": DROP}},
        ),
        ({"thinking": {"block_binding": {}}}, {"thinking": {"block_binding": DROP}}),
        ({"thinking": {"block_binding": {"x": 1}}}, {"thinking": {"block_binding": {"x": 1, **DROP}}}),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": {"block_binding": {"prefix_mismatch_behavior": "error"}}}, None),
        ({"thinking": {"block_binding": DROP}}, None),
        ({"thinking": {"block_binding": None}}, None),
        ({"thinking": None}, None),
    ],
)
@pytest.mark.parametrize("write", WRITERS)
def test_the_way_out_is_put_in_once_and_nothing_else_is_changed(thinking: Any, put_in: Any, write: Any) -> None:
    sent = {"model": "m", **thinking, "messages": [message("user", TEXT)]}
    other = anthropic.way_out(write(sent).encode(), 400, BOUND)
    if put_in is None:
        assert other is None
        return
    assert other is not None
    body, headers = other
    assert json.loads(body) == sent | put_in
    assert headers == {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
    assert anthropic.way_out(body, 400, BOUND) is None


def test_for_no_other_refusal_there_is_a_way_out() -> None:
    sent = json.dumps({"messages": [message("user", TEXT)]}).encode()
    for status, answer in (
        (500, BOUND),
        (400, b"{"),
        (400, b"[]"),
        (400, anthropic.error_of("No.", 400)),
        (400, b"{}"),
    ):
        assert anthropic.way_out(sent, status, answer) is None
