"""What the side requests of all wires have in common: the client's values as they are, and a tool to close with."""

from collections.abc import Mapping

import msgspec

from adjourn.wire.splice import elements, members

LEAST_TOKENS = 1024
"""A fork's answer may think before its word."""

CLOSES = "end_conversation"
"""The tool with which a model may answer the question whether to close."""
CLOSES_SAYS = "Close this conversation for good."
CLOSES_TAKES = {"type": "object", "properties": {"words": {"type": "string"}}}


def values(body: bytes) -> dict[str, bytes]:
    """Return the values of an object as they are, by key."""
    return {key: body[span.start : span.end] for key, span in members(body).items()}


def joined(fields: Mapping[str, bytes]) -> bytes:
    """Return a JSON object of these values as they are."""
    return b"{" + b",".join(msgspec.json.encode(key) + b":" + value for key, value in fields.items()) + b"}"


def appended(array: bytes, *more: bytes) -> bytes:
    """Return a JSON array of these elements as they are, and more of them behind."""
    return array[:-1] + (b"," if elements(array, 0) else b"") + b",".join(more) + b"]"
