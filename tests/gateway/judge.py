"""What the promises say about a conversation, read from its log alone and from nothing that the machine decided.

Used of the log: what was received and answered, in which order and below what; what the witnesses saw in each text;
what the model said when it was asked; and that an end or a hold stands. Kinds, stages, registers and decisions are not
looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from adjourn.core.events import (
    Answer,
    AttemptStarted,
    Claimed,
    Ended,
    Event,
    ForkReplied,
    Held,
    Inherited,
    Signals,
    UserReceived,
)
from adjourn.core.machine import Finish, Ground, Guidance, Hold
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag

SIGNS = {Flag.RISK, Flag.RISK_CLEAR, Flag.SUPPORTED}
COUNTED = {Flag.HARMFUL_COUNT, Flag.ABUSIVE_COUNT}


@dataclass
class Judge:
    """Goes through the log once, and holds every promise against what stands at that moment."""

    policy: Policy
    texts: Mapping[str, str]
    in_turn: bool = True  # one request after the other: else the model may be asked, and a hold come meanwhile
    above: dict[str, str | None] = field(default_factory=dict)
    flags: dict[str, set[Flag]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)  # messages of users, however they came
    received: set[str] = field(default_factory=set)  # those that this host received
    still: set[str] = field(default_factory=set)  # what may not count toward harm
    barred: set[str] = field(default_factory=set)  # what no request to close may rest on
    own: set[str] = field(default_factory=set)  # whole answers of this host
    ends: dict[str, str] = field(default_factory=dict)  # standing ends: closing answer, and what it answers
    inherited: dict[str, Inherited] = field(default_factory=dict)
    forks: list[ForkReplied] = field(default_factory=list)
    shown: bool = False
    since: int | None = None

    def read(self, events: Sequence[Event]) -> int:
        """Check a whole log; return how many ends there were."""
        for event in events:
            match event:
                case Signals():
                    self._seen(event)
                case Held() | Inherited():
                    self._hold(event)
                case UserReceived():
                    self._received(event)
                case Claimed():
                    self._arrived(event.node, event.parent, self.people)
                case AttemptStarted():
                    self._attempt(event)
                case ForkReplied():
                    assert not (self._held and self.in_turn), "P5: the model was asked whether to close under a hold"
                    self.forks.append(event)
                case Answer():
                    self._answer(event)
                case Ended():
                    self._ended(event)
        return sum(isinstance(event, Ended) for event in events)

    def _hold(self, event: Held | Inherited) -> None:
        if isinstance(event, Inherited):
            self.inherited[event.node] = event
            self.shown, self.since = event.held is Hold.SHOWN, event.since_faint
        elif event.level is Hold.SHOWN:
            self.shown, self.ends = True, {}
        else:
            self.since = 0

    @property
    def _held(self) -> bool:
        return self.shown or (self.since is not None and self.since <= self.policy.hold_messages)

    @property
    def _frozen(self) -> bool:
        return self._held or (self.since is not None and self.since <= self.policy.freeze_messages)

    def _seen(self, event: Signals) -> None:
        self.flags.setdefault(event.about, set()).update(event.reading.flags)
        if event.reading.failed:
            self.unread.add(event.about)

    def _path(self, node: str | None) -> list[str]:
        path: list[str] = []
        while node is not None:
            path.append(node)
            node = self.above[node]
        return path[::-1]

    def _arrived(self, node: str, parent: str | None, *among: set[str]) -> None:
        assert node not in self.above, "P12: a message is there twice"
        self.above[node] = parent
        for nodes in among:
            nodes.add(node)

    def _received(self, event: UserReceived) -> None:
        assert not self._below_an_end(event.parent, message=True), "P1: a message was taken below an end"
        seen = self.flags.get(event.node, set())
        if not seen & {Flag.RISK} and self.since is not None:
            self.since += 1
        self._arrived(event.node, event.parent, self.people, self.received)
        if self._held or event.observe_only or seen & SIGNS or event.node in self.unread:
            self.barred.add(event.node)
        if self._frozen or event.node in self.barred:
            self.still.add(event.node)

    def _below_an_end(self, node: str | None, *, message: bool) -> bool:
        """Whether a path is ended: it goes on below a closed message, other than through another answer of ours."""
        path = self._path(node)
        for place, one in enumerate(path):
            if one not in self.ends.values():
                continue
            if place + 1 == len(path):
                return message
            if path[place + 1] in self.ends or path[place + 1] not in self.own:
                return True
        return False

    def _attempt(self, event: AttemptStarted) -> None:
        if self._held:
            assert event.guidance not in (Guidance.MAY_WARN, Guidance.ASK_BACK, Guidance.REDIRECT), "P5"
        assert not self._below_an_end(self.above[event.node], message=False), "P8: the model was asked below an end"

    def _answer(self, event: Answer) -> None:
        if event.finish not in (Finish.CLAIMED, Finish.CUT):
            assert not self._below_an_end(event.parent, message=False), "P1: an answer was taken below an end"
            self.own.add(event.node)
        if event.finish is not Finish.STOP:
            self.still.add(event.node)
        if self._frozen:
            self.still.add(event.node)
        self._arrived(event.node, event.parent)

    def _ended(self, event: Ended) -> None:
        assert not self._held, "P5: an end under a hold"
        assert not self.unread & (self.people | self.flags.keys()), "P6: an end, and a message has not been read"
        assert self.above[event.answer] == event.node
        assert event.receipt.startswith("AJ-"), "P9"
        assert event.turns, "P9: an end rests on messages"
        assert self.inherited or set(event.turns) <= set(self._path(event.answer)), "P9: of this branch"
        assert event.node in self.received
        if event.ground is Ground.PERSISTENT_HARM:
            self._last_resort(event)
        else:
            assert event.ground is Ground.USER_REQUEST, "P2"
            self._consent(event)
        self.ends[event.answer] = event.node

    def _last_resort(self, event: Ended) -> None:
        path = self._path(event.node)
        redirected, warned = 0, False
        for message, answer in pairwise(path):
            if answer in self.inherited:
                redirected = self.inherited[answer].registers.k
                warned = self.inherited[answer].registers.warned is not None
            if not self._bad(message) or answer in self.still or answer not in self.own:
                continue
            said = set(self.flags.get(answer, set()))
            if "I may close this chat" in self.texts[answer]:
                said.add(Flag.WARNED)  # by the model, or by the host behind its words
            if Flag.WARNED in said and redirected >= self.policy.redirections:
                warned = True
            elif said >= {Flag.DECLINED, Flag.REDIRECTED} or Flag.WARNED in said:
                redirected += 1
        assert redirected >= self.policy.redirections, "P3: too few redirections"
        assert warned, "P3: no warning"
        assert self._bad(event.node), "P3: it did not go on"
        twice = [(fork.turn, fork.verdict.value, fork.node) for fork in self.forks[-2:]]
        assert twice == [(1, "END", event.node), (2, "END", event.node)], "P3: the model did not choose twice"
        assert self.forks[-1].attempt == self.forks[-2].attempt

    def _bad(self, node: str) -> bool:
        return node in self.received and node not in self.still and bool(self.flags.get(node, set()) & COUNTED)

    def _consent(self, event: Ended) -> None:
        question = self.above[event.node]
        assert event.node in self.received
        assert event.node not in self.barred, "P4: under a hold, or only observed"
        assert Flag.CONFIRMS_END in self.flags[event.node], "P4: they did not confirm"
        if question in self.inherited and self.inherited[question].asked:
            return  # all of the conversations from which it comes had asked back there
        assert question in self.own, "P4: nobody asked back"
        request = self.above[question]
        assert request in self.received, "P4: nobody asked"
        assert Flag.ASKS_END in self.flags[request], "P4: nobody asked to close"
        assert "Close this chat for good?" in self.texts[question], "P4: the answer did not ask back"
        assert request not in self.barred, "P4: under a hold, or only observed"
