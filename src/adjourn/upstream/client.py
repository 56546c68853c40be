"""The model's API over HTTP: bytes go up as they are, and come back as they are."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from adjourn.core.errors import UpstreamError

CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0


class UpstreamLate(UpstreamError):
    """The model's API did not answer in time."""


@dataclass(slots=True)
class Answered:
    """What the model's API answered: status and headers at once, the body as it comes."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]

    async def body(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.chunks])


KEYS = frozenset({"authorization", "x-api-key", "api-key"})
"""The headers in which a client's key may stand."""


class Upstream:
    """One endpoint of a model's API. `url`: what stands before `/chat/completions`, or before `/messages`.

    `key`: sent for the client's, as `Authorization: Bearer` or, with `key_in`, in this header as it is.
    """

    def __init__(self, url: str, key: str | None = None, *, key_in: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.key_in = key_in
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> AsyncIterator[Answered]:
        """Send a request and yield the answer; raises UpstreamError if there is none, or if it breaks off.

        `path` comes behind the address as it is, with its query if it has one.
        """
        sent = {**headers, "Accept-Encoding": "identity"}
        if self.key is not None:
            sent = {name: value for name, value in sent.items() if name.lower() not in KEYS}
            sent[self.key_in or "Authorization"] = self.key if self.key_in else f"Bearer {self.key}"
        url = URL(self.url + path, encoded=True)  # what the client wrote behind the address stays as it is
        with self._said():
            async with self._opened().request(method, url, data=body, headers=sent, allow_redirects=False) as answer:
                yield Answered(answer.status, answer.headers, self._chunks(answer.content))

    async def _chunks(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        with self._said():
            async for chunk in content.iter_any():
                yield chunk

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say in our own words what went wrong."""
        try:
            yield
        except TimeoutError as error:
            raise UpstreamLate("the model did not answer in time") from error
        except aiohttp.ClientError as error:
            raise UpstreamError("the model could not be reached, or its answer broke off") from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                timeout=timeout, connector=connector, auto_decompress=False, skip_auto_headers=("User-Agent",)
            )
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
