"""What the doctor found of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`set`: it is so, and was not tried. `doubt`: it works, but not as one may think, or it could not be tried.

    `bad`: something that the mode in force needs fails.
    """

    SET = "set"
    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, how it stands, and what that means, in one sentence or two."""

    about: str
    state: State
    says: str


def bad_if(needed: bool) -> State:
    """Return how something stands that fails: bad where it is needed, else a doubt."""
    return State.BAD if needed else State.DOUBT
