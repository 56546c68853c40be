"""The command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from adjourn.cli import database, keys, lines, policy, recorded, server, stored
from adjourn.core.errors import AdjournError
from adjourn.settings import load_settings
from adjourn.version import __version__


class _Group(click.Group):
    """Shows an error of ours as its sentence, with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AdjournError as error:
            raise click.ClickException(str(error)) from error


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


COMMANDS = (
    server.serve_command,
    server.doctor_command,
    recorded.replay_command,
    recorded.signals_command,
    stored.list_command,
    stored.explain_command,
    stored.export_command,
    stored.verify_command,
    stored.erase_command,
    stored.reopen_command,
    stored.lift_command,
    stored.feedback_group,
    keys.keys_group,
    lines.lines_group,
    policy.policy_group,
    database.db_group,
)

for command in COMMANDS:
    main.add_command(command)
