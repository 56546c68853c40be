"""Which headers pass, and what they say about whose conversation a request belongs to."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
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
        "proxy-connection",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
    }
)
NOT_UP_PREFIXES = ("adjourn-", "x-adjourn-", "x-forwarded-", "sec-fetch-")
BACK = frozenset(
    {"cache-control", "content-type", "request-id", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"}
)
BACK_PREFIXES = ("anthropic-", "openai-", "x-ratelimit-")

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What may stand in no header (RFC 9110, 5.5)."""

CONVERSATION = ("adjourn-conversation", "x-adjourn-conversation", "x-openwebui-chat-id", "chatui-conversation-id")
"""Where known clients say which chat it is. LiteLLM's proxy lets only headers through that begin with X-."""

TASK = ("adjourn-task", "x-adjourn-task")
"""Where clients say what a side request is for (a title, say); an empty one says that it is none."""


DETAILS = "adjourn-details"
"""With this header a client asks for the stage on every turn; whether it gets it, the operator decides."""


@dataclass(frozen=True, slots=True)
class Names:
    """Which headers say which chat it is, and what a side request is for; of each, the first that is there counts.

    `details`: whether a client that asks for it is told the stage on every turn.
    """

    conversation: Sequence[str] = CONVERSATION
    task: Sequence[str] = TASK
    details: bool = False

    @classmethod
    def with_more(cls, conversation: Sequence[str], task: Sequence[str], *, details: bool = False) -> "Names":
        """Return the known names, and an operator's before them."""
        return cls((*map(str.lower, conversation), *CONVERSATION), (*map(str.lower, task), *TASK), details)


def fields(scope: Scope) -> Mapping[str, str]:
    """Return the headers of a request, read once. Of one that came several times, the first."""
    found: dict[str, str] | None = scope.get(FIELDS)
    if found is None:
        found = scope[FIELDS] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


def upward(request: Request) -> dict[str, str]:
    """Return the headers that go to the model's API, without those that are for this hop only (RFC 9110, 7.6.1)."""
    sent = fields(request.scope)
    hop = {name.strip().lower() for name in sent.get("connection", "").split(",")}
    names = NOT_UP | hop if hop - NOT_UP - {""} else NOT_UP
    all_of_them = sent.items() if len(sent) == len(request.scope["headers"]) else request.headers.items()
    return _joined(
        (name, _sendable(value))
        for name, value in all_of_them
        if name not in names and not name.startswith(NOT_UP_PREFIXES) and not OWN_KEY.search(value)
    )


def _sendable(value: str) -> str:
    """Return a value, of which each letter is a byte, as the text that is sent as these bytes if they are UTF-8."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in small letters; of one that comes twice, both values (a list, RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def merged(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with more of them; one that is there already gets both values (a list, RFC 9110, 5.3)."""
    return {**headers, **{name: ", ".join(filter(None, [headers.get(name), value])) for name, value in more.items()}}


def back(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that go back to the client, each letter of a value a byte of it, if HTTP knows all of them."""
    return _joined(
        (name, value.encode("utf-8", "surrogateescape").decode("latin-1"))
        for name, value in headers.items()
        if (name.lower() in BACK or name.lower().startswith(BACK_PREFIXES)) and not CONTROL.search(value)
    )


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


def details(request: Request, names: Names) -> bool:
    """Whether the client is to be told the stage on every turn."""
    return names.details and fields(request.scope).get(DETAILS) == "1"


def retried(request: Request) -> bool:
    """Whether a client's library sends this again by itself."""
    count = fields(request.scope).get("x-stainless-retry-count", "0")
    return count.isdecimal() and count.strip("0") != ""
