"""The figures of a model card: evaluations as tables in Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from adjourn.lab.evaluate import LEVELS, Evaluated, Label, Level
from adjourn.lab.labelled import AXES
from adjourn.lab.report import figures


def card_tables(evaluations: Mapping[str, Evaluated]) -> str:
    """Return the tables of all evaluations (by the name of their source): by flag, then by kind, voice, language.

    Every share stands with its 95 % interval and its n. A group of which nothing is known has no row.
    """
    return "\n".join(_lines(evaluations)).strip() + "\n"


def _lines(evaluations: Mapping[str, Evaluated]) -> Iterator[str]:
    for name in LEVELS:
        found = {
            source: label for source, result in evaluations.items() for label in result.labels if label.label == name
        }
        if found:
            yield from (f"### {name}", "", *_sources(found), "")
        for source, label in found.items():
            if label.unread:
                yield from (f"{_cell(source)}: messages that some detector could not read: {label.unread}.", "")
        for axis in AXES:
            rows = [
                [group.name, source, *_figures(group.levels)]
                for source, label in found.items()
                for group in label.groups
                if group.axis == axis
            ]
            if rows:
                yield from (*_table([f"by {axis}", "in", *_heads(name)], rows), "")


def _sources(found: Mapping[str, Label]) -> Iterator[str]:
    """Yield the table of the sources as a whole."""
    rows = [
        [source, *_figures(label.levels), "-" if label.auroc is None else f"{label.auroc:.3f}"]
        for source, label in found.items()
    ]
    return _table(["source", *_heads(next(iter(found.values())).label), "AUROC"], rows)


def _heads(label: str) -> list[str]:
    flags = LEVELS[label]
    recall, false = ([f"{flag}: {what}" for flag in flags] for what in ("recall", "false positives"))
    return ["positive", *recall, "negative", *false]


def _figures(levels: Sequence[Level]) -> list[str]:
    recall, false = [level.recall for level in levels], [level.false_positives for level in levels]
    return [str(recall[0].of), *map(figures, recall), str(false[0].of), *map(figures, false)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    """Return a text that does not end its cell."""
    return " ".join(text.split()).replace("|", "\\|")
