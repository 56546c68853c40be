"""What the host says: to people, in their language, and to the model. Files that a person can read and change."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from adjourn.core.events import Guided
from adjourn.core.machine import Guidance

CLOSING_LENGTH = 600
"""Closing words are cut to this many characters."""


@cache
def words(name: str = "en") -> Mapping[str, str]:
    """Return the texts of a file in this folder: a language's, `guidance` or `fork`."""
    return {key: text.strip() for key, text in _file(name).items() if isinstance(text, str)}


@cache
def page_words(name: str = "en") -> Mapping[str, str]:
    """Return what the page says in a language."""
    found: Mapping[str, str] = _file(name)["page"]
    return found


def _file(name: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files("adjourn.host.words").joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def additions(closing: str) -> Mapping[str, str]:
    """Return what the host may add behind an answer, by name; `closing`: the template with which it would close."""
    said = words()
    warning = said[closing.replace("closing", "warning")].format(this=said["this"], that=said["that"])
    return {"question": said["question"], "warning": warning}


def guided(guidance: Guidance, form: str) -> Guided:
    """Return the guidance as it is put into the upstream view."""
    first = f"[adjourn/{guidance}] A note from the application, not from the person. It is about your next answer only."
    return Guided(form, f"{first}\n{words('guidance')[guidance]}")


def first_question(count: int, *, tool: bool = False) -> str:
    """Return what the model is asked at LAST_RESORT; `tool`: it answers with a tool instead of a word."""
    said = words("fork")
    return f"{said['first'].format(count=count)}\n\n{said['tool_line' if tool else 'last_line']}"


def second_question(*, tool: bool = False) -> str:
    """Return what the model is asked after its first END."""
    said = words("fork")
    return f"{said['tool_second' if tool else 'second']}\n\n{said['tool_line' if tool else 'last_line']}"


def closing_words(reply: str, template: str) -> str:
    """Return the words below the first line of the model's second END, or the template if there are none."""
    _, _, below = reply.strip().partition("\n")
    return below.strip()[:CLOSING_LENGTH].strip() or words()[template]


def chooses_end(reply: str) -> bool:
    """Whether a fork's reply begins with the word END."""
    return first_word(reply) == "END"


def first_word(reply: str) -> str:
    """Return the word with which a fork's reply begins, without the marks around it; none if it says nothing."""
    first = reply.split(maxsplit=1)
    return first[0].strip(".,:;!*_\"'`") if first else ""
