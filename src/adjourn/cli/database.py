"""The database: opened for a command, and looked after."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from adjourn.cli.options import db_option
from adjourn.core.errors import CallerError, UnknownConversation
from adjourn.store import Store, open_store

T = TypeVar("T")


def with_store(db: str, use: Callable[[Store], Awaitable[T]], *, make: bool = False) -> T:
    """Return what `use` makes of the store at this address; `make`: of a new one if there is none."""

    async def run() -> T:
        store = open_store(db, make=make)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def named(store: Store, ident: str) -> str:
    """Return the conversation with this id, or in which the receipt with this number was given."""
    found = await store.named(ident)
    if not found:
        raise UnknownConversation(f"there is no conversation {ident}")
    if len(found) > 1 and found[0] != ident:
        raise CallerError(f"{ident} is the number of several receipts; name the conversation: {', '.join(found)}")
    return found[0]


def now() -> int:
    """Return the time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@click.group("db")
def db_group() -> None:
    """Look after the database."""


@db_group.command("upgrade")
@db_option
def db_upgrade(db: str) -> None:
    """Bring the database to this version's tables; every command that opens it does so, too."""
    with_store(db, lambda store: store.policies())
    click.echo(f"{db}: up to date")


@db_group.command("rebuild")
@db_option
def db_rebuild(db: str) -> None:
    """Make again, from the events, what is kept beside them."""
    count = with_store(db, lambda store: store.rebuild())
    click.echo(f"{db}: {count} conversations made again from their events")
