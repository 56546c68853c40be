"""Recorded conversations: what the detectors see in them, and what would have happened."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from adjourn.cli.options import files_argument, mode_option, policy_option
from adjourn.lab.replay import Assistant, replay
from adjourn.lab.signals import message_signals
from adjourn.lab.summary import Summary
from adjourn.lab.transcript import Reader, Transcript
from adjourn.settings import load_policy
from adjourn.signals import local


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
def replay_command(files: Sequence[BinaryIO], policy: Path | None, mode: str | None, assistant: Assistant) -> None:
    """Say what would have happened in recorded conversations (JSONL), a line of JSON each.

    FILES, or standard input: lines of {"id", "messages": [{"role", "content"}]}. A summary goes to standard error.
    """
    rules = load_policy(policy, mode)
    detectors = local(rules.thresholds)
    summary = Summary()

    def lines(transcript: Transcript) -> Iterator[Any]:
        result = replay(transcript, detectors, rules, Assistant(assistant))
        summary.add(result)
        yield result

    clean = _stream(files, lines)
    for line in summary.lines():
        click.echo(line, err=True)
    sys.exit(0 if clean else 1)


@click.command("signals")
@files_argument
@policy_option
def signals_command(files: Sequence[BinaryIO], policy: Path | None) -> None:
    """Say what the detectors see in each message of recorded conversations (JSONL), a line of JSON a message."""
    detectors = local(load_policy(policy).thresholds)
    sys.exit(0 if _stream(files, lambda transcript: message_signals(transcript, detectors)) else 1)


def _stream(files: Sequence[BinaryIO], lines: Callable[[Transcript], Iterator[Any]]) -> bool:
    """Write JSON lines for each conversation of the files; return whether every line could be read."""
    encoder, reader, output = msgspec.json.Encoder(), Reader(), sys.stdout.buffer
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.completed} conversations"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        for file in files or (sys.stdin.buffer,):
            for read in reader.read(file, getattr(file, "name", "standard input")):
                if isinstance(read, Transcript):
                    output.writelines(encoder.encode(line) + b"\n" for line in lines(read))
                    progress.advance(task)
                else:
                    errors.print(str(read), markup=False)
    output.flush()
    if reader.bad:
        errors.print(f"{reader.bad} lines could not be read, and were skipped")
    return reader.bad == 0
