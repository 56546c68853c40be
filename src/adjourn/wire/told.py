"""Adjourn's object, which tells a client of a turn (WIRE): put at the end of what a model said, on every wire alike."""

import msgspec

from adjourn.core.errors import ClientError
from adjourn.wire import sse
from adjourn.wire.interface import Told
from adjourn.wire.request import decoded
from adjourn.wire.splice import Insertion, insert


def body_with(body: bytes, adjourn: Told | None) -> bytes:
    """Return a JSON body with the object as its last member; one that is not a JSON object goes as it came."""
    return _with_member(body, adjourn) if adjourn is not None and _has_members(body) else body


def event_with(event: bytes, adjourn: Told | None) -> bytes:
    """Return a streamed event with the object in its data; one whose data is not a JSON object goes as it came."""
    return _with_member(event, adjourn) if adjourn is not None and _has_members(sse.data_of(event) or b"") else event


def _has_members(data: bytes) -> bool:
    try:
        return bool(decoded(data))
    except ClientError:
        return False


def _with_member(data: bytes, adjourn: Told) -> bytes:
    return insert(data, [Insertion(data.rindex(b"}"), b',"adjourn":' + msgspec.json.encode(adjourn))])
