"""Whether a store still says what it said: chains, texts, decisions computed again, and what is kept beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adjourn.core.errors import DamagedLog, Impossible
from adjourn.core.events import Erased, Event
from adjourn.core.policy import Policy
from adjourn.core.recompute import recompute
from adjourn.core.tree import Tree
from adjourn.store.codec import first_head, next_head
from adjourn.store.interface import Recorded, Store
from adjourn.store.text import Sealed
from adjourn.store.views import Kept, empty, moved, text_of


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
    while True:
        rows = await store.read(conversation)
        found = await _verify(store, conversation, policies, rows)
        newest = rows[-1].number if rows else 0
        if not found.faults or not await store.read(conversation, newest):
            return found  # else it went on meanwhile, and that may be all that was found


async def _verify(
    store: Store, conversation: str, policies: Mapping[str, Policy], rows: Sequence[Recorded]
) -> Verified:
    found = Verified(conversation, events=len(rows))
    chain = _chain(conversation, rows)
    found.faults += chain
    try:
        events = [row.event for row in rows]
    except DamagedLog as error:
        found.faults.append(str(error))
        return found
    found.faults += _texts(events, await store.texts(conversation))
    try:
        made = _made(conversation, events)
    except DamagedLog as error:
        found.faults.append(str(error))
        return found
    again = recompute(conversation, events, policies)
    found.again, found.only_chained = again.again, again.only_read
    found.faults += [f"event {number}: {why}" for number, why in again.faults]
    if not chain:  # else it is not known which of the two is right
        found.faults += await _beside(store, made)
    return found


def _made(conversation: str, events: Sequence[Event]) -> Kept:
    """Return what these events make of a conversation; raises DamagedLog for one that cannot come where it is."""
    kept = empty(conversation)
    for number, event in enumerate(events, 1):
        try:
            made = moved(kept, (event,))
        except (KeyError, Impossible) as error:
            raise DamagedLog(f"event {number}: it cannot have come here: {error}") from error
        kept = made.kept
        kept.tree.nodes.update(made.nodes)
    return kept


async def _beside(store: Store, made: Kept) -> list[str]:
    """Compare what is kept beside the events with what they make."""
    conversation, number = made.tree.id, made.tree.number
    try:
        line = await store.line(conversation)
        if line and line[0].number > number:
            return [f"event {number + 1} is missing"]
        same = line == ((made.line, made.head) if number else None)
        if same and await store.see(conversation, lambda kept: _same(kept, made.tree)):
            return []
    except DamagedLog:
        pass
    return ["what is kept beside the events differs from them: `adjourn db rebuild` makes it again"]


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
        node = text_of(event)
        text = texts.get(node)
        if text is None and number > erased:
            faults.append(f"event {number + 1}: the text of {node} is gone, and was not erased")
        elif text is not None and number < erased:
            faults.append(f"event {number + 1}: the text of {node} is there, though it was erased")
        elif text is not None and text.digest != digest:
            faults.append(f"event {number + 1}: the text of {node} is not what was written")
    return faults


def _same(kept: Tree, folded: Tree) -> bool:
    return replace(kept, nodes={}) == replace(folded, nodes={}) and all(
        kept.nodes.get(node) == value for node, value in folded.nodes.items()
    )
