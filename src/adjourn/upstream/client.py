"""The model's API over HTTP: bytes go up as they are, and come back as they are.

An answer that is compressed, though it was asked for as it is, is unpacked: it must be read, and says so in no header.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass

import aiohttp
from yarl import URL

from adjourn.core.errors import UpstreamError

CONNECT_SECONDS, READ_SECONDS, FORK_SECONDS = 10.0, 600.0, 10.0
HEADER_BYTES = 64 * 1024
"""The longest header that a model's API may send: as long as all that a client may."""
LARGE = 1024 * 1024
"""A body of more bytes is sent in pieces, between which others are answered (aiohttp warns otherwise)."""
LAST_STATUS = 599
"""Above it there are none that can be passed on (RFC 9110, 15)."""


class UpstreamLate(UpstreamError):
    """The model's API did not answer in time."""


class UpstreamUnreachable(UpstreamError):
    """The model's API could not be reached, or said nothing."""


class UpstreamBroke(UpstreamError):
    """The model's answer broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the model's API is waited for, in seconds.

    `connect`: until it takes the connection; `read`: for the next bytes of its answer; `fork`: for the whole answer to
    a side question.
    """

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS
    fork: float = FORK_SECONDS


@dataclass(slots=True)
class Answered:
    """What the model's API answered: status and headers at once, the body as it comes."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncGenerator[bytes, None]

    async def body(self) -> bytes:
        """Return the whole body."""
        return b"".join([chunk async for chunk in self.chunks])


KEYS = ("authorization", "x-api-key", "api-key")
"""The headers in which a client's key may stand; the first that is there counts."""


class Question:
    """One question to the model's API, as whoever watches it sees it; this one looks away.

    `headers` go up with it. `kept`: where the pieces of the answer's body are put, if they are wanted.
    """

    headers: Mapping[str, str] = {}
    kept: list[bytes] | None = None

    def answered(self, status: int) -> None:
        """Be told that status and headers came."""

    def began(self) -> None:
        """Be told that the first bytes of the body came."""

    def ended(self) -> None:
        """Be told that the last bytes of the body came."""

    def failed(self, error: UpstreamError) -> None:
        """Be told what went wrong."""

    def closed(self) -> None:
        """Be told that it is over, whatever came of it."""


Watching = Callable[[str, bytes | None, bool], Question]
"""Path with its query, body, and whether it is a side question: returns who watches this question."""

_LOOKS_AWAY = Question()


class Upstream:
    """One endpoint of a model's API. `url`: what stands before `/chat/completions`, or before `/messages`.

    `key`: sent for the client's, as `Authorization: Bearer` or, with `key_in`, in this header as it is.
    """

    def __init__(
        self, url: str, key: str | None = None, timeouts: Timeouts | None = None, *, key_in: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.key_in = key_in
        self.timeouts = timeouts or Timeouts()
        self.watch: Watching = lambda *_: _LOOKS_AWAY
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, fork: bool = False
    ) -> AsyncIterator[Answered]:
        """Send a request and yield the answer; raises UpstreamError if there is none, or if it breaks off.

        `path` comes behind the address as it is, with its query if it has one. `fork`: it is a side question, and its
        whole answer must come within that time-out.
        """
        question = self.watch(path, body, fork)
        sent = {**headers, **question.headers, "Accept-Encoding": "identity"}
        if self.key is not None:
            sent = {name: value for name, value in sent.items() if name.lower() not in KEYS}
            sent[self.key_in or "Authorization"] = self.key if self.key_in else f"Bearer {self.key}"
        data = io.BytesIO(body) if body is not None and len(body) > LARGE else body
        url = URL(self.url + path, encoded=True)  # what the client wrote behind the address stays as it is
        try:
            with _told(question, UpstreamUnreachable("the model could not be reached")):
                async with asyncio.timeout(self.timeouts.fork) if fork else nullcontext():
                    asking = self._opened().request(method, url, data=data, headers=sent, allow_redirects=False)
                    async with asking as answer:
                        question.answered(answer.status)
                        if answer.status > LAST_STATUS:
                            raise aiohttp.ClientError(f"there is no status {answer.status}")
                        yield Answered(answer.status, answer.headers, _chunks(answer.content, question))
        finally:
            question.closed()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            times = self.timeouts
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=times.connect, sock_read=times.read)
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                timeout=timeout,
                connector=connector,
                skip_auto_headers=("Accept", "User-Agent"),
                max_line_size=HEADER_BYTES,
                max_field_size=HEADER_BYTES,
            )
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()


async def _chunks(content: aiohttp.StreamReader, question: Question) -> AsyncGenerator[bytes, None]:
    with _told(question, UpstreamBroke("the model's answer broke off")):
        begun, kept = False, question.kept
        async for chunk in content.iter_any():
            if not begun:
                begun = True
                question.began()
            if kept is not None:
                kept.append(chunk)
            yield chunk
    question.ended()


@contextmanager
def _told(question: Question, failure: UpstreamError) -> Iterator[None]:
    """Say in our own words what went wrong: it was late, or else this."""
    try:
        yield
    except TimeoutError as error:
        late = UpstreamLate("the model did not answer in time")
        question.failed(late)
        raise late from error
    except aiohttp.ClientError as error:
        question.failed(failure)
        raise failure from error
