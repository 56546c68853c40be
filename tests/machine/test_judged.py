"""What a second opinion changes, as facts: doubt keeps open, a clear yes lets what is allowed happen, and no more."""

from collections.abc import Callable
from itertools import product

import pytest

from adjourn.core import acts
from adjourn.core.decide import agreed_to_warn, guidance, may_judge_warning, told_late
from adjourn.core.events import Decision, Ended, Event, Judged, UserReceived
from adjourn.core.explain import explain
from adjourn.core.machine import Guidance, Hold, Stage, UserKind
from adjourn.core.reading import Flag, Matter, Opinion
from adjourn.core.recompute import recompute
from adjourn.core.tree import Tree, after
from tests import support
from tests.support import BAD, CALM, CONFIRMS, FAINT, QUICK, REDIRECT

JUDGE_SEES = support.reading(Flag.RISK, Flag.RISK_CLEAR, witness="judge")
POLICIES = {QUICK.digest: QUICK}
History = Callable[..., tuple[Event, ...]]
DOUBTS = [Opinion.NO, Opinion.UNSCORED]


def judged(node: str, matter: Matter, opinion: Opinion, witness: str = "judge") -> Judged:
    return Judged(node=node, matter=matter, opinion=opinion, witness=witness, version="1")


def at_last_resort(*opinions: Opinion) -> tuple[Event, ...]:
    given = tuple(judged("u3", Matter.PERSISTENT_HARM, one, f"w{at}") for at, one in enumerate(opinions))
    end = support.closing("e3", "u3")._replace(judged=given)
    return support.play(Tree(id="c"), [*support.to_last_resort(), end])


def at_the_question(*opinions: Opinion) -> tuple[Event, ...]:
    given = tuple(judged("u2", Matter.USER_REQUEST, one, f"w{at}") for at, one in enumerate(opinions))
    yes = support.message("u2", "a1", CONFIRMS)._replace(judged=given)
    return support.play(Tree(id="c"), [*support.to_question(), yes])


def ends(events: tuple[Event, ...]) -> int:
    return sum(isinstance(event, Ended) for event in events)


@pytest.mark.parametrize("history", [at_last_resort, at_the_question])
@pytest.mark.parametrize("doubt", DOUBTS)
def test_p06_any_doubt_of_a_witness_that_was_asked_keeps_the_conversation_open(
    history: History, doubt: Opinion
) -> None:
    for opinions in product((Opinion.YES, doubt), repeat=2):
        assert ends(history(*opinions)) == (doubt not in opinions)


@pytest.mark.parametrize("history", [at_last_resort, at_the_question])
def test_where_no_witness_is_asked_an_end_is_decided_as_ever_and_says_nothing_of_one(history: History) -> None:
    (decision,) = (event for event in history() if isinstance(event, Decision) and event.wanted is Stage.ENDED)
    assert ends(history()) == 1
    assert "agreed" not in [rule.rule for rule in decision.rules]


def test_a_yes_that_a_judge_doubts_is_stored_as_clear() -> None:
    events = at_the_question(Opinion.NO)
    (taken,) = (event for event in events if isinstance(event, UserReceived) and event.node == "u2")
    assert (taken.kind, taken.stage) == (UserKind.CLEAR, Stage.OPEN)


@pytest.mark.parametrize("history", [at_last_resort, at_the_question])
@pytest.mark.parametrize("opinion", Opinion)
def test_p11_what_rests_on_an_opinion_comes_out_the_same_again(history: History, opinion: Opinion) -> None:
    events = history(opinion)
    assert recompute("c", events, POLICIES).faults == []
    turned = {Opinion.YES: Opinion.NO}.get(opinion, Opinion.YES)
    forged = [
        judged(event.node, event.matter, turned, event.witness) if isinstance(event, Judged) else event
        for event in events
    ]
    assert recompute("c", forged, POLICIES).faults


def test_an_opinion_about_an_earlier_try_says_nothing_about_the_next_one() -> None:
    tree = after(Tree(id="c"), support.play(Tree(id="c"), support.to_last_resort()))
    no = support.closing("e3", "u3")._replace(judged=(judged("u3", Matter.PERSISTENT_HARM, Opinion.NO),))
    yes = support.closing("e4", "u3")._replace(judged=(judged("u3", Matter.PERSISTENT_HARM, Opinion.YES),))
    events = support.play(Tree(id="c"), [*support.to_last_resort(), no, yes])
    assert ends(events) == 1
    assert recompute("c", events, POLICIES).faults == []
    assert ends(tuple(acts.close(after(tree, acts.close(tree, no, QUICK)), no, QUICK))) == 0


# A warning.


def redirected(*opinions: Opinion) -> Tree:
    """A bad message was redirected, a judge spoke beside that answer, and another one comes."""
    events = support.play(Tree(id="c"), [support.message("u1", None, BAD), support.reply("a1", "u1", REDIRECT)])
    tree = after(Tree(id="c"), events)
    assert may_judge_warning(tree, "a1", QUICK)
    for opinion in opinions:
        tree = after(tree, acts.opine(tree, judged("u1", Matter.WARN, opinion), (), QUICK))
    return after(tree, acts.receive(tree, support.message("u2", "a1", BAD), QUICK))


@pytest.mark.parametrize(
    ("judge", "opinions", "allowed"),
    [
        (False, (), True),
        (True, (), False),
        (True, (Opinion.YES,), True),
        (True, (Opinion.NO,), False),
        (True, (Opinion.UNSCORED,), False),
        (True, (Opinion.YES, Opinion.NO), False),
    ],
)
def test_p06_with_a_judge_no_warning_is_allowed_without_its_yes(
    judge: bool, opinions: tuple[Opinion, ...], allowed: bool
) -> None:
    tree = redirected(*opinions)
    wanted = Guidance.MAY_WARN if allowed else Guidance.REDIRECT
    assert guidance(tree, "u2", QUICK, judge=judge) is wanted
    assert agreed_to_warn(tree, "u2") == (opinions == (Opinion.YES,))


def test_a_judge_is_asked_about_a_warning_only_beside_the_answer_that_brought_enough_redirections() -> None:
    calm: list[support.Turn] = [support.message("u1", None, CALM), support.reply("a1", "u1", REDIRECT)]
    assert not may_judge_warning(after(Tree(id="c"), support.play(Tree(id="c"), calm)), "a1", QUICK)
    later: list[support.Turn] = [support.message("u1", None, BAD), support.reply("a1", "u1", REDIRECT)]
    later += [support.message("u2", "a1", CALM), support.reply("a2", "u2", support.HELP)]
    assert not may_judge_warning(after(Tree(id="c"), support.play(Tree(id="c"), later)), "a2", QUICK)
    held: list[support.Turn] = [support.message("u0", None, FAINT), support.reply("a0", "u0", support.HELP)]
    held += [support.message("u1", "a0", BAD), support.reply("a1", "u1", REDIRECT)]
    assert not may_judge_warning(after(Tree(id="c"), support.play(Tree(id="c"), held)), "a1", QUICK)


# Signs of risk.


def test_p05_a_judge_makes_a_faint_sign_a_shown_hold_and_lifts_an_end() -> None:
    tree = after(Tree(id="c"), support.play(Tree(id="c"), [support.message("u1", None, FAINT)]))
    assert tree.held is Hold.QUIET
    facts = acts.opine(tree, judged("u1", Matter.RISK, Opinion.YES), (JUDGE_SEES,), QUICK)
    assert facts.after.held is Hold.SHOWN
    ended = after(Tree(id="c"), at_last_resort())
    assert ended.ended
    facts = acts.opine(ended, judged("u1", Matter.RISK, Opinion.YES), (JUDGE_SEES,), QUICK)
    assert (facts.after.held, facts.after.ended) == (Hold.SHOWN, {})


def test_a_judge_that_sees_nobody_at_risk_weakens_no_hold() -> None:
    tree = after(Tree(id="c"), support.play(Tree(id="c"), [support.message("u1", None, FAINT)]))
    facts = acts.opine(tree, judged("u1", Matter.RISK, Opinion.NO), (), QUICK)
    assert facts.after.held is Hold.QUIET


def test_a_sign_that_a_witness_saw_beside_the_answer_brings_support_with_the_next_turn_only() -> None:
    tree = after(Tree(id="c"), support.play(Tree(id="c"), [support.message("u1", None, FAINT)]))
    tree = after(tree, acts.answer(tree, support.reply("a1", "u1", support.HELP), QUICK))
    tree = after(tree, acts.opine(tree, judged("u1", Matter.RISK, Opinion.YES), (JUDGE_SEES,), QUICK))
    tree = after(tree, acts.receive(tree, support.message("u2", "a1", CALM), QUICK))
    assert told_late(tree, "u2")
    assert guidance(tree, "u2", QUICK) is Guidance.SUPPORT
    tree = after(tree, acts.answer(tree, support.reply("a2", "u2", support.HELP), QUICK))
    tree = after(tree, acts.receive(tree, support.message("u3", "a2", CALM), QUICK))
    assert not told_late(tree, "u3")
    assert guidance(tree, "u3", QUICK) is None


@pytest.mark.parametrize(
    ("opinion", "says"),
    [(Opinion.YES, "says yes"), (Opinion.NO, "says no"), (Opinion.UNSCORED, "no answer that counts")],
)
def test_explain_says_what_a_witness_was_asked_and_what_it_said(opinion: Opinion, says: str) -> None:
    told = [line for line in explain("c", at_last_resort(opinion), str) if line.startswith("Asked at u3")]
    assert len(told) == 1
    assert says in told[0]
