"""Options that several commands take: each setting by its name, its environment variable, its line in the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from adjourn.core.machine import Mode
from adjourn.host.words import DEFAULT, languages
from adjourn.settings import NEVER, SETTINGS, default_database
from adjourn.store import BUSY_SECONDS
from adjourn.upstream.client import CONNECT_SECONDS, FORK_SECONDS, READ_SECONDS
from adjourn.web.log import LEVELS
from adjourn.web.serve import ON_STORE_FAILURE, REFUSE
from adjourn.web.stopping import STOP_SECONDS

Command = Callable[..., Any]
DAY_SECONDS = 24 * 3600


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


db_option = setting("db", default=default_database, show_default="a file in the user's data directory")
policy_option = setting("policy", type=click.Path(dir_okay=False, path_type=Path))
mode_option = setting("mode", type=click.Choice([mode.name.lower() for mode in Mode]))
files_argument = click.argument("files", nargs=-1, type=click.File("rb"))


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
    db_option,
    policy_option,
    mode_option,
)
"""The settings of a server, in the order in which they are shown."""


def served(command: Command) -> Command:
    """Give a command the settings file as its first argument, and the settings of a server, for `_serving`."""
    for option in reversed(SERVED):
        command = option(command)
    return click.pass_obj(command)
