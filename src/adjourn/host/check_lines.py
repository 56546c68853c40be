"""What is wrong with a file of help lines, and what in it has become old."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adjourn.core.errors import CallerError
from adjourn.host.lines import Line, read_line

OLD_AFTER = timedelta(days=365)
"""For how long it is believed what was read of a line."""

SAME_FROM = 6
"""From how many digits on two numbers are the same if one is the other with its country's or its own prefix."""

_TABLES = ("emergency", "emergency_danger")
_CODE = re.compile(r"[A-Z]{2}")
_DIGITS = re.compile(r"\d+")


class Weight(StrEnum):
    """An error could mislead somebody; what is old must be read again; a note says what is not known."""

    ERROR = "error"
    OLD = "old"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, and about what."""

    weight: Weight
    about: str
    says: str


def check(data: Mapping[str, Any], today: date) -> Iterator[Finding]:
    """Yield what is wrong with a file of help lines (as TOML gives it), and what is old on this day."""
    entries = data.get("line")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield Finding(Weight.ERROR, "the file", "there are no entries [[line]]")
        return
    for entry in entries:
        yield from _entry(entry, today)
    yield from _duplicates(entries)
    tables = {name: data.get(name) for name in _TABLES}
    for name, numbers in tables.items():
        if not isinstance(numbers, dict):
            yield Finding(Weight.ERROR, f"[{name}]", "there is no such table")
            return
        yield from _numbers(name, numbers)
    yield from _countries(entries, tables)


def _entry(entry: Mapping[str, Any], today: date) -> Iterator[Finding]:
    about = _called(entry)
    try:
        line = read_line(entry)
    except CallerError as error:
        yield Finding(Weight.ERROR, about, str(error).removeprefix(f"{about}: "))
    else:
        yield from _line(line, about)
    checked = entry.get("checked_on")
    if type(checked) is date and checked > today:
        yield Finding(Weight.ERROR, about, f"checked_on: {checked} is still to come")
    if type(checked) is date and today - checked > OLD_AFTER:
        yield Finding(Weight.OLD, about, f"last checked on {checked}: read its page again")


def _line(line: Line, about: str) -> Iterator[Finding]:
    """Yield what else is wrong with an entry of the right form."""
    if line.time_zone and not _is_zone(line.time_zone):
        yield Finding(Weight.ERROR, about, f"time_zone: this machine knows no {line.time_zone}")
    if line.tel and not _dials(line):
        yield Finding(Weight.ERROR, about, f"dial and tel are different numbers: {line.dial}, {line.tel}")


def _duplicates(entries: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Two entries of one country may not lead to one telephone: somebody would be sent there twice."""
    for one, other in combinations(entries, 2):
        if one.get("country") == other.get("country"):
            for way in ("tel", "text"):
                if _same(number := str(one.get(way, "")), str(other.get(way, ""))):
                    says = f"{way}: {number} stands in the entry {one.get('name', '?')} already"
                    yield Finding(Weight.ERROR, _called(other), says)


def _numbers(table: str, numbers: Mapping[str, Any]) -> Iterator[Finding]:
    for country, number in numbers.items():
        if not _CODE.fullmatch(country):
            yield Finding(Weight.ERROR, f"[{table}] {country}", "two capital letters are needed")
        if not isinstance(number, str) or not _DIGITS.fullmatch(number):
            yield Finding(Weight.ERROR, f"[{table}] {country}", f"{number!r}: a number in quotes is needed")


def _countries(entries: Sequence[Mapping[str, Any]], tables: Mapping[str, Any]) -> Iterator[Finding]:
    emergency, danger = (set(tables[name]) for name in _TABLES)
    served = {str(entry.get("country", "?")) for entry in entries}
    for country in sorted((served | danger) - emergency):
        yield Finding(Weight.ERROR, country, "there is no emergency number")
    for country in sorted(emergency - served):
        yield Finding(Weight.NOTE, country, "an emergency number, but no line: people are shown the directory")


def _called(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('country', '?')} {entry.get('name', '?')}"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))


def _dials(line: Line) -> bool:
    """Whether a telephone dials what a person reads, if need be in its international form."""
    digits = _digits(line.dial)
    if line.tel.startswith("+"):
        return line.tel.endswith(digits.removeprefix("0"))
    return line.tel == digits


def _same(one: str, other: str) -> bool:
    short, long = sorted((_digits(one), _digits(other)), key=len)
    tail = short.removeprefix("0")
    return bool(short) and (short == long or (len(tail) >= SAME_FROM and long.endswith(tail)))
