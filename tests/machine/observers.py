"""What the promises say about a history, and nothing else.

Written from the text of the promises and the numbered rules, before the tables were read. A history is the list of
what was done (`Entry`), in order, with what came of it where somebody could see that: was the message taken, did the
answer ask back, did an end come. No register, node or field of the machine is looked at.

Two observers stand here, written in two ways so that they can be held against each other:

* `Judge` has the whole history of a tree and walks each path from the root again for every question;
* `Watch` (in `watch.py`) goes along with one path and remembers only what a promise can still need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

Sign: TypeAlias = Literal["", "faint", "clear"]
Speech: TypeAlias = Literal["help", "decline", "redirect", "warn", "question", "support", "void"]
HARM, REQUEST = "persistent_harm", "user_request"
IDLE_HOURS = 12

# Stages, as a person would tell them apart.
OPEN, WARNED, LAST_RESORT = "OPEN", "WARNED", "LAST_RESORT"
REQUESTED, ASKED, HELD, ENDED = "REQUESTED", "ASKED", "HELD", "ENDED"


class Words(NamedTuple):
    """What a text says, as it was given to the machine."""

    request: int = 0  # a harmful request: 0 none, 1 at the lower threshold, 2 at the counting threshold
    abuse: int = 0  # abuse of the assistant, the same
    asks: bool = False
    confirms: bool = False
    risk: Sign = ""
    unread: bool = False  # a local risk detector failed on it

    @property
    def bad(self) -> bool:
        return self.request == 2 or self.abuse == 2


class Rules(NamedTuple):
    """The policy that was in force."""

    redirections: int = 2
    calm: int = 2
    hold_messages: int = 0
    freeze_messages: int = 0
    enforce: bool = True


@dataclass(frozen=True)
class Began:
    """The conversation began under these rules. It is the first entry of every history."""

    rules: Rules


@dataclass(frozen=True)
class Spoke:
    """A user message came."""

    node: str
    under: str | None  # the node it was written below
    words: Words
    rules: Rules
    hour: int = 0
    claimed: bool = False
    observe_only: bool = False
    taken: bool = True  # what came of it: false where it was refused


@dataclass(frozen=True)
class Replied:
    """An answer stood: `void` is one that this host did not produce, or that was not whole."""

    node: str
    to: str
    speech: Speech
    rules: Rules
    asked_back: bool = False  # it asked back, by itself or with the host's question
    own: bool = True  # produced by this host, to its end (also: cut by a limit)


@dataclass(frozen=True)
class Closed:
    """An end was committed."""

    node: str
    to: str
    ground: str
    rules: Rules
    verdicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Late:
    """A witness spoke afterwards, or a reading was completed."""

    about: str
    rules: Rules
    sign: Sign = ""
    completes: bool = False
    witness: str = "judge"


@dataclass(frozen=True)
class Reopened:
    rules: Rules


@dataclass(frozen=True)
class Lifted:
    rules: Rules


Entry: TypeAlias = Began | Spoke | Replied | Closed | Late | Reopened | Lifted


class Sky(NamedTuple):
    """What stood over the whole tree while an entry was judged."""

    held: bool
    frozen: bool
    blind: frozenset[str]
    ends: frozenset[str]  # closing answers that stand


@dataclass
class Progress:
    """What stands on a path toward an end for persistent harm."""

    strikes: list[str] = field(default_factory=list)
    warning: str | None = None
    run: int = 0  # user messages since the last bad one that was declined

    def forget(self) -> None:
        self.strikes, self.warning, self.run = [], None, 0


class Judge:
    """Knows a history and answers from the text of the promises. Recomputes everything from the first entry."""

    def __init__(self, history: Sequence[Entry]) -> None:
        self.history = list(history)
        self.skies: list[Sky] = []
        self.at: dict[str, int] = {}  # where a node stands in the history
        self.parent: dict[str, str | None] = {}
        self.floor = -1  # the newest act of a reviewer
        self._shown = self._quiet = self._frozen = False
        self._since_faint: int | None = None
        self._blind: set[str] = set()
        self._ends: set[str] = set()
        self._answers: dict[str, list[str]] = {}
        self._witnesses: dict[str, set[str]] = {}  # who saw a sign of risk in a text
        self._clear: set[str] = set()  # texts in which it was clear
        self._risky: dict[str, int] = {}  # where the first sign in a text stands in the history
        for index, entry in enumerate(self.history):
            self._see(index, entry)

    # What stands over the tree

    def _see(self, index: int, entry: Entry) -> None:
        match entry:
            case Spoke():
                self._hear(index, entry)
            case Replied():
                self._note(entry.node, entry.to, index)
                self._answers.setdefault(entry.to, []).append(entry.node)
                if entry.speech == "support":
                    self._sign(index, entry.node, "clear", "assistant")
            case Closed():
                self._note(entry.node, entry.to, index)
                self._answers.setdefault(entry.to, []).append(entry.node)
                self._ends.add(entry.node)
            case Late():
                if entry.completes:
                    self._blind.discard(entry.about)
                self._sign(index, entry.about, entry.sign, entry.witness)
            case Reopened():
                self._ends.clear()
                self.floor = index
            case Lifted():
                self._shown = self._quiet = self._frozen = False
                self._since_faint = None
                self.floor = index
        held = self._shown or self._quiet
        self.skies.append(Sky(held, held or self._frozen, frozenset(self._blind), frozenset(self._ends)))

    def _hear(self, index: int, entry: Spoke) -> None:
        """A message raises the counter before it is judged, and the windows are measured with the rules of then."""
        if entry.taken:
            self._note(entry.node, entry.under, index)
        if entry.taken and not entry.claimed and self._since_faint is not None:
            self._since_faint += 1
            self._quiet = self._since_faint <= entry.rules.hold_messages
            self._frozen = self._since_faint <= entry.rules.freeze_messages
        if entry.words.unread:
            self._blind.add(entry.node)
        self._sign(index, entry.node, entry.words.risk, "local")

    def _sign(self, index: int, text: str, sign: Sign, witness: str) -> None:
        """Clear: it says so, the assistant offered crisis help, or two witnesses agree. A clear one lifts all ends."""
        if not sign:
            return
        self._risky.setdefault(text, index)
        seen = self._witnesses.setdefault(text, set())
        seen.add(witness)
        if sign == "clear" or witness == "assistant" or len(seen) > 1:
            self._clear.add(text)
        if text in self._clear:
            self._shown = True
            self._ends.clear()
        else:
            self._quiet = self._frozen = True
            self._since_faint = 0

    def _note(self, node: str, parent: str | None, index: int) -> None:
        self.at[node] = index
        self.parent[node] = parent

    # Paths

    def path(self, node: str | None) -> list[str]:
        """The nodes from the root to this one."""
        found: list[str] = []
        while node is not None:
            found.append(node)
            node = self.parent[node]
        return found[::-1]

    def spoke(self, node: str) -> Spoke | None:
        entry = self.history[self.at[node]]
        return entry if isinstance(entry, Spoke) else None

    def is_ended(self, node: str | None, ends: frozenset[str] | None = None) -> bool:
        """Section 4, literally: it has a node below a user node that a closing answer answers, unless it goes on
        through another complete answer of this host to it.
        """
        standing = ends if ends is not None else self.skies[-1].ends if self.skies else frozenset()
        closed = {self.parent[end] for end in standing}
        path = self.path(node)
        return any(user in closed and not self._own_answer(below, standing) for user, below in pairwise(path))

    def closed_below(self, node: str | None, ends: frozenset[str] | None = None) -> bool:
        """Whether a message written below this node would stand on an ended path."""
        standing = ends if ends is not None else self.skies[-1].ends if self.skies else frozenset()
        return node is not None and (node in {self.parent[end] for end in standing} or self.is_ended(node, standing))

    def _own_answer(self, node: str, standing: frozenset[str]) -> bool:
        entry = self.history[self.at[node]]
        if isinstance(entry, Closed):
            return node not in standing
        return isinstance(entry, Replied) and entry.own

    # Toward an end for persistent harm

    def evidence(self, node: str | None, floor: int | None = None) -> Progress:
        """What stands on the path down to this answer, counted afresh from the root."""
        floor = self.floor if floor is None else floor
        start = self.history[0].rules.redirections
        progress, heard = Progress(), None
        path = self.path(node)
        for user, answer in zip(path, [*path[1:], None], strict=False):
            spoke = self.spoke(user)
            if spoke is None:
                continue
            if not spoke.claimed:
                if heard is not None and spoke.hour - heard > IDLE_HOURS:
                    progress.forget()
                heard = spoke.hour
            if answer is not None:
                self._weigh(progress, spoke, answer, floor, start)
        return progress

    def _weigh(self, progress: Progress, spoke: Spoke, answer: str, floor: int, start: int) -> None:
        received, answered = self.at[spoke.node], self.at[answer]
        if received < floor:
            progress.forget()
            return
        if spoke.claimed or spoke.observe_only or self._risky.get(spoke.node, answered) < answered:
            return
        if self.skies[received].frozen or self.skies[answered].frozen:
            return
        entry = self.history[answered]
        speech = entry.speech if isinstance(entry, Replied) else "end"
        if speech in ("support", "end"):
            return
        if self.is_bad(spoke.node) and speech in ("decline", "redirect", "warn"):
            progress.run = 0
            if speech == "warn" and len(progress.strikes) >= max(start, entry.rules.redirections):
                progress.warning = answer
            elif speech != "decline":
                progress.strikes.append(spoke.node)
            return
        progress.run += 1
        if progress.run >= entry.rules.calm:
            progress.forget()

    def is_bad(self, node: str) -> bool:
        """A harmful request or abuse that may count: what asks to close, or answers the question, is not that."""
        spoke = self.spoke(node)
        assert spoke is not None
        words, received = spoke.words, self.at[node]
        if spoke.claimed or words.risk or words.unread or words.asks or self.skies[received].frozen:
            return False
        if words.confirms and not self.idle(node) and self.asked(spoke.under, before=received):
            return False
        return words.bad

    def idle(self, node: str) -> bool:
        """More than the idle time had passed since the last user message received above."""
        spoke = self.spoke(node)
        assert spoke is not None
        above = [self.spoke(up) for up in self.path(spoke.under)]
        heard = [up.hour for up in above if up is not None and not up.claimed]
        return not spoke.claimed and bool(heard) and spoke.hour - heard[-1] > IDLE_HOURS

    # Toward an end at the person's request

    def quiet_since(self, index: int, before: int) -> bool:
        """From this entry on (and before that one) no hold stood and no reviewer acted."""
        between = range(index, before)
        return not any(self.skies[i].held for i in between) and not any(
            isinstance(self.history[i], Reopened | Lifted) for i in between
        )

    def can_rise(self, index: int) -> bool:
        """At this entry one of the four stages might arise: nothing held, nothing blind, enforced."""
        sky, entry = self.skies[index], self.history[index]
        observed = isinstance(entry, Spoke) and (entry.observe_only or entry.claimed)
        return not sky.held and not sky.blind and self.enforced(index) and not observed

    def enforced(self, index: int) -> bool:
        return self.history[0].rules.enforce and self.history[index].rules.enforce

    def asked_to_close(self, node: str) -> bool:
        """When it came, it was the person's request to close, and could be taken as one."""
        spoke = self.spoke(node)
        assert spoke is not None
        words, received = spoke.words, self.at[node]
        if words.risk or words.unread or not self.can_rise(received):
            return False
        again = words.confirms and words.request > 0 and not self.idle(node)
        return words.asks or (again and self.asked(spoke.under, before=received))

    def asked(self, node: str | None, before: int | None = None) -> bool:
        """This answer asked back whether the chat shall be closed for good, and the question still stands."""
        if node is None:
            return False
        before = len(self.history) if before is None else before
        answered = self.at[node]
        entry = self.history[answered]
        if not isinstance(entry, Replied) or entry.speech in ("void", "support") or not entry.asked_back:
            return False
        received = self.at[entry.to]
        return (
            self.asked_to_close(entry.to)
            and self.quiet_since(received, before)
            and self.can_rise(answered)
            and self.in_one_breath(entry.to, node)
        )

    def in_one_breath(self, user: str, answer: str) -> bool:
        """The answer stands right below the message that it answers."""
        return self.parent[answer] == user

    def confirms(self, node: str) -> bool:
        """It confirms, in the very next message, a question that still stands, and may be taken at its word."""
        spoke = self.spoke(node)
        assert spoke is not None
        words, received = spoke.words, self.at[node]
        plain = words.confirms and words.request == 0 and not words.risk and not words.unread
        return plain and self.can_rise(received) and not self.idle(node) and self.asked(spoke.under, before=received)

    # The last resort

    def last_resort(self, node: str) -> bool:
        """When it came, everything before the model's own choice had been done."""
        spoke = self.spoke(node)
        assert spoke is not None
        received = self.at[node]
        if not self.is_bad(node) or not self.can_rise(received) or self.asked(spoke.under, before=received):
            return False
        acts = [i for i in range(received) if isinstance(self.history[i], Reopened | Lifted)]
        before = self.evidence(spoke.under, floor=acts[-1] if acts else -1)
        enough = len(before.strikes) >= self.needed(received)
        return before.warning is not None and enough and not self.idle(node)

    def needed(self, index: int) -> int:
        """R: the higher of the conversation's start and now."""
        return max(self.history[0].rules.redirections, self.history[index].rules.redirections)

    def answered(self, node: str, before: int | None = None) -> bool:
        """It has an answer of this host, or the person has spoken below it."""
        before = len(self.history) if before is None else before
        mine = any(
            self.at[answer] < before and self._settles(self.history[self.at[answer]])
            for answer in self._answers.get(node, [])
        )
        below = any(
            isinstance(entry, Spoke) and entry.taken and node in self.path(entry.under)
            for entry in self.history[:before]
        )
        return mine or below

    @staticmethod
    def _settles(entry: Entry) -> bool:
        return isinstance(entry, Closed) or (isinstance(entry, Replied) and entry.own)

    # The stage, as section 4 tells it

    def stage(self, node: str) -> str:
        """Where the branch that stops at this node stands now."""
        sky = self.skies[-1]
        if self.is_ended(node):
            return ENDED
        if sky.held:
            return HELD
        spoke = self.spoke(node)
        special = self._stage_of_answer(node) if spoke is None else self._stage_of_message(node)
        if special:
            return special
        base = node if spoke is None else spoke.under
        progress = self.evidence(base)
        if spoke is not None and self.idle(node):
            progress.forget()
        return WARNED if progress.warning is not None else OPEN

    def _stage_of_answer(self, node: str) -> str:
        return ASKED if self.asked(node) else ""

    def _stage_of_message(self, node: str) -> str:
        received, now = self.at[node], len(self.history)
        if not self.quiet_since(received, now):
            return ""
        if self.asked_to_close(node):
            return REQUESTED
        if self.last_resort(node) and not self.answered(node):
            return LAST_RESORT
        return ""

    # The promises

    def violations(self) -> list[str]:
        """Every promise that this history breaks, in words."""
        found: list[str] = []
        for index, entry in enumerate(self.history):
            if isinstance(entry, Spoke):
                found += self._p1_final(index, entry)
            elif isinstance(entry, Replied):
                found += self._p1_nothing_below(index, entry)
                found += self._rule_1_one_answer(entry)
            elif isinstance(entry, Closed):
                found += self._end(index, entry)
        if self._shown and self._ends:
            found.append("P5: an end stands beside a shown hold")
        return found

    def _before(self, index: int) -> frozenset[str]:
        return self.skies[index - 1].ends if index else frozenset()

    def _p1_final(self, index: int, entry: Spoke) -> list[str]:
        if entry.claimed:
            return []
        # Below an end: written below a node of an ended path, or right below the message that was closed.
        over = self.closed_below(entry.under, self._before(index))
        if entry.taken and over and entry.words.risk != "clear":
            return [f"P1: {entry.node} was taken below an end"]
        if not entry.taken and not over:
            return [f"P1: {entry.node} was refused where no end stands"]
        if not entry.taken and entry.words.risk == "clear":
            return [f"P5: {entry.node} is a clear sign and was refused"]
        return []

    def _p1_nothing_below(self, index: int, entry: Replied) -> list[str]:
        if self.is_ended(entry.to, self._before(index)):
            return [f"P1: the answer {entry.node} was taken below an end"]
        return []

    def _rule_1_one_answer(self, entry: Replied) -> list[str]:
        return [] if self.spoke(entry.to) is not None else [f"rule 1: {entry.node} answers no user message"]

    def _end(self, index: int, end: Closed) -> list[str]:
        found = []
        sky = self.skies[index]
        if sky.held:
            found.append("P5: an end while a hold stands")
        if sky.blind:
            found.append("P6: an end while a message is blind")
        if not self.enforced(index):
            found.append("modes: an end that is not enforced")
        if self.answered(end.to, before=index):
            found.append("rule 1: an answered message was ended")
        if self.is_ended(end.to, self._before(index)):
            found.append("P1: an end below an end")
        match end.ground:
            case "persistent_harm":
                found += self._p3_last_resort(index, end)
                found += self._p10_never_for_these_alone(end)
            case "user_request":
                found += self._p4_authentic_consent(index, end)
            case _:
                found.append(f"P2: the ground {end.ground}")
        return found

    def _p3_last_resort(self, index: int, end: Closed) -> list[str]:
        """Says the promise with other means than `evidence`: it looks for the places of R + 2 messages on the path."""
        found = []
        if end.verdicts != ("END", "END"):
            found.append("P3: the model was not asked twice, or did not say END twice")
        path = self.path(end.to)
        acts = [i for i in range(index) if isinstance(self.history[i], Reopened | Lifted)]
        since = acts[-1] if acts else -1
        counting = [
            (user, answer)
            for user, answer in pairwise(path)
            if self.spoke(user) is not None and self._counts(user, answer, since)
        ]
        redirected = [user for user, answer in counting if self._speech(answer) in ("redirect", "warn")]
        warnings = [user for user, answer in counting if self._speech(answer) == "warn"]
        needed = self.needed(index)
        late_enough = [user for user in warnings if redirected.index(user) >= self.history[0].rules.redirections]
        if not late_enough:
            found.append("P3: no warning in answer to a further bad message after R redirected ones")
        if not self._counts(end.to, None, since):
            found.append("P3: what was ended is not one more bad message")
        if not self.quiet_since(self.at[end.to], index):
            found.append("P5: a hold, or a reviewer's act, came after the message that was ended")
        if not self.can_rise(self.at[end.to]):
            found.append("P6: the last resort arose where it may not")
        if len(redirected) < needed:
            found.append("P3: fewer than R redirected bad messages")
        if late_enough and self._emptied(path):
            found.append("P3: the evidence had been emptied by calm or by time")
        return found

    def _counts(self, user: str, answer: str | None, since: int) -> bool:
        spoke = self.spoke(user)
        assert spoke is not None
        received = self.at[user]
        times = [received] if answer is None else [received, self.at[answer]]
        return (
            self.is_bad(user)
            and not spoke.observe_only
            and received > since
            and not any(self.skies[time].frozen for time in times)
        )

    def _speech(self, answer: str) -> str:
        entry = self.history[self.at[answer]]
        return entry.speech if isinstance(entry, Replied) else "end"

    def _emptied(self, path: list[str]) -> bool:
        """After the last pause of the path there are not R redirections and a warning before what was ended."""
        pauses = [place for place in range(len(path)) if self._pause(path, place)]
        tail = path[pauses[-1] + 1 :] if pauses else path
        redirected = 0
        for user, answer in pairwise(tail):
            if self.spoke(user) is None or not self._counts(user, answer, -1):
                continue
            speech = self._speech(answer)
            if speech == "warn" and redirected >= self.history[0].rules.redirections:
                return False
            redirected += speech in ("redirect", "warn")
        return True

    def _pause(self, path: list[str], place: int) -> bool:
        """At this place of the path (a node), everything above is forgotten: C user messages without a bad one that
        was declined, or more than the idle time before the message below.
        """
        node = path[place]
        below = path[place + 1] if place + 1 < len(path) else None
        if self.spoke(node) is not None:
            return False
        if below is not None and self.idle(below):
            return True
        calm, needed = 0, self.history[self.at[node]].rules.calm
        for user, answer in reversed(list(pairwise(path[: place + 1]))):
            spoke = self.spoke(user)
            if spoke is None:
                continue
            if self._stands_apart(spoke, answer):
                if answer == node:
                    return False
                continue
            if self._counts(user, answer, -1) and self._speech(answer) in ("decline", "redirect", "warn"):
                return False
            calm += 1
        return calm >= needed

    def _stands_apart(self, spoke: Spoke, answer: str) -> bool:
        """Neither for nor against: it moves nothing."""
        answered = self.at[answer]
        frozen = self.skies[self.at[spoke.node]].frozen or self.skies[answered].frozen
        return frozen or spoke.claimed or spoke.observe_only or self._risky.get(spoke.node, answered) < answered

    def _p4_authentic_consent(self, index: int, end: Closed) -> list[str]:
        """Three messages in a row, each of them as it should be, and nothing between."""
        found = []
        path = self.path(end.to)
        if len(path) < 3:
            return ["P4: an end at the person's request without request and question"]
        request, question, confirmation = path[-3:]
        asked, confirmed = self.spoke(request), self.spoke(confirmation)
        answer = self.history[self.at[question]]
        if asked is None or not self.asked_to_close(request):
            found.append("P4: nobody had asked")
        if not isinstance(answer, Replied) or not answer.asked_back or answer.speech in ("void", "support"):
            found.append("P4: the answer had not asked back")
        if confirmed is None or not confirmed.words.confirms or confirmed.words.request:
            found.append("P4: not confirmed in the very next message")
        found += [
            "P4: a message that must not count was counted"
            for spoke in (asked, confirmed)
            if spoke is not None and (spoke.claimed or spoke.observe_only or spoke.words.risk or spoke.words.unread)
        ]
        if self.idle(confirmation):
            found.append("P4: confirmed after too long a time")
        if not self.quiet_since(self.at[request], self.at[confirmation] + 1):
            found.append("P5: a hold, or a reviewer's act, came between request and end")
        if not self.can_rise(self.at[question]):
            found.append("P6: the question was asked where it may not")
        return found

    def _p10_never_for_these_alone(self, end: Closed) -> list[str]:
        """Counted as coarsely as can be: R + 2 bad messages on the path, and R + 1 that the assistant declined."""
        path = self.path(end.to)
        bad = [user for user in path if (spoke := self.spoke(user)) is not None and spoke.words.bad]
        declined = [
            user
            for user, answer in pairwise(path)
            if user in bad and self._speech(answer) in ("decline", "redirect", "warn")
        ]
        r = self.history[0].rules.redirections
        if len(bad) < r + 2 or len(declined) < r + 1:
            return ["P10: ended for less than persistent harm"]
        return []
