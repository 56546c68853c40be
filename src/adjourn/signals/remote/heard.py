"""What comes of asking a witness elsewhere."""

from enum import StrEnum
from typing import NamedTuple

from adjourn.core.reading import Reading
from adjourn.signals.remote.judge import UNSCORED, Judgement


class Came(StrEnum):
    """How it went."""

    SPOKE = "spoke"  # it says something: a flag, or of a judge yes or no
    SILENT = "silent"  # it read the text, and says nothing; of a judge: unscored
    UNREAD = "unread"  # its reply cannot be read, or it refused
    LATE = "late"
    FAILED = "failed"
    BUDGET = "budget"  # it was not asked: the day's requests are used up


TROUBLED = frozenset({Came.UNREAD, Came.LATE, Came.FAILED})
"""A reading was begun, and is not there."""


class Heard(NamedTuple):
    """How it went, and what a witness saw or a judge said."""

    came: Came
    reading: Reading | None = None
    judgement: Judgement = UNSCORED

    @property
    def doubtful(self) -> bool:
        """Whether a reading was begun, and is not there."""
        return self.came in TROUBLED
