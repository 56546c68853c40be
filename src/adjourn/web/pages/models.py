"""The models that a person can choose: those that the operator named, and those that an upstream of theirs lists."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from adjourn.core.errors import UpstreamError
from adjourn.upstream.choice import Named
from adjourn.upstream.client import Upstream
from adjourn.wire import anthropic

LIST_SECONDS = 3.0
"""For how long an upstream is waited for; then it lists none."""
KEPT_SECONDS = 60.0
"""For how long a list is taken as it is."""
MOST_BYTES = 1024 * 1024
HEADERS: Mapping[str, Mapping[str, str]] = {anthropic.NAME: {"anthropic-version": "2023-06-01"}}


class _Model(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Model]


@dataclass(slots=True)
class Models:
    """The models behind this server. `default`: the one that the page asks for where a person chose none."""

    upstreams: Mapping[Named, Upstream]
    default: str = ""
    _known: Mapping[str, Named] = field(default_factory=dict)
    _until: float = 0.0

    async def offered(self) -> Mapping[str, Named]:
        """Return the models in the operator's order, each with the upstream that answers for it."""
        if time.monotonic() >= self._until:
            lists = await asyncio.gather(*(self._listed(*entry) for entry in self.upstreams.items()))
            found: dict[str, Named] = {}
            for named, models in zip(self.upstreams, lists, strict=True):
                for model in models:
                    found.setdefault(model, named)
            self._known, self._until = found, time.monotonic() + KEPT_SECONDS
        return self._known

    async def chosen(self, model: str | None) -> str:
        """Return the model that a person chose if it is still offered, else the server's, else the first that is."""
        if model is None and self.default:
            return self.default
        offered = await self.offered()
        return model if model is not None and model in offered else self.default or next(iter(offered), "")

    async def _listed(self, named: Named, upstream: Upstream) -> Sequence[str]:
        if named.models and not any(set(pattern) & set("*?[") for pattern in named.models):
            return named.models
        try:
            async with asyncio.timeout(LIST_SECONDS):
                there = await listed(named.wire, upstream)
        except (TimeoutError, UpstreamError, msgspec.MsgspecError):
            return [pattern for pattern in named.models if not set(pattern) & set("*?[")]
        return [model for model in there if named.lists(model) or not named.models]


async def listed(wire: str, upstream: Upstream) -> Sequence[str]:
    """Return the models that a model's API lists; raises UpstreamError or MsgspecError if it lists none."""
    body = b""
    async with upstream.ask("GET", "/models", None, HEADERS.get(wire, {})) as answer:
        async for chunk in answer.chunks:
            body += chunk
            if len(body) > MOST_BYTES:
                return []
    return [model.id for model in msgspec.json.decode(body, type=_List).data]
