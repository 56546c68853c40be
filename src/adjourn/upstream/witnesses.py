"""The operator's witnesses elsewhere, by name: read from the settings, and asked over HTTP.

In the settings file each is a table `[[witness]]`, with the fields of `FIELDS`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adjourn.core.errors import CallerError, UpstreamError
from adjourn.core.reading import Matter, Opinion
from adjourn.signals import Message
from adjourn.signals.remote import KINDS as READERS
from adjourn.signals.remote import judge, reading
from adjourn.signals.remote.heard import Came, Heard
from adjourn.upstream.client import Timeouts, Upstream

JUDGE = "judge"
KINDS = (*READERS, JUDGE)
"""The kinds of witness: those that read each message, and the judge."""
SECONDS = 10.0
"""How long a witness is waited for, if the settings do not say."""
DAY_SECONDS = 24 * 3600
HEADERS = {"Content-Type": "application/json"}

FIELDS: Mapping[str, str] = {
    "name": "what it is called on record; no two are called alike",
    "kind": f"{', '.join(READERS)} or {JUDGE}",
    "url": "what stands before /moderations or /chat/completions",
    "model": "the model that is asked",
    "key-env": "the environment variable with its key",
    "timeout": "how long it is waited for, in seconds",
    "budget": "how many requests it gets a day (UTC), at most",
    "sample": "which share of the messages it reads, above 0 and at most 1; a judge has none",
}
"""The fields of a table, and what each says."""


class _Late(UpstreamError):
    """The witness did not answer in time."""


class _NoBudget(UpstreamError):
    """The requests of the day are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWitness:
    """One witness. `timeout`: seconds; `budget`: requests a day, None for as many as come; `sample`: a share."""

    name: str
    kind: str
    url: str
    model: str = ""
    key: str | None = None
    timeout: float = SECONDS
    budget: int | None = None
    sample: float = 1.0

    def open(self) -> "RemoteWitness":
        """Return the witness; no connection is made yet."""
        return RemoteWitness(self, Upstream(self.url, self.key, Timeouts(connect=self.timeout, read=self.timeout)))


@dataclass(slots=True, eq=False)
class RemoteWitness:
    """A witness that is asked over HTTP. It never raises: whatever goes wrong is told as how it went."""

    named: NamedWitness
    upstream: Upstream
    now: Callable[[], float] = time.time
    day: int = -1
    used: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        return self.named.name

    @property
    def kind(self) -> str:
        return self.named.kind

    @property
    def version(self) -> str:
        """The model that is asked."""
        return self.named.model or self.kind

    @property
    def sample(self) -> float:
        return self.named.sample

    async def read(self, text: str, before: Sequence[Message]) -> Heard:
        """Return what it sees in a person's message."""
        kind = READERS[self.kind]
        try:
            replies = await self._replies(kind.path, kind.ask(self.named.model, text, before))
        except UpstreamError as error:
            return Heard(_came(error))
        seen = kind.read(replies)
        if seen is None:
            return Heard(Came.UNREAD)
        found = reading(self.name, self.version, seen)
        return Heard(Came.SPOKE if found.flags else Came.SILENT, found)

    async def judge(self, matter: Matter, branch: Sequence[Message]) -> Heard:
        """Return what it says about a branch."""
        try:
            (reply,) = await self._replies(judge.PATH, [judge.ask(self.named.model, matter, branch)])
        except UpstreamError as error:
            return Heard(_came(error))
        found = judge.read(reply, matter, branch)
        sees = judge.reading(self.name, self.version, found) if (matter, found.opinion) == _SEES_RISK else None
        return Heard(Came.SILENT if found.opinion is Opinion.UNSCORED else Came.SPOKE, sees, found)

    async def _replies(self, path: str, bodies: Sequence[bytes]) -> Sequence[bytes]:
        """Return the replies to these bodies, one after the other; raises UpstreamError for anything less."""
        self._spend(len(bodies))
        replies = []
        try:
            async with asyncio.timeout(self.named.timeout):
                for body in bodies:
                    async with self.upstream.ask("POST", path, body, HEADERS) as answer:
                        replies.append(await answer.body())
                    if answer.status != 200:
                        raise UpstreamError(f"it answered with {answer.status}")
        except TimeoutError as error:
            raise _Late("it did not answer in time") from error
        return replies

    def _spend(self, count: int) -> None:
        today = int(self.now() // DAY_SECONDS)
        if today != self.day:
            self.day, self.used = today, 0
        if self.named.budget is not None and self.used + count > self.named.budget:
            raise _NoBudget("the requests of the day are used up")
        self.used += count

    async def close(self) -> None:
        """Let go of all connections."""
        await self.upstream.close()


_SEES_RISK = (Matter.RISK, Opinion.YES)


def _came(error: UpstreamError) -> Came:
    return Came.BUDGET if isinstance(error, _NoBudget) else Came.LATE if _is_late(error) else Came.FAILED


def _is_late(error: UpstreamError) -> bool:
    return isinstance(error, _Late) or isinstance(error.__cause__, TimeoutError)


# Reading what the operator wrote.


def named_witnesses(tables: Any, environment: Mapping[str, str]) -> tuple[NamedWitness, ...]:
    """Return the witnesses of these tables in their order; raises CallerError, which says what is wrong and where."""
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise CallerError("witness: a list of tables is needed: [[witness]], and its fields below that")
    found = tuple(_named(f"[[witness]] {place}", table, environment) for place, table in enumerate(tables, 1))
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise CallerError(f"[[witness]]: two are called {name!r}")
    if sum(one.kind == JUDGE for one in found) > 1:
        raise CallerError("[[witness]]: there can be one judge only")
    return found


def _named(where: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> NamedWitness:
    for field_ in table:
        if field_ not in FIELDS:
            advice = "name the environment variable with it: key-env" if field_ == "key" else "there is no such field"
            raise CallerError(f"{where} {field_}: {advice}; there are {', '.join(FIELDS)}")
    name, kind, url = (_text(where, field_, table.get(field_)) for field_ in ("name", "kind", "url"))
    if kind not in KINDS:
        raise CallerError(f"{where} kind = {kind!r}: {FIELDS['kind']} is needed")
    if name == "local":
        raise CallerError(f"{where} name = 'local': that is what the detectors of this machine are called")
    if not url.startswith(("http://", "https://")):
        raise CallerError(f"{where} url = {url!r}: an address that begins with http:// or https:// is needed")
    if kind == JUDGE and "sample" in table:
        raise CallerError(f"{where} sample: a judge is asked whenever there is something to judge")
    budget = table.get("budget")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 0):
        raise CallerError(f"{where} budget = {budget!r}: a whole number of requests a day is needed")
    return NamedWitness(
        name=name,
        kind=kind,
        url=url,
        model=_text(where, "model", table.get("model")) if kind != "moderation" or "model" in table else "",
        key=_key(where, table["key-env"], environment) if "key-env" in table else None,
        timeout=_number(where, "timeout", table.get("timeout", SECONDS), 3600),
        budget=budget,
        sample=_number(where, "sample", table.get("sample", 1.0), 1),
    )


def _text(where: str, field_: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        written = " is missing" if value is None else f" = {value!r}"
        raise CallerError(f"{where} {field_}{written}: text is needed, {FIELDS[field_]}")
    return value


def _number(where: str, field_: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise CallerError(f"{where} {field_} = {value!r}: a number above 0 is needed, at most {most:g}")
    return float(value)


def _key(where: str, variable: Any, environment: Mapping[str, str]) -> str:
    name = _text(where, "key-env", variable)
    key = environment.get(name, "").strip()
    if not key:
        raise CallerError(f"{where} key-env = {name!r}: this variable is not in the environment, or it is empty")
    return key
