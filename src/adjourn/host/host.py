"""The library: it keeps the conversations and decides; whoever uses it has the sockets and calls the model."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from adjourn.core.decide import mode
from adjourn.core.errors import ClientError, StoreError
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, RiskKind
from adjourn.core.tree import Tree
from adjourn.host import lines
from adjourn.host.aside import Aside, aside
from adjourn.host.beginning import Beginning
from adjourn.host.identify import Recogniser
from adjourn.host.inherit import closed_in, inherited
from adjourn.host.known_ends import Closed, KnownEnds
from adjourn.host.locate import altered, locate
from adjourn.host.turn import Manner, Turn
from adjourn.host.witnesses import Witnesses
from adjourn.signals import LONG, Detectors, local
from adjourn.store import BUSY_SECONDS, Store, chance, open_store
from adjourn.wire.request import Request

NEW = frozenset({None, "", "new"})
"""What some clients send as the id of a chat that has none yet."""

UNKNOWN = "\0"
"""An id that no conversation has."""

TRIES = 8
"""How often a place is looked up again because somebody else wrote there meanwhile."""


@dataclass(slots=True, kw_only=True)
class Host:
    """Conversations under a policy. `manner`: how the model is spoken to, where a turn does not say.

    `witnesses`: those elsewhere that are asked besides; by default nobody.
    """

    store: Store
    policy: Policy
    detectors: Detectors
    secret: bytes
    manner: Manner = field(default_factory=Manner)
    country: str | None = None
    ends: KnownEnds = field(default_factory=KnownEnds)
    witnesses: Witnesses = field(default_factory=Witnesses)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        policy: Policy | None = None,
        *,
        detectors: Detectors | None = None,
        busy_seconds: float = BUSY_SECONDS,
        witnesses: Witnesses | None = None,
        **options: Any,
    ) -> AsyncIterator["Host"]:
        """Open the store at this address for as long as the context lasts."""
        rules, store = policy or Policy(), open_store(url, busy_seconds=busy_seconds)
        asked = witnesses or Witnesses()
        try:
            await store.keep(rules, time.time_ns() // 1_000_000)
            secret = await store.secret("lookups")
            yield cls(
                store=store,
                policy=rules,
                detectors=detectors or local(rules.thresholds),
                secret=secret,
                witnesses=asked,
                **options,
            )
        finally:
            await asked.close()
            await store.close()

    async def begin(
        self,
        *,
        scope: str,
        messages: Sequence[Mapping[str, Any]] | None = None,
        request: Request | None = None,
        conversation: str | None = None,
        retried: bool = False,
        manner: Manner | None = None,
        details: bool = False,
    ) -> Turn:
        """Take a person's newest message, with the whole history as the client tells it; the model is not called.

        `scope`: who asks; conversations of two scopes never meet. `conversation`: an id of ours or of the client's; the
        empty string and "new" are none. `retried`: a client's own retry, which gets the words of an end again.
        `details`: the client is told the stage on every turn.
        """
        manner = manner or self.manner
        asked = request or manner.wire.parse(msgspec.json.encode({"messages": messages}))
        if asked.newest < 0:
            raise ClientError("there is no message of a user in `messages`")
        recogniser = Recogniser(self.secret, scope)
        for _ in range(TRIES):
            beginning = await self._beginning(recogniser, asked, conversation, manner, retried=retried)
            turn = await beginning.run()
            if turn is not None:
                turn.details = details
                return turn
        raise StoreError("others kept on writing to the same place")

    async def aside(
        self, *, scope: str, request: Request, conversation: str | None = None, told: bool = False
    ) -> Aside | None:
        """Return what becomes of a side request (a title, tags); None: it is an ordinary one.

        `told`: a header of the client's says that it is one.
        """
        return await aside(self.store, Recogniser(self.secret, scope), request, _named(conversation), told=told)

    async def closed(self, *, scope: str, request: Request, conversation: str | None = None) -> Closed | None:
        """Return what to tell the client if a message that cannot be kept stands below an end; None: it does not.

        Nothing is written. Where the store cannot be read either, it is answered from what this process has seen. A
        clear sign of risk in the message is never below an end. The arguments are those of `begin`.
        """
        recogniser = Recogniser(self.secret, scope)
        try:
            beginning = await self._beginning(recogniser, request, conversation, self.manner, retried=False)
            turn = await beginning.look()
            return turn.closed if turn.refused else None
        except StoreError:
            newest = request.messages[request.newest].text
            risk = await asyncio.to_thread(self.detectors.user, newest)
            return None if Flag.RISK_CLEAR in risk.flags else self.ends.above(list(recogniser.elements(request)))

    async def _beginning(
        self, recogniser: Recogniser, asked: Request, conversation: str | None, manner: Manner, *, retried: bool
    ) -> Beginning:
        """Return the message at its place, before it is taken."""
        external = _named(conversation)
        place = await locate(self.store, recogniser, asked, external)
        if external is not None and place.conversation is not None and not place.is_on_its_path:
            # It is not the path of the conversation that it names: then it may be the history of another one.
            copied = await locate(self.store, recogniser, asked, UNKNOWN)
            place = (await closed_in(self.store, recogniser, copied) if copied.like else None) or place
        inherits = None
        if place.like:
            closed = await closed_in(self.store, recogniser, place)
            if closed is None:
                inherits = await inherited(self.store, self.policy, place.like, self.now())
            place = closed or place.new()
        altering = await altered(self.store, recogniser, place)
        begin = partial(
            Beginning,
            self,
            manner,
            asked,
            place,
            recogniser,
            external=external,
            retried=retried,
            inherits=inherits,
            altered=altering,
        )
        # Whatever is read for the first time is read here: what is long, where it keeps nobody else waiting.
        long = sum(len(message.text) for message in asked.messages) > LONG
        return await asyncio.to_thread(begin) if long else begin()

    def now(self) -> int:
        """Return the time, in milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def ident(self, kind: str) -> str:
        """Return a new id that nobody can guess; it begins with the time, so that what is new lies together."""
        return f"{kind}_{self.now():011x}{chance(10).hex()}"

    def mode(self, tree: Tree) -> Mode:
        """Return the mode in force in a conversation."""
        return mode(tree, self.policy)

    def support(self, kind: RiskKind | None) -> dict[str, Any]:
        """Return the help lines for a kind of risk."""
        return lines.support(kind, self.country, datetime.now(UTC))


def _named(conversation: str | None) -> str | None:
    """Return the id that a client gives its chat, if it is one."""
    return None if conversation in NEW else conversation
