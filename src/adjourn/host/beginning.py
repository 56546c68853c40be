"""The first transaction of a turn: what is claimed, the message, what is decided, the attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from adjourn.core import acts
from adjourn.core.acts import OTHER_WORDS, Claim, Message, Reread, Text
from adjourn.core.decide import sign, told_late
from adjourn.core.events import AttemptStarted, Ended, Held, Inherited
from adjourn.core.machine import Finish, Hold, Mode, Stage
from adjourn.core.policy import ABUSE
from adjourn.core.reading import Flag, Matter, Reading
from adjourn.core.tree import Facts, Tree
from adjourn.host.identify import STEP, Element, Recogniser
from adjourn.host.place import Place, answering, climb, goes_on, trace
from adjourn.host.turn import Manner, Turn
from adjourn.host.witnesses import Readings, Said, before, branch
from adjourn.host.words import words
from adjourn.store import Lookup, Sealed, sealed
from adjourn.wire.request import USER, Request
from adjourn.wire.view import Note

if TYPE_CHECKING:
    from adjourn.host.host import Host


class Beginning:
    """A message that came, before it is taken. Everything that is not decided is prepared before the transaction."""

    def __init__(
        self,
        host: "Host",
        manner: Manner,
        request: Request,
        place: Place,
        recogniser: Recogniser,
        *,
        external: str | None,
        retried: bool,
        inherits: Inherited | None,
        altered: Mapping[int, str],
    ) -> None:
        self.host, self.request, self.place, self.recogniser = host, request, place, recogniser
        self.external, self.retried, self.inherits = external, retried, inherits
        self.conversation = place.conversation or host.ident("c")
        self.at = host.now()
        message = place.message
        self.new = sealed(host.ident("m"), message.text)
        above = [(one.role, one.text) for one in request.messages[: message.last]]
        self.reading = host.detectors.user(message.text, above)
        self.elsewhere: Readings = {}
        self.seen: tuple[Reading, ...] = ()
        self.said = Said()
        confirms = Flag.CONFIRMS_END in self.reading.flags
        self.closing = sealed(host.ident("m"), words()["closing_request"]) if confirms else None
        self.claims = self._claims()
        self.rereads = {index: (node, self._read(place.said[index])) for index, node in altered.items()}
        if any(reading.failed for _, reading in self.rereads.values()):
            # A risk reading is owed: nothing ends before it.
            self.reading = replace(self.reading, failed=(*self.reading.failed, OTHER_WORDS))
        self.turn = Turn(
            host=host,
            manner=manner,
            request=request,
            recogniser=recogniser,
            conversation=self.conversation,
            place=place,
            node=self.new.node,
            attempt=host.ident("t"),
        )

    async def run(self) -> Turn | None:
        """Return the turn; None if somebody else was faster, and the place must be looked up again."""
        if self.closing is not None and self.host.witnesses.any:
            await self._ask_first()
        texts = [self.new, *(text for text, _ in self.claims.values())]
        lookups = [self._lookup(self.place.newest, self.new.node, own=True)]
        lookups += [
            self._lookup(index, text.node, own=index in self.place.broken) for index, (text, _) in self.claims.items()
        ]
        lookups += [self._lookup(index, node, own=False) for index, (node, _) in self.rereads.items()]
        if self.closing is not None:
            texts += [self.closing, *self.said.quotes]
            lookups.append(self.turn.lookup(self.closing))
        committed = await self.host.store.commit(self.conversation, self.decide, texts, lookups)
        if committed.overtaken:
            return None
        if self.turn.ended and not self.turn.refused:
            await self.turn.read_closing_words()
        self.turn.remember()
        if self.turn.node == self.new.node and not self.turn.refused:
            self._ask_beside()
        return self.turn

    async def _ask_first(self) -> None:
        """Before the message closes the conversation, have it read elsewhere, and a judge asked: an end waits."""
        asked = self.host.witnesses
        if await self.host.store.see(self.conversation, self._would_close):
            node = self.new.node
            self.elsewhere = asked.read(node, self.place.message.text, before(self.turn))
            self.said = await asked.before_end(self.host, node, Matter.USER_REQUEST, branch(self.turn), self.elsewhere)
            there = [task.result() for task in self.elsewhere.values() if task.done() and not task.cancelled()]
            self.seen = tuple(heard.reading for heard in there if heard.reading is not None and heard.reading.flags)

    def _would_close(self, tree: Tree) -> bool:
        """Whether the message closes the conversation, as it stands now."""
        known = trace(tree, self.place)
        if tree.opened is None or known[self.place.newest] is not None:
            return False
        return any(isinstance(event, Ended) for event in self._received(Facts.none(tree), known))

    def _ask_beside(self) -> None:
        """Have the message read elsewhere, beside the answer; and a judge asked at a second faint sign."""
        asked, turn = self.host.witnesses, self.turn
        if not self.elsewhere:
            self.elsewhere = asked.read(turn.node, turn.newest.text, before(turn))
        heard = [reading.witness for reading in self.seen]
        asked.keep(turn, {one: task for one, task in self.elsewhere.items() if one.name not in heard})
        if turn.faint_again:
            asked.ask_beside(turn, Matter.RISK)

    async def look(self) -> Turn:
        """Return the turn as it would be if it could be kept; nothing is written."""
        await self.host.store.see(self.conversation, self.decide)
        return self.turn

    def decide(self, tree: Tree) -> Facts:
        """Return the facts of the beginning; what they mean is noted on the turn."""
        host, turn, facts = self.host, self.turn, Facts.none(tree)
        if tree.opened is None:
            scope = self.recogniser.scope
            facts = facts.then(
                (acts.opening(self.conversation, host.policy, scope=scope, external=self.external, at=self.at),)
            )
        known = trace(facts.after, self.place)
        newest = known[self.place.newest]
        turn.node = newest or self.new.node
        if newest is None:
            facts = self._received(facts, known)
            if not acts.took(facts, turn.node):
                self._refused(facts, known)
                return facts
        elif goes_on(facts.after, self.place, turn.node):
            self._refused(facts, known)
            return facts
        ended = self._closed(facts.after)
        if ended is not None:
            turn.close(ended)
            return facts
        return facts.then((self._started(facts, known),))

    def _started(self, facts: Facts, known: list[str | None]) -> AttemptStarted:
        """Note on the turn how the message stands, and return the fact that an attempt begins."""
        host, turn, tree = self.host, self.turn, facts.after
        node = tree.nodes[turn.node]
        turn.template = "closing_abuse" if acts.family_of(node) == ABUSE else "closing_harm"
        turn.redirections = node.registers.k
        turn.notes = self._notes(tree, known)
        alone = turn.newest.last == len(self.request.messages) - 1
        turn.forks = tree.stage(turn.node) is Stage.LAST_RESORT and alone
        turn.shows(tree, facts)
        before_it = facts.before
        turn.faint_again = (
            sign(node) is Hold.QUIET and before_it.since_faint is not None and tree.held is not Hold.SHOWN
        )
        shown = tree.held is Hold.SHOWN and (sign(node) is Hold.SHOWN or told_late(tree, turn.node))
        if turn.support is None and shown and host.mode(tree) >= Mode.WARN:
            turn.support = host.support(node.risk_kind)  # the first answer may not have come through, or told of it
        return turn.start(tree, self._begun(tree))

    def _begun(self, tree: Tree) -> str | None:
        """Return the answer, or the step of one, that the request goes on with: what was put in for it stays put in."""
        begun = [one.node for index in self.place.goes_on for one in self.place.found.get(index, ()) if one.own]
        return next((node for node in reversed(begun) if node in tree.nodes), None)

    def _lookup(self, index: int, node: str, *, own: bool) -> Lookup:
        element = self.place.said[index]
        alone = self.recogniser.alone(element.role, element.text, element.others)
        return Lookup(element.digest, alone, self.conversation, node, own)

    def _unknown(self) -> list[int]:
        """Return the elements that must be claimed; what stands above the anchor is known with it."""
        start = 0 if self.place.anchor is None else self.place.anchor + 1
        return [index for index in range(start, self.place.newest) if not self.place.found.get(index)]

    def _claims(self) -> dict[int, tuple[Sealed, Reading]]:
        """Return what the client says was said, by element: steps that we do not know are told with their answer."""
        told: dict[int, tuple[Sealed, Reading]] = {}
        steps: list[str] = []
        for index in self._unknown():
            element, following = self.place.said[index], self.place.said[index + 1]
            if element.role == STEP and following.role != USER:
                steps.append(element.text)
                continue
            text = "\n".join(filter(None, [*steps, element.text]))
            told[index] = sealed(self.host.ident("m"), text), self._read(element._replace(text=text))
            steps = []
        return told

    def _read(self, said: Element) -> Reading:
        return self.host.detectors.told(said.text, user=said.role == USER)

    def _received(self, facts: Facts, known: Sequence[str | None]) -> Facts:
        """Return these facts, and those that take the message, or refuse it."""
        claims, parent = self._placed(facts.after, known)
        if self.inherits is not None:
            facts = facts.then(acts.tell(facts.after, claims, self.host.policy))
            facts = facts.then((replace(self.inherits, node=self._shared()),))
            claims = []
        message = Message(
            text=self.new.reference,
            parent=parent,
            readings=(self.reading, *self.seen),
            closing=self.closing.reference if self.closing else Text(""),
            at=self.at,
            observe_only=self.request.observe_only,
            judged=self.said.judged,
        )
        reread = [Reread(node, (reading,)) for node, reading in self.rereads.values()]
        return facts.then(acts.receive(facts.after, message, self.host.policy, claims, reread))

    def _placed(self, tree: Tree, known: Sequence[str | None]) -> tuple[list[Claim], str | None]:
        """Return the claims, each below what stands before it, and the node below which the message stands."""
        claims: list[Claim] = []
        above: str | None = None
        for index, element in enumerate(self.place.said[: self.place.newest]):
            if index in self.claims:
                text, reading = self.claims[index]
                finish = Finish.CUT if index in self.place.broken else Finish.CLAIMED
                user = element.role == USER
                claims.append(Claim(text.reference, above, user=user, readings=(reading,), finish=finish))
                above = text.node
            else:
                above = answering(tree, known[index]) or above
        return claims, above

    def _shared(self) -> str:
        """Return the node of the answer that they have in common: what the client claims below it inherits nothing."""
        shared = self.place.shared or 0
        last = max((index for index in self.claims if index <= shared), default=min(self.claims))
        return self.claims[last][0].node

    def _closed(self, tree: Tree) -> Ended | None:
        """Return the end of this message: the one just made, or one that a client's own retry gets again."""
        mine = [end for end in tree.ended.values() if end.node == self.turn.node]
        return mine[0] if mine and (self.retried or self._is_mine(mine[0])) else None

    def _is_mine(self, end: Ended) -> bool:
        return self.closing is not None and end.answer == self.closing.node

    def _refused(self, facts: Facts, known: Sequence[str | None]) -> None:
        """Note that the conversation was closed before; a sign of risk brings help lines all the same."""
        turn = self.turn
        turn.refused = True
        turn.say = words()["refusal"]
        for index, node in enumerate(known):
            for end in facts.after.ended.values():
                if node in (end.answer, end.node):
                    turn.close(end)
                    turn.closed_at = index if node == end.node else index - 1
        turn.ended, turn.stage = True, Stage.ENDED
        held = next((event for event in reversed(facts) if isinstance(event, Held)), None)
        if held is not None:
            turn.support = self.host.support(held.kind)

    def _notes(self, tree: Tree, known: list[str | None]) -> list[Note]:
        """Return what earlier attempts put in on this path: it is put in again, at the same places."""
        above = tree.nodes[self.turn.node].guided_above
        if above is None:
            return []
        climb(tree, self.place, known)
        places = {node: said.last for node, said in zip(known, self.place.said, strict=False) if node}
        notes: list[Note] = []
        while above is not None:
            kept = tree.nodes[above]
            if kept.guided is not None and kept.parent in places:
                notes.append(Note(places[kept.parent], *kept.guided))
            above = kept.guided_above
        return notes[::-1]
