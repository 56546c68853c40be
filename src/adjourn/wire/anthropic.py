"""Anthropic Messages (https://platform.claude.com/docs/en/api/messages): what Adjourn reads and puts in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from adjourn.core.errors import ClientError
from adjourn.core.machine import Finish
from adjourn.wire import sse
from adjourn.wire.binding import way_out as way_out
from adjourn.wire.interface import Told
from adjourn.wire.reply import Reply
from adjourn.wire.request import (
    ASSISTANT,
    CONTEXT,
    TOOL,
    USER,
    Request,
    WireMessage,
    calls_digest,
    decoded,
    member,
    messages_of,
    only_told,
)
from adjourn.wire.side import CLOSES, CLOSES_SAYS, CLOSES_TAKES, LEAST_TOKENS, appended, joined, values
from adjourn.wire.splice import Insertion, elements, insert, members
from adjourn.wire.told import body_with, event_with
from adjourn.wire.view import IN_USER

T = TypeVar("T")

NAME = "anthropic_messages"
PATH = "/messages"
PING = sse.event_of(b'{"type": "ping"}', "ping")

FORMS: Mapping[str, str] = {
    "claude-opus-4-8": "system",
    "claude-opus-5": "system",
    "claude-sonnet-5-5": "system",
    "claude-haiku-5-5": "system",
    "claude-fable-5": "system",
    "claude-mythos-5": "system",
}
"""The models that take a system message behind a user message, by how their names begin; Sonnet 5 refuses it
(https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages)."""

_ROLES = {"user": USER, "assistant": ASSISTANT}
_FINISHES = {
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "pause_turn": Finish.LENGTH,
    "refusal": Finish.REFUSAL,
}


def form_of(model: str) -> str:
    """Return the form of guidance that a model takes: the user's own text for one that is not known."""
    return next((form for name, form in FORMS.items() if model.startswith(name)), IN_USER)


def parse(body: bytes) -> Request:
    """Return what a request says; raises ClientError, which says what is wrong and where."""
    data = decoded(body)
    read = [_read(message) for message in messages_of(data)]
    forced = member(data, "tool_choice", "type") not in (None, "auto", "none")
    shaped = data.get("output_format") is not None or member(data, "output_config", "format") is not None
    user = member(data, "metadata", "user_id")
    return Request(
        body=body,
        model=str(data.get("model", "")),
        stream=data.get("stream") is True,
        messages=read,
        observe_only=forced or shaped or only_told(read),
        user=user if isinstance(user, str) else None,
        tools=bool(data.get("tools")),
    )


def _read(message: Mapping[str, Any]) -> WireMessage:
    role, content = _ROLES.get(message["role"], CONTEXT), message.get("content") or ""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [block["text"] for block in blocks if _is_text(block)]
    if role == ASSISTANT:  # thinking is left out or dropped on the way, so it is no part of what was said
        calls = [str(block.get("id") or "") for block in blocks if _kind(block) == "tool_use"]
        return WireMessage(role, "".join(texts), calls_digest(calls), steps=bool(calls))
    if role == USER and all(_kind(block) == "tool_result" for block in blocks):
        return WireMessage(TOOL if blocks else USER, "")
    return WireMessage(role, "\n".join(texts), _others(blocks))


def _others(blocks: Sequence[Any]) -> bytes:
    """Return by what a message is recognised beside its text: pictures, documents, and what is not known.

    Results of tools are no words, and are trimmed when a history grows long; `cache_control` moves from turn to turn.
    """
    rest = [block for block in blocks if not _is_text(block) and _kind(block) != "tool_result"]
    kept = [_without(block, "cache_control") if isinstance(block, Mapping) else block for block in rest]
    return msgspec.json.encode(kept, order="deterministic") if kept else b""


def _without(block: Mapping[str, Any], left_out: str) -> Mapping[str, Any]:
    return {key: value for key, value in block.items() if key != left_out}


def _kind(block: Any) -> Any:
    return block.get("type") if isinstance(block, Mapping) else None


def _is_text(block: Any) -> bool:
    return _kind(block) == "text" and isinstance(block.get("text"), str)


# The fork: a side request.

_DROPPED = ("stream", "stop_sequences")
_TOOL = {"name": CLOSES, "description": CLOSES_SAYS, "input_schema": CLOSES_TAKES}


def side_request(
    viewed: bytes, *, replied: bytes | None, again: str, form: str, store: bool | None, tool: bool
) -> bytes:
    """Return the question whether to close: the view's values as they are (see `Wire`).

    Asked again, the question is a user's message whatever the form: no system message follows an assistant's.
    """
    fields = {key: value for key, value in values(viewed).items() if key not in _DROPPED}
    if replied is not None:
        asked = _result(replied, again) if tool else {"role": "user", "content": again}
        fields["messages"] = appended(fields["messages"], replied, msgspec.json.encode(asked))
    if tool:
        fields["tools"] = appended(fields.get("tools", b"[]"), msgspec.json.encode(_TOOL))
        fields.pop("tool_choice", None)
    elif "tools" in fields:
        fields["tool_choice"] = b'{"type":"none"}'
    least = LEAST_TOKENS + _budget(fields.get("thinking", b"null"))
    given = msgspec.json.decode(fields.get("max_tokens", b"null"))
    if not isinstance(given, int) or given < least:
        fields["max_tokens"] = str(least).encode()
    return joined(fields)


def _budget(thinking: bytes) -> int:
    """Return how many tokens may go to thinking: the answer's limit must be above them."""
    budget = member(msgspec.json.decode(thinking), "budget_tokens")
    return budget if isinstance(budget, int) and budget > 0 else 0


def _result(replied: bytes, text: str) -> Mapping[str, Any]:
    """Return a user's message with the result of the tool that the model called; plain words if it called none."""
    content = msgspec.json.decode(replied)["content"]
    called = [block.get("id") for block in content if _kind(block) == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": ident, "content": text} for ident in called]
    return {"role": "user", "content": results or text}


def said(text: str) -> bytes:
    """Return an assistant's message with this text."""
    return msgspec.json.encode({"role": "assistant", "content": text})


def message_of(body: bytes) -> bytes:
    """Return the assistant's message of a plain answer: its blocks, every field of them."""
    content = members(body)["content"]
    return joined({"role": b'"assistant"', "content": body[content.start : content.end]})


def bare(message: bytes) -> bytes:
    """Return an assistant's message with its role and text only."""
    return said(_read(msgspec.json.decode(message)).text)


# The answer.


def read_reply(body: bytes) -> Reply:
    """Return what a plain answer says; one that cannot be read says nothing."""
    reply = Reply()
    try:
        answer = decoded(body)
        for block in _of(list, answer["content"]):
            _begin(reply, block)
            if reply.arguments is not None:
                reply.tools[-1] = (reply.tools[-1][0], msgspec.json.encode(block.get("input")).decode())
        _stop(reply, answer.get("stop_reason"))
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return reply


def read_event(reply: Reply, event: bytes) -> bool:
    """Add a streamed event to the reply; return whether the answer comes to its end with it.

    Events of other kinds pass: the vendor says that there may be new ones
    (https://platform.claude.com/docs/en/build-with-claude/streaming).
    """
    data = sse.data_of(event)
    if data is None:
        return False
    try:
        told = decoded(data)
        read = _EVENTS.get(str(told.get("type")))
        if read is not None:
            read(reply, told)
        return reply.over or reply.finish is not None
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return False


def _block_began(reply: Reply, told: Mapping[str, Any]) -> None:
    reply.blocks = max(reply.blocks, _of(int, told["index"]) + 1)
    _begin(reply, told["content_block"])


def _block_grew(reply: Reply, told: Mapping[str, Any]) -> None:
    delta = told["delta"]
    kind = delta.get("type")
    if kind == "text_delta":
        reply.text.append(_of(str, delta["text"]))
    elif kind == "input_json_delta" and reply.arguments is not None:
        reply.arguments.append(_of(str, delta["partial_json"]))


def _block_ended(reply: Reply, _: Mapping[str, Any]) -> None:
    if reply.arguments:
        reply.tools[-1] = (reply.tools[-1][0], "".join(reply.arguments))
    reply.arguments = None


def _message_ends(reply: Reply, told: Mapping[str, Any]) -> None:
    _stop(reply, told["delta"].get("stop_reason"))


def _message_ended(reply: Reply, _: Mapping[str, Any]) -> None:
    reply.over = True


_EVENTS: Mapping[str, Callable[[Reply, Mapping[str, Any]], None]] = {
    "content_block_start": _block_began,
    "content_block_delta": _block_grew,
    "content_block_stop": _block_ended,
    "message_delta": _message_ends,
    "message_stop": _message_ended,
}


def _begin(reply: Reply, block: Mapping[str, Any]) -> None:
    """Take in a block as it begins; blocks that are not known say nothing."""
    kind = block.get("type")
    reply.arguments = [] if kind == "tool_use" else None
    if kind == "text":
        reply.text.append(_of(str, block["text"]))
    elif kind == "tool_use":
        reply.calls.append(str(block.get("id") or ""))
        reply.tools.append((str(block.get("name")), ""))


def _stop(reply: Reply, reason: Any) -> None:
    if reason:
        reply.finish = _FINISHES.get(str(reason), Finish.STOP)


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"it is not of the type {kind.__name__}")
    return value


def with_object(body: bytes, adjourn: Told | None, more: str = "") -> bytes:
    """Return a plain answer with Adjourn's object in it, and the host's own words in a block behind the model's."""
    return body_with(_with_block(body, more) if more else body, adjourn)


def _with_block(body: bytes, words: str) -> bytes:
    content = members(body)["content"]
    block = msgspec.json.encode(_text(words))
    return insert(body, [Insertion(content.end - 1, b"," + block if elements(body, content.start) else block)])


def _text(words: str) -> Mapping[str, str]:
    """Return a block with words of the host's: clients write blocks one behind the other."""
    return {"type": "text", "text": "\n\n" + words}


def last_events(reply: Reply, held: Sequence[bytes], adjourn: Told | None, more: str) -> bytes:
    """Return the events with which a stream ends, with Adjourn's object and `more` words (see `Wire`).

    If it broke off, the object comes in an event of its own: clients pass over kinds that they do not know.
    """
    if not held:
        return _event("adjourn", adjourn=adjourn) if adjourn else b""
    first, *others = held
    block = _block_events(reply.blocks, _text(more)["text"]) if more else b""
    return block + event_with(first, adjourn) + b"".join(others)


def _block_events(index: int, text: str) -> bytes:
    return (
        _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        + _event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        + _event("content_block_stop", index=index)
    )


def _event(kind: str, **fields: Any) -> bytes:
    return sse.event_of(msgspec.json.encode({"type": kind, **fields}), kind)


# Answers and errors of our own.

_USAGE = {"input_tokens": 0, "output_tokens": 0}


def answer_of(words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
    """Return a plain answer with these words; `created` has no place on this wire."""
    body = _message(model, ident) | {"content": [{"type": "text", "text": words}], "stop_reason": "end_turn"}
    return msgspec.json.encode(body | _object(adjourn))


def stream_of(words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
    """Return a streamed answer with these words, whole."""
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        _event("message_start", message=_message(model, ident))
        + _block_events(0, words)
        + _event("message_delta", delta=stop, usage={"output_tokens": 0}, **_object(adjourn))
        + _event("message_stop")
    )


def _message(model: str, ident: str) -> dict[str, Any]:
    return {
        "id": f"msg_{ident}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _USAGE,
    }


def _object(adjourn: Told | None) -> dict[str, Any]:
    return {"adjourn": adjourn} if adjourn else {}


_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The vendor's kinds of errors by status (https://platform.claude.com/docs/en/api/errors)."""


def error_of(message: str, status: int, *, code: str | None = None, adjourn: Told | None = None) -> bytes:
    """Return an error in the wire's own form; `code` stands beside its kind."""
    kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": message} | ({"code": code} if code else {})
    return msgspec.json.encode({"type": "error", "error": error} | _object(adjourn))


def error_event(message: str, status: int, *, adjourn: Told | None = None) -> bytes:
    """Return the event with which a stream breaks off."""
    return sse.event_of(error_of(message, status, adjourn=adjourn), "error")
