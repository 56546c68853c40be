"""Insertions into JSON bytes: nothing that the other side wrote is written again."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)


class Span(NamedTuple):
    """Where a value stands: from its first byte to behind its last."""

    start: int
    end: int


class Insertion(NamedTuple):
    """Bytes to put in at a place."""

    at: int
    data: bytes


def members(body: bytes, start: int = 0) -> Mapping[str, Span]:
    """Return where the values of the object that begins at or after `start` stand, by key."""
    found: dict[str, Span] = {}
    key, depth, value = "", 0, -1
    for token in _TOKEN.finditer(body, start):
        mark = token[0]
        if depth == 1 and mark == b":":
            value = token.end()
        elif depth == 1 and value < 0 and mark[:1] == b'"':
            key = msgspec.json.decode(mark)
        elif mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]") or (depth == 1 and mark == b","):
            depth -= mark != b","
            if depth <= 1 and (mark == b"," or depth == 0):
                if value >= 0:
                    found[key] = _trimmed(body, value, token.start())
                value = -1
            if depth == 0:
                break
    return found


def elements(body: bytes, start: int) -> Sequence[Span]:
    """Return where the elements of the array that begins at or after `start` stand."""
    found: list[Span] = []
    depth, value = 0, -1
    for token in _TOKEN.finditer(body, start):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
            value = token.end() if depth == 1 else value
        elif mark in (b"}", b"]") or (depth == 1 and mark == b","):
            depth -= mark != b","
            if depth == 0 or mark == b",":
                span = _trimmed(body, value, token.start())
                if span.start < span.end:
                    found.append(span)
                value = token.end()
            if depth == 0:
                break
    return found


def insert(body: bytes, insertions: Sequence[Insertion]) -> bytes:
    """Return the body with all of these put in, each at its place in the body as it was."""
    parts, last = [], 0
    for at, data in sorted(insertions, key=lambda insertion: insertion.at):
        parts += [body[last:at], data]
        last = at
    return b"".join([*parts, body[last:]])


def _trimmed(body: bytes, start: int, end: int) -> Span:
    while start < end and body[start] in b" \t\r\n":
        start += 1
    while start < end and body[end - 1] in b" \t\r\n":
        end -= 1
    return Span(start, end)
