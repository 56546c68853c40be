"""What a client is told when the server itself cannot go on, in the form of the wire that it speaks."""

from starlette.responses import Response
from starlette.types import Scope

from adjourn.web.addresses import wire_of

_CODES = {503: "server_stopping"}
_HEADERS = {500: {"x-should-retry": "false"}, 503: {"Retry-After": "1", "Connection": "close"}}


def trouble(scope: Scope, status: int, message: str) -> Response:
    """Return the error 500 (our own fault) or 503 (the server is being stopped)."""
    body = wire_of(scope).error_of(message, status, code=_CODES.get(status))
    return Response(body, status, _HEADERS[status], media_type="application/json")
