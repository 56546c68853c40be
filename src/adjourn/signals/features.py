"""What the trained detectors see of a message: its own vector and pieces, and what came before it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adjourn.signals.detector import OF_ASSISTANTS, OF_USERS, Message
from adjourn.signals.encoder import DIMENSIONS, Encoder, Vector
from adjourn.signals.ngrams import BUCKETS, LONGEST, Bag, bag
from adjourn.signals.normal import bare

BACK = 3
"""How many of the person's messages before this one are seen with it."""

CONTEXT_CHARACTERS = 400
"""How much of each earlier message is read for its pieces."""

PART_CHARACTERS = 300
"""An assistant's message is encoded by its first sentence, its last ones and its beginning, each up to this length."""

SCALE = np.float32(4.0)  # brings a vector's entries near 1, for which the heads are regularised

_ENDS = re.compile(r"(?<=[.!?…])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Features:
    """`dense`: numbers, or none without the encoder. `sparse`: buckets, those of the context behind the others."""

    dense: Vector | None
    sparse: Bag


def of_user(
    text: str,
    before: Sequence[Message],
    encoder: Encoder | None,
    *,
    lexical: Mapping[str, float],
    said: Mapping[str, float],
) -> Features:
    """Return what is seen of a person's message.

    `lexical`: what the tables say of it; `said`: the scores of the assistant's message right before it, if any.
    """
    theirs = [told for role, told in before if role == "user"][-BACK:]
    context = bag("\n".join(told[:CONTEXT_CHARACTERS] for _, told in before[-2 * BACK :]))
    sparse = np.concatenate([bag(text), context + np.uint32(BUCKETS)])
    if encoder is None:
        return Features(None, sparse)
    own, *earlier = encoder.encode([text, *theirs])
    mean = np.mean(earlier, axis=0) if earlier else np.zeros(DIMENSIONS, np.float32)
    told = [said.get(name, 0.0) for name in OF_ASSISTANTS] + [lexical.get(name, 0.0) for name in OF_USERS]
    told.append(1 - len(bare(text)) / max(1, len(text)))  # how much of it is quoted
    return Features(np.concatenate([own * SCALE, mean * SCALE, np.array(told)]).astype(np.float32), sparse)


def of_assistant(text: str, encoder: Encoder | None, *, lexical: Mapping[str, float]) -> Features:
    """Return what is seen of an assistant's message; `lexical`: what the tables say of it."""
    pieces = bag(text[:LONGEST])
    if encoder is None:
        return Features(None, pieces)
    sentences = [one.strip() for one in _ENDS.split(text.strip()) if one.strip()] or [""]
    parts = sentences[0], " ".join(sentences[-2:])[-PART_CHARACTERS:], text
    vectors = encoder.encode([part[:PART_CHARACTERS] for part in parts])
    told = np.array([lexical.get(name, 0.0) for name in OF_ASSISTANTS])
    return Features(np.concatenate([*(one * SCALE for one in vectors), told]).astype(np.float32), pieces)
