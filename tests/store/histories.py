"""Random histories: moves that people, models, witnesses and reviewers make, as functions for a store's commit.

A move is three small values, so that Hypothesis can draw, shrink and show it. Where a move needs another one first
(an answer, a message), and that never came, it does nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from adjourn.core import acts
from adjourn.core.events import (
    Answer,
    AttemptEnded,
    AttemptStarted,
    Claimed,
    Erased,
    Event,
    Guided,
    Judged,
    Outcome,
    RefusedRead,
    UserReceived,
    Verdict,
)
from adjourn.core.machine import Finish, Guidance, Mode
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Matter, Opinion, Reading
from adjourn.core.tree import Tree
from adjourn.store import Sealed
from tests import support

Move = tuple[str, int, int]
"""What is done, where (0: at the newest place), and how."""
Commit = tuple[Callable[[Tree], Sequence[Event]], list[Sealed]]

POLICIES = (
    support.QUICK,
    replace(support.QUICK, revision="quick-host", warning="host", hold_messages=1, freeze_messages=2),
    replace(support.QUICK, revision="quick-warn", mode=Mode.WARN),
    Policy(revision="slow", redirections=2, calm=2, hold_messages=0, freeze_messages=1),
)

WORDS: tuple[Reading, ...] = (
    support.CALM,
    support.BAD,
    support.ABUSE,
    support.FLAGGED,
    support.ASKS,
    support.CONFIRMS,
    support.reading(Flag.ASKS_END, Flag.HARMFUL, Flag.HARMFUL_COUNT, family="malware"),
    support.reading(Flag.CONFIRMS_END, Flag.HARMFUL),
    support.FAINT,
    support.CLEAR_RISK,
    support.UNREAD,
    support.reading(Flag.HARMFUL_COUNT, Flag.RISK, unread=True),
)
SPEECHES: tuple[tuple[Reading, ...], ...] = (
    (support.HELP,),
    (support.DECLINE,),
    (support.REDIRECT,),
    (support.WARN,),
    (support.QUESTION,),
    (support.HELP, support.SUPPORT),
    (),
)
LATE: tuple[Reading, ...] = (
    support.CALM,
    support.reading(witness="judge"),
    support.reading(Flag.RISK, witness="judge"),
    support.reading(Flag.RISK, Flag.RISK_CLEAR, witness="moderation"),
    support.FAINT,
)
FINISHES = (Finish.STOP, Finish.LENGTH, Finish.REFUSAL)
ASKED = (None, Opinion.YES, Opinion.NO)
"""What a judge says of an end; None: there is none."""
JUDGEMENTS = (
    (Matter.WARN, Opinion.YES, ()),
    (Matter.WARN, Opinion.UNSCORED, ()),
    (Matter.RISK, Opinion.NO, ()),
    (Matter.RISK, Opinion.YES, (support.reading(Flag.RISK, Flag.RISK_CLEAR, witness="judge"),)),
)
VERDICTS = (support.END_TWICE, (Verdict.END, Verdict.CONTINUE), (Verdict.CONTINUE,))

SCRIPTS: dict[str, tuple[Move, ...]] = {
    "persist": (("say", 0, 1), ("reply", 0, 4), ("say", 0, 1), ("reply", 0, 6), ("say", 0, 2)),
    "leave": (("say", 0, 4), ("reply", 0, 8)),
}
"""What leads near to an end, and would be drawn too seldom: alone, with its last step, or settled before it."""
SETTLED = 2
SETTLING: tuple[Move, ...] = (("read", 0, 0), ("lift", 0, 0), ("rules", 0, 0))
ROOT = 1_000_000

MOVES: dict[str, int] = {
    "say": len(WORDS),
    "reply": len(SPEECHES) * len(FINISHES) * 2,
    "persist": 3,
    "leave": 3,
    "close": len(VERDICTS) * 2 * len(ASKED),
    "confirm": len(ASKED),
    "judge": len(JUDGEMENTS),
    "tell": len(WORDS) * 2,
    "pause": len(WORDS),
    "watch": len(WORDS),
    "witness": len(LATE),
    "read": 1,
    "try": 3,
    "step": 3,
    "reread": 3,
    "rules": len(POLICIES),
    "reopen": 1,
    "lift": 1,
    "erase": 8,
}
"""How many ways there are to make each move."""

moves: st.SearchStrategy[Move] = st.sampled_from(sorted(MOVES)).flatmap(
    lambda name: st.tuples(st.just(name), st.one_of(st.just(0), st.integers(0, 5)), st.integers(0, MOVES[name] - 1))
)


@dataclass
class History:
    """Where a random history stands: what was taken so far, in its order."""

    policy: Policy = support.QUICK
    users: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    attempt: str | None = None
    count: int = 0
    at: int = support.HOUR

    def steps(self, move: Move) -> tuple[Move, ...]:
        """Return the single moves that a move is made of; each is committed and noted before the next one."""
        name, where, how = move
        if name not in SCRIPTS:
            return (move,)
        first, *others = SCRIPTS[name]
        last = ("close" if name == "persist" else "confirm", 0, 0)
        begun = (first[0], ROOT if how == SETTLED else where, first[2])
        return (*(SETTLING if how == SETTLED else ()), begun, *others, *((last,) if how else ()))

    def note(self, events: Sequence[Event]) -> None:
        """Remember what was taken."""
        for event in events:
            if isinstance(event, UserReceived | Claimed):
                self.users.append(event.node)
            if isinstance(event, UserReceived | Claimed | Answer):
                self.order.append(event.node)
                self.texts.append(event.node)
            if isinstance(event, RefusedRead):
                self.texts.append(event.text)

    def commit(self, step: Move) -> Commit:
        """Return what a single move commits."""
        name, where, how = step
        self.count += 1
        self.at += 1000
        made: Commit | None = getattr(self, f"_{name}")(where, how)
        if made is None:
            return (lambda tree: ()), []
        decide, texts = made
        return (lambda tree: self._opened(tree, decide)), texts

    def _opened(self, tree: Tree, decide: Callable[[Tree], Sequence[Event]]) -> Sequence[Event]:
        return decide(tree) if tree.opened is not None else ()

    def _place(self, where: int) -> str | None:
        places = [None, *self.order]
        return places[max(len(places) - 1 - where, 0)]

    def _user(self, where: int) -> str | None:
        return self.users[max(len(self.users) - 1 - where, 0)] if self.users else None

    def _message(self, parent: str | None, words: Reading, *, observe_only: bool = False) -> Commit:
        turn = support.message(f"u{self.count}", parent, words, at=self.at, observe_only=observe_only)
        policy = self.policy
        return (lambda tree: acts.receive(tree, turn, policy)), support.sealed_texts([turn])

    def _say(self, where: int, how: int) -> Commit | None:
        return self._message(self._place(where), WORDS[how])

    def _confirm(self, where: int, how: int) -> Commit | None:
        judged = self._judged(f"u{self.count}", Matter.USER_REQUEST, ASKED[how])
        turn = support.message(f"u{self.count}", self._place(where), support.CONFIRMS, at=self.at)
        turn, policy = turn._replace(judged=judged), self.policy
        quotes = [support.sealed_text(one.quote) for one in judged]
        return (lambda tree: acts.receive(tree, turn, policy)), [*support.sealed_texts([turn]), *quotes]

    def _judged(self, node: str, matter: Matter, opinion: Opinion | None) -> tuple[Judged, ...]:
        """What a judge says, with its quote; nothing if there is none."""
        if opinion is None:
            return ()
        quote, digest = support.sealed_text(f"q{self.count}").reference
        return (
            Judged(node=node, matter=matter, opinion=opinion, witness="judge", version="1", quote=quote, digest=digest),
        )

    def _judge(self, where: int, how: int) -> Commit | None:
        """A judge was asked beside an answer."""
        node = self._user(where)
        if node is None:
            return None
        matter, opinion, readings = JUDGEMENTS[how]
        (judged,), policy = self._judged(node, matter, opinion), self.policy
        return (lambda tree: acts.opine(tree, judged, readings, policy)), [support.sealed_text(judged.quote)]

    def _watch(self, where: int, how: int) -> Commit | None:
        return self._message(self._place(where), WORDS[how], observe_only=True)

    def _pause(self, where: int, how: int) -> Commit | None:
        self.at += 13 * support.HOUR
        return self._message(self._place(where), WORDS[how])

    def _tell(self, where: int, how: int) -> Commit | None:
        """The client tells of a message and its answer (or of the message only) before the newest one."""
        parent, answered, policy = self._place(where), how % 2, self.policy
        mine, theirs = f"c{self.count}", f"d{self.count}"
        words = WORDS[how // 2]
        claims = [acts.Claim(text=support.sealed_text(mine).reference, parent=parent, user=True, readings=(words,))]
        if answered:
            text = support.sealed_text(theirs).reference
            claims.append(acts.Claim(text=text, parent=mine, user=False, readings=(support.HELP,)))
        turn = support.message(f"u{self.count}", claims[-1].text.node, support.BAD, at=self.at)
        texts = [*support.sealed_texts([turn]), support.sealed_text(mine), support.sealed_text(theirs)]
        return (lambda tree: acts.receive(tree, turn, policy, claims)), texts

    def _reply(self, where: int, how: int) -> Commit | None:
        parent = self._user(where)
        if parent is None:
            return None
        how, appends = divmod(how, 2)
        finish, speech = divmod(how, len(SPEECHES))
        turn = support.reply(
            f"a{self.count}",
            parent,
            *SPEECHES[speech],
            at=self.at,
            finish=FINISHES[finish],
            appends=bool(appends),
            attempt=self.attempt,
        )
        policy = self.policy
        return (lambda tree: acts.answer(tree, turn, policy)), support.sealed_texts([turn])

    def _close(self, where: int, how: int) -> Commit | None:
        parent = self._user(where)
        if parent is None:
            return None
        how, asked = divmod(how, len(ASKED))
        how, supports = divmod(how, 2)
        turn = support.closing(
            f"e{self.count}", parent, *((support.SUPPORT,) if supports else ()), verdicts=VERDICTS[how], at=self.at
        )
        judged = self._judged(parent, Matter.PERSISTENT_HARM, ASKED[asked])
        turn, policy = turn._replace(judged=judged), self.policy
        quotes = [support.sealed_text(one.quote) for one in judged]
        return (lambda tree: acts.close(tree, turn, policy)), [*support.sealed_texts([turn]), *quotes]

    def _witness(self, where: int, how: int) -> Commit | None:
        if not self.texts:
            return None
        about, policy = self.texts[max(len(self.texts) - 1 - where, 0)], self.policy
        return (lambda tree: acts.witness(tree, about, [LATE[how]], policy)), []

    def _read(self, where: int, how: int) -> Commit | None:
        """What is owed a reading is read, and nothing is found in it."""
        texts, policy = list(self.texts), self.policy

        def read_all(tree: Tree) -> list[Event]:
            owed = [text for text in texts if tree.nodes[text].blind]
            return [event for text in owed for event in acts.witness(tree, text, [support.CALM], policy)]

        return read_all, []

    def _try(self, where: int, how: int) -> Commit | None:
        node, attempt = self._user(where), f"t{self.count}"
        if node is None:
            return None
        guided = Guided("in_user", "a word to the model") if how else None
        started = AttemptStarted(
            attempt=attempt,
            node=node,
            guidance=Guidance.REDIRECT if how else None,
            guided=guided,
            at=self.at,
        )
        if how == 2:  # the client went away in the middle of it
            broke_off = AttemptEnded(
                attempt=attempt, outcome=Outcome.INTERRUPTED, digest=support.sealed_text(attempt).digest
            )
            return (lambda tree: (started, broke_off)), [support.sealed_text(attempt)]
        if how:  # the next answer is what came of it
            self.attempt = attempt
            return (lambda tree: (started,)), []
        ended = AttemptEnded(attempt=attempt, outcome=Outcome.FAILED)
        return (lambda tree: (started, ended)), []

    def _step(self, where: int, how: int) -> Commit | None:
        """An answer goes on with a call of the client's tools; its words may offer crisis help."""
        node, step = self._user(where), f"s{self.count}"
        if node is None:
            return None
        reply = support.reply(step, node, (support.HELP, support.DECLINE, support.SUPPORT)[how], attempt=f"{step}.try")
        policy = self.policy
        return (lambda tree: acts.step(tree, reply, policy)), [support.sealed_text(step)]

    def _reread(self, where: int, how: int) -> Commit | None:
        """The client tells a message in other words now; of what is seen in them only risk counts."""
        node = self._user(where)
        if node is None:
            return None
        told = [acts.Reread(node, ((support.FAINT, support.BAD, support.CALM)[how],))]
        turn = support.message(f"u{self.count}", self._place(0), support.CALM, at=self.at)
        policy = self.policy
        return (lambda tree: acts.receive(tree, turn, policy, (), told)), support.sealed_texts([turn])

    def _rules(self, where: int, how: int) -> Commit | None:
        self.policy = POLICIES[how]
        return None

    def _reopen(self, where: int, how: int) -> Commit | None:
        at = self.at
        return (lambda tree: acts.reopen(tree, "an appeal", at)), []

    def _lift(self, where: int, how: int) -> Commit | None:
        at = self.at
        return (lambda tree: acts.lift(tree, "a call", at)), []

    def _erase(self, where: int, how: int) -> Commit | None:
        """Once in eight times, so that texts are there to be compared in most histories."""
        erased = Erased(at=self.at)
        return ((lambda tree: (erased,)), []) if how == 0 else None
