"""What a person chose in this browser, and what holds where they chose nothing.

Their choices are cookies that no script can read and no other site can send
(https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie); each is only ever one of a list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from adjourn.host.country import ELSEWHERE, country_of
from adjourn.host.lines import country_code, known_countries
from adjourn.host.words import DEFAULT, languages, said

YEAR_SECONDS = 365 * 24 * 3600
LANGUAGE, THEME, COUNTRY, MODEL = "adjourn_language", "adjourn_theme", "adjourn_country", "adjourn_model"


class Theme(StrEnum):
    """How the pages look; `system`: as the person's device has it."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Whence(StrEnum):
    """How it is known where a person is."""

    CHOSEN = "chosen"
    OPERATOR = "operator"
    ZONE = "zone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who looks at a page. None: they chose none. `language` is the one in force, `chosen_language` their choice."""

    language: str = DEFAULT
    chosen_language: str | None = None
    theme: Theme = Theme.SYSTEM
    country: str | None = None
    model: str | None = None

    @property
    def words(self) -> Mapping[str, Any]:
        """All texts in their language."""
        return said(self.language)

    def place(self, operator: str | None, zone: str | None) -> tuple[str | None, Whence]:
        """Return their country and how it is known: chosen, else the operator's, else a guess from the time zone."""
        if self.country:
            return self.country, Whence.CHOSEN
        if operator:
            return country_code(operator), Whence.OPERATOR
        guessed = country_of(zone) if zone else None
        return guessed, Whence.ZONE if guessed else Whence.UNKNOWN


def person(request: Request, language: str | None = None) -> Person:
    """Return who looks at a page; `language`: the operator's, where the browser asks for none that there is."""
    sent = request.cookies
    chosen = sent.get(LANGUAGE) if sent.get(LANGUAGE) in languages() else None
    theme = sent.get(THEME, "")
    return Person(
        language=chosen or accepted(request.headers.get("accept-language", "")) or language or DEFAULT,
        chosen_language=chosen,
        theme=Theme(theme) if theme in list(Theme) else Theme.SYSTEM,
        country=sent.get(COUNTRY) if is_country(sent.get(COUNTRY, "")) else None,
        model=sent.get(MODEL),
    )


def is_country(code: str) -> bool:
    """Whether a person can choose this country; one of which nothing is known is `ELSEWHERE`."""
    return code == ELSEWHERE or code in known_countries()


def accepted(header: str) -> str | None:
    """Return the language that a browser asks for first, of those that there are (RFC 9110, 12.5.4)."""
    ranked = sorted(_ranges(header), key=lambda entry: -entry[1])
    return next((code for code, quality in ranked if quality > 0 and code in languages()), None)


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for part in header[:1000].split(","):
        tag, _, quality = part.strip().partition(";")
        try:
            yield tag.strip().partition("-")[0].lower(), float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue


def choose(answer: Response, request: Request, name: str, value: str | None) -> None:
    """Have a browser keep a choice, or forget it."""
    if value is None:
        answer.delete_cookie(name, httponly=True, samesite="strict")
    else:
        https = request.url.scheme == "https"
        answer.set_cookie(name, value, max_age=YEAR_SECONDS, httponly=True, samesite="strict", secure=https)
