"""OpenAI's moderation endpoint, and those that speak like it.

https://platform.openai.com/docs/api-reference/moderations/create. A category that it does not flag says nothing,
whatever its score: its thresholds are its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import Message, Seen
from adjourn.signals.remote.chat import whole
from adjourn.signals.remote.sayings import ABUSE, NOTHING, SAID, Saying, harm, risk, together

CATEGORIES: Mapping[str, Saying] = {
    "harassment": ABUSE,
    "harassment/threatening": risk(RiskKind.DANGER, "harassment"),
    "hate": harm("hate"),
    "hate/threatening": risk(RiskKind.DANGER, "hate"),
    "illicit": harm("illegal"),
    "illicit/violent": harm("weapons"),
    "self-harm": risk(RiskKind.SELF),
    "self-harm/intent": risk(RiskKind.SELF),
    "self-harm/instructions": risk(RiskKind.SELF, "self_harm"),
    "sexual": NOTHING,
    "sexual/minors": harm("child_safety"),
    "violence": NOTHING,  # telling of violence is not asking for it
    "violence/graphic": NOTHING,
}
"""What each category says. One that is not here says nothing: nobody knows what it means."""


class _Result(msgspec.Struct):
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None] = {}


class _Reply(msgspec.Struct):
    results: list[_Result]


_DECODER = msgspec.json.Decoder(_Reply)


def ask(model: str, text: str, before: Sequence[Message]) -> Sequence[bytes]:
    """Return the one body that asks about a text; it reads each by itself. Without a model it takes its default."""
    body: dict[str, Any] = {"input": whole(text)}
    return [msgspec.json.encode({"model": model, **body} if model else body)]


def read(replies: Sequence[bytes]) -> Seen | None:
    """Return what the reply says; None if it is none of this kind."""
    try:
        (reply,) = replies
        (result,) = _DECODER.decode(reply).results
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    flagged = [name for name, said in result.categories.items() if said]
    return together((CATEGORIES.get(name, NOTHING), _score(result.category_scores.get(name))) for name in flagged)


def _score(value: float | None) -> float:
    """Return a score; one that cannot be is as good as none."""
    return value if value is not None and 0 < value <= 1 else SAID
