"""The store that keeps everything in memory: the reference in tests."""

import secrets
from collections.abc import Callable, Mapping, Sequence

from adjourn.core.events import Erased
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.store.interface import Committed, Conversation, Decide, Lookup, Recorded, T
from adjourn.store.text import Sealed
from adjourn.store.views import Kept, brought, change, empty, moved, named


class MemoryStore:
    """Every store's behaviour in its plainest form. Nothing survives the process."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._events: dict[str, list[Recorded]] = {}
        self._texts: dict[str, dict[str, Sealed]] = {}
        self._policies: dict[str, Policy] = {}
        self._lookups: list[Lookup] = []
        self._secrets: dict[str, bytes] = {}

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
        if made.recorded:
            kept.tree.nodes.update(made.nodes)
            self._kept[conversation] = made.kept
            self._events.setdefault(conversation, []).extend(made.recorded)
        kept_texts = self._texts.setdefault(conversation, {})
        kept_texts.update(new_texts)
        self._lookups += brought(lookups, made.events)
        if any(isinstance(event, Erased) for event in made.events):
            kept_texts.clear()
            self._lookups = [lookup for lookup in self._lookups if lookup.conversation != conversation]
        return Committed(kept.tree.number + 1, made.events)

    async def see(self, conversation: str, look: Callable[[Tree], T]) -> T:
        return look((self._kept.get(conversation) or empty(conversation)).tree.draft())

    async def read(self, conversation: str, after: int = 0) -> list[Recorded]:
        return self._events.get(conversation, [])[after:]

    async def texts(self, conversation: str) -> Mapping[str, Sealed]:
        return dict(self._texts.get(conversation, {}))

    async def conversations(self) -> list[Conversation]:
        return sorted((kept.line for kept in self._kept.values()), key=lambda line: (-line.last_at, line.id))

    async def ids(self) -> Sequence[str]:
        return sorted(self._events)

    async def line(self, conversation: str) -> tuple[Conversation, bytes] | None:
        kept = self._kept.get(conversation)
        return (kept.line, kept.head) if kept else None

    async def find(self, digests: Sequence[bytes]) -> Sequence[Lookup]:
        wanted = set(digests)
        return [lookup for lookup in self._lookups if lookup.digest in wanted]

    async def external(self, scope: str, external: str) -> str | None:
        lines = await self.conversations()
        named = (line.id for line in lines if line.scope == scope and external in (line.external, line.id))
        return next(named, None)

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, secrets.token_bytes(32))

    async def keep(self, policy: Policy) -> None:
        self._policies[policy.digest] = policy

    async def policies(self) -> Mapping[str, Policy]:
        return dict(self._policies)

    async def rebuild(self) -> int:
        for conversation, rows in self._events.items():
            made = moved(empty(conversation), (row.event for row in rows))
            made.kept.tree.nodes.update(made.nodes)
            self._kept[conversation] = made.kept
        return len(self._events)

    async def ready(self) -> None:
        pass

    async def close(self) -> None:
        pass
