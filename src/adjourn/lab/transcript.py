"""Recorded conversations: one line of JSON each, `{"id", "messages": [{"role", "content"}]}`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import msgspec

from adjourn.core.errors import ClientError

T = TypeVar("T")

ROLES = frozenset({"user", "assistant", "system", "developer", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `steps`: an assistant's message that calls tools, so not an answer yet."""

    role: str
    text: str
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recorded conversation."""

    id: str
    messages: Sequence[Message]


class BadLine(ClientError):
    """A line that is no conversation."""


class Reader:
    """Reads files line by line, in constant memory. Lines that are none are counted in `bad`."""

    def __init__(self) -> None:
        self.bad: int = 0

    def read(self, file: BinaryIO, name: str) -> Iterator[Transcript | BadLine]:
        """Yield each conversation of a file, or what is wrong with its line."""
        return self.each(file, name, parse)

    def each(self, file: BinaryIO, name: str, parse: Callable[[bytes, int], T]) -> Iterator[T | BadLine]:
        """Yield what `parse` makes of each line and its number, or what is wrong with it."""
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield parse(line, number)
            except ClientError as error:
                self.bad += 1
                yield BadLine(f"{name}, line {number}: {error}")


def parse(line: bytes, number: int) -> Transcript:
    """Return the conversation of a line; raises ClientError, which says what is wrong with it."""
    return transcript(decode(line), number)


def decode(line: bytes) -> Mapping[str, Any]:
    """Return the object that a line of JSON is; raises ClientError."""
    try:
        data = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError:
        raise ClientError("it is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ClientError(f"it is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ClientError("there is no list `messages` in it")
    return data


def transcript(data: Mapping[str, Any], number: int) -> Transcript:
    """Return the conversation in an object, named by its line's number if it has no id; raises ClientError."""
    if not isinstance(data.get("messages"), list):
        raise ClientError("there is no list `messages` in it")
    messages = [_message(message, index) for index, message in enumerate(data["messages"])]
    return Transcript(str(data.get("id", number)), messages)


def _message(data: Any, index: int) -> Message:
    if not isinstance(data, dict):
        raise ClientError(f"message {index} is not an object")
    role = data.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise ClientError(f"message {index} has the unknown role {role!r}; there are {', '.join(sorted(ROLES))}")
    steps = role == "assistant" and bool(data.get("tool_calls") or data.get("function_call"))
    return Message(role, _text(data.get("content"), index), steps)


def _text(content: Any, index: int) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            return "\n".join(_parts(content))
        case _:
            raise ClientError(f"message {index} has a content that is neither text nor a list of parts")


def _parts(parts: Iterable[Any]) -> Iterator[str]:
    """Yield the text parts; images, audio and what is unknown have no words."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]
