"""What an address under /v1 means: whether requests to it pass as they are, and whose wire they speak (WIRE)."""

import re
from collections.abc import Container

from adjourn.wire import anthropic, openai_chat
from adjourn.wire.interface import Wire

PASSED = frozenset({"/v1/messages/count_tokens", "/v1/embeddings", "/v1/moderations", "/v1/files"})
PASSED_BELOW = ("/v1/audio/", "/v1/images/", "/v1/files/")
"""Nothing here can hold a conversation: requests of any method and content type pass, neither judged nor recorded."""

_UP = re.compile(r"(?:^|[/\\])\.{1,2}(?:$|[/\\;])")


def passes(path: str) -> bool:
    """Whether requests to this address pass. With a step up in it, it could be another one for the model's API."""
    return path in PASSED or (path.startswith(PASSED_BELOW) and not _UP.search(path))


def wire_of(path: str, headers: Container[str]) -> Wire:
    """Return the wire that a request speaks: Anthropic's clients send `anthropic-version` to what both vendors have."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return anthropic
    return anthropic if "anthropic-version" in headers and not path.startswith("/v1/chat/") else openai_chat
