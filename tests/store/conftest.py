"""The stores: each test that asks for `store` runs with every one of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adjourn.store import Store, open_store
from tests import support


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store("memory:" if request.param == "memory" else support.sqlite_url(tmp_path))
    yield opened
    await opened.close()
