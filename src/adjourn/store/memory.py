"""The store that keeps everything in memory: the reference in tests."""

from collections.abc import Callable, Mapping, Sequence

from adjourn.core.events import Erased
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.store.interface import Committed, Conversation, Decide, Recorded, T
from adjourn.store.text import Sealed
from adjourn.store.views import Kept, change, empty, moved, named


class MemoryStore:
    """Every store's behaviour in its plainest form. Nothing survives the process."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._events: dict[str, list[Recorded]] = {}
        self._texts: dict[str, dict[str, Sealed]] = {}
        self._policies: dict[str, Policy] = {}

    async def commit(self, conversation: str, decide: Decide, texts: Sequence[Sealed] = ()) -> Committed:
        kept = self._kept.get(conversation) or empty(conversation)
        made = change(kept, decide)
        if made.recorded:
            kept.tree.nodes.update(made.nodes)
            self._kept[conversation] = made.kept
            self._events.setdefault(conversation, []).extend(made.recorded)
        kept_texts = self._texts.setdefault(conversation, {})
        kept_texts.update({text.node: text for text in named(texts, made.events)})
        if any(isinstance(event, Erased) for event in made.events):
            kept_texts.clear()
        return Committed(kept.tree.number + 1, made.events)

    async def see(self, conversation: str, look: Callable[[Tree], T]) -> T:
        return look((self._kept.get(conversation) or empty(conversation)).tree.draft())

    async def read(self, conversation: str, after: int = 0) -> list[Recorded]:
        return self._events.get(conversation, [])[after:]

    async def texts(self, conversation: str) -> Mapping[str, Sealed]:
        return dict(self._texts.get(conversation, {}))

    async def conversations(self) -> list[Conversation]:
        return sorted((kept.line for kept in self._kept.values()), key=lambda line: (-line.last_at, line.id))

    async def line(self, conversation: str) -> tuple[Conversation, bytes] | None:
        kept = self._kept.get(conversation)
        return (kept.line, kept.head) if kept else None

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

    async def close(self) -> None:
        pass
