"""The fold: from facts to a tree of nodes, with what is kept on each node and on the tree.

Everything that a later turn needs stands on the parent's node and on the tree, so a turn costs the same at any
length. The fold only copies what the events say; `decide` and `acts` compute it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adjourn.core.events import (
    Answer,
    AttemptEnded,
    AttemptStarted,
    Claimed,
    Ended,
    Event,
    Guided,
    Held,
    Inherited,
    Judged,
    Lifted,
    Opened,
    RefusedRead,
    Reopened,
    Signals,
    Step,
    UserReceived,
)
from adjourn.core.machine import EMPTY, AnswerKind, Finish, Hold, Registers, Stage, UserKind, same
from adjourn.core.reading import LOCAL, Flag, Matter, Opinion, RiskKind


class Node(NamedTuple):
    """One message, and what is kept on it: `message` or `answer` says what it is, neither of a text only read so far.

    `number`: of the event that brought it. `at`: when the newest user message on its path was received.
    `registers`: on an answer those after it, on a user message those before it. `read`: its local risk reading is
    complete. `flags`, `family`, `risk_kind`: what the witnesses said, together; `risk_by`: who saw a sign of risk.
    On an answer, or a step of one: `guided`, what its attempt put into the view; `guided_above`: the nearest such
    answer above a node.
    On a user message: `still` (nothing about it may count), `begun` (something stands below it), `may_warn` (a judge
    said yes to a warning, once it was redirected).
    """

    number: int = 0
    parent: str | None = None
    at: int = 0
    message: UserKind | None = None
    answer: AnswerKind | None = None
    stage: Stage = Stage.OPEN
    registers: Registers = EMPTY
    finish: Finish | None = None
    read: bool = False
    flags: frozenset[Flag] = frozenset()
    family: str | None = None
    risk_kind: RiskKind | None = None
    risk_by: tuple[str, ...] = ()
    still: bool = False
    observe_only: bool = False
    begun: bool = False
    guided: Guided | None = None
    guided_above: str | None = None
    may_warn: bool = False

    @property
    def is_user(self) -> bool:
        return self.message is not None

    @property
    def blind(self) -> bool:
        """Whether a risk reading is owed: of a user's words, taken or refused, and of what the client claims."""
        return self.number > 0 and not self.read and self.finish in (None, Finish.CLAIMED)


UNSEEN = Node()
NOTHING_SEEN = Node(read=True)

SIGNS = frozenset({Flag.RISK, Flag.RISK_CLEAR, Flag.SUPPORTED})
"""The flags that are a sign of risk."""

LASTING = frozenset({Stage.LAST_RESORT, Stage.REQUESTED, Stage.ASKED})
"""The stages that belong to one message, and count only while it is newer than every hold and reviewer's act."""

KEPT_ATTEMPTS = 16
"""Of so many attempts under way at once it is known what they put into the view."""

Nodes = MutableMapping[str, Node]


class Overlay(Nodes):
    """Nodes over others that stay as they are: `changed` holds what is new."""

    __slots__ = ("base", "changed")

    def __init__(self, base: Mapping[str, Node], changed: dict[str, Node]) -> None:
        self.base = base
        self.changed = changed

    def __getitem__(self, node: str) -> Node:
        found = self.changed.get(node)
        return found if found is not None else self.base[node]

    def get(self, node: str, default: Any = None) -> Any:
        """Return the node, or the default: without the detour of the mixin's, which every turn would pay for."""
        found = self.changed.get(node)
        if found is not None:
            return found
        if type(self.base) is dict:  # most nodes that are asked for so are new: an exception for each would cost more
            return self.base.get(node, default)
        try:
            return self.base[node]
        except KeyError:
            return default

    def __setitem__(self, node: str, value: Node) -> None:
        self.changed[node] = value

    def __delitem__(self, node: str) -> None:
        raise TypeError("a node is never removed")

    def __iter__(self) -> Iterator[str]:
        return iter({**self.base, **self.changed})

    def __len__(self) -> int:
        return len({**self.base, **self.changed})


@dataclass(kw_only=True)
class Tree:
    """A conversation as its events made it.

    `number`: of the newest event. `last_hold`: of the event at which a hold last stood. `floor`: of a reviewer's newest
    act. `blind`: how many messages await a risk reading. `ended`: the ends that stand, by closing answer. `attempts`:
    what the attempts without an answer yet put into the view.
    """

    id: str
    nodes: Nodes = field(default_factory=dict)
    number: int = 0
    opened: Opened | None = None
    held: Hold = Hold.NO
    since_faint: int | None = None
    frozen: bool = False
    last_hold: int = 0
    floor: int = 0
    blind: int = 0
    ended: Mapping[str, Ended] = field(default_factory=dict)
    attempts: Mapping[str, Guided] = field(default_factory=dict)

    def draft(self) -> "Tree":
        """Return a tree that reads through to this one and leaves it as it is."""
        draft = Tree.__new__(Tree)
        draft.__dict__.update(self.__dict__)
        nodes = self.nodes
        if type(nodes) is Overlay:  # one layer, however often it is done
            draft.nodes = Overlay(nodes.base, dict(nodes.changed))
        else:
            draft.nodes = Overlay(nodes, {})
        return draft

    def registers(self, node: str | None) -> Registers:
        """Return what counts at this node: nothing, if a reviewer has acted since."""
        kept = self.nodes[node] if node is not None else UNSEEN
        return kept.registers if kept.number > self.floor else EMPTY

    def fresh(self, node: Node) -> bool:
        """Whether no hold has stood and no reviewer has acted since this node came."""
        return node.number > max(self.last_hold, self.floor)

    def is_ended(self, node: str | None) -> bool:
        """Whether the path to a message written below `node` is ended.

        It is, if it has a node below a user message that a standing end answers, other than through another
        complete answer of this host. An end is committed only where nothing stands below the message, and nothing
        is taken on an ended path: so only the closing answer and that message itself can be asked about.
        """
        return node in self.ended or any(end.node == node for end in self.ended.values())

    def standing(self, node: str | None) -> Stage:
        """Return what the tables and registers say at this node, whatever is held or ended."""
        if node is None:
            return Stage.OPEN
        kept = self.nodes[node]
        over = kept.stage is Stage.LAST_RESORT and kept.begun
        if kept.stage in LASTING and self.fresh(kept) and not over:
            return kept.stage
        return same(self.registers(node))

    def stage(self, node: str | None) -> Stage:
        """Return where the path that stops at this node stands (None: before the first message)."""
        above = self.nodes[node].parent if node is not None and self.nodes[node].is_user else node
        if self.ended and self.is_ended(above):
            return Stage.ENDED
        return Stage.HELD if self.held else self.standing(node)


def fold(events: Iterable[Event], conversation: str = "") -> Tree:
    """Return the tree that these events, which are all of a conversation, make."""
    tree = Tree(id=conversation)
    for event in events:
        apply(tree, event)
    return tree


class Facts(tuple[Event, ...]):
    """Facts in their order, which know the tree before and after them: nobody needs to fold them again."""

    before: Tree
    after: Tree

    @classmethod
    def of(cls, events: Iterable[Event], before: Tree, after: Tree) -> "Facts":
        """Return these facts, which lead from one tree to the other."""
        facts = cls(events)
        facts.before, facts.after = before, after
        return facts

    @classmethod
    def none(cls, tree: Tree) -> "Facts":
        """Return no facts yet."""
        return cls.of((), tree, tree)

    def then(self, events: Iterable[Event]) -> "Facts":
        """Return these facts and more."""
        more = tuple(events) if not isinstance(events, tuple) else events
        return Facts.of((*self, *more), self.before, after(self.after, more)) if more else self


def after(tree: Tree, events: Iterable[Event]) -> Tree:
    """Return the tree as it is after these events; the one given stays as it is."""
    if isinstance(events, Facts) and events.before is tree:
        return events.after
    draft = tree.draft()
    for event in events:
        apply(draft, event)
    return draft


def apply(tree: Tree, event: Event) -> None:
    """Move the tree on by one event."""
    tree.number += 1
    move = _MOVES.get(type(event))
    if move is not None:
        move(tree, event)
    if tree.held:
        tree.last_hold = tree.number


def _opened(tree: Tree, event: Opened) -> None:
    tree.opened = event


def _signals(tree: Tree, event: Signals) -> None:
    node = tree.nodes.get(event.about, UNSEEN)
    reading = event.reading
    if node is UNSEEN and not reading.flags and not reading.failed and reading.witness == LOCAL:
        tree.nodes[event.about] = NOTHING_SEEN  # most messages
        return
    risk_by = node.risk_by
    if reading.flags & SIGNS and reading.witness not in risk_by:
        risk_by = (*risk_by, reading.witness)
    seen = node._replace(
        read=node.read or (reading.witness == LOCAL and not reading.failed),
        flags=node.flags | reading.flags,
        family=node.family or reading.family,
        risk_kind=node.risk_kind or reading.risk_kind,
        risk_by=risk_by,
    )
    tree.nodes[event.about] = seen
    tree.blind += seen.blind - node.blind


def _judged(tree: Tree, event: Judged) -> None:
    if event.matter is Matter.WARN:
        node = tree.nodes[event.node]
        tree.nodes[event.node] = node._replace(may_warn=event.opinion is Opinion.YES)


def _received(tree: Tree, event: UserReceived) -> None:
    tree.held, tree.since_faint, tree.frozen = event.held, event.since_faint, event.frozen
    _arrive(
        tree,
        event.node,
        parent=event.parent,
        at=event.at,
        message=event.kind,
        stage=event.stage,
        registers=event.before,
        observe_only=event.observe_only,
        still=event.kind is UserKind.RISK or event.frozen or event.observe_only,
    )


def _claimed(tree: Tree, event: Claimed) -> None:
    at = tree.nodes[event.parent].at if event.parent is not None else 0
    _arrive(tree, event.node, parent=event.parent, at=at, message=event.kind, registers=event.before, still=True)


def _answer(tree: Tree, event: Answer) -> None:
    at = tree.nodes[event.parent].at if event.parent is not None else 0
    _arrive(
        tree,
        event.node,
        parent=event.parent,
        at=at,
        answer=event.kind,
        stage=event.stage,
        registers=event.after,
        finish=event.finish,
        guided=tree.attempts.get(event.attempt or ""),
    )
    _settled(tree, event.attempt)


def _step(tree: Tree, event: Step) -> None:
    guided = tree.attempts.get(event.attempt)
    _arrive(tree, event.node, parent=event.parent, at=event.at, finish=Finish.STOP, guided=guided)
    _settled(tree, event.attempt)


def _attempt(tree: Tree, event: AttemptStarted) -> None:
    _settled(tree, event.attempt)
    if event.guided is not None:  # of those that a crash left without an end, the newest are kept
        kept = dict(list(tree.attempts.items())[1 - KEPT_ATTEMPTS :])
        tree.attempts = {**kept, event.attempt: event.guided}


def _settled(tree: Tree, attempt: str | None) -> None:
    if attempt in tree.attempts:
        tree.attempts = {other: guided for other, guided in tree.attempts.items() if other != attempt}


def _inherited(tree: Tree, event: Inherited) -> None:
    node = tree.nodes[event.node]
    stage = Stage.ASKED if event.asked else node.stage
    tree.nodes[event.node] = node._replace(registers=event.registers, stage=stage)
    counters = [since for since in (tree.since_faint, event.since_faint) if since is not None]
    tree.held, tree.since_faint = max(tree.held, event.held), min(counters, default=None)
    tree.frozen = tree.frozen or event.held is not Hold.NO or bool(counters)


def _refused(tree: Tree, event: RefusedRead) -> None:
    _arrive(tree, event.text, parent=event.parent, at=event.at)


def _arrive(tree: Tree, node: str, **kept: Any) -> None:
    """Set a node that may have been read already, and count it among the blind if a reading is owed."""
    parent: str | None = kept["parent"]
    above = tree.nodes[parent] if parent is not None else UNSEEN
    guided_above = parent if above.guided else above.guided_above
    seen = tree.nodes.get(node, UNSEEN)
    if seen is NOTHING_SEEN:  # most messages: then there is nothing to copy
        arrived = Node(number=tree.number, guided_above=guided_above, read=True, **kept)
    else:
        arrived = seen._replace(number=tree.number, guided_above=guided_above, **kept)
    tree.nodes[node] = arrived
    tree.blind += arrived.blind
    if parent is not None and (arrived.message or arrived.answer) and not above.begun:
        tree.nodes[parent] = above._replace(begun=True)


def _held(tree: Tree, event: Held) -> None:
    tree.held = max(tree.held, event.level)
    tree.frozen = True
    if event.level is Hold.QUIET:
        tree.since_faint = 0
    else:
        tree.ended = {}
    node = tree.nodes[event.about]
    tree.nodes[event.about] = node._replace(still=True)


def _ended(tree: Tree, event: Ended) -> None:
    tree.ended = {**tree.ended, event.answer: event}


def _reopened(tree: Tree, event: Reopened) -> None:
    tree.ended = {}
    tree.floor = tree.number


def _lifted(tree: Tree, event: Lifted) -> None:
    tree.held, tree.since_faint, tree.frozen = Hold.NO, None, False
    tree.floor = tree.number


_MOVES: Mapping[type, Callable[[Tree, Any], None]] = {
    Opened: _opened,
    Signals: _signals,
    Judged: _judged,
    UserReceived: _received,
    Claimed: _claimed,
    Inherited: _inherited,
    AttemptStarted: _attempt,
    AttemptEnded: lambda tree, event: _settled(tree, event.attempt),
    Answer: _answer,
    Step: _step,
    RefusedRead: _refused,
    Held: _held,
    Ended: _ended,
    Reopened: _reopened,
    Lifted: _lifted,
}
"""The facts that move the tree; the others are on record only."""
