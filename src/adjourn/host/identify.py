"""Whose conversation a request belongs to, and where in it (DESIGN, section 7).

Clients resend the whole history. A keyed digest of the path leads from each message to a node; two conversations
of different scopes never share one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from adjourn.store import Lookup, Store
from adjourn.wire.canonical import canonical
from adjourn.wire.request import ASSISTANT, USER, Request


@dataclass(frozen=True, slots=True)
class Element:
    """A user message, or all steps of an answer; `index`: of its last message in the request."""

    index: int
    role: str
    text: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request stands.

    `conversation`: None for a new one. `path`: the elements before the newest user message, and then that one, each
    with the nodes that it may be. `tail`: the nodes that the answer below it may be, if the request goes on with one
    ("continue response"). `like`: where the newest answer may stand, if nothing tells several conversations apart.
    """

    conversation: str | None
    path: Sequence[tuple[Element, Sequence[Lookup]]]
    tail: Sequence[Lookup] | None = None
    like: Sequence[Lookup] = ()

    @property
    def newest(self) -> Element:
        """The newest user message."""
        return self.path[-1][0]

    @property
    def nearest(self) -> Sequence[str]:
        """The conversations that know most of the path that the request goes on below."""
        above = self.path if self.tail is not None else self.path[:-1]
        known = next((nodes for _, nodes in reversed(above) if nodes), ())
        return sorted({node.conversation for node in [*known, *self.like]})

    def within(self, conversation: str | None) -> "Place":
        """Return the place in this conversation."""
        path = [(said, [node for node in nodes if node.conversation == conversation]) for said, nodes in self.path]
        tail = self.tail and [node for node in self.tail if node.conversation == conversation]
        return Place(conversation=conversation, path=path, tail=tail)


def elements(secret: bytes, scope: str, request: Request) -> Iterator[Element]:
    """Yield the path of a request up to its newest user message: context and tools are no nodes.

    Behind it comes the answer that the request goes on with, if there is one beside calls of tools.
    """
    digest = hashlib.blake2b(scope.encode(), key=secret, digest_size=16).digest()
    answer: list[int] = []
    newest = request.newest
    for index, message in enumerate(request.messages[: newest + 1]):
        if message.role == ASSISTANT:
            answer.append(index)
        elif message.role == USER:
            if answer:
                yield (said := _element(secret, digest, request, answer, ASSISTANT))
                digest, answer = said.digest, []
            yield (said := _element(secret, digest, request, [index], USER))
            digest = said.digest
    tail = [
        index
        for index, message in enumerate(request.messages)
        if index > newest and message.role == ASSISTANT and not message.steps
    ]
    if tail:
        yield _element(secret, digest, request, tail, ASSISTANT)


def _element(secret: bytes, above: bytes, request: Request, indices: Sequence[int], role: str) -> Element:
    text = "\n".join(request.messages[index].text for index in indices).strip("\n")
    others = b"" if role == ASSISTANT else request.messages[indices[0]].others
    return Element(indices[-1], role, text, path_digest(secret, above, role, text, others))


def path_digest(secret: bytes, above: bytes, role: str, text: str, others: bytes = b"") -> bytes:
    """Return the digest of a path that ends with this message."""
    digest = hashlib.blake2b(above, key=secret, digest_size=16)
    digest.update(f"{role}\0{canonical(text, assistant=role == ASSISTANT)}\0".encode() + others)
    return digest.digest()


async def locate(store: Store, secret: bytes, scope: str, request: Request, external: str | None) -> Place:
    """Return where a request with a user's words stands."""
    said = list(elements(secret, scope, request))
    if external is None and len(said) == 1:  # without an answer of ours it is a new conversation, always
        return Place(conversation=None, path=[(said[0], ())])
    found: dict[bytes, list[Lookup]] = {}
    for lookup in await store.find([element.digest for element in said]):
        found.setdefault(lookup.digest, []).append(lookup)
    path = [(element, found.get(element.digest, ())) for element in said]
    tail = path.pop()[1] if said[-1].role == ASSISTANT else None
    place = Place(conversation=None, path=path, tail=tail)
    if external is not None:
        return place.within(await store.external(scope, external))
    own = ([node for node in nodes if node.own] for said, nodes in reversed(place.path[:-1]) if said.role == ASSISTANT)
    newest = {node.conversation: node for node in next((anchors for anchors in own if anchors), [])}
    if len(newest) > 1:
        return replace(place, like=[newest[conversation] for conversation in sorted(newest)])
    return place.within(next(iter(newest), None))
