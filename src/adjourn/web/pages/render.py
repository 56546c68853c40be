"""How a page beside the chat is drawn: in a person's language, and with nothing that is not its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from adjourn.host import Host
from adjourn.host.words import DEFAULT
from adjourn.web.pages.models import Models
from adjourn.web.pages.person import Person, person
from adjourn.web.safe import HERE, SAFE

SHOWN = {**SAFE, "Cache-Control": "no-store"}
IDENT = re.compile(r"[\w.-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the pages know of the server: the operator's choices, and what stands behind it."""

    models: Models
    country: str | None = None
    language: str = DEFAULT
    demo: bool = False


def house(request: Request) -> House:
    """Return what is known of the server."""
    found: House = request.app.state.house
    return found


def looking(request: Request) -> Person:
    """Return who looks at a page of this server."""
    return person(request, house(request).language)


def host_of(request: Request) -> Host | None:
    """Return the host; None in mode off."""
    found: Host | None = request.state.host
    return found


def fill(text: str, **values: Any) -> Markup:
    """Return a text in which what stands in braces is filled in; values may be HTML of ours, all else is escaped."""
    return Markup(escape(text)).format(**values)


def day(at: date) -> Markup:
    """Return a day as people of every language can read it, marked up as a time."""
    return Markup('<time datetime="{0}">{0}</time>').format(at.isoformat())


PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters["fill"] = fill
PAGES.globals.update(day=day, zip=zip)


def fragment(template: str, person: Person, **values: Any) -> Markup:
    """Return a piece of a page, for a page to hold."""
    return Markup(PAGES.get_template(template).render(person=person, words=person.words, **values))


def page(
    request: Request, template: str, person: Person, status: int = 200, *, scripts: Sequence[str] = (), **values: Any
) -> Response:
    """Return a page; `scripts`: the modules that it loads, by their names in `static`.

    `chat` in the address is the chat that the person came from: the page leads back to it.
    """
    chat = request.query_params.get("chat", "")
    came = chat if IDENT.fullmatch(chat) else ""
    html = fragment(template, person, scripts=scripts, chat=came, **values)
    more = {"Content-Language": person.language, "Vary": "Cookie, Accept-Language"}
    return HTMLResponse(html, status, SHOWN | more)


def notice(request: Request, status: int, title: str, text: str) -> Response:
    """Return a page that says one thing only."""
    return page(request, "notice.html", looking(request), status, title=title, text=text)
