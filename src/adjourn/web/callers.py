"""Who asks: once this server has a key, nobody is served without one (DESIGN, section 7).

Each key is a scope of its own. A digest of it is looked up again at every request, so a key that another process
revokes opens nothing from then on.
"""

import math
import time
from dataclasses import dataclass, field

from starlette.datastructures import State
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.core.errors import StoreError
from adjourn.store import SIGNED_IN, Key, Store, key_digest
from adjourn.store.keys import PREFIX
from adjourn.upstream.client import KEYS
from adjourn.web import headers
from adjourn.web.addresses import wire_of
from adjourn.web.gateway import RETRY_AFTER, refused

SIGN_IN = "/sign-in"
OPEN = frozenset({"/about/closing", "/help-lines", "/help-lines/card", "/healthz", "/readyz", SIGN_IN, "/sign-out"})
"""What is answered without a key, beside what stands below `/static/`; a new address needs a key unless it is here."""

PAGES = frozenset({"/", "/settings", "/feedback", "/shortcuts"})
"""What people open: without a key they are led to where they can give it, as below `/c/`."""

LOOK_SECONDS = 1.0
"""How often a server without keys looks whether it has some now."""

SENT_IN = ("adjourn-key", *KEYS)
"""Where a client may send a key of this server; the first that is there counts."""

CHALLENGE = {"WWW-Authenticate": "Bearer"}
"""What a 401 must say (RFC 9110, section 15.5.2; RFC 6750, section 3)."""

ASK = "whoever runs the server makes one with `adjourn keys create NAME`"
NONE_SENT = (
    f"this server needs a key of its own, which begins with {PREFIX}: send it as your API key, or in the header "
    f"`Adjourn-Key` if the model's vendor needs a key of yours too; {ASK}"
)
NO_SUCH_KEY = f"this server has no such key; {ASK}"
UNREADABLE = "keys could not be looked up just now; please try again"


@dataclass(slots=True)
class Callers:
    """Tells by its key who asks. Without a store (mode off) there are no keys."""

    store: Store | None
    _keyed: bool = field(default=False, init=False)
    _looks_again_at: float = field(default=-math.inf, init=False)

    async def keyed(self) -> bool:
        """Whether this server has keys; a first one that another process makes is noticed within a second."""
        if not self._keyed and self.store is not None and time.monotonic() >= self._looks_again_at:
            self._keyed = await self.store.has_keys()
            self._looks_again_at = time.monotonic() + LOOK_SECONDS
        return self._keyed

    async def key(self, secret: str) -> Key | None:
        """Return what is known of a key, be it revoked; None if it is none of ours."""
        return await self.store.key(key_digest(secret)) if self.store is not None else None

    async def refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that no key opens. None: it is let on, with its caller noted in `scope`."""
        path = scope["path"]
        if path in OPEN or path.startswith("/static/"):
            return None
        try:
            sent, browser = presented(scope)
            key = await self.key(sent) if sent else None
            if key is None and not await self.keyed():
                return None
        except StoreError:
            return refused(wire_of(scope), 503, UNREADABLE, RETRY_AFTER)
        if key is not None and key.opens:
            scope[headers.CALLER] = f"own:{key.id}{browser}"
            return None
        if scope["method"] == "GET" and (path in PAGES or path.startswith("/c/")):
            return RedirectResponse(SIGN_IN, 303, {"Cache-Control": "no-store"})
        says = f"the key {key.id} was revoked; {ASK}" if key else NO_SUCH_KEY if sent else NONE_SENT
        return refused(wire_of(scope), 401, says, CHALLENGE)


def presented(scope: Scope) -> tuple[str | None, str]:
    """Return the key of ours that comes with a request, and which browser it is if it comes in a cookie.

    A header counts before the cookie: it was set on purpose.
    """
    if not any(PREFIX.encode() in value for _, value in scope["headers"]):
        return None, ""  # nearly every request, where there are no keys
    request = HTTPConnection(scope)
    for name in SENT_IN:
        scheme, _, credentials = request.headers.get(name, "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else scheme
        if key.startswith(PREFIX):
            return key, ""
    if headers.BROWSER not in request.cookies:  # then nothing would keep two browsers with one key apart
        return None, ""
    return request.cookies.get(headers.KEY), f"{SIGNED_IN}{headers.digest(request.cookies[headers.BROWSER])}"


def admitted(app: ASGIApp, state: State) -> ASGIApp:
    """Return the application that lets only callers on whom `state.callers` knows, once it is asked."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await state.callers.refusal(scope) if scope["type"] == "http" else None
        await (refusal or app)(scope, receive, send)

    return serve
