"""What a category of a witness's means in our words: tables of these, and how several are put together."""

from collections.abc import Iterable
from typing import NamedTuple

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import Seen

SAID = 1.0
"""The score of what a witness says without one."""


class Saying(NamedTuple):
    """What one category says: of which signals, of which family a harmful request is, and who is at risk."""

    signals: tuple[str, ...] = ()
    family: str | None = None
    risk_kind: RiskKind | None = None


def harm(family: str | None) -> Saying:
    """Return that it is a harmful request of this family."""
    return Saying(("harmful",), family)


def risk(kind: RiskKind, family: str | None = None) -> Saying:
    """Return that somebody may be at risk; with a family, that it is a harmful request too."""
    return Saying(("risk", "harmful") if family else ("risk",), family, kind)


NOTHING = Saying()
"""What it names is no business of ours: it is neither a harmful request nor abuse of the assistant nor a risk."""

ABUSE = Saying(("abusive",))


def together(said: Iterable[tuple[Saying, float]]) -> Seen:
    """Return what these say together, each with its score; family and kind are those of the surest."""
    scores: dict[str, float] = {}
    family, kind = None, None
    for saying, score in sorted(said, key=lambda one: -one[1]):
        for signal in saying.signals:
            scores[signal] = max(score, scores.get(signal, 0.0))
        family, kind = family or saying.family, kind or saying.risk_kind
    return Seen(scores, family=family, risk_kind=kind)
