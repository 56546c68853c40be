"""What the host says: to people, in their language, and to the model. Files that a person can read and change."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from adjourn.core.events import Guided
from adjourn.core.machine import Ground, Guidance
from adjourn.core.policy import ABUSE

CLOSING_LENGTH = 600
"""Closing words are cut to this many characters."""

DEFAULT = "en"
LANGUAGE_FILE = re.compile(r"[a-z]{2}\.toml")


@cache
def words(name: str = "en") -> Mapping[str, str]:
    """Return the texts of a file in this folder: a language's, `guidance` or `fork`."""
    return {key: text.strip() for key, text in _file(name).items() if isinstance(text, str)}


@cache
def page_words(name: str = "en") -> Mapping[str, str]:
    """Return what the page says in a language."""
    texts: Mapping[str, str] = said(name)["page"]
    return texts


@cache
def languages() -> Mapping[str, str]:
    """Return the languages that people can read this in: what each calls itself, by its two letters. English is first.

    Each is a file in this folder, named after it; there is no other list of them.
    """
    files = sorted(file.name for file in resources.files(__name__).iterdir() if LANGUAGE_FILE.fullmatch(file.name))
    codes = [DEFAULT, *(file[:2] for file in files if file[:2] != DEFAULT)]
    return {code: words(code)["language"] for code in codes}


@cache
def said(language: str) -> Mapping[str, Any]:
    """Return all texts of a language, those of a part under its name. What it leaves out is said in English."""
    own, english = _file(language), _file(DEFAULT)
    return {
        key: {**text, **own.get(key, {})} if isinstance(text, Mapping) else own.get(key, text)
        for key, text in english.items()
    }


def counted(texts: Mapping[str, str], key: str, count: float, **values: str) -> str:
    """Return a text with a number in it; for the number 1 a text of its own, where there is one."""
    text = texts.get(f"{key}_one", texts[key]) if count == 1 else texts[key]
    return text.format(count=f"{count:g}", **values)


def because(ground: Ground, family: str | None, language: str = DEFAULT) -> str:
    """Return the one plain sentence of a receipt that says why, in a language."""
    texts = said(language)
    if ground is Ground.USER_REQUEST:
        return str(texts["receipt_request"])
    if family == ABUSE:
        return str(texts["receipt_abuse"])
    about = texts["families"].get(family or "")
    return str(texts["receipt_harm_about"].format(family=about) if about else texts["receipt_harm"])


def _file(name: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def additions(closing: str) -> Mapping[str, str]:
    """Return what the host may add behind an answer, by name; `closing`: the template with which it would close."""
    texts = words()
    warning = texts[closing.replace("closing", "warning")].format(this=texts["this"], that=texts["that"])
    return {"question": texts["question"], "warning": warning}


def guided(guidance: Guidance, form: str) -> Guided:
    """Return the guidance as it is put into the upstream view."""
    first = f"[adjourn/{guidance}] A note from the application, not from the person. It is about your next answer only."
    return Guided(form, f"{first}\n{words('guidance')[guidance]}")


def first_question(count: int, *, tool: bool = False) -> str:
    """Return what the model is asked at LAST_RESORT; `tool`: it answers with a tool instead of a word."""
    texts = words("fork")
    return f"{texts['first'].format(count=count)}\n\n{texts['tool_line' if tool else 'last_line']}"


def second_question(*, tool: bool = False) -> str:
    """Return what the model is asked after its first END."""
    texts = words("fork")
    return f"{texts['tool_second' if tool else 'second']}\n\n{texts['tool_line' if tool else 'last_line']}"


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
