"""The policy's judgement: what a message and an answer are, which rules a higher stage needs, and what came of it.

Everything here is a function of the tree (with what the witnesses said already folded in), the message and the
policy. Two tables say what a message or an answer is, `RULES` says what is checked, `NEEDS` where.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adjourn.core.events import CORE_VERSION, Checked, Decision, Judged, Verdict
from adjourn.core.machine import (
    VOID_FINISHES,
    AnswerKind,
    Finish,
    Ground,
    Guidance,
    Hold,
    Mode,
    Registers,
    Stage,
    UserKind,
    may_end,
    same,
)
from adjourn.core.policy import Policy
from adjourn.core.reading import LOCAL, Flag, Opinion
from adjourn.core.tree import UNSEEN, Node, Tree


@dataclass(slots=True, kw_only=True)
class Case:
    """One judgement: the message `node` (an answer is judged with the message that it answers) and its branch.

    `registers`: those before the message. `before`: the stage above it. `seen`: what the witnesses said of the
    text that is judged. `verdicts`: what the model said when asked whether it wants to close.
    `judged`: what came of asking witnesses whether it may be closed; nothing where none is asked.
    """

    tree: Tree
    policy: Policy
    node: str
    parent: str | None
    seen: Node
    registers: Registers
    before: Stage
    held: Hold
    frozen: bool
    observe_only: bool
    begun: bool = False
    fresh: bool = True
    finish: Finish = Finish.STOP
    appends: bool = False
    verdicts: tuple[Verdict, ...] = ()
    judged: tuple[Judged, ...] = ()

    @property
    def asked(self) -> bool:
        return self.before is Stage.ASKED


def redirections(tree: Tree, policy: Policy) -> int:
    """Return R: the higher of the conversation's start and now."""
    return max(tree.opened.redirections if tree.opened else 0, policy.redirections)


def mode(tree: Tree, policy: Policy) -> Mode:
    """Return the mode in force: the lower of the conversation's start and now."""
    return min(tree.opened.mode, policy.mode) if tree.opened else policy.mode


FLAGGED = frozenset({Flag.HARMFUL, Flag.HARMFUL_COUNT, Flag.ABUSIVE, Flag.ABUSIVE_COUNT})


# What a message is, and what an answer is: the first line that applies.

# CLAIMED is not among the first: a claimed message is not judged, only read (`acts.told`).
USER_KINDS: tuple[tuple[UserKind, Callable[[Case], bool]], ...] = (
    (UserKind.RISK, lambda case: bool(case.seen.risk_by)),
    (UserKind.BLIND, lambda case: not case.seen.read),
    (UserKind.CONFIRM, lambda case: confirms(case) and _all(case, needed(case, Ground.USER_REQUEST))),
    (UserKind.CLEAR, lambda case: confirms(case)),
    (UserKind.ASK, lambda case: leaves(case.seen, case.asked)),
    (UserKind.BAD, lambda case: not case.frozen and case.policy.counts(case.seen.flags, case.seen.family)),
    (UserKind.FLAG, lambda case: not case.seen.flags.isdisjoint(FLAGGED)),
    (UserKind.CLEAR, lambda case: True),
)

ANSWER_KINDS: tuple[tuple[AnswerKind, Callable[[Case], bool]], ...] = (
    (AnswerKind.SUPPORT, lambda case: Flag.SUPPORTED in case.seen.flags),
    (AnswerKind.VOID, lambda case: case.finish in VOID_FINISHES or not case.seen.read),
    (AnswerKind.QUESTION, lambda case: _asks_back(case) and _all(case, NEEDS[Stage.ASKED])),
    (AnswerKind.DECLINE, lambda case: case.finish is Finish.REFUSAL),
    (AnswerKind.WARN, lambda case: Flag.WARNED in case.seen.flags),
    (AnswerKind.REDIRECT, lambda case: case.seen.flags >= {Flag.DECLINED, Flag.REDIRECTED}),
    (AnswerKind.DECLINE, lambda case: Flag.DECLINED in case.seen.flags),
    (AnswerKind.HELP, lambda case: True),
)


def user_kind(case: Case) -> UserKind:
    """Return the first kind that applies to a user message."""
    return next(kind for kind, applies in USER_KINDS if applies(case))


def answer_kind(case: Case) -> AnswerKind:
    """Return the first kind that applies to an answer."""
    return next(kind for kind, applies in ANSWER_KINDS if applies(case))


def leaves(seen: Node, asked: bool) -> bool:
    """Whether the person asks to close this conversation, or says yes to the question whether to."""
    return Flag.ASKS_END in seen.flags or (asked and Flag.CONFIRMS_END in seen.flags)


def confirms(case: Case) -> bool:
    """Whether it is a yes to the question, and no harmful request."""
    flags = case.seen.flags
    return case.asked and Flag.CONFIRMS_END in flags and flags.isdisjoint((Flag.HARMFUL, Flag.HARMFUL_COUNT))


def _asks_back(case: Case) -> bool:
    return case.before is Stage.REQUESTED and (case.appends or Flag.ASKED_TO_CONFIRM in case.seen.flags)


# What is checked before a conversation comes nearer to its end.


@dataclass(frozen=True, slots=True)
class Rule:
    """`says`: what is true if it holds, in words for a person; `else_`: what is true if it does not."""

    promise: str
    says: str
    else_: str
    holds: Callable[[Case], bool]
    evidence: Callable[[Case], tuple[str, ...]] = lambda case: ()


RULES: Mapping[str, Rule] = {
    "not_held": Rule(
        "P5",
        "no sign that somebody may be at risk stands",
        "somebody may be at risk, so the conversation is held open",
        lambda case: case.held is Hold.NO,
    ),
    "all_read": Rule(
        "P6",
        "every message has been read for signs of risk",
        "a message has not been read for signs of risk yet",
        lambda case: case.tree.blind == 0,
    ),
    "may_close": Rule(
        "modes",
        "this conversation may be closed by its mode",
        "this conversation's mode does not allow closing",
        lambda case: mode(case.tree, case.policy) is Mode.ENFORCE,
    ),
    "not_observed": Rule(
        "P13",
        "the request allows more than observing",
        "the request can only be observed",
        lambda case: not case.observe_only,
    ),
    "redirected": Rule(
        "P3",
        "enough bad messages were each declined, with another way offered",
        "too few bad messages were declined with another way offered",
        lambda case: case.registers.k >= redirections(case.tree, case.policy),
        lambda case: case.registers.redirected,
    ),
    "warned": Rule(
        "P3",
        "after them a warning was given",
        "no warning was given after them",
        lambda case: case.registers.warned is not None,
        lambda case: _warning(case),
    ),
    "went_on": Rule(
        "P3",
        "after the warning it went on",
        "it did not go on after the warning",
        lambda case: may_end(case.before),
        lambda case: (case.node,),
    ),
    "chosen_twice": Rule(
        "P3",
        "asked twice in a row, the model chose to close",
        "the model did not choose twice in a row to close",
        lambda case: case.verdicts == (Verdict.END, Verdict.END),
    ),
    "unanswered": Rule(
        "P1",
        "the message has no answer, and nothing was written below it",
        "the message has been answered, or something was written below it",
        lambda case: not case.begun,
    ),
    "fresh": Rule(
        "P5",
        "no hold and no reviewer's act came after the message",
        "a hold or a reviewer's act came after the message",
        lambda case: case.fresh,
    ),
    "asked_back": Rule(
        "P4",
        "the person had asked to close the conversation, and was asked whether they mean it",
        "the person was not asked whether they mean it",
        lambda case: case.asked,
        lambda case: _question(case),
    ),
    "confirmed": Rule(
        "P4",
        "they confirmed in the very next message",
        "they did not confirm in the very next message",
        lambda case: confirms(case),
        lambda case: (case.node,),
    ),
    "agreed": Rule(
        "P6",
        "every witness that was asked whether it may be closed has agreed",
        "a witness that was asked whether it may be closed did not agree, or did not answer",
        lambda case: all(judged.opinion is Opinion.YES for judged in case.judged),
    ),
}


def _warning(case: Case) -> tuple[str, ...]:
    """Return the bad message that was answered with the warning, and the warning."""
    warned = case.registers.warned
    if warned is None:
        return ()
    answered = case.tree.nodes.get(warned, UNSEEN).parent
    return (answered, warned) if answered else (warned,)


def _question(case: Case) -> tuple[str, ...]:
    if case.parent is None or not case.asked:
        return ()
    request = case.tree.nodes[case.parent].parent
    return (request, case.parent) if request else (case.parent,)


_ALWAYS = ("not_held", "all_read", "may_close", "not_observed")

NEEDS: Mapping[Stage | Ground, tuple[str, ...]] = {
    Stage.REQUESTED: _ALWAYS,
    Stage.ASKED: (*_ALWAYS, "fresh"),
    Stage.LAST_RESORT: (*_ALWAYS, "redirected", "warned"),
    Ground.USER_REQUEST: (*_ALWAYS, "asked_back", "confirmed"),
    Ground.PERSISTENT_HARM: (
        *_ALWAYS,
        "fresh",
        "unanswered",
        "redirected",
        "warned",
        "went_on",
        "chosen_twice",
    ),
}
"""What each step nearer to an end needs. Nothing else brings a conversation there."""

NEEDS_IF_JUDGED: Mapping[Ground, tuple[str, ...]] = dict.fromkeys(Ground, ("agreed",))
"""What an end needs besides, where witnesses were asked about it: a log without any is decided as it ever was."""


def needed(case: Case, goal: Stage | Ground) -> tuple[str, ...]:
    """Return the rules that a step nearer to an end needs here."""
    besides = NEEDS_IF_JUDGED[goal] if case.judged and isinstance(goal, Ground) else ()
    return (*NEEDS[goal], *besides)


def _all(case: Case, rules: tuple[str, ...]) -> bool:
    return all(RULES[rule].holds(case) for rule in rules)


def warns_itself(case: Case) -> bool:
    """Whether the host adds the warning to a redirection: models that never warn need it (`warning = "host"`)."""
    message = case.tree.nodes[case.node]
    return (
        case.policy.warning == "host"
        and case.appends
        and message.message is UserKind.BAD
        and not (message.still or case.frozen)
        and case.registers.warned is None
        and case.registers.k >= redirections(case.tree, case.policy)
        and mode(case.tree, case.policy) is Mode.ENFORCE
    )


def settle(
    case: Case, node: str, wanted: Stage, goal: Stage | Ground, stands: Registers
) -> tuple[Stage, tuple[Decision, ...]]:
    """Return what the rules leave, at this node, of a stage that the tables ask for, and the decision, if any.

    Most messages ask for nothing that needs a rule. `stands`: the registers that count if a rule does not hold.
    """
    if goal not in NEEDS:
        return wanted, ()
    checked = tuple(Checked(name, RULES[name].holds(case), RULES[name].evidence(case)) for name in needed(case, goal))
    stage = wanted if all(rule.holds for rule in checked) else Stage.HELD if case.held else same(stands)
    decision = Decision(
        node=node, wanted=wanted, stage=stage, rules=checked, policy=case.policy.digest, core=CORE_VERSION
    )
    return stage, (decision,)


CLEAR_SIGNS = frozenset({Flag.RISK_CLEAR, Flag.SUPPORTED})
"""What makes a sign of risk clear by itself: an explicit one, and crisis help in the model's own answer."""


def sign(node: Node) -> Hold:
    """How strong the signs of risk in a message are, together.

    Clear: a witness says so, the assistant offered crisis help, or two witnesses agree. All local
    detectors together are one witness.
    """
    if not node.risk_by:
        return Hold.NO
    clear = not node.flags.isdisjoint(CLEAR_SIGNS) or len(node.risk_by) > 1
    return Hold.SHOWN if clear else Hold.QUIET


def told_late(tree: Tree, node: str) -> bool:
    """Whether a witness beside the answer saw a clear sign in the message before this one: nobody was told of it."""
    above = tree.nodes.get(tree.nodes[node].parent or "", UNSEEN)
    risky = tree.nodes.get(above.parent or "", UNSEEN)
    return sign(risky) is Hold.SHOWN and risky.risk_by[-1] != LOCAL


def may_judge_warning(tree: Tree, node: str, policy: Policy) -> bool:
    """Whether the answer to this message brought so many redirections that a warning may follow."""
    registers = tree.registers(node)
    return (
        mode(tree, policy) is Mode.ENFORCE
        and not tree.frozen
        and registers.warned is None
        and registers.k >= redirections(tree, policy)
        and registers.redirected[-1] == tree.nodes[node].parent
    )


def agreed_to_warn(tree: Tree, node: str) -> bool:
    """Whether a judge has said yes to a warning, beside the answer to the newest message that was redirected."""
    redirected = tree.registers(node).redirected
    return bool(redirected) and tree.nodes.get(redirected[-1], UNSEEN).may_warn


def guidance(tree: Tree, node: str, policy: Policy, *, judge: bool = False) -> Guidance | None:
    """Return what a new attempt at an answer to this message is told, if anything (DESIGN, section 6).

    `judge`: there is one, without whose yes no warning is allowed.
    """
    kept, now = tree.nodes[node], mode(tree, policy)
    if now < Mode.WARN or kept.observe_only:
        return None
    above = tree.nodes[kept.parent] if kept.parent is not None else UNSEEN
    leaving = leaves(kept, above.stage is Stage.ASKED)
    enforced = now is Mode.ENFORCE
    requested = tree.stage(node) is Stage.REQUESTED
    bad = kept.message is UserKind.BAD
    registers = tree.registers(node)
    enough = registers.warned is None and registers.k >= redirections(tree, policy)
    warnable = bad and enforced and not tree.frozen and enough and (not judge or agreed_to_warn(tree, node))
    applies = (
        (Guidance.SUPPORT, tree.held is Hold.SHOWN and (sign(kept) is Hold.SHOWN or told_late(tree, node))),
        (Guidance.LEAVE_OPEN, leaving and enforced and not requested),
        (Guidance.CLOSE_YOURSELF, leaving and not enforced),
        (Guidance.ASK_BACK, requested and enforced),
        (Guidance.MAY_WARN, warnable),
        (Guidance.REDIRECT, (bad or kept.message is UserKind.FLAG) and not tree.held),
    )
    return next((guidance for guidance, holds in applies if holds), None)
