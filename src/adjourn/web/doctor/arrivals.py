"""Do ids of conversations arrive? Told from the newest conversations, in the database or of a running server."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp

from adjourn.core.errors import AdjournError, StoreError
from adjourn.core.machine import Mode
from adjourn.store import open_store
from adjourn.web.doctor.finding import Finding, State
from adjourn.web.serve import Serving

NEWEST = 50
BROWSER = "browser:"
"""In the scope of a conversation on the chat page, which goes on by this server's own ids."""

SECONDS = 10.0
"""How long a running server is waited for."""

MEANS = (
    "Without one a conversation is recognised by its history: an edit of its first message begins a new one, and a hold"
    " does not follow there. Clients say it in the header Adjourn-Conversation (docs/connect)"
)


async def of_store(serving: Serving) -> AsyncIterator[Finding]:
    """Yield what the database says."""
    if serving.policy.mode is Mode.OFF:
        return
    try:
        store = open_store(serving.db, make=False)
        try:
            lines = [line for line in await store.conversations() if BROWSER not in line.scope]
            yield arrived([line.external for line in lines[:NEWEST]])
        finally:
            await store.close()
    except StoreError as error:
        yield Finding("ids", State.DOUBT, f"it could not be seen whether they arrive: {error}")
    except AdjournError:  # there is no database yet
        yield arrived([])


async def of_server(url: str, key: str | None) -> AsyncIterator[Finding]:
    """Yield what a running server says of itself, and of the conversations that this key sees."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with aiohttp.ClientSession(url.rstrip("/") + "/", headers=headers, timeout=timeout) as session:
            status, told = await _read(session, "readyz")
            ready = _ready(url, status, told)
            yield ready
            if ready.state is State.GOOD:
                yield _of_api(*await _read(session, f"api/conversations?limit={NEWEST}"))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        yield Finding("server", State.BAD, f"{url} does not answer: {str(error) or 'it was late'}")


async def _read(session: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with session.get(path) as answer:
        return answer.status, await answer.json(content_type=None)


def _ready(url: str, status: int, told: Any) -> Finding:
    if status == 200 and told == {"status": "ready"}:
        return Finding("server", State.GOOD, f"{url} is ready")
    return Finding("server", State.BAD, f"{url} is not ready: {_message(told) or f'it answered {status}'}")


def _of_api(status: int, told: Any) -> Finding:
    if status != 200:
        return Finding("ids", State.BAD, f"the server does not show its conversations: {_message(told)} (--server-key)")
    return arrived([line["external_id"] for line in told["conversations"]])


def _message(told: Any) -> str:
    error = told.get("error", told) if isinstance(told, dict) else {}
    return str(error.get("message", "")) if isinstance(error, dict) else ""


def arrived(ids: Sequence[str | None]) -> Finding:
    """Return what it means that the newest conversations came with these ids of their clients."""
    if not ids:
        return Finding("ids", State.DOUBT, f"there is no conversation yet that could have come with an id. {MEANS}")
    count = sum(one is not None for one in ids)
    says = f"conversations that came with an id of the client's: {count} of the newest {len(ids)}"
    if count == len(ids):
        return Finding("ids", State.GOOD, says)
    return Finding("ids", State.DOUBT, f"{says}. {MEANS}")
