"""Which headers pass, and what they say about whose conversation a request belongs to."""

import hashlib
import re
from collections.abc import Mapping

from starlette.requests import Request

from adjourn.store.keys import PREFIX
from adjourn.upstream.client import KEYS

BROWSER = "adjourn_browser"
"""The cookie that makes a browser a scope of its own."""

KEY = "adjourn_key"
"""The cookie in which a browser that signed in sends its key."""

CALLER = "adjourn.caller"
"""Where a request's ASGI scope says whose key of this server it came with."""

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
BACK = frozenset(
    {
        "cache-control",
        "content-type",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    }
)
BACK_PREFIXES = ("anthropic-", "openai-", "x-ratelimit-")

CONVERSATION = ("adjourn-conversation", "x-openwebui-chat-id", "chatui-conversation-id")
"""Where clients say which chat it is; the first that is there counts."""


def upward(request: Request) -> dict[str, str]:
    """Return the headers that go to the model's API."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in NOT_UP and not name.startswith(NOT_UP_PREFIXES) and not OWN_KEY.search(value)
    }


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
    key = next((request.headers[name] for name in KEYS if name in request.headers), None)
    browser = request.cookies.get(BROWSER)
    kind, secret = ("key", key) if key else ("browser", browser) if browser else ("nobody", "")
    return f"{kind}:{digest(secret)}"


def digest(secret: str) -> str:
    """Return what stands in a scope for a secret of the client."""
    return hashlib.blake2b(secret.encode(), digest_size=12).hexdigest()


def conversation(request: Request) -> str | None:
    """Return the id of the chat, ours or the client's, if it says one."""
    return next((request.headers[name] for name in CONVERSATION if name in request.headers), None)


def retried(request: Request) -> bool:
    """Whether a client's library sends this again by itself."""
    count = request.headers.get("x-stainless-retry-count", "0")
    return count.isdecimal() and count.strip("0") != ""
