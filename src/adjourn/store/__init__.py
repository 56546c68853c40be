"""Where conversations are kept: append and read, with what the core needs of a conversation beside its events."""

from pathlib import Path

from adjourn.core.errors import CallerError
from adjourn.store.interface import (
    MOST,
    SIGNED_IN,
    TEMPORARY,
    Below,
    Chat,
    Committed,
    Conversation,
    Cursor,
    Feedback,
    Lookup,
    Owner,
    Rating,
    Recorded,
    Store,
    Titled,
    has_list,
)
from adjourn.store.keys import Key, key_digest, new_key
from adjourn.store.memory import MemoryStore
from adjourn.store.sqlite import BUSY_SECONDS, SqliteStore
from adjourn.store.text import Sealed, chance, sealed

__all__ = [
    "BUSY_SECONDS",
    "MOST",
    "SIGNED_IN",
    "TEMPORARY",
    "Below",
    "Chat",
    "Committed",
    "Conversation",
    "Cursor",
    "Feedback",
    "Key",
    "Lookup",
    "Owner",
    "Rating",
    "Recorded",
    "Sealed",
    "Store",
    "Titled",
    "chance",
    "has_list",
    "key_digest",
    "new_key",
    "open_store",
    "sealed",
]


def open_store(url: str, *, make: bool = True, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Return the store at `sqlite:///PATH` or `memory:`; a file that does not exist yet is made, or refused.

    `busy_seconds`: how long a write waits for another process's.
    """
    if url == "memory:":
        return MemoryStore()
    kind, found, path = url.partition(":///")
    if kind == "postgresql" or url.startswith("postgresql:"):
        raise CallerError(f"--db {url}: PostgreSQL is not supported yet; use sqlite:///PATH")
    if kind != "sqlite" or not found or not path:
        raise CallerError(f"--db {url}: sqlite:///PATH is needed")
    if not make and not Path(path).exists():
        raise CallerError(f"--db {url}: there is no such file")
    return SqliteStore(Path(path), busy_seconds)
