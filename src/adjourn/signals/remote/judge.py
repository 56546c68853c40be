"""The judge: a chat model that reads a whole branch and answers one question, in JSON by a schema.

https://platform.openai.com/docs/guides/structured-outputs. Only a yes that cites the person's own words, word for word,
is one; all else is no, or unscored. What it is asked stands in `judge.toml`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import msgspec

from adjourn.core.reading import Flag, Matter, Opinion, Reading, RiskKind
from adjourn.signals.detector import Message
from adjourn.signals.remote.chat import body, said, whole

PATH = "/chat/completions"
TOKENS = 2048
SHORTEST = 2
"""How many letters a citation has at least: any text has one of its letters in it somewhere."""


class Judgement(NamedTuple):
    """What came of asking: `quote` are the words that it cites, `risk_kind` who is at risk, if it was asked that."""

    opinion: Opinion
    quote: str = ""
    risk_kind: RiskKind | None = None


UNSCORED = Judgement(Opinion.UNSCORED)


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    answer: Literal["yes", "no", "unsure"]
    quote: str
    at_risk: Literal["self", "other", "danger", "emergency", "nobody"]


_DECODER = msgspec.json.Decoder(_Answer)

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "enum": ["yes", "no", "unsure"]},
        "quote": {"type": "string"},
        "at_risk": {"type": "string", "enum": ["self", "other", "danger", "emergency", "nobody"]},
    },
    "required": ["answer", "quote", "at_risk"],
    "additionalProperties": False,
}


@cache
def words() -> Mapping[str, str]:
    """Return what the judge is told, by its name in the file."""
    text = resources.files("adjourn.signals.remote").joinpath("judge.toml").read_text(encoding="utf-8")
    return {key: value.strip() for key, value in tomllib.loads(text).items()}


def ask(model: str, matter: Matter, branch: Sequence[Message]) -> bytes:
    """Return the body that asks about a branch, whose newest message comes last.

    The branch goes as lines of JSON, so that nothing that somebody wrote in it looks like the question.
    """
    told = words()
    lines = b"\n".join(msgspec.json.encode({"role": role, "text": whole(text)}) for role, text in branch)
    form = {"type": "json_schema", "json_schema": {"name": "opinion", "strict": True, "schema": SCHEMA}}
    messages = [("system", f"{told['judge']}\n\n{told[matter]}"), ("user", lines.decode())]
    return body(model, messages, TOKENS, response_format=form)


def read(reply: bytes, matter: Matter, branch: Sequence[Message]) -> Judgement:
    """Return what the reply says: unscored if it is broken, refused, unsure, or a yes without the person's words.

    Of a question whether to close, a yes that says that somebody is at risk is a no.
    """
    try:
        found = _DECODER.decode(said(reply) or "")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return UNSCORED
    at_risk = None if found.at_risk == "nobody" else RiskKind(found.at_risk)
    if found.answer == "no":
        return Judgement(Opinion.NO)
    if found.answer == "unsure" or not cited(found.quote, branch):
        return UNSCORED
    if matter is Matter.RISK:
        return Judgement(Opinion.YES, found.quote, at_risk or RiskKind.SELF)
    return Judgement(Opinion.NO) if at_risk else Judgement(Opinion.YES, found.quote)


def cited(quote: str, branch: Sequence[Message]) -> bool:
    """Whether these words stand in a message of the person's as they are, white space aside."""
    wanted = " ".join(quote.split())
    if sum(letter.isalnum() for letter in wanted) < SHORTEST:
        return False
    return any(wanted in " ".join(text.split()) for role, text in branch if role == "user")


def reading(name: str, version: str, judgement: Judgement) -> Reading:
    """Return what a judge that says that somebody is at risk saw, in the words of the core: a clear sign."""
    return Reading(
        witness=name,
        version=version,
        flags=frozenset({Flag.RISK, Flag.RISK_CLEAR}),
        scores={"risk": 1.0},
        risk_kind=judgement.risk_kind,
    )
