"""A text as a bag of hashed pieces: runs of letters, words and pairs of words.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
"""

import re
import zlib
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from adjourn.signals.normal import folded

BUCKETS = 1 << 16
SIZES = range(2, 7)
"""How many bytes the runs have."""

LONGEST = 4000
"""So many characters are read at once; of a longer text its windows are."""

Bag = npt.NDArray[np.uint32]

_WORDS = re.compile(r"\w+|[^\w\s]")
_FACTOR = np.uint32(0x9E3779B1)  # 2**32 over the golden ratio (Knuth, The Art of Computer Programming, section 6.4)
_NONE: Bag = np.empty(0, dtype=np.uint32)


def bag(text: str) -> Bag:
    """Return the buckets of a text, each once, in order; none for an empty text."""
    words = _WORDS.findall(folded(text))
    if not words:
        return _NONE
    letters = np.frombuffer(f" {' '.join(words)} ".encode(errors="replace"), dtype=np.uint8).astype(np.uint32)
    found, runs = [], letters * _FACTOR
    for size in SIZES:
        runs = (runs[:-1] ^ letters[size - 1 :]) * _FACTOR
        found.append(((runs ^ np.uint32(size)) * _FACTOR) >> np.uint32(16))
    of_words = [*words, *map(" ".join, pairwise(words))]
    found.append(np.array([zlib.crc32(one.encode(errors="replace")) >> 16 for one in of_words], dtype=np.uint32))
    return np.unique(np.concatenate(found))
