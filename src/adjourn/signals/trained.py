"""The trained detectors: small heads on a sentence encoder and on hashed pieces (docs/model-card.md).

Without the encoder they go on with the pieces alone, and their version says so.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import OF_ASSISTANTS, OF_USERS, Message, Seen
from adjourn.signals.encoder import Encoder, encoder
from adjourn.signals.features import Features, of_assistant, of_user
from adjourn.signals.heads import WEIGHTS, Heads
from adjourn.signals.lexical import Lexical

FAINTEST = 0.05
"""A lower score is not told: nothing was seen."""

LIKELY = 0.5

SURELY_NOT = 0.02
"""Below this by its pieces alone an assistant's message is not encoded: most are ordinary, and encoding takes long."""


class Trained:
    """Reads a message with its heads; what the tables say of it is among what they see."""

    name = "trained"

    def __init__(self, heads: Heads, model: Encoder | None, version: str = "0") -> None:
        self._heads, self._encoder, self._tables = heads, model, Lexical()
        self.version = version if model is not None else f"{version}-without-encoder"

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        """Read a person's message with what came before it."""
        seen = self.user_features(text, before)
        scores = self._heads.scores(OF_USERS, seen)
        kind = self._heads.which_of("risk", seen) if scores["risk"] >= LIKELY else None
        family = self._heads.which_of("family", seen) if scores["harmful"] >= LIKELY else None
        return Seen(_told(scores), family, RiskKind(kind) if kind else None)

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
