"""The chat page: rendered on the server, a client of the gateway like any other."""

import secrets
from functools import cache
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from adjourn.core.events import Ended, Held
from adjourn.core.machine import Hold, Mode
from adjourn.core.receipt import receipt
from adjourn.host import Host
from adjourn.host.words import words
from adjourn.store.export import export, exported_time
from adjourn.web import headers
from adjourn.web.safe import HERE, SAFE

YEAR_SECONDS = 365 * 24 * 3600


@cache
def template(name: str) -> jinja2.Template:
    """Return the template of a page."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True).get_template(name)


async def chat_page(request: Request, host: Host | None, *, model: str, demo: bool) -> Response:
    """Answer `GET /` and `GET /c/ID`: a browser sees its own conversations only."""
    wanted = request.path_params.get("conversation")
    found = await _conversation(host, headers.scope(request, None), wanted) if host and wanted else None
    if wanted and found is None:
        return PlainTextResponse("There is no such chat in this browser.", status_code=404, headers=SAFE)
    nothing: dict[str, Any] = {"conversation": None, "messages": [], "ended": {}, "support": None}
    data = (found or nothing) | {"model": model, "demo": demo}
    leave = words()["sign_out"] if headers.KEY in request.cookies else None
    text = template("chat.html").render(data=data, sign_out=leave)
    page = HTMLResponse(text, headers={**SAFE, "Cache-Control": "no-store"})
    know_again(page, request)
    return page


def know_again(page: Response, request: Request) -> None:
    """Give a browser the cookie that makes it a scope of its own, if it has none."""
    if headers.BROWSER not in request.cookies:
        page.set_cookie(
            headers.BROWSER, secrets.token_urlsafe(24), max_age=YEAR_SECONDS, httponly=True, samesite="strict"
        )


async def _conversation(host: Host, scope: str, wanted: str) -> dict[str, Any] | None:
    """Return what the page shows of a stored conversation of this scope."""
    conversation = await host.store.external(scope, wanted)
    if conversation is None:
        return None
    events = [row.event for row in await host.store.read(conversation)]
    exported = export(conversation, events, await host.store.texts(conversation))
    nodes = {message["index"]: message["node"] for message in exported["messages"]}
    shown = [event for event in events if isinstance(event, Held) and event.level is Hold.SHOWN]
    standing, mode = await host.store.see(conversation, lambda tree: (set(tree.ended), host.mode(tree)))
    supported = exported["held"] == "shown" and mode >= Mode.WARN  # in mode shadow nothing is shown to anybody
    ends = {event.answer: receipt(conversation, event) for event in events if isinstance(event, Ended)}
    return {
        "conversation": conversation,
        "messages": [
            {**message, "parent": nodes.get(message["parent"]), "text": message["text"] or ""}
            for message in exported["messages"]
        ],
        "ended": {
            answer: {
                "sentence": end.sentence,
                "receipt": end.number,
                "ground": end.ground,
                "at": exported_time(end.at),
            }
            for answer, end in ends.items()
            if answer in standing
        },
        "support": host.support(shown[-1].kind if shown else None) if supported else None,
    }
