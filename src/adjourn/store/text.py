"""Message texts: they lie beside the events, which hold only a salted digest."""

import hashlib
import secrets
from dataclasses import dataclass

from adjourn.core.acts import Text


@dataclass(frozen=True, slots=True)
class Sealed:
    """A text with its salt. Once both are gone, the digest in the log says nothing about it."""

    node: str
    text: str
    salt: bytes

    @property
    def digest(self) -> str:
        return hashlib.blake2b(self.text.encode(), key=self.salt, digest_size=20).hexdigest()

    @property
    def reference(self) -> Text:
        """What the events say of it."""
        return Text(self.node, self.digest)


def sealed(node: str, text: str) -> Sealed:
    """Return the text with a salt of its own."""
    return Sealed(node, text, secrets.token_bytes(16))
