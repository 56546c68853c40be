"""What is kept beside the events because it would be slow to compute: made by the fold, in the same transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from adjourn.core.errors import Impossible
from adjourn.core.events import (
    Answer,
    AttemptEnded,
    Claimed,
    Event,
    Opened,
    RefusedRead,
    Signals,
    Step,
    UserReceived,
)
from adjourn.core.machine import Hold
from adjourn.core.tree import Node, Overlay, Tree, apply
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
    return moved(kept, decide(kept.tree.draft()))


def moved(kept: Kept, events: Iterable[Event]) -> Change:
    """Return what these events make of a conversation."""
    tree = kept.tree.draft()
    nodes = tree.nodes
    assert isinstance(nodes, Overlay)
    head, recorded = kept.head, []
    events = tuple(events)
    for event in events:
        name, body = encode(event)
        if (tree.opened is None) != isinstance(event, Opened):
            raise Impossible(f"{name} cannot be the event {tree.number + 1} of conversation {tree.id}")
        apply(tree, event)
        head = next_head(head, name, body)
        recorded.append(Recorded(tree.id, tree.number, name, body, head))
    tree.nodes = kept.tree.nodes
    return Change(events, recorded, nodes.changed, Kept(tree, head, _line(kept.line, events, tree)))


def named(texts: Sequence[Sealed], events: Sequence[Event]) -> list[Sealed]:
    """Return the texts that these events speak of."""
    digests = {getattr(event, "digest", None) for event in events}
    return [text for text in texts if text.digest in digests]


def text_of(event: Event) -> str:
    """Return the node, or the attempt, with which the text that an event speaks of is kept."""
    match event:
        case RefusedRead():
            return event.text
        case AttemptEnded():
            return event.attempt
        case Signals():
            return event.about
        case UserReceived() | Claimed() | Answer() | Step():
            return event.node
        case _:
            return ""


def brought(lookups: Sequence[Lookup], events: Sequence[Event]) -> list[Lookup]:
    """Return the look-ups that lead to what these events speak of; what was refused leads nowhere."""
    refused = {event.text for event in events if isinstance(event, RefusedRead)}
    nodes = {text_of(event) for event in events} - refused
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
