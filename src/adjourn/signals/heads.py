"""The heads of the trained detectors: what is made of a message's features, and the file in which they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from adjourn.core.policy import FAMILIES
from adjourn.core.reading import RiskKind
from adjourn.signals.features import Features
from adjourn.signals.ngrams import BUCKETS, Bag

WEIGHTS = Path(__file__).parent / "weights" / "heads.npz"

CLASSES: Mapping[str, tuple[str, ...]] = {"risk": tuple(RiskKind), "family": FAMILIES}
"""What is told of a message beside how sure a head is: who is at risk, which kind of request it is."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from logits to the logits of scores."""

    slope: float
    offset: float

    @classmethod
    def between(cls, low: float, high: float) -> Self:
        """Return the scale on which `low` is the score 0.5, and `high` is 0.8."""
        slope = float(np.log(4)) / (high - low)
        return cls(slope, -slope * low)

    def scores(self, logits: Array) -> Array:
        """Return scores from 0 to 1."""
        return np.asarray(1 / (1 + np.exp(-np.clip(logits * self.slope + self.offset, -30, 30))))


@dataclass(frozen=True, slots=True)
class Network:
    """A layer of rectified units, and what they say together: a logit."""

    inner: Array
    inner_bias: Array
    outer: Array
    outer_bias: float

    @classmethod
    def of(cls, inner: Array, inner_bias: Array, outer: Array, outer_bias: float) -> Self:
        """Return the network as it is kept: halves of the precision."""
        first, bias, second = (part.astype(np.float16).astype(np.float32) for part in (inner, inner_bias, outer))
        return cls(first, bias, second, outer_bias)

    def logits(self, dense: Array) -> Array:
        return np.asarray(np.maximum(dense @ self.inner + self.inner_bias, 0) @ self.outer + self.outer_bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """All that is known of one label. `pieces` are whole numbers from -127 to 127, `unit` what one of them is."""

    networks: Sequence[Network]
    pieces: Array
    unit: float
    bias: float
    mix: tuple[float, float, float]
    alone: tuple[float, float]
    scale: Scale
    scale_alone: Scale

    @classmethod
    def of(cls, *, pieces: Array, bias: float, mix: Sequence[float], alone: Sequence[float], **rest: Any) -> Self:
        """Return the head as it is kept, with weights in whole numbers."""
        unit = float(np.abs(pieces).max()) / 127 or 1.0
        whole = np.round(pieces / unit).astype(np.int8)
        first, second, third = map(float, mix)
        one, other = map(float, alone)
        return cls(pieces=whole, unit=unit, bias=bias, mix=(first, second, third), alone=(one, other), **rest)

    def score(self, seen: Features) -> float:
        """Return how sure it is, from 0 to 1; without the encoder, by the pieces alone."""
        return float(self.scale_alone.scores(self._by_pieces(seen)) if seen.dense is None else self._whole(seen))

    def _by_pieces(self, seen: Features) -> Array:
        weight, bias = self.alone
        return np.asarray(weight * self._pieces(seen.sparse) + bias)

    def _whole(self, seen: Features) -> Array:
        assert seen.dense is not None
        network = np.mean([one.logits(seen.dense) for one in self.networks])
        first, second, bias = self.mix
        return self.scale.scores(np.asarray(first * network + second * self._pieces(seen.sparse) + bias))

    def _pieces(self, sparse: Bag) -> float:
        total = float(self.pieces[sparse].sum(dtype=np.int64)) * self.unit
        return total / float(np.sqrt(max(1, int(np.count_nonzero(sparse < BUCKETS))))) + self.bias


@dataclass(slots=True)
class Heads:
    """The heads by label, and the weights of `CLASSES`."""

    of: dict[str, Head] = field(default_factory=dict)
    which: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    @classmethod
    def none(cls) -> Self:
        return cls()

    @classmethod
    def read(cls, path: Path = WEIGHTS) -> Self:
        """Read the heads from their file."""
        with np.load(path, allow_pickle=False) as kept:
            heads = cls()
            for label in kept["labels"]:
                heads.of[str(label)] = _head(kept, str(label))
            for label in CLASSES:
                if f"{label}/weights" in kept:
                    heads.which[label] = kept[f"{label}/weights"].astype(np.float32), kept[f"{label}/biases"]
        return heads

    def save(self, path: Path) -> None:
        """Write the heads to a file: the same heads are the same bytes."""
        parts: dict[str, Array] = {"labels": np.array(list(self.of))}
        for label, head in self.of.items():
            parts |= {f"{label}/{name}": part for name, part in _parts(head).items()}
        for label, (weights, biases) in self.which.items():
            parts |= {f"{label}/weights": weights.astype(np.float16), f"{label}/biases": biases}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, allow_pickle=False, **parts)

    def learn_classes(self, label: str, weights: Array, biases: Array) -> None:
        """Keep the weights with which one of `CLASSES` is told."""
        self.which[label] = weights.astype(np.float16).astype(np.float32), biases

    def scores(self, labels: Sequence[str], seen: Features) -> dict[str, float]:
        """Return how sure the heads of these labels are."""
        return {label: self.of[label].score(seen) for label in labels}

    def which_of(self, label: str, seen: Features) -> str | None:
        """Return the likeliest of `CLASSES`; None without the encoder, which alone tells them apart."""
        if seen.dense is None:
            return None
        weights, biases = self.which[label]
        return CLASSES[label][int(np.argmax(weights @ seen.dense + biases))]


def _parts(head: Head) -> dict[str, Array]:
    numbers = (head.unit, head.bias, *head.mix, *head.alone)
    lines = (head.scale.slope, head.scale.offset, head.scale_alone.slope, head.scale_alone.offset)
    return {
        "inner": np.stack([one.inner for one in head.networks]).astype(np.float16),
        "inner_bias": np.stack([one.inner_bias for one in head.networks]).astype(np.float16),
        "outer": np.stack([one.outer for one in head.networks]).astype(np.float16),
        "outer_bias": np.array([one.outer_bias for one in head.networks]),
        "pieces": head.pieces,
        "numbers": np.array([*numbers, *lines]),
    }


def _head(kept: Mapping[str, Array], label: str) -> Head:
    def part(name: str) -> Array:
        return kept[f"{label}/{name}"]

    unit, bias, first, second, third, one, other, *lines = map(float, part("numbers"))
    networks = zip(part("inner"), part("inner_bias"), part("outer"), part("outer_bias"), strict=True)
    return Head(
        networks=[
            Network(
                inner.astype(np.float32), inner_bias.astype(np.float32), outer.astype(np.float32), float(outer_bias)
            )
            for inner, inner_bias, outer, outer_bias in networks
        ],
        pieces=part("pieces"),
        unit=unit,
        bias=bias,
        mix=(first, second, third),
        alone=(one, other),
        scale=Scale(*lines[:2]),
        scale_alone=Scale(*lines[2:]),
    )
