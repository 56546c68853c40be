"""Words that stand for harm and abuse, so that a chat can be closed in the demo without anybody writing either."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from adjourn.signals import Message, Seen


class _Row(NamedTuple):
    words: re.Pattern[str]
    signal: str
    score: float
    family: str | None


_NOTHING = Seen()
_TABLE = (
    _Row(re.compile(r"\bforbidden\s+request\b", re.IGNORECASE), "harmful", 0.95, "illegal"),
    _Row(re.compile(r"\binsult\b", re.IGNORECASE), "abusive", 0.95, None),
)


class StandIns:
    """A detector of the stand-in words, as whole words. It belongs beside the others only where the demo answers."""

    name = "stand_ins"
    version = "1"

    def user(self, text: str, before: Sequence[Message] = ()) -> Seen:
        """Read a person's message."""
        rows = [row for row in _TABLE if row.words.search(text)]
        if not rows:
            return _NOTHING
        return Seen(
            {row.signal: row.score for row in rows},
            family=next((row.family for row in rows if row.family), None),
        )

    def assistant(self, text: str) -> Seen:
        """Read an assistant's message: the words stand for nothing in it."""
        return _NOTHING
