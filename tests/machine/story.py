"""Histories in a line: `bad redirect bad warn ~yes` is played for real, and the stage at its end is looked at.

A word is a user message at the end of the path, or an answer to the newest user message (another one: a retry).
Before a message: `~` after the idle time, `!` in an observe-only request, `^` at the root (the path stays where it
is), `/` instead of the newest message (an edit), `_` right below it, leaving its answer out. Before an answer: `=`
on a path of its own (this path stays at the message).
"""

from __future__ import annotations

from adjourn.core.machine import Finish
from tests.machine.driver import Play, Told
from tests.machine.observers import Rules, Sign, Speech, Words

WORDS: dict[str, Words] = {
    "clear": Words(),
    "flag": Words(request=1),
    "bad": Words(request=2),
    "abuse": Words(abuse=2),
    "ask": Words(asks=True),
    "yes": Words(confirms=True),
    "bad+ask": Words(request=2, asks=True),
    "flag+yes": Words(request=1, confirms=True),
    "bad+yes": Words(request=2, confirms=True),
    "abuse+yes": Words(abuse=2, confirms=True),
    "faint": Words(risk="faint"),
    "risk": Words(risk="clear"),
    "faint+bad": Words(risk="faint", request=2),
    "faint+ask": Words(risk="faint", asks=True),
    "faint+yes": Words(risk="faint", confirms=True),
    "unread": Words(unread=True),
    "unread+bad": Words(unread=True, request=2),
    "unread+ask": Words(unread=True, asks=True),
    "unread+yes": Words(unread=True, confirms=True),
}
SPEECHES: dict[str, Speech] = {
    "help": "help",
    "decline": "decline",
    "redirect": "redirect",
    "warn": "warn",
    "question": "question",
    "support": "support",
    "cut": "void",
}
MARKS = "~!^/_="


class Story:
    """Plays words; `outcome` is the stage of the node at which the path stops, or REFUSED."""

    def __init__(self, words: str, rules: Rules = Rules(2, 2, 0, 0)) -> None:  # noqa: B008 - a frozen value
        self.play = Play(rules)
        self.rules = rules
        self.tip: str | None = None
        self.told: tuple[Told, ...] = ()
        self.refused = False
        for word in words.split():
            self._tell(word)

    @property
    def outcome(self) -> str:
        return "REFUSED" if self.refused else self.play.stage(self.tip)

    def _tell(self, word: str) -> None:
        bare = word.lstrip(MARKS)
        marks = word[: len(word) - len(bare)]
        name, _, rest = bare.partition(":")
        if name in WORDS:
            self._say(WORDS[name], marks)
        elif name in SPEECHES:
            self._answer(SPEECHES[name], marks)
        elif name == "recorded":  # what stands in a record: the host can append nothing to it
            self._answer(SPEECHES[rest or "help"], marks, appends=False)
        else:
            getattr(self, f"_{name}")(rest)

    def _say(self, words: Words, marks: str) -> None:
        newest = self.play.users[-1] if self.play.users else None
        under = self.tip
        if "^" in marks:
            under = None
        elif "/" in marks:
            assert newest is not None
            under = self.play.judge().parent[newest]
        elif "_" in marks:
            under = newest
        node = self.play.say(words, under, gap="~" in marks, observe_only="!" in marks, told=self.told)
        self.told, self.refused = (), not node
        if node and "^" not in marks:
            end = f"{node}.end"
            self.tip = end if end in self.play.answers else node

    def _answer(self, speech: Speech, marks: str, *, appends: bool = True) -> None:
        to = self.tip if self.tip in self.play.users else self.play.judge().parent[self.tip or ""]
        node = self.play.reply(speech, to, appends=appends)
        if "=" not in marks:
            self.tip = node
        elif self.tip in self.play.answers:
            self.tip = to

    def _at_message(self) -> str:
        """Bring the path back to the newest message, whatever answers it has."""
        if self.tip in self.play.answers:
            self.tip = self.play.judge().parent[self.tip]
        assert self.tip is not None
        return self.tip

    def _refusal(self, _: str) -> None:
        self.tip = self.play.reply("help", self._at_message(), finish=Finish.REFUSAL)

    def _back(self, _: str) -> None:
        self._at_message()

    def _close(self, verdicts: str) -> None:
        told = {"": ("END", "END"), "once": ("END",), "no": ("END", "CONTINUE"), "support": ("END", "END")}
        to = self._at_message()
        self.tip = self.play.close(to, told[verdicts], support=verdicts == "support") or to

    def _late(self, rest: str) -> None:
        """`late:faint`, `late:clear`, by a judge about the newest message; `late:read` completes its reading."""
        sign: dict[str, Sign] = {"faint": "faint", "clear": "clear", "read": ""}
        about = self._at_message() if self.tip in self.play.users else self.play.users[-1]
        self.play.late(about, sign[rest], completes=rest == "read")

    def _read(self, _: str) -> None:
        for unread in sorted(self.play.judge().skies[-1].blind):
            self.play.late(unread, completes=True)

    def _claims(self, rest: str) -> None:
        """`claims:bad,assistant`: what the client tells of before the next message."""
        self.told = tuple(
            ("assistant", Words(unread="unread" in one)) if one.startswith("assistant") else ("user", WORDS[one])
            for one in rest.split(",")
        )

    def _mode(self, rest: str) -> None:
        self.play.rules = self.play.rules._replace(enforce=rest == "enforce")

    def _r(self, rest: str) -> None:
        """`r:3`: the policy asks for more redirections from now on."""
        self.play.rules = self.play.rules._replace(redirections=int(rest))

    def _finish(self, rest: str) -> None:
        """`finish:prefilled`: an answer with every right word in it that came to an end in this way."""
        self.tip = self.play.reply("void", self._at_message(), finish=Finish(rest))

    def _reopen(self, _: str) -> None:
        self.refused = not self.play.reopen()

    def _lift(self, _: str) -> None:
        self.refused = not self.play.lift()


def ends(words: str, rules: Rules = Rules(2, 2, 0, 0)) -> str:  # noqa: B008 - a frozen value
    """The stage at which the history stops."""
    return Story(words, rules).outcome
