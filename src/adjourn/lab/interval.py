"""How sure a share is."""

from math import sqrt

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0 to 1 each: Wilson (1927), JASA 22, 209-212. (0, 1) of nothing."""
    if total == 0:
        return 0.0, 1.0
    share, square = count / total, Z_95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z_95 / (1 + square / total) * sqrt(share * (1 - share) / total + square / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
