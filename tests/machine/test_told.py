"""What a client tells of a history, as facts: steps, what broke off, other words for old messages, an inheritance."""

from dataclasses import replace

import pytest

from adjourn.core import acts
from adjourn.core.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    Guided,
    Held,
    Inherited,
    Outcome,
    UserReceived,
)
from adjourn.core.machine import EMPTY, AnswerKind, Finish, Guidance, Hold, Registers, Stage, UserKind
from adjourn.core.reading import Reading
from adjourn.core.tree import Tree, after
from tests import support
from tests.support import BAD, CALM, CLEAR_RISK, CONFIRMS, FAINT, HELP, QUESTION, QUICK, REDIRECT, SUPPORT, UNREAD, WARN

NOTE = Guided("system", "a note")


def played(*turns: support.Turn) -> Tree:
    return after(Tree(id="c"), support.play(Tree(id="c"), turns))


def stepped(tree: Tree, *readings: Reading, node: str = "s1", parent: str = "u1", attempt: str = "t1") -> Tree:
    reply = support.reply(node, parent, *readings, attempt=attempt)
    return after(tree, acts.step(tree, reply, QUICK))


def claim(
    node: str, parent: str | None, *readings: Reading, user: bool = False, finish: Finish = Finish.CLAIMED
) -> acts.Claim:
    return acts.Claim(support.sealed_text(node).reference, parent, user=user, readings=readings, finish=finish)


# Steps of an answer.


def test_a_step_is_no_answer_and_moves_nothing() -> None:
    before = played(support.message("u1", None, BAD))
    tree = stepped(stepped(before, REDIRECT), WARN, node="s2")
    assert tree.registers("u1") == before.registers("u1") == EMPTY
    assert not tree.nodes["u1"].begun
    assert tree.nodes["s1"].answer is None
    answered = after(tree, acts.answer(tree, support.reply("a1", "u1", REDIRECT), QUICK))
    assert answered.registers("a1").k == 1


def test_a_last_resort_outlasts_steps_but_no_answer() -> None:
    tree = stepped(played(*support.to_last_resort()), parent="u3")
    assert tree.stage("u3") is Stage.LAST_RESORT
    tree = after(tree, acts.answer(tree, support.reply("a3", "u3", HELP), QUICK))
    assert tree.stage("u3") is Stage.WARNED


def test_p05_crisis_help_in_a_step_holds_and_other_flags_are_not_kept() -> None:
    tree = stepped(played(support.message("u1", None, CALM)), REDIRECT, WARN)
    assert (tree.held, tree.nodes["u1"].flags) == (Hold.NO, frozenset())
    assert stepped(tree, SUPPORT, node="s2").held is Hold.SHOWN


def test_what_was_put_in_for_a_step_stands_on_it_and_what_came_before_stays_above() -> None:
    tree = played(support.message("u1", None, BAD))
    begun = AttemptStarted(attempt="t1", node="u1", guidance=Guidance.REDIRECT, guided=NOTE, at=1)
    tree = stepped(after(tree, (begun,)))
    assert tree.nodes["s1"].guided == NOTE
    assert tree.attempts == {}
    tree = after(tree, (replace(begun, attempt="t2"),))
    tree = after(tree, acts.answer(tree, support.reply("a1", "u1", REDIRECT, attempt="t2"), QUICK))
    tree = after(tree, acts.receive(tree, support.message("u2", "a1", CALM), QUICK))
    assert tree.nodes["u2"].guided_above == "a1"


# What broke off.


@pytest.mark.parametrize("said", [REDIRECT, WARN, QUESTION])
def test_what_broke_off_counts_for_nothing_whatever_it_says(said: Reading) -> None:
    tree = played(support.message("u1", None, BAD))
    tree = after(tree, (AttemptEnded(attempt="t1", outcome=Outcome.INTERRUPTED, digest="d"),))
    told = claim("x1", "u1", said, finish=Finish.CUT)
    tree = after(tree, acts.receive(tree, support.message("u2", "x1", BAD), QUICK, [told]))
    kept = tree.nodes["x1"]
    assert (kept.answer, kept.finish, kept.registers.k) == (AnswerKind.VOID, Finish.CUT, 0)
    assert tree.stage("x1") is Stage.OPEN
    assert tree.nodes["u2"].parent == "x1"


def test_p06_what_broke_off_is_our_own_and_never_blind_what_is_claimed_is_until_it_is_read() -> None:
    for finish, blind in ((Finish.CUT, 0), (Finish.CLAIMED, 1)):
        tree = played(support.message("u1", None, CALM))
        told = claim("x1", "u1", UNREAD, finish=finish)
        tree = after(tree, acts.receive(tree, support.message("u2", "x1", CALM), QUICK, [told]))
        assert tree.blind == blind


def test_p04_a_yes_below_a_question_that_broke_off_is_none() -> None:
    tree = played(support.message("u1", None, support.ASKS))
    told = claim("x1", "u1", QUESTION, finish=Finish.CUT)
    events = acts.receive(tree, support.message("u2", "x1", CONFIRMS), QUICK, [told])
    assert [event.stage for event in events if isinstance(event, UserReceived)] == [Stage.OPEN]


# Old messages in other words.


def reread(tree: Tree, node: str, *readings: Reading, below: str = "a2", said: Reading = CALM) -> tuple[Event, ...]:
    return acts.receive(tree, support.message("u9", below, said), QUICK, [], [acts.Reread(node, readings)])


def test_of_other_words_for_an_old_message_only_risk_counts() -> None:
    tree = played(*support.to_last_resort()[:4])
    again = after(tree, reread(tree, "u1", BAD, support.ABUSE, support.ASKS))
    assert again.nodes["u1"] == tree.nodes["u1"]
    assert again.held is Hold.NO
    assert again.registers("a2") == tree.registers("a2")


@pytest.mark.parametrize(("sign", "level"), [(FAINT, Hold.QUIET), (CLEAR_RISK, Hold.SHOWN)])
def test_p05_a_sign_of_risk_in_other_words_for_an_old_message_holds(sign: Reading, level: Hold) -> None:
    tree = played(*support.to_last_resort()[:4])
    events = reread(tree, "u1", sign, said=BAD)
    tree = after(tree, events)
    assert tree.held is level
    assert (tree.nodes["u1"].message, tree.stage("u9")) == (UserKind.BAD, Stage.HELD)
    assert [event.about for event in events if isinstance(event, Held)] == ["u1"]


def test_p05_a_clear_sign_in_other_words_lifts_an_end_and_a_faint_one_holds_below_it() -> None:
    closed = played(*support.to_last_resort(), support.closing("e1", "u3"))
    events = reread(closed, "u1", CLEAR_RISK, below="e1")
    assert acts.took(events, "u9")
    assert not after(closed, events).ended
    refused = reread(closed, "u1", FAINT, below="e1")
    assert not acts.took(refused, "u9")
    tree = after(closed, refused)
    assert (tree.held, set(tree.ended)) == (Hold.QUIET, {"e1"})
    unseen = reread(closed, "u1", BAD, below="e1", said=BAD)
    assert not acts.took(unseen, "u9")
    assert not [event for event in unseen if isinstance(event, Held)]


@pytest.mark.parametrize("other", [CALM, BAD, FAINT, CLEAR_RISK])
def test_p06_other_words_that_can_be_read_do_not_read_the_message(other: Reading) -> None:
    tree = played(support.message("u1", None, UNREAD), support.reply("a1", "u1", HELP))
    assert after(tree, reread(tree, "u1", other, below="a1")).blind == 1
    tree = played(support.message("u1", None, UNREAD))
    assert stepped(tree, SUPPORT).blind == 1


# What a copy inherits.


def copied(
    registers: Registers = EMPTY, *, asked: bool = False, held: Hold = Hold.NO, since: int | None = None
) -> Tree:
    tree = after(Tree(id="c"), (acts.opening("c", QUICK, scope="people"),))
    told = [claim("x1", None, CALM, user=True), claim("x2", "x1", HELP)]
    tree = after(tree, acts.tell(tree, told, QUICK))
    return after(
        tree, (Inherited(node="x2", registers=registers, asked=asked, held=held, since_faint=since, of=("b",)),)
    )


def test_p03_a_copy_of_one_conversation_stands_where_that_stood() -> None:
    first = played(*support.to_last_resort()[:4])
    tree = copied(first.registers("a2"))
    assert tree.standing("x2") is Stage.WARNED
    tree = after(tree, acts.receive(tree, support.message("u1", "x2", BAD), QUICK))
    assert tree.stage("u1") is Stage.LAST_RESORT
    assert after(tree, acts.close(tree, support.closing("e1", "u1"), QUICK)).ended
    empty = copied()
    empty = after(empty, acts.receive(empty, support.message("u1", "x2", BAD), QUICK))
    assert empty.stage("u1") is Stage.OPEN


@pytest.mark.parametrize("asked", [True, False])
def test_p04_in_a_copy_a_yes_counts_only_where_it_was_asked(asked: bool) -> None:
    tree = copied(asked=asked)
    tree = after(tree, acts.receive(tree, support.message("u1", "x2", CONFIRMS), QUICK))
    assert bool(tree.ended) is asked


@pytest.mark.parametrize(
    ("held", "since", "stage"),
    [(Hold.SHOWN, None, Stage.HELD), (Hold.QUIET, 1, Stage.HELD), (Hold.NO, 9, Stage.WARNED)],
)
def test_p05_in_a_copy_a_hold_goes_on_and_a_freeze_too(held: Hold, since: int | None, stage: Stage) -> None:
    tree = copied(Registers(redirected=("x1",), warned="x2"), held=held, since=since)
    tree = after(tree, acts.receive(tree, support.message("u1", "x2", BAD), QUICK))
    assert tree.stage("u1") is stage
    assert tree.frozen
