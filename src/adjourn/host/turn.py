"""One turn, from a person's message to its answer or its end. No socket is opened, and no model is called, here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from adjourn.core import acts
from adjourn.core.acts import Closing, Events, Reply
from adjourn.core.decide import agreed_to_warn, guidance, may_judge_warning, sign
from adjourn.core.events import Answer, AttemptEnded, AttemptStarted, Ended, Held, Outcome, Verdict
from adjourn.core.machine import AnswerKind, Finish, Hold, Mode, Stage
from adjourn.core.reading import Matter, Reading
from adjourn.core.receipt import Receipt, receipt
from adjourn.core.tree import Facts, Tree
from adjourn.host.identify import STEP, Element, Recogniser
from adjourn.host.known_ends import Closed
from adjourn.host.place import Place
from adjourn.host.witnesses import Readings, Said, branch
from adjourn.host.words import additions, chooses_end, closing_words, first_question, guided, second_question, words
from adjourn.store import Lookup, Sealed, sealed
from adjourn.wire import openai_chat
from adjourn.wire.interface import Wire
from adjourn.wire.request import ASSISTANT, Request, calls_digest
from adjourn.wire.view import IN_USER, Note, view

if TYPE_CHECKING:
    from adjourn.host.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the model behind a turn is spoken to. `form`: how guidance is put in (developer, system or in_user).

    `store`: what a question whether to close says of keeping it, if anything. `tool`: such a question is answered with
    the tool `end_conversation` instead of a word.
    """

    wire: Wire = openai_chat
    form: str = IN_USER
    store: bool | None = None
    tool: bool = False


@dataclass(slots=True, kw_only=True)
class Turn:
    """What stands after each step of a turn.

    `ended`: the conversation is closed, and no model is called; `closed_at`: which element of the request was closed;
    `refused`: it was closed before, and the message was not taken. `say`: the closing words, or what the host adds
    behind the answer. `support`: help lines to show, on a turn that showed a sign of risk. `forks`: the model is to be
    asked `question` first. `details`: the client is told the stage, but of a `quiet` hold never. `beside`: the readings
    of witnesses elsewhere; `faint_again`: the message shows a faint sign of risk, and is not the first to;
    `may_be_warned`: its answer brought so many redirections that a warning may follow.
    """

    host: "Host"
    manner: Manner
    request: Request
    recogniser: Recogniser
    conversation: str
    place: Place
    node: str
    attempt: str
    stage: Stage = Stage.OPEN
    notes: Sequence[Note] = ()
    forks: bool = False
    redirections: int = 0
    first_reply: bytes | None = None
    first_reading: Reading | None = None
    template: str = "closing_harm"
    closed_by: str | None = None
    closed_at: int | None = None
    ended: bool = False
    refused: bool = False
    say: str | None = None
    receipt: Receipt | None = None
    support: dict[str, Any] | None = None
    warned: bool = False
    guided: bool = False
    details: bool = False
    quiet: bool = False
    beside: Readings = field(default_factory=dict)
    faint_again: bool = False
    may_be_warned: bool = False

    @property
    def newest(self) -> Element:
        """The message that is answered."""
        return self.place.message

    @property
    def body(self) -> bytes:
        """The request as the model is to see it: the client's own bytes if there is nothing to add."""
        return view(self.request, self._placed(self.notes))

    def _placed(self, notes: Sequence[Note]) -> Sequence[Note]:
        """Return the notes; an earlier model may have taken messages of their own that this one would refuse."""
        return [note._replace(form=IN_USER) for note in notes] if self.manner.form == IN_USER else notes

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that the model is to see."""
        messages: list[dict[str, Any]] = msgspec.json.decode(self.body)["messages"]
        return messages

    @property
    def question_body(self) -> bytes | None:
        """The side request with which the model is to be asked first whether it wants to close, or None."""
        if not self.forks:
            return None
        manner = self.manner
        first = Note(self.newest.last, manner.form, first_question(self.redirections, tool=manner.tool))
        return manner.wire.side_request(
            view(self.request, self._placed([*self.notes, first])),
            replied=self.first_reply,
            again=second_question(tool=manner.tool),
            form=manner.form,
            store=manner.store,
            tool=manner.tool,
        )

    @property
    def question(self) -> list[dict[str, Any]] | None:
        """The messages with which the model is to be asked first, or None: give what it says to `reply`."""
        body = self.question_body
        messages: list[dict[str, Any]] | None = msgspec.json.decode(body)["messages"] if body else None
        return messages

    @property
    def object(self) -> dict[str, Any] | None:
        """What the client is told of this turn beside the answer; None on nearly every turn (WIRE)."""
        told: dict[str, Any] = {}
        if self.receipt is not None:
            told |= {
                "stage": Stage.ENDED,
                "ground": self.receipt.ground,
                "sentence": self.receipt.sentence,
                "receipt": self.receipt.number,
                "revision": self.host.policy.revision,
            }
        elif self.warned:
            told["stage"] = Stage.WARNED
        elif self.details and not self.quiet:
            told["stage"] = self.stage
        if self.support is not None:
            told["support"] = self.support
        return {"conversation": self.conversation, **told} if told else None

    async def reply(self, said: str, message: bytes | None = None) -> "Turn":
        """Take what the model said to the question; `message`: every field of it, to be sent back as it is.

        What does not begin with END is CONTINUE, an error too. After a second END the conversation is closed, if every
        rule still allows that inside the transaction; else the turn goes on with the main request.
        """
        if self.first_reply is None and chooses_end(said):
            self.first_reply = message or self.manner.wire.said(said)
            self.first_reading = await self.host.detectors.heard(said)
            return self
        verdict = Verdict.END if chooses_end(said) else Verdict.CONTINUE
        verdicts = (verdict,) if self.first_reply is None else (Verdict.END, verdict)
        self.forks = False
        asked = await self._asked_to_close() if verdicts == (Verdict.END, Verdict.END) else Said()
        text = sealed(self.host.ident("m"), closing_words(said, self.template))
        closing = Closing(
            words=text.reference,
            parent=self.node,
            attempt=self.attempt,
            verdicts=verdicts,
            readings=(*filter(None, [self.first_reading]), await self.host.detectors.heard(said)),
            at=self.host.now(),
            judged=asked.judged,
        )

        def decide(tree: Tree) -> Events:
            standing = next((end for end in tree.ended.values() if end.node == self.node), None)
            if standing is not None:  # closed meanwhile by another attempt: its words are sent
                self.close(standing)
                return ()
            facts = acts.close(tree, closing, self.host.policy)
            ended = next((event for event in facts if isinstance(event, Ended)), None)
            if ended is not None:
                self.close(ended)
                return facts
            self.shows(facts.after, facts)
            return facts.then((self.start(facts.after),))

        lookup = self.lookup(text)
        await self.host.store.commit(self.conversation, decide, [text, *asked.quotes], [lookup])
        if self.ended:
            await self.read_closing_words()
            self.remember()
        return self

    async def _asked_to_close(self) -> Said:
        """Return what witnesses say to an end that the model has chosen, once all that was asked is there, or late."""
        return await self.host.witnesses.before_end(
            self.host, self.node, Matter.PERSISTENT_HARM, branch(self), self.beside
        )

    async def answer(self, said: str, finish: Finish = Finish.STOP, *, calls: Sequence[str] = ()) -> "Turn":
        """Take the model's answer: afterwards it is durable, and `say` is what the host adds behind it.

        `calls`: the ids of the client's tools that it calls; with any it is a step, and not an answer yet.
        """
        if calls:
            return await self.step(said, calls)
        texts: dict[str | None, Sealed] = {None: sealed(self.host.ident("m"), said)}
        for name, more in self._additions().items():
            texts[name] = sealed(self.host.ident("m"), f"{said}\n\n{more}")  # of its own: only what was sent is found
        reading, at = await self.host.detectors.heard(said), self.host.now()

        def take(tree: Tree, added: str | None) -> tuple[Facts, Answer]:
            reply = Reply(
                text=texts[added].reference,
                parent=self.node,
                readings=(reading,),
                attempt=self.attempt,
                at=at,
                finish=finish,
                appends=finish is Finish.STOP and len(texts) > 1 and self._may_append(tree),
            )
            taken = acts.answer(tree, reply, self.host.policy)
            return taken, next(event for event in taken if isinstance(event, Answer))

        def decide(tree: Tree) -> Events:
            taken, answer = take(tree, None)
            if answer.added is not None:  # the text that is kept is the one that the person reads
                taken, answer = take(tree, answer.added)
            self.answered(taken, answer)
            return taken

        lookups = [self.lookup(text) for text in texts.values()]
        if self._begun:  # clients join what an answer was continued with
            lookups += [self.lookup(text, "\n".join([*self._begun, text.text])) for text in texts.values()]
        await self.host.store.commit(self.conversation, decide, [*texts.values()], lookups)
        self.host.ends.goes_on(self.newest.digest, [lookup.digest for lookup in lookups])
        if self.may_be_warned:
            self.host.witnesses.ask_beside(self, Matter.WARN, said)
        return self

    def _may_append(self, tree: Tree) -> bool:
        """Whether the host may add its question; or its warning, which with a judge needs its yes."""
        asks_back = tree.stage(self.node) is Stage.REQUESTED
        return asks_back or self.host.witnesses.judge is None or agreed_to_warn(tree, self.node)

    def _additions(self) -> Mapping[str, str]:
        """Return what the host may have to add behind this answer: on nearly every turn nothing."""
        may_add = self.stage is Stage.REQUESTED or self.host.policy.warning == "host"
        return additions(self.template) if may_add else {}

    async def step(self, said: str, calls: Sequence[str]) -> "Turn":
        """Take a step of the answer, which calls tools of the client's."""
        text = sealed(self.host.ident("m"), said)
        reply = Reply(
            text=text.reference,
            parent=self.node,
            readings=(await self.host.detectors.heard(said),) if said.strip() else (),
            attempt=self.attempt,
            at=self.host.now(),
        )

        def decide(tree: Tree) -> Events:
            taken = acts.step(tree, reply, self.host.policy)
            self.shows(taken.after, taken)
            return taken

        others = calls_digest(calls)
        digest = self.recogniser.path(self._above, STEP, said, others)
        lookup = Lookup(
            digest, self.recogniser.alone(STEP, said, others), self.conversation, text.node, own=True, said=True
        )
        await self.host.store.commit(self.conversation, decide, [text], [lookup])
        return self

    async def failed(self, outcome: Outcome = Outcome.FAILED, said: str = "") -> None:
        """Take it that the attempt brought no answer: it settles nothing, and the message can be retried.

        `said`: what had come of one; the client may have some of it.
        """
        kept = [sealed(self.attempt, said)] if said else []
        event = AttemptEnded(attempt=self.attempt, outcome=outcome, digest=kept[0].digest if kept else "")
        lookups = [
            Lookup(self.recogniser.broken(self.newest.digest), b"", self.conversation, self.attempt, own=True)
            for _ in kept
        ]
        await self.host.store.commit(self.conversation, lambda _: (event,), kept, lookups)

    # What the acts above, and the host's beginning of a turn, note inside the transaction.

    def start(self, tree: Tree, begun: str | None = None) -> AttemptStarted:
        """Return the fact that an attempt begins, with the guidance that applies now, and note it for the view.

        `begun`: an answer, or a step of one, that goes on: then what was put in for that is put in again, and no more.
        """
        judge = self.host.witnesses.judge is not None
        told = None if self.forks or begun else guidance(tree, self.node, self.host.policy, judge=judge)
        put_in = tree.nodes[begun].guided if begun else guided(told, self.manner.form) if told else None
        self.stage, self.guided = tree.stage(self.node), put_in is not None
        self.quiet = tree.held is Hold.QUIET
        if put_in is not None:
            self.notes = [*self.notes, Note(self.newest.last, put_in.form, put_in.words)]
        return AttemptStarted(
            attempt=self.attempt,
            node=self.node,
            guidance=told,
            guided=put_in,
            at=self.host.now(),
        )

    def close(self, ended: Ended) -> None:
        """Note that the conversation is closed."""
        self.ended, self.stage, self.forks = True, Stage.ENDED, False
        self.receipt = receipt(self.conversation, ended)
        self.closed_by, self.closed_at = ended.answer, self.place.newest

    @property
    def closed(self) -> Closed:
        """What a client is told whose message stands below the end of this conversation."""
        return Closed(self.conversation, words()["refusal"], self.object)

    def remember(self) -> None:
        """Have the process remember where the conversation is closed, or that it is not closed here."""
        ends, place = self.host.ends, self.place
        said = list(self.recogniser.elements(self.request)) if place.loose else place.said
        if self.closed_at is None:
            ends.taken(said)
        else:
            ends.closed(said, self.closed_at, replace(self, support=None).closed)

    def answered(self, taken: Facts, answer: Answer) -> None:
        """Note what came of an answer."""
        self.stage, self.quiet = taken.after.stage(answer.node), taken.after.held is Hold.QUIET
        self.say = additions(self.template)[answer.added] if answer.added else None
        self.warned = answer.kind is AnswerKind.WARN and answer.after.warned == answer.node
        self.may_be_warned = may_judge_warning(taken.after, answer.node, self.host.policy)
        self.shows(taken.after, taken)
        self.shows_late(taken.after)

    def shows(self, tree: Tree, taken: Events) -> None:
        """Note whether these facts show a hold, and so help lines."""
        held = next((event for event in taken if isinstance(event, Held) and event.level is Hold.SHOWN), None)
        if held is not None and self.host.mode(tree) >= Mode.WARN:
            self.support = self.host.support(held.kind)

    def shows_late(self, tree: Tree) -> None:
        """Note that a witness beside the answer saw a clear sign in the message before the answer was whole."""
        message = tree.nodes[self.node]
        late = self.support is None and tree.held is Hold.SHOWN and sign(message) is Hold.SHOWN
        if late and self.host.mode(tree) >= Mode.WARN:
            self.support = self.host.support(message.risk_kind)

    @property
    def _above(self) -> bytes:
        """The digest of the path below which the answer stands: of the message, or of the newest step of the answer."""
        steps = (self.place.said[index] for index in self.place.goes_on)
        return next((step.digest for step in reversed(list(steps)) if step.role == STEP), self.newest.digest)

    @property
    def _begun(self) -> list[str]:
        """What the client has of the answer already, and wants continued."""
        said = (self.place.said[index] for index in self.place.goes_on)
        return [one.text for one in said if one.role == ASSISTANT]

    def lookup(self, text: Sealed, said: str | None = None) -> Lookup:
        """Return the digests by which an answer is recognised; `said`: in other words than it is kept."""
        words = text.text if said is None else said
        digest = self.recogniser.path(self._above, ASSISTANT, words)
        alone = self.recogniser.alone(ASSISTANT, words)
        return Lookup(digest, alone, self.conversation, text.node, own=True, said=True)

    async def read_closing_words(self) -> None:
        """Say the words with which the conversation was closed."""
        texts = await self.host.store.texts(self.conversation)
        kept = texts.get(self.closed_by or "")
        self.say = kept.text if kept else words()["refusal"]
