"""Before everything else: whose page sent this, to whom, and is it what it says (WIRE, Addresses).

A page on another site can neither read nor send: the browser tells where a request comes from
(https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site), and a name that is not ours is refused, so that no
other name can be made to point here (DNS rebinding).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adjourn.web.addresses import passes

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
TAKEN: Mapping[str, tuple[str, ...]] = {
    "/sign-in": (FORM,),
    "/sign-out": (FORM,),
    "/help-lines": (FORM,),
    "/settings": (FORM,),
    "/feedback": (FORM, JSON),
    "/chat/": (FORM,),
    "/chats/": (FORM, JSON),
}
"""What is taken where, or below which, a page's forms are sent: they work without scripts. All else takes JSON."""

HEADER_BYTES = 64 * 1024
BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused before anything of it is read."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may ask: further names of this host, and further origins (which alone get CORS headers)."""

    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request is refused, or None."""
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if name.lower() not in LOCAL and name not in self.hosts and host not in self.hosts:
            return Refusal(421, f"this server does not answer to the name {host!r}; --allow-host adds a name")
        origin = headers.get("origin")
        own = origin in (f"http://{host}", f"https://{host}")
        if origin is not None and not own and origin not in self.origins:
            return Refusal(403, "a page of another site may not use this server; --allow-origin adds a site")
        if headers.get("sec-fetch-site") == "cross-site" and origin not in self.origins:
            return Refusal(403, "a page of another site may not use this server; --allow-origin adds a site")
        if sum(len(name) + len(value) for name, value in headers.items()) > HEADER_BYTES:
            return Refusal(431, "the headers are larger than 64 KB")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_BYTES:
            return Refusal(413, "the body is larger than 64 MB")
        needed = next((kinds for start, kinds in TAKEN.items() if path.startswith(start)), (JSON,))
        typed = headers.get("content-type", "").split(";")[0].strip().lower()
        if method == "POST" and typed not in needed and not passes(path):
            return Refusal(415, f"the content type must be {' or '.join(needed)}")
        return None

    def cors(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that let an allowed site's page read the answer."""
        origin = headers.get("origin")
        if origin is None or origin not in self.origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
