"""OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat): what Adjourn reads and puts in."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adjourn.core.errors import ClientError
from adjourn.core.machine import Finish
from adjourn.wire import sse
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
    messages_of,
    only_told,
)
from adjourn.wire.side import CLOSES, CLOSES_SAYS, CLOSES_TAKES, LEAST_TOKENS, appended, joined, values
from adjourn.wire.splice import Insertion, elements, insert, members
from adjourn.wire.told import body_with, event_with
from adjourn.wire.view import IN_USER

NAME = "openai_chat"
PATH = "/chat/completions"
PING = b": wait\n\n"

_ROLES = {"user": USER, "assistant": ASSISTANT, "tool": TOOL, "function": TOOL}
_FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH, "content_filter": Finish.CONTENT_FILTER}


def parse(body: bytes) -> Request:
    """Return what a request says; raises ClientError, which says what is wrong and where."""
    data = decoded(body)
    read = [_read(message) for message in messages_of(data)]
    choice, form = data.get("tool_choice"), data.get("response_format")
    several = data.get("n")
    forced = choice is not None and choice not in ("auto", "none")
    shaped = isinstance(form, Mapping) and form.get("type") != "text"
    user = data.get("safety_identifier") or data.get("user")
    return Request(
        body=body,
        model=str(data.get("model", "")),
        stream=data.get("stream") is True,
        messages=read,
        observe_only=forced or shaped or (several is not None and several != 1) or only_told(read),
        user=user if isinstance(user, str) else None,
        tools=bool(data.get("tools")),
    )


def _read(message: Mapping[str, Any]) -> WireMessage:
    content, others = message.get("content") or "", b""
    if isinstance(content, str):
        text = content
    else:
        text = "\n".join(part["text"] for part in content if _is_text(part))
        rest = [part for part in content if not _is_text(part)]
        others = msgspec.json.encode(rest, order="deterministic") if rest else b""
    role = _ROLES.get(message["role"], CONTEXT)
    if role == ASSISTANT:  # what it calls; images and audio of its own come back in other forms
        calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
        return WireMessage(role, text, calls_digest(_ids(calls)), steps=bool(calls))
    return WireMessage(role, text, others)


def _ids(calls: Any) -> list[str]:
    if not isinstance(calls, list):
        return [""]
    return [str(call.get("id") or "") if isinstance(call, Mapping) else "" for call in calls]


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("text", "refusal") and isinstance(part.get("text"), str)


# The fork: a side request.

_DROPPED = ("stream", "stream_options", "n", "stop", "response_format")
_TOOL = {"type": "function", "function": {"name": CLOSES, "description": CLOSES_SAYS, "parameters": CLOSES_TAKES}}


def side_request(
    viewed: bytes, *, replied: bytes | None, again: str, form: str, store: bool | None, tool: bool
) -> bytes:
    """Return the question whether to close: the view's values as they are (see `Wire`)."""
    fields = {key: value for key, value in values(viewed).items() if key not in _DROPPED}
    if replied is not None:
        asked = _result(replied, again) if tool else _message("user" if form == IN_USER else form, again)
        fields["messages"] = appended(fields["messages"], replied, asked)
    if tool:
        fields["tools"] = appended(fields.get("tools", b"[]"), msgspec.json.encode(_TOOL))
        fields.pop("tool_choice", None)
    elif "tools" in fields:
        fields["tool_choice"] = b'"none"'
    if store is not None:
        fields["store"] = b"true" if store else b"false"
    for key in ("max_tokens", "max_completion_tokens"):
        if key in fields and (not fields[key].isdigit() or int(fields[key]) < LEAST_TOKENS):
            fields[key] = str(LEAST_TOKENS).encode()
    return joined(fields)


def _message(role: str, text: str) -> bytes:
    return msgspec.json.encode({"role": role, "content": text})


def _result(replied: bytes, text: str) -> bytes:
    """Return the result of the tool that the model called."""
    calls = msgspec.json.decode(replied).get("tool_calls") or [{}]
    return msgspec.json.encode({"role": "tool", "tool_call_id": calls[0].get("id", ""), "content": text})


def said(text: str) -> bytes:
    """Return an assistant's message with this text."""
    return _message("assistant", text)


def message_of(body: bytes) -> bytes:
    """Return the assistant's message of a plain answer, every field of it."""
    choices = elements(body, members(body)["choices"].start)
    span = members(body, choices[0].start)["message"]
    return body[span.start : span.end]


def bare(message: bytes) -> bytes:
    """Return an assistant's message with its role and text only."""
    return said(_words(msgspec.json.decode(message)))


# The answer.


def read_reply(body: bytes) -> Reply:
    """Return what a plain answer says; one that cannot be read says nothing."""
    reply = Reply()
    try:
        for choice in decoded(body)["choices"]:
            _add(reply, choice, choice["message"])
        reply.unread = reply.unread or not reply.text
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return reply


def read_event(reply: Reply, event: bytes) -> bool:
    """Add a streamed event to the reply; return whether the answer comes to its end with it."""
    data = sse.data_of(event)
    if data is None:
        return False
    if data.strip() == b"[DONE]":
        reply.over = True
        return True
    ends = False
    try:
        for choice in decoded(data).get("choices") or ():
            _add(reply, choice, choice.get("delta") or {})
            ends = ends or bool(choice.get("finish_reason"))
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return ends


def _add(reply: Reply, choice: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Add what a choice says, in a whole message or in a delta."""
    one = reply.choice(choice.get("index")) if choice.get("index") else reply
    one.text.append(_words(said))
    calls = said.get("tool_calls") or ([said["function_call"]] if said.get("function_call") else ())
    for call in calls:
        function = call.get("function") or call
        if call.get("id") or function.get("name"):
            one.calls.append(str(call.get("id") or ""))
            one.tools.append((str(function.get("name")), str(function.get("arguments") or "")))
    finish = choice.get("finish_reason")
    if finish:
        one.finish = _FINISHES.get(str(finish), Finish.STOP)


def _words(said: Mapping[str, Any]) -> str:
    """Return the words of a message or a delta; the refusal stands where a model refuses in form."""
    words = said.get("content") or said.get("refusal") or ""
    if not isinstance(words, str):
        raise TypeError("content is not text")
    return words


def with_object(body: bytes, adjourn: Told | None, more: str = "") -> bytes:
    """Return a plain answer with Adjourn's object in it, and the host's own words behind the model's."""
    return body_with(_with_words(body, more) if more else body, adjourn)


def last_events(reply: Reply, held: Sequence[bytes], adjourn: Told | None, more: str) -> bytes:
    """Return the events with which a stream ends, with Adjourn's object and `more` words (see `Wire`)."""
    if not held:
        return _object_event(adjourn) if adjourn else b""
    first, *others = held
    last = event_with(first, adjourn)
    return (_event_with_words(last, more) if more else last) + b"".join(others)


def _with_words(body: bytes, more: str) -> bytes:
    message_at = members(body, elements(body, members(body)["choices"].start)[0].start)["message"]
    fields = members(body, message_at.start)
    content = fields.get("content")
    if content is None:
        member = b'"content":' + msgspec.json.encode(more)
        return insert(body, [Insertion(message_at.end - 1, b"," + member if fields else member)])
    if body[content.start : content.start + 1] == b'"':
        return insert(body, [Insertion(content.end - 1, msgspec.json.encode("\n\n" + more)[1:-1])])
    return body[: content.start] + msgspec.json.encode(more) + body[content.end :]  # it was null


def _object_event(adjourn: Told) -> bytes:
    """Return a chunk of our own with Adjourn's object, for a stream that has no last one."""
    choices = [{"index": 0, "delta": {}, "finish_reason": None}]
    return sse.event_of(
        msgspec.json.encode({"object": "chat.completion.chunk", "choices": choices, "adjourn": adjourn})
    )


def _event_with_words(event: bytes, words: str) -> bytes:
    """Return the event with these words: in a chunk of our own before it, or behind words of its own."""
    choices = members(event).get("choices")
    if choices is not None and (found := elements(event, choices.start)):
        delta = members(event, found[0].start).get("delta")
        content = members(event, delta.start).get("content") if delta is not None else None
        if content is not None and event[content.start : content.start + 1] == b'"' and content.end - content.start > 2:
            return insert(event, [Insertion(content.end - 1, msgspec.json.encode("\n\n" + words)[1:-1])])
    data = sse.data_of(event) or b"{}"
    chunk = {key: value for key, value in decoded(data).items() if key in ("id", "object", "created", "model")}
    chunk["choices"] = [{"index": 0, "delta": {"content": "\n\n" + words}, "finish_reason": None}]
    return sse.event_of(msgspec.json.encode(chunk)) + event


# Answers and errors of our own.


def answer_of(words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
    """Return a plain answer with these words."""
    body: dict[str, Any] = {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    return msgspec.json.encode(body | ({"adjourn": adjourn} if adjourn else {}))


def stream_of(words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
    """Return a streamed answer with these words, whole."""
    base = {"id": f"chatcmpl-{ident}", "object": "chat.completion.chunk", "created": created, "model": model}
    start = base | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": words}, "finish_reason": None}]}
    stop: dict[str, Any] = base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last = stop | ({"adjourn": adjourn} if adjourn else {})
    return b"".join(sse.event_of(msgspec.json.encode(chunk)) for chunk in (start, last)) + b"data: [DONE]\n\n"


_KINDS = {401: "authentication_error", 502: "upstream_error", 503: "store_error", 504: "upstream_error"}


def error_of(message: str, status: int, *, code: str | None = None, adjourn: Told | None = None) -> bytes:
    """Return an error in the wire's own form. `code`, if there is one, is its type too."""
    kind = code or _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return msgspec.json.encode(body | ({"adjourn": adjourn} if adjourn else {}))


def error_event(message: str, status: int, *, adjourn: Told | None = None) -> bytes:
    """Return the event with which a stream breaks off."""
    return sse.event_of(error_of(message, status, adjourn=adjourn))


def way_out(sent: bytes, status: int, answer: bytes) -> tuple[bytes, Mapping[str, str]] | None:
    """Return None: no refusal of this vendor's has a way out that needs another request."""
    return None
