"""Keys."""

import sys
from collections.abc import Sequence

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adjourn.cli.database import now, with_store
from adjourn.cli.options import db_option
from adjourn.store import Key, key_digest, new_key
from adjourn.store.export import exported_time


@click.group("keys")
def keys_group() -> None:
    """Make, list and revoke keys. Once there is one, nobody is served without one."""


@keys_group.command("create")
@click.argument("name")
@db_option
def keys_create(name: str, db: str) -> None:
    """Make a key, and write it to standard output. NAME says in the list whose it is."""
    key, secret = new_key(name, now())
    with_store(db, lambda store: store.add_key(key, key_digest(secret)), make=True)
    click.echo(secret)
    click.echo(f"{key.id}: this is the only time that the key is shown; only a digest of it is kept.", err=True)


@keys_group.command("list")
@db_option
def keys_list(db: str) -> None:
    """List keys, the oldest first: a table on a terminal, else lines of JSON. The keys themselves are not kept."""
    found: Sequence[Key] = with_store(db, lambda store: store.keys())
    if not sys.stdout.isatty():
        for key in found:
            sys.stdout.buffer.write(msgspec.json.encode(key) + b"\n")
        return
    table = Table("id", "name", "created", "revoked")
    for key in found:
        times = ("" if at is None else exported_time(at)[:16] for at in (key.created_at, key.revoked_at))
        table.add_row(key.id, Text(key.name), *times)
    Console().print(table)


@keys_group.command("revoke")
@click.argument("id")
@db_option
def keys_revoke(id: str, db: str) -> None:  # noqa: A002  (it is the argument's name)
    """Let a key open nothing any more, at once and for good. ID as `adjourn keys list` shows it."""
    key = with_store(db, lambda store: store.revoke_key(id, now()))
    click.echo(f"{key.id} ({key.name}): revoked")
