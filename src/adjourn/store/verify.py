"""Whether a store still says what it said: chains, texts, decisions computed again, and what is kept beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adjourn.core.errors import DamagedLog
from adjourn.core.events import Erased, Event, RefusedRead
from adjourn.core.policy import Policy
from adjourn.core.recompute import recompute
from adjourn.core.tree import Tree, fold
from adjourn.store.codec import first_head, next_head
from adjourn.store.interface import Recorded, Store
from adjourn.store.text import Sealed


@dataclass(slots=True)
class Verified:
    """What was found in one conversation. `again` decisions came out the same, `only_chained` could not be tried."""

    conversation: str
    events: int = 0
    again: int = 0
    only_chained: int = 0
    faults: list[str] = field(default_factory=list)


async def verify(store: Store, conversation: str, policies: Mapping[str, Policy]) -> Verified:
    """Check one conversation; every fault names its event. Changes nothing."""
    rows = await store.read(conversation)
    found = Verified(conversation, events=len(rows))
    found.faults += _chain(conversation, rows)
    try:
        events = [row.event for row in rows]
    except DamagedLog as error:
        found.faults.append(str(error))
        return found
    found.faults += _texts(events, await store.texts(conversation))
    again = recompute(conversation, events, policies)
    found.again, found.only_chained = again.again, again.only_read
    found.faults += [f"event {number}: {why}" for number, why in again.faults]
    folded = fold(events, conversation)
    if not await store.see(conversation, lambda kept: _same(kept, folded)):
        found.faults.append("what is kept beside the events differs from them: `adjourn db rebuild` makes it again")
    return found


def _chain(conversation: str, rows: Sequence[Recorded]) -> list[str]:
    head = first_head(conversation)
    for expected, row in enumerate(rows, 1):
        head = next_head(head, row.name, row.body)
        if row.number != expected:
            return [f"event {expected} is missing"]
        if row.head != head:
            return [f"event {row.number} ({row.name}) is not what was written, or one before it is gone"]
    return []


def _texts(events: Sequence[Event], texts: Mapping[str, Sealed]) -> list[str]:
    """Compare each text with its digest; one may be missing only if it was erased later."""
    erased = max((number for number, event in enumerate(events) if isinstance(event, Erased)), default=-1)
    faults = []
    for number, event in enumerate(events):
        digest = getattr(event, "digest", "")
        if not digest:
            continue
        node = event.text if isinstance(event, RefusedRead) else getattr(event, "node", "")
        text = texts.get(node)
        if text is None and number > erased:
            faults.append(f"event {number + 1}: the text of {node} is gone, and was not erased")
        elif text is not None and text.digest != digest:
            faults.append(f"event {number + 1}: the text of {node} is not what was written")
    return faults


def _same(kept: Tree, folded: Tree) -> bool:
    return replace(kept, nodes={}) == replace(folded, nodes={}) and all(
        kept.nodes.get(node) == value for node, value in folded.nodes.items()
    )
