"""Side requests: titles, tags, suggestions that a client asks for beside a conversation (WIRE, What real clients do).

They are told by a header, or by their text: one message, not streamed, no tools, that begins like one and quotes a
conversation that is known. They are never judged and never recorded; beside a closed conversation they are refused.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial

from adjourn.core.tree import Tree
from adjourn.host.identify import Recogniser, quoted
from adjourn.host.inherit import closed_in
from adjourn.host.locate import locate
from adjourn.host.place import is_closed, trace
from adjourn.store import Lookup, Store
from adjourn.wire.request import ASSISTANT, CONTEXT, Request

BEGINNINGS = ("### Task:", "Analyze this conversation", "User message:", "<chat_history>", "<conversation>")
"""How side requests of known clients begin (Open WebUI, LibreChat, HF chat-ui)."""


class Aside(StrEnum):
    """What becomes of a side request: it passes, it is refused, or it is a conversation of its own, only observed."""

    PASSES = "passes"
    CLOSED = "closed"
    OBSERVED = "observed"


def _is_like_one(request: Request) -> bool:
    """Whether a request looks like one by its text."""
    said = [message for message in request.messages if message.role != CONTEXT]
    if request.stream or request.tools or len(said) != 1 or not said[0].text.lstrip().startswith(BEGINNINGS):
        return False
    return any(True for _ in quoted(said[0].text))


async def aside(
    store: Store, recogniser: Recogniser, request: Request, external: str | None, *, told: bool
) -> Aside | None:
    """Return what becomes of a request that its header tells is one, or that looks like one; None: it is none."""
    if not told and not _is_like_one(request):
        return None
    if told and await _goes_on_below_an_end(store, recogniser, request, external):
        return Aside.CLOSED
    conversation = await store.external(recogniser.scope, external) if external is not None else None
    known = await _quoted(store, recogniser, request, conversation)
    if known is not None:
        closed = await store.see(known.conversation, partial(_is_closed, node=known.node))
        return Aside.CLOSED if closed else Aside.PASSES
    if not told:
        return Aside.OBSERVED
    closed = conversation is not None and await store.see(conversation, lambda tree: bool(tree.ended))
    return Aside.CLOSED if closed else Aside.PASSES


async def _quoted(store: Store, recogniser: Recogniser, request: Request, conversation: str | None) -> Lookup | None:
    """Return the newest message of a known conversation that a request quotes."""
    said = [part for message in request.messages if message.role != CONTEXT for part in quoted(message.text)]
    digests = [recogniser.alone(role, words.strip().strip('"')) for role, words in said]
    found: Sequence[Lookup] = await store.find(digests, conversation, alone=True) if digests else ()
    own = {lookup.alone: lookup for lookup in found if lookup.own}
    answers = [digest for digest, (role, _) in zip(digests, said, strict=True) if role == ASSISTANT]
    newest = [digest for digest in (*digests, *answers) if digest in own]  # an answer tells more than a message
    return own[newest[-1]] if newest else None


async def _goes_on_below_an_end(store: Store, recogniser: Recogniser, request: Request, external: str | None) -> bool:
    """Whether the request itself goes on below an end: a header that calls it a side request is no way past it."""
    place = await locate(store, recogniser, request, external)
    if place.like:
        return await closed_in(store, recogniser, place) is not None
    if place.conversation is None:
        return False
    return await store.see(place.conversation, lambda tree: is_closed(tree, place, trace(tree, place)))


def _is_closed(tree: Tree, node: str) -> bool:
    return node in tree.nodes and tree.is_ended(node)
