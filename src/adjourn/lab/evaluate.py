"""How well the detectors see, against what people said of each message: by flag, and by group."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adjourn.core.reading import Flag, Reading
from adjourn.lab.curve import Curve, auroc, curve
from adjourn.lab.interval import Share, share
from adjourn.lab.labelled import AXES, OF_MESSAGES, Labelled, plain
from adjourn.signals import Detectors

LEVELS: Mapping[str, tuple[Flag, ...]] = {
    **{name: (Flag(name),) for name in OF_MESSAGES},
    "harmful": (Flag.HARMFUL, Flag.HARMFUL_COUNT),
    "abusive": (Flag.ABUSIVE, Flag.ABUSIVE_COUNT),
    "risk": (Flag.RISK, Flag.RISK_CLEAR),
}
"""The flags that are held against each label, the lower threshold first."""

WORST = 5
CUT = 100
"""How many errors of a kind are shown, and how many characters of each."""


@dataclass(frozen=True, slots=True)
class Level:
    """How often a flag was raised: where it should be, and where it should not."""

    flag: Flag
    recall: Share
    false_positives: Share


@dataclass(frozen=True, slots=True)
class Group:
    """The same among the rows of one group, `lang` = `it`, say."""

    axis: str
    name: str
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Error:
    """One message that was seen wrongly, at the lower threshold."""

    id: str
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """How one label was seen. `unread`: messages that a detector could not read; they count by what the others saw."""

    label: str
    positive: int
    negative: int
    unread: int
    auroc: float | None
    levels: tuple[Level, ...]
    curve: Curve
    groups: tuple[Group, ...]
    highest_negatives: tuple[Error, ...]
    lowest_positives: tuple[Error, ...]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All of it. `skipped`: lines that could not be read; `unlabelled`: rows of which no label says anything."""

    rows: int
    skipped: int
    unlabelled: int
    unknown_labels: Mapping[str, int]
    detectors: str
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One message, what is true of it, and what was seen."""

    id: str
    text: str
    groups: Mapping[str, str]
    true: bool
    score: float
    flags: frozenset[Flag]
    failed: bool


class Evaluation:
    """Reads labelled messages as they come; the order makes no difference."""

    def __init__(self, detectors: Detectors) -> None:
        self._detectors = detectors
        self._rows = 0
        self._unlabelled = 0
        self._unknown: Counter[str] = Counter()
        self._cases: dict[str, list[_Case]] = defaultdict(list)

    def add(self, row: Labelled) -> None:
        """Read the messages that a row's labels speak of."""
        self._rows += 1
        self._unlabelled += not row.truths
        self._unknown.update(row.unknown)
        for role in dict.fromkeys(OF_MESSAGES[name] for name in row.truths):
            text, reading = self._read(row, role)
            for name, true in row.truths.items():
                if OF_MESSAGES[name] == role:
                    self._cases[name].append(
                        _Case(
                            id=plain(row.transcript.id),
                            text=plain(text[: 4 * CUT])[:CUT],
                            groups=row.groups,
                            true=true,
                            score=reading.scores.get(name, 0.0),
                            flags=reading.flags,
                            failed=bool(reading.failed),
                        )
                    )

    def _read(self, row: Labelled, role: str) -> tuple[str, Reading]:
        messages = row.transcript.messages
        index = max(place for place, message in enumerate(messages) if message.role == role)
        text = messages[index].text
        if role == "assistant":
            return text, self._detectors.assistant(text)
        return text, self._detectors.user(text, [(before.role, before.text) for before in messages[:index]])

    def result(self, skipped: int) -> Evaluated:
        """Return how everything was seen that was added; `skipped` lines were not."""
        labels = tuple(_label(name, self._cases[name]) for name in OF_MESSAGES if self._cases[name])
        unknown = dict(sorted(self._unknown.items()))
        return Evaluated(self._rows, skipped, self._unlabelled, unknown, self._detectors.version, labels)


def _label(name: str, cases: Sequence[_Case]) -> Label:
    positives, negatives = (sorted(case.score for case in cases if case.true is true) for true in (True, False))
    seen = LEVELS[name][0]
    wrong = sorted((case for case in cases if (seen in case.flags) is not case.true), key=_by_score)
    return Label(
        label=name,
        positive=len(positives),
        negative=len(negatives),
        unread=sum(case.failed for case in cases),
        auroc=auroc(positives, negatives),
        levels=_levels(name, cases),
        curve=curve(positives, negatives),
        groups=tuple(_groups(name, cases)),
        highest_negatives=tuple(_error(case) for case in reversed(wrong) if not case.true)[:WORST],
        lowest_positives=tuple(_error(case) for case in wrong if case.true)[:WORST],
    )


def _levels(name: str, cases: Sequence[_Case]) -> tuple[Level, ...]:
    there = [case.flags for case in cases if case.true]
    absent = [case.flags for case in cases if not case.true]
    return tuple(
        Level(
            flag,
            recall=share(sum(flag in flags for flags in there), len(there)),
            false_positives=share(sum(flag in flags for flags in absent), len(absent)),
        )
        for flag in LEVELS[name]
    )


def _groups(name: str, cases: Sequence[_Case]) -> Iterator[Group]:
    for axis in AXES:
        among: dict[str, list[_Case]] = defaultdict(list)
        for case in cases:
            if axis in case.groups:
                among[case.groups[axis]].append(case)
        for group, found in sorted(among.items()):
            yield Group(axis, group, _levels(name, found))


def _by_score(case: _Case) -> tuple[float, str, str]:
    return case.score, case.id, case.text


def _error(case: _Case) -> Error:
    return Error(case.id, case.score, case.text)
