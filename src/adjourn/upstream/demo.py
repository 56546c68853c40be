"""The demo assistant: an upstream of its own that speaks both vendors' wires. It is a script, and says so.

All that it says stands in `demo.toml`. What it does depends on the host's guidance and on what it sees by itself.
"""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Annotated, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from adjourn.core.reading import Flag
from adjourn.signals import Detectors, Lexical
from adjourn.signals import Message as Said
from adjourn.upstream.stand_ins import StandIns
from adjourn.upstream.written import Completion, Form, Message

FORK = "Answer with one word on the first line: END or CONTINUE."

_GUIDANCE = re.compile(r"(?:\A|\n[^\S\n]*\n)\[adjourn/(\w+)\]")
_WORD = re.compile(r"[a-z0-9]+")
_PLACE = re.compile(r"\$\.(\S+?)`$")
_MOST_WORDS = 200  # of a message that are looked at for its topic
_HOST_SPEAKS_IN = ("user", "developer", "system")
_FLAGGED = frozenset({Flag.HARMFUL, Flag.ABUSIVE})
_CLEAR_RISK = frozenset({Flag.RISK_CLEAR})
_BAD = frozenset({Flag.HARMFUL_COUNT, Flag.ABUSIVE_COUNT})


# What a client sends, as far as the script cares.


class Part(msgspec.Struct):
    """One part of a message's content."""

    type: str
    text: str | None = None


class ChatMessage(msgspec.Struct):
    """One message of the history."""

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its words, parts below one another."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n\n".join(part.text or "" for part in self.content)


class StreamOptions(msgspec.Struct):
    """What is asked of a stream."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct):
    """The body of a request."""

    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


@dataclass(frozen=True, slots=True)
class Heard:
    """A history as the script hears it: people's and assistants' own words, and what the host said for this answer."""

    words: Sequence[Said]
    guidance: str | None = None
    forks: int = 0  # 1: whether to close; 2: the same again, with words to the person

    @property
    def last(self) -> int:
        """The place of the person's newest words; -1 if there are none."""
        return max((at for at, (role, _) in enumerate(self.words) if role == "user"), default=-1)


def hear(messages: Sequence[ChatMessage]) -> Heard:
    """Take apart what people and assistants said, guidance, and the question whether to close."""
    words: list[Said] = []
    guidance: str | None = None
    for message in messages:
        text = message.text
        block = _GUIDANCE.search(text) if message.role in _HOST_SPEAKS_IN else None
        if block:
            text = text[: block.start()]
        if message.role == "user":
            guidance = None  # it speaks of the answer to the message before
            if block or FORK not in text.splitlines():  # else the host speaks, and nothing in it is the person's
                words.append(("user", text))
        elif message.role == "assistant":
            words.append(("assistant", text))
        if block:
            guidance = block[1]
    return Heard(words, guidance, _forks(messages))


def _forks(messages: Sequence[ChatMessage]) -> int:
    lines = messages[-1].text.rstrip().splitlines()
    if messages[-1].role == "assistant" or FORK not in lines:
        return 0
    if len(messages) > 1 and messages[-2].role == "assistant" and _first_line(messages[-2]) == "END":
        return 2
    return int(lines[-1] == FORK)


def _first_line(message: ChatMessage) -> str:
    return message.text.strip().partition("\n")[0].rstrip()


# What it answers.


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that the script can be asked about."""

    name: str
    asked: Sequence[str]
    texts: Sequence[str]
    most: int = _MOST_WORDS
    light: bool = False

    def fits(self, words: Sequence[str]) -> bool:
        """Whether a message of these words asks about it."""
        return len(words) <= self.most and any(
            all(_stands(part, words) for part in phrase.split()) for phrase in self.asked
        )


def _stands(part: str, words: Sequence[str]) -> bool:
    if part.endswith("*"):
        return any(word.startswith(part[:-1]) for word in words)
    return part in words


@dataclass(frozen=True, slots=True)
class Script:
    """The table of `demo.toml`, and eyes to choose from it."""

    table: Mapping[str, Any]
    topics: Sequence[Topic]
    eyes: Sequence[Detectors] = field(default_factory=lambda: (Detectors([Lexical()]), Detectors([StandIns()])))

    def answer(self, heard: Heard) -> str:
        """Give the answer to a history."""
        if heard.forks:
            return self._vote(heard)
        texts = self._guided(heard) if heard.guidance in self.table["guided"] else self._unguided(heard)
        turns = sum(role == "user" for role, _ in heard.words)
        return texts[max(turns - 1, 0) % len(texts)]

    def _guided(self, heard: Heard) -> Sequence[str]:
        entry: Mapping[str, Sequence[str]] = self.table["guided"][heard.guidance]
        if "harm" in entry:
            return entry[self._ground(self._seen(heard, heard.last))]
        at_risk = "risk" in entry and self._anybody(heard, _CLEAR_RISK)
        return entry["risk" if at_risk else "any"]

    def _unguided(self, heard: Heard) -> Sequence[str]:
        said: Mapping[str, Sequence[str]] = self.table["said"]
        guided: Mapping[str, Mapping[str, Sequence[str]]] = self.table["guided"]
        seen = self._seen(heard, heard.last)
        if Flag.RISK_CLEAR in seen:
            return guided["support"]["any"]
        if Flag.RISK in seen:
            return said["heavy"]
        if seen & _FLAGGED:
            return guided["redirect"][self._ground(seen)]
        if Flag.ASKS_END in seen:
            return guided["close_yourself"]["any"]
        words = _words(heard.words[heard.last][1]) if heard.last >= 0 else []
        if not words:
            return said["greeting"]
        topic = next((topic for topic in self.topics if topic.fits(words)), None)
        if (topic is None or topic.light) and self._anybody(heard, _CLEAR_RISK):
            return said["at_risk"]
        return topic.texts if topic else said["unknown"]

    def _vote(self, heard: Heard) -> str:
        fork: Mapping[str, str] = self.table["fork"]
        # The host asks only where its rules allow it; an assistant that sees somebody at risk says no all the same.
        bad = [at for at, (role, _) in enumerate(heard.words) if role == "user" and self._seen(heard, at) & _BAD]
        if not bad or self._anybody(heard, _CLEAR_RISK):
            return fork["continue"]
        if heard.forks == 1:
            return fork["end"]
        return f"{fork['end']}\n{fork[self._ground(self._seen(heard, bad[-1]))]}"

    def _anybody(self, heard: Heard, flags: frozenset[Flag]) -> bool:
        return any(role == "user" and self._seen(heard, at) & flags for at, (role, _) in enumerate(heard.words))

    def _seen(self, heard: Heard, at: int) -> frozenset[Flag]:
        """Give what stands in the person's words at this place."""
        if at < 0:
            return frozenset()
        text, before = heard.words[at][1], heard.words[:at]
        return frozenset[Flag]().union(*(eyes.user(text, before).flags for eyes in self.eyes))

    @staticmethod
    def _ground(seen: frozenset[Flag]) -> str:
        return "abuse" if Flag.ABUSIVE in seen and Flag.HARMFUL not in seen else "harm"


def _words(text: str) -> list[str]:
    low = text[: _MOST_WORDS * 16].lower().replace("'", "").replace("’", "")
    return _WORD.findall(low)[:_MOST_WORDS]


def script() -> Script:
    """Read the script."""
    table = tomllib.loads(files(__package__).joinpath("demo.toml").read_text("utf-8"))
    return Script(table, [Topic(**row) for row in table["topic"]])


# Where it is asked.


def demo_app(pace: float = 0.0) -> Starlette:
    """Make the demo assistant; `pace` is how many seconds pass between two chunks of a stream."""
    play = script()
    model: str = play.table["model"]
    decoder = msgspec.json.Decoder(ChatRequest)

    async def paced(events: Iterator[bytes]) -> AsyncIterator[bytes]:
        for event in events:
            yield event
            if pace:
                await asyncio.sleep(pace)

    async def answer(request: Request, form: Form) -> Response:
        try:
            asked = decoder.decode(await request.body())
        except msgspec.ValidationError as problem:
            place = _PLACE.search(str(problem))
            return _said(form.refusal(str(problem), place[1] if place else None), 400)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            return _said(form.refusal(f"The body is not JSON: {problem}"), 400)
        prompt = sum(len(message.text.split()) for message in asked.messages)
        written = form(play.answer(hear(asked.messages)), model, prompt)
        if asked.stream:
            return StreamingResponse(paced(written.events(asked.wants_usage)), media_type="text/event-stream")
        return _said(written.whole())

    async def complete(request: Request) -> Response:
        return await answer(request, Completion)

    async def messages(request: Request) -> Response:
        return await answer(request, Message)

    async def models(request: Request) -> Response:
        return _said(_form(request).models(model))

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _said(_form(request).refusal(error.detail, None, error.status_code), error.status_code)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refuse},
    )


def _form(request: Request) -> Form:
    """Return the form in which a client wants to be answered at an address that both vendors have."""
    return Message if "anthropic-version" in request.headers else Completion


def _said(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")
