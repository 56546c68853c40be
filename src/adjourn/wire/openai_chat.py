"""OpenAI Chat Completions (https://platform.openai.com/docs/api-reference/chat): what Adjourn reads and puts in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from adjourn.core.errors import ClientError
from adjourn.core.machine import Finish
from adjourn.wire import sse
from adjourn.wire.request import ASSISTANT, CONTEXT, TOOL, USER, Request, WireMessage, decoded
from adjourn.wire.splice import Insertion, Span, elements, insert, members

_ROLES = {"user": USER, "assistant": ASSISTANT, "tool": TOOL, "function": TOOL}
_FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH, "content_filter": Finish.CONTENT_FILTER}
LEAST_TOKENS = 1024
"""A fork's answer may think before its word."""


def parse(body: bytes) -> Request:
    """Return what a request says; raises ClientError, which says what is wrong and where."""
    data = decoded(body)
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ClientError("`messages` must be a list with at least one message")
    read = [_message(message, index) for index, message in enumerate(messages)]
    choice, form = data.get("tool_choice"), data.get("response_format")
    several = data.get("n")
    forced = choice is not None and choice not in ("auto", "none")
    shaped = isinstance(form, Mapping) and form.get("type") != "text"
    speaks = any(message.role == USER and message.text.strip() for message in read)
    user = data.get("safety_identifier") or data.get("user")
    return Request(
        body=body,
        model=str(data.get("model", "")),
        stream=data.get("stream") is True,
        messages=read,
        observe_only=forced
        or shaped
        or (several is not None and several != 1)
        or not speaks
        or read[-1].role == ASSISTANT,
        user=user if isinstance(user, str) else None,
    )


def _message(data: Any, index: int) -> WireMessage:
    if not isinstance(data, Mapping):
        raise ClientError(f"messages[{index}] is not an object")
    if not isinstance(data.get("role"), str):
        raise ClientError(f"messages[{index}].role must be text")
    content = data.get("content")
    others = {key: data[key] for key in ("tool_calls", "function_call", "audio") if data.get(key)}
    if content is None or isinstance(content, str):
        text = content or ""
    elif isinstance(content, list):
        text = "\n".join(part["text"] for part in content if _is_text(part))
        rest = [part for part in content if not _is_text(part)]
        others |= {"parts": rest} if rest else {}
    else:
        raise ClientError(f"messages[{index}].content must be text or a list of parts")
    role = _ROLES.get(data["role"], CONTEXT)
    steps = role == ASSISTANT and bool(others.get("tool_calls") or others.get("function_call"))
    return WireMessage(role, text, msgspec.json.encode(others, order="deterministic") if others else b"", steps)


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("text", "refusal") and isinstance(part.get("text"), str)


# The upstream view: what is put in.


class Note(NamedTuple):
    """A text for the model behind the message with this index; `form`: developer, system or in_user."""

    behind: int
    form: str
    text: str


def view(request: Request, notes: Sequence[Note]) -> bytes:
    """Return the request with the notes put in; its own bytes if there are none, or if they cannot be put in."""
    if not notes:
        return request.body
    spans = elements(request.body, members(request.body)["messages"].start)
    body = insert(request.body, [_insertion(request.body, spans[note.behind], note) for note in notes])
    return body if _only_added(request, notes, body) else request.body


def _insertion(body: bytes, message: Span, note: Note) -> Insertion:
    if note.form == "in_user":
        content = members(body, message.start)["content"]
        if body[content.start : content.start + 1] == b'"':
            return Insertion(content.end - 1, msgspec.json.encode("\n\n" + note.text)[1:-1])
        part = msgspec.json.encode({"type": "text", "text": note.text})
        return Insertion(content.end - 1, b"," + part if elements(body, content.start) else part)
    return Insertion(message.end, b"," + msgspec.json.encode({"role": note.form, "content": note.text}))


def _only_added(request: Request, notes: Sequence[Note], body: bytes) -> bool:
    """Decode once what comes out: without the notes it must say what the client said."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    said = msgspec.json.decode(request.body)
    for note in sorted(notes, key=lambda note: note.behind):
        message = said["messages"][note.behind] if note.form == "in_user" else None
        if message is None:
            continue
        if isinstance(message["content"], str):
            message["content"] += "\n\n" + note.text
        else:
            message["content"].append({"type": "text", "text": note.text})
    for note in sorted(notes, key=lambda note: -note.behind):
        if note.form != "in_user":
            said["messages"].insert(note.behind + 1, {"role": note.form, "content": note.text})
    return bool(told == said)


# The fork: a side request.

_DROPPED = ("stream", "stream_options", "n", "stop", "response_format")


def side_request(viewed: bytes, added: Sequence[bytes], *, store: bool | None) -> bytes:
    """Return a side request: the view's values as they are, with these messages behind its own.

    `store`: what to say of keeping it, on OpenAI's own address; None says nothing.
    """
    spans = {key: viewed[span.start : span.end] for key, span in members(viewed).items()}
    fields = {key: value for key, value in spans.items() if key not in _DROPPED}
    messages = fields["messages"]
    fields["messages"] = messages[:-1] + b"".join(b"," + message for message in added) + b"]"
    if "tools" in fields:
        fields["tool_choice"] = b'"none"'
    if store is not None:
        fields["store"] = b"true" if store else b"false"
    for key in ("max_tokens", "max_completion_tokens"):
        if key in fields and (not fields[key].isdigit() or int(fields[key]) < LEAST_TOKENS):
            fields[key] = str(LEAST_TOKENS).encode()
    return b"{" + b",".join(msgspec.json.encode(key) + b":" + value for key, value in fields.items()) + b"}"


def message(role: str, text: str) -> bytes:
    """Return a message of our own."""
    return msgspec.json.encode({"role": role, "content": text})


# The answer.


@dataclass(slots=True)
class Reply:
    """An answer of the model's, as it came so far. `unread`: some of it could not be read."""

    text: list[str] = field(default_factory=list)
    finish: str | None = None
    steps: bool = False
    unread: bool = False

    @property
    def words(self) -> str:
        return "".join(self.text)

    def finished(self) -> Finish:
        """Return how it came to its end."""
        return Finish.UNREADABLE if self.unread else _FINISHES.get(str(self.finish), Finish.STOP)


def read_reply(body: bytes) -> Reply:
    """Return what a plain answer says; one that cannot be read says nothing."""
    reply = Reply()
    try:
        choice = decoded(body)["choices"][0]
        said = choice["message"]
        reply.finish = choice.get("finish_reason")
        reply.text = [_words(said)]
        reply.steps = bool(said.get("tool_calls") or said.get("function_call"))
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return reply


def _words(said: Mapping[str, Any]) -> str:
    """Return the words of a message or a delta; the refusal stands where a model refuses in form."""
    words = said.get("content") or said.get("refusal") or ""
    if not isinstance(words, str):
        raise TypeError("content is not text")
    return words


def first_message(body: bytes) -> bytes:
    """Return the bytes of a plain answer's message, every field of it."""
    choices = elements(body, members(body)["choices"].start)
    span = members(body, choices[0].start)["message"]
    return body[span.start : span.end]


def read_chunk(reply: Reply, event: bytes) -> bool:
    """Add a streamed event to the reply; return whether the answer ends with it."""
    data = sse.data_of(event)
    if data is None:
        return False
    if data.strip() == b"[DONE]":
        return True
    try:
        chunk = decoded(data)
        choices = chunk.get("choices") or ()
        for choice in choices[:1]:
            delta = choice.get("delta") or {}
            reply.text.append(_words(delta))
            reply.steps = reply.steps or bool(delta.get("tool_calls") or delta.get("function_call"))
            reply.finish = choice.get("finish_reason") or reply.finish
            return bool(choice.get("finish_reason"))
    except (ClientError, LookupError, TypeError, AttributeError):
        reply.unread = True
    return False


def with_object(body: bytes, adjourn: Mapping[str, Any] | None, more: str = "") -> bytes:
    """Return a plain answer with Adjourn's object in it, and the host's own words behind the model's."""
    said = _with_words(body, more) if more else body
    return said if adjourn is None or not _is_object(said) else _with_member(said, adjourn)


def event_with_object(event: bytes, adjourn: Mapping[str, Any]) -> bytes:
    """Return the streamed event with Adjourn's object in its data."""
    return _with_member(event, adjourn) if _is_object(sse.data_of(event) or b"") else event


def _with_words(body: bytes, more: str) -> bytes:
    message_at = members(body, elements(body, members(body)["choices"].start)[0].start)["message"]
    content = members(body, message_at.start).get("content")
    if content is None:
        return insert(body, [Insertion(message_at.end - 1, b',"content":' + msgspec.json.encode(more))])
    if body[content.start : content.start + 1] == b'"':
        return insert(body, [Insertion(content.end - 1, msgspec.json.encode("\n\n" + more)[1:-1])])
    return body[: content.start] + msgspec.json.encode(more) + body[content.end :]  # it was null


def _is_object(data: bytes) -> bool:
    """Whether a member can be put in; an answer that cannot be read goes to the client as it is."""
    try:
        return bool(decoded(data))
    except ClientError:
        return False


def _with_member(data: bytes, adjourn: Mapping[str, Any]) -> bytes:
    end = data.rindex(b"}")
    return insert(data, [Insertion(end, b',"adjourn":' + msgspec.json.encode(adjourn))])


def object_event(adjourn: Mapping[str, Any]) -> bytes:
    """Return a chunk of our own with Adjourn's object, for a stream that has no last one."""
    choices = [{"index": 0, "delta": {}, "finish_reason": None}]
    return sse.event_of(
        msgspec.json.encode({"object": "chat.completion.chunk", "choices": choices, "adjourn": adjourn})
    )


def event_with_words(event: bytes, words: str) -> bytes:
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


def answer_of(words: str, *, model: str, ident: str, created: int, adjourn: Mapping[str, Any] | None) -> bytes:
    """Return a plain answer with these words."""
    body: dict[str, Any] = {
        "id": ident,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    return msgspec.json.encode(body | ({"adjourn": adjourn} if adjourn else {}))


def stream_of(words: str, *, model: str, ident: str, created: int, adjourn: Mapping[str, Any] | None) -> bytes:
    """Return a streamed answer with these words, whole."""
    base = {"id": ident, "object": "chat.completion.chunk", "created": created, "model": model}
    start = base | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": words}, "finish_reason": None}]}
    stop: dict[str, Any] = base | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last = stop | ({"adjourn": adjourn} if adjourn else {})
    return b"".join(sse.event_of(msgspec.json.encode(chunk)) for chunk in (start, last)) + b"data: [DONE]\n\n"


def error_of(message: str, *, kind: str, code: str | None = None, adjourn: Mapping[str, Any] | None = None) -> bytes:
    """Return an error in the wire's own form."""
    body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return msgspec.json.encode(body | ({"adjourn": adjourn} if adjourn else {}))
