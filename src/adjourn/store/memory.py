"""The store that keeps everything in memory: the reference in tests."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adjourn.core.events import Ended, Erased, Opened
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.store.chats import altered, asked_for, went_on, words_of
from adjourn.store.interface import (
    MOST,
    Below,
    Chat,
    Committed,
    Conversation,
    Cursor,
    Decide,
    Feedback,
    Lookup,
    Owner,
    Recorded,
    T,
    has_list,
)
from adjourn.store.keys import Key, revoked
from adjourn.store.text import Sealed
from adjourn.store.views import MESSAGES, Change, Kept, brought, change, empty, moved, named, received


class MemoryStore:
    """Every store's behaviour in its plainest form. Nothing survives the process."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._events: dict[str, list[Recorded]] = {}
        self._texts: dict[str, dict[str, Sealed]] = {}
        self._policies: dict[str, tuple[Policy, int | None]] = {}
        self._lookups: dict[bytes, list[Lookup]] = {}  # by either digest
        self._secrets: dict[str, bytes] = {}
        self._feedback: list[Feedback] = []
        self._keys: dict[bytes, Key] = {}
        self._version = 0
        self._chats: dict[str, Chat] = {}

    async def commit(
        self,
        conversation: str,
        decide: Decide,
        texts: Sequence[Sealed] = (),
        lookups: Sequence[Lookup] = (),
    ) -> Committed:
        kept = self._kept.get(conversation) or empty(conversation)
        made = change(kept, decide)
        new_texts = {text.node: text for text in named(texts, made.events)}  # before anything is kept: it may fail
        if self._is_overtaken(conversation, made, lookups):
            return Committed(kept.tree.number + 1, (), overtaken=True)
        if made.recorded:
            self._version += 1
            kept.tree.nodes.update(made.nodes)
            self._kept[conversation] = made.kept
            self._events.setdefault(conversation, []).extend(made.recorded)
        kept_texts = self._texts.setdefault(conversation, {})
        kept_texts.update(new_texts)
        if made.recorded and has_list(made.kept.line.scope):
            chat = self._chats.get(conversation)
            self._chats[conversation] = went_on(chat, made.kept.line, made.events, new_texts)
        for lookup in brought(lookups, made.events):
            for digest in {lookup.digest, lookup.alone}:
                self._lookups.setdefault(digest, []).append(lookup)
        if any(isinstance(event, Erased) for event in made.events):
            kept_texts.clear()
            for led in self._lookups.values():
                led[:] = [lookup for lookup in led if lookup.conversation != conversation]
            self._feedback = [
                replace(said, reasons=(), text=None) if said.conversation == conversation else said
                for said in self._feedback
            ]
        return Committed(kept.tree.number + 1, made.events)

    def _is_overtaken(self, conversation: str, made: Change, lookups: Sequence[Lookup]) -> bool:
        opened = made.events[0] if made.events else None
        if isinstance(opened, Opened):
            return opened.external is not None and self._named(opened.scope, opened.external) is not None
        return any(
            other.digest == lookup.digest and other.conversation == conversation
            for lookup in received(lookups, made.events)
            for other in self._lookups.get(lookup.digest, ())
        )

    async def see(self, conversation: str, look: Callable[[Tree], T]) -> T:
        return look((self._kept.get(conversation) or empty(conversation)).tree.draft())

    async def read(self, conversation: str, after: int = 0) -> list[Recorded]:
        return self._events.get(conversation, [])[after:]

    async def texts(self, conversation: str) -> Mapping[str, Sealed]:
        return dict(self._texts.get(conversation, {}))

    async def conversations(self) -> list[Conversation]:
        return sorted((kept.line for kept in self._kept.values()), key=lambda line: (-line.last_at, line.id))

    async def page(self, owner: Owner, limit: int, below: Cursor | None = None) -> list[Conversation]:
        after = (-below.last_at, below.id) if below else ()
        lines = [line for line in await self.conversations() if owner.owns(line.scope)]
        return [line for line in lines if (-line.last_at, line.id) > after][:limit]

    async def named(self, ident: str, owner: Owner | None = None) -> Sequence[str]:
        number, found = ident.upper(), []
        for line in await self.conversations():
            names = {line.id, *(end.receipt for end in self._ends(line.id)), *([line.external] if owner else [])}
            if (owner is None or owner.owns(line.scope)) and not names.isdisjoint({ident, number}):
                found.append(line.id)
        return sorted(found, key=lambda conversation: conversation != ident)

    def _ends(self, conversation: str) -> list[Ended]:
        return [row.event for row in self._events[conversation] if isinstance(row.event, Ended)]

    async def older(self, at: int, limit: int) -> list[Conversation]:
        said = {one.conversation for one in self._feedback if one.at < at and (one.text or one.reasons)}
        lines = [line for line in await self.conversations() if line.last_at < at]
        return [line for line in lines if self._texts.get(line.id) or line.id in said][:limit]

    async def version(self) -> int:
        return self._version

    async def chats(self, scope: str, limit: int, below: Below | None = None, search: str = "") -> list[Chat]:
        asked = asked_for(search)
        shown = [
            chat
            for chat in self._chats.values()
            if chat.line.scope == scope and chat.deleted_at is None and not chat.erased
            if (self._is_found(chat, asked) if search else not chat.away)
        ]
        shown.sort(key=_place)
        after = (not below.pinned, -below.last_at, below.id) if below is not None else None
        return [chat for chat in shown if after is None or _place(chat) > after][:limit]

    def _is_found(self, chat: Chat, asked: Sequence[str]) -> bool:
        """Whether each word that is asked for begins a word of the chat."""
        nodes = [row.event.node for row in self._events[chat.id] if isinstance(row.event, MESSAGES)]
        kept = self._texts[chat.id]
        texts = [chat.title or "", *(kept[node].text for node in nodes if node in kept)]
        words = {word for text in texts for word in words_of(text)}
        return bool(asked) and all(any(word.startswith(begins) for word in words) for begins in asked)

    async def chat(self, conversation: str) -> Chat | None:
        return self._chats.get(conversation)

    async def mark(self, conversation: str, change: Callable[[Chat], Chat]) -> Chat | None:
        chat = self._chats.get(conversation)
        if chat is not None:
            chat = self._chats[conversation] = altered(chat, change(chat))
        return chat

    async def overdue(self, deleted_before: int, silent_since: int, limit: int) -> list[Chat]:
        return [
            chat
            for chat in self._chats.values()
            if not chat.erased
            if (chat.deleted_at is not None and chat.deleted_at < deleted_before)
            or (chat.temporary and chat.line.last_at < silent_since)
        ][:limit]

    async def comment(self, feedback: Feedback) -> None:
        self._version += 1
        self._feedback.append(feedback)

    async def feedback(self, conversation: str | None = None, since: int = 0) -> list[Feedback]:
        of_all = conversation is None
        return [one for one in self._feedback if (of_all or one.conversation == conversation) and one.at >= since]

    async def ids(self) -> Sequence[str]:
        return sorted(self._events)

    async def line(self, conversation: str) -> tuple[Conversation, bytes] | None:
        kept = self._kept.get(conversation)
        return (kept.line, kept.head) if kept else None

    async def find(
        self, digests: Sequence[bytes], conversation: str | None = None, *, alone: bool = False
    ) -> Sequence[Lookup]:
        found: list[Lookup] = []
        for digest in dict.fromkeys(digests):
            led = [one for one in self._lookups.get(digest, ()) if digest == (one.alone if alone else one.digest)]
            led.sort(key=lambda lookup: lookup.conversation, reverse=True)
            said = [one for one in led if one.said or not alone]
            found += said[:MOST] if conversation is None else led
        return [lookup for lookup in found if conversation in (None, lookup.conversation)]

    async def external(self, scope: str, external: str) -> str | None:
        return self._named(scope, external)

    def _named(self, scope: str, external: str) -> str | None:
        lines = (kept.line for kept in self._kept.values())
        named = [line for line in lines if line.scope == scope and external in (line.external, line.id)]
        return max(named, key=lambda line: line.last_at).id if named else None

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, secrets.token_bytes(32))

    async def add_key(self, key: Key, digest: bytes) -> None:
        self._keys[digest] = key

    async def keys(self) -> Sequence[Key]:
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    async def has_keys(self) -> bool:
        return bool(self._keys)

    async def key(self, digest: bytes) -> Key | None:
        return self._keys.get(digest)

    async def revoke_key(self, ident: str, at: int) -> Key:
        named = {key.id: digest for digest, key in self._keys.items()}
        digest = named.get(ident, b"")
        self._keys[digest] = key = revoked(self._keys.get(digest), ident, at)
        return key

    async def keep(self, policy: Policy, at: int | None = None) -> None:
        self._policies.setdefault(policy.digest, (policy, at))

    async def policies(self) -> Mapping[str, Policy]:
        return {digest: policy for digest, (policy, _) in self._policies.items()}

    async def rules(self) -> Sequence[tuple[Policy, int | None]]:
        return sorted(self._policies.values(), key=lambda kept: (kept[1] is not None, kept[1] or 0))

    async def rebuild(self) -> int:
        for conversation, rows in self._events.items():
            made = moved(empty(conversation), (row.event for row in rows))
            made.kept.tree.nodes.update(made.nodes)
            self._kept[conversation] = made.kept
            chat = self._chats.get(conversation)
            if chat is not None:
                again = went_on(None, made.kept.line, made.events, self._texts[conversation])
                self._chats[conversation] = altered(again, chat)
        return len(self._events)

    async def ready(self) -> None:
        pass

    async def close(self) -> None:
        pass


def _place(chat: Chat) -> tuple[bool, int, str]:
    return (not chat.pinned, -chat.line.last_at, chat.id)
