"""How sure a share is."""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with the 95 % interval (0 to 1 each). Of nothing there is no share, and it may be any."""

    count: int
    of: int
    share: float | None
    low: float
    high: float


def share(count: int, of: int) -> Share:
    """Return `count` of `of` as a share with its interval."""
    return Share(count, of, count / of if of else None, *wilson(count, of))


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0 to 1 each: Wilson (1927), JASA 22, 209-212. (0, 1) of nothing."""
    if total == 0:
        return 0.0, 1.0
    rate, square = count / total, Z_95**2
    middle = (rate + square / (2 * total)) / (1 + square / total)
    half = Z_95 / (1 + square / total) * sqrt(rate * (1 - rate) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
