"""The server, and what tries it beforehand."""

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from adjourn.cli.options import served
from adjourn.core.machine import Mode
from adjourn.settings import HOUR_MS, SettingsFile, load_policy, retention_ms
from adjourn.signals.encoder import fault
from adjourn.upstream.choice import Named
from adjourn.upstream.client import Timeouts
from adjourn.version import __version__
from adjourn.web.doctor import Finding, State, examine
from adjourn.web.serve import Serving, serve


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
        witnesses=file.witnesses(os.environ),
    )


@click.command("serve")
@served
def serve_command(file: SettingsFile, **options: Any) -> None:
    """Serve the chat page at /, and the gateway at /v1."""
    serving = _serving(file, **options)

    def started(address: str) -> None:
        for line in start_lines(serving, address):
            click.echo(line)

    serve(serving, started)


@click.command("doctor")
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
    if not serving.demo and (missing := fault()) is not None:
        yield f"  WITHOUT THE ENCODER: {missing}."
        yield "            Signs of risk are missed more often. See docs/model-card.md."
    for witness in serving.witnesses:
        yield f"  witness   {witness.url}  {witness.name}, {witness.kind}: what people write is sent there"
    yield f"  database  {serving.db}"
    yield "            The texts of conversations are kept there; adjourn erase CONVERSATION removes one's."
    if serving.keep_ms is not None:
        yield f"            It erases them by itself {serving.keep_ms // HOUR_MS} hours after the newest message."


def _which(named: Named) -> str:
    return f"  {named.name}, {named.wire}: {', '.join(named.models) or 'all models that no other lists'}"
