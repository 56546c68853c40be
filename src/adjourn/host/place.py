"""A place in a conversation: where a request stands, and the path to it in the tree. Nothing is looked up here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adjourn.core.tree import Tree
from adjourn.host.identify import STEP, Element
from adjourn.store import Lookup
from adjourn.wire.request import USER


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request stands.

    `conversation`: None for a new one. `said`: the elements of the request; `newest`: which of them is its newest user
    message; what comes behind it is the answer that the request goes on with. `found`: the nodes that elements may be.
    `anchor`: the newest answer of ours; `loose`: what stands above it is told otherwise than it was. `broken`: elements
    that are what came of an answer before it broke off. `like`: where the anchor may stand, if it is no one place;
    `shared`: which element that was, in a conversation that begins anew.
    """

    conversation: str | None
    said: Sequence[Element]
    newest: int
    found: Mapping[int, Sequence[Lookup]] = field(default_factory=dict)
    anchor: int | None = None
    loose: bool = False
    broken: frozenset[int] = frozenset()
    like: Sequence[Lookup] = ()
    many: bool = False
    shared: int | None = None

    @property
    def message(self) -> Element:
        """The newest user message."""
        return self.said[self.newest]

    @property
    def goes_on(self) -> Sequence[int]:
        """The elements behind the newest user message: the request goes on with an answer to it."""
        return range(self.newest + 1, len(self.said))

    @property
    def is_on_its_path(self) -> bool:
        """Whether all that stands before the newest message is a path of this conversation, as it is told."""
        start = 0 if self.anchor is None else self.anchor + 1
        return not self.loose and all(self.found.get(index) for index in range(start, self.newest))

    def at(self, anchor: Lookup) -> "Place":
        """Return the place below this answer."""
        found = {self.anchor: [anchor]} if self.anchor is not None else {}
        return replace(self, conversation=anchor.conversation, found=found, like=())

    def told(self, conversation: str) -> "Place":
        """Return the place in a conversation to which all of it was told."""
        return replace(self, conversation=conversation, found={}, anchor=None, loose=False, like=())

    def new(self) -> "Place":
        """Return the place in a conversation that begins with this request."""
        return replace(self, conversation=None, found={}, anchor=None, shared=self.anchor, broken=frozenset())


def trace(tree: Tree, place: Place) -> list[str | None]:
    """Return the node of each element up to the newest user message; None for what is not in the tree."""
    nodes: list[str | None] = [None] * (place.newest + 1)
    above: str | None = None
    start = 0
    if place.anchor is not None:
        node = _pick(tree, place.found[place.anchor], None)
        start = place.anchor + 1
        if start > place.newest + 1:  # of the answer that the request goes on with
            nodes[place.newest] = tree.nodes[node].parent if node is not None else None
        else:
            nodes[place.anchor], above = node, answering(tree, node)
    for index in range(start, place.newest + 1):
        nodes[index] = _pick(tree, place.found.get(index, ()), above)
        above = answering(tree, nodes[index]) or above
    return nodes


def climb(tree: Tree, place: Place, nodes: list[str | None]) -> None:
    """Fill in the nodes above the anchor: they are what stands above it in the tree, however the client tells it."""
    if place.anchor is None:
        return
    known = min(place.anchor, place.newest)
    node = nodes[known]
    for index in range(known - 1, -1, -1):
        role = place.said[index].role
        if role == STEP or node is None:
            continue
        above = tree.nodes[node].parent
        if above is not None and role == USER and not tree.nodes[above].is_user:
            above = tree.nodes[above].parent  # an answer that broke off, of which the client has nothing
        nodes[index] = node = above


def answering(tree: Tree, node: str | None) -> str | None:
    """Return the node below which a message stands: of a step, the message that it answers."""
    if node is None:
        return None
    kept = tree.nodes[node]
    is_step = kept.message is None and kept.answer is None
    return kept.parent if is_step else node


def is_closed(tree: Tree, place: Place, nodes: Sequence[str | None]) -> bool:
    """Whether the request goes on below an end: with a message, or with the closed answer or one put in its place."""
    above: str | None = None
    for index, node in enumerate(nodes):
        if node is None and index <= (place.anchor if place.anchor is not None else -1):
            continue
        if node is None or index == place.newest:
            return tree.is_ended(above) or (node is not None and goes_on(tree, place, node))
        above = answering(tree, node)
    return False


def goes_on(tree: Tree, place: Place, node: str) -> bool:
    """Whether the request goes on with a closed answer to `node`, or one put in its place, not with a new message."""
    if not place.goes_on or not tree.is_ended(node):
        return False
    below = place.goes_on if place.anchor is None else range(max(place.newest + 1, place.anchor), len(place.said))
    return not all(_is_open(tree, place.found.get(index, ())) for index in below)


def _is_open(tree: Tree, lookups: Sequence[Lookup]) -> bool:
    return any(found.own and found.node not in tree.ended for found in lookups)


def _pick(tree: Tree, lookups: Sequence[Lookup], above: str | None) -> str | None:
    """Return the node that is meant: of two that are alike the one where it is closed, else the one below `above`."""
    nodes = [lookup.node for lookup in lookups]
    if len(nodes) < 2:
        return nodes[0] if nodes else None
    ended = [node for node in nodes if tree.is_ended(node)]
    below = [node for node in nodes if tree.nodes[node].parent == above]
    return (ended or below or nodes)[0]
