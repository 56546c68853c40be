"""The server erases by itself what is older than the operator keeps, and nothing if they keep all."""

from pathlib import Path

import pytest

from adjourn.store import open_store
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
