"""Server-Sent Events, whole events at a time (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import re
from collections.abc import Iterator

_END = re.compile(rb"\r?\n\r?\n|\r\r")
_ACROSS = 3
"""How many bytes of an event's end may have come before the last one of it."""

EVENT_BYTES = 1024 * 1024
"""A longer event is passed on in pieces as they come, so that it need not be kept."""


class Piece(bytes):
    """A part of an event that is too long to be read."""


class Events:
    """Cuts a stream of bytes into events, each with the blank line that ends it; the bytes stay as they are.

    Of an event of more than `EVENT_BYTES` the pieces are yielded, each a `Piece`.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0
        self._returns = False
        self._long = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the events that these bytes complete, and what has come of one that is too long."""
        self._rest += data
        self._returns = self._returns or b"\r" in data
        while end := self._end():
            event = self._taken(end)
            yield Piece(event) if self._long or len(event) > EVENT_BYTES else event
            self._long = False
        self._seen = len(self._rest)
        if self._long or self._seen > EVENT_BYTES:
            self._long = True
            if self._seen > _ACROSS:
                yield Piece(self._taken(self._seen - _ACROSS))
                self._seen = len(self._rest)

    def _taken(self, size: int) -> bytes:
        event = bytes(self._rest[:size])
        del self._rest[:size]
        self._seen = 0
        return event

    def _end(self) -> int:
        """Return where the first event ends, or 0."""
        if not self._returns:  # nearly every stream
            at = self._rest.find(b"\n\n", max(0, self._seen - 1))
            return at + 2 if at >= 0 else 0
        found = _END.search(self._rest, max(0, self._seen - _ACROSS))
        return found.end() if found else 0

    def rest(self) -> bytes:
        """Return what has come of an event that is not complete."""
        return bytes(self._rest)


def data_of(event: bytes) -> bytes | None:
    """Return the data of an event, its lines joined; None if it has none (a comment, say)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]  # nearly every event
    found = [
        line[5:].removeprefix(b" ")
        for line in event.splitlines()
        if line.startswith(b"data") and line[4:5] in (b":", b"")
    ]
    return b"\n".join(found) if found else None


def event_of(data: bytes, name: str = "") -> bytes:
    """Return an event with this data, which is one line; `name`: what kind of event it is, if it says so."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"
