"""The doctor: what is set, does the model do what Adjourn asks of it, and do ids of conversations arrive."""

from collections.abc import AsyncIterator

from adjourn.web.doctor.arrivals import of_server, of_store
from adjourn.web.doctor.finding import Finding, State
from adjourn.web.doctor.house import house
from adjourn.web.doctor.model import models
from adjourn.web.doctor.witnesses import witnesses
from adjourn.web.serve import Serving

__all__ = ["Finding", "State", "examine"]


async def examine(serving: Serving, server: str | None = None, server_key: str | None = None) -> AsyncIterator[Finding]:
    """Yield what is found, as it is found. Nothing is written; each model is asked a few short questions.

    `server`: the address of a running server, which is asked for the newest conversations instead of the database;
    `server_key`: the key that its clients send.
    """
    async for finding in house(serving):
        yield finding
    async for finding in models(serving):
        yield finding
    async for finding in witnesses(serving):
        yield finding
    async for finding in of_server(server, server_key) if server is not None else of_store(serving):
        yield finding
