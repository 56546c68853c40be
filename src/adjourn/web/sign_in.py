"""The page on which a person gives their key, and the way out again. It works without scripts.

The browser keeps the key itself, in a cookie that no script can read and that no other site can make it send
(https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie). So a key that is revoked opens no page
either, and there is no second secret that would have to be kept and revoked beside it.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from adjourn.core.errors import CallerError, StoreError
from adjourn.web import headers
from adjourn.web.callers import SIGN_IN, Callers
from adjourn.web.chat.forms import know_again
from adjourn.web.pages.forms import form_of, only
from adjourn.web.pages.render import looking, page

FORM_BYTES = 4096
MONTH_SECONDS = 30 * 24 * 3600


async def sign_in_page(request: Request, callers: Callers) -> Response:
    """Answer `GET /sign-in` with the form, and `POST /sign-in` with the chat page if the key is good."""
    try:
        if not await callers.keyed():
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return _form(request, 200)
        secret = await _key_of_form(request)
        key = await callers.key(secret)
    except StoreError:
        return _form(request, 503, "sign_in_later")
    if key is None or not key.opens:
        return _form(request, 422, "sign_in_wrong")
    answer = RedirectResponse("/", 303)
    know_again(answer, request)
    https = request.url.scheme == "https"
    answer.set_cookie(headers.KEY, secret, max_age=MONTH_SECONDS, httponly=True, samesite="strict", secure=https)
    return answer


async def sign_out(_: Request) -> Response:
    """Answer `POST /sign-out`: the browser forgets the key. Its conversations are there when it comes back."""
    answer = RedirectResponse(SIGN_IN, 303)
    answer.delete_cookie(headers.KEY, httponly=True, samesite="strict")
    return answer


async def _key_of_form(request: Request) -> str:
    """Return what the form says; nothing for one that is larger than any key."""
    try:
        return only(await form_of(request, FORM_BYTES), "key")
    except CallerError:
        return ""


def _form(request: Request, status: int, trouble: str | None = None) -> Response:
    return page(request, "sign_in.html", looking(request), status, trouble=trouble)
