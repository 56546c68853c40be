"""What a page's form says: text by the names of its fields (https://url.spec.whatwg.org/#application/x-www-form-urlencoded)."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from adjourn.core.errors import CallerError

FORM_BYTES = 64 * 1024
FIELDS = 100


async def body_of(request: Request, most: int = FORM_BYTES) -> bytes:
    """Return the body; raises CallerError if it is larger than that, or if the browser is gone."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise CallerError(f"the form is larger than {most // 1024} KB")
    except ClientDisconnect:
        raise CallerError("the browser is gone") from None
    return body


async def form_of(request: Request, most: int = FORM_BYTES) -> Mapping[str, Sequence[str]]:
    """Return the values of each field that says something; raises CallerError for what is no form."""
    body = await body_of(request, most)
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=FIELDS)
    except ValueError:
        raise CallerError("the form cannot be read") from None


def only(form: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the first value of a field, without the spaces around it; nothing if it says nothing."""
    return next(iter(form.get(name, ())), "").strip()
