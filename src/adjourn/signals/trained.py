"""The trained detectors: small heads on a sentence encoder and on hashed pieces (docs/model-card.md).

Without the encoder they go on with the pieces alone, and their version says so.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import NOTHING, OF_ASSISTANTS, OF_USERS, Message, Seen
from adjourn.signals.encoder import Encoder, encoder
from adjourn.signals.features import Features, of_assistant, of_user
from adjourn.signals.heads import WEIGHTS, Heads
from adjourn.signals.lexical import Lexical
from adjourn.signals.normal import folded

FAINTEST = 0.05
"""A lower score is not told: nothing was seen."""

LIKELY = 0.5
_WORDS = re.compile(r"\w+")

WINDOW, WINDOWS = 2000, 3
"""A longer message is read in overlapping windows of so many characters: so many from its beginning and its end."""

FEW = 4
"""So few words of `smalltalk.toml` are nothing to be read."""

AT_MOST: Mapping[str, float] = {"harmful": 0.79, "abusive": 0.79, "confirms_end": 0.0}
"""How sure the heads may be of what closes a chat: they flag, and only the tables count, or take a confirmation.

In whole conversations the heads alone counted calm messages after a warning, and took "yes, but first" for a yes.
"""

SURELY_NOT = 0.02
"""Below this by its pieces alone an assistant's message is not encoded: most are ordinary, and encoding takes long."""


class Trained:
    """Reads a message with its heads; what the tables say of it is among what they see."""

    name = "trained"

    def __init__(self, heads: Heads, model: Encoder | None, version: str = "0") -> None:
        self._heads, self._encoder, self._tables = heads, model, Lexical()
        self.version = version if model is not None else f"{version}-without-encoder"

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        """Read a person's message with what came before it: of a long one the first and the last windows."""
        if says_nothing(text, alone=not before):
            return NOTHING
        read = [self.user_features(window, before) for window in windows(text)]
        scores = [self._heads.scores(OF_USERS, seen) for seen in read]
        highest = {name: min(max(one[name] for one in scores), AT_MOST.get(name, 1.0)) for name in OF_USERS}
        kind = self._which("risk", "risk", read, scores) if highest["risk"] >= LIKELY else None
        family = self._which("family", "harmful", read, scores) if highest["harmful"] >= LIKELY else None
        return Seen(_told(highest), family, RiskKind(kind) if kind else None)

    def _which(self, label: str, name: str, read: Sequence[Features], scores: Sequence[dict[str, float]]) -> str | None:
        surest = max(range(len(read)), key=lambda place: scores[place][name])
        return self._heads.which_of(label, read[surest])

    def assistant(self, text: str) -> Seen:
        """Read an assistant's message: with the encoder only where its pieces say that there may be something."""
        lexical = self._tables.assistant(text).scores
        scores = self._heads.scores(OF_ASSISTANTS, of_assistant(text, None, lexical=lexical))
        if self._encoder is not None and max(scores.values()) >= SURELY_NOT:
            scores = self._heads.scores(OF_ASSISTANTS, of_assistant(text, self._encoder, lexical=lexical))
        return Seen(_told(scores))

    def user_features(self, text: str, before: Sequence[Message]) -> Features:
        """Return what the heads see of a person's message."""
        said: dict[str, float] = {}
        if before and before[-1][0] == "assistant":
            said = self._heads.scores(OF_ASSISTANTS, self.assistant_features(before[-1][1]))
        lexical = self._tables.user(text, before).scores
        return of_user(text, before, self._encoder, lexical=lexical, said=said)

    def assistant_features(self, text: str) -> Features:
        """Return what the heads see of an assistant's message."""
        return of_assistant(text, self._encoder, lexical=self._tables.assistant(text).scores)


def windows(text: str) -> list[str]:
    """Return the text if it is short, else its first and its last windows: the tables read all of it."""
    if len(text) <= WINDOW:
        return [text]
    starts = range(0, len(text) - WINDOW // 4, WINDOW * 3 // 4)
    kept = [*starts[:WINDOWS], *starts[-WINDOWS:]]
    return [text[start : start + WINDOW] for start in dict.fromkeys(kept)]


def says_nothing(text: str, *, alone: bool) -> bool:
    """Whether a text has no words, or only a few with which people greet, thank, or try whether somebody is there.

    The heads have learned nothing of so little. `alone`: nothing came before, so that there is nothing to answer to.
    """
    words = _WORDS.findall(folded(text))
    nothing = _smalltalk("greetings") | (_smalltalk("answers") if alone else frozenset())
    return len(words) <= FEW and nothing.issuperset(words)


@cache
def _smalltalk(which: str) -> frozenset[str]:
    table = tomllib.loads(files("adjourn.signals").joinpath("smalltalk.toml").read_text(encoding="utf-8"))
    return frozenset(table[which].split())


def _told(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 4) for name, score in scores.items() if score >= FAINTEST}


@cache
def trained() -> Trained:
    """Return the trained detectors with the weights that came with this version, read once."""
    return Trained(_heads(), encoder(), _version())


@cache
def trained_quick() -> Trained:
    """Return the same without the encoder, for what must be read in a fraction of the time."""
    return Trained(_heads(), None, _version())


@cache
def _heads() -> Heads:
    return Heads.read()


@cache
def _version() -> str:
    return blake2b(WEIGHTS.read_bytes(), digest_size=4).hexdigest()
