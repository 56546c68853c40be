"""Whole trees: branches, retries, edits, late witnesses, reviewers, policies that change; judged by histories alone."""

from __future__ import annotations

import random
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from adjourn.core.decide import guidance
from adjourn.core.machine import Guidance
from tests.machine.driver import Play
from tests.machine.observers import HARM, REQUEST, Rules, Sign, Speech, Words
from tests.machine.wander import SAYINGS, SPEECHES, TOLD, Wanderer

WORDS = st.sampled_from([words for times, words in SAYINGS for _ in range(times)])
SPEECH = st.sampled_from([speech for times, speech in SPEECHES for _ in range(times)])
SIGN: st.SearchStrategy[Sign] = st.sampled_from(["", "", "", "", "faint", "faint", "clear"])
PLACE = st.integers(0, 5)  # which of the newest nodes
BAD, ASKS, CONFIRMS = Words(request=2), Words(asks=True), Words(confirms=True)


class Conversations(RuleBasedStateMachine):
    """Commands on one conversation. The branch that is talked on has a tip; the rest happens beside it."""

    met: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.tip: str | None = None

    @initialize(r=st.integers(1, 3), c=st.integers(2, 3), v=st.integers(0, 2), more=st.integers(0, 2))
    def begin(self, r: int, c: int, v: int, more: int) -> None:
        self.play = Play(Rules(r, c, v, v + more))

    def _say(
        self, words: Words, under: str | None, told: int = 0, *, gap: bool = False, observe_only: bool = False
    ) -> None:
        claims = TOLD[told - 1] if told else ()
        node = self.play.say(words, under, gap=gap, observe_only=observe_only, told=claims)
        if node:
            end = f"{node}.end"
            self.tip = end if end in self.play.answers else node

    def _user(self, place: int) -> str:
        return self.play.users[-1 - place % len(self.play.users)]

    def _any(self, place: int) -> str:
        texts = [*self.play.users, *self.play.answers, *self.play.refused]
        return texts[-1 - place % len(texts)]

    def _begun(self) -> bool:
        return bool(self.play.users)

    def teardown(self) -> None:
        self.met.update(self.play.grounds())
        self.met.update(type(entry).__name__ for entry in self.play.history)

    # Along the branch

    @rule(words=WORDS, gap=st.integers(0, 9), observe_only=st.integers(0, 9))
    def say(self, words: Words, gap: int, observe_only: int) -> None:
        self._say(words, self.tip, gap=gap == 1, observe_only=observe_only == 1)

    @precondition(_begun)
    @rule(speech=SPEECH, appends=st.booleans())
    def answer(self, speech: Speech, appends: bool) -> None:
        self.tip = self.play.reply(speech, self.play.users[-1], appends=appends)

    @rule(times=st.integers(1, 5))
    def insist(self, times: int) -> None:
        """Somebody asks for the same harm again and again, and the assistant does as it should."""
        for _ in range(times):
            self._say(BAD, self.tip)
            if self.tip is not None and self.tip in self.play.users:
                self.tip = self.play.reply("warn", self.tip)

    @rule()
    def ask_to_close(self) -> None:
        self._say(ASKS, self.tip)
        if self.tip is not None and self.tip in self.play.users:
            self.tip = self.play.reply("question", self.tip)

    @rule(ask=st.booleans())
    def confirm(self, ask: bool) -> None:
        if ask:
            self.ask_to_close()
        self._say(CONFIRMS, self.tip)

    @precondition(_begun)
    @rule(twice=st.booleans(), place=PLACE)
    def choose(self, twice: bool, place: int) -> None:
        to = self._user(place if not twice else 0)
        end = self.play.close(to, ("END", "END" if twice else "CONTINUE"))
        self.tip = end or self.tip

    @rule(times=st.integers(0, 5))
    def go_on_and_choose(self, times: int) -> None:
        self.insist(times)
        self._say(BAD, self.tip)
        if self.tip is not None and self.tip in self.play.users:
            self.tip = self.play.close(self.tip) or self.tip

    # Beside it

    @precondition(_begun)
    @rule(words=WORDS, place=PLACE)
    def edit(self, words: Words, place: int) -> None:
        self._say(words, self.play.judge().parent[self._user(place)])

    @precondition(_begun)
    @rule(words=WORDS, place=PLACE)
    def write_below(self, words: Words, place: int) -> None:
        nodes = [*self.play.users, *self.play.answers]
        self._say(words, nodes[-1 - place % len(nodes)])

    @precondition(_begun)
    @rule(words=WORDS, told=st.integers(1, len(TOLD)))
    def tell(self, words: Words, told: int) -> None:
        self._say(words, self.tip, told)

    @precondition(_begun)
    @rule(speech=SPEECH, place=PLACE)
    def retry(self, speech: Speech, place: int) -> None:
        user = self._user(place)
        if not self.play.judge().is_ended(user):
            self.tip = self.play.reply(speech, user)

    @precondition(_begun)
    @rule(sign=SIGN, place=PLACE, witness=st.sampled_from(["judge", "moderation"]))
    def witness(self, sign: Sign, place: int, witness: str) -> None:
        self.play.late(self._any(place), sign, witness=witness)

    @precondition(_begun)
    @rule(sign=SIGN)
    def complete(self, sign: Sign) -> None:
        for unread in sorted(self.play.judge().skies[-1].blind):
            self.play.late(unread, sign, completes=True)

    @rule()
    def reopen(self) -> None:
        self.play.reopen()

    @rule()
    def lift(self) -> None:
        self.play.lift()

    @rule(c=st.integers(2, 4), v=st.integers(0, 2), more=st.integers(0, 2), enforce=st.integers(0, 3))
    def change_policy(self, c: int, v: int, more: int, enforce: int) -> None:
        self.play.rules = self.play.rules._replace(
            calm=c, hold_messages=v, freeze_messages=v + more, enforce=enforce > 0
        )

    # After every command

    @invariant()
    def the_kept_tree_is_the_tree_folded_afresh(self) -> None:
        assert self.play.differs_from_a_fresh_fold() == []

    @invariant()
    def the_judge_of_histories_finds_no_fault(self) -> None:
        assert self.play.faults() == []

    @invariant()
    def under_a_hold_nobody_is_prompted(self) -> None:
        sky = self.play.judge().skies[-1]
        for user in self.play.users[-2:] if sky.frozen else ():
            said = guidance(self.play.tree, user, self.play.policy)
            assert said is not Guidance.MAY_WARN
            assert not (sky.held and said is Guidance.ASK_BACK)


def test_after_every_command_the_tree_is_its_events_and_the_judge_finds_no_fault() -> None:
    Conversations.met.clear()
    run_state_machine_as_test(
        Conversations,
        settings=settings(
            max_examples=120,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(Conversations.met)
    assert Conversations.met[HARM] > 5
    assert Conversations.met[REQUEST] > 20
    assert Conversations.met["Reopened"] > 5
    assert Conversations.met["Lifted"] > 20


def wander(seed: int, steps: int) -> Wanderer:
    dice = random.Random(seed)
    v = dice.randrange(3)
    rules = Rules(dice.choice((1, 2, 2, 3)), dice.choice((2, 3)), v, v + dice.randrange(3))
    wanderer = Wanderer(seed, rules, wild=dice.choice((0.04, 0.1, 0.2)))
    for _ in range(steps):
        wanderer.step()
    return wanderer


@pytest.mark.parametrize("part", range(4))
def test_in_two_thousand_random_trees_the_judge_of_histories_finds_no_fault(part: int) -> None:
    ends: Counter[str] = Counter()
    for seed in range(part * 500, part * 500 + 500):
        play = wander(seed, 12 + seed % 37).play
        assert play.faults() == [], seed
        assert play.differs_from_a_fresh_fold() == [], seed
        ends.update(play.grounds())
    print(ends)
    assert ends[REQUEST] > 50
    assert ends[HARM] > 10
