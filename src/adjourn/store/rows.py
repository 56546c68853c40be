"""A conversation's rows in the file: read one by one, written many at a time.

Every statement lets the other threads go on, and then waits until they let it: so few are used, each for many rows.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from adjourn.core.events import Ended
from adjourn.core.machine import Hold
from adjourn.core.tree import Node
from adjourn.store import codec
from adjourn.store.interface import Conversation, Recorded
from adjourn.store.views import Change, Kept, empty

LINE = "id, scope, external, opened_at, last_at, messages, held, ended, number"
"""The columns of a line of the list of conversations."""

TABLES = {
    "events": ("INSERT INTO events VALUES", 5, ""),
    "nodes": ("INSERT INTO nodes VALUES", 3, "ON CONFLICT DO UPDATE SET body = excluded.body"),
    "receipts": ("INSERT OR IGNORE INTO receipts VALUES", 2, ""),
    "texts": ("INSERT OR REPLACE INTO texts VALUES", 4, ""),
    "lookups": ("INSERT OR IGNORE INTO lookups VALUES", 5, ""),
    "words": ("INSERT OR IGNORE INTO words VALUES", 3, ""),
    "conversations": (
        "INSERT INTO conversations VALUES",
        11,
        "ON CONFLICT DO UPDATE SET number = excluded.number, head = excluded.head, facts = excluded.facts,"
        " last_at = excluded.last_at, messages = excluded.messages, held = excluded.held, ended = excluded.ended",
    ),
}
"""How rows are put in, how many values each has, and what happens to one that is there."""

MOST_ROWS = 64
"""How many rows one statement takes. The others have half of that, a quarter, …: few statements, kept prepared."""

Row = tuple[Any, ...]


def put(database: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Put these rows into a table."""
    begins, values, ends = TABLES[table]
    row = f"({', '.join('?' * values)})"
    at, size = 0, MOST_ROWS
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        some = rows[at : at + size]
        database.execute(f"{begins} {', '.join([row] * size)} {ends}", [value for one in some for value in one])
        at += size


def rows_of(conversation: str, made: Change) -> dict[str, list[Row]]:
    """Return the rows of what a commit adds to a conversation, by table."""
    return {
        "events": [(conversation, row.number, row.name, row.body, row.head) for row in made.recorded],
        "nodes": [(conversation, node, codec.encode_node(kept)) for node, kept in made.nodes.items()],
        "receipts": [(event.receipt, conversation) for event in made.events if isinstance(event, Ended)],
    }


def line_row(conversation: str, kept: Kept) -> Row:
    """Return the row of a conversation as it is now."""
    line = kept.line
    row = (line.scope, line.external, line.opened_at, line.last_at, line.messages, line.held, line.ended)
    return (conversation, kept.tree.number, kept.head, codec.encode_facts(kept.tree), *row)


def named_conversation(database: sqlite3.Connection, scope: str, external: str) -> str | None:
    """Return the conversation of this scope with this id, ours or the client's."""
    query = "SELECT id FROM conversations WHERE scope = ? AND (external = ? OR id = ?) ORDER BY last_at DESC LIMIT 1"
    row = database.execute(query, (scope, external, external)).fetchone()
    return row[0] if row else None


def kept_conversation(database: sqlite3.Connection, conversation: str) -> Kept:
    """Return the conversation as it is in the file; an empty one if there is none."""
    query = f"SELECT {LINE}, head, facts FROM conversations WHERE id = ?"
    row = database.execute(query, (conversation,)).fetchone()
    if row is None:
        return empty(conversation)
    *line, head, facts = row
    tree = codec.decode_facts(facts)
    tree.nodes = KeptNodes(database, conversation)
    return Kept(tree, head, line_of(line))


class KeptNodes(dict[str, Node]):
    """The nodes of a conversation, read one by one when they are looked up."""

    def __init__(self, database: sqlite3.Connection, conversation: str) -> None:
        super().__init__()
        self._database = database
        self._conversation = conversation
        self._missing: set[str] = set()

    def __missing__(self, node: str) -> Node:
        if node in self._missing:
            raise KeyError(node)
        query = "SELECT body FROM nodes WHERE conversation = ? AND node = ?"
        row = self._database.execute(query, (self._conversation, node)).fetchone()
        if row is None:
            self._missing.add(node)
            raise KeyError(node)
        found = self[node] = codec.decode_node(row[0])
        return found


def line_of(row: Sequence[Any]) -> Conversation:
    """Return a line of the list of conversations."""
    conversation, scope, external, opened_at, last_at, messages, held, ended, number = row
    return Conversation(
        id=conversation,
        scope=scope,
        external=external,
        opened_at=opened_at,
        last_at=last_at,
        messages=messages,
        held=Hold(held),
        ended=bool(ended),
        number=number,
    )


def recorded(database: sqlite3.Connection, conversation: str, after: int) -> Iterator[Recorded]:
    """Yield the events with a number above `after`, in order."""
    query = "SELECT number, name, body, head FROM events WHERE conversation = ? AND number > ? ORDER BY number"
    for number, name, body, head in database.execute(query, (conversation, after)):
        yield Recorded(conversation, number, name, body, head)
