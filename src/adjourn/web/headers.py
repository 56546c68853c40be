"""Which headers pass, and what they say about whose conversation a request belongs to."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from adjourn.store.keys import PREFIX
from adjourn.upstream.client import KEYS

BROWSER = "adjourn_browser"
"""The cookie that makes a browser a scope of its own."""

KEY = "adjourn_key"
"""The cookie in which a browser that signed in sends its key."""

CALLER = "adjourn.caller"
"""Where a request's ASGI scope says whose key of this server it came with."""

FIELDS = "adjourn.fields"
"""Where a request's ASGI scope keeps its headers once they have been read."""

OWN_KEY = re.compile(rf"(?<![\w-]){PREFIX}")
"""A key of this server, or what looks like one. In the middle of a vendor's key the same letters mean nothing."""

NOT_UP = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "proxy-authorization",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
    }
)
NOT_UP_PREFIXES = ("adjourn-", "x-forwarded-", "sec-fetch-")
BACK = frozenset({"cache-control", "content-type", "request-id", "retry-after", "x-request-id", "x-should-retry"})
BACK_PREFIXES = ("anthropic-", "openai-", "x-ratelimit-")

CONVERSATION = ("adjourn-conversation", "x-openwebui-chat-id", "chatui-conversation-id")
"""Where known clients say which chat it is."""

TASK = ("adjourn-task",)
"""Where clients say what a side request is for (a title, say); an empty one says that it is none."""


@dataclass(frozen=True, slots=True)
class Names:
    """Which headers say which chat it is, and what a side request is for; of each, the first that is there counts."""

    conversation: Sequence[str] = CONVERSATION
    task: Sequence[str] = TASK

    @classmethod
    def with_more(cls, conversation: Sequence[str], task: Sequence[str]) -> "Names":
        """Return the known names, and an operator's before them."""
        return cls((*map(str.lower, conversation), *CONVERSATION), (*map(str.lower, task), *TASK))


def fields(scope: Scope) -> Mapping[str, str]:
    """Return the headers of a request, read once. Of one that came several times, the first."""
    found: dict[str, str] | None = scope.get(FIELDS)
    if found is None:
        found = scope[FIELDS] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


def upward(request: Request) -> dict[str, str]:
    """Return the headers that go to the model's API. One that came several times is a list (RFC 9110, 5.3)."""
    read = fields(request.scope)
    up = {
        name: value
        for name, value in read.items()
        if name not in NOT_UP and not name.startswith(NOT_UP_PREFIXES) and not OWN_KEY.search(value)
    }
    if len(read) < len(request.scope["headers"]):
        for name in up:
            sent = [value.decode("latin-1") for key, value in request.scope["headers"] if key.decode("latin-1") == name]
            up[name] = ", ".join(value for value in sent if not OWN_KEY.search(value))
    return up


def merged(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with more of them; one that is there already gets both values (a list, RFC 9110, 5.3)."""
    return {**headers, **{name: ", ".join(filter(None, [headers.get(name), value])) for name, value in more.items()}}


def back(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that go back to the client."""
    return {
        name: value for name, value in headers.items() if name.lower() in BACK or name.lower().startswith(BACK_PREFIXES)
    }


def scope(request: Request, user: str | None) -> str:
    """Return who asks, and the end user, if the request says one.

    Who asks is the key of this server; without keys it is the key that the client sends, else the browser.
    """
    return (request.scope.get(CALLER) or _unkeyed(request)) + (f"/{user}" if user else "")


def _unkeyed(request: Request) -> str:
    sent = fields(request.scope)
    key = next((sent[name] for name in KEYS if sent.get(name)), None)
    browser = request.cookies.get(BROWSER) if "cookie" in sent else None
    kind, secret = ("key", key) if key else ("browser", browser) if browser else ("nobody", "")
    return f"{kind}:{digest(secret)}"


def digest(secret: str) -> str:
    """Return what stands in a scope for a secret of the client."""
    return hashlib.blake2b(secret.encode(), digest_size=12).hexdigest()


def conversation(request: Request, names: Names) -> str | None:
    """Return the id of the chat, ours or the client's, if it says one."""
    sent = fields(request.scope)
    return next((sent[name] for name in names.conversation if name in sent), None)


def task(request: Request, names: Names) -> str:
    """Return what a side request is for, if a header says that it is one."""
    sent = fields(request.scope)
    return next((sent[name] for name in names.task if sent.get(name, "").strip()), "")


def retried(request: Request) -> bool:
    """Whether a client's library sends this again by itself."""
    count = fields(request.scope).get("x-stainless-retry-count", "0")
    return count.isdecimal() and count.strip("0") != ""
