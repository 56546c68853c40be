"""Random histories over whole trees: a person, a model and reviewers who do what makes trouble most often."""

from __future__ import annotations

import random

from tests.machine.driver import Play, Told
from tests.machine.observers import Rules, Sign, Speech, Words

BAD, ABUSE = Words(request=2), Words(abuse=2)
SAYINGS: tuple[tuple[int, Words], ...] = (
    (30, BAD),
    (6, ABUSE),
    (14, Words(asks=True)),
    (16, Words(confirms=True)),
    (6, Words()),
    (4, Words(request=1)),
    (4, Words(request=2, asks=True)),
    (4, Words(request=2, confirms=True)),
    (3, Words(request=1, confirms=True)),
    (3, Words(abuse=2, confirms=True)),
    (3, Words(risk="faint")),
    (1, Words(risk="clear")),
    (2, Words(unread=True)),
    (1, Words(request=2, unread=True)),
    (1, Words(asks=True, unread=True)),
    (1, Words(risk="faint", unread=True, request=2)),
)
SPEECHES: tuple[tuple[int, Speech], ...] = (
    (30, "redirect"),
    (24, "warn"),
    (16, "question"),
    (8, "help"),
    (6, "decline"),
    (3, "void"),
    (1, "support"),
)
SIGNS: tuple[Sign, ...] = ("", "faint", "clear")
TOLD: tuple[tuple[Told, ...], ...] = (
    (("user", BAD), ("assistant", Words())),
    (("user", Words(asks=True)),),
    (("user", Words(unread=True)), ("assistant", Words())),
    (("user", Words(risk="faint")),),
)
RETOLD: tuple[Words, ...] = (BAD, BAD, Words(asks=True), Words(confirms=True), Words(risk="faint"), Words(risk="clear"))
"""Other words for what was said before: only a sign of risk in them counts."""


class Wanderer:
    """Plays one random history. `wild` is how often it leaves the newest branch."""

    def __init__(self, seed: int, rules: Rules, *, wild: float = 0.15) -> None:
        self.dice = random.Random(seed)
        self.play = Play(rules)
        self.wild = wild
        self.tip: str | None = None  # where the next message goes

    def step(self) -> None:
        play, dice = self.play, self.dice
        waiting = bool(play.users) and self.tip == play.users[-1]
        drawn = dice.random()
        if drawn < self.wild:
            self.stray()
        elif waiting:
            self.respond()
        elif drawn < 0.97 or not play.users:
            self.speak(self.tip)
        else:
            self.answer(play.users[-1])

    def speak(self, under: str | None, *, strange: float = 0.06) -> None:
        dice = self.dice
        words = dice.choices([w for _, w in SAYINGS], [n for n, _ in SAYINGS])[0]
        told = dice.choice(TOLD) if dice.random() < strange / 2 else ()
        if told and told[0][0] == "assistant" and under is None:
            told = ()
        old = [*self.play.users, *self.play.answers]
        reread = ((dice.choice(old), dice.choice(RETOLD)),) if old and dice.random() < strange / 2 else ()
        node = self.play.say(
            words, under, gap=dice.random() < 0.02, observe_only=dice.random() < strange / 2, told=told, reread=reread
        )
        if node:
            end = f"{node}.end"
            self.tip = end if end in self.play.answers else node

    def respond(self) -> None:
        play, dice = self.play, self.dice
        user = play.users[-1]
        if play.stage(user) == "LAST_RESORT" or dice.random() < 0.05:
            verdicts = ("END", "END") if dice.random() < 0.85 else ("END", "CONTINUE")
            end = play.close(user, verdicts, support=dice.random() < 0.02)
            if end:
                self.tip = end
                return
        self.answer(user)

    def answer(self, user: str) -> None:
        speech = self.dice.choices([s for _, s in SPEECHES], [n for n, _ in SPEECHES])[0]
        self.tip = self.play.reply(speech, user, appends=self.dice.random() < 0.8)

    def stray(self) -> None:
        """Something beside the branch: an edit, a retry, a witness, a reviewer, another policy."""
        play, dice = self.play, self.dice
        texts = [*play.users, *play.answers, *play.refused]
        match dice.randrange(10):
            case 0 | 1 if play.users:
                parent = play.judge().parent[dice.choice(play.users)]
                self.speak(parent)
            case 2 | 3 if play.users:
                users = [u for u in play.users[-4:] if not play.judge().is_ended(u)]
                self.answer(dice.choice(users)) if users else None
            case 4 if texts:
                sign = dice.choices(SIGNS, [6, 3, 1])[0]
                unread = sorted(play.judge().skies[-1].blind)
                if unread and dice.random() < 0.8:
                    play.late(dice.choice(unread), sign, completes=True)
                elif sign:
                    play.late(dice.choice(texts), sign, witness=dice.choice(["judge", "moderation"]))
            case 5:
                play.reopen()
            case 6:
                play.lift()
            case 7 if play.users:
                self.speak(dice.choice([*play.users, *play.answers][-6:]))
            case 8 if dice.random() < 0.5:
                rules = play.rules
                if dice.random() < 0.5:
                    play.rules = rules._replace(enforce=not rules.enforce)
                else:
                    v = dice.randrange(3)
                    play.rules = rules._replace(
                        calm=dice.randrange(2, 5), hold_messages=v, freeze_messages=v + dice.randrange(3)
                    )
            case _:
                self.speak(None)
