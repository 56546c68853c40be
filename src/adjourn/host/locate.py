"""Where a request stands: in which conversation, and below which answer of ours (DESIGN, section 7).

The newest answer of ours in the request is the anchor. What stands above it in the tree is known with it; what stands
below it is looked up. A client may have cut off or changed what came before: then the anchor is recognised by itself
alone, and must be confirmed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from adjourn.core.tree import Tree
from adjourn.host.identify import STEP, Element, Recogniser
from adjourn.host.place import Place, answering, climb, trace
from adjourn.store import MOST, Lookup, Store
from adjourn.wire.canonical import canonical
from adjourn.wire.request import ASSISTANT, USER, Request

BACK = 4
"""Among how many of the newest answers in a request one is looked for by itself alone."""

ENOUGH = 12
"""How many characters a person's words must have to be recognised in the middle of a longer message."""


async def locate(store: Store, recogniser: Recogniser, request: Request, external: str | None) -> Place:
    """Return where a request with a user's words stands."""
    said = list(recogniser.elements(request))
    newest = max(index for index, element in enumerate(said) if element.role == USER)
    new = Place(conversation=None, said=said, newest=newest)
    conversation = await store.external(recogniser.scope, external) if external is not None else None
    if conversation is None and all(element.role == USER for element in said):
        return new  # without an answer of ours it is a new conversation, always
    copied = external is not None and conversation is None
    search = _Search(store, recogniser, said, newest, conversation, copied)
    place = await search.under_way() or await search.anchored() or new
    if len(place.like) > 1 or place.many or copied:
        return place  # it is no one place, or another id for a history that we know: what stands there is inherited
    if place.like:
        place = place.at(place.like[0])
    elif conversation is not None:
        place = replace(place, conversation=conversation)
    return await below(store, recogniser, place)


async def below(store: Store, recogniser: Recogniser, place: Place) -> Place:
    """Return the place with all that is known of it below its anchor."""
    start, said, found = 0, list(place.said), dict(place.found)
    if place.anchor is not None:
        start = place.anchor + 1
        if place.loose:
            anchor = found[place.anchor][0].digest
            said[place.anchor :] = [
                said[place.anchor]._replace(digest=anchor),
                *recogniser.below(anchor, said[start:]),
            ]
    if place.conversation is not None:
        lookups = await store.find([element.digest for element in said[start:]], place.conversation)
        for index in range(start, len(said)):
            found[index] = [lookup for lookup in lookups if lookup.digest == said[index].digest]
    place = replace(place, said=said, found=found)
    unknown = [index for index in range(start, place.newest + 1) if not found.get(index)]
    if place.conversation is None or not unknown or unknown[0] == len(said) - 1:
        return place
    return await _closed_in_other_words(store, place)


async def _closed_in_other_words(store: Store, place: Place) -> Place:
    """Return the place with a closed message that the client tells without what was put around it."""
    index, closed, whole = await store.see(str(place.conversation), partial(_closed_there, place=place))
    kept = await store.texts(str(place.conversation)) if closed else {}
    told = place.said[index]
    for node in closed:
        words = kept[node].text if node in kept else ""
        same = canonical(told.text, assistant=False) == canonical(words, assistant=False)
        if same or (not whole and _is_part(told.text, words)):
            meant = Lookup(told.digest, b"", str(place.conversation), node, own=True)
            return replace(place, found={**place.found, index: [meant]})
    return place


def _closed_there(tree: Tree, place: Place) -> tuple[int, list[str], bool]:
    """Return the first message that is not known, the closed ones that may be it, and whether only by all its words.

    They are those below the same answer; if the client has cut off all that was above, any.
    """
    above: str | None = None
    for index, node in enumerate(trace(tree, place) if tree.ended else ()):
        above = answering(tree, node) or above
        if node is None and place.said[index].role == USER and index > (place.anchor or -1):
            closed = [end.node for end in tree.ended.values() if above in (None, tree.nodes[end.node].parent)]
            return index, closed, above is None
    return 0, [], True


@dataclass(slots=True)
class _Search:
    """Looks up the elements of one request: in one conversation, if it says which.

    `copied`: what is found is the history of another conversation, which is not gone on with: no attempt either.
    """

    store: Store
    recogniser: Recogniser
    said: list[Element]
    newest: int
    conversation: str | None
    copied: bool

    async def under_way(self) -> Place | None:
        """Return the place of the answer that the request goes on with, if we began it: in one conversation only."""
        for index in () if self.copied else range(len(self.said) - 1, self.newest, -1):
            place = await self._known(index) or await self._broken(index) or await self._alone(index)
            if place is not None and len(place.like) == 1 and not place.many:
                return place
        return None

    async def anchored(self) -> Place | None:
        """Return the place below the newest answer of ours, which may be in several conversations, if there is one."""
        answers = [index for index in range(self.newest) if self.said[index].role != USER][::-1]
        for index in answers[:BACK]:
            place = await self._known(index) or await self._broken(index) or await self._alone(index)
            if place is not None:
                return place
        digests = {self.said[index].digest: index for index in answers[BACK:]}
        known = _own(await self._find(list(digests)))
        return await self._known(max(digests[lookup.digest] for lookup in known)) if known else None

    async def _find(self, digests: Sequence[bytes], *, alone: bool = False) -> Sequence[Lookup]:
        return await self.store.find(digests, self.conversation, alone=alone) if digests else ()

    async def _known(self, index: int) -> Place | None:
        """Return the place if this is an answer of ours on the path that the client tells."""
        found = await self._find([self.said[index].digest])
        own = _own(found)
        if not own:
            return None
        place = self._place(index, own, many=self._is_many(found))
        first = all(self.said[before].role == USER for before in range(index))
        if first and self.conversation is None and len(place.like) == 1:
            # The beginning of one may be what a client with a short memory has left of another.
            other = await self._alone(index)
            like = {lookup.conversation: lookup for lookup in (*(other.like if other else ()), *place.like)}
            return replace(place, like=[like[conversation] for conversation in sorted(like)])
        return place

    def _is_many(self, found: Sequence[Lookup]) -> bool:
        """Whether one digest may lead to more than was found: then it may be that what is meant was not."""
        return self.conversation is None and len(found) >= MOST

    def _place(self, index: int, own: Sequence[Lookup], *, many: bool = False, loose: bool = False) -> Place:
        like = {lookup.conversation: lookup for lookup in reversed(own)}
        return Place(
            conversation=None,
            said=self.said,
            newest=self.newest,
            found={index: own},
            anchor=index,
            loose=loose,
            like=[like[conversation] for conversation in sorted(like)],
            many=many,
        )

    async def _broken(self, index: int) -> Place | None:
        """Return the place if this is the beginning of an answer that broke off: the client has what had reached it."""
        told = canonical(self.said[index].text, assistant=True)
        if self.said[index].role != ASSISTANT or index == 0 or self.said[index - 1].role != USER or not told:
            return None
        found = () if self.copied else await self._find([self.recogniser.broken(self.said[index - 1].digest)])
        like = []
        for lookup in found:
            kept = (await self.store.texts(lookup.conversation)).get(lookup.node)
            if kept is not None and canonical(kept.text, assistant=True).startswith(told):
                like.append(lookup)
        if len({lookup.conversation for lookup in like}) != 1 or self._is_many(found):
            return None
        return replace(self._place(index, like), anchor=None, found={}, broken=frozenset([index]))

    async def _alone(self, index: int) -> Place | None:
        """Return the place of this answer whatever the client says came before it, if that can be confirmed.

        In a conversation that the request names it need not be, but for an answer that the request goes on with.
        """
        element = self.said[index]
        found = await self._find([self.recogniser.alone(element.role, element.text, element.others)], alone=True)
        meant: dict[str, list[Lookup]] = {}
        for lookup in _own(found):
            meant.setdefault(lookup.conversation, []).append(lookup)
        like = []
        for there, equal in meant.items():
            own = await self.store.see(there, partial(_newest, lookups=equal))
            confirmed = await self._confirmed(index, there, own)
            if confirmed or (self.conversation is not None and index < self.newest):
                like.append((confirmed or own)[0])
        return self._place(index, like, many=self._is_many(found), loose=True) if like else None

    async def _confirmed(self, index: int, there: str, own: Sequence[Lookup]) -> list[Lookup]:
        """Return where the answer before it, or the message that it answers, is in the request too.

        An answer that the request goes on with answers the newest message, in the same words.
        """
        before = [self.said[place] for place in range(index) if self.said[place].role != STEP][::-1]
        asked = next((one for one in before if one.role == USER), None)
        answer = next((one for one in before if one.role == ASSISTANT), None) if index < self.newest else None
        beside = [self.recogniser.alone(one.role, one.text, one.others) for one in (asked, answer) if one]
        known = {one.node for one in await self.store.find(beside, there, alone=True)}
        above = await self.store.see(there, partial(_above, nodes=[lookup.node for lookup in own]))
        confirmed = [lookup for lookup in own if not known.isdisjoint(above[lookup.node])]
        if asked is None or index > self.newest or len(confirmed) == len(own):
            return confirmed
        kept = await self.store.texts(there)
        words = {node: kept[message].text for node, (message, _) in above.items() if message and message in kept}
        return [one for one in own if one in confirmed or _is_part(asked.text, words.get(one.node, ""))]


async def altered(store: Store, recogniser: Recogniser, place: Place) -> Mapping[int, str]:
    """Return which elements above the anchor are told in words that we do not know, and the nodes that they are."""
    if not place.loose or place.anchor is None or place.conversation is None:
        return {}
    alone = {
        recogniser.alone(element.role, element.text, element.others): index
        for index, element in enumerate(place.said[: min(place.anchor, place.newest + 1)])
    }
    known = {lookup.alone for lookup in await store.find(list(alone), place.conversation, alone=True)}
    nodes = await store.see(place.conversation, partial(_climbed, place=place))
    first = next(node for node in nodes if node is not None)
    return {index: nodes[index] or first for digest, index in alone.items() if digest not in known}


def _climbed(tree: Tree, place: Place) -> list[str | None]:
    nodes = trace(tree, place)
    climb(tree, place, nodes)
    return nodes


def _own(lookups: Sequence[Lookup]) -> list[Lookup]:
    return [lookup for lookup in lookups if lookup.own]


def _newest(tree: Tree, lookups: Sequence[Lookup]) -> Sequence[Lookup]:
    """Return where equal answers of one conversation may be: where it is closed, then the newest."""
    ended = {lookup.node for lookup in lookups if tree.is_ended(lookup.node)} if tree.ended else set()
    number = {lookup.node: tree.nodes[lookup.node].number for lookup in lookups}
    return sorted(lookups, key=lambda lookup: (lookup.node not in ended, -number[lookup.node]))[:MOST]


def _above(tree: Tree, nodes: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """Return, of each answer, the message that it answers and the answer above that."""
    messages = {node: tree.nodes[node].parent for node in nodes}
    return {
        node: (message, tree.nodes[message].parent if message is not None else None)
        for node, message in messages.items()
    }


def _is_part(told: str, kept: str) -> bool:
    """Whether these are a person's words without what was put around them (retrieved passages, say)."""
    words, whole = canonical(told, assistant=False), canonical(kept, assistant=False)
    within = len(words) >= ENOUGH and words in whole
    return bool(words) and (within or whole.startswith(words) or whole.endswith(words))
