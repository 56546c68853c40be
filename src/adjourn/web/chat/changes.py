"""What changed in a browser's conversations, in whatever process: one stream of events for all of its tabs."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from adjourn.core.errors import StoreError
from adjourn.store import Chat, Conversation, Owner, Store, has_list
from adjourn.web.stopping import Stopping
from adjourn.wire.sse import event_of

LOOK_SECONDS = 0.2
"""How often the store is asked whether anything was written: an end shows in every tab within a second."""
NEWEST = 100
"""Among so many of the newest conversations a change is looked for."""
PING_LOOKS = 75
"""After so many looks without news a comment is sent, so that nothing on the way takes the connection for dead."""


async def changes(store: Store, scope: str, stopping: Stopping) -> AsyncGenerator[bytes, None]:
    """Yield an event for each conversation of this scope that changes, until the server is to stop."""
    yield b"retry: 500\n\n"
    version, known = -1, await _lines(store, scope)
    quiet = 0
    while not stopping.begun:
        try:
            now = await store.version()
            if now != version:
                version, before, known = now, known, await _lines(store, scope)
                for ident, (line, listed) in known.items():
                    if before.get(ident) != (line, listed):
                        yield event_of(msgspec.json.encode(_told(line)))
                        quiet = 0
        except StoreError:
            version = -1  # looked at again
        quiet += 1
        if quiet % PING_LOOKS == 0:
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)


async def _lines(store: Store, scope: str) -> dict[str, tuple[Conversation, Chat | None]]:
    """Return what is known of the newest conversations, and how each stands in the list."""
    listed = {chat.id: chat for chat in await store.chats(scope, NEWEST)} if has_list(scope) else {}
    return {line.id: (line, listed.get(line.id)) for line in await store.page(Owner(scope), NEWEST)}


def _told(line: Conversation) -> dict[str, Any]:
    return {"conversation": line.id, "number": line.number, "closed": line.ended}
