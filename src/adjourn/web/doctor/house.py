"""What the doctor sees of the server's own parts: rules, detectors, database, keys, help lines."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from adjourn.core.errors import AdjournError, CallerError
from adjourn.core.machine import Mode
from adjourn.host import lines
from adjourn.signals.encoder import fault
from adjourn.store import Store, open_store
from adjourn.web.doctor.finding import Finding, State
from adjourn.web.serve import Serving, address_refusal, detectors

SAYS = {
    Mode.OFF: "everything passes, and nothing is kept",
    Mode.SHADOW: "messages are read and kept; nothing is said to anybody, and nothing is closed",
    Mode.WARN: "help lines and help for the model; nothing is closed",
    Mode.ENFORCE: "chats can be closed",
}


async def house(serving: Serving) -> AsyncIterator[Finding]:
    """Yield what is found of everything but the model."""
    policy = serving.policy
    yield Finding("mode", State.SET, f"{policy.mode.name.lower()}: {SAYS[policy.mode]}")
    yield Finding("policy", State.SET, f"revision {policy.revision}, digest {policy.digest}")
    if policy.mode is Mode.OFF:
        for finding in _address(serving, opens=False):
            yield finding
        return
    yield _detectors(serving)
    async for finding in _store(serving):
        yield finding
    yield _lines(serving.country)


def _detectors(serving: Serving) -> Finding:
    try:
        found = detectors(serving)
    except CallerError as error:
        return Finding("detectors", State.BAD, f"{error}: nothing could ever be closed")
    missing = fault()
    if missing is not None:
        return Finding("detectors", State.DOUBT, f"{found.version} can read, but worse: {missing}")
    return Finding("detectors", State.GOOD, f"{found.version} can read")


async def _store(serving: Serving) -> AsyncIterator[Finding]:
    store = None
    try:
        path = _new_file(serving.db)
        if path is not None:
            yield _made_later(serving.db, path)
        else:
            store = open_store(serving.db, make=False, busy_seconds=serving.busy_seconds)
            await store.ready()
            yield Finding("database", State.GOOD, f"{serving.db} can be written")
        opens = store is not None and await _opening(store) > 0
        yield await _keys(store)
        for finding in _address(serving, opens=opens):
            yield finding
    except AdjournError as error:
        yield Finding("database", State.BAD, str(error))
    finally:
        if store is not None:
            await store.close()


def _new_file(db: str) -> Path | None:
    """Return the database's file if it is to be one and is not there yet."""
    path = Path(db.removeprefix("sqlite:///"))
    return path if db.startswith("sqlite:///") and db != "sqlite:///" and not path.exists() else None


def _made_later(db: str, path: Path) -> Finding:
    there = next((folder for folder in path.absolute().parents if folder.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK):
        return Finding("database", State.BAD, f"{db} is not there, and cannot be made: {there} cannot be written")
    return Finding("database", State.GOOD, f"{db} is not there yet; the server makes it")


async def _opening(store: Store) -> int:
    return sum(key.opens for key in await store.keys())


async def _keys(store: Store | None) -> Finding:
    if store is None or not await store.has_keys():
        return Finding("keys", State.SET, "none: whoever reaches the server may use it, so only this machine does")
    count = await _opening(store)
    if not count:
        return Finding("keys", State.BAD, "all were revoked: nobody gets in; `adjourn keys create NAME` makes one")
    return Finding("keys", State.SET, f"{count} open; every client needs one")


def _address(serving: Serving, *, opens: bool) -> Iterator[Finding]:
    refusal = address_refusal(serving, opens=opens)
    where = f"{serving.address}:{serving.port}"
    yield Finding("address", State.BAD, refusal) if refusal else Finding("address", State.SET, where)


def _lines(country: str | None) -> Finding:
    known = lines.support(None, country, datetime.now(UTC))["lines"]
    directory, _ = lines.DIRECTORY
    if [line["name"] for line in known] != [directory]:
        return Finding("help lines", State.GOOD, f"{country}: {', '.join(line['name'] for line in known)}")
    why = f"none is known for {country!r}" if country else "no country is set (--country)"
    return Finding("help lines", State.DOUBT, f"{why}: people at risk are shown a directory of all countries' lines")
