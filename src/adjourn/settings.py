"""The operator's settings: one TOML file, environment variables and options, turned into checked values.

An option on the command line wins over its environment variable, which wins over the file.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import tomli_w

from adjourn.core.errors import CallerError
from adjourn.core.policy import Policy, policy_data, policy_from
from adjourn.upstream.choice import Named, named_upstreams
from adjourn.upstream.witnesses import NamedWitness, named_witnesses

UPSTREAM = "upstream"
"""In the settings file the address of one, or the tables of several, [upstream.NAME]."""

WITNESS = "witness"
"""In the settings file the tables of witnesses elsewhere, [[witness]]."""

NEVER = "never"
HOUR_MS = 3600 * 1000
UNITS_MS: Mapping[str, int] = {"h": HOUR_MS, "d": 24 * HOUR_MS}

SETTINGS: Mapping[str, str] = {
    "db": "where conversations are kept: sqlite:///PATH",
    "policy": "the file with the rules",
    "mode": "off, shadow, warn or enforce: no conversation goes further than this",
    "host": "the address to listen on; only this machine's, without keys",
    "port": "the port to listen on",
    "upstream": "a Chat Completions API, what stands before /chat/completions; without any API the demo answers",
    "upstream-key": "the key for that API, sent in place of the client's",
    "anthropic-upstream": "an Anthropic Messages API, what stands before /v1/messages: https://api.anthropic.com",
    "anthropic-upstream-key": "the key for that API, sent in place of the client's",
    "model": "the model that the chat page asks for",
    "country": "where the people are (two letters), for help lines",
    "language": "what the pages speak where a browser asks for no language that there is",
    "allow-host": "a further name of this server, as clients write it",
    "allow-origin": "a further site whose pages may use this server",
    "expose-stage": "tell a client that sends Adjourn-Details: 1 the stage of its conversation on every turn",
    "conversation-header": "a further header in which clients say which chat it is",
    "task-header": "a further header in which clients say that a request is for a title, tags or the like",
    "retention": "how long a conversation is kept after its newest message, before it is erased: 12h, 30d, or never",
    "connect-timeout": "how long to wait until the model's API takes a connection, in seconds",
    "read-timeout": "how long to wait for the next bytes of the model's answer, in seconds",
    "fork-timeout": "how long to wait for the model's word whether to close, in seconds; then it goes on",
    "busy-timeout": "how long a write waits for another process that writes to the database, in seconds",
    "stop-timeout": "how long requests that run are waited for when the server is stopped, in seconds",
    "on-store-failure": "refuse (503) or pass: what becomes of a message that cannot be kept; pass lets it go unjudged",
    "log-level": "debug (each request too), info, warning or error",
}
"""Every setting, and what it says. Each is an option, an environment variable ADJOURN_… and a line in the file.

Several upstreams and witnesses elsewhere are tables of the file only: `upstream/choice.py`, `upstream/witnesses.py`."""


def default_database() -> str:
    """Return the address of the database in the user's data directory."""
    return f"sqlite:///{platformdirs.user_data_path('adjourn') / 'adjourn.db'}"


def default_file() -> Path:
    """Return the settings file that is read if it is there and no other is named."""
    return platformdirs.user_config_path("adjourn") / "adjourn.toml"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What the settings file says: a value for each setting by its option's name, and its tables.

    `tables`: of upstreams; `asked`: of witnesses elsewhere.
    """

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    asked: Any = field(default_factory=list)

    def upstreams(self, environment: Mapping[str, str]) -> Sequence[Named]:
        """Return the upstreams that it names; only who asks them needs what it takes, so it is checked here."""
        try:
            return named_upstreams(self.tables, environment)
        except CallerError as error:
            raise CallerError(f"{self.path}: {error}") from None

    def witnesses(self, environment: Mapping[str, str]) -> Sequence[NamedWitness]:
        """Return the witnesses elsewhere that it names; checked here, as the upstreams are."""
        try:
            return named_witnesses(self.asked, environment)
        except CallerError as error:
            raise CallerError(f"{self.path}: {error}") from None


def load_settings(path: Path | None) -> SettingsFile:
    """Return what the settings file says: the one named, else the user's own if there is one."""
    file = path or default_file()
    if path is None and not file.exists():
        return SettingsFile(file)
    values = dict(_toml(file))
    tables = values.pop(UPSTREAM, {}) if isinstance(values.get(UPSTREAM), Mapping) else {}
    asked = values.pop(WITNESS, [])
    for key, value in values.items():
        if key not in SETTINGS:
            raise CallerError(f"{file}: {key}: there is no such setting; there are {', '.join(SETTINGS)}")
        if not isinstance(value, str | int | float | list):
            raise CallerError(f"{file}: {key} = {value!r}: text is needed")
    return SettingsFile(file, {key.replace("-", "_"): value for key, value in values.items()}, tables, asked)


def retention_ms(text: str) -> int | None:
    """Return how long conversations are kept, in milliseconds; None: they are never erased by themselves."""
    if text == NEVER:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hd])", text)
    if found is None:
        raise CallerError(f"--retention {text}: hours or days are needed, like 12h or 30d, or {NEVER}")
    return int(found[1]) * UNITS_MS[found[2]]


def load_policy(path: Path | None, mode: str | None = None) -> Policy:
    """Return the policy of a TOML file, or the default; `mode` replaces the file's."""
    data = dict(_toml(path)) if path else {}
    try:
        return policy_from({**data, "mode": mode} if mode else data)
    except CallerError as error:
        raise CallerError(f"{path}: {error}" if path else str(error)) from None


def policy_toml(policy: Policy) -> str:
    """Return the policy as a file from which it can be loaded again."""
    return tomli_w.dumps(policy_data(policy))


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CallerError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CallerError(f"{path}: {error}") from None
