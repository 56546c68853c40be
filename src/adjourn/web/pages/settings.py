"""`/settings`: what a person chooses for this browser. One form, no script; whatever is not offered changes nothing."""

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from adjourn.core.errors import CallerError
from adjourn.host.country import ELSEWHERE, countries
from adjourn.host.lines import known_countries
from adjourn.host.words import languages
from adjourn.web.pages.forms import form_of, only
from adjourn.web.pages.person import COUNTRY, LANGUAGE, MODEL, THEME, Person, Theme, choose
from adjourn.web.pages.render import IDENT, fragment, house, looking, page

SETTINGS = "/settings"

SHORTCUTS: Mapping[str, Sequence[Sequence[str]]] = {
    "send": [["Enter"]],
    "line": [["Shift", "Enter"]],
    "new": [["Ctrl", "Shift", "O"], ["⌘", "Shift", "O"]],
    "search": [["Ctrl", "K"], ["⌘", "K"]],
    "stop": [["Esc"]],
    "branch": [["←"], ["→"]],
    "sheet": [["?"]],
}
"""The keys of the chat page: what each does, and the ways to press it."""


async def settings(request: Request) -> Response:
    """Answer `GET /settings` with the form, and keep with `POST /settings` what it says."""
    if request.method == "POST":
        return await _kept(request)
    return await _shown(request, looking(request), saved=request.query_params.get("saved") == "1")


async def shortcuts(request: Request) -> Response:
    """Answer `GET /shortcuts`: the sheet as a page of its own; for whoever has no scripts."""
    return page(request, "shortcuts_page.html", looking(request), shortcuts=SHORTCUTS)


def shortcut_sheet(request: Request) -> Markup:
    """Return the sheet as a piece of a page."""
    return fragment("shortcuts.html", looking(request), shortcuts=SHORTCUTS)


async def _shown(
    request: Request, who: Person, status: int = 200, *, saved: bool = False, wrong: bool = False
) -> Response:
    server = house(request)
    return page(
        request,
        "settings.html",
        who,
        status,
        models=list(await server.models.offered()),
        default=server.models.default,
        demo=server.demo,
        themes=list(Theme),
        languages=languages(),
        countries=countries(who.language),
        elsewhere=ELSEWHERE,
        shortcuts=SHORTCUTS,
        saved=saved,
        wrong=wrong,
    )


async def _kept(request: Request) -> Response:
    try:
        form = await form_of(request)
    except CallerError:
        return await _shown(request, looking(request), 422, wrong=True)
    offered: Mapping[str, tuple[str, Collection[str]]] = {
        "theme": (THEME, list(Theme)),
        "language": (LANGUAGE, languages()),
        "country": (COUNTRY, [ELSEWHERE, *known_countries()]),
        "model": (MODEL, await house(request).models.offered()),
    }
    said = {field: only(form, field) for field in offered if field in form or field == "theme"}
    if any(value and value not in offered[field][1] for field, value in said.items()):
        return await _shown(request, looking(request), 422, wrong=True)
    chat = request.query_params.get("chat", "")
    back = {"saved": "1", **({"chat": chat} if IDENT.fullmatch(chat) else {})}
    answer = RedirectResponse(f"{SETTINGS}?{urlencode(back)}", 303, {"Cache-Control": "no-store"})
    for field, (cookie, _) in offered.items():
        choose(answer, request, cookie, said.get(field) or None)
    return answer
