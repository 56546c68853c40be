"""How well a score separates what is from what is not: one figure, and a picture in text."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

COLUMNS, ROWS = 60, 10
FEW = tuple((column / COLUMNS) ** 2 for column in range(COLUMNS + 1))
"""The shares of false positives that the curve is drawn at: close together where there are few."""

MARKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
"""The shares that are written below the picture."""

BLOCKS = " ▁▂▃▄▅▆▇█"
SIGNS = " .:#"
"""What a picture is drawn with, from nothing to a full line: where there are blocks, and where there are none."""

Curve = tuple[tuple[float, float], ...]
"""Pairs of a share of false positives and the recall that is reached with no more of them."""


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Return how often a positive scores above a negative, ties as half (Mann-Whitney U over its maximum).

    None if there are none of one, or if nothing has a score.
    """
    if not positives or not negatives or not (any(positives) or any(negatives)):
        return None
    ordered = sorted(negatives)
    twice = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in positives)
    return twice / (2 * len(positives) * len(negatives))


def curve(positives: Sequence[float], negatives: Sequence[float]) -> Curve:
    """Return the recall at each share of `FEW`, over all thresholds; nothing where `auroc` is None."""
    if auroc(positives, negatives) is None:
        return ()
    ups, downs = sorted(positives), sorted(negatives)
    reached = [(0.0, 0.0)]
    for bound in sorted({*ups, *downs}, reverse=True):
        wrong = len(downs) - bisect_left(downs, bound)
        found = len(ups) - bisect_left(ups, bound)
        reached.append((wrong / len(downs), found / len(ups)))
    shares = [wrong for wrong, _ in reached]
    return tuple((few, reached[bisect_right(shares, few) - 1][1]) for few in FEW)


def picture(points: Curve, shades: str = BLOCKS) -> Iterator[str]:
    """Yield the lines of a picture of the curve, 12 of them: recall upwards, false positives to the right."""
    full = len(shades) - 1
    for row in range(ROWS, 0, -1):
        levels = (recall * ROWS - (row - 1) for _, recall in points)
        bars = "".join(shades[round(min(max(level, 0.0), 1.0) * full)] for level in levels)
        side = f"{row * 100 // ROWS} %" if row % 5 == 0 else ""
        yield f"{side:>6} |{bars}".rstrip()
    yield f"{'0 %':>6} +{'-' * (COLUMNS + 1)}"
    below = [" "] * (COLUMNS + 2)
    for mark in MARKS:
        place = round(mark**0.5 * COLUMNS)
        below[place : place + len(f"{mark:.0%}")] = f"{mark:.0%}"
    yield f"{'':8}{''.join(below)} false positives".rstrip()
