"""The witnesses elsewhere: they read beside the answer and keep nobody waiting, but an end waits for them.

What they see is put on record when it comes. What fails, is late or is out of budget adds nothing, and where an end or
a warning waits for it, it is doubt.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from adjourn.core import acts
from adjourn.core.errors import StoreError
from adjourn.core.events import Held, Judged
from adjourn.core.machine import Hold
from adjourn.core.reading import Matter, Opinion
from adjourn.core.tree import Facts, Tree
from adjourn.signals import Message
from adjourn.signals.remote.heard import Came, Heard
from adjourn.signals.remote.judge import Judgement
from adjourn.store import Sealed, sealed
from adjourn.wire.request import ASSISTANT, USER

if TYPE_CHECKING:
    from adjourn.host.host import Host
    from adjourn.host.turn import Turn

WAIT_SECONDS = 10.0
"""How long an end waits for all that is asked about it."""


class Witness(Protocol):
    """One witness elsewhere. `sample`: which share of the messages it reads. It never raises."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def sample(self) -> float: ...

    async def read(self, text: str, before: Sequence[Message]) -> Heard:
        """Return what it sees in a person's message; `before` are the messages before it, oldest first."""
        ...

    async def judge(self, matter: Matter, branch: Sequence[Message]) -> Heard:
        """Return what it says about a branch, whose newest message comes last."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


Readings = Mapping[Witness, "asyncio.Task[Heard]"]
"""What is being read, by whom."""


class Said(NamedTuple):
    """What came of asking about an end: facts, and the words that are cited."""

    judged: tuple[Judged, ...] = ()
    quotes: tuple[Sealed, ...] = ()


@dataclass(slots=True)
class Witnesses:
    """Those who read each message, and the judge, if there is one. `told`: hears of each question, and how it went."""

    readers: Sequence[Witness] = ()
    judge: Witness | None = None
    told: Callable[[str, Came], None] = lambda kind, came: None
    running: set["asyncio.Task[Any]"] = field(default_factory=set)

    @property
    def any(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self.readers) or self.judge is not None

    # Beside the answer.

    def read(self, node: str, text: str, before: Sequence[Message]) -> Readings:
        """Have a person's message read by those whose turn it is."""
        return {one: self._runs(self._told(one, one.read(text, before))) for one in self.readers if _sampled(one, node)}

    def keep(self, turn: "Turn", readings: Readings) -> None:
        """Have what they see in the message of this turn put on record once it comes; an end of the turn waits."""
        turn.beside = {
            witness: self._runs(self._kept(turn.host, turn, witness, reading)) for witness, reading in readings.items()
        }

    def ask_beside(self, turn: "Turn", matter: Matter, answered: str | None = None) -> None:
        """Ask the judge about the branch of this turn, if there is one; `answered`: what the assistant said to it."""
        if self.judge is not None:
            more = [(ASSISTANT, answered)] if answered is not None else []
            self._runs(self._opined(turn, self.judge, matter, [*branch(turn), *more]))

    async def _kept(self, host: "Host", turn: "Turn", witness: Witness, reading: "asyncio.Task[Heard]") -> Heard:
        heard = await reading
        if heard.reading is None or not heard.reading.flags:
            return heard
        seen, again = heard.reading, False

        def decide(tree: Tree) -> Facts:
            nonlocal again
            facts = acts.witness(tree, turn.node, [seen], host.policy)
            faint = any(isinstance(event, Held) and event.level is Hold.QUIET for event in facts)
            again = faint and tree.since_faint is not None and tree.held is not Hold.SHOWN
            return facts

        try:
            await host.store.commit(turn.conversation, decide)
        except StoreError:
            return Heard(Came.FAILED)
        if again:
            self.ask_beside(turn, Matter.RISK)
        return heard

    async def _opined(self, turn: "Turn", judge: Witness, matter: Matter, said: Sequence[Message]) -> None:
        heard = await self._told(judge, judge.judge(matter, said))
        judged, quotes = _judged(turn.host, turn.node, matter, judge, heard.judgement)
        readings = [heard.reading] if heard.reading is not None else []
        with suppress(StoreError):  # then it has said nothing
            await turn.host.store.commit(
                turn.conversation, lambda tree: acts.opine(tree, judged, readings, turn.host.policy), quotes
            )

    # Before an end.

    async def before_end(
        self, host: "Host", node: str, matter: Matter, said: Sequence[Message], readings: Readings
    ) -> Said:
        """Ask the judge about an end, and wait for these readings: what is not there in time is doubt."""
        asked: dict[Witness, asyncio.Task[Heard]] = {}
        if self.judge is not None:
            asked[self.judge] = self._runs(self._told(self.judge, self.judge.judge(matter, said)))
        waited = [*readings.values(), *asked.values()]
        if waited:
            await asyncio.wait(waited, timeout=WAIT_SECONDS)
        found = Said()
        for witness, task in readings.items():
            if not _is_there(task) or task.result().doubtful:
                found = _and(found, _judged(host, node, matter, witness, _DOUBT))
        for witness, task in asked.items():
            judgement = task.result().judgement if _is_there(task) else _DOUBT
            if task.cancel():
                self.told(witness.kind, Came.LATE)
            found = _and(found, _judged(host, node, matter, witness, judgement))
        return found

    # What runs.

    async def _told(self, witness: Witness, asking: Coroutine[Any, Any, Heard]) -> Heard:
        heard = await asking
        self.told(witness.kind, heard.came)
        return heard

    def _runs(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    async def close(self) -> None:
        """Give up what still runs, which then has said nothing, and let go of the witnesses."""
        running = list(self.running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for one in [*self.readers, *([self.judge] if self.judge else [])]:
            await one.close()


_DOUBT = Judgement(Opinion.UNSCORED)


def branch(turn: "Turn") -> list[Message]:
    """Return what the person and the assistant said on this branch, the message of the turn last."""
    return [*before(turn), (USER, turn.newest.text)]


def before(turn: "Turn") -> list[Message]:
    """Return what the person and the assistant said before the message of this turn."""
    told = turn.request.messages[: turn.newest.last]
    return [(one.role, one.text) for one in told if one.role in (USER, ASSISTANT)]


def _sampled(witness: Witness, node: str) -> bool:
    """Whether this message is among those that a witness reads: drawn by the id of its node, which nobody chooses."""
    drawn = int.from_bytes(hashlib.blake2b(f"{witness.name}/{node}".encode(), digest_size=8).digest()) / 2**64
    return drawn < witness.sample


def _judged(
    host: "Host", node: str, matter: Matter, witness: Witness, judgement: Judgement
) -> tuple[Judged, tuple[Sealed, ...]]:
    quote = sealed(host.ident("q"), judgement.quote) if judgement.quote else None
    judged = Judged(
        node=node,
        matter=matter,
        opinion=judgement.opinion,
        witness=witness.name,
        version=witness.version,
        quote=quote.node if quote else "",
        digest=quote.digest if quote else "",
    )
    return judged, (quote,) if quote else ()


def _and(said: Said, more: tuple[Judged, tuple[Sealed, ...]]) -> Said:
    return Said((*said.judged, more[0]), (*said.quotes, *more[1]))


def _is_there(task: "asyncio.Task[Heard]") -> bool:
    return task.done() and not task.cancelled()
