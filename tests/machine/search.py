"""Every state that the machine and its observers can reach together, met once, and every move tried in it.

Everything that a later turn needs stands on the node at which a path stops, and on the tree. So a state is cut down
to that one node, its number to what it is compared with (older than a reviewer's act, older than a hold, newer than
both), counters to where they stop to matter, and a small tree is made of that, on which the machine goes on. Retries
and edits need no more: a path that stops at a message which was answered, on a path of its own, is a state too. What
stands elsewhere in the tree is kept as two marks: is something unread there, does an end stand there. So the search
is finite, and complete for whatever one path of a tree can meet.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

from adjourn.core import acts, machine
from adjourn.core.decide import guidance, sign
from adjourn.core.errors import AdjournError, CallerError
from adjourn.core.events import Ended, Event, Verdict
from adjourn.core.machine import EMPTY, AnswerKind, Finish, Ground, Guidance, Hold, Registers, Stage, UserKind
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag
from adjourn.core.tree import Node, Tree, after, fold
from tests.machine.driver import HOUR, late_readings, policy_of, reading_of, speech_of
from tests.machine.observers import Rules, Sign, Speech, Words
from tests.machine.watch import Watch

OLDER, BETWEEN, NEWER = 5, 15, 25  # before a reviewer's act; before a hold; newer than both
FLOOR, LAST_HOLD, NOW = 10, 20, 30
NOON = 1000 * HOUR  # when the newest message of the path came

CLEAR, FLAGGED, BAD, ABUSE = Words(), Words(request=1), Words(request=2), Words(abuse=2)
ASKS, CONFIRMS, FAINT, RISK = Words(asks=True), Words(confirms=True), Words(risk="faint"), Words(risk="clear")
UNREAD = Words(unread=True)
SPEECHES: tuple[Speech, ...] = ("help", "decline", "redirect", "warn", "question", "support")


class Move(NamedTuple):
    """One thing that can be done. `act` names the method of `Step`; the rest are its arguments."""

    act: str
    words: Words = CLEAR
    gap: bool = False
    observe_only: bool = False
    enforce: bool = True
    told: tuple[tuple[str, Words], ...] = ()
    speech: Speech = "help"
    finish: Finish = Finish.STOP
    appends: bool = True
    verdicts: tuple[str, ...] = ("END", "END")
    sign: Sign = ""
    completes: bool = False
    here: bool = True
    stay: bool = False  # the path goes on from the message, not from the answer that this move brings


def _moves() -> Iterator[Move]:
    said = (CLEAR, FLAGGED, BAD, ABUSE, ASKS, CONFIRMS, FAINT, RISK, UNREAD)
    mixed = (
        Words(request=1, confirms=True),
        Words(abuse=2, confirms=True),
        Words(request=2, asks=True),
        Words(request=2, unread=True),
        Words(asks=True, unread=True),
        Words(confirms=True, unread=True),
        Words(risk="faint", request=2),
        Words(risk="faint", confirms=True),
        Words(risk="faint", unread=True),
    )
    for words in said + mixed:
        yield Move("say", words)
    yield Move("say", CONFIRMS, stay=True)
    for words in (CLEAR, BAD, ASKS, CONFIRMS):
        yield Move("say", words, gap=True)
        yield Move("say", words, observe_only=True)
    for words in (BAD, ASKS, CONFIRMS):
        yield Move("say", words, enforce=False)
    for told in ((("user", BAD), ("assistant", CLEAR)), (("user", ASKS), ("assistant", CLEAR))):
        yield Move("say", BAD, told=told)
        yield Move("say", CONFIRMS, told=told)
    yield Move("say", CLEAR, told=(("user", UNREAD), ("assistant", CLEAR)))
    yield Move("say", CLEAR, told=(("user", CLEAR), ("assistant", UNREAD)))
    yield Move("say", CONFIRMS, told=(("user", FAINT),))
    for words in (BAD, CONFIRMS):
        yield Move("say", words, told=(("assistant", CLEAR),))
    for speech in SPEECHES:
        yield Move("answer", speech=speech)
    yield Move("answer", finish=Finish.REFUSAL)
    yield Move("answer", speech="void", finish=Finish.LENGTH)
    yield Move("answer", appends=False)
    yield Move("answer", speech="question", enforce=False)
    yield Move("answer", speech="warn", enforce=False)
    yield Move("answer", speech="question", stay=True)
    yield Move("answer", speech="support", stay=True)
    yield Move("close")
    yield Move("close", stay=True)
    yield Move("close", verdicts=("END", "CONTINUE"))
    yield Move("close", verdicts=("END",))
    yield Move("close", enforce=False)
    yield Move("close", speech="support")
    for here in (True, False):
        yield Move("late", sign="faint", here=here)
        yield Move("late", sign="clear", here=here)
        yield Move("late", completes=True, here=here)
        yield Move("late", sign="faint", completes=True, here=here)
    yield Move("reopen")
    yield Move("lift")
    for words in (CLEAR, FAINT, RISK, UNREAD):
        yield Move("beside", words)
    yield Move("end_beside")


MOVES: tuple[Move, ...] = tuple(_moves())


def _narrow(move: Move) -> bool:
    """Without siblings, claims, unread texts, policies and clear signs: enough for every R and C on every run."""
    plain = move.enforce and not move.observe_only and not move.told and not move.words.unread
    return plain and move.words.risk != "clear" and move.speech != "support" and move.act in ("say", "answer", "close")


NARROW: tuple[Move, ...] = (*filter(_narrow, MOVES), Move("reopen"), Move("lift"))


class Place(NamedTuple):
    """A small tree, and the node on it at which the path stops."""

    tree: Tree
    tip: str | None

    @property
    def at_message(self) -> bool:
        return self.tip is not None and self.tree.nodes[self.tip].is_user


class Violation(AssertionError):
    """An observer objects."""


@dataclass
class Found:
    """What a search has met."""

    rules: Rules
    states: int = 0
    moves: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    parents: list[tuple[int, Move | None]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # the stage at which the path of each state stops

    def story(self, state: int) -> list[Move]:
        """The shortest list of moves that leads to this state."""
        moves: list[Move] = []
        while state:
            state, move = self.parents[state]
            assert move is not None
            moves.append(move)
        return moves[::-1]


class Step:
    """Does one move twice: with the machine on its tree, and with the observers; and compares what can be seen."""

    def __init__(self, place: Place, watch: Watch, rules: Rules) -> None:
        self.place = place
        self.watch = watch
        self.rules = rules
        self.ground = ""

    def do(self, move: Move) -> tuple[Place, Watch] | None:
        """Return what it led to, or None where it cannot be done."""
        rules = self.rules if move.enforce else self.rules._replace(enforce=False)
        act: Callable[[Move, Rules, Policy], tuple[Place, Watch] | None] = getattr(self, f"_{move.act}")
        return act(move, rules, policy_of(rules))

    def _say(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        at = self.place
        if move.told and move.told[0][0] == "assistant" and not at.at_message:
            return None
        claims, parent = [], at.tip
        for number, (role, said) in enumerate(move.told):
            text = acts.Text(f"c{number}")
            claims.append(acts.Claim(text=text, parent=parent, user=role == "user", readings=reading_of(said)))
            parent = text.node
        message = acts.Message(
            text=acts.Text("new"),
            parent=parent,
            readings=reading_of(move.words),
            closing=acts.Text("end"),
            at=NOON + (13 * HOUR if move.gap else 0),
            observe_only=move.observe_only,
        )
        events = acts.receive(at.tree, message, policy, claims)
        tree = after(at.tree, events)
        watch, foreseen = self.watch, ""
        for _, said in move.told:  # all of it is read before any of it is placed
            watch = watch.sign(said.risk, rules)
        for role, said in move.told:
            if watch.ended:
                watch = watch._replace(unread_elsewhere=watch.unread_elsewhere or said.unread)
            else:
                watch = watch.claim(said, rules, user=role == "user")
        watch, foreseen = watch.say(move.words, rules, gap=move.gap, observe_only=move.observe_only, stay=move.stay)
        if not acts.took(events, "new"):
            self._compare("outcome", "refused", foreseen)
            return Place(tree, at.tip), watch
        self._compare("outcome", self._ended(events), foreseen)
        return Place(tree, "end" if foreseen and not move.stay else "new"), watch

    def _answer(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        at = self.place
        if not at.at_message:
            return None
        reply = acts.Reply(
            text=acts.Text("new"),
            parent=at.tip,
            readings=speech_of(move.speech),
            at=NOON,
            finish=move.finish,
            appends=move.appends,
        )
        tree = after(at.tree, acts.answer(at.tree, reply, policy))
        if move.stay:
            return Place(tree, at.tip), self.watch.answered_beside(move.speech, rules)
        speech: Speech = "decline" if move.finish is Finish.REFUSAL else move.speech
        return Place(tree, "new"), self.watch.answer(speech, rules, asks_back=move.appends or speech == "question")

    def _close(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        at = self.place
        if not at.at_message:
            return None
        support = move.speech == "support"
        closing = acts.Closing(
            words=acts.Text("end"),
            parent=at.tip or "",
            attempt="",
            verdicts=tuple(Verdict(verdict) for verdict in move.verdicts),
            readings=speech_of("support") if support else (),
            at=NOON,
        )
        events = acts.close(at.tree, closing, policy)
        tree = after(at.tree, events)
        watch = self.watch.sign("clear", rules) if support else self.watch
        watch, foreseen = watch.close(move.verdicts, rules, stay=move.stay)
        self._compare("outcome", self._ended(events), foreseen)
        return Place(tree, "end" if foreseen and not move.stay else at.tip), watch

    def _late(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        tree, tip = self.place
        about = tip if move.here and self.place.at_message else None if move.here else "old"
        if about is None or about not in tree.nodes:
            return None
        events = acts.witness(tree, about, late_readings(move.sign, move.completes, "judge"), policy)
        watch = self.watch.late(move.sign, rules, completes=move.completes, here=move.here)
        return Place(after(tree, events), tip), watch

    def _reopen(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        return self._act(acts.reopen, self.watch.reopen())

    def _lift(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        return self._act(acts.lift, self.watch.lift(rules))

    def _act(
        self, act: Callable[[Tree, str, int], tuple[Event, ...]], watch: Watch | None
    ) -> tuple[Place, Watch] | None:
        tree, tip = self.place
        try:
            events = act(tree, "a reason", NOON)
        except CallerError:
            self._compare("act", "refused", "refused" if watch is None else "done")
            return None
        self._compare("act", "done", "refused" if watch is None else "done")
        assert watch is not None
        return Place(after(tree, events), tip), watch

    def _beside(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        tree, tip = self.place
        events = acts.receive(tree, _at_the_root("beside", move.words, None), policy)
        self._compare("taken", acts.took(events, "beside"), True)
        return Place(after(tree, events), tip), self.watch.beside(move.words, rules)

    def _end_beside(self, move: Move, rules: Rules, policy: Policy) -> tuple[Place, Watch] | None:
        tree, tip = self.place
        tree = after(tree, acts.receive(tree, _at_the_root("b1", ASKS, None), policy))
        reply = acts.Reply(text=acts.Text("b2"), parent="b1", readings=speech_of("question"), at=NOON)
        tree = after(tree, acts.answer(tree, reply, policy))
        events = acts.receive(tree, _at_the_root("b3", CONFIRMS, "b2"), policy)
        watch, foreseen = self.watch.end_beside(rules)
        self._compare("outcome", self._ended(events), foreseen)
        return Place(after(tree, events), tip), watch

    def _ended(self, events: tuple[Event, ...]) -> str:
        self.ground = next((event.ground.value for event in events if isinstance(event, Ended)), "")
        return self.ground

    @staticmethod
    def _compare(what: str, seen: object, foreseen: object) -> None:
        if seen != foreseen:
            raise Violation(f"{what}: the machine says {seen or 'nothing'}, the observers {foreseen or 'nothing'}")

    def look(self, place: Place, watch: Watch) -> str:
        """Compare what can be seen afterwards; return the stage at which the path stands."""
        stage = watch.stage(self.rules)
        self._compare("stage", place.tree.stage(place.tip).value, stage)
        self._compare("the path is ended", place.tree.is_ended(place.tip), watch.ended)
        if place.at_message and watch.frozen(self.rules):
            self._prompts(place, watch)
        return stage

    def _prompts(self, place: Place, watch: Watch) -> None:
        """P5: under a hold nobody is prompted to warn, nor asked whether to close."""
        assert place.tip is not None
        said = guidance(place.tree, place.tip, policy_of(self.rules))
        if said is Guidance.ASK_BACK and watch.held(self.rules):
            raise Violation("P5: the model is to ask back under a hold")
        if said is Guidance.MAY_WARN and watch.frozen(self.rules):
            raise Violation("P5: the model may warn while nothing counts")


def _at_the_root(node: str, words: Words, parent: str | None) -> acts.Message:
    text, closing = acts.Text(node), acts.Text(f"{node}.end")
    return acts.Message(text=text, parent=parent, readings=reading_of(words), closing=closing, at=NOON)


# Cutting a state down to what matters

OLD = Node(number=NEWER, message=UserKind.BLIND, at=NOON)
ABOVE = Node(number=NEWER, answer=AnswerKind.HELP, at=NOON, read=True)


def _end(answer: str, node: str) -> dict[str, Ended]:
    ended = Ended(
        answer=answer,
        node=node,
        ground=Ground.PERSISTENT_HARM,
        family=None,
        turns=(),
        receipt="",
        at=NOON,
        policy="",
        core="",
    )
    return {answer: ended}


HERE, THERE = {"a": _end("a", "u"), "u": _end("e", "u")}, _end("x", "y")
LASTING = frozenset({Stage.REQUESTED, Stage.ASKED, Stage.LAST_RESORT})


def _alike(kind: UserKind) -> UserKind:
    """The first kind that moves the registers as this one does, by the table as it stands (a test may change it)."""

    table = dict(machine.REGISTERS)

    def row(of: UserKind) -> list[str | None]:
        return [table.get((of, answer)) for answer in AnswerKind]

    kinds: tuple[UserKind, ...] = (UserKind.CLEAR, *UserKind)
    return next(other for other in kinds if row(other) == row(kind))


def _registers(kept: Node, rules: Rules) -> Registers:
    registers = kept.registers
    return Registers(
        redirected=("b0", "b1", "b2", "b3", "b4")[: min(registers.k, rules.redirections)],
        warned="w" if registers.warned is not None else None,
        calm=registers.calm,
    )


def _small(kept: Node, tree: Tree, rules: Rules, alike: Mapping[UserKind, UserKind]) -> Node:
    """The node as it is compared with other nodes, and no more.

    Of a node older than a reviewer's act, and until a lift under a shown hold, the registers count for nothing.
    """
    old, lasts = kept.number <= tree.floor, kept.stage in LASTING
    number = OLDER if old else BETWEEN if lasts and kept.number <= tree.last_hold else NEWER
    nothing = old or tree.held is Hold.SHOWN
    registers = EMPTY if nothing else _registers(kept, rules)
    stage = kept.stage if lasts else Stage.OPEN
    if kept.message is None:
        return Node(
            number=number,
            parent="u",
            at=NOON,
            answer=AnswerKind.HELP,
            stage=stage,
            registers=registers,
            finish=Finish.STOP,
            read=True,
        )
    clear = bool(kept.risk_by) and sign(kept) is Hold.SHOWN
    still = kept.still or nothing
    return Node(
        number=number,
        parent="p" if kept.parent is not None else None,
        at=NOON,
        message=UserKind.CLEAR if still else alike[kept.message],
        stage=stage,
        registers=registers,
        read=kept.read,
        flags=frozenset({Flag.RISK_CLEAR}) if clear else frozenset(),
        risk_by=("local",) if clear else kept.risk_by,
        still=still,
        observe_only=kept.observe_only and lasts,
        begun=kept.begun or number is not NEWER,
    )


def cut(place: Place, rules: Rules, alike: Mapping[UserKind, UserKind]) -> tuple[tuple[object, ...], Place]:
    """Return what tells this state from others, and a small place that goes on like it."""
    tree, tip = place
    node = _small(tree.nodes[tip], tree, rules, alike) if tip is not None else None
    name = None if node is None else "u" if node.is_user else "a"
    unread = node is not None and node.blind
    elsewhere = tree.blind - unread > 0
    here = any(tip in (end.answer, end.node) for end in tree.ended.values())
    there = len(tree.ended) > here
    shown = tree.held is Hold.SHOWN
    since = None if shown or tree.since_faint is None else tree.since_faint
    if since is not None and since > rules.freeze_messages:
        since = None
    key = (node and _key(node), elsewhere, here, there, tree.held, since, tree.frozen)
    nodes = {"old": OLD} if elsewhere else {}
    if node is not None and name is not None:
        nodes[name] = node
        if node.parent == "p":
            nodes["p"] = ABOVE
    small = Tree(
        id="c",
        nodes=nodes,
        number=NOW,
        opened=tree.opened,
        held=tree.held,
        since_faint=since,
        frozen=tree.frozen,
        last_hold=LAST_HOLD,
        floor=FLOOR,
        blind=unread + elsewhere,
        ended=(HERE[name] if here and name is not None else {}) | (THERE if there else {}),
    )
    return key, Place(small, name)


def _key(node: Node) -> tuple[object, ...]:
    return (
        node.number,
        node.parent,
        node.message,
        node.stage,
        node.registers.k,
        node.registers.warned,
        node.registers.calm,
        node.read,
        node.flags,
        node.risk_by,
        node.still,
        node.observe_only,
        node.begun,
    )


def search(rules: Rules, moves: tuple[Move, ...] = MOVES, *, most: int | None = None, merge: bool = True) -> Found:
    """Meet every state (or the first `most`); raise Violation, with the shortest story, where an observer objects."""
    found = Found(rules)
    start = Place(fold([acts.opening("c", policy_of(rules), scope="s")], "c"), None)
    alike = {kind: _alike(kind) if merge else kind for kind in UserKind}
    key, place = cut(start, rules, alike)
    seen = {(key, Watch())}
    queue = deque([(0, place, Watch())])
    began = perf_counter()
    found.parents.append((0, None))
    found.seen.append("OPEN")
    while queue:
        number, place, watch = queue.popleft()
        found.states += 1
        if most is not None and found.states > most:
            break
        for move in moves:
            step = Step(place, watch, rules)
            try:
                came = step.do(move)
                if came is None:
                    continue
                found.moves += 1
                stage = step.look(*came)
            except (AdjournError, AssertionError, LookupError) as error:
                story = [*found.story(number), move]
                raise Violation(f"{rules}: {error!r}\n" + "\n".join(map(tell, story))) from error
            if step.ground:
                found.ends[step.ground] += 1
            (key, small), foreseen = cut(came[0], rules, alike), came[1].small()
            state = (key, foreseen)
            if state not in seen:
                seen.add(state)
                found.seen.append(stage)
                found.parents.append((number, move))
                queue.append((len(found.parents) - 1, small, foreseen))
    found.seconds = perf_counter() - began
    return found


def tell(move: Move) -> str:
    """A move in words: its act, and what differs from the usual."""
    usual = Move(move.act)
    said = [f"{name}={value!r}" for name, value in move._asdict().items() if value != getattr(usual, name)]
    return " ".join([move.act, *said])
