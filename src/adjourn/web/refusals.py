"""Refusals below /api: always JSON of one shape, with a status that says whose fault it is."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adjourn.core.errors import StoreError
from adjourn.web.gateway import NEVER_AGAIN, RETRY_AFTER
from adjourn.web.shapes import Refusal
from adjourn.web.watch import own_fault

BODY_BYTES = 64 * 1024
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

NOT_FOUND = "there is no such conversation or receipt"
"""Said of what is unknown and of what is somebody else's: nobody learns which."""

SAYS: Mapping[int, tuple[str | None, str]] = {
    400: ("malformed", "The body is no JSON."),
    401: (None, "This server has keys of its own, and none or a wrong one was sent."),
    403: (None, "A page of another site sent this."),
    404: ("not_found", "There is none, it is somebody else's, or the server keeps nothing (mode off)."),
    405: ("method_not_allowed", "This address takes another method."),
    413: ("too_large", "The body is larger than 64 KB."),
    415: (None, "The content type of the body is not application/json."),
    421: (None, "The server does not answer to this name."),
    422: ("invalid", "A value breaks a rule; the message says which and where."),
    431: (None, "The headers are larger than 64 KB."),
    500: (None, "Something went wrong here; the message says under what the server's log has it."),
    503: (
        "store_unavailable",
        "The store could not be read or written just now, nothing was kept; or the server stops.",
    ),
}
"""Every refusal: its code (none where it comes before the API reads anything), and when it comes."""

KINDS = {500: "server_error", 503: "store_error"}

ANYWHERE = (401, 403, 404, 421, 422, 431, 500, 503)
WITH_A_BODY = (400, 413, 415)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these refusals as OpenAPI describes the answers of an address."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        code, when = SAYS[status]
        example = {"error": {"message": when, "type": _kind(status), "code": code}}
        content = {"application/json": {"example": example}}
        described[status] = {"model": Refusal, "description": when, "content": content}
    if 503 in described:
        described[503]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return described


def refusal(status: int, message: str, more: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error in the API's form."""
    code, _ = SAYS.get(status, (None, ""))
    readable = message.encode(errors="replace").decode()  # half a surrogate pair of the client's cannot be sent back
    body = {"error": {"message": readable, "type": _kind(status), "code": code}}
    again = RETRY_AFTER if status >= 500 else NEVER_AGAIN
    return JSONResponse(body, status_code=status, headers={**PRIVATE, **again, **(more or {})})


def _kind(status: int) -> str:
    return KINDS.get(status, "invalid_request_error")


async def refused(_: Request, error: HTTPException) -> JSONResponse:
    """Answer what Starlette and our own addresses refuse."""
    return refusal(error.status_code, str(error.detail), error.headers)


async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Answer what does not fit the description: 400 if it cannot be read at all, else 422."""
    faults: Sequence[Mapping[str, Any]] = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return refusal(400, "the body is no JSON: " + "; ".join(str(fault["ctx"]["error"]) for fault in faults))
    return refusal(422, "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults))


async def unavailable(_: Request, __: StoreError) -> JSONResponse:
    """Answer where the store fails."""
    return refusal(503, "the store could not be used just now; please try again")


async def failed(request: Request, _: Exception) -> Response:
    """Answer what went wrong by our own fault."""
    return own_fault(request.scope)


class BodyLimit:
    """Reads no more of a body than this, and refuses the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > BODY_BYTES:
                raise HTTPException(413, "the body is larger than 64 KB")
            return message

        await self._app(scope, counted, send)


Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]
HANDLERS: dict[int | type[Exception], Handler] = {
    HTTPException: refused,
    RequestValidationError: invalid,
    StoreError: unavailable,
    Exception: failed,
}
