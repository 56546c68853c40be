"""How often it happened, over many conversations."""

from collections.abc import Iterator, Mapping

from adjourn.lab.interval import wilson
from adjourn.lab.replay import Replayed

COUNTED: Mapping[str, str] = {
    "warned": "warned",
    "last_resort": "last resort",
    "ended": "ended",
    "held": "held quiet",
    "shown": "held shown",
}
"""What is counted, by step, and its name. A conversation held with support shown is not counted as held quiet."""


class Summary:
    """Counts conversations as they come."""

    def __init__(self) -> None:
        self.conversations = 0
        self.counts = dict.fromkeys(COUNTED, 0)

    def add(self, result: Replayed) -> None:
        """Count one conversation."""
        self.conversations += 1
        for step in COUNTED:
            only_quiet = step != "held" or result.first["shown"] is None
            self.counts[step] += result.first[step] is not None and only_quiet

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing that is counted, with its share and the 95 % interval."""
        yield f"conversations  {self.conversations}"
        for step, name in COUNTED.items():
            count, total = self.counts[step], self.conversations
            low, high = wilson(count, total)
            share = f"{count / total:.2%}" if total else "-"
            yield f"{name:<13}  {count}  {share}  (95 % interval {low:.2%} to {high:.2%})"
