"""What a detector is: text in, scores out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from adjourn.core.reading import RiskKind

Message = tuple[str, str]
"""Role and text of an earlier message."""

OF_USERS = ("harmful", "abusive", "risk", "asks_end", "confirms_end")
OF_ASSISTANTS = ("declined", "redirected", "warned", "asked_to_confirm", "supported")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one detector saw: scores from 0 to 1 by name (`OF_USERS`, `OF_ASSISTANTS`); none is 0."""

    scores: Mapping[str, float] = field(default_factory=dict)
    family: str | None = None
    risk_kind: RiskKind | None = None


NOTHING = Seen()
"""The answer to most messages, and therefore one object."""


class Detector(Protocol):
    """Reads one message at a time, says the same of it every time, and raises when it cannot read."""

    @property
    def name(self) -> str:
        """A short name, which stands in `Reading.failed` when it raises."""

    @property
    def version(self) -> str:
        """Changes whenever the same text might score otherwise."""

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        """Read a person's message; `before` holds the messages before it, oldest first."""

    def assistant(self, text: str) -> Seen:
        """Read an assistant's message."""
