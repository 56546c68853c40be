"""What this process has seen of ends, for when the store can be neither written nor read."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from adjourn.host.identify import Element

MOST = 10_000
"""How many ends are remembered; then the one that was met longest ago is forgotten."""

MOST_OPEN = 16
"""How many ways past one end are remembered."""


class Closed(NamedTuple):
    """What a client is told whose message stands below an end: words, and Adjourn's object (WIRE)."""

    conversation: str
    say: str
    told: Mapping[str, Any] | None


class _End(NamedTuple):
    closed: Closed
    open: set[bytes]


class KnownEnds:
    """Ends by the digest of the path to the message that was closed.

    Of each, what may stand below it all the same: another answer of ours, or whatever was taken there later.
    """

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, _End] = OrderedDict()

    def closed(self, said: Sequence[Element], index: int, closed: Closed) -> None:
        """Remember that the message with this index is closed."""
        digest = said[index].digest
        end = self._ends.setdefault(digest, _End(closed, set()))
        self._ends.move_to_end(digest)
        end.open.difference_update(element.digest for element in said[index + 1 : index + 2])
        if len(self._ends) > MOST:
            self._ends.popitem(last=False)

    def taken(self, said: Sequence[Element]) -> None:
        """Remember that a request was taken: nothing in it stands below an end."""
        if self._ends:
            for above, below in pairwise(said):
                self.goes_on(above.digest, [below.digest])

    def goes_on(self, message: bytes, below: Iterable[bytes]) -> None:
        """Remember what may stand below a message, if it was closed."""
        end = self._ends.get(message)
        if end is not None and len(end.open) < MOST_OPEN:
            end.open.update(below)

    def above(self, said: Sequence[Element]) -> Closed | None:
        """Return what is known of an end above the newest element, if one is."""
        for message, below in pairwise(said):
            end = self._ends.get(message.digest)
            if end is not None and below.digest not in end.open:
                return end.closed
        return None
