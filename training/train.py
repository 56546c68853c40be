"""Make the weights of the trained detectors, byte for byte, from the rows.

For each label: a small network over what the encoder makes of a message and of what came before it (three times, from
other beginnings), a logistic regression over hashed pieces, and a logistic regression over what the two say of voices
that they have not seen. Thresholds are set on the same: no row has a say in how it is scored itself.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from adjourn.signals.detector import OF_ASSISTANTS, OF_USERS
from adjourn.signals.encoder import Encoder, encoder, fault
from adjourn.signals.features import Features
from adjourn.signals.heads import CLASSES, WEIGHTS, Head, Heads, Network, Scale
from adjourn.signals.ngrams import BUCKETS
from adjourn.signals.trained import Trained
from training.rows import DATA, HERE, PUBLIC, MissingData, Row, ours, public

FOLDS = 5
HIDDEN, BEGINNINGS, ITERATIONS, DECAY = 48, 2, 30, 1.0
SPARSE_C, CLASS_C = 30.0, 1.0

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """The rows of one role, as the heads see them."""

    rows: Sequence[Row]
    dense: Array
    sparse: csr_matrix
    groups: npt.NDArray[np.int64]
    weights: Array


def seen(rows: Sequence[Row], features: Sequence[Features], columns: int) -> Seen:
    """Return the rows with their features."""
    bags = [one.sparse for one in features]
    values = [np.full(len(bag), 1 / np.sqrt(max(1, int(np.count_nonzero(bag < BUCKETS))))) for bag in bags]
    starts = np.cumsum([0, *map(len, bags)])
    indices = np.concatenate(bags).astype(np.int64)
    sparse = csr_matrix((np.concatenate(values), indices, starts), shape=(len(rows), columns))
    voices = {voice: number for number, voice in enumerate(sorted({row.voice for row in rows}))}
    # Public files are one voice each, of many people: their rows are dealt out.
    groups = [voices[row.voice] if row.weight == 1 else 1000 + number % 50 for number, row in enumerate(rows)]
    dense = np.stack([one.dense for one in features if one.dense is not None])
    return Seen(rows, dense, sparse, np.array(groups), np.array([row.weight for row in rows]))


def balanced(truth: npt.NDArray[np.bool_], weights: Array) -> Array:
    """Return the weights with which the rarer side counts for more, by the root of how rare it is."""
    more = np.sqrt(weights[~truth].sum() / weights[truth].sum())
    return np.asarray(weights * np.where(truth, more, 1.0))


def stressed(rows: Sequence[Row], truth: npt.NDArray[np.bool_], rule: Mapping[str, Any]) -> Array:
    """Return how much more the rows count that must not be flagged."""
    more = np.ones(len(rows))
    for kinds, times in rule.get("stress", {}).items():
        more[~truth & np.array([row.kind.startswith(tuple(kinds.split())) for row in rows])] = times
    return more


def networks(dense: Array, truth: npt.NDArray[np.bool_], weights: Array) -> list[Network]:
    """Train the network from some beginnings."""
    made = []
    for beginning in range(BEGINNINGS):
        model = MLPClassifier((HIDDEN,), alpha=DECAY, max_iter=ITERATIONS, random_state=beginning)
        model.n_iter_no_change = ITERATIONS
        with catch_warnings():  # it stops when it has run so often, and not before: that is what is wanted
            simplefilter("ignore", ConvergenceWarning)
            model.fit(dense, truth, sample_weight=weights)
        (first, second), (inner, outer) = model.coefs_, model.intercepts_
        made.append(Network.of(first, inner, second[:, 0], outer[0]))
    return made


def regression(sparse: csr_matrix, truth: npt.NDArray[np.bool_], weights: Array) -> tuple[Array, float]:
    """Train a regression over pieces; return its weights and its bias."""
    model = LogisticRegression(C=SPARSE_C, max_iter=500).fit(sparse, truth, sample_weight=weights)
    return model.coef_[0], float(model.intercept_[0])


def said_by(made: Sequence[Network], dense: Array) -> Array:
    """Return what the networks say of each row: the mean of their logits."""
    return np.asarray(np.mean([network.logits(dense) for network in made], axis=0))


def head(label: str, data: Seen, rule: Mapping[str, Any]) -> tuple[Head, Array]:
    """Train the head of a label; return it, and what it says of each row without having seen its voice (else nan)."""
    with threadpool_limits(1):  # sums in another order would be other sums
        return _head(label, data, rule)


def _head(label: str, data: Seen, rule: Mapping[str, Any]) -> tuple[Head, Array]:
    known = np.array([row.labels.get(label) is not None for row in data.rows])
    truth = np.array([bool(row.labels.get(label)) for row in data.rows])
    index = np.flatnonzero(known)
    weights = balanced(truth[index], data.weights[index] * stressed(data.rows, truth, rule)[index])
    unseen = np.full((len(data.rows), 2), np.nan)
    for learn, test in GroupKFold(FOLDS).split(index, groups=data.groups[index]):
        at, on = index[learn], index[test]
        made = networks(data.dense[at], truth[at], weights[learn])
        pieces, bias = regression(data.sparse[at], truth[at], weights[learn])
        unseen[on, 0] = said_by(made, data.dense[on])
        unseen[on, 1] = data.sparse[on] @ pieces + bias
    mix = LogisticRegression(C=1.0).fit(unseen[index], truth[index], sample_weight=weights)
    alone = LogisticRegression(C=1.0).fit(unseen[index, 1:], truth[index], sample_weight=weights)
    whole = np.full(len(data.rows), np.nan)
    whole[index] = mix.decision_function(unseen[index])
    pieces_alone = np.full(len(data.rows), np.nan)
    pieces_alone[index] = alone.decision_function(unseen[index, 1:])
    made = networks(data.dense[index], truth[index], weights)
    pieces, bias = regression(data.sparse[index], truth[index], weights)
    trained = Head.of(
        networks=made,
        pieces=pieces,
        bias=bias,
        mix=(*mix.coef_[0], mix.intercept_[0]),
        alone=(*alone.coef_[0], alone.intercept_[0]),
        scale=scale(label, data.rows, truth, whole, rule),
        scale_alone=scale(label, data.rows, truth, pieces_alone, rule),
    )
    return trained, whole


def scale(label: str, rows: Sequence[Row], truth: npt.NDArray[np.bool_], said: Array, rule: Mapping[str, Any]) -> Scale:
    """Return how what a head says becomes a score: 0.5 at the lower threshold, 0.8 at the upper.

    A threshold is where so much is found (`recall`), but not below where so many of others would be (`at_most`).
    """
    low = threshold(rows, truth, said, rule["lower"])
    high = max(threshold(rows, truth, said, rule["upper"]), low + 0.1) if "upper" in rule else low + float(np.log(4))
    return Scale.between(low, high)


def threshold(rows: Sequence[Row], truth: npt.NDArray[np.bool_], said: Array, rule: Mapping[str, Any]) -> float:
    """Return the lowest value that keeps within the bounds, or the one that finds enough if that is higher."""
    own = np.array([row.weight == 1 for row in rows]) & ~np.isnan(said)
    least = -np.inf
    for kinds, share in rule["at_most"].items():
        names = tuple(kinds.split())
        among = ~np.isnan(said) & ~truth & np.array([row.kind.startswith(names) for row in rows])
        if among.any():
            least = max(least, float(np.quantile(said[among], 1 - share)))
    enough = float(np.quantile(said[own & truth], 1 - rule["recall"]))
    # In doubt the conversation goes on: what keeps it open is found at any price, what may close it within bounds only.
    return min(enough, least) if rule.get("find") else max(enough, least)


def classes(data: Seen, names: Sequence[str], label: str) -> tuple[Array, Array]:
    """Train which of several a row is; return weights (dense and pieces joined) and biases."""
    index = np.flatnonzero([row.labels.get(label) in names for row in data.rows])
    which = np.array([names.index(data.rows[int(place)].labels[label]) for place in index])
    made = []
    for number in range(len(names)):
        dense = LogisticRegression(C=CLASS_C, class_weight="balanced", max_iter=500)
        dense.fit(data.dense[index], which == number)
        made.append((dense.coef_[0], dense.intercept_[0]))
    return np.stack([weights for weights, _ in made]), np.array([bias for _, bias in made])


def user_features(rows: Sequence[Row], heads: Heads, model: Encoder) -> list[Features]:
    """Return what is seen of persons' messages, once the heads of assistants' are there."""
    trained = Trained(heads, model)
    return [trained.user_features(row.text, row.messages[:-1]) for row in rows]


def train(rows: Sequence[Row], model: Encoder) -> tuple[Heads, dict[str, tuple[Seen, Array]]]:
    """Train all heads; return them, and what each says of rows whose voices it has not seen."""
    rules = tomllib.loads((HERE / "thresholds.toml").read_text(encoding="utf-8"))
    heads, unseen = Heads.none(), dict[str, tuple[Seen, Array]]()
    said = [row for row in rows if row.role == "assistant"]
    asked = [row for row in rows if row.role == "user"]
    data = seen(said, [Trained(heads, model).assistant_features(row.text) for row in said], BUCKETS)
    learn(OF_ASSISTANTS, data, rules, heads, unseen)
    data = seen(asked, user_features(asked, heads, model), 2 * BUCKETS)
    learn(OF_USERS, data, rules, heads, unseen)
    for label, names in CLASSES.items():
        heads.learn_classes(label, *classes(data, names, label))
    return heads, unseen


def learn(
    labels: Sequence[str], data: Seen, rules: Mapping[str, Any], heads: Heads, unseen: dict[str, tuple[Seen, Array]]
) -> None:
    """Train the heads of these labels, beside each other; each is the same, wherever it is trained."""
    made = Parallel(n_jobs=-1)(delayed(head)(label, data, rules[label]) for label in labels)
    for label, (trained, out) in zip(labels, made, strict=True):
        heads.of[label], unseen[label] = trained, (data, out)


def main() -> int:
    """Run `make train`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--to", type=Path, default=WEIGHTS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--public", type=Path, default=Path(os.environ.get(PUBLIC, HERE.parent.parent / "shared/data")))
    parser.add_argument("--without-public", action="store_true", help="learn from our own rows only: other weights")
    options = parser.parse_args()
    model = encoder()
    if model is None:
        print(f"the encoder cannot be used: {fault()}", file=sys.stderr)
        return 1
    try:
        rows = [*ours(options.data), *([] if options.without_public else public(options.public))]
    except MissingData as missing:
        print(f"the same weights need the public files too:\n{missing}", file=sys.stderr)
        return 1
    heads, unseen = train(rows, model)
    heads.save(options.to)
    for label, (data, out) in unseen.items():
        report(label, data, out, heads.of[label])
    return 0


def report(label: str, data: Seen, out: Array, made: Head) -> None:
    """Print what a head finds in voices that it has not seen, by kind, at both thresholds."""
    scores = made.scale.scores(out)
    print(f"{label}: {np.count_nonzero(~np.isnan(out)):,} rows")
    for kind in sorted({row.kind for row in data.rows}):
        among = np.array([row.kind == kind for row in data.rows]) & ~np.isnan(out)
        if among.any() and (scores[among] >= 0.5).any():
            low, high = np.mean(scores[among] >= 0.5), np.mean(scores[among] >= 0.8)
            print(f"  {kind:<22} {among.sum():>6}  {low:6.1%}  {high:6.1%}")


if __name__ == "__main__":
    sys.exit(main())
