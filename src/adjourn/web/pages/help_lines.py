"""Help lines, on a page of their own and as the card in a chat: open to everybody, in their language.

A number of another country is never shown: whose country is not known gets emergency words and a directory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from adjourn.core.errors import CallerError
from adjourn.core.reading import RiskKind
from adjourn.host.country import countries, country_name
from adjourn.host.lines import ALWAYS, DIRECTORY, checked_on, support
from adjourn.web.pages.forms import form_of, only
from adjourn.web.pages.person import COUNTRY, Person, Whence, choose, is_country
from adjourn.web.pages.render import SHOWN, fragment, house, looking, page

HELP_LINES = "/help-lines"


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of help lines: the words of `kind`, the emergency number if it is known, lines and where."""

    kind: RiskKind
    country: str | None
    where: str
    whence: Whence
    emergency: str | None
    lines: Sequence[Mapping[str, Any]]


def lines_for(person: Person, kind: RiskKind, *, operator: str | None, zone: str | None = None) -> Shown:
    """Return the help lines for a person's country; `zone`: their device's time zone, for a guess where need be."""
    country, whence = person.place(operator, zone)
    found = support(kind, country, datetime.now(UTC))
    lines = [{**line, "said": _hours(line, person)} for line in found["lines"] if line["url"] != DIRECTORY[1]]
    where = country_name(country, person.language) if country else ""
    return Shown(kind, country, where, whence, found["emergency"], lines)


def card(
    request: Request,
    kind: RiskKind,
    *,
    sign: str = "",
    folded: bool = False,
    closed: bool = False,
    zone: str | None = None,
) -> Markup:
    """Return the card that a chat shows.

    `sign`: the sign of risk for which it is shown, by which a page tells its cards apart. `folded`: the person hid it.
    `closed`: it says nothing of going on here, which would not be so.
    """
    who = looking(request)
    shown = lines_for(who, kind, operator=house(request).country, zone=zone)
    return fragment(
        "lines_card.html", who, shown=shown, sign=sign or kind.value, folded=folded, closed=closed, directory=DIRECTORY
    )


async def help_lines(request: Request) -> Response:
    """Answer `GET /help-lines`; `POST /help-lines` keeps the country that a person chose."""
    if request.method == "POST":
        return await _chosen(request)
    who, kind, zone = looking(request), _kind(request), request.query_params.get("zone")
    shown = lines_for(who, kind, operator=house(request).country, zone=zone)
    guesses = shown.whence is Whence.UNKNOWN and zone is None
    return page(
        request,
        "help_lines.html",
        who,
        scripts=["zone"] if guesses else [],
        shown=shown,
        kinds=list(RiskKind),
        countries=countries(who.language),
        directory=DIRECTORY,
        checked=checked_on(),
    )


async def help_lines_card(request: Request) -> Response:
    """Answer `GET /help-lines/card?kind=…` with the card alone, for a chat to put in its place."""
    closed, zone = request.query_params.get("closed") == "1", request.query_params.get("zone")
    return HTMLResponse(card(request, _kind(request), closed=closed, zone=zone), headers=SHOWN)


async def _chosen(request: Request) -> Response:
    try:
        form = await form_of(request)
    except CallerError:
        form = {}
    country, kind = only(form, "country").upper(), only(form, "kind")
    back = f"{HELP_LINES}?kind={kind}" if kind in list(RiskKind) else HELP_LINES
    answer = RedirectResponse(back, 303, {"Cache-Control": "no-store"})
    if not country or is_country(country):
        choose(answer, request, COUNTRY, country or None)
    return answer


def _kind(request: Request) -> RiskKind:
    wanted = request.query_params.get("kind", "")
    return RiskKind(wanted) if wanted in list(RiskKind) else RiskKind.SELF


def _hours(line: Mapping[str, Any], person: Person) -> str:
    """Return whether somebody answers there now, and when they do, on the clock of the line's country."""
    texts = person.words["lines"]
    if line["hours"] == ALWAYS:
        return str(texts["always"])
    if line["open"] is False:
        return str(texts["closed"].format(time=line["opens_at"]))
    key = "open" if line["open"] else "hours"
    return str(texts[key].format(hours=line["hours"].replace("-", "–")))
