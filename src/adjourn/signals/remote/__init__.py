"""Witnesses elsewhere: what is sent to each kind, and what its reply says. Pure: nothing here opens a connection.

A reply that is broken, refused, or not in its kind's form says nothing at all, and nothing here raises. What is said
is a flag at the lower threshold and a faint sign of risk: these witnesses never count toward an end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adjourn.core.reading import Flag, Reading, RiskKind
from adjourn.signals.detector import Message, Seen
from adjourn.signals.remote import granite_guardian, llama_guard, moderation, shieldgemma

FLAGS: Mapping[str, Flag] = {"harmful": Flag.HARMFUL, "abusive": Flag.ABUSIVE, "risk": Flag.RISK}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of witness is asked, and understood.

    `path`: what stands behind its address. `ask`: the bodies that are sent, for a model, a text and what came before
    it. `read`: what their replies say, in that order; None if they cannot be read. `says`: what it can say, for a
    person.
    """

    path: str
    ask: Callable[[str, str, Sequence[Message]], Sequence[bytes]]
    read: Callable[[Sequence[bytes]], Seen | None]
    says: str


KINDS: Mapping[str, Kind] = {
    "moderation": Kind(
        "/moderations", moderation.ask, moderation.read, "harmful requests, abuse, risk to oneself, threats"
    ),
    "llama_guard": Kind("/chat/completions", llama_guard.ask, llama_guard.read, "harmful requests, risk to oneself"),
    "shieldgemma": Kind("/chat/completions", shieldgemma.ask, shieldgemma.read, "harmful requests, abuse"),
    "granite_guardian": Kind("/chat/completions", granite_guardian.ask, granite_guardian.read, "harmful requests"),
}
"""The kinds of witness that read each message; the judge, which is only asked now and then, is in `judge.py`."""


def reading(name: str, version: str, seen: Seen) -> Reading:
    """Return what the witness of this name saw, in the words of the core."""
    flags = frozenset(FLAGS[said] for said, score in seen.scores.items() if score > 0)
    return Reading(
        witness=name,
        version=version,
        flags=flags,
        scores=seen.scores,
        family=seen.family if Flag.HARMFUL in flags else None,
        risk_kind=(seen.risk_kind or RiskKind.SELF) if Flag.RISK in flags else None,
    )
