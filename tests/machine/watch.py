"""The observers of the search: they go along with one path, move by move, and forget what no promise can still need.

Written from the text of the promises and rules like `observers.Judge`, which has all of the history and counts it
again for every question. Here the state is a small value, so that a search can meet every one of them. What a
`Watch` says in advance of a move (is it taken, does an end come, which stage) is compared with what the machine did.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.machine.observers import (
    ASKED,
    ENDED,
    HARM,
    HELD,
    LAST_RESORT,
    OPEN,
    REQUEST,
    REQUESTED,
    WARNED,
    Rules,
    Sign,
    Speech,
    Words,
)


class Track(NamedTuple):
    """What stands toward an end for persistent harm below some answer."""

    strikes: int = 0  # bad messages that were redirected, up to R
    warned: bool = False
    run: int = 0  # user messages since the last bad one that was declined


NOTHING = Track()


class Newest(NamedTuple):
    """What must be remembered of a user message at which the path stops."""

    bad: bool = False  # it may count
    inert: bool = False  # nothing about it moves anything
    unread: bool = False
    faint: bool = False  # a local detector saw a faint sign
    judged: bool = False  # another witness saw one: two of them make it clear
    clear: bool = False  # a sign in it was clear
    requested: bool = False  # it asked to close, and that stands
    resort: bool = False  # everything before the model's choice had been done, that stands, and it is unanswered
    closed: bool = False  # an end that stands answers it


class Watch(NamedTuple):
    """The whole memory of the observers: of the tree, and of the path, which stops at a user message or an answer."""

    shown: bool = False
    since: int | None = None  # user messages since the newest faint sign, while that matters
    unread_elsewhere: bool = False
    ends_elsewhere: bool = False
    track: Track = NOTHING  # below the newest answer of the path
    newest: Newest | None = None  # the user message below that, if the path stops there
    asked: bool = False  # the path stops at an answer that asked back, and that stands
    at_end: bool = False  # the path stops at a closing answer that stands
    begun: bool = False  # anything was received on the path

    def held(self, rules: Rules) -> bool:
        return self.shown or (self.since is not None and self.since <= rules.hold_messages)

    def frozen(self, rules: Rules) -> bool:
        return self.held(rules) or (self.since is not None and self.since <= rules.freeze_messages)

    def small(self) -> Watch:
        """Without what cannot matter any more: of what counts for nothing, and, until a lift, of all that counted."""
        newest = self.newest
        if newest is not None:
            inert = newest.inert or self.shown
            newest = newest._replace(
                inert=inert,
                bad=newest.bad and not inert,
                faint=newest.faint and not newest.clear,
                judged=newest.judged and not newest.clear,
            )
        return self._replace(newest=newest, track=NOTHING if self.shown else self.track)

    @property
    def blind(self) -> bool:
        return self.unread_elsewhere or (self.newest is not None and self.newest.unread)

    @property
    def ended(self) -> bool:
        """Whether a message at the end of this path would stand below an end."""
        return self.at_end or (self.newest is not None and self.newest.closed)

    def stage(self, rules: Rules) -> str:
        """The stage of the node at which the path stops."""
        if self.at_end:
            return ENDED
        if self.held(rules):
            return HELD
        if self.newest is not None and self.newest.requested:
            return REQUESTED
        if self.newest is not None and self.newest.resort:
            return LAST_RESORT
        if self.asked:
            return ASKED
        return WARNED if self.track.warned else OPEN

    # The moves

    def say(
        self, words: Words, rules: Rules, *, gap: bool = False, observe_only: bool = False, stay: bool = False
    ) -> tuple[Watch, str]:
        """A received message; returns what is to come of it: "", "refused" or the ground of an end."""
        if self.ended and words.risk != "clear":
            now = self._replace(unread_elsewhere=self.unread_elsewhere or words.unread)
            return now.sign(words.risk, rules), "refused"
        now = self.sign(words.risk, rules) if self.newest is not None else self
        return (
            now.passed_over(rules)
            .counted(rules)
            .sign(words.risk, rules)
            ._taken(words, rules, gap=gap, observe_only=observe_only, stay=stay)
        )

    def passed_over(self, rules: Rules) -> Watch:
        """Someone speaks below a message at which the path stops: a void answer comes between."""
        return self.answer("void", rules) if self.newest is not None else self

    def counted(self, rules: Rules) -> Watch:
        """A message of the person raises the counter, on whatever branch."""
        if self.since is None:
            return self
        return self._replace(since=self.since + 1 if self.since < rules.freeze_messages else None)

    def _taken(self, words: Words, rules: Rules, *, gap: bool, observe_only: bool, stay: bool) -> tuple[Watch, str]:
        """Rules 3, 4, 5, 7 and the kinds, for a message that is taken below the newest answer."""
        idle = gap and self.begun
        track, asked = (NOTHING, False) if idle else (self.track, self.asked)
        risky, held = bool(words.risk), self.held(rules)
        sees = not risky and not words.unread
        may_rise = not held and not self.blind and not words.unread and rules.enforce and not observe_only
        answers = asked and words.confirms and sees
        agreed = answers and not words.request
        bad = words.bad and sees and not words.asks and not self.frozen(rules) and not answers
        newest = Newest(
            bad=bad,
            inert=observe_only or risky or self.frozen(rules),
            unread=words.unread,
            faint=risky,
            clear=words.risk == "clear",
            requested=may_rise and sees and not agreed and (words.asks or answers),
            resort=may_rise and bad and track.warned and not asked,
        )
        now = self._replace(track=track, newest=newest, asked=False, at_end=False, begun=True)
        if may_rise and agreed:
            return now.closed(stay), REQUEST
        return now._if_held(rules), ""

    def closed(self, stay: bool) -> Watch:
        """An end came: the path goes on from the closing answer, or stops (`stay`) at the message that it answers."""
        assert self.newest is not None
        if stay:
            return self._replace(newest=self.newest._replace(resort=False, closed=True))
        return self._replace(newest=None, unread_elsewhere=self.blind, at_end=True)

    def claim(self, words: Words, rules: Rules, *, user: bool) -> Watch:
        """The client tells of a message that this host neither received nor produced."""
        now = self.sign(words.risk, rules)
        if not user:
            now = now.answer("void", rules)
            return now._replace(unread_elsewhere=now.unread_elsewhere or words.unread)
        newest = Newest(inert=True, unread=words.unread, faint=bool(words.risk), clear=words.risk == "clear")
        return now.passed_over(rules)._replace(newest=newest, asked=False, at_end=False)

    def answer(self, speech: Speech, rules: Rules, *, asks_back: bool = True) -> Watch:
        """An answer to the newest message: it counts by its own kind, from what stood above the message."""
        newest = self.newest
        assert newest is not None
        now = self._replace(
            newest=None,
            unread_elsewhere=self.blind,
            ends_elsewhere=self.ends_elsewhere or newest.closed,
        )
        if speech == "support":
            return now.sign("clear", rules)
        may = newest.requested and not self.held(rules) and not self.blind and rules.enforce
        still = newest.inert or self.frozen(rules)
        track = self.track if still else _moved(self.track, newest.bad, speech, rules)
        return now._replace(track=track, asked=may and asks_back and speech != "void")

    def answered_beside(self, speech: Speech, rules: Rules) -> Watch:
        """An answer to the newest message on a path of its own: this path still stops at the message."""
        assert self.newest is not None
        now = self._replace(newest=self.newest._replace(resort=False))
        return now.sign("clear", rules) if speech == "support" else now

    def close(self, verdicts: tuple[str, ...], rules: Rules, *, stay: bool = False) -> tuple[Watch, str]:
        """The model was asked: whether an end comes of it."""
        may = self.stage(rules) == LAST_RESORT and not self.blind and rules.enforce
        return (self.closed(stay), HARM) if may and verdicts == ("END", "END") else (self, "")

    def late(self, sign: Sign, rules: Rules, *, completes: bool, here: bool) -> Watch:
        """A witness speaks about the newest message (`here`) or about an older one, or its reading is completed."""
        newest = self.newest
        if not here or newest is None:
            now = self._replace(unread_elsewhere=self.unread_elsewhere and not completes)
            return now.sign(sign, rules)
        faint = newest.faint or (completes and bool(sign))
        judged = newest.judged or (not completes and bool(sign))
        clear = bool(sign) and (sign == "clear" or newest.clear or (faint and judged))
        newest = newest._replace(
            unread=newest.unread and not completes,
            inert=newest.inert or bool(sign),
            faint=faint,
            judged=judged,
            clear=newest.clear or clear,
        )
        return self._replace(newest=newest).sign("clear" if clear else sign, rules)

    def beside(self, words: Words, rules: Rules) -> Watch:
        """A message at the root, on a branch of its own."""
        now = self._replace(unread_elsewhere=self.unread_elsewhere or words.unread)
        return now.counted(rules).sign(words.risk, rules)

    def end_beside(self, rules: Rules) -> tuple[Watch, str]:
        """Somebody asks to close, is asked back and confirms, on a branch of its own at the root."""
        side = Watch(shown=self.shown, since=self.since, unread_elsewhere=self.blind)
        side, _ = side.say(Words(asks=True), rules)
        side, ground = side.answer("question", rules).say(Words(confirms=True), rules)
        return self._replace(since=side.since, ends_elsewhere=self.ends_elsewhere or bool(ground)), ground

    def reopen(self) -> Watch | None:
        return self._unended()._acted() if self.ended or self.ends_elsewhere else None

    def lift(self, rules: Rules) -> Watch | None:
        return self._replace(shown=False, since=None)._acted() if self.frozen(rules) else None

    # What stands over all

    def sign(self, sign: Sign, rules: Rules) -> Watch:
        """A sign of risk, anywhere: a clear one lifts every end of the tree; a faint one starts to count anew."""
        if sign == "clear":
            return self._unended()._replace(shown=True, since=None)._if_held(rules)
        if sign == "faint" and not self.shown:
            return self._replace(since=0)._if_held(rules)
        return self

    def _unended(self) -> Watch:
        newest = self.newest._replace(closed=False) if self.newest is not None else None
        return self._replace(ends_elsewhere=False, newest=newest, at_end=False)

    def _if_held(self, rules: Rules) -> Watch:
        return self._forget_prompts() if self.held(rules) else self

    def _forget_prompts(self) -> Watch:
        """Request, question and last resort do not come back after a hold, nor after a reviewer's act."""
        newest = self.newest._replace(requested=False, resort=False) if self.newest is not None else None
        return self._replace(newest=newest, asked=False)

    def _acted(self) -> Watch:
        """A reviewer acted: what was received before counts for nothing."""
        now = self._forget_prompts()
        newest = now.newest._replace(inert=True) if now.newest is not None else None
        return now._replace(newest=newest, track=NOTHING)


def _moved(track: Track, bad: bool, speech: Speech, rules: Rules) -> Track:
    """One message and its answer: declined or redirected bad ones stand, C others let all of it be forgotten."""
    if bad and speech in ("decline", "redirect", "warn"):
        if speech == "warn" and track.strikes >= rules.redirections:
            return track._replace(warned=True, run=0)
        more = speech != "decline" and track.strikes < rules.redirections
        return track._replace(strikes=track.strikes + more, run=0)
    return NOTHING if track.run + 1 >= rules.calm else track._replace(run=track.run + 1)
