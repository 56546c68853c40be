"""What is kept: conversations listed, explained, written out, checked, erased; a reviewer's acts; feedback."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from adjourn.cli.database import named, now, with_store
from adjourn.cli.options import db_option
from adjourn.core import acts
from adjourn.core.events import Answer, Claimed, Event, UserReceived
from adjourn.core.explain import explain
from adjourn.core.tree import Tree
from adjourn.store import Store
from adjourn.store.erase import erase
from adjourn.store.export import export, exported_time, markdown
from adjourn.store.feedback import feedback_csv, feedback_lines
from adjourn.store.verify import verify


@click.command("list")
@db_option
def list_command(db: str) -> None:
    """List conversations, the newest first: a table on a terminal, else lines of JSON."""
    found = with_store(db, lambda store: store.conversations())
    if not sys.stdout.isatty():
        for line in found:
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        return
    table = Table("newest message", "messages", "state")
    table.add_column("conversation", no_wrap=True, overflow="ignore", min_width=36)  # to be copied
    for line in found:
        state = [*(["held"] if line.held else []), *(["closed"] if line.ended else [])]
        table.add_row(exported_time(line.last_at)[:16], str(line.messages), " ".join(state), line.id)
    Console().print(table)


@click.command("explain")
@click.argument("conversation")
@db_option
def explain_command(conversation: str, db: str) -> None:
    """Say what happened in a conversation and why: every stage change and decision, with its evidence."""

    async def read(store: Store) -> tuple[str, list[Event], dict[str, str]]:
        found = await named(store, conversation)
        texts = await store.texts(found)
        events = [row.event for row in await store.read(found)]
        return found, events, {node: kept.text for node, kept in texts.items()}

    found, events, texts = with_store(db, read)
    taken = [event for event in events if isinstance(event, UserReceived | Claimed | Answer)]
    number = {event.node: index for index, event in enumerate(taken, 1)}
    for event in taken:
        text = " ".join(texts.get(event.node, "(no text is kept)").split())
        stage = "" if isinstance(event, Claimed) else f", {event.stage}"
        click.echo(f"{number[event.node]:>4}  {event.kind}{stage}  {text[:80]}")
    click.echo()
    for sentence in explain(found, events, lambda node: f"message {number.get(node, '(refused)')}"):
        click.echo(sentence)


@click.command("verify")
@db_option
def verify_command(db: str) -> None:
    """Check hash chains and texts, and decide everything again from the log. Exit status 1 if anything is wrong."""

    async def check(store: Store) -> int:
        policies, wrong, events, again, chained = await store.policies(), 0, 0, 0, 0
        conversations = await store.ids()
        for conversation in conversations:
            found = await verify(store, conversation, policies)
            events, again, chained = events + found.events, again + found.again, chained + found.only_chained
            wrong += len(found.faults)
            for fault in found.faults:
                click.echo(f"{conversation}: {fault}")
        click.echo(f"{len(conversations)} conversations, {events} events: {again} decisions came out the same again,")
        click.echo(f"{chained} could only be chained; {wrong} faults.")
        return wrong

    sys.exit(1 if with_store(db, check) else 0)


@click.command("export")
@click.argument("conversation")
@click.option("--format", "form", type=click.Choice(["json", "markdown"]), default="json", show_default=True)
@db_option
def export_command(conversation: str, form: str, db: str) -> None:
    """Write a conversation, with all its branches and receipts, as JSON or Markdown."""

    async def read(store: Store) -> dict[str, Any]:
        found = await named(store, conversation)
        events = [row.event for row in await store.read(found)]
        return export(found, events, await store.texts(found))

    exported = with_store(db, read)
    if form == "markdown":
        click.echo(markdown(exported), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(exported), indent=2))


@click.command("erase")
@click.argument("conversation")
@db_option
def erase_command(conversation: str, db: str) -> None:
    """Erase the texts of a conversation, with salts, look-up digests, quoted evidence and the words of feedback.

    CONVERSATION: its id, or the number of a receipt (AJ-…). The chain still verifies.
    """

    async def run(store: Store) -> str:
        found = await named(store, conversation)
        await erase(store, found, now())
        return found

    click.echo(f"{with_store(db, run)}: erased")


def _act(name: str, says: str, done: str, act: Callable[[Tree, str, int], acts.Events]) -> click.Command:
    """Make the command of a reviewer's act, which is recorded with its reason."""

    @click.command(name, help=says)
    @click.argument("conversation")
    @click.option("--reason", required=True, help="Why: it is recorded.")
    @db_option
    def command(conversation: str, reason: str, db: str) -> None:
        async def run(store: Store) -> str:
            found = await named(store, conversation)
            await store.commit(found, lambda tree: act(tree, reason, now()))
            return found

        click.echo(f"{with_store(db, run)}: {done}")

    return command


reopen_command = _act("reopen", "Remove every end of a conversation; a hold stays.", "reopened", acts.reopen)
lift_command = _act("lift", "Lift the hold of a conversation; ends stay.", "the hold is lifted", acts.lift)


@click.group("feedback")
def feedback_group() -> None:
    """Read what people said about conversations."""


@feedback_group.command("export")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only what came since (UTC).")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@db_option
def feedback_export(since: datetime | None, form: str, db: str) -> None:
    """Write what people said on the page and through the API, in the order in which it came.

    jsonl: a line of JSON each. csv: a table with a head; what a spreadsheet would take for a formula
    gets an apostrophe.
    """
    start = round(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
    found = with_store(db, lambda store: store.feedback(since=start))
    if form == "csv":
        sys.stdout.write(feedback_csv(found))
    else:
        sys.stdout.buffer.writelines(feedback_lines(found))
