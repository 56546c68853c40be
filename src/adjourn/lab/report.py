"""What was evaluated, as lines that a person reads on any terminal."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from adjourn.lab import outcomes
from adjourn.lab.curve import BLOCKS, picture
from adjourn.lab.evaluate import Error, Evaluated, Group, Label, Level
from adjourn.lab.interval import Share, share
from adjourn.lab.outcomes import Outcomes

NOTHING = "-"
HEADS = ("recall", "", "false positives", "")


def evaluated_lines(result: Evaluated, shades: str = BLOCKS) -> Iterator[str]:
    """Yield what the detectors saw, label by label; `shades` is what pictures are drawn with."""
    yield f"rows {result.rows}, detectors {result.detectors}"
    yield from _left_out(result)
    for label in result.labels:
        yield ""
        yield from _label_lines(label, shades)


def _label_lines(label: Label, shades: str) -> Iterator[str]:
    sure = "no AUROC" if label.auroc is None else f"AUROC {label.auroc:.3f}"
    yield f"{label.label}: {label.positive} positive, {label.negative} negative, {sure}"
    if label.unread:
        yield f"  messages that some detector could not read: {label.unread}"
    yield from _indented([["", *HEADS], *_level_rows(label.levels)])
    if label.curve:
        yield from ("", "  recall by the score")
        yield from (f"  {line}" for line in picture(label.curve, shades))
    for axis, groups in groupby(label.groups, lambda group: group.axis):
        yield from ("", *_indented([[f"by {axis}", "", *HEADS], *_group_rows(groups)]))
    yield from _errors("flagged, though it is not", label.highest_negatives)
    yield from _errors("not flagged, though it is", label.lowest_positives)


def _group_rows(groups: Iterable[Group]) -> Iterator[list[str]]:
    for group in groups:
        for place, row in enumerate(_level_rows(group.levels)):
            yield ["" if place else group.name, *row]


def _level_rows(levels: Sequence[Level]) -> Iterator[list[str]]:
    for level in levels:
        yield [level.flag, *_figures(level.recall), *_figures(level.false_positives)]


def _errors(what: str, errors: Sequence[Error]) -> Iterator[str]:
    if errors:
        yield from ("", f"  worst errors: {what}")
        yield from (f"    {error.score:.2f}  {error.id}  {error.text}" for error in errors)


def outcome_lines(result: Outcomes) -> Iterator[str]:
    """Yield what would have happened, group by group."""
    yield f"conversations {result.conversations}, assistant {result.assistant}, policy {result.policy}"
    yield f"detectors {result.detectors}"
    yield from _left_out(result)
    for group in result.groups:
        yield from ("", f"{group.axis} {group.name}: {group.conversations}" if group.axis else "all")
        yield from _indented([_step_row(step) for step in group.steps if step.share.count])
        if never := [outcomes.STEPS[step.step] for step in group.steps if not step.share.count]:
            yield f"  never, {_interval(group.conversations)}: {', '.join(never)}"
    for what, mistakes in (("it should not have happened", result.wrongly), ("it should have happened", result.missed)):
        if mistakes:
            yield from ("", f"worst errors: {what}")
        yield from _indented(
            [[mistake.id, f"{mistake.label}:", outcomes.STEPS[mistake.step], _when(mistake)] for mistake in mistakes]
        )


def _when(mistake: outcomes.Mistake) -> str:
    return f"with user message {mistake.at}" if mistake.at else f"not within {mistake.user_messages} user messages"


def _step_row(step: outcomes.Step) -> list[str]:
    when = "" if step.median is None else f"first at user message {step.minimum}, median {step.median:g}"
    return [outcomes.STEPS[step.step], *_figures(step.share), when]


def _interval(conversations: int) -> str:
    """Return how sure it is that something does not happen of which nothing was seen."""
    nothing = share(0, conversations)
    return f"0 of {nothing.of} ({nothing.low * 100:.1f} to {nothing.high * 100:.1f} %)"


def _left_out(result: Evaluated | Outcomes) -> Iterator[str]:
    """Yield what was not counted, so that nobody takes the figures for more than they are."""
    if result.skipped:
        yield f"lines that could not be read, and are not counted: {result.skipped}"
    if result.unlabelled:
        yield f"rows of which no label says anything here: {result.unlabelled}"
    if result.unknown_labels:
        yield f"unknown labels, not counted: {', '.join(result.unknown_labels)}"


def figures(found: Share) -> str:
    """Return a share with its interval, in percent."""
    if found.share is None:
        return NOTHING
    return f"{found.share * 100:.1f} % ({found.low * 100:.1f} to {found.high * 100:.1f} %)"


def _figures(found: Share) -> tuple[str, str]:
    return figures(found), f"{found.count} of {found.of}" if found.of else ""


def _indented(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield f"  {'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))}".rstrip()
