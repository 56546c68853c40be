"""What an address means: do requests to it pass as they are, whose wire do they speak, how are they counted (WIRE)."""

import re
from functools import lru_cache

from starlette.types import Scope

from adjourn.wire import anthropic, openai_chat
from adjourn.wire.interface import Wire

PASSED = frozenset({"/v1/messages/count_tokens", "/v1/embeddings", "/v1/moderations", "/v1/files"})
PASSED_BELOW = ("/v1/audio/", "/v1/images/", "/v1/files/", "/v1/models/")
"""Nothing here can hold a conversation: requests of any method and content type pass, neither judged nor recorded."""

WIRES = {"chat": openai_chat.NAME, "messages": anthropic.NAME, "responses": "openai_responses"}
"""The vendors' wires, as they are counted, by the part of the address behind /v1."""

ADDRESSES = (
    "/",
    "/about/closing",
    "/feedback",
    "/help-lines",
    "/help-lines/card",
    "/settings",
    "/shortcuts",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/responses",
    "/v1/models",
)
AREAS = ("v1", "api", "c", "chat", "chats", "r", "static")
NO_WIRE, OTHER = "none", "other"

_UP = re.compile(r"(?:^|[/\\])\.{1,2}(?:$|[/\\;])|%|[\x00-\x1f]")


def passes(path: str) -> bool:
    """Whether requests to this address pass.

    With a step up in it, or what becomes one if it is decoded twice or cut off, it could be another one for the
    model's API.
    """
    return path in PASSED or (path.startswith(PASSED_BELOW) and not _UP.search(path))


def wire_of(scope: Scope) -> Wire:
    """Return the wire that a request speaks: Anthropic's clients send `anthropic-version` to what both vendors have."""
    path = scope["path"]
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return anthropic
    claims = path.startswith("/v1/") and any(name == b"anthropic-version" for name, _ in scope["headers"])
    return anthropic if claims and not path.startswith("/v1/chat/") else openai_chat


@lru_cache(256)
def address_of(path: str) -> str:
    """Return an address as one of few: what is not known by itself is known by its beginning, or is `other`."""
    if path in ADDRESSES:
        return path
    area = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/{area}/..." if area in AREAS else OTHER


@lru_cache(256)
def wire_name(path: str) -> str:
    """Return the name of the wire that is spoken at an address alone, or `none` where both vendors have it."""
    parts = path.split("/", 3)
    return WIRES.get(parts[2], NO_WIRE) if len(parts) > 2 and parts[1] == "v1" else NO_WIRE
