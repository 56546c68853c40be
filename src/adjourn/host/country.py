"""Which country a time zone lies in, and which countries we know anything of.

The table is the one that comes with the time zones themselves (https://data.iana.org/time-zones/tzdb/zone.tab), in the
package that this project has them from. A zone that it does not list leads nowhere: no guess is better than a wrong
one.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from adjourn.host.lines import known_countries
from adjourn.host.words import said

ELSEWHERE = "ZZ"
"""What a person chooses whose country is not in the list; ISO 3166 leaves it to its users."""

_OLD_NAMES = {"Asia/Calcutta": "IN"}
"""Zones that browsers still call by a name that the table has no more."""


@cache
def _zones() -> Mapping[str, str]:
    text = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {**_OLD_NAMES, **{zone: country for country, _, zone, *_ in rows}}


def country_of(zone: str) -> str | None:
    """Return the country of a time zone (`Europe/Rome`), in two letters; None if it is not known."""
    return _zones().get(zone)


def countries(language: str) -> Sequence[tuple[str, str]]:
    """Return the countries of which a line or a number is known, with their names, in the order of these."""
    names = said(language)["countries"]
    return sorted(((code, names.get(code, code)) for code in known_countries()), key=lambda entry: entry[1].casefold())


def country_name(code: str, language: str) -> str:
    """Return the name of a country; of one of which nothing is known, that it is another one."""
    texts = said(language)
    return str(texts["countries"].get(code) or texts["lines"]["country_other"])
