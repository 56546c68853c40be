"""Both vendors' official clients, synchronous and not, as one: what is written for one of them runs with each."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

from tests.models import Received

Scenario = Callable[[Any], Awaitable[Any]]
"""What is done with a client, of whatever kind."""

CLIENTS: Mapping[tuple[str, str], Any] = {
    ("openai", "async"): openai.AsyncOpenAI,
    ("openai", "sync"): openai.OpenAI,
    ("anthropic", "async"): anthropic.AsyncAnthropic,
    ("anthropic", "sync"): anthropic.Anthropic,
}
HTTP = {
    "openai.async": openai.DefaultAsyncHttpxClient,
    "openai.sync": openai.DefaultHttpxClient,
    "anthropic.async": anthropic.DefaultAsyncHttpxClient,
    "anthropic.sync": anthropic.DefaultHttpxClient,
}


def client_of(vendor: str, kind: str, url: str, **options: Any) -> Any:
    """A client; no certificates are read, there is no TLS."""
    address = f"{url}/v1" if vendor == "openai" else url
    http = HTTP[f"{vendor}.{kind}"](verify=False)
    return CLIENTS[vendor, kind](base_url=address, api_key="sk-test", http_client=http, **options)


async def settled(value: Any) -> Any:
    """What a call gives, of either client."""
    return await value if inspect.isawaitable(value) else value


async def items(stream: Any) -> list[Any]:
    """What a stream gives, of either client."""
    return [one async for one in stream] if hasattr(stream, "__aiter__") else list(stream)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """What stands in a `with`, of either client."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def plain(value: Any) -> Any:
    """A value as it can be compared: every field, the unknown ones too."""
    if isinstance(value, BaseModel):
        return type(value).__name__, value.model_dump(mode="json", warnings=False)
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


async def run(vendor: str, kind: str, url: str, scenario: Scenario, **options: Any) -> Any:
    """Have a client do this. A synchronous one blocks, so it has a thread and a loop of its own."""

    async def done() -> Any:
        async with entered(client_of(vendor, kind, url, **options)) as client:
            return plain(await scenario(client))

    return await (done() if kind == "async" else asyncio.to_thread(asyncio.run, done()))


def sent(received: Sequence[Received]) -> list[Any]:
    """What the model was sent, without what each connection has of its own."""
    own = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding"}
    return [
        (
            one.path,
            one.query,
            one.body if b"multipart" not in str(one.headers).encode() else b"",
            sorted(
                (name.decode().lower(), value)
                for name, value in one.headers
                if name.decode().lower() not in own and not value.startswith(b"multipart/")
            ),
        )
        for one in received
    ]
