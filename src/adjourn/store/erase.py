"""Erasing what was said: one conversation when somebody asks, or all that are older than the operator keeps them."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial

from adjourn.core.errors import StoreError, UnknownConversation
from adjourn.core.events import Erased, Event
from adjourn.core.tree import Tree
from adjourn.store.chats import TEMPORARY_MS, UNDO_MS
from adjourn.store.interface import Conversation, Store

HOUR_SECONDS = 3600.0
PAUSE_SECONDS = 0.05
"""Between two erasures: turns that wait are written in between."""

MINUTE_SECONDS = 60.0

LATE_MS = 5 * 60_000
"""How much later than the last undo a deleted chat is erased: nobody's undo may come while that is under way."""

PIECE = 100
"""How many conversations are looked for at once."""


async def erase(store: Store, conversation: str, at: int) -> None:
    """Erase the words of a conversation and of its feedback. Where none are kept any more, nothing is written.

    Raises UnknownConversation if there is no such conversation, StoreError if it could not be written.
    """
    said = any(one.text or one.reasons for one in await store.feedback(conversation))
    chat = await store.chat(conversation)
    kept = said or bool(await store.texts(conversation)) or (chat is not None and chat.title is not None)

    def decide(tree: Tree) -> tuple[Event, ...]:
        if tree.opened is None:
            raise UnknownConversation(f"there is no conversation {conversation}")
        return (Erased(at=at),) if kept else ()

    await store.commit(conversation, decide)


async def forget(store: Store, *, now: Callable[[], int], rest: Callable[[float], Awaitable[object]]) -> None:
    """Erase every minute, until it is cancelled, the chats that a person deleted, and temporary ones, once it is time.

    `now` and `rest` as in `retain`. What cannot be erased is left for the next minute.
    """
    while True:
        with suppress(StoreError):
            at = now()
            for chat in await store.overdue(at - UNDO_MS - LATE_MS, at - TEMPORARY_MS, PIECE):
                with suppress(StoreError):
                    await store.commit(chat.id, partial(_if_as_it_was, line=chat.line, at=at))
                await rest(PAUSE_SECONDS)
        await rest(MINUTE_SECONDS)


async def retain(
    store: Store, keep_ms: int, *, now: Callable[[], int], rest: Callable[[float], Awaitable[object]]
) -> None:
    """Erase every hour, until it is cancelled, the conversations whose newest message is older than `keep_ms`.

    `now` gives Unix time in milliseconds, `rest` waits so many seconds. What cannot be erased is left for the next
    hour, and does not keep the rest from being erased.
    """
    while True:
        failed: set[str] = set()
        with suppress(StoreError):
            while older := await _older(store, now() - keep_ms, failed):
                for line in older:
                    try:
                        await store.commit(line.id, partial(_if_as_it_was, line=line, at=now()))
                    except StoreError:
                        failed.add(line.id)
                    await rest(PAUSE_SECONDS)
        await rest(HOUR_SECONDS)


async def _older(store: Store, at: int, failed: Collection[str]) -> list[Conversation]:
    """Return some old conversations that have not failed; none once so many have that it is the store's fault."""
    if len(failed) >= PIECE:
        return []
    return [line for line in await store.older(at, 2 * PIECE) if line.id not in failed]


def _if_as_it_was(tree: Tree, line: Conversation, at: int) -> tuple[Event, ...]:
    """Erase, unless something has come since the conversation was found to be old."""
    return (Erased(at=at),) if tree.number == line.number else ()
