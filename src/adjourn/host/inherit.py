"""A conversation whose beginning nothing tells from that of others inherits the least of theirs (DESIGN, section 7).

So it is where a client copies a chat under an id of its own, and where people say and hear the same.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from adjourn.core.events import Inherited
from adjourn.core.machine import EMPTY, Hold, Registers, Stage
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.host.identify import Recogniser
from adjourn.host.locate import below
from adjourn.host.place import Place, answering, is_closed, trace
from adjourn.store import Lookup, Store


async def closed_in(store: Store, recogniser: Recogniser, place: Place) -> Place | None:
    """Return the place in the one of several conversations that is closed there, if one is.

    Also one that began as one of them, and knows more of the path.
    """
    beyond = [element.digest for element in place.said[1 + (place.anchor or 0) :]]
    places = [place.at(like) for like in place.like]
    known = {like.conversation for like in place.like}
    places += [place.told(there) for there in {one.conversation for one in await store.find(beyond)} - known]
    for there in places:
        whole = await below(store, recogniser, there)
        if await store.see(str(whole.conversation), partial(_is_closed, place=whole)):
            return whole
    return None


def _is_closed(tree: Tree, place: Place) -> bool:
    return is_closed(tree, place, trace(tree, place))


async def inherited(store: Store, policy: Policy, likes: Sequence[Lookup], at: int) -> Inherited:
    """Return what these have in common: the least of their registers, and a hold of any."""
    seen = [
        await store.see(like.conversation, partial(_standing, node=like.node, since=at - policy.idle_ms))
        for like in likes
    ]
    least = min((registers for registers, *_ in seen), key=lambda kept: kept.k)
    warned = all(registers.warned for registers, *_ in seen)
    since = [since for *_, since in seen if since is not None]
    return Inherited(
        node="",
        registers=replace(least, warned=least.warned if warned else None),
        asked=all(asked for _, asked, _, _ in seen),
        held=max(held for _, _, held, _ in seen),
        since_faint=min(since, default=None),
        of=tuple(like.conversation for like in likes),
    )


def _standing(tree: Tree, node: str, since: int) -> tuple[Registers, bool, Hold, int | None]:
    node = answering(tree, node) or node
    if tree.nodes[node].at < since:  # idle: only the hold goes on
        return EMPTY, False, tree.held, tree.since_faint
    return tree.registers(node), tree.standing(node) is Stage.ASKED, tree.held, tree.since_faint
