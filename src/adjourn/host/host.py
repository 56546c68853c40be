"""The library: it keeps the conversations and decides; whoever uses it has the sockets and calls the model."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from adjourn.core import acts
from adjourn.core.acts import Claim, Events, Message, Text
from adjourn.core.decide import mode, sign
from adjourn.core.errors import ClientError
from adjourn.core.events import Ended, Held, Inherited
from adjourn.core.machine import EMPTY, Hold, Mode, Registers, Stage
from adjourn.core.policy import ABUSE, Policy
from adjourn.core.reading import Flag, Reading, RiskKind
from adjourn.core.tree import Tree, after
from adjourn.host import lines
from adjourn.host.identify import Element, Place, locate, path_digest
from adjourn.host.turn import Turn
from adjourn.host.words import words
from adjourn.signals import Detectors, local
from adjourn.store import BUSY_SECONDS, Lookup, Sealed, Store, chance, open_store, sealed
from adjourn.wire import openai_chat
from adjourn.wire.openai_chat import Note
from adjourn.wire.request import ASSISTANT, USER, Request

NEW = frozenset({"", "new"})
"""What some clients send as the id of a chat that has none yet."""


@dataclass(slots=True, kw_only=True)
class Host:
    """Conversations under a policy. `form`: how guidance is put into a request (developer, system or in_user)."""

    store: Store
    policy: Policy
    detectors: Detectors
    secret: bytes
    form: str = "in_user"
    fork_store: bool | None = None
    country: str | None = None
    beginnings: MutableMapping[tuple[str, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        policy: Policy | None = None,
        *,
        detectors: Detectors | None = None,
        busy_seconds: float = BUSY_SECONDS,
        **options: Any,
    ) -> AsyncIterator["Host"]:
        """Open the store at this address for as long as the context lasts."""
        rules, store = policy or Policy(), open_store(url, busy_seconds=busy_seconds)
        try:
            await store.keep(rules)
            secret = await store.secret("lookups")
            yield cls(
                store=store, policy=rules, detectors=detectors or local(rules.thresholds), secret=secret, **options
            )
        finally:
            await store.close()

    async def begin(
        self,
        *,
        scope: str,
        messages: Sequence[Mapping[str, Any]] | None = None,
        request: Request | None = None,
        conversation: str | None = None,
        retried: bool = False,
    ) -> Turn:
        """Take a person's newest message, with the whole history as the client tells it; the model is not called.

        `scope`: who asks; conversations of two scopes never meet. `conversation`: an id of ours or of the client's; the
        empty string and "new" are none. `retried`: a client's own retry, which gets the words of an end again.
        """
        asked = request or openai_chat.parse(msgspec.json.encode({"messages": messages}))
        if asked.newest < 0:
            raise ClientError("there is no message of a user in `messages`")
        external = None if conversation is None or conversation in NEW else conversation
        same = scope, external or asked.messages[asked.newest].text
        async with self.beginnings.setdefault(same, asyncio.Lock()):  # what comes twice at once is kept once
            place = await locate(self.store, self.secret, scope, asked, external)
            beginning = _Beginning(self, asked, await self._one(place), scope, external, retried)
            return await beginning.run()

    async def _one(self, place: Place) -> Place:
        """Return the place in the conversation that is closed there, if one of several is."""
        for conversation in place.nearest if place.like else ():
            within = place.within(conversation)
            if await self.store.see(conversation, partial(_closed_above, place=within)):
                return within
        return replace(place.within(None), like=place.like) if place.like else place

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


class _Beginning:
    """The first transaction of a turn: what is claimed, the message, what is decided, the attempt."""

    def __init__(
        self, host: Host, request: Request, place: Place, scope: str, external: str | None, retried: bool
    ) -> None:
        self.host, self.request, self.place = host, request, place
        self.scope, self.external, self.retried = scope, external, retried
        self.conversation = place.conversation or host.ident("c")
        self.new = sealed(host.ident("m"), place.newest.text)
        self.told = [None if found else self._told(said) for said, found in place.path[:-1]]
        newest = request.newest
        before = [(message.role, message.text) for message in request.messages[:newest]]
        self.reading = host.detectors.user(place.newest.text, before)
        confirms = Flag.CONFIRMS_END in self.reading.flags
        self.closing = sealed(host.ident("m"), words()["closing_request"]) if confirms else None
        self.at = host.now()
        self.turn = Turn(
            host=host,
            request=request,
            conversation=self.conversation,
            newest=place.newest,
            node=self.new.node,
            attempt=host.ident("t"),
        )
        self.inherited: Inherited | None = None

    async def run(self) -> Turn:
        if self.place.like:
            self.inherited = await self._inherited()
        newest = self.place.newest.digest
        texts, lookups = [self.new], [Lookup(newest, self.conversation, self.new.node, own=True)]
        for told, (said, _) in zip(self.told, self.place.path, strict=False):
            if told is not None:
                texts.append(told[0])
                lookups.append(Lookup(said.digest, self.conversation, told[0].node, own=False))
        if self.closing is not None:
            texts.append(self.closing)
            closing = path_digest(self.host.secret, newest, ASSISTANT, self.closing.text)
            lookups.append(Lookup(closing, self.conversation, self.closing.node, own=True))
        await self.host.store.commit(self.conversation, self.decide, texts, lookups)
        if self.turn.ended and not self.turn.refused:
            await self.turn.read_closing_words()
        return self.turn

    def decide(self, tree: Tree) -> Events:
        """Return the facts of the beginning; what they mean is noted on the turn."""
        host, turn = self.host, self.turn
        events: Events = ()
        if tree.opened is None:
            opened = acts.opening(self.conversation, host.policy, scope=self.scope, external=self.external, at=self.at)
            events = (opened,)
        now = after(tree, events)
        known, claims = self._path(now)
        turn.node = known[-1] or self.new.node
        if known[-1] is None:
            taken = self._receive(now, known, claims)
            events, now = events + taken, after(now, taken)
            if not acts.took(events, turn.node):
                self._refused(now, known, events)
                return events
        elif _goes_on(now, self.place, turn.node):
            self._refused(now, known, events)
            return events
        ended = self._closed(now)
        if ended is not None:
            turn.close(ended)
            return events
        node = now.nodes[turn.node]
        turn.template = "closing_abuse" if acts.family_of(node) == ABUSE else "closing_harm"
        turn.redirections = node.registers.k
        turn.notes = self._notes(now, known)
        alone = turn.newest.index == len(self.request.messages) - 1
        turn.forks = now.stage(turn.node) is Stage.LAST_RESORT and alone
        turn.shows(now, events)
        if turn.support is None and sign(node) is Hold.SHOWN and now.held is Hold.SHOWN and host.mode(now) >= Mode.WARN:
            turn.support = host.support(node.risk_kind)  # sent again: the first answer may not have come through
        return (*events, turn.start(now))

    def _path(self, tree: Tree) -> tuple[list[str | None], list[Claim]]:
        """Return the node of each element of the path (None for a new message), and what must be claimed for it."""
        nodes: list[str | None] = []
        claims: list[Claim] = []
        above: str | None = None
        for (said, found), told in zip(self.place.path, (*self.told, None), strict=True):
            node = _pick(tree, [lookup.node for lookup in found], above)
            if told is not None:
                text, reading = told
                claims.append(Claim(text.reference, above, user=said.role == USER, readings=(reading,)))
                node = text.node
            nodes.append(node)
            above = node
        return nodes, claims

    def _told(self, said: Element) -> tuple[Sealed, Reading]:
        """Return what the client claims was said, and its reading."""
        read = self.host.detectors.user if said.role == USER else self.host.detectors.assistant
        return sealed(self.host.ident("m"), said.text), read(said.text)

    def _receive(self, tree: Tree, known: Sequence[str | None], claims: Sequence[Claim]) -> Events:
        events: Events = ()
        if self.inherited is not None:
            events = acts.tell(tree, claims, self.host.policy)
            events = (*events, replace(self.inherited, node=self._shared(known)))
            claims = ()
        message = Message(
            text=self.new.reference,
            parent=known[-2] if len(known) > 1 else None,
            readings=(self.reading,),
            closing=self.closing.reference if self.closing else Text(""),
            at=self.at,
            observe_only=self.request.observe_only,
        )
        return events + acts.receive(after(tree, events), message, self.host.policy, claims)

    def _closed(self, tree: Tree) -> Ended | None:
        """Return the end of this message: the one just made, or one that a client's own retry gets again."""
        mine = [end for end in tree.ended.values() if end.node == self.turn.node]
        return mine[0] if mine and (self.retried or self._is_mine(mine[0])) else None

    def _is_mine(self, end: Ended) -> bool:
        return self.closing is not None and end.answer == self.closing.node

    def _refused(self, tree: Tree, known: Sequence[str | None], events: Events) -> None:
        """Note that the conversation was closed before; a sign of risk brings help lines all the same."""
        turn = self.turn
        turn.refused = True
        turn.say = words()["refusal"]
        for node in known:
            for end in tree.ended.values():
                if node in (end.answer, end.node):
                    turn.close(end)
        turn.ended, turn.stage = True, Stage.ENDED
        held = next((event for event in reversed(events) if isinstance(event, Held)), None)
        if held is not None:
            turn.support = self.host.support(held.kind)

    def _notes(self, tree: Tree, known: Sequence[str | None]) -> list[Note]:
        """Return what earlier attempts put in on this path: it is put in again, at the same places."""
        places = {node: said.index for node, (said, _) in zip(known, self.place.path, strict=True) if node}
        notes: list[Note] = []
        above = tree.nodes[self.turn.node].guided_above
        while above is not None:
            kept = tree.nodes[above]
            if kept.guided is not None and kept.parent in places:
                notes.append(Note(places[kept.parent], *kept.guided))
            above = kept.guided_above
        return notes[::-1]

    def _shared(self, known: Sequence[str | None]) -> str:
        """Return the node of the answer that they have in common: what the client claims below it inherits nothing."""
        anchor = self.place.like[0].digest
        path = zip(known, self.place.path, strict=True)
        return next(node for node, (said, _) in path if said.digest == anchor and node)

    async def _inherited(self) -> Inherited:
        """Return what several conversations that nothing tells apart have in common: the least of it."""
        seen = [
            await self.host.store.see(
                like.conversation, partial(_standing, node=like.node, since=self.at - self.host.policy.idle_ms)
            )
            for like in self.place.like
        ]
        least = min((registers for registers, *_ in seen), key=lambda kept: kept.k)
        warned = all(registers.warned for registers, *_ in seen)
        since = [since for *_, since in seen if since is not None]
        return Inherited(
            node="",
            registers=replace(least, warned=least.warned if warned else None),
            asked=all(asked for _, asked, _, _ in seen),
            held=max(held for _, _, held, _ in seen),
            since_faint=min(since, default=None),
            of=tuple(like.conversation for like in self.place.like),
        )


def _standing(tree: Tree, node: str, since: int) -> tuple[Registers, bool, Hold, int | None]:
    if tree.nodes[node].at < since:  # idle: only the hold goes on
        return EMPTY, False, tree.held, tree.since_faint
    return tree.registers(node), tree.standing(node) is Stage.ASKED, tree.held, tree.since_faint


def _closed_above(tree: Tree, place: Place) -> bool:
    """Whether a request that goes on here stands below an end: as far as its path is known, that is closed."""
    above: str | None = None
    for said, found in place.path:
        node = _pick(tree, [lookup.node for lookup in found], above)
        if node is None or said is place.newest:
            return tree.is_ended(above) or (node is not None and _goes_on(tree, place, node))
        above = node
    return False


def _goes_on(tree: Tree, place: Place, node: str) -> bool:
    """Whether the request goes on with a closed answer to `node`, or one put in its place, not with a new message."""
    if place.tail is None or not tree.is_ended(node):
        return False
    return not any(found.own and found.node not in tree.ended for found in place.tail)


def _pick(tree: Tree, nodes: Sequence[str], above: str | None) -> str | None:
    """Return the node that is meant: of two that are alike the one where it is closed, else the one below `above`."""
    if len(nodes) < 2:
        return nodes[0] if nodes else None
    ended = [node for node in nodes if tree.is_ended(node)]
    below = [node for node in nodes if tree.nodes[node].parent == above]
    return (ended or below or nodes)[0]
