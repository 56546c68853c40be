"""Keys with which clients use this server: what is kept of one, and what a new one looks like."""

import hashlib
import secrets
from dataclasses import dataclass, replace

from adjourn.core.errors import CallerError, UnknownKey

PREFIX = "adj_"
"""How every key begins, so that one is known at sight: here, and by programs that look for leaked keys."""

KEY_BYTES = 32
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What is known of a key: everything but the key. `at` are Unix times in milliseconds; None: not revoked."""

    id: str
    name: str
    created_at: int
    revoked_at: int | None = None

    @property
    def opens(self) -> bool:
        """Whether the server may still be used with it."""
        return self.revoked_at is None


def new_key(name: str, at: int) -> tuple[Key, str]:
    """Return a key under this name, and its secret, which whoever asked must be shown now: it is kept nowhere.

    The secret is `adj_` and 256 random bits in URL-safe base64 (RFC 4648, section 5). Raises CallerError for a name
    that cannot be read in a list.
    """
    if not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        raise CallerError(f"the name {name!r}: 1 to {NAME_LENGTH} characters that can be printed are needed")
    return Key(id=f"k_{secrets.token_hex(5)}", name=name, created_at=at), PREFIX + secrets.token_urlsafe(KEY_BYTES)


def key_digest(secret: str) -> bytes:
    """Return the digest under which a key is kept and looked up.

    One plain SHA-256 is enough. Salts and slow digests protect what people choose, which can be guessed; 256 random
    bits cannot, neither from the digest nor by asking the server. For the same reason a look-up by digest need not
    take the same time for every key: what its time tells is about the digest, which nobody can steer towards one
    that is kept.
    """
    return hashlib.sha256(secret.encode()).digest()


def revoked(key: Key | None, ident: str, at: int) -> Key:
    """Return the key as it is once it is revoked; raises UnknownKey, and CallerError if it was revoked before."""
    if key is None:
        raise UnknownKey(f"there is no key {ident}")
    if not key.opens:
        raise CallerError(f"the key {ident} was revoked already")
    return replace(key, revoked_at=at)
