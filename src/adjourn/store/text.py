"""Message texts: they lie beside the events, which hold only a salted digest."""

import hashlib
import secrets
import threading
from dataclasses import dataclass, field

from adjourn.core.acts import Text


@dataclass(slots=True)
class Sealed:
    """A text with its salt. Once both are gone, the digest in the log says nothing about it."""

    node: str
    text: str
    salt: bytes
    _digest: str = field(default="", init=False, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """The salted digest of the text, which is computed once."""
        if not self._digest:
            self._digest = hashlib.blake2b(self.text.encode(), key=self.salt, digest_size=20).hexdigest()
        return self._digest

    @property
    def reference(self) -> Text:
        """What the events say of it."""
        return Text(self.node, self.digest)


class _Chance:
    """Random bytes of the system, fetched in larger pieces: a call for each would cost more than all the rest."""

    PIECE = 4096

    def __init__(self) -> None:
        self._bytes = b""
        self._lock = threading.Lock()

    def take(self, count: int) -> bytes:
        """Return so many bytes that were never returned before, to whichever thread asks."""
        with self._lock:
            if len(self._bytes) < count:
                self._bytes = secrets.token_bytes(self.PIECE)
            taken, self._bytes = self._bytes[:count], self._bytes[count:]
            return taken


chance = _Chance().take


def sealed(node: str, text: str) -> Sealed:
    """Return the text with a salt of its own."""
    return Sealed(node, text, chance(16))
