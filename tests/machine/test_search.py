"""Breadth first over every state of machine and observers together: whatever a path of a tree can meet, it meets here.

By default one setting with every move, and every R and C from 2 to 4 with the moves along one branch. With
`ADJOURN_SEARCH=whole` every R and C from 2 to 4 and three pairs of windows with every move (about a quarter of an
hour on one core).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import pytest

from tests.machine.driver import Play
from tests.machine.observers import HARM, REQUEST, Rules
from tests.machine.search import MOVES, NARROW, Found, Move, search, tell

WHOLE = os.environ.get("ADJOURN_SEARCH") == "whole"
NUMBERS = [(r, c) for r in (2, 3, 4) for c in (2, 3, 4)]
WINDOWS = [(0, 0), (1, 1), (1, 2)]
EVERY_STAGE = {"OPEN", "WARNED", "LAST_RESORT", "REQUESTED", "ASKED", "HELD", "ENDED"}

found_with = cache(search)


def figures(found: Found) -> str:
    r, c, v, w, _ = found.rules
    return (
        f"R={r} C={c} V={v} W={w}: {found.states:,} states, {found.moves:,} moves, "
        f"{found.ends[HARM]:,} ends for harm, {found.ends[REQUEST]:,} by request, {found.seconds:.1f} s"
    )


def bites(found: Found) -> None:
    """A search that meets no end has seen nothing."""
    print(figures(found))
    assert set(found.seen) == EVERY_STAGE
    assert found.ends[HARM] >= found.rules.redirections
    assert found.ends[REQUEST] > found.ends[HARM]
    assert found.moves > 10 * found.states


def test_every_move_in_every_state_keeps_the_promises() -> None:
    found = found_with(Rules(2, 2, 0, 0))
    bites(found)
    assert found.states > 2_000


@pytest.mark.parametrize(("r", "c"), NUMBERS)
def test_every_move_along_one_branch_keeps_the_promises(r: int, c: int) -> None:
    v, w = (1, 2) if r + c == 4 else (0, 0)
    bites(found_with(Rules(r, c, v, w), NARROW))


if WHOLE:  # a quarter of an hour, so it is asked for: ADJOURN_SEARCH=whole

    @pytest.mark.parametrize(("v", "w"), WINDOWS)
    @pytest.mark.parametrize(("r", "c"), NUMBERS)
    def test_every_move_in_every_state_keeps_the_promises_with_all_settings(r: int, c: int, v: int, w: int) -> None:
        bites(search(Rules(r, c, v, w)))


class Replay:
    """Plays the story of a state for real, on a tree that is never cut down, with the judge of histories beside it."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.play = Play(rules)
        self.tip: str | None = None

    def do(self, move: Move) -> None:
        self.play.rules = self.rules if move.enforce else self.rules._replace(enforce=False)
        act: Callable[[Move], None] = getattr(self, f"_{move.act}")
        act(move)
        self.play.rules = self.rules

    def _say(self, move: Move) -> None:
        node = self.play.say(move.words, self.tip, gap=move.gap, observe_only=move.observe_only, told=move.told)
        if node:
            end = f"{node}.end"
            self.tip = end if end in self.play.tree.ended and not move.stay else node

    def _answer(self, move: Move) -> None:
        node = self.play.reply(move.speech, self.tip, finish=move.finish, appends=move.appends)
        self.tip = self.tip if move.stay else node

    def _close(self, move: Move) -> None:
        end = self.play.close(self.tip, move.verdicts, support=move.speech == "support")
        self.tip = end if end and not move.stay else self.tip

    def _late(self, move: Move) -> None:
        if move.here:
            assert self.tip is not None
            self.play.late(self.tip, move.sign, completes=move.completes)
            return
        unread = sorted(self.play.judge().skies[-1].blind - {self.tip})
        for other in unread[1:] if move.completes else ():
            self.play.late(other, completes=True)
        about, told = unread[0], move.sign
        if told == "faint" and self.play.tree.nodes[about].risk_by:  # a second witness would make it clear
            pytest.skip("the search has forgotten what an older message showed")
        self.play.late(about, told, completes=move.completes)

    def _reopen(self, move: Move) -> None:
        assert self.play.reopen()

    def _lift(self, move: Move) -> None:
        assert self.play.lift()

    def _beside(self, move: Move) -> None:
        self.play.say(move.words, None)

    def _end_beside(self, move: Move) -> None:
        ask = self.play.say(Move("say").words._replace(asks=True), None)
        question = self.play.reply("question", ask)
        self.play.say(Move("say").words._replace(confirms=True), question)


@pytest.mark.parametrize("part", range(12))
def test_the_story_of_a_state_told_again_on_a_whole_tree_leads_to_the_same_stage(part: int) -> None:
    """What the search cuts away was not needed; and the judge, who counts in another way, finds no fault either."""
    found = found_with(Rules(2, 2, 0, 0))
    told = 0
    for state in range(part, len(found.seen), 12):
        replay = Replay(found.rules)
        story = found.story(state)
        try:
            for move in story:
                replay.do(move)
        except pytest.skip.Exception:
            continue
        told += 1
        words = "\n".join(map(tell, story))
        assert replay.play.stage(replay.tip) == found.seen[state], words
        assert replay.play.faults() == [], words
    assert told > 10


def test_the_moves_are_enough_to_meet_what_the_rules_speak_of() -> None:
    acts = {move.act for move in MOVES}
    assert acts == {"say", "answer", "close", "late", "reopen", "lift", "beside", "end_beside"}
    assert any(move.gap for move in MOVES)
    assert any(move.observe_only for move in MOVES)
    assert any(not move.enforce for move in MOVES)
    assert any(move.told for move in MOVES)
