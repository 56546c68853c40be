"""The server erases by itself what is older than the operator keeps, and nothing if they keep all."""

from pathlib import Path

import pytest

from adjourn.core import acts
from adjourn.store import TEMPORARY, open_store
from adjourn.web.serve import Serving, application
from tests import support
from tests.gateway.rig import QUICK, here, until

DAY = 24 * 3600 * 1000


async def old_conversation(db: str) -> None:
    store = open_store(db)
    await support.commit_turns(store, [support.message("u1", None, support.CALM, at=DAY)])
    await store.close()


async def words_are_kept(db: str) -> bool:
    store = open_store(db)
    kept = bool(await store.texts("c"))
    await store.close()
    return kept


async def test_what_is_older_than_the_retention_is_erased_when_the_server_has_started(tmp_path: Path) -> None:
    db = support.sqlite_url(tmp_path)
    await old_conversation(db)
    async with here(application(Serving(db=db, policy=QUICK, keep_ms=DAY))):

        async def erased() -> bool:
            return not await words_are_kept(db)

        await until(erased)


@pytest.mark.parametrize("keep_ms", [None, 365 * 1000 * DAY])
async def test_what_is_younger_and_everything_without_a_retention_stays(keep_ms: int | None, tmp_path: Path) -> None:
    db = support.sqlite_url(tmp_path)
    await old_conversation(db)
    async with here(application(Serving(db=db, policy=QUICK, keep_ms=keep_ms))):
        pass
    assert await words_are_kept(db)


@pytest.mark.parametrize(("external", "kept"), [(f"{TEMPORARY}1", False), ("chat-1", True)])
async def test_a_temporary_chat_that_is_over_is_erased_by_a_server_that_keeps_all_else(
    external: str, kept: bool, tmp_path: Path
) -> None:
    db = support.sqlite_url(tmp_path)
    store = open_store(db)
    opened = acts.opening("c", QUICK, scope="browser:anna", external=external, at=DAY)
    await store.commit("c", lambda tree: [opened])
    await support.commit_turns(store, [support.message("u1", None, support.CALM, at=DAY)])
    await store.close()
    async with here(application(Serving(db=db, policy=QUICK))):

        async def as_it_should_be() -> bool:
            return await words_are_kept(db) is kept

        await until(as_it_should_be)
    assert await words_are_kept(db) is kept
