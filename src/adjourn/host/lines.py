"""Help lines: whom to call in a country, and whether somebody answers there now.

What is known stands in `lines.toml` beside this file, with where it was read. A number of another country is never
shown.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adjourn.core.errors import CallerError
from adjourn.core.reading import RiskKind

ALWAYS = "24/7"

DIRECTORY = ("Find A Helpline", "https://findahelpline.com")
"""A directory of the lines of all countries, for where we know none."""

_CRISIS, _VIOLENCE = "crisis", "violence"

_KINDS: Mapping[RiskKind, tuple[str, ...]] = {
    RiskKind.SELF: (_CRISIS,),
    RiskKind.OTHER: (_CRISIS,),
    RiskKind.DANGER: (_CRISIS, _VIOLENCE),
    RiskKind.EMERGENCY: (_CRISIS,),
}
"""Which lines help with which risk."""

_COUNTRY = re.compile(r"[A-Z]{2}")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_TEL = re.compile(r"\+?\d*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One help line; `""` stands where there is none, or where none was read."""

    country: str
    kind: str
    name: str
    dial: str
    tel: str
    text: str
    chat: str
    languages: tuple[str, ...]
    hours: str
    time_zone: str
    cost: str
    official: str
    checked_on: date
    checked_how: str

    def __post_init__(self) -> None:
        """Refuse an entry that could mislead somebody."""
        faults = (
            (not _COUNTRY.fullmatch(self.country), "country: two capital letters are needed"),
            (self.kind not in (_CRISIS, _VIOLENCE), f"kind: {_CRISIS} or {_VIOLENCE} is needed"),
            (not self.name, "name: it is empty"),
            (not (self.dial or self.text or self.chat), "there is no way to reach it"),
            (bool(self.dial) != bool(self.tel), "dial and tel belong together"),
            (not _TEL.fullmatch(self.tel), "tel: digits only, with + in front for a whole number"),
            (not self.official.startswith("https://"), "official: an https address is needed"),
            (bool(self.chat) and not self.chat.startswith("https://"), "chat: an https address is needed"),
            (not self.languages, "languages: there are none"),
            (not (self.cost and self.checked_how), "cost and checked_how: say what was read, or that nothing was"),
            (self.hours != ALWAYS and not self.time_zone, "hours of the day need a time zone"),
            (self.hours != ALWAYS and not self._span(), f"hours: {ALWAYS} or 09:00-24:00 is needed"),
        )
        if found := "; ".join(problem for wrong, problem in faults if wrong):
            raise CallerError(found)

    def is_open(self, now: datetime) -> bool | None:
        """Whether somebody answers at `now`; None if this machine does not know the line's time zone."""
        if self.hours == ALWAYS:
            return True
        try:
            there = now.astimezone(ZoneInfo(self.time_zone))
        except ZoneInfoNotFoundError:  # Minimal systems come without the time zones: hours without "open now" remain.
            return None
        start, end = self._span()
        return start <= there.hour * 60 + there.minute < end

    @property
    def opens_at(self) -> str | None:
        """When it opens, on the clock of its country; None if it never closes."""
        if self.hours == ALWAYS:
            return None
        start, _ = self._span()
        return f"{start // 60}:{start % 60:02}"

    def _span(self) -> tuple[int, ...]:
        """Give the minutes of the day at which it opens and closes; nothing if they make no sense."""
        if not (found := _HOURS.fullmatch(self.hours)):
            return ()
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        return (start, end) if start < end <= 24 * 60 else ()


def load() -> tuple[Line, ...]:
    """Return all help lines, read once and checked."""
    return _known()[0]


def known_countries() -> Sequence[str]:
    """Return the countries of which a line or an emergency number is known, by their two letters."""
    lines, emergency, _ = _known()
    return sorted({line.country for line in lines} | emergency.keys())


def checked_on() -> date:
    """Return the day on which the entries were checked that were checked longest ago."""
    return min(line.checked_on for line in load())


def country_code(written: str) -> str:
    """Return a country's two letters as ISO 3166 has them, from what people write."""
    code = written.strip().upper()
    return "GB" if code == "UK" else code


def support(kind: str | None, country: str | None, now: datetime) -> dict[str, Any]:
    """Return what a person at risk is shown (WIRE, the object `support`), for their country at this time.

    `kind` is who is at risk (None: the person who writes), `country` two letters, or None where it is not known: then
    there is no number at all but a directory of the lines of all countries.
    """
    if now.tzinfo is None:
        raise CallerError("now: a time with its time zone is needed, or nobody can say whether a line is open")
    risk = RiskKind(kind or RiskKind.SELF)
    where = country_code(country or "")
    lines, emergency, danger = _known()
    shown = [
        {
            "name": line.name,
            "dial": line.dial or None,
            "tel": line.tel or None,
            "hours": line.hours,
            "open": (opened := line.is_open(now)),
            "opens_at": line.opens_at if opened is False else None,
            "url": line.official,
            "text": line.text or None,
            "chat": line.chat or None,
        }
        for line in lines
        if line.country == where and line.kind in _KINDS[risk]
    ]
    shown.sort(key=lambda entry: entry["open"] is False)  # Whoever answers now comes first; else the file's order.
    number = (danger if risk is RiskKind.DANGER else {}).get(where) or emergency.get(where)
    return {"kind": risk.value, "emergency": number, "lines": shown or [_directory()]}


def _directory() -> dict[str, Any]:
    name, url = DIRECTORY
    nothing = dict.fromkeys(("dial", "tel", "hours", "open", "opens_at", "text", "chat"))
    return {"name": name, "url": url, **nothing}


@cache
def _known() -> tuple[tuple[Line, ...], Mapping[str, str], Mapping[str, str]]:
    data = tomllib.loads(file().read_text(encoding="utf-8"))
    return tuple(read_line(entry) for entry in data["line"]), data["emergency"], data["emergency_danger"]


def file() -> Traversable:
    """Return where all of it is written."""
    return files(__package__).joinpath("lines.toml")


def read_line(entry: Mapping[str, Any]) -> Line:
    """Return the line that an entry of the file describes; raises CallerError, which says all that is wrong with it."""
    called = f"{entry.get('country', '?')} {entry.get('name', '?')}"
    wanted = {field.name for field in fields(Line)}
    if entry.keys() != wanted:
        raise CallerError(f"{called}: missing or unknown: {', '.join(sorted(entry.keys() ^ wanted))}")
    other = {"languages": list, "checked_on": date}
    if wrong := [name for name, value in entry.items() if type(value) is not other.get(name, str)]:
        raise CallerError(f"{called}: not of the right type: {', '.join(wrong)}")
    try:
        return Line(**{**entry, "languages": tuple(map(str, entry["languages"]))})
    except CallerError as error:
        raise CallerError(f"{called}: {error}") from None
