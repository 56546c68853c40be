"""Which headers pass, and what they say about whose conversation a request belongs to."""

import hashlib
from collections.abc import Mapping

from starlette.requests import Request

BROWSER = "adjourn_browser"
"""The cookie that makes a browser a scope of its own."""

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

KEYS = ("authorization", "x-api-key", "api-key")
"""Where clients send their key; the first that is there counts."""

CONVERSATION = ("adjourn-conversation", "x-openwebui-chat-id", "chatui-conversation-id")
"""Where clients say which chat it is; the first that is there counts."""


def upward(request: Request) -> dict[str, str]:
    """Return the headers that go to the model's API."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in NOT_UP and not name.startswith(NOT_UP_PREFIXES)
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
    """Return who asks: the key that the client sends, else the browser; and the end user, if it says one."""
    key = next((request.headers[name] for name in KEYS if name in request.headers), None)
    browser = request.cookies.get(BROWSER)
    kind, secret = ("key", key) if key else ("browser", browser) if browser else ("nobody", "")
    digest = hashlib.blake2b(secret.encode(), digest_size=12).hexdigest()
    return f"{kind}:{digest}" + (f"/{user}" if user else "")


def conversation(request: Request) -> str | None:
    """Return the id of the chat, ours or the client's, if it says one."""
    return next((request.headers[name] for name in CONVERSATION if name in request.headers), None)


def retried(request: Request) -> bool:
    """Whether a client's library sends this again by itself."""
    count = request.headers.get("x-stainless-retry-count", "0")
    return count.isdecimal() and count.strip("0") != ""
