"""A request to a chat model, as much of it as Adjourn reads; the rest is bytes that pass."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from adjourn.core.errors import ClientError

USER, ASSISTANT, TOOL, CONTEXT = "user", "assistant", "tool", "context"


@dataclass(frozen=True, slots=True)
class WireMessage:
    """A message of a request. `role`: what it is to Adjourn. `others`: what it is recognised by beside its text.

    `steps`: an assistant's message with tool calls, so not an answer yet.
    """

    role: str
    text: str
    others: bytes = b""
    steps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came. `observe_only`: nothing may be inserted, asked or ended in it (WIRE).

    `user`: the end user, if it says one. `tools`: it brings tools of the client's.
    """

    body: bytes
    model: str
    stream: bool
    messages: Sequence[WireMessage]
    observe_only: bool
    user: str | None
    tools: bool = False

    @property
    def newest(self) -> int:
        """The index of the newest user message; -1 if no user has words in it."""
        roles = [message.role for message in self.messages]
        return len(roles) - 1 - roles[::-1].index(USER) if USER in roles else -1


def decoded(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a body.

    Raises ClientError for what is not JSON, not UTF-8, has lone surrogates, is nested too deeply, or says
    `messages`, `role` or `content` twice in one object: two readers must not read two histories.
    """
    try:
        data = msgspec.json.decode(body)
        if isinstance(data, dict) and _may_repeat(body, data):
            json.loads(body, object_pairs_hook=_once, parse_int=str)
    except UnicodeDecodeError:
        raise ClientError("the body is not UTF-8") from None
    except RecursionError:
        raise ClientError("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        data = _with_large_numbers(body, error)
    if not isinstance(data, dict):
        raise ClientError("the body is not a JSON object")
    return data


def _with_large_numbers(body: bytes, error: msgspec.DecodeError) -> Any:
    """Return what a body says whose numbers are larger than the decoder takes: JSON knows no bounds (RFC 8259, 6)."""
    refused = ClientError(f"the body is not JSON: {error}")
    if "out of range" not in str(error):
        raise refused
    try:
        data = json.loads(body, object_pairs_hook=_once, parse_int=str, parse_constant=_refuse)
        json.dumps(data, ensure_ascii=False).encode()  # no halves of a character
    except (ValueError, RecursionError):
        raise refused from None
    return data


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def member(value: Any, *keys: str) -> Any:
    """Return what stands at the end of these keys, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def messages_of(data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the messages of a request, as both vendors write them.

    Raises ClientError, which says what is wrong and where, if there are none, or one has no role, or its content is
    neither text nor a list nor missing.
    """
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ClientError("`messages` must be a list with at least one message")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ClientError(f"messages[{index}] is not an object")
        if not isinstance(message.get("role"), str):
            raise ClientError(f"messages[{index}].role must be text")
        if not isinstance(message.get("content"), str | list | None):
            raise ClientError(f"messages[{index}].content must be text or a list of parts")
    return messages


def only_told(messages: Sequence[WireMessage]) -> bool:
    """Whether there is nothing to answer in a history: no words of a user, or it ends with an assistant's message."""
    speaks = any(message.role == USER and message.text.strip() for message in messages)
    return not speaks or messages[-1].role == ASSISTANT


def calls_digest(ids: Sequence[str]) -> bytes:
    """Return by what calls of tools are recognised: their ids; names and arguments may be written again."""
    return b"\0".join(ident.encode() for ident in ids) + b"\0" if ids else b""


_KEYS = ("messages", "role", "content")


def _may_repeat(body: bytes, data: Mapping[str, Any]) -> bool:
    """Whether a key could stand twice: seen without a second parse for nearly every body."""
    if b"\\u00" in body:  # a key may be written with escapes
        return True
    if body.count(b'"content"') < 2 and body.count(b'"role"') < 2 and body.count(b'"messages"') < 2:
        return False
    counts = {key: body.count(b'"%s"' % key.encode()) for key in _KEYS}
    messages = _objects(data.get("messages"))
    parts = [part for message in messages for part in _objects(message.get("content"))]  # results of tools have content
    objects = (data, *messages, *parts)
    return any(count > sum(key in found for found in objects) for key, count in counts.items())


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else ()


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    for key in _KEYS:
        if sum(name == key for name, _ in pairs) > 1:
            raise ClientError(f"the body has `{key}` twice in one object")
    return dict(pairs)
