"""What the witnesses behind a chat endpoint have in common: one plain request, one plain answer (Chat Completions)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from adjourn.signals.detector import Message

CONTEXT = 6
"""How many messages before the newest go with it, at most: what is asked for may stand in them."""


class _Said(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_DECODER = msgspec.json.Decoder(_Completion)


def whole(text: str) -> str:
    """Return a text as it can be sent: halves of characters are none."""
    return text.encode(errors="replace").decode()


def body(model: str, messages: Sequence[Message], tokens: int, **more: Any) -> bytes:
    """Return a request for one answer of at most so many tokens, the likeliest one."""
    said = [{"role": role, "content": whole(text)} for role, text in messages]
    return msgspec.json.encode({"model": model, "messages": said, "temperature": 0, "max_tokens": tokens, **more})


def said(reply: bytes) -> str | None:
    """Return the words of an answer; None if it is none, was refused or cut off, or calls tools."""
    try:
        (choice,) = _DECODER.decode(reply).choices
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    message = choice.message
    if message.refusal or message.tool_calls or choice.finish_reason not in (None, "stop"):
        return None
    return message.content


def alternating(text: str, before: Sequence[Message]) -> list[Message]:
    """Return the newest messages up to this one, by turns, as chat templates want them: the first is a user's."""
    turns: list[Message] = []
    for role, said in [*before[-CONTEXT:], ("user", text)]:
        if role not in ("user", "assistant") or not (turns or role == "user"):
            continue
        if turns and turns[-1][0] == role:
            turns[-1] = role, f"{turns[-1][1]}\n\n{said}"
        else:
            turns.append((role, said))
    return turns
