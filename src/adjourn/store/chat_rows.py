"""The rows of a person's list of chats in the file: written in the transaction of what they follow from."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adjourn.core.events import Erased, Event
from adjourn.store.chats import altered, asked_for, found_by, went_on, words_of
from adjourn.store.interface import Below, Chat, Conversation, Titled, has_list
from adjourn.store.rows import line_of, put
from adjourn.store.text import Sealed

_LINE = (
    "id, conversations.scope, external, opened_at, conversations.last_at, messages, held, ended, conversations.number"
)
_STANDS = "beginning, flagged, temporary, erased, title, titled_by, pinned, away, deleted_at"
_CHATS = f"SELECT {_STANDS}, {_LINE} FROM chats JOIN conversations ON id = conversation WHERE"
_STAND_COLUMNS = 9
_KEEP = (
    "INSERT INTO chats (conversation, scope, last_at, beginning, flagged, temporary, erased,"
    " title, titled_by, pinned, away, deleted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (conversation) DO UPDATE SET last_at = excluded.last_at, beginning = excluded.beginning,"
    " flagged = excluded.flagged, erased = excluded.erased, title = excluded.title, titled_by = excluded.titled_by,"
    " pinned = excluded.pinned, away = excluded.away, deleted_at = excluded.deleted_at RETURNING number"
)

LAST = "\U0010ffff"
"""What comes after every letter."""


def _chat_of(row: Sequence[Any], line: Conversation | None = None) -> Chat:
    beginning, flagged, temporary, erased, title, titled_by, pinned, away, deleted_at = row[:_STAND_COLUMNS]
    return Chat(
        line=line or line_of(row[_STAND_COLUMNS:]),
        beginning=beginning,
        flagged=bool(flagged),
        temporary=bool(temporary),
        erased=bool(erased),
        title=title,
        titled_by=Titled(titled_by) if titled_by else None,
        pinned=bool(pinned),
        away=bool(away),
        deleted_at=deleted_at,
    )


def kept_chat(database: sqlite3.Connection, conversation: str) -> Chat | None:
    """Return how a conversation stands in its person's list; None if it stands in none."""
    row = database.execute(f"{_CHATS} conversation = ?", (conversation,)).fetchone()
    return _chat_of(row) if row else None


def listed(database: sqlite3.Connection, scope: str, limit: int, below: Below | None, search: str) -> list[Chat]:
    """Return chats of a browser's list (see `Store.chats`)."""
    asked = asked_for(search)
    if search and not asked:
        return []
    which = ["chats.scope = ?", "deleted_at IS NULL", "erased = 0", *([] if search else ["away = 0"])]
    values: list[Any] = [scope]
    for word in asked:  # a few steps down one tree for each chat of this list, whatever others wrote
        which.append("EXISTS (SELECT 1 FROM words WHERE chat = chats.number AND word >= ? AND word < ?)")
        values += [word, f"{word}{LAST}"]
    if below is not None:
        place = "(pinned, chats.last_at)"
        which.append(f"{place} <= (?, ?) AND ({place} <> (?, ?) OR conversation > ?)")
        values += [below.pinned, below.last_at, below.pinned, below.last_at, below.id]
    query = f"{_CHATS} {' AND '.join(which)} ORDER BY pinned DESC, chats.last_at DESC, conversation LIMIT ?"
    return [_chat_of(row) for row in database.execute(query, (*values, limit))]


def overdue(database: sqlite3.Connection, deleted_before: int, silent_since: int, limit: int) -> list[Chat]:
    """Return chats that are to be erased (see `Store.overdue`)."""
    deleted = "SELECT conversation FROM chats WHERE deleted_at < ? AND erased = 0"
    silent = "SELECT conversation FROM chats WHERE temporary = 1 AND last_at < ? AND erased = 0"
    query = f"{_CHATS} conversation IN ({deleted} UNION {silent}) LIMIT ?"
    return [_chat_of(row) for row in database.execute(query, (deleted_before, silent_since, limit))]


def mark(database: sqlite3.Connection, conversation: str, change: Callable[[Chat], Chat]) -> Chat | None:
    """Keep what `change` makes of a chat (see `Store.mark`)."""
    chat = kept_chat(database, conversation)
    if chat is None:
        return None
    after = altered(chat, change(chat))
    number = _write(database, after)
    if after.title != chat.title:
        _write_title(database, number, after.title)
    return after


def follow(
    database: sqlite3.Connection, line: Conversation, events: Sequence[Event], texts: Mapping[str, Sealed]
) -> None:
    """Write what a commit makes of a chat, if it stands in somebody's list. `line`: as the conversation is after it."""
    if not events or not has_list(line.scope):
        return
    row = database.execute(f"SELECT {_STANDS} FROM chats WHERE conversation = ?", (line.id,)).fetchone()
    after = went_on(_chat_of(row, line) if row else None, line, events, texts)
    number = _write(database, after)
    if any(isinstance(event, Erased) for event in events):
        database.execute("DELETE FROM words WHERE chat = ?", (number,))
    else:
        put(database, "words", [(number, word, 0) for word in sorted(found_by(events, texts))])


def follow_again(
    database: sqlite3.Connection, line: Conversation, events: Sequence[Event], texts: Mapping[str, Sealed]
) -> None:
    """Make again what can be made of a chat from all its events; what its person did with it stays.

    The words of all chats are gone before.
    """
    if not has_list(line.scope):
        return
    row = database.execute(f"SELECT {_STANDS} FROM chats WHERE conversation = ?", (line.id,)).fetchone()
    after = went_on(None, line, events, texts)
    after = altered(after, _chat_of(row, line)) if row else after
    number = _write(database, after)
    put(database, "words", [(number, word, 0) for word in sorted(found_by(events, texts))])
    _write_title(database, number, after.title)


def _write(database: sqlite3.Connection, chat: Chat) -> int:
    """Write how a chat stands; return its number."""
    line = chat.line
    row = (line.id, line.scope, line.last_at, chat.beginning, chat.flagged, chat.temporary, chat.erased)
    acts = (chat.title, chat.titled_by, chat.pinned, chat.away, chat.deleted_at)
    (number,) = database.execute(_KEEP, (*row, *acts)).fetchone()
    return int(number)


def _write_title(database: sqlite3.Connection, number: int, title: str | None) -> None:
    """Let a chat be found by this title, and by none that it had."""
    database.execute("DELETE FROM words WHERE chat = ? AND of_title = 1", (number,))
    put(database, "words", [(number, word, 1) for word in sorted(words_of(title or ""))])
