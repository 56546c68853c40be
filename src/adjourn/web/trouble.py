"""What a client is told when the server itself cannot go on, in the form of the wire that it speaks."""

from typing import Any

from starlette.responses import JSONResponse, Response

_TYPES = {500: ("server_error", "api_error"), 503: ("server_stopping", "overloaded_error")}
_HEADERS = {500: {"x-should-retry": "false"}, 503: {"Retry-After": "1", "Connection": "close"}}


def trouble(path: str, status: int, message: str) -> Response:
    """Return the error 500 (our own fault) or 503 (the server is being stopped)."""
    openai, anthropic = _TYPES[status]
    body: dict[str, Any] = {"error": {"message": message, "type": openai, "param": None, "code": None}}
    if path.startswith("/v1/messages"):
        body = {"type": "error", "error": {"type": anthropic, "message": message}}
    return JSONResponse(body, status, headers=_HEADERS[status])
