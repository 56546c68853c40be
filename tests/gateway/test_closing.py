"""The whole job, through the official client: declined, warned, closed, and it stays closed; or it is not closed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from starlette.types import ASGIApp

from adjourn.core.events import AttemptStarted, Ended, ForkReplied
from adjourn.core.machine import Ground, Guidance
from adjourn.core.policy import Policy
from adjourn.signals import Detectors
from adjourn.signals.lexical import Lexical
from adjourn.upstream.demo import demo_app
from adjourn.upstream.stand_ins import StandIns
from tests.gateway.rig import (
    ABUSE,
    BAD,
    CALM,
    CLEAR,
    CRISIS,
    HARM_REFUSAL,
    Recording,
    Rig,
    client_of,
    rig,
)
from tests.models import CLOSES, REDIRECTS, WARNS, Answer, Asked, scripted

R = 3
Messages = list[dict[str, Any]]


@dataclass
class Said:
    """An answer as the official client gives it."""

    text: str
    finish: str | None
    adjourn: dict[str, Any] | None


class Talk:
    """A conversation through the official client."""

    def __init__(self, client: AsyncOpenAI, stream: bool) -> None:
        self.client = client
        self.stream = stream
        self.messages: Messages = []

    async def send(self, text: str) -> Said:
        self.messages.append({"role": "user", "content": text})
        said = await self.ask(self.messages)
        self.messages.append({"role": "assistant", "content": said.text})
        return said

    async def ask(self, messages: Messages) -> Said:
        create: Any = self.client.chat.completions.create
        if not self.stream:
            whole = await create(model="any", messages=messages)
            choice = whole.choices[0]
            return Said(choice.message.content, choice.finish_reason, (whole.model_extra or {}).get("adjourn"))
        said = Said("", None, None)
        async for chunk in await create(model="any", messages=messages, stream=True):
            for choice in chunk.choices:
                said.text += choice.delta.content or ""
                said.finish = choice.finish_reason or said.finish
            found = (chunk.model_extra or {}).get("adjourn")
            if found:
                assert [choice.finish_reason for choice in chunk.choices] == ["stop"]
                said.adjourn = found
        return said

    async def refused(self, messages: Messages) -> None:
        with pytest.raises(BadRequestError) as caught:
            await self.ask(messages)
        response, error = caught.value.response, caught.value.body
        assert response.status_code == 400
        assert response.headers["x-should-retry"] == "false"
        assert response.headers["Adjourn-Stage"] == "ENDED"
        assert isinstance(error, dict)
        assert error["code"] == error["type"] == "conversation_ended"
        assert error["message"] == HARM_REFUSAL


def speaks(asked: Asked) -> Answer:
    """A model that redirects, warns when it may, and stays when somebody is at risk."""
    said: dict[str | None, str] = {"redirect": REDIRECTS, "may_warn": WARNS, "support": CRISIS}
    return said.get(asked.guidance, f"It is {asked.number} o'clock.")


@cache
def whole_demo() -> tuple[ASGIApp, Detectors]:
    """The demo assistant, and the detectors that stand before it: they are read once, which takes a moment."""
    return demo_app(), Detectors([Lexical(), StandIns()], Policy().thresholds)


@asynccontextmanager
async def behind(model: str, *, fork: Sequence[str] = ("END", f"END\n{CLOSES}")) -> AsyncIterator[Rig]:
    if model == "demo":
        demo, seen = whole_demo()
        async with rig(Recording(demo), Policy(), seen=seen) as served:
            yield served
    else:
        async with rig(scripted(speaks, fork), Policy()) as served:
            yield served


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


@pytest.fixture(params=["demo", "scripted"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def guidances(served: Rig) -> list[Guidance | None]:
    return [event.guidance for event in await served.every_event() if isinstance(event, AttemptStarted)]


@pytest.mark.parametrize("bad", [BAD, ABUSE])
async def test_p03_a_chat_of_persistent_bad_messages_is_redirected_warned_and_closed(
    model: str, stream: bool, bad: str
) -> None:
    async with behind(model) as served, served.client() as client:
        talk = Talk(client, stream)
        assert (await talk.send(CALM)).adjourn is None
        for _ in range(R):
            said = await talk.send(bad)
            assert said.adjourn is None
            assert not served.forks
        assert "may close" not in str([one.body for one in served.received])

        warned = await talk.send(bad)
        assert warned.adjourn is not None
        assert warned.adjourn["stage"] == "WARNED"
        assert "I may close this chat" in warned.text or "closing" in warned.text or "close" in warned.text
        assert not served.forks

        closed = await talk.send(bad)
        assert len(served.forks) == 2
        assert closed.finish == "stop"
        assert closed.adjourn is not None
        assert closed.adjourn["stage"] == "ENDED"
        assert closed.adjourn["ground"] == Ground.PERSISTENT_HARM
        assert closed.adjourn["receipt"].startswith("AJ-")
        assert closed.text.startswith(("I've said several times", "I won't go on"))
        assert await guidances(served) == [None, *[Guidance.REDIRECT] * R, Guidance.MAY_WARN, None]
        assert await served.verified() == 1


async def test_p01_below_an_end_every_message_is_refused_and_reaches_no_model(model: str, stream: bool) -> None:
    async with behind(model) as served, served.client() as client:
        talk = Talk(client, stream)
        for _ in range(R + 2):
            await talk.send(BAD)
        asked = len(served.received)
        for text in (CALM, BAD, "Please go on."):
            await talk.refused([*talk.messages, {"role": "user", "content": text}])
        assert len(served.received) == asked
        assert await served.verified() == 1


async def test_p08_below_an_end_no_model_is_called_and_nothing_is_written(model: str, stream: bool) -> None:
    async with behind(model) as served, served.client() as client:
        talk = Talk(client, stream)
        for _ in range(R + 2):
            await talk.send(BAD)
        asked, written = len(served.received), len(await served.every_event())
        await talk.refused([*talk.messages, {"role": "user", "content": "Are you still there?"}])
        assert (len(served.received), len(await served.every_event())) == (asked, written)


async def test_p07_an_edited_earlier_message_and_a_new_chat_go_on(model: str, stream: bool) -> None:
    async with behind(model) as served, served.client() as client:
        talk = Talk(client, stream)
        for _ in range(R + 2):
            await talk.send(BAD)
        edited = [*talk.messages[:4], {"role": "user", "content": "What can you do?"}]
        assert (await talk.ask(edited)).adjourn is None
        fresh = Talk(client, stream)
        assert (await fresh.send("What can you do?")).adjourn is None
        assert (await fresh.send(CALM)).adjourn is None
        await talk.refused([*talk.messages, {"role": "user", "content": CALM}])


async def test_p03_a_model_that_says_continue_goes_on(stream: bool) -> None:
    for fork in (["CONTINUE"], ["END", "CONTINUE"], ["I'd say END"], ["ENDING it"], [""]):
        async with behind("scripted", fork=fork) as served, served.client() as client:
            talk = Talk(client, stream)
            for _ in range(R + 2):
                await talk.send(BAD)
            said = await talk.send(CALM)
            assert said.adjourn is None
            assert said.text.endswith("o'clock.")
            assert await served.count(Ended) == 0
            assert len(served.forks) == len(fork)
            assert await served.verified() == 1


async def test_p03_a_model_that_never_warns_gets_the_hosts_warning_where_the_policy_says_so(stream: bool) -> None:
    policy = Policy(redirections=1, warning="host")
    for bad, says in ((BAD, "If the same request keeps coming, I may close this chat."), (ABUSE, "If it continues, I")):
        async with rig(scripted(REDIRECTS, ["END", "END"]), policy) as served:
            chat = served.chat(stream=stream)
            assert (await chat.send(bad)).text == REDIRECTS
            warned = await chat.send(bad)
            assert warned.stage == "WARNED"
            assert warned.text.startswith(f"{REDIRECTS}\n\n")
            assert says in warned.text
            assert "{" not in warned.text
            assert (await chat.send(bad)).ended
            assert (await chat.send(CALM)).refused
            assert await served.verified() == 1


async def test_the_question_whether_to_close_is_asked_again_with_every_field_of_the_first_answer() -> None:
    async with behind("scripted") as served, served.client() as client:
        talk = Talk(client, False)
        for _ in range(R + 2):
            await talk.send(BAD)
        first, second = (fork.json() for fork in served.forks)
        assert first["messages"] == second["messages"][: len(first["messages"])]
        resent, asked = second["messages"][-2:]
        assert resent == {"role": "assistant", "content": "END"}
        assert asked["role"] == "user"
        assert "Answer with one word on the first line: END or CONTINUE." in asked["content"]
        assert "stream" not in first
        replied = [event.verdict for event in await served.every_event() if isinstance(event, ForkReplied)]
        assert replied == ["END", "END"]


async def test_p05_a_message_below_an_end_from_somebody_who_wants_to_die_is_answered(stream: bool) -> None:
    async with behind("demo") as served, served.client() as client:
        talk = Talk(client, stream)
        for _ in range(R + 2):
            await talk.send(BAD)
        said = await talk.send("I want to die.")
        assert said.adjourn is not None
        assert said.adjourn["support"]["kind"] == "self"
        assert said.adjourn["support"]["lines"]
        assert "stage" not in said.adjourn
        assert "help line" in said.text
        asked = len(served.received)
        for _ in range(R + 3):
            assert (await talk.send(BAD)).adjourn is None
        assert len(served.received) == asked + R + 3
        assert len(served.forks) == 2
        assert await served.verified() == 1


async def test_p05_a_clear_sign_lifts_the_end_for_good(stream: bool) -> None:
    async with behind("scripted") as served:
        chat = served.chat(stream=stream)
        await chat.say(*[BAD] * (R + 2))
        below = chat.fork()
        reply = await chat.send(CLEAR)
        assert reply.status == 200
        assert reply.text == CRISIS
        assert reply.adjourn is not None
        assert reply.adjourn["support"]["lines"]
        assert (await below.send(CALM)).status == 200


async def test_a_refusal_is_sent_once_by_the_official_client(stream: bool) -> None:
    async with behind("scripted") as served, served.client(max_retries=5) as client:
        talk = Talk(client, stream)
        for _ in range(R + 2):
            await talk.send(BAD)
        sent: list[str | None] = []

        async def counted(request: Any) -> None:
            sent.append(request.headers.get("x-stainless-retry-count"))

        client._client.event_hooks = {"request": [counted], "response": []}
        await talk.refused([*talk.messages, {"role": "user", "content": CALM}])
        assert sent == ["0"]


# A server of its own, killed without warning.


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run `adjourn serve` with the demo assistant, and give its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ADJOURN_")}
    environment |= {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    command = ["-m", "adjourn", "serve", "--port", "0", "--db", f"sqlite:///{folder / 'kept.db'}"]
    served = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert served.stdout is not None
        line = (await served.stdout.readline()).decode()
        yield line.split()[-1], served
    finally:
        if served.returncode is None:
            served.kill()
        await served.communicate()


async def test_p01_a_server_that_is_killed_and_started_again_forgets_nothing(tmp_path: Path) -> None:
    talks: list[Talk] = []
    async with process(tmp_path) as (url, served), client_of(url) as client:
        closed, open_ = Talk(client, True), Talk(client, False)
        for _ in range(R + 2):
            said = await closed.send(BAD)
        assert said.adjourn is not None
        assert said.adjourn["stage"] == "ENDED"
        for _ in range(R):
            await open_.send(ABUSE)
        talks = [closed, open_]
        served.kill()
    async with process(tmp_path) as (url, _), client_of(url) as client:
        for talk in talks:
            talk.client = client
        await closed.refused([*closed.messages, {"role": "user", "content": CALM}])
        warned = await open_.send(ABUSE)
        assert warned.adjourn is not None
        assert warned.adjourn["stage"] == "WARNED"
        assert (await Talk(client, True).send("What can you do?")).adjourn is None
        edited = [*closed.messages[:2], {"role": "user", "content": "What can you do?"}]
        assert (await closed.ask(edited)).adjourn is None
