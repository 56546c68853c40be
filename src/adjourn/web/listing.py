"""What a person sees of their list of chats: the lines of a page in groups by date, as data and as HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from starlette.requests import Request

from adjourn.host import Host
from adjourn.store import Below, Chat, has_list
from adjourn.store.chats import UNDO_MS
from adjourn.web import headers
from adjourn.web.pages.person import Person
from adjourn.web.pages.render import fragment as piece
from adjourn.web.pages.render import looking
from adjourn.web.titles import LENGTH, shortened

LINES = 30
"""How many chats stand on a page of the list."""

ZONE = "adjourn_zone"
"""The cookie in which the page says its time zone: which day a chat stands under."""

WEEK_DAYS = 7
_CURSOR = re.compile(r"([01])\.([0-9]{1,15})\.(.{1,200})")
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")


@dataclass(frozen=True, slots=True)
class Line:
    """A chat as it stands in the list."""

    id: str
    title: str
    pinned: bool
    closed: bool
    temporary: bool
    away: bool
    last_at: int


@dataclass(frozen=True, slots=True)
class Group:
    """The chats of a time, under its name."""

    name: str
    chats: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list. `next`: where the one after it goes on; None on the last. `search`: what was looked for."""

    groups: Sequence[Group]
    next: str | None
    search: str
    deleted: Line | None = None

    @property
    def count(self) -> int:
        """How many chats it shows."""
        return sum(len(group.chats) for group in self.groups)

    def data(self) -> dict[str, object]:
        """Return it as data for scripts."""
        return {"groups": [asdict(group) for group in self.groups], "next": self.next, "search": self.search}


async def listing(request: Request, host: Host | None, *, search: str = "") -> Listing:
    """Return a page of the list of whoever asks; an empty one to whom no list belongs."""
    scope, said = headers.scope(request, None), looking(request).words
    if host is None or not has_list(scope):
        return Listing((), None, search)
    found = await host.store.chats(scope, LINES + 1, _below(request.query_params.get("below", "")), search)
    shown, last = found[:LINES], found[LINES - 1] if len(found) > LINES else None
    following = f"{int(last.pinned)}.{last.line.last_at}.{last.id}" if last else None
    groups = grouped(shown, datetime.fromtimestamp(host.now() / 1000, zone_of(request)), said)
    return Listing(groups, following, search, await _deleted(request, host, scope, said))


async def _deleted(request: Request, host: Host, scope: str, said: Mapping[str, Any]) -> Line | None:
    """Return the chat that was just deleted without scripts, as long as that can be undone."""
    wanted = request.query_params.get("deleted")
    chat = await host.store.chat(wanted) if wanted else None
    if chat is None or chat.line.scope != scope or chat.deleted_at is None or chat.erased:
        return None
    return line_of(chat, said) if host.now() - chat.deleted_at <= UNDO_MS else None


def _below(cursor: str) -> Below | None:
    found = _CURSOR.fullmatch(cursor)
    return Below(found[1] == "1", int(found[2]), found[3]) if found else None


def zone_of(request: Request) -> tzinfo:
    """Return the time zone that the page says; without one, UTC."""
    name = request.query_params.get("zone") or request.cookies.get(ZONE, "")
    if not _ZONE_NAME.fullmatch(name):
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return UTC


def grouped(chats: Sequence[Chat], now: datetime, said: Mapping[str, Any]) -> list[Group]:
    """Return the chats, which come in the order of the list, in groups by the day of their last message."""
    named = [(said["list_pinned"] if chat.pinned else _time_of(chat, now, said), chat) for chat in chats]
    return [
        Group(name, [line_of(chat, said) for _, chat in group])
        for name, group in groupby(named, key=lambda one: one[0])
    ]


def _time_of(chat: Chat, now: datetime, said: Mapping[str, Any]) -> str:
    day = datetime.fromtimestamp(chat.line.last_at / 1000, now.tzinfo).date()
    return _name_of(day, now.date(), said)


def _name_of(day: date, today: date, said: Mapping[str, Any]) -> str:
    if day >= today:
        return str(said["list_today"])
    if day == today - timedelta(days=1):
        return str(said["list_yesterday"])
    if day > today - timedelta(days=WEEK_DAYS):
        return str(said["list_week"])
    return str(said["list_month"]).format(month=said["list_months"].split()[day.month - 1], year=day.year)


def line_of(chat: Chat, said: Mapping[str, Any]) -> Line:
    """Return a chat as it stands in the list."""
    return Line(
        id=chat.id,
        title=title_of(chat, said),
        pinned=chat.pinned,
        closed=chat.line.ended,
        temporary=chat.temporary,
        away=chat.away,
        last_at=chat.line.last_at,
    )


def title_of(chat: Chat, said: Mapping[str, Any]) -> str:
    """Return the name under which a chat is shown: its title, else its beginning, if nothing in it was flagged."""
    beginning = "" if chat.flagged else shortened(chat.beginning or "", LENGTH)
    return chat.title or beginning or str(said["list_untitled"])


async def fragment(request: Request, host: Host | None, *, search: str = "", current: str | None = None) -> Markup:
    """Return the list as HTML, for a page that includes it. `current`: the conversation that the page shows."""
    return rendered(
        await listing(request, host, search=search), looking(request), current=current, back=request.url.path
    )


def rendered(shown: Listing, person: Person, *, current: str | None = None, back: str = "/chats") -> Markup:
    """Return a page of the list as HTML; its forms lead back to the address `back`."""
    return piece("list.html", person, shown=shown, current=current, back=back)
