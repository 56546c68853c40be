"""Puts moves into the machine's own words, plays them on a real tree, and keeps the history for the observers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache

from adjourn.core import acts
from adjourn.core.errors import CallerError
from adjourn.core.events import Answer, Ended, Event, Held, UserReceived, Verdict
from adjourn.core.machine import AnswerKind, Finish, Mode
from adjourn.core.policy import Policy
from adjourn.core.reading import LOCAL, Flag, Reading
from adjourn.core.tree import Tree, after, fold
from tests.machine.observers import (
    Began,
    Closed,
    Entry,
    Judge,
    Late,
    Lifted,
    Reopened,
    Replied,
    Rules,
    Sign,
    Speech,
    Spoke,
    Words,
)

HOUR = 3_600_000

SPEECH_FLAGS: dict[str, frozenset[Flag]] = {
    "help": frozenset(),
    "decline": frozenset({Flag.DECLINED}),
    "redirect": frozenset({Flag.DECLINED, Flag.REDIRECTED}),
    "warn": frozenset({Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED}),
    "question": frozenset({Flag.ASKED_TO_CONFIRM}),
    "support": frozenset({Flag.SUPPORTED}),
    "void": frozenset({Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED, Flag.ASKED_TO_CONFIRM}),
}

_LEVELS = {0: (), 1: ("",), 2: ("", "_COUNT")}


@cache
def policy_of(rules: Rules) -> Policy:
    return Policy(
        mode=Mode.ENFORCE if rules.enforce else Mode.WARN,
        redirections=rules.redirections,
        calm=rules.calm,
        hold_messages=rules.hold_messages,
        freeze_messages=rules.freeze_messages,
    )


def risk_flags(sign: Sign) -> frozenset[Flag]:
    return {
        "": frozenset[Flag](),
        "faint": frozenset({Flag.RISK}),
        "clear": frozenset({Flag.RISK, Flag.RISK_CLEAR}),
    }[sign]


@cache
def reading_of(words: Words) -> tuple[Reading, ...]:
    flags = set(risk_flags(words.risk))
    flags |= {Flag["HARMFUL" + level] for level in _LEVELS[words.request]}
    flags |= {Flag["ABUSIVE" + level] for level in _LEVELS[words.abuse]}
    if words.asks:
        flags.add(Flag.ASKS_END)
    if words.confirms:
        flags.add(Flag.CONFIRMS_END)
    failed = ("risk",) if words.unread else ()
    return (Reading(flags=frozenset(flags), family="fraud" if words.request else None, failed=failed),)


@cache
def speech_of(speech: Speech) -> tuple[Reading, ...]:
    return (Reading(), Reading(flags=SPEECH_FLAGS[speech]))


@cache
def late_readings(sign: Sign, completes: bool, witness: str) -> tuple[Reading, ...]:
    """What a later witness says: a completed local reading carries its own sign."""
    if completes:
        return (Reading(witness=LOCAL, flags=risk_flags(sign)),)
    return (Reading(witness=witness, flags=risk_flags(sign)),)


Told = tuple[str, Words]  # ("user" or "assistant", what it says): a message of the client's telling


@dataclass
class Play:
    """A conversation that is played for real: the tree, every event, and the history that an observer may know."""

    rules: Rules = field(default_factory=Rules)
    tree: Tree = field(init=False)
    log: list[Event] = field(init=False)
    history: list[Entry] = field(init=False)
    users: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    hour: int = 1
    count: int = 0

    def __post_init__(self) -> None:
        self.log = [acts.opening("c", self.policy, scope="s")]
        self.tree = fold(self.log, "c")
        self.history = [Began(self.rules)]

    @property
    def policy(self) -> Policy:
        return policy_of(self.rules)

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def commit(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        self.log += events
        self.tree = after(self.tree, events)
        stored = [event for event in events if isinstance(event, UserReceived | Answer)]
        if stored and not (isinstance(stored[-1], Answer) and stored[-1].kind is AnswerKind.END):
            assert self.stage(stored[-1].node) == stored[-1].stage, "the log says another stage than the tree"
        return events

    # The moves. Each returns the name of the node that it brought, or an empty string where nothing was taken.

    def say(
        self,
        words: Words = Words(),  # noqa: B008 - a frozen value
        under: str | None = None,
        *,
        gap: bool = False,
        observe_only: bool = False,
        told: tuple[Told, ...] = (),
        reread: tuple[tuple[str, Words], ...] = (),
    ) -> str:
        """The person writes `words` below `under`; the client tells of `told` messages between the two.

        `reread`: nodes that are there already, in other words.
        """
        if gap:
            self.hour += 13
        node, parent, claims = self._name("u"), under, []
        for role, said in told:
            name = self._name("c")
            text = acts.Text(name)
            claims.append(acts.Claim(text=text, parent=parent, user=role == "user", readings=reading_of(said)))
            parent = name
        message = acts.Message(
            text=acts.Text(node),
            parent=parent,
            readings=reading_of(words),
            closing=acts.Text(f"{node}.end"),
            at=self.hour * HOUR,
            observe_only=observe_only,
        )
        again = [acts.Reread(old, reading_of(said)) for old, said in reread]
        events = acts.receive(self.tree, message, self.policy, claims, again)
        self.history += [Late(old, self.rules, said.risk, witness=LOCAL) for old, said in reread if said.risk]
        taken = acts.took(events, node)
        if taken:
            self._recall(events, told, claims, node, words)
        self.commit(events)
        at = self.tree.nodes[node].parent if taken else parent
        for (_, said), claim in zip(told, claims, strict=True):
            if not taken and (said.risk or said.unread):
                self.history.append(Spoke(claim.text.node, under, said, self.rules, self.hour, taken=False))
                self.refused.append(claim.text.node)
        self.history.append(
            Spoke(node, at, words, self.rules, self.hour, observe_only=observe_only, taken=taken)
            if taken
            else Spoke(node, under, words, self.rules, self.hour, observe_only=observe_only, taken=False)
        )
        self._ends(events)
        if taken:
            self.users.append(node)
            return node
        if node in self.tree.nodes:
            self.refused.append(node)
        return ""

    def _recall(
        self, events: tuple[Event, ...], told: tuple[Told, ...], claims: list[acts.Claim], node: str, words: Words
    ) -> None:
        """Write down what was put between: the claims, and a void answer below a message that had none."""
        gaps = {e.node: e for e in events if isinstance(e, Answer) and e.finish is Finish.CUT}
        for (_, said), claim in zip(told, claims, strict=True):  # all is read before any of it is placed
            if said.risk:
                self.history.append(Late(claim.text.node, self.rules, said.risk, witness="local"))
        if words.risk and (gaps or claims):
            self.history.append(Late(node, self.rules, words.risk, witness="local"))
        for (role, said), claim in zip(told, claims, strict=True):
            name = claim.text.node
            parent = self._gap(gaps, name) or claim.parent
            if role == "user":
                self.history.append(Spoke(name, parent, said, self.rules, self.hour, claimed=True))
                self.users.append(name)
            else:
                assert parent is not None
                self.history.append(Replied(name, parent, "void", self.rules, own=False))
                if said.unread or said.risk:
                    self.history.append(Late(name, self.rules, said.risk, witness="local"))
                self.answers.append(name)
        self._gap(gaps, node)

    def _gap(self, gaps: dict[str, Answer], node: str) -> str:
        gap = gaps.get(f"{node}.gap")
        if gap is None:
            return ""
        assert gap.parent is not None
        self.history.append(Replied(gap.node, gap.parent, "void", self.rules, own=False))
        self.answers.append(gap.node)
        return gap.node

    def reply(
        self, speech: Speech = "help", to: str | None = None, *, finish: Finish | None = None, appends: bool = True
    ) -> str:
        """The assistant answers."""
        node, to = self._name("a"), to or self.users[-1]
        finish = finish or (Finish.LENGTH if speech == "void" else Finish.STOP)
        message = acts.Reply(
            text=acts.Text(node), parent=to, readings=speech_of(speech), finish=finish, appends=appends, at=self.hour
        )
        events = self.commit(acts.answer(self.tree, message, self.policy))
        added = next(e.added for e in events if isinstance(e, Answer))
        asked_back = speech == "question" or added == "question"
        if finish is Finish.REFUSAL and speech == "help":
            speech = "decline"
        self.history.append(Replied(node, to, speech, self.rules, asked_back=asked_back))
        self.answers.append(node)
        return node

    def close(self, to: str | None = None, verdicts: tuple[str, ...] = ("END", "END"), *, support: bool = False) -> str:
        """The model was asked whether it wants to close."""
        node, to = self._name("e"), to or self.users[-1]
        closing = acts.Closing(
            words=acts.Text(node),
            parent=to,
            attempt="",
            verdicts=tuple(Verdict(verdict) for verdict in verdicts),
            readings=speech_of("support") if support else (),
            at=self.hour * HOUR,
        )
        events = self.commit(acts.close(self.tree, closing, self.policy))
        if any(isinstance(event, Held) for event in events):
            self.history.append(Late(node, self.rules, "clear", witness="assistant"))
        return self._ends(events, verdicts)

    def _ends(self, events: tuple[Event, ...], verdicts: tuple[str, ...] = ()) -> str:
        for event in events:
            if isinstance(event, Ended):
                self.history.append(Closed(event.answer, event.node, event.ground.value, self.rules, verdicts))
                self.answers.append(event.answer)
                return event.answer
        return ""

    def late(self, about: str, sign: Sign = "", *, completes: bool = False, witness: str = "judge") -> None:
        """A witness speaks about an older text."""
        self.commit(acts.witness(self.tree, about, late_readings(sign, completes, witness), self.policy))
        self.history.append(Late(about, self.rules, sign, completes, LOCAL if completes else witness))

    def reopen(self) -> bool:
        try:
            self.commit(acts.reopen(self.tree, "a reason", self.hour))
        except CallerError:
            return False
        self.history.append(Reopened(self.rules))
        return True

    def lift(self) -> bool:
        try:
            self.commit(acts.lift(self.tree, "a reason", self.hour))
        except CallerError:
            return False
        self.history.append(Lifted(self.rules))
        return True

    # What can be seen

    def differs_from_a_fresh_fold(self) -> list[str]:
        """The names of whatever the tree that was kept has otherwise than one folded afresh from all events."""
        fresh = fold(self.log, "c")
        found = [
            part.name
            for part in fields(Tree)
            if part.name != "nodes" and getattr(self.tree, part.name) != getattr(fresh, part.name)
        ]
        kept, again = dict(self.tree.nodes), dict(fresh.nodes)
        return found + [node for node in kept.keys() | again.keys() if kept.get(node) != again.get(node)]

    def stage(self, node: str | None) -> str:
        return self.tree.stage(node).value

    def judge(self) -> Judge:
        return Judge(self.history)

    def grounds(self) -> list[str]:
        return [entry.ground for entry in self.history if isinstance(entry, Closed)]

    def faults(self) -> list[str]:
        """Whatever the observers have to say against what was played."""
        judge = self.judge()
        found = judge.violations()
        for node in judge.at:
            if self.stage(node) != judge.stage(node):
                found.append(f"section 4: {node} is {self.stage(node)}, and the history says {judge.stage(node)}")
            if self.tree.is_ended(node) != judge.closed_below(node):
                found.append(f"P1: below {node} is_ended says {self.tree.is_ended(node)}")
        return found
