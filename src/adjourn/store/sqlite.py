"""The embedded store: one SQLite file, one writer that commits together what waits, readers that never wait for it.

SQLite in WAL mode with synchronous FULL: what is acknowledged is on the disk. Every write transaction begins with
BEGIN IMMEDIATE, so that two processes take turns and each decides on what the other wrote.
(https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html)
"""

import asyncio
import json
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from adjourn.core.errors import StoreError
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.store import chat_rows, codec
from adjourn.store.interface import (
    MOST,
    SIGNED_IN,
    Below,
    Chat,
    Committed,
    Conversation,
    Cursor,
    Decide,
    Feedback,
    Lookup,
    Owner,
    Rating,
    Recorded,
    T,
    has_list,
)
from adjourn.store.keys import Key, revoked
from adjourn.store.rows import (
    LINE,
    kept_conversation,
    line_of,
    line_row,
    named_conversation,
    put,
    recorded,
    rows_of,
)
from adjourn.store.text import Sealed
from adjourn.store.views import empty, moved
from adjourn.store.writer import Commit, Waits, Work, failing_as_store_error, write

BUSY_SECONDS = 10.0
"""How long a writer waits for another process's transaction, if nothing else is said."""
READERS = 2

VARIABLES = 500
"""How many digests are looked up in one query."""


LISTS = 5
"""The version of the tables that brought people's lists of chats."""


class SqliteStore:
    """The store in a file. Use it from one event loop; any number of processes may use the file.

    `busy_seconds`: how long a writer waits for another process's transaction.
    """

    def __init__(self, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        with failing_as_store_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            database = _open(path, busy_seconds)
            with _closed_on_failure(database):
                _use_wal(database, busy_seconds)
                migrate(database)
        self._waiting: Waits = queue.SimpleQueue()
        work = partial(write, path, database, self._waiting)
        self._writer = threading.Thread(target=work, name="adjourn-store", daemon=True)
        self._writer.start()
        self._closed = False
        self._mine = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="adjourn-read")

    async def commit(
        self,
        conversation: str,
        decide: Decide,
        texts: Sequence[Sealed] = (),
        lookups: Sequence[Lookup] = (),
    ) -> Committed:
        committed: Committed = await self._in_turn(Commit(conversation, decide, texts, lookups))
        return committed

    async def see(self, conversation: str, look: Callable[[Tree], T]) -> T:
        return self._read_here(lambda database: look(kept_conversation(database, conversation).tree.draft()))

    async def read(self, conversation: str, after: int = 0) -> list[Recorded]:
        return await self._reading(lambda database: list(recorded(database, conversation, after)))

    async def texts(self, conversation: str) -> Mapping[str, Sealed]:
        return await self._reading(lambda database: _texts(database, conversation))

    async def conversations(self) -> list[Conversation]:
        query = f"SELECT {LINE} FROM conversations ORDER BY last_at DESC, id"
        rows = await self._reading(lambda database: database.execute(query).fetchall())
        return [line_of(row) for row in rows]

    async def page(self, owner: Owner, limit: int, below: Cursor | None = None) -> list[Conversation]:
        theirs, parameters = _owned(owner)
        if below is not None:
            theirs += " AND (last_at < ? OR last_at = ? AND id > ?)"
            parameters += (below.last_at, below.last_at, below.id)
        query = f"SELECT {LINE} FROM conversations WHERE {theirs} ORDER BY last_at DESC, id LIMIT ?"
        return [line_of(row) for row in await self._rows(query, *parameters, limit)]

    async def named(self, ident: str, owner: Owner | None = None) -> Sequence[str]:
        theirs, parameters = _owned(owner) if owner else ("TRUE", ())
        names = "SELECT ? UNION SELECT conversation FROM receipts WHERE number = ?"
        if owner is not None:
            names += " UNION SELECT id FROM conversations WHERE external = ?"
        query = f"SELECT id FROM conversations WHERE id IN ({names}) AND {theirs} ORDER BY id <> ?, last_at DESC, id"
        row = (ident, ident.upper(), *([ident] if owner else []), *parameters, ident)
        return [conversation for (conversation,) in await self._rows(query, *row)]

    async def older(self, at: int, limit: int) -> list[Conversation]:
        said = "SELECT conversation FROM feedback WHERE at < ? AND (text IS NOT NULL OR reasons IS NOT NULL)"
        words = f"EXISTS (SELECT 1 FROM texts WHERE conversation = id) OR id IN ({said})"
        query = f"SELECT {LINE} FROM conversations WHERE last_at < ? AND ({words}) ORDER BY last_at DESC, id LIMIT ?"
        return [line_of(row) for row in await self._rows(query, at, at, limit)]

    async def chats(self, scope: str, limit: int, below: Below | None = None, search: str = "") -> list[Chat]:
        return await self._reading(lambda database: chat_rows.listed(database, scope, limit, below, search))

    async def chat(self, conversation: str) -> Chat | None:
        return self._read_here(lambda database: chat_rows.kept_chat(database, conversation))

    async def mark(self, conversation: str, change: Callable[[Chat], Chat]) -> Chat | None:
        chat: Chat | None = await self._in_turn(partial(chat_rows.mark, conversation=conversation, change=change))
        return chat

    async def overdue(self, deleted_before: int, silent_since: int, limit: int) -> list[Chat]:
        return await self._reading(lambda database: chat_rows.overdue(database, deleted_before, silent_since, limit))

    async def comment(self, feedback: Feedback) -> None:
        await self._in_turn(partial(_comment, feedback=feedback))

    async def feedback(self, conversation: str | None = None, since: int = 0) -> list[Feedback]:
        which, parameters = ("conversation = ? AND", (conversation,)) if conversation is not None else ("", ())
        columns = "conversation, about, rating, reasons, text, at"
        query = f"SELECT {columns} FROM feedback WHERE {which} at >= ? ORDER BY number"
        return [_feedback(row) for row in await self._rows(query, *parameters, since)]

    async def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await self._reading(lambda database: database.execute(query, parameters).fetchall())

    async def ids(self) -> Sequence[str]:
        return await self._reading(_ids)

    async def line(self, conversation: str) -> tuple[Conversation, bytes] | None:
        kept = await self._reading(lambda database: kept_conversation(database, conversation))
        return (kept.line, kept.head) if kept.line.number else None

    async def find(
        self, digests: Sequence[bytes], conversation: str | None = None, *, alone: bool = False
    ) -> Sequence[Lookup]:
        return self._read_here(lambda database: _find(database, digests, conversation, "alone" if alone else "digest"))

    async def external(self, scope: str, external: str) -> str | None:
        return self._read_here(lambda database: named_conversation(database, scope, external))

    async def secret(self, name: str) -> bytes:
        value: bytes = await self._in_turn(partial(_secret, name=name))
        return value

    async def add_key(self, key: Key, digest: bytes) -> None:
        row = (digest, key.id, key.name, key.created_at, key.revoked_at)
        await self._in_turn(lambda database: database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", row))

    async def keys(self) -> Sequence[Key]:
        return await self._reading(lambda database: _keys(database, "TRUE ORDER BY created_at, id"))

    async def has_keys(self) -> bool:
        query = "SELECT EXISTS (SELECT 1 FROM keys)"
        return bool(self._read_here(lambda database: database.execute(query).fetchone()[0]))

    async def key(self, digest: bytes) -> Key | None:
        return next(iter(self._read_here(lambda database: _keys(database, "digest = ?", digest))), None)

    async def revoke_key(self, ident: str, at: int) -> Key:
        key: Key = await self._in_turn(partial(_revoke_key, ident=ident, at=at))
        return key

    async def keep(self, policy: Policy, at: int | None = None) -> None:
        row = (policy.digest, codec.encode_policy(policy), at)
        await self._in_turn(
            lambda database: database.execute("INSERT OR IGNORE INTO policies (digest, body, at) VALUES (?, ?, ?)", row)
        )

    async def policies(self) -> Mapping[str, Policy]:
        return {policy.digest: policy for policy, _ in await self.rules()}

    async def rules(self) -> Sequence[tuple[Policy, int | None]]:
        rows = await self._rows("SELECT digest, body, at FROM policies ORDER BY at NULLS FIRST, digest")
        found = [(codec.decode_policy(digest, body), at) for digest, body, at in rows]
        return [(policy, at) for policy, at in found if policy is not None]

    async def rebuild(self) -> int:
        count: int = await self._in_turn(_rebuild)
        return count

    async def version(self) -> int:
        # Of this thread's connection, which never writes (https://www.sqlite.org/pragma.html#pragma_data_version).
        (found,) = self._read_here(lambda database: database.execute("PRAGMA data_version").fetchone())
        return int(found)

    async def ready(self) -> None:
        await self._in_turn(_try_to_write)

    async def close(self) -> None:
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for database in self._open:
            database.close()

    async def _in_turn(self, work: Work) -> Any:
        self._refuse_if_closed()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, done))
        return await done

    async def _reading(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read what may be long in a thread of its own. What is looked up by key is read at once: it is shorter."""
        self._refuse_if_closed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, work)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")

    def _read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Read on this thread's own connection, in one transaction, so in one state."""
        self._refuse_if_closed()
        with failing_as_store_error(self._path):
            database = getattr(self._mine, "database", None)
            if database is None:
                database = self._mine.database = _open(self._path, self._busy_seconds)
                self._open.append(database)
                database.execute("PRAGMA query_only = ON")
                database.execute("PRAGMA cache_size = -2048")
            database.execute("BEGIN")
            try:
                return work(database)
            finally:
                database.execute("COMMIT")


def _find(
    database: sqlite3.Connection, digests: Sequence[bytes], conversation: str | None, column: str
) -> list[Lookup]:
    query = f"SELECT digest, alone, conversation, node, own FROM lookups WHERE {column} "
    found: list[Any] = []
    if conversation is not None:
        for start in range(0, len(digests), VARIABLES):
            some = digests[start : start + VARIABLES]
            within = f"{query} IN ({', '.join('?' * len(some))}) AND conversation = ?"
            found += database.execute(within, (*some, conversation))
    else:
        for digest in digests:
            said = "AND own = 2" if column == "alone" else ""
            found += database.execute(f"{query} = ? {said} ORDER BY conversation DESC LIMIT {MOST}", (digest,))
    return [Lookup(digest, alone, there, node, own > 0, own == 2) for digest, alone, there, node, own in found]


def _owned(owner: Owner) -> tuple[str, tuple[Any, ...]]:
    """Return what the scope of a conversation must fulfil to be theirs, and the values in it."""
    if not owner.users:
        return "scope = ?", (owner.scope,)
    below = (f"{owner.scope}/", f"{owner.scope}0")  # "0" comes after "/"
    return "(scope = ? OR scope >= ? AND scope < ? AND instr(scope, ?) <> 1)", (
        owner.scope,
        *below,
        owner.scope + SIGNED_IN,
    )


def _comment(database: sqlite3.Connection, *, feedback: Feedback) -> None:
    reasons = json.dumps(feedback.reasons) if feedback.reasons else None
    row = (feedback.conversation, feedback.about, feedback.rating, reasons, feedback.text, feedback.at)
    database.execute(
        "INSERT INTO feedback (conversation, about, rating, reasons, text, at) VALUES (?, ?, ?, ?, ?, ?)", row
    )


def _feedback(row: Sequence[Any]) -> Feedback:
    conversation, about, rating, reasons, text, at = row
    said = tuple(json.loads(reasons)) if reasons else ()
    return Feedback(conversation=conversation, about=about, rating=Rating(rating), reasons=said, text=text, at=at)


def _secret(database: sqlite3.Connection, *, name: str) -> bytes:
    database.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, secrets.token_bytes(32)))
    value: bytes = database.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0]
    return value


def _keys(database: sqlite3.Connection, which: str, *values: object) -> list[Key]:
    query = f"SELECT id, name, created_at, revoked_at FROM keys WHERE {which}"
    return [
        Key(id=ident, name=name, created_at=created_at, revoked_at=revoked_at)
        for ident, name, created_at, revoked_at in database.execute(query, values)
    ]


def _revoke_key(database: sqlite3.Connection, *, ident: str, at: int) -> Key:
    key = revoked(next(iter(_keys(database, "id = ?", ident)), None), ident, at)
    database.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (key.revoked_at, ident))
    return key


def _try_to_write(database: sqlite3.Connection) -> None:
    database.execute("SAVEPOINT tried")
    database.execute("INSERT OR REPLACE INTO secrets VALUES ('tried', x'')")
    database.execute("ROLLBACK TO tried")
    database.execute("RELEASE tried")


def _rebuild(database: sqlite3.Connection) -> int:
    for table in ("nodes", "receipts", "conversations", "words"):
        database.execute(f"DELETE FROM {table}")
    found = _ids(database)
    for conversation in found:
        rows = recorded(database, conversation, 0)
        made = moved(empty(conversation), (row.event for row in rows))
        for table, added in rows_of(conversation, made).items():
            if table != "events":
                put(database, table, added)
        put(database, "conversations", [line_row(conversation, made.kept)])
        chat_rows.follow_again(database, made.kept.line, made.events, _texts(database, conversation))
    return len(found)


def _fill_lists(database: sqlite3.Connection) -> None:
    """Put the chats into their persons' lists that came before there were any."""
    for conversation in _ids(database):
        line = kept_conversation(database, conversation).line
        if has_list(line.scope):
            events = [row.event for row in recorded(database, conversation, 0)]
            chat_rows.follow_again(database, line, events, _texts(database, conversation))


def _ids(database: sqlite3.Connection) -> list[str]:
    query = "SELECT DISTINCT conversation FROM events ORDER BY conversation"
    return [conversation for (conversation,) in database.execute(query).fetchall()]


def _texts(database: sqlite3.Connection, conversation: str) -> dict[str, Sealed]:
    query = "SELECT node, text, salt FROM texts WHERE conversation = ?"
    return {node: Sealed(node, text, salt) for node, text, salt in database.execute(query, (conversation,))}


def migrate(database: sqlite3.Connection) -> tuple[int, int]:
    """Bring the file to the newest version of the tables; return the version before and after.

    Raises StoreError for a file that a newer Adjourn has written.
    """
    steps = _migrations()
    (before,) = database.execute("PRAGMA user_version").fetchone()
    if before == len(steps):  # then there is no need to wait for a writer
        return before, before
    database.execute("BEGIN IMMEDIATE")
    (before,) = database.execute("PRAGMA user_version").fetchone()
    if before > len(steps):
        database.execute("ROLLBACK")
        raise StoreError(f"the database has version {before}, this Adjourn knows up to {len(steps)}: update Adjourn")
    for step in steps[before:]:
        for statement in step.split(";\n"):
            if statement.strip():
                database.execute(statement)
    if before < LISTS <= len(steps):
        _fill_lists(database)
    database.execute(f"PRAGMA user_version = {len(steps)}")
    database.execute("COMMIT")
    return before, len(steps)


def _migrations() -> list[str]:
    files = sorted(resources.files("adjourn.store").joinpath("migrations").iterdir(), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".sql")]


def _open(path: Path, busy_seconds: float) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    database.text_factory = lambda text: text.decode(errors="replace")  # a damaged text is found by its digest
    with _closed_on_failure(database):
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")  # what is erased does not stay in free pages
        database.execute("PRAGMA cache_size = -8192")  # KiB: look-ups go all over the file
    return database


@contextmanager
def _closed_on_failure(database: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def _use_wal(database: sqlite3.Connection, busy_seconds: float) -> None:
    """Have the file in WAL mode. SQLite itself does not wait for this lock where two open a new file at once."""
    give_up = time.monotonic() + busy_seconds
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.005)
        else:
            return
