"""Adjourn's object, which tells a client of a turn (WIRE): put at the end of what a model said, on every wire alike."""

import re

import msgspec

from adjourn.core.errors import ClientError
from adjourn.wire import sse
from adjourn.wire.interface import Told
from adjourn.wire.request import decoded
from adjourn.wire.splice import Insertion, insert

_BRACE = re.compile(rb"(?:\A|[\r\n])data:[^\r\n]*(\})")
"""The last brace in a line of data: lines of other kinds, in which one may stand too, may come behind it."""


def body_with(body: bytes, adjourn: Told | None) -> bytes:
    """Return a JSON body with the object as its last member; one that is not a JSON object goes as it came."""
    return _with_member(body, adjourn, body.rindex(b"}")) if adjourn is not None and _has_members(body) else body


def event_with(event: bytes, adjourn: Told | None) -> bytes:
    """Return a streamed event with the object in its data; one whose data is not a JSON object goes as it came."""
    if adjourn is None or not _has_members(sse.data_of(event) or b""):
        return event
    *_, last = _BRACE.finditer(event)
    return _with_member(event, adjourn, last.start(1))


def _has_members(data: bytes) -> bool:
    try:
        return bool(decoded(data))
    except ClientError:
        return False


def _with_member(data: bytes, adjourn: Told, at: int) -> bytes:
    return insert(data, [Insertion(at, b',"adjourn":' + msgspec.json.encode(adjourn))])
