"""What can happen to a conversation: each act is a pure function from the tree and what came to new facts.

The store runs an act inside its transaction, on the tree as it is then; an end that was decided before is so
decided again. An act that is refused returns no fact that takes the message (`took` tells).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from adjourn.core.decide import (
    Case,
    answer_kind,
    confirms,
    redirections,
    settle,
    sign,
    user_kind,
    warns_itself,
)
from adjourn.core.errors import CallerError, Impossible
from adjourn.core.events import (
    CORE_VERSION,
    Answer,
    Claimed,
    Decision,
    Ended,
    Event,
    ForkReplied,
    Held,
    Judged,
    Lifted,
    Opened,
    RefusedRead,
    Reopened,
    Signals,
    Step,
    UserReceived,
    Verdict,
)
from adjourn.core.machine import (
    EMPTY,
    AnswerKind,
    Finish,
    Ground,
    Hold,
    Registers,
    Stage,
    UserKind,
    Weighed,
    after_answer,
    after_message,
    moved,
)
from adjourn.core.policy import ABUSE, Policy
from adjourn.core.reading import Flag, Reading
from adjourn.core.receipt import receipt_number
from adjourn.core.tree import SIGNS, UNSEEN, Facts, Node, Tree, apply

Events = tuple[Event, ...]

OTHER_WORDS = "other words"
"""What stands among the failed of a reading that says something about a node, and is not of its own words."""


class Text(NamedTuple):
    """A text that lies beside the log: its node, and its salted digest."""

    node: str
    digest: str = ""


class Message(NamedTuple):
    """A user message that this host received as the newest of a request. `closing`: the template, should it close.

    `judged`: what came of asking witnesses whether it may.
    """

    text: Text
    parent: str | None
    readings: tuple[Reading, ...]
    closing: Text
    at: int = 0
    observe_only: bool = False
    judged: tuple[Judged, ...] = ()


class Claim(NamedTuple):
    """A message of the client's history that this host neither received nor produced.

    `finish`: CUT for an answer of this host that broke off, as far as the client has it.
    """

    text: Text
    parent: str | None
    user: bool
    readings: tuple[Reading, ...] = ()
    finish: Finish = Finish.CLAIMED


class Reread(NamedTuple):
    """A message of the tree whose words the client tells otherwise now. Of what was seen in them only risk counts."""

    node: str
    readings: tuple[Reading, ...]


class Reply(NamedTuple):
    """An answer to the user message `parent`. `appends`: the host can add its question or its warning to it."""

    text: Text
    parent: str | None
    readings: tuple[Reading, ...] = ()
    attempt: str | None = None
    at: int = 0
    finish: Finish = Finish.STOP
    appends: bool = False


class Closing(NamedTuple):
    """What came of the fork: the verdicts, what witnesses saw in the model's words, and those words.

    `judged`: what came of asking witnesses whether it may be closed.
    """

    words: Text
    parent: str
    attempt: str
    verdicts: tuple[Verdict, ...]
    readings: tuple[Reading, ...]
    at: int
    judged: tuple[Judged, ...] = ()


def opening(conversation: str, policy: Policy, *, scope: str, external: str | None = None, at: int = 0) -> Opened:
    """Return the fact that a conversation begins under this policy."""
    return Opened(
        scope=scope,
        external=external,
        mode=policy.start_mode(conversation),
        redirections=policy.redirections,
        at=at,
        policy=policy.digest,
    )


class _Draft:
    """The facts of an act so far, and the tree as it is with them."""

    def __init__(self, tree: Tree, policy: Policy) -> None:
        self.before = tree
        self.tree = tree.draft()
        self.policy = policy
        self.events: list[Event] = []

    @property
    def facts(self) -> Facts:
        return Facts.of(self.events, self.before, self.tree)

    def add(self, *events: Event) -> None:
        for event in events:
            apply(self.tree, event)
        self.events += events

    def read(self, about: str, readings: Sequence[Reading]) -> None:
        """Put on record what witnesses saw in a text, and hold the tree if somebody may be at risk."""
        self.add(*(Signals(about=about, reading=reading) for reading in readings))
        if any(not reading.flags.isdisjoint(SIGNS) for reading in readings):
            self.add(hold(self.tree, about))


def receive(
    tree: Tree,
    message: Message,
    policy: Policy,
    claimed: Sequence[Claim] = (),
    reread: Sequence[Reread] = (),
) -> Events:
    """Take a user message, and what the client claims came before it on its path.

    On an ended path it is refused, unless it shows a clear sign of risk: that lifts every end first. A message
    below one without an answer puts a void one between them.
    """
    below = claimed[0].parent if claimed else message.parent
    _check(tree, message.text.node, below)
    draft = _Draft(tree, policy)
    for told in reread:
        draft.read(told.node, _of_risk(told.readings))
    for said, readings in _said(message, claimed):
        draft.read(said.node, readings)
    if draft.tree.is_ended(below):
        return _refused(_Draft(tree, policy), message, claimed, reread)
    _tell(draft, claimed)
    parent = _parent(draft, message.parent, message.text.node, message.at)
    if parent != message.parent:
        message = message._replace(parent=parent)
    draft.add(*message.judged)
    draft.add(*received(draft.tree, message, policy))
    return draft.facts


def tell(tree: Tree, claimed: Sequence[Claim], policy: Policy) -> Facts:
    """Take what the client claims came before, in a conversation that has no end."""
    draft = _Draft(tree, policy)
    for claim in claimed:
        draft.read(claim.text.node, claim.readings)
    _tell(draft, claimed)
    return draft.facts


def answer(tree: Tree, reply: Reply, policy: Policy) -> Facts:
    """Take an answer of this host to a user message. Another answer to the same message stands beside it."""
    _check(tree, reply.text.node, reply.parent)
    draft = _Draft(tree, policy)
    draft.read(reply.text.node, reply.readings)
    draft.add(*answered(draft.tree, reply, policy))
    return draft.facts


def step(tree: Tree, reply: Reply, policy: Policy) -> Facts:
    """Take a step of an answer to a user message, which calls tools of the client's: only a sign of risk counts."""
    assert reply.parent is not None
    assert reply.attempt is not None
    _check(tree, reply.text.node, reply.parent)
    draft = _Draft(tree, policy)
    draft.read(reply.parent, _of_risk(reply.readings))
    text, digest = reply.text
    draft.add(Step(node=text, parent=reply.parent, attempt=reply.attempt, digest=digest, at=reply.at))
    return draft.facts


def close(tree: Tree, closing: Closing, policy: Policy) -> Facts:
    """End the conversation at LAST_RESORT, if every rule still allows it; else say which did not, and no more."""
    _check(tree, closing.words.node, closing.parent)
    draft = _Draft(tree, policy)
    draft.add(
        *(
            ForkReplied(attempt=closing.attempt, node=closing.parent, turn=turn, verdict=verdict)
            for turn, verdict in enumerate(closing.verdicts, 1)
        )
    )
    draft.read(closing.words.node, closing.readings)
    draft.add(*closing.judged)
    draft.add(*closed(draft.tree, closing, policy))
    return draft.facts


def witness(tree: Tree, about: str, readings: Sequence[Reading], policy: Policy) -> Facts:
    """Put a later reading of a message, or of a refused text, on record: it may hold, and clears blindness."""
    if about not in tree.nodes:
        raise CallerError(f"there is no message {about} in conversation {tree.id}")
    draft = _Draft(tree, policy)
    draft.read(about, readings)
    return draft.facts


def opine(tree: Tree, judged: Judged, readings: Sequence[Reading], policy: Policy) -> Facts:
    """Put on record what a judge said beside the answer, and what it saw: a sign of risk holds."""
    facts = witness(tree, judged.node, readings, policy)
    return Facts.none(tree).then((judged, *facts))


def reopen(tree: Tree, reason: str, at: int) -> Events:
    """A reviewer removes every end of the conversation; a hold stays. Nothing received before counts any more."""
    _reasoned(reason)
    if not tree.ended:
        raise CallerError(f"conversation {tree.id} is not closed: there is nothing to reopen")
    return (Reopened(reason=reason, at=at),)


def lift(tree: Tree, reason: str, at: int) -> Events:
    """A reviewer removes the hold of the conversation and its freeze; ends stay. Nothing before counts any more."""
    _reasoned(reason)
    if not (tree.held or tree.frozen):
        raise CallerError(f"conversation {tree.id} is not held: there is nothing to lift")
    return (Lifted(reason=reason, at=at),)


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise CallerError("a reviewer's act needs a reason: it is recorded")


def _check(tree: Tree, new: str | None, known: str | None) -> None:
    """Raise CallerError unless `new` is not in the tree yet and `known`, if it is not None, is."""
    above = tree.nodes.get(known, UNSEEN) if known is not None else UNSEEN
    if known is not None and above.message is None and above.answer is None:
        raise CallerError(f"there is no message {known} in conversation {tree.id}")
    if new is not None and tree.nodes.get(new, UNSEEN).number:
        raise CallerError(f"message {new} is in conversation {tree.id} already")


def took(events: Events, node: str) -> bool:
    """Whether these facts take the message."""
    return any(isinstance(event, UserReceived) and event.node == node for event in events)


# What one fact says, from the tree just before it. `adjourn verify` computes the same again from the log.


def hold(tree: Tree, about: str) -> Held:
    """Return the hold that the signs in a text demand."""
    node = tree.nodes[about]
    return Held(level=sign(node), kind=node.risk_kind, about=about, witnesses=node.risk_by, core=CORE_VERSION)


def received(tree: Tree, message: Message, policy: Policy) -> Events:
    """Return the facts that take a message: it, what was decided, and the end if it confirmed one."""
    case = _message_case(tree, message, policy)
    case.judged = message.judged
    kind = user_kind(case)
    stopped = kind is UserKind.CLEAR and confirms(case)  # a CONFIRM that cannot end is stored as CLEAR
    wanted = after_message(case.before, UserKind.CONFIRM if stopped else kind, case.registers)
    if wanted is None:
        raise Impossible(f"message {message.text.node} was to be taken on an ended path")
    goal = Ground.USER_REQUEST if wanted is Stage.ENDED else wanted
    stage, decision = settle(case, case.node, wanted, goal, case.registers)
    taken = UserReceived(
        node=message.text.node,
        parent=message.parent,
        digest=message.text.digest,
        at=message.at,
        kind=kind,
        stage=stage,
        observe_only=message.observe_only,
        held=case.held,
        since_faint=_since_faint(tree, message.text.node),
        frozen=case.frozen,
        before=case.registers,
        policy=policy.digest,
        core=CORE_VERSION,
    )
    if stage is Stage.ENDED:
        return (taken, *_end(case, decision, message.closing, None, message.at, Ground.USER_REQUEST))
    return (taken, *decision)


def answered(tree: Tree, reply: Reply, policy: Policy) -> Events:
    """Return the facts that take an answer: it, and what was decided."""
    case = _answer_case(tree, reply, policy)
    kind, added = answer_kind(case), None
    if kind is AnswerKind.QUESTION and Flag.ASKED_TO_CONFIRM not in case.seen.flags:
        added = "question"
    elif kind is AnswerKind.REDIRECT and warns_itself(case):
        kind, added = AnswerKind.WARN, "warning"
    after_it = _registers(case, kind, reply.text.node)
    wanted = after_answer(case.before, kind, after_it)
    stage, decision = settle(case, reply.text.node, wanted, wanted, after_it)
    taken = Answer(
        node=reply.text.node,
        parent=reply.parent,
        attempt=reply.attempt,
        digest=reply.text.digest,
        at=reply.at,
        kind=kind,
        finish=reply.finish,
        stage=stage,
        after=after_it,
        added=added,
        policy=policy.digest,
        core=CORE_VERSION,
    )
    return (taken, *decision)


def closed(tree: Tree, closing: Closing, policy: Policy) -> Events:
    """Return what was decided after the fork, and the end if every rule holds."""
    reply = Reply(text=closing.words, parent=closing.parent, readings=closing.readings, appends=False)
    case = _answer_case(tree, reply, policy)
    case.verdicts, case.judged = closing.verdicts, closing.judged
    stage, decision = settle(case, case.node, Stage.ENDED, Ground.PERSISTENT_HARM, case.registers)
    if stage is not Stage.ENDED:
        return decision
    return _end(case, decision, closing.words, closing.attempt, closing.at, Ground.PERSISTENT_HARM)


def told(tree: Tree, claim: Claim, policy: Policy) -> Events:
    """Return the facts that take a message of the client's telling: no evidence, but a sign of risk holds."""
    if not claim.user:
        return answered(tree, Reply(text=claim.text, parent=claim.parent, finish=claim.finish), policy)
    risk = bool(tree.nodes.get(claim.text.node, UNSEEN).risk_by)
    return (
        Claimed(
            node=claim.text.node,
            parent=claim.parent,
            digest=claim.text.digest,
            kind=UserKind.RISK if risk else UserKind.CLAIMED,
            before=tree.registers(claim.parent),
            core=CORE_VERSION,
        ),
    )


def family_of(bad: Node) -> str | None:
    """Return what is bad about a message: the family of a harmful request, or abuse."""
    return bad.family if Flag.HARMFUL_COUNT in bad.flags else ABUSE


def _message_case(tree: Tree, message: Message, policy: Policy) -> Case:
    since = _since_faint(tree, message.text.node)
    quiet = Hold.QUIET if since is not None and since <= policy.hold_messages else Hold.NO
    held = tree.held if tree.held is Hold.SHOWN else quiet
    idle = message.parent is not None and 0 < tree.nodes[message.parent].at < message.at - policy.idle_ms
    return Case(
        tree=tree,
        policy=policy,
        node=message.text.node,
        parent=message.parent,
        seen=tree.nodes.get(message.text.node, UNSEEN),
        registers=EMPTY if idle else tree.registers(message.parent),
        before=Stage.HELD if held else Stage.OPEN if idle else tree.standing(message.parent),
        held=held,
        frozen=held is not Hold.NO or (since is not None and since <= policy.freeze_messages),
        observe_only=message.observe_only,
    )


def _answer_case(tree: Tree, reply: Reply, policy: Policy) -> Case:
    message = tree.nodes[reply.parent] if reply.parent is not None else UNSEEN
    return Case(
        tree=tree,
        policy=policy,
        node=reply.parent or "",
        parent=message.parent,
        seen=tree.nodes.get(reply.text.node, UNSEEN),
        registers=tree.registers(reply.parent),
        before=tree.stage(reply.parent),
        held=tree.held,
        frozen=tree.frozen,
        observe_only=message.observe_only,
        begun=message.begun,
        fresh=tree.fresh(message),
        finish=reply.finish,
        appends=reply.appends,
    )


def _since_faint(tree: Tree, node: str) -> int | None:
    """Return the user messages since the newest faint sign, this one counted: its own message is 0."""
    if sign(tree.nodes.get(node, UNSEEN)) is Hold.QUIET:
        return 0
    return None if tree.since_faint is None else tree.since_faint + 1


def _registers(case: Case, kind: AnswerKind, node: str) -> Registers:
    message = case.tree.nodes.get(case.node, UNSEEN)
    still = message.still or case.frozen or message.number <= case.tree.floor
    told_kind = message.message or UserKind.CLAIMED
    weighed = Weighed(case.node, node, redirections(case.tree, case.policy), case.policy.calm)
    return moved(case.registers, still or told_kind is UserKind.CLAIMED, told_kind, kind, weighed)


def _of_risk(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return of these readings only the signs of risk. Of other words: unread words of the node stay unread."""
    return tuple(
        replace(reading, flags=reading.flags & SIGNS, family=None, failed=(*reading.failed, OTHER_WORDS))
        for reading in readings
        if not reading.flags.isdisjoint(SIGNS)
    )


def _said(message: Message, claimed: Sequence[Claim]) -> list[tuple[Text, tuple[Reading, ...]]]:
    """Return all that a request says for the first time, with its readings."""
    return [*((claim.text, claim.readings) for claim in claimed), (message.text, message.readings)]


def _tell(draft: _Draft, claimed: Sequence[Claim]) -> None:
    for claim in claimed:
        parent = _parent(draft, claim.parent, claim.text.node, 0) if claim.user else claim.parent
        draft.add(*told(draft.tree, claim._replace(parent=parent), draft.policy))


def _parent(draft: _Draft, parent: str | None, node: str, at: int) -> str | None:
    """Return the node that a user message stands below: never another user message."""
    if parent is None or not draft.tree.nodes[parent].is_user:
        return parent
    gap = Reply(text=Text(f"{node}.gap"), parent=parent, at=at, finish=Finish.CUT)
    draft.add(*answered(draft.tree, gap, draft.policy))
    return gap.text.node


def _refused(draft: _Draft, message: Message, claimed: Sequence[Claim], reread: Sequence[Reread]) -> Facts:
    """Leave a trace of what was refused only where it shows a sign of risk or could not be read."""
    below = claimed[0].parent if claimed else message.parent
    for told in reread:
        draft.read(told.node, _of_risk(told.readings))
    for said, readings in _said(message, claimed):
        trace = _Draft(draft.tree, draft.policy)
        trace.read(said.node, readings)
        seen = trace.tree.nodes.get(said.node, UNSEEN)
        if seen.risk_by or not seen.read:
            trace.add(RefusedRead(text=said.node, parent=below, digest=said.digest, at=message.at))
            draft.add(*trace.events)
    return draft.facts


def _end(
    case: Case, decision: tuple[Decision, ...], words: Text, attempt: str | None, at: int, ground: Ground
) -> Events:
    """Return the facts of an end: the closing answer, why, and the receipt."""
    turns = tuple(dict.fromkeys(node for rule in decision[0].rules for node in rule.evidence))
    family = family_of(case.tree.nodes.get(case.node, UNSEEN))
    return (
        Answer(
            node=words.node,
            parent=case.node,
            attempt=attempt,
            digest=words.digest,
            at=at,
            kind=AnswerKind.END,
            finish=Finish.STOP,
            stage=Stage.ENDED,
            after=case.registers,
            added=None,
            policy=case.policy.digest,
            core=CORE_VERSION,
        ),
        *decision,
        Ended(
            answer=words.node,
            node=case.node,
            ground=ground,
            family=family if ground is Ground.PERSISTENT_HARM else None,
            turns=turns,
            receipt=receipt_number(case.tree.id, words.node),
            at=at,
            policy=case.policy.digest,
            core=CORE_VERSION,
        ),
    )
