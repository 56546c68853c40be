"""Recorded conversations: what the detectors see in them, what would have happened, and how well both was judged."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from adjourn.cli.options import files_argument, mode_option, policy_option
from adjourn.lab.curve import BLOCKS, SIGNS
from adjourn.lab.evaluate import Evaluation
from adjourn.lab.labelled import Labelled, labelled_conversation, labelled_message
from adjourn.lab.outcomes import OutcomeEvaluation
from adjourn.lab.replay import Assistant, replay
from adjourn.lab.report import evaluated_lines, outcome_lines
from adjourn.lab.signals import message_signals
from adjourn.lab.summary import Summary
from adjourn.lab.transcript import BadLine, Reader, Transcript, parse
from adjourn.settings import load_policy
from adjourn.signals import local

T = TypeVar("T")
Result = TypeVar("Result", covariant=True)

_evaluate = click.option("--evaluate", is_flag=True, help="Hold it against the labels of the rows: docs/evaluate.md.")
_json = click.option("--json", "as_json", is_flag=True, help="With --evaluate: one object of JSON instead of lines.")


@click.command("replay")
@files_argument
@policy_option
@mode_option
@click.option(
    "--assistant",
    type=click.Choice([assistant.value for assistant in Assistant]),
    default=Assistant.RECORDED.value,
    show_default=True,
    help="recorded: the answers as they are. worst: the assistant that brings an end soonest.",
)
@_evaluate
@_json
def replay_command(
    files: Sequence[BinaryIO], policy: Path | None, mode: str | None, assistant: str, evaluate: bool, as_json: bool
) -> None:
    """Say what would have happened in recorded conversations (JSONL), a line of JSON each.

    FILES, or standard input: lines of {"id", "messages": [{"role", "content"}]}. A summary goes to standard error.
    With --evaluate: how often it happened and when, by group, and where it should not have.
    """
    rules, answers = load_policy(policy, mode), Assistant(assistant)
    detectors = local(rules.thresholds)
    _only_with(evaluate, as_json)
    if evaluate:
        outcomes = OutcomeEvaluation(detectors, rules, answers)
        sys.exit(0 if _held_against(files, labelled_conversation, outcomes, _unshaded(outcome_lines), as_json) else 1)
    summary = Summary()

    def lines(transcript: Transcript) -> Iterator[Any]:
        result = replay(transcript, detectors, rules, answers)
        summary.add(result)
        yield result

    clean = _stream(files, lines)
    for line in summary.lines():
        click.echo(line, err=True)
    sys.exit(0 if clean else 1)


@click.command("signals")
@files_argument
@policy_option
@_evaluate
@_json
def signals_command(files: Sequence[BinaryIO], policy: Path | None, evaluate: bool, as_json: bool) -> None:
    """Say what the detectors see in each message of recorded conversations (JSONL), a line of JSON a message.

    With --evaluate: how well they see it, by flag and by group, and where they were most wrong.
    """
    detectors = local(load_policy(policy).thresholds)
    _only_with(evaluate, as_json)
    if evaluate:
        sys.exit(0 if _held_against(files, labelled_message, Evaluation(detectors), evaluated_lines, as_json) else 1)
    sys.exit(0 if _stream(files, lambda transcript: message_signals(transcript, detectors)) else 1)


class _Judged(Protocol[Result]):
    """Takes labelled rows one by one, and says at the end what came of them."""

    def add(self, row: Labelled) -> None: ...

    def result(self, skipped: int) -> Result: ...


def _only_with(evaluate: bool, as_json: bool) -> None:
    if as_json and not evaluate:
        raise click.UsageError("--json belongs to --evaluate: without it every line is JSON already")


def _unshaded(lines: Callable[[T], Iterator[str]]) -> Callable[[T, str], Iterator[str]]:
    """Return the same for a report without pictures."""
    return lambda result, _: lines(result)


def _held_against(
    files: Sequence[BinaryIO],
    parse_row: Callable[[bytes, int], Labelled],
    judged: _Judged[T],
    lines: Callable[[T, str], Iterator[str]],
    as_json: bool,
) -> bool:
    """Write what labelled rows say of the detectors; return whether every line could be read."""
    reader = Reader()
    for row in _each(files, reader, parse_row):
        judged.add(row)
    result = judged.result(reader.bad)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result), indent=2))
        return reader.bad == 0
    encoding = sys.stdout.encoding or "ascii"
    for line in lines(result, _shades(encoding)):
        click.echo(line.encode(encoding, "replace").decode(encoding))
    return reader.bad == 0


def _shades(encoding: str) -> str:
    """Return what a picture can be drawn with here."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return SIGNS
    return BLOCKS


def _stream(files: Sequence[BinaryIO], lines: Callable[[Transcript], Iterator[Any]]) -> bool:
    """Write JSON lines for each conversation of the files; return whether every line could be read."""
    encoder, reader, output = msgspec.json.Encoder(), Reader(), sys.stdout.buffer
    for transcript in _each(files, reader, parse):
        output.writelines(encoder.encode(line) + b"\n" for line in lines(transcript))
    output.flush()
    return reader.bad == 0


def _each(files: Sequence[BinaryIO], reader: Reader, parse_line: Callable[[bytes, int], T]) -> Iterator[T]:
    """Yield what stands in the lines of the files, with a progress bar; say which could not be read."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.completed} conversations"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        for file in files or (sys.stdin.buffer,):
            for read in reader.each(file, getattr(file, "name", "standard input"), parse_line):
                if isinstance(read, BadLine):
                    errors.print(str(read), markup=False)
                else:
                    yield read
                    progress.advance(task)
    if reader.bad:
        errors.print(f"{reader.bad} lines could not be read, and were skipped")
