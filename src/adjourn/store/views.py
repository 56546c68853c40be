"""What is kept beside the events because it would be slow to compute: made by the fold, in the same transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from adjourn.core.errors import Impossible
from adjourn.core.events import (
    Answer,
    AttemptEnded,
    Claimed,
    Event,
    Judged,
    Opened,
    RefusedRead,
    Signals,
    Step,
    UserReceived,
)
from adjourn.core.machine import Hold
from adjourn.core.tree import Facts, Node, Overlay, Tree
from adjourn.store.codec import encode, first_head, next_head
from adjourn.store.interface import Conversation, Decide, Lookup, Recorded
from adjourn.store.text import Sealed

NEW = Conversation(
    id="", scope="", external=None, opened_at=0, last_at=0, messages=0, held=Hold.NO, ended=False, number=0
)

MESSAGES = (UserReceived, Claimed, Answer)
DATED = (Opened, UserReceived, Answer, RefusedRead)


@dataclass(slots=True)
class Kept:
    """A conversation as a store keeps it: the tree, the chain's digest, and its line in the list."""

    tree: Tree
    head: bytes
    line: Conversation


@dataclass(slots=True)
class Change:
    """What a commit writes: events, and what they make of the nodes, the tree and the line in the list."""

    events: tuple[Event, ...]
    recorded: Sequence[Recorded]
    nodes: dict[str, Node]
    kept: Kept


def empty(conversation: str) -> Kept:
    """Return a conversation of which nothing is kept yet."""
    return Kept(Tree(id=conversation), first_head(conversation), replace(NEW, id=conversation))


def change(kept: Kept, decide: Decide) -> Change:
    """Return what `decide` makes of a conversation; what is kept stays as it is."""
    draft = kept.tree.draft()
    return moved(kept, decide(draft), draft)


def moved(kept: Kept, events: Iterable[Event], draft: Tree | None = None) -> Change:
    """Return what these events make of a conversation. `draft`: of its tree, from which they may come."""
    folded = isinstance(events, Facts) and events.before is draft
    facts = events if folded and isinstance(events, Facts) else Facts.none(kept.tree.draft()).then(events)
    head, recorded, number = kept.head, [], kept.tree.number
    for event in facts:
        name, body = encode(event)
        if (number == 0) != isinstance(event, Opened):
            raise Impossible(f"{name} cannot be the event {number + 1} of conversation {kept.tree.id}")
        number += 1
        head = next_head(head, name, body)
        recorded.append(Recorded(kept.tree.id, number, name, body, head))
    tree = facts.after  # nobody else needs it any more
    assert isinstance(tree.nodes, Overlay)
    changed, tree.nodes = tree.nodes.changed, kept.tree.nodes
    return Change(tuple(facts), recorded, changed, Kept(tree, head, _line(kept.line, facts, tree)))


def named(texts: Sequence[Sealed], events: Sequence[Event]) -> list[Sealed]:
    """Return the texts that these events speak of."""
    digests = {getattr(event, "digest", None) for event in events}
    return [text for text in texts if text.digest in digests]


_TEXT_OF: Mapping[type, Callable[[Any], str]] = {
    RefusedRead: attrgetter("text"),
    AttemptEnded: attrgetter("attempt"),
    Signals: attrgetter("about"),
    Judged: attrgetter("quote"),
    **dict.fromkeys((UserReceived, Claimed, Answer, Step), attrgetter("node")),
}


def text_of(event: Event) -> str:
    """Return the node, or the attempt, with which the text that an event speaks of is kept."""
    of = _TEXT_OF.get(type(event))
    return of(event) if of is not None else ""


def brought(lookups: Sequence[Lookup], events: Sequence[Event]) -> list[Lookup]:
    """Return the look-ups that lead to what these events speak of; what was refused leads nowhere."""
    nodes = {text_of(event) for event in events}
    for event in events:
        if isinstance(event, RefusedRead):
            nodes.discard(event.text)
    return [lookup for lookup in lookups if lookup.node in nodes]


def received(lookups: Sequence[Lookup], events: Sequence[Event]) -> list[Lookup]:
    """Return the look-ups of the user messages that these events take: each is taken once."""
    nodes = {event.node for event in events if isinstance(event, UserReceived)}
    return [lookup for lookup in lookups if lookup.own and lookup.node in nodes]


def _line(line: Conversation, events: Sequence[Event], tree: Tree) -> Conversation:
    opened = tree.opened
    return Conversation(
        id=line.id,
        scope=opened.scope if opened else "",
        external=opened.external if opened else None,
        opened_at=opened.at if opened else 0,
        last_at=max([line.last_at, *(event.at for event in events if isinstance(event, DATED))]),
        messages=line.messages + sum(isinstance(event, MESSAGES) for event in events),
        held=tree.held,
        ended=bool(tree.ended),
        number=tree.number,
    )
