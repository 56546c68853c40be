"""How a message is recognised: a request as a path of elements, each with a keyed digest (DESIGN, section 7).

A digest of the path leads from a message to its node; one of the message alone does so where a client has cut off or
changed what came before. Both are keyed with the scope, so that two scopes never meet.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from adjourn.wire.canonical import canonical
from adjourn.wire.request import ASSISTANT, USER, Request

STEP = "step"
"""An assistant's message that calls tools of the client's: it belongs to an answer, and is not one yet."""


class Element(NamedTuple):
    """A user message, an answer, or a step of one. `last`: the index of its last message in the request."""

    last: int
    role: str
    text: str
    others: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Makes the digests of one scope, with this store's secret."""

    secret: bytes
    scope: str

    @property
    def root(self) -> bytes:
        """The digest of the empty path."""
        return hashlib.blake2b(self.scope.encode(), key=self.secret, digest_size=16).digest()

    def path(self, above: bytes, role: str, text: str, others: bytes = b"") -> bytes:
        """Return the digest of a path that ends with this message. Of a step, the ids of its calls say enough."""
        digest = hashlib.blake2b(above, key=self.secret, digest_size=16)
        named = role == STEP and others.strip(b"\0")  # clients drop the words beside calls
        words = "" if named else canonical(text, assistant=role != USER)
        digest.update(f"{role}\0{words}\0".encode() + others)
        return digest.digest()

    def alone(self, role: str, text: str, others: bytes = b"") -> bytes:
        """Return the digest of this message alone."""
        return self.path(self.root + b"alone", role, text, others)

    def broken(self, above: bytes) -> bytes:
        """Return the digest that leads to what came of an answer to this message before it broke off."""
        return self.path(above, "broken", "")

    def elements(self, request: Request) -> Iterator[Element]:
        """Yield the path of a request: context and results of tools are no elements."""
        digest = self.root
        for index, role, text, others in _grouped(request):
            digest = self.path(digest, role, text, others)
            yield Element(index, role, text, others, digest)

    def below(self, above: bytes, said: Sequence[Element]) -> list[Element]:
        """Return the same elements on another path."""
        moved = []
        for element in said:
            above = self.path(above, element.role, element.text, element.others)
            moved.append(element._replace(digest=above))
        return moved


def _grouped(request: Request) -> Iterator[tuple[int, str, str, bytes]]:
    """Yield index, role, text and what else there is; assistant's messages in a row are one, up to a call of tools."""
    texts: list[str] = []
    last = -1
    for index, message in enumerate(request.messages):
        if message.role == ASSISTANT:
            texts.append(message.text)
            last = index
            if message.steps:
                yield index, STEP, "\n".join(texts), message.others
                texts = []
        elif message.role == USER:
            if texts:
                yield last, ASSISTANT, "\n".join(texts), b""
                texts = []
            yield index, USER, message.text, message.others
    if texts:
        yield last, ASSISTANT, "\n".join(texts), b""


def quoted(text: str) -> Iterator[tuple[str, str]]:
    """Yield role and words of the messages that a text quotes: lines that begin with who said them."""
    role, words = "", list[str]()
    for line in text.splitlines():
        said, colon, rest = line.partition(":")
        named = _SPEAKERS.get(said.strip(" *#<>").lower()) if colon else None
        if named is None and not line.lstrip().startswith("</"):
            words.append(line)
            continue
        if role and words:
            yield role, "\n".join(words)
        role, words = named or "", [rest]
    if role and words:
        yield role, "\n".join(words)


_SPEAKERS = {"user": USER, "human": USER, "user message": USER, "assistant": ASSISTANT, "ai": ASSISTANT}
