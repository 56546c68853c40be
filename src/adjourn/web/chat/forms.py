"""What a form of the page says, and that it is a form of this page (OWASP: signed double-submit cookie, HMAC)."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from adjourn.web import headers
from adjourn.web.gateway import whole

YEAR_SECONDS = 365 * 24 * 3600
FIELDS = 64
"""A form with more fields is none of ours."""
FENCE = re.compile(r"^~{4,}pasted\n(.*?)\n~{4,}$", re.DOTALL | re.MULTILINE)
"""A long text that was pasted, as it stands in a message: readable for the model, and for whoever saves a copy."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, each once; `attached` are the long texts that were pasted."""

    fields: Mapping[str, str]
    attached: Sequence[str] = ()

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def text(self) -> str:
        """The whole message."""
        texts = [self["text"].replace("\r\n", "\n").strip(), *map(_fenced, self.attached)]
        return "\n\n".join(filter(None, texts))


def _fenced(text: str) -> str:
    plain = text.replace("\r\n", "\n").strip("\n")
    longest = max((len(run) for run in re.findall("~+", plain)), default=0)
    fence = "~" * max(4, longest + 1)
    return f"{fence}pasted\n{plain}\n{fence}"


async def form_of(request: Request) -> Form:
    """Return the form that was sent; raises ClientError if it is too large, or the client went away."""
    body = await whole(request)
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS, encoding="utf-8")
    except ValueError:
        return Form({})
    return Form({name: values[0] for name, values in found.items()}, tuple(found.get("attached", ())))


def browser_of(request: Request) -> str:
    """Return the secret of a browser's cookie, a new one for a browser that has none."""
    return request.cookies.get(headers.BROWSER) or secrets.token_urlsafe(24)


def know_again(page: Response, request: Request, browser: str | None = None) -> None:
    """Give a browser the cookie that makes it a scope of its own, if it has none."""
    if headers.BROWSER not in request.cookies:
        secret = browser or browser_of(request)
        page.set_cookie(headers.BROWSER, secret, max_age=YEAR_SECONDS, httponly=True, samesite="strict")


def token(secret: bytes, browser: str) -> str:
    """Return what every form of this browser's page carries: another site can neither read nor guess it."""
    return hashlib.blake2b(f"form:{browser}".encode(), key=secret, digest_size=16).hexdigest()


def is_ours(secret: bytes, request: Request, form: Form) -> bool:
    """Whether a form was sent by a page that this browser was given."""
    browser = request.cookies.get(headers.BROWSER, "")
    return bool(browser) and hmac.compare_digest(token(secret, browser), form["token"])
