"""The operator's upstreams, by name: which of them a request goes to, and what is known of its models.

In the settings file each is a table `[upstream.NAME]`, with the fields of `FIELDS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from adjourn.core.errors import CallerError
from adjourn.upstream.client import Timeouts, Upstream
from adjourn.wire import anthropic, openai_chat
from adjourn.wire.interface import Wire
from adjourn.wire.view import IN_USER

WIRES: Mapping[str, Wire] = {openai_chat.NAME: openai_chat, anthropic.NAME: anthropic}

FORMS: Mapping[str, Sequence[str]] = {
    openai_chat.NAME: ("developer", "system", IN_USER),
    anthropic.NAME: ("system", IN_USER),
}
"""The forms in which guidance can be said on each wire."""

KEYS_IN: Mapping[str, str | None] = {openai_chat.NAME: None, anthropic.NAME: "x-api-key"}
"""The header in which a wire's vendor takes its key; None: as `Authorization: Bearer`."""

FIELDS: Mapping[str, str] = {
    "wire": "openai_chat or anthropic_messages",
    "url": "what stands before /chat/completions, or before /v1/messages",
    "key-env": "the environment variable with the key that is sent in place of the client's",
    "models": "the models that it answers for, as clients name them; * stands for anything",
    "guidance": "how its models are told something: developer, system or in_user",
    "fork-tool": "the models that answer with the tool end_conversation whether to close; * stands for anything",
}
"""The fields of a table, and what each says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One upstream. `key`: sent in place of the client's; `guidance`: None where what is known of a model decides.

    `models`, `fork_tool`: patterns in which `*` stands for anything; without `models` it answers for all.
    """

    name: str
    wire: str
    url: str
    key: str | None = None
    models: tuple[str, ...] = ()
    guidance: str | None = None
    fork_tool: tuple[str, ...] = ()

    def lists(self, model: str) -> bool:
        """Whether its `models` name this one."""
        return _any_fits(self.models, model)

    def closes_with_tool(self, model: str) -> bool:
        """Whether this model answers the question whether to close with a tool."""
        return _any_fits(self.fork_tool, model)

    def open(self, timeouts: Timeouts) -> Upstream:
        """Return the endpoint; no connection is made yet."""
        url = versioned(self.url) if self.wire == anthropic.NAME else self.url
        return Upstream(url, self.key, timeouts, key_in=KEYS_IN[self.wire])


def _any_fits(patterns: Sequence[str], model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


def chosen(upstreams: Sequence[Named], model: str) -> Named:
    """Return, of the upstreams of one wire, the first that lists the model, else that lists none, else the first."""
    listing = next((one for one in upstreams if one.lists(model)), None)
    return listing or next((one for one in upstreams if not one.models), upstreams[0])


def versioned(url: str) -> str:
    """Return what stands before /messages: the vendor's clients are given the address without its version."""
    return url if url.rstrip("/").endswith("/v1") else url.rstrip("/") + "/v1"


# Reading what the operator wrote.


def checked_url(where: str, url: str, wire: str) -> str:
    """Return the address; raises CallerError, which begins with `where`, if it cannot be one."""
    if not url.startswith(("http://", "https://")):
        raise CallerError(f"{where} {url}: an address that begins with http:// or https:// is needed")
    if url.rstrip("/").endswith(WIRES[wire].PATH):
        raise CallerError(f"{where} {url}: leave out {WIRES[wire].PATH}")
    return url


def named_upstreams(tables: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Named, ...]:
    """Return the upstreams of these tables in their order; raises CallerError, which says what is wrong and where."""
    return tuple(_named(name, table, environment) for name, table in tables.items())


def _named(name: str, table: Any, environment: Mapping[str, str]) -> Named:
    if not isinstance(table, Mapping):
        raise CallerError(f"upstream.{name}: a name is missing: [upstream.NAME], and its fields below that")
    where = f"[upstream.{name}]"
    for field in table:
        if field not in FIELDS:
            advice = (
                "name the environment variable with the key: key-env" if field == "key" else "there is no such field"
            )
            raise CallerError(f"{where} {field}: {advice}; there are {', '.join(FIELDS)}")
    wire = _one_of(where, "wire", table.get("wire"), tuple(WIRES))
    guidance = table.get("guidance")
    return Named(
        name=name,
        wire=wire,
        url=checked_url(f"{where} url =", _text(where, "url", table.get("url")), wire),
        key=_key(where, table["key-env"], environment) if "key-env" in table else None,
        models=_patterns(where, "models", table),
        guidance=None if guidance is None else _one_of(where, "guidance", guidance, FORMS[wire], f" on {wire}"),
        fork_tool=_patterns(where, "fork-tool", table),
    )


def _text(where: str, field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise CallerError(f"{where} {field}{_written(value)}: text is needed, {FIELDS[field]}")
    return value


def _one_of(where: str, field: str, value: Any, allowed: Sequence[str], place: str = "") -> str:
    if value not in allowed:
        raise CallerError(f"{where} {field}{_written(value)}: {' or '.join(allowed)} is needed{place}")
    return str(value)


def _written(value: Any) -> str:
    return " is missing" if value is None else f" = {value!r}"


def _key(where: str, variable: Any, environment: Mapping[str, str]) -> str:
    name = _text(where, "key-env", variable)
    key = environment.get(name, "").strip()
    if not key:
        raise CallerError(f"{where} key-env = {name!r}: this variable is not in the environment, or it is empty")
    return key


def _patterns(where: str, field: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    value = table.get(field, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise CallerError(f'{where} {field} = {value!r}: a list of texts is needed, like ["llama*"]')
    if field in table and not value:
        raise CallerError(f"{where} {field} = []: name one, or leave the line out")
    return tuple(value)
