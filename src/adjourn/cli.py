"""The command line."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from adjourn.core import acts
from adjourn.core.errors import AdjournError, CallerError, UnknownConversation
from adjourn.core.events import Answer, Claimed, Event, UserReceived
from adjourn.core.explain import explain
from adjourn.core.machine import Mode
from adjourn.core.tree import Tree
from adjourn.host.words import DEFAULT, languages
from adjourn.lab.replay import Assistant, replay
from adjourn.lab.signals import message_signals
from adjourn.lab.summary import Summary
from adjourn.lab.transcript import Reader, Transcript
from adjourn.settings import (
    HOUR_MS,
    NEVER,
    SETTINGS,
    SettingsFile,
    default_database,
    load_policy,
    load_settings,
    policy_toml,
    retention_ms,
)
from adjourn.signals import local
from adjourn.store import BUSY_SECONDS, Key, Store, key_digest, new_key, open_store
from adjourn.store.erase import erase
from adjourn.store.export import export, exported_time, markdown
from adjourn.store.feedback import feedback_csv, feedback_lines
from adjourn.store.verify import verify
from adjourn.upstream.choice import Named
from adjourn.upstream.client import CONNECT_SECONDS, FORK_SECONDS, READ_SECONDS, Timeouts
from adjourn.version import __version__
from adjourn.web.doctor import Finding, State, examine
from adjourn.web.log import LEVELS
from adjourn.web.serve import ON_STORE_FAILURE, REFUSE, Serving, serve
from adjourn.web.stopping import STOP_SECONDS

T = TypeVar("T")
Command = Callable[..., Any]
DAY_SECONDS = 24 * 3600


class _Group(click.Group):
    """Shows an error of ours as its sentence, with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AdjournError as error:
            raise click.ClickException(str(error)) from error


class _Seconds(click.ParamType[float]):
    """A time: more than nothing, and at most a day."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds <= DAY_SECONDS or isinstance(value, bool):
            self.fail(f"{value!r}: a number of seconds above 0 is needed, at most {DAY_SECONDS} (a day)", param, ctx)
        return seconds


SECONDS = _Seconds()


def setting(name: str, **attributes: Any) -> Callable[[Command], Command]:
    """Return the option of a setting: `--name`, or ADJOURN_NAME, or a line in the settings file."""
    return click.option(
        f"--{name}",
        envvar=f"ADJOURN_{name.upper().replace('-', '_')}",
        show_envvar=True,
        help=SETTINGS[name],
        **attributes,
    )


_db = setting("db", default=default_database, show_default="a file in the user's data directory")
_policy = setting("policy", type=click.Path(dir_okay=False, path_type=Path))
_mode = setting("mode", type=click.Choice([mode.name.lower() for mode in Mode]))
_files = click.argument("files", nargs=-1, type=click.File("rb"))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adjourn")
@click.option(
    "--settings",
    envvar="ADJOURN_SETTINGS",
    show_envvar=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file; by default adjourn.toml in the user's configuration directory, if there is one.",
)
@click.pass_context
def main(ctx: click.Context, settings: Path | None) -> None:
    """Let a chat assistant close a conversation as a last resort, and only when it should."""
    ctx.obj = load_settings(settings)
    ctx.default_map = _defaults(main, ctx.obj.values)


def _defaults(group: click.Group, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every command of a group takes from the settings file."""
    return {
        name: _defaults(command, found) if isinstance(command, click.Group) else dict(found)
        for name, command in group.commands.items()
    }


SERVED = (
    setting("host", default="127.0.0.1", show_default=True),
    setting("port", type=click.IntRange(0, 65535), default=8080, show_default=True),
    setting("upstream"),
    setting("upstream-key"),
    setting("anthropic-upstream"),
    setting("anthropic-upstream-key"),
    setting("model", default=""),
    setting("country"),
    setting("language", type=click.Choice(list(languages())), default=DEFAULT, show_default=True),
    setting("allow-host", multiple=True),
    setting("allow-origin", multiple=True),
    setting("expose-stage", is_flag=True),
    setting("conversation-header", multiple=True),
    setting("task-header", multiple=True),
    setting("retention", default=NEVER, show_default=True),
    setting("connect-timeout", type=SECONDS, default=CONNECT_SECONDS, show_default=True),
    setting("read-timeout", type=SECONDS, default=READ_SECONDS, show_default=True),
    setting("fork-timeout", type=SECONDS, default=FORK_SECONDS, show_default=True),
    setting("busy-timeout", type=SECONDS, default=BUSY_SECONDS, show_default=True),
    setting("stop-timeout", type=SECONDS, default=STOP_SECONDS, show_default=True),
    setting("on-store-failure", type=click.Choice(ON_STORE_FAILURE), default=REFUSE, show_default=True),
    setting("log-level", type=click.Choice(list(LEVELS)), default="info", show_default=True),
    _db,
    _policy,
    _mode,
)
"""The settings of a server, in the order in which they are shown."""


def served(command: Command) -> Command:
    """Give a command the settings file as its first argument, and the settings of a server, for `_serving`."""
    for option in reversed(SERVED):
        command = option(command)
    return click.pass_obj(command)


def _serving(file: SettingsFile, *, db: str, policy: Path | None, mode: str | None, **options: Any) -> Serving:
    return Serving(
        db=db,
        policy=load_policy(policy, mode),
        address=options["host"],
        port=options["port"],
        upstreams=file.upstreams(os.environ),
        upstream=options["upstream"],
        key=options["upstream_key"],
        anthropic_upstream=options["anthropic_upstream"],
        anthropic_key=options["anthropic_upstream_key"],
        model=options["model"],
        country=options["country"],
        language=options["language"],
        hosts=options["allow_host"],
        origins=options["allow_origin"],
        expose_stage=options["expose_stage"],
        conversation_headers=options["conversation_header"],
        task_headers=options["task_header"],
        keep_ms=retention_ms(options["retention"]),
        timeouts=Timeouts(
            connect=options["connect_timeout"], read=options["read_timeout"], fork=options["fork_timeout"]
        ),
        busy_seconds=options["busy_timeout"],
        stop_seconds=options["stop_timeout"],
        log_level=options["log_level"],
        on_store_failure=options["on_store_failure"],
    )


@main.command("serve")
@served
def serve_command(file: SettingsFile, **options: Any) -> None:
    """Serve the chat page at /, and the gateway at /v1."""
    serving = _serving(file, **options)

    def started(address: str) -> None:
        for line in start_lines(serving, address):
            click.echo(line)

    serve(serving, started)


@main.command("doctor")
@served
@click.option("--server", metavar="URL", help="A running server, asked for its conversations instead of the database.")
@click.option(
    "--server-key",
    envvar="ADJOURN_SERVER_KEY",
    show_envvar=True,
    help="The key that its clients send: whose conversations are looked at.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def doctor_command(
    file: SettingsFile, server: str | None, server_key: str | None, as_json: bool, **options: Any
) -> None:
    """Say what is set, whether the model does what it will be asked, and whether ids of conversations arrive.

    It takes the settings of serve. Each model is asked a few short questions; nothing is written. Exit status 1 if
    something fails that the mode in force needs.
    """
    serving = _serving(file, **options)

    async def run() -> list[Finding]:
        found = []
        async for finding in examine(serving, server, server_key):
            found.append(finding)
            if not as_json:
                click.echo(f"{finding.state:<6} {finding.about:<12} {finding.says}")
        return found

    found = asyncio.run(run())
    good = not any(finding.state is State.BAD for finding in found)
    if as_json:
        report = msgspec.json.encode({"good": good, "findings": [asdict(finding) for finding in found]})
        click.echo(msgspec.json.format(report, indent=2))
    sys.exit(0 if good else 1)


def start_lines(serving: Serving, address: str) -> Iterator[str]:
    """Yield what an operator must know when the server has started."""
    off = serving.policy.mode is Mode.OFF
    yield f"Adjourn {__version__} answers on {address}"
    for named in serving.named:
        yield f"  model     {named.url}{_which(named) if serving.upstreams else ''}"
    if serving.demo:
        yield "  model     the demo assistant: a script, not a language model (--upstream URL)"
    yield f"  mode      {serving.policy.mode.name.lower()}, policy {serving.policy.revision}"
    if off:
        yield "  database  none: in mode off everything passes, and nothing is kept"
        return
    yield f"  database  {serving.db}"
    yield "            The texts of conversations are kept there; adjourn erase CONVERSATION removes one's."
    if serving.keep_ms is not None:
        yield f"            It erases them by itself {serving.keep_ms // HOUR_MS} hours after the newest message."


def _which(named: Named) -> str:
    return f"  {named.name}, {named.wire}: {', '.join(named.models) or 'all models that no other lists'}"


@main.command("erase")
@click.argument("conversation")
@_db
def erase_command(conversation: str, db: str) -> None:
    """Erase the texts of a conversation, with salts, look-up digests, quoted evidence and the words of feedback.

    CONVERSATION: its id, or the number of a receipt (AJ-…). The chain still verifies.
    """

    async def run(store: Store) -> str:
        found = await _named(store, conversation)
        await erase(store, found, _now())
        return found

    click.echo(f"{_with_store(db, run)}: erased")


@main.command("replay")
@_files
@_policy
@_mode
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


@main.command("signals")
@_files
@_policy
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


def _with_store(db: str, use: Callable[[Store], Awaitable[T]], *, make: bool = False) -> T:
    """Return what `use` makes of the store at this address; `make`: of a new one if there is none."""

    async def run() -> T:
        store = open_store(db, make=make)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def _named(store: Store, ident: str) -> str:
    """Return the conversation with this id, or in which the receipt with this number was given."""
    found = await store.named(ident)
    if not found:
        raise UnknownConversation(f"there is no conversation {ident}")
    if len(found) > 1 and found[0] != ident:
        raise CallerError(f"{ident} is the number of several receipts; name the conversation: {', '.join(found)}")
    return found[0]


@main.command("list")
@_db
def list_command(db: str) -> None:
    """List conversations, the newest first: a table on a terminal, else lines of JSON."""
    found = _with_store(db, lambda store: store.conversations())
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


@main.command("explain")
@click.argument("conversation")
@_db
def explain_command(conversation: str, db: str) -> None:
    """Say what happened in a conversation and why: every stage change and decision, with its evidence."""

    async def read(store: Store) -> tuple[str, list[Event], dict[str, str]]:
        found = await _named(store, conversation)
        texts = await store.texts(found)
        events = [row.event for row in await store.read(found)]
        return found, events, {node: kept.text for node, kept in texts.items()}

    found, events, texts = _with_store(db, read)
    taken = [event for event in events if isinstance(event, UserReceived | Claimed | Answer)]
    number = {event.node: index for index, event in enumerate(taken, 1)}
    for event in taken:
        text = " ".join(texts.get(event.node, "(no text is kept)").split())
        stage = "" if isinstance(event, Claimed) else f", {event.stage}"
        click.echo(f"{number[event.node]:>4}  {event.kind}{stage}  {text[:80]}")
    click.echo()
    for sentence in explain(found, events, lambda node: f"message {number.get(node, '(refused)')}"):
        click.echo(sentence)


@main.command("verify")
@_db
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

    sys.exit(1 if _with_store(db, check) else 0)


@main.group("policy")
def policy_group() -> None:
    """Show or check the rules."""


@policy_group.command("show")
@_policy
@_mode
def policy_show(policy: Path | None, mode: str | None) -> None:
    """Show the rules in force, as a file from which they can be loaded again."""
    rules = load_policy(policy, mode)
    click.echo(f"# digest {rules.digest}\n{policy_toml(rules)}", nl=False)


@policy_group.command("check")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def policy_check(file: Path) -> None:
    """Check a file with rules."""
    rules = load_policy(file)
    click.echo(f"{file}: good. Revision {rules.revision}, digest {rules.digest}.")


@main.command("export")
@click.argument("conversation")
@click.option("--format", "form", type=click.Choice(["json", "markdown"]), default="json", show_default=True)
@_db
def export_command(conversation: str, form: str, db: str) -> None:
    """Write a conversation, with all its branches and receipts, as JSON or Markdown."""

    async def read(store: Store) -> dict[str, Any]:
        found = await _named(store, conversation)
        events = [row.event for row in await store.read(found)]
        return export(found, events, await store.texts(found))

    exported = _with_store(db, read)
    if form == "markdown":
        click.echo(markdown(exported), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(exported), indent=2))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _act(name: str, says: str, done: str) -> Callable[[Callable[[Tree, str, int], acts.Events]], None]:
    """Make the command of a reviewer's act, which is recorded with its reason."""

    def make(act: Callable[[Tree, str, int], acts.Events]) -> None:
        @main.command(name, help=says)
        @click.argument("conversation")
        @click.option("--reason", required=True, help="Why: it is recorded.")
        @_db
        def command(conversation: str, reason: str, db: str) -> None:
            async def run(store: Store) -> str:
                found = await _named(store, conversation)
                await store.commit(found, lambda tree: act(tree, reason, _now()))
                return found

            click.echo(f"{_with_store(db, run)}: {done}")

    return make


_act("reopen", "Remove every end of a conversation; a hold stays.", "reopened")(acts.reopen)
_act("lift", "Lift the hold of a conversation; ends stay.", "the hold is lifted")(acts.lift)


@main.group("feedback")
def feedback_group() -> None:
    """Read what people said about conversations."""


@feedback_group.command("export")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only what came since (UTC).")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@_db
def feedback_export(since: datetime | None, form: str, db: str) -> None:
    """Write what people said on the page and through the API, in the order in which it came.

    jsonl: a line of JSON each. csv: a table with a head; what a spreadsheet would take for a formula
    gets an apostrophe.
    """
    start = round(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
    found = _with_store(db, lambda store: store.feedback(since=start))
    if form == "csv":
        sys.stdout.write(feedback_csv(found))
    else:
        sys.stdout.buffer.writelines(feedback_lines(found))


@main.group("keys")
def keys_group() -> None:
    """Make, list and revoke keys. Once there is one, nobody is served without one."""


@keys_group.command("create")
@click.argument("name")
@_db
def keys_create(name: str, db: str) -> None:
    """Make a key, and write it to standard output. NAME says in the list whose it is."""
    key, secret = new_key(name, _now())
    _with_store(db, lambda store: store.add_key(key, key_digest(secret)), make=True)
    click.echo(secret)
    click.echo(f"{key.id}: this is the only time that the key is shown; only a digest of it is kept.", err=True)


@keys_group.command("list")
@_db
def keys_list(db: str) -> None:
    """List keys, the oldest first: a table on a terminal, else lines of JSON. The keys themselves are not kept."""
    found: Sequence[Key] = _with_store(db, lambda store: store.keys())
    if not sys.stdout.isatty():
        for key in found:
            sys.stdout.buffer.write(msgspec.json.encode(key) + b"\n")
        return
    table = Table("id", "name", "created", "revoked")
    for key in found:
        times = ("" if at is None else exported_time(at)[:16] for at in (key.created_at, key.revoked_at))
        table.add_row(key.id, Text(key.name), *times)
    Console().print(table)


@keys_group.command("revoke")
@click.argument("id")
@_db
def keys_revoke(id: str, db: str) -> None:  # noqa: A002  (it is the argument's name)
    """Let a key open nothing any more, at once and for good. ID as `adjourn keys list` shows it."""
    key = _with_store(db, lambda store: store.revoke_key(id, _now()))
    click.echo(f"{key.id} ({key.name}): revoked")


@main.group("db")
def db_group() -> None:
    """Look after the database."""


@db_group.command("upgrade")
@_db
def db_upgrade(db: str) -> None:
    """Bring the database to this version's tables; every command that opens it does so, too."""
    _with_store(db, lambda store: store.policies())
    click.echo(f"{db}: up to date")


@db_group.command("rebuild")
@_db
def db_rebuild(db: str) -> None:
    """Make again, from the events, what is kept beside them."""
    count = _with_store(db, lambda store: store.rebuild())
    click.echo(f"{db}: {count} conversations made again from their events")
