"""Deciding again: every fact that was decided is computed anew from the log before it, and must be the same (P11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adjourn.core import acts
from adjourn.core.errors import AdjournError, CallerError
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
    Reopened,
    Signals,
    UserReceived,
)
from adjourn.core.machine import AnswerKind
from adjourn.core.policy import Policy
from adjourn.core.reading import Matter
from adjourn.core.tree import SIGNS, Tree, apply

DECIDED = (UserReceived, Claimed, Held, Answer, Decision, Ended, Reopened, Lifted)


@dataclass(slots=True)
class Recomputed:
    """How many decided facts were computed again, how many could only be read, and what is wrong, by event number."""

    again: int = 0
    only_read: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)


ENDS = frozenset({Matter.PERSISTENT_HARM, Matter.USER_REQUEST})


@dataclass(slots=True)
class Heard:
    """What was said since the last decision that an end rests on: by the model, and by witnesses that were asked."""

    verdicts: list[ForkReplied] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """Note what is said."""
        match event:
            case ForkReplied():
                self.verdicts = [event] if event.turn == 1 else [*self.verdicts, event]
            case Judged() if event.matter in ENDS:
                self.judged.append(event)

    def about(self, node: str) -> tuple[Judged, ...]:
        """Return what witnesses said of an end at this message."""
        return tuple(judged for judged in self.judged if judged.node == node)


def recompute(conversation: str, events: Sequence[Event], policies: Mapping[str, Policy]) -> Recomputed:
    """Compute every decided fact of a conversation again.

    A fact of another core version, or under a policy that is not kept, can only be read.
    """
    found = Recomputed()
    tree = Tree(id=conversation)
    heard = Heard()
    position = 0
    while position < len(events):
        event, number, length = events[position], position + 1, 1
        heard.hear(event)
        if isinstance(event, Signals) and not _is_heard(events, position):
            found.faults.append((number, "a sign of risk was seen, and no hold follows"))
        if isinstance(event, DECIDED):
            length = _again(found, tree, events, position, heard, policies)
            if isinstance(event, UserReceived | Answer | Decision):
                heard = Heard()
        try:
            for later in events[position : position + length]:
                apply(tree, later)
        except KeyError as missing:
            found.faults.append((number, f"it speaks of {missing}, which is not in the conversation"))
            break
        position += length
    return found


def _again(
    found: Recomputed,
    tree: Tree,
    events: Sequence[Event],
    position: int,
    heard: Heard,
    policies: Mapping[str, Policy],
) -> int:
    """Compute the event at this position and what came of it again; return how many events that are."""
    try:
        expected = _decided(tree, events, position, heard, policies)
    except (AdjournError, KeyError) as error:
        found.faults.append((position + 1, f"it cannot have been decided: {error}"))
        return 1
    if not expected:
        found.only_read += 1
        return 1
    if tuple(events[position : position + len(expected)]) != expected:
        found.faults.append((position + 1, "decided again, it comes out otherwise"))
        return 1
    found.again += len(expected)
    return len(expected)


def _is_heard(events: Sequence[Event], position: int) -> bool:
    """Whether a reading that shows a sign of risk is followed by a hold, with only other readings between."""
    event = events[position]
    assert isinstance(event, Signals)
    if event.reading.flags.isdisjoint(SIGNS):
        return True
    for later in events[position + 1 :]:
        if not (isinstance(later, Signals) and later.about == event.about):
            return isinstance(later, Held) and later.about == event.about
    return False


def _decided(
    tree: Tree,
    events: Sequence[Event],
    position: int,
    heard: Heard,
    policies: Mapping[str, Policy],
) -> tuple[Event, ...]:
    """Return what the event at this position, and those that came of it, should say; () if that cannot be known."""
    event = events[position]
    policy = policies.get(getattr(event, "policy", ""))
    if getattr(event, "core", CORE_VERSION) != CORE_VERSION:
        return ()
    match event:
        case Held():
            return (acts.hold(tree, event.about),)
        case Claimed():
            claim = acts.Claim(text=acts.Text(event.node, event.digest), parent=event.parent, user=True)
            return acts.told(tree, claim, policy or Policy())
        case Reopened():
            return acts.reopen(tree, event.reason, event.at)
        case Lifted():
            return acts.lift(tree, event.reason, event.at)
        case _ if policy is None:
            return ()
        case UserReceived():
            following = events[position + 1] if position + 1 < len(events) else None
            closing = following if isinstance(following, Answer) else None
            return acts.received(tree, _message(event, closing, heard.about(event.node)), policy)
        case Answer() if event.kind is not AnswerKind.END:
            return acts.answered(tree, _reply(event), policy)
        case Answer() | Decision():
            return acts.closed(tree, _closing(event, heard), policy)
        case _:
            raise CallerError("an end that nothing led to")


def _message(event: UserReceived, closing: Answer | None, judged: tuple[Judged, ...]) -> acts.Message:
    return acts.Message(
        text=acts.Text(event.node, event.digest),
        parent=event.parent,
        readings=(),
        closing=acts.Text(closing.node, closing.digest) if closing else acts.Text(""),
        at=event.at,
        observe_only=event.observe_only,
        judged=judged,
    )


def _reply(event: Answer) -> acts.Reply:
    return acts.Reply(
        text=acts.Text(event.node, event.digest),
        parent=event.parent,
        attempt=event.attempt,
        at=event.at,
        finish=event.finish,
        appends=event.added is not None,
    )


def _closing(event: Answer | Decision, heard: Heard) -> acts.Closing:
    """Return what the fork brought, as the log tells it; the words of an end that was stopped are not needed."""
    if isinstance(event, Answer):
        words, parent, at = acts.Text(event.node, event.digest), event.parent or "", event.at
    else:
        words, parent, at = acts.Text(""), event.node, 0
    return acts.Closing(
        words=words,
        parent=parent,
        attempt=heard.verdicts[-1].attempt if heard.verdicts else "",
        verdicts=tuple(reply.verdict for reply in heard.verdicts if reply.node == parent),
        readings=(),
        at=at,
        judged=heard.about(parent),
    )
