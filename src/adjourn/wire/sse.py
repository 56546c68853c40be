"""Server-Sent Events, whole events at a time (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import re
from collections.abc import Iterator

_END = re.compile(rb"\r?\n\r?\n|\r\r")


class Events:
    """Cuts a stream of bytes into events, each with the blank line that ends it; the bytes stay as they are."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the events that these bytes complete."""
        self._rest += data
        while found := _END.search(self._rest, max(0, self._seen - 3)):
            event = bytes(self._rest[: found.end()])
            del self._rest[: found.end()]
            self._seen = 0
            yield event
        self._seen = len(self._rest)

    def rest(self) -> bytes:
        """Return what has come of an event that is not complete."""
        return bytes(self._rest)


def data_of(event: bytes) -> bytes | None:
    """Return the data of an event, its lines joined; None if it has none (a comment, say)."""
    lines = [line for line in event.splitlines() if line.startswith(b"data")]
    found = [
        line[5:].removeprefix(b" ") if line.startswith(b"data:") else b"" for line in lines if line[4:5] in (b":", b"")
    ]
    return b"\n".join(found) if found else None


def event_of(data: bytes, name: str = "") -> bytes:
    """Return an event with this data, which is one line; `name`: what kind of event it is, if it says so."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"
