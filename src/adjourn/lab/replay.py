"""What would have happened in a recorded conversation, and why (DESIGN, section 11).

Nodes are named by the index of their message. All messages count as received, and no time passes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from adjourn.core import acts
from adjourn.core.acts import Claim, Closing, Message, Reply, Text
from adjourn.core.decide import guidance
from adjourn.core.events import Answer, Ended, Event, Held, Opened, Signals, UserReceived, Verdict
from adjourn.core.explain import explain_event
from adjourn.core.machine import EMPTY, AnswerKind, Ground, Guidance, Hold, Registers, Stage, UserKind
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Reading
from adjourn.core.tree import Tree, apply
from adjourn.lab.transcript import Transcript
from adjourn.signals import Detectors

STEPS = ("may_warn", "warned", "last_resort", "held", "shown", "asked", "ended")
"""What can happen to a conversation: `Replayed.first` has the index of the message with which it first did."""


class Assistant(StrEnum):
    """Whose answers are judged: those recorded, or those that bring an end soonest."""

    RECORDED = "recorded"
    WORST = "worst"


@dataclass(slots=True)
class Replayed:
    """What would have happened in one conversation."""

    id: str
    messages: int
    stage: Stage = Stage.OPEN
    first: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(STEPS))
    ground: Ground | None = None
    why: list[str] = field(default_factory=list)


def replay(transcript: Transcript, detectors: Detectors, policy: Policy, assistant: Assistant) -> Replayed:
    """Fold a recorded conversation and return what would have happened in it."""
    return _Replay(transcript, detectors, policy, assistant).run()


WORST_OF_BAD = frozenset({Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED})
"""The worst assistant warns whenever it declines: before k has reached R that counts as a redirection."""

NOTHING = Reading()
ASKS_BACK = (Reading(flags=frozenset({Flag.ASKED_TO_CONFIRM})),)
DECLINES = (Reading(flags=WORST_OF_BAD),)
UNDECIDED = (NOTHING,)


class _Replay:
    """One conversation on its way: the tree so far, the message that awaits its answer, and the answer so far."""

    def __init__(self, transcript: Transcript, detectors: Detectors, policy: Policy, assistant: Assistant) -> None:
        self.transcript = transcript
        self.detectors = detectors
        self.policy = policy
        self.assistant = assistant
        self.tree = Tree(id=transcript.id)
        self.result = Replayed(transcript.id, len(transcript.messages))
        self.parent: str | None = None
        self.waits: str | None = None  # the user message without an answer
        self.answer: list[int] = []  # the messages of its answer, the last of which completes it
        self.told: tuple[Claim, ...] = ()  # the words with which the assistant began, before any user's

    def run(self) -> Replayed:
        self.add((acts.opening(self.transcript.id, self.policy, scope="replay"),))
        before: list[tuple[str, str]] = []
        for index, message in enumerate(self.transcript.messages):
            if message.role == "user":
                self.answered()
                self.received(index, self.detectors.user(message.text, before))
            elif message.role == "assistant":
                self.answer.append(index)
            before.append((message.role, message.text))
        self.answered()
        if self.told:  # nobody but the assistant spoke
            self.add(acts.tell(self.tree, self.told, self.policy))
        self.result.stage = self.tree.stage(self.parent)
        return self.result

    def received(self, index: int, reading: Reading) -> None:
        """Take a user message; below an end it is refused, and read for risk only."""
        node = str(index)
        closing = Text(f"{node}.end")
        message = Message(text=Text(node), parent=self.parent, readings=(reading,), closing=closing)
        events = acts.receive(self.tree, message, self.policy, self.told)
        self.told = ()
        self.add(events)
        if not acts.took(events, node):
            return
        self.parent, self.waits = node, node
        if closing.node in self.tree.nodes:
            self.parent, self.waits = closing.node, None
        elif self.tree.nodes[node].message is UserKind.BAD:
            self.first("may_warn", node, guidance(self.tree, node, self.policy) is Guidance.MAY_WARN)

    def answered(self) -> None:
        """Take the answer to the message that waits for one, if there is one or the worst assistant gives it."""
        indices, self.answer = self.answer, []
        complete = bool(indices) and not self.transcript.messages[indices[-1]].steps
        waits, self.waits = self.waits, None
        if waits is None:
            if complete and self.parent is None:
                self.began(indices)
        elif self.assistant is Assistant.WORST:
            self.worst(waits, str(indices[-1]) if complete else f"{waits}.answer")
        elif complete:
            reading = self.detectors.assistant(self.text(indices))
            self.replied(waits, str(indices[-1]), (reading,))

    def began(self, indices: Sequence[int]) -> None:
        """Keep what the assistant said before any user: evidence of nothing, but of a risk."""
        worst = self.assistant is Assistant.WORST
        reading = NOTHING if worst else self.detectors.assistant(self.text(indices))
        self.parent = str(indices[-1])
        self.told = (Claim(text=Text(self.parent), parent=None, user=False, readings=(reading,)),)

    def worst(self, waits: str, node: str) -> None:
        """Answer as the assistant that brings an end soonest."""
        stage, kept = self.tree.stage(waits), self.tree.nodes[waits]
        if stage is Stage.LAST_RESORT:
            twice = (Verdict.END, Verdict.END)
            closing = Closing(words=Text(node), parent=waits, attempt="", verdicts=twice, readings=UNDECIDED, at=0)
            self.add(acts.close(self.tree, closing, self.policy))
            self.parent = node
        elif stage is Stage.REQUESTED:
            self.replied(waits, node, ASKS_BACK)
        else:
            flagged = kept.message in (UserKind.BAD, UserKind.FLAG)
            self.replied(waits, node, DECLINES if flagged else UNDECIDED)

    def replied(self, waits: str, node: str, readings: tuple[Reading, ...]) -> None:
        self.add(acts.answer(self.tree, Reply(text=Text(node), parent=waits, readings=readings), self.policy))
        self.parent = node

    def text(self, indices: Iterable[int]) -> str:
        return "\n".join(self.transcript.messages[index].text for index in indices)

    def add(self, events: Iterable[Event]) -> None:
        """Fold new facts, and note what they mean for the person."""
        for event in events:
            old = self.tree.registers(event.parent) if isinstance(event, Answer) else EMPTY
            apply(self.tree, event)
            if not isinstance(event, Signals):
                self.note(event, old)

    def note(self, event: Event, old: Registers) -> None:
        match event:
            case UserReceived():
                self.first("last_resort", event.node, event.stage is Stage.LAST_RESORT)
            case Answer():
                self.first("warned", event.node, event.kind is AnswerKind.WARN and event.after.warned == event.node)
                self.first("asked", event.node, event.stage is Stage.ASKED)
            case Held():
                self.first("held", event.about, True)
                self.first("shown", event.about, event.level is Hold.SHOWN)
            case Ended():
                self.first("ended", event.node, True)
                self.result.ground = event.ground
        said = explain_event(old, event, self.tree, called)
        if said and not isinstance(event, Opened):
            self.result.why.append(said)

    def first(self, step: str, node: str, happened: bool) -> None:
        if happened and self.result.first[step] is None:
            self.result.first[step] = int(node.partition(".")[0])


def called(node: str) -> str:
    """Return how a message is called in a sentence; an answer that is not recorded, by its message."""
    index, unrecorded, _ = node.partition(".")
    return f"the answer to message {index}" if unrecorded else f"message {index}"
