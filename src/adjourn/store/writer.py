"""The writer of the embedded store: a thread of its own, which commits together what waits."""

import asyncio
import queue
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from adjourn.core.errors import StoreError
from adjourn.core.events import Erased, Opened
from adjourn.store.chat_rows import follow
from adjourn.store.interface import Committed, Decide, Lookup
from adjourn.store.rows import TABLES, Row, kept_conversation, line_row, named_conversation, put, rows_of
from adjourn.store.text import Sealed
from adjourn.store.views import Kept, brought, change, named, received

TOGETHER = 64
"""How many waiting works go into one transaction at most."""

REMEMBERED = 500
"""How many conversations the writer remembers between transactions."""

REMEMBERED_NODES = 500
"""A conversation with more nodes at hand is not remembered: they are read again, one by one, where they are needed."""


class Commit(NamedTuple):
    """What a caller wants committed (see `Store.commit`)."""

    conversation: str
    decide: Decide
    texts: Sequence[Sealed]
    lookups: Sequence[Lookup]


Work = Commit | Callable[[sqlite3.Connection], Any]
Waiting = tuple[Work, asyncio.Future[Any]]
Waits = queue.SimpleQueue[Waiting | None]
Outcomes = list[tuple[asyncio.Future[Any], Any]]


def write(path: Path, database: sqlite3.Connection, waits: Waits) -> None:
    """Run in the writer's thread until None comes: take what waits, and commit it together."""
    remembered = Remembered(database)
    with closing(database):
        last = False
        while not last:
            batch = [waits.get()]
            while len(batch) < TOGETHER:
                try:
                    batch.append(waits.get_nowait())
                except queue.Empty:
                    break
            last = None in batch
            wanted = [item for item in batch if item is not None and not item[1].cancelled()]
            write_together(path, database, remembered, wanted)


class Remembered:
    """Conversations as they were left, for as long as nobody else writes to the file."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._version = -1

    def refresh(self) -> None:
        """Forget everything if another connection has written (https://www.sqlite.org/pragma.html#pragma_data_version)."""
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Forget everything."""
        self._kept.clear()

    def get(self, conversation: str) -> Kept:
        """Return the conversation as it is in the file."""
        kept = self._kept.get(conversation)
        return kept if kept is not None else kept_conversation(self._database, conversation)

    def put(self, conversation: str, kept: Kept) -> None:
        """Remember how the conversation was left."""
        self._kept[conversation] = kept
        self._kept.move_to_end(conversation)
        if len(kept.tree.nodes) > REMEMBERED_NODES:
            del self._kept[conversation]
        elif len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)


class Together:
    """Commits that go into one transaction: each decides on what those before it left, and all are written at once."""

    def __init__(self, database: sqlite3.Connection, remembered: Remembered) -> None:
        self._database, self._remembered = database, remembered
        self._rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._left: dict[str, Kept] = {}
        self._erased = False
        self._new: set[tuple[str, bytes]] = set()
        self._named: set[tuple[str, str]] = set()

    def take(self, commit: Commit) -> Committed:
        """Take what a commit decides. What `decide` raises is raised, and nothing of it is taken."""
        conversation = commit.conversation
        kept = self._left.get(conversation) or self._remembered.get(conversation)
        made = change(kept, commit.decide)
        first = kept.tree.number + 1
        if self._is_overtaken(commit, made.events):
            return Committed(first, (), overtaken=True)
        rows = rows_of(conversation, made)
        texts = named(commit.texts, made.events)
        rows["texts"] = [(conversation, text.node, text.salt, text.text) for text in texts]
        new = brought(commit.lookups, made.events)
        rows["lookups"] = [(one.conversation, one.digest, one.alone, one.node, one.own + one.said) for one in new]
        for table, added in rows.items():
            self._rows[table] += added
        self._new.update((one.conversation, one.digest) for one in new)
        if made.recorded:
            made.kept.tree.nodes.update(made.nodes)
            self._left[conversation] = made.kept
        follow(self._database, made.kept.line, made.events, {text.node: text for text in texts})
        if any(isinstance(event, Erased) for event in made.events):
            self._erase(conversation)
        return Committed(first, made.events)

    def _erase(self, conversation: str) -> None:
        """Let go of the words that came before: at once, since what is taken after it in the same transaction stays."""
        self._erased = True
        for table in ("texts", "lookups"):
            self._database.execute(f"DELETE FROM {table} WHERE conversation = ?", (conversation,))
        forgets = "UPDATE feedback SET reasons = NULL, text = NULL WHERE conversation = ?"
        self._database.execute(forgets, (conversation,))
        self._rows["texts"] = [row for row in self._rows["texts"] if row[0] != conversation]
        self._rows["lookups"] = [row for row in self._rows["lookups"] if row[0] != conversation]
        self._new = {(there, digest) for there, digest in self._new if there != conversation}

    def _is_overtaken(self, commit: Commit, events: Sequence[Any]) -> bool:
        """Whether what is to be taken came in meanwhile: a message is kept once, and an id names one conversation."""
        opened = events[0] if events else None
        if not isinstance(opened, Opened):
            return any(self._is_there(one) for one in received(commit.lookups, events))
        if opened.external is None:
            return False
        name = (opened.scope, opened.external)
        if name in self._named or named_conversation(self._database, *name) is not None:
            return True
        self._named.add(name)
        return False

    def _is_there(self, one: Lookup) -> bool:
        query = "SELECT 1 FROM lookups WHERE conversation = ? AND digest = ?"
        there = one.conversation, one.digest
        return there in self._new or self._database.execute(query, there).fetchone() is not None

    def write(self) -> bool:
        """Write all that was taken; return whether texts were erased."""
        self._rows["conversations"] = [line_row(conversation, kept) for conversation, kept in self._left.items()]
        nodes = {row[:2]: row for row in self._rows["nodes"]}  # of one that changed twice, the last
        self._rows["nodes"] = list(nodes.values())
        for table, rows in self._rows.items():
            put(self._database, table, rows)
        for conversation, kept in self._left.items():
            self._remembered.put(conversation, kept)
        return self._erased


def write_together(path: Path, database: sqlite3.Connection, remembered: Remembered, batch: Sequence[Waiting]) -> None:
    """Do all works in one transaction. One that raises is left out, and only its own caller hears of it."""
    if not batch:
        return
    outcomes: Outcomes = []  # told when all is on the disk
    erased = False
    try:
        with failing_as_store_error(path):
            database.execute("BEGIN IMMEDIATE")
            remembered.refresh()
            for works in _runs(batch):
                erased = _commit_all(database, remembered, works, outcomes) or erased
            database.execute("COMMIT")
    except Exception as error:  # nothing may end the writer: whoever came after would wait for ever
        remembered.forget()
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        outcomes = [(future, error) for _, future in batch]
    if erased:  # else what is gone from the tables would stay in the write-ahead log
        with suppress(sqlite3.Error):
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with suppress(RuntimeError):  # whoever waited is gone with the loop
        batch[0][1].get_loop().call_soon_threadsafe(_tell, outcomes)


def _runs(batch: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """Yield commits that follow each other together, and every other work by itself."""
    run: list[Waiting] = []
    for waiting in batch:
        if not isinstance(waiting[0], Commit):
            yield from ([run] if run else [])
            yield [waiting]
            run = []
        else:
            run.append(waiting)
    yield from ([run] if run else [])


def _commit_all(
    database: sqlite3.Connection, remembered: Remembered, works: Sequence[Waiting], outcomes: Outcomes
) -> bool:
    """Do commits together, or one other work; return whether texts were erased."""
    together = Together(database, remembered)
    for work, future in works:
        if isinstance(work, Commit):
            try:
                outcomes.append((future, together.take(work)))
            except sqlite3.Error:
                raise
            except Exception as error:
                outcomes.append((future, error))
        else:
            outcomes.append((future, _alone(database, work)))
            remembered.forget()
    return together.write()


def _alone(database: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
    """Return what a work returns, or the error that it raises, after which nothing of it is left."""
    database.execute("SAVEPOINT work")
    try:
        return work(database)
    except sqlite3.Error as error:
        if not isinstance(error, sqlite3.IntegrityError):
            raise
        database.execute("ROLLBACK TO work")
        return StoreError(f"it does not fit what is there: {error}")
    except Exception as error:
        database.execute("ROLLBACK TO work")
        return error
    finally:
        with suppress(sqlite3.Error):
            database.execute("RELEASE work")


def _tell(outcomes: Outcomes) -> None:
    """Run in the event loop: say what came of each work to those who still wait."""
    for future, outcome in outcomes:
        if not future.done() and isinstance(outcome, Exception):
            future.set_exception(outcome)
        elif not future.done():
            future.set_result(outcome)


@contextmanager
def failing_as_store_error(path: Path) -> Iterator[None]:
    """Raise StoreError for what goes wrong with the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the store {path} could not be used: {error}") from error
