"""The official clients, both vendors', both kinds: through the gateway each thing that they do goes as without it.

Every scenario runs twice, against a model itself and through the gateway, and what the client gave and what the model
was sent must be equal. The synchronous clients run the same scenarios in a thread of their own.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway.clients import Scenario, entered, items, run, sent, settled
from tests.gateway.errands import ASK, SAYS, SCENARIOS, USER, a_stream_of_chunks, a_stream_of_events
from tests.gateway.rig import ASK as CLOSE_IT
from tests.gateway.rig import BAD, CALM, CLEAR, CRISIS, FAINT, HARM_REFUSAL, QUESTION, Rig, is_fork, rig
from tests.models import CLOSES, WARNS, Answer, Asked, Received, scripted
from tests.playback import JSON, SSE, Playback, Played, playing

# The suite.

ALL = [(vendor, scenario) for vendor, scenarios in SCENARIOS.items() for scenario in scenarios]


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(("vendor", "scenario"), ALL, ids=[scenario.__name__ for _, scenario in ALL])
async def test_through_the_gateway_a_client_gives_and_sends_what_it_does_without_it(
    vendor: str, scenario: Scenario, kind: str
) -> None:
    async with playing(SAYS[vendor]) as bare, playing(SAYS[vendor]) as behind, rig(behind) as served:
        straight = await run(vendor, kind, bare.url, scenario)
        through = await run(vendor, kind, served.url, scenario)
        assert through == straight
        assert sent(behind.received) == sent(bare.received)
        assert await served.verified() <= 2


# Errors and retries.

ASKING: Mapping[str, Scenario] = {
    "openai": lambda client: settled(client.chat.completions.create(model="m", messages=[USER])),
    "anthropic": lambda client: settled(client.messages.create(**ASK)),
}
STREAMING: Mapping[str, Scenario] = {
    "openai": lambda client: settled(client.chat.completions.create(model="m", messages=[USER], stream=True)),
    "anthropic": lambda client: settled(client.messages.create(**ASK, stream=True)),
}
STREAMED: Mapping[str, Scenario] = {"openai": a_stream_of_chunks, "anthropic": a_stream_of_events}
WAIT = ("Retry-After-Ms", "1")


def failing(vendor: str, status: str, times: int, *headers: tuple[str, str]) -> Callable[[Received], Played]:
    """A model that fails so many times, and then answers."""
    left = [times]

    def says(one: Received) -> Played:
        left[0] -= 1
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "It is busy.", "code": "busy"}}
        told = Played(json.dumps(error).encode(), JSON, status, (WAIT, *headers))
        return told if left[0] >= 0 else SAYS[vendor](one)

    return says


def what_is_raised(vendor: str, asking: Scenario) -> Scenario:
    """What a person is shown of an error."""

    async def scenario(client: Any) -> Any:
        errors = (openai.APIStatusError, anthropic.APIStatusError)
        try:
            return await asking(client)
        except errors as error:
            return type(error).__name__, str(error), error.message, error.body, error.status_code, error.request_id

    return scenario


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "529 Overloaded", "409 C"])
@pytest.mark.parametrize(("times", "tries"), [(1, 2), (9, 3)])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_what_a_client_tries_again_at_the_model_it_tries_again_through_the_gateway(
    vendor: str, status: str, times: int, tries: int
) -> None:
    for asking in (ASKING[vendor], STREAMED[vendor]):
        scenario = what_is_raised(vendor, asking)
        async with (
            playing(failing(vendor, status, times)) as bare,
            playing(failing(vendor, status, times)) as behind,
            rig(behind) as served,
        ):
            straight = await run(vendor, "async", bare.url, scenario)
            through = await run(vendor, "async", served.url, scenario)
            assert len(bare.received) == len(behind.received) == tries
            assert sent(behind.received) == sent(bare.received)
            assert through == straight
            assert ("It is busy." in str(straight)) is (times > 1)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "422 Unprocessable Content"]
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_what_the_model_refuses_is_raised_as_it_is_and_sent_once(vendor: str, status: str) -> None:
    scenario = what_is_raised(vendor, ASKING[vendor])
    says = failing(vendor, status, 9, ("x-request-id", "req_9"), ("request-id", "req_9"))
    async with playing(says) as behind, rig(behind) as served:
        straight = await run(vendor, "async", behind.url, scenario)
        through = await run(vendor, "async", served.url, scenario)
        assert through == straight
        assert through[-1] == "req_9"
        assert len(behind.received) == 2


@pytest.mark.parametrize("said", ["true", "false"])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_model_that_says_whether_to_try_again_is_obeyed_through_the_gateway(vendor: str, said: str) -> None:
    status = {"true": "400 Bad Request", "false": "500 Internal Server Error"}[said]
    scenario = what_is_raised(vendor, ASKING[vendor])
    async with playing(failing(vendor, status, 9, ("X-Should-Retry", said))) as behind, rig(behind) as served:
        await run(vendor, "async", served.url, scenario)
        assert len(behind.received) == {"true": 3, "false": 1}[said]


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_client_that_closes_its_stream_early_cancels_the_model(vendor: str, kind: str) -> None:
    whole = SAYS[vendor](Received("/v1/chat/completions" if vendor == "openai" else "/v1/messages", (), _asks(vendor)))
    begun = whole.body[: len(whole.body) // 2]

    async def leaves(client: Any) -> Any:
        async with entered(await STREAMING[vendor](client)) as stream:
            if hasattr(stream, "__aiter__"):
                return await anext(aiter(stream))
            return next(iter(stream))

    async with playing([Played(begun, SSE, holds=True)]) as behind, rig(behind) as served:
        await run(vendor, kind, served.url, leaves)
        await _until_left(behind)


def _asks(vendor: str) -> bytes:
    return json.dumps({"messages": [USER], "stream": True}).encode()


async def _until_left(behind: Playback) -> None:
    async with asyncio.timeout(5):
        while not behind.left:
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_client_that_waits_too_long_gives_up_and_the_model_is_let_go(vendor: str) -> None:
    errors = (openai.APITimeoutError, anthropic.APITimeoutError)

    async def waits(client: Any) -> Any:
        with pytest.raises(errors):
            await ASKING[vendor](client)

    async with playing([Played(b"", holds=True)]) as behind, rig(behind) as served:
        await run(vendor, "async", served.url, waits, timeout=0.05, max_retries=0)
        await _until_left(behind)


# What Adjourn adds arrives, and disturbs no helper.


def speaks(asked: Asked) -> Answer:
    if "clear sign" in asked.last:
        return CRISIS
    return WARNS if "forbidden" in asked.last else "Okay."


class Talk:
    """A conversation with a client's own helpers: plain, a stream of pieces, and the helper for streams."""

    def __init__(self, client: Any, way: str) -> None:
        self.client = client
        self.way = way
        self.messages: list[Any] = []

    async def send(self, text: str) -> tuple[str, Mapping[str, Any] | None]:
        """Say something; return the words of the answer, and Adjourn's object."""
        self.messages.append({"role": "user", "content": text})
        ask = self.ask_openai if isinstance(self.client, openai.OpenAI | openai.AsyncOpenAI) else self.ask_anthropic
        words, told = await ask()
        self.messages.append({"role": "assistant", "content": words})
        found = [one["adjourn"] for one in told if one and "adjourn" in one]
        assert len(found) < 2
        return words, found[0] if found else None

    async def ask_openai(self) -> tuple[str, list[Mapping[str, Any] | None]]:
        asked, chat = {"model": "m", "messages": self.messages}, self.client.chat.completions
        if self.way == "plain":
            whole = await settled(chat.create(**asked))
            assert whole.choices[0].finish_reason == "stop"
            return whole.choices[0].message.content, [whole.model_extra]
        if self.way == "pieces":
            pieces = await items(await settled(chat.create(**asked, stream=True)))
            parts = [choice.delta.content or "" for piece in pieces for choice in piece.choices]
            return "".join(parts), [piece.model_extra for piece in pieces]
        async with entered(chat.stream(**asked)) as stream:
            events = await items(stream)
            final = await settled(stream.get_final_completion())
        assert final.choices[0].finish_reason == "stop"
        words = final.choices[0].message.content
        assert "".join(event.delta for event in events if event.type == "content.delta") == words
        assert [event.content for event in events if event.type == "content.done"] == [words]
        return words, [event.chunk.model_extra for event in events if event.type == "chunk"]

    async def ask_anthropic(self) -> tuple[str, list[Mapping[str, Any] | None]]:
        asked, messages = {**ASK, "messages": self.messages}, self.client.messages
        if self.way == "plain":
            whole = await settled(messages.create(**asked))
            assert whole.stop_reason == "end_turn"
            return "".join(block.text for block in whole.content), [whole.model_extra]
        if self.way == "pieces":
            pieces = await items(await settled(messages.create(**asked, stream=True)))
            parts = [piece.delta.text for piece in pieces if piece.type == "content_block_delta"]
            return "".join(parts), [piece.model_extra for piece in pieces]
        async with entered(messages.stream(**asked)) as stream:
            events = await items(stream)
            final = await settled(stream.get_final_message())
        assert final.stop_reason == "end_turn"
        words = "".join(block.text for block in final.content)
        assert "".join(event.text for event in events if event.type == "text") == words
        return words, [event.model_extra for event in events if event.type == "message_delta"]


WAYS = ["plain", "pieces", "helper"]


@pytest.fixture(params=["async", "sync"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_warning_closing_words_question_and_help_lines_arrive_in_every_way_to_ask(
    vendor: str, way: str, kind: str
) -> None:
    async def talks(client: Any) -> Any:
        said = []
        for texts in ((CALM, BAD, BAD, BAD), (CLOSE_IT,), (CLEAR, CALM)):
            talk = Talk(client, way)
            said.append([await talk.send(text) for text in texts])
        return said

    async with rig(scripted(speaks, ["END", f"END\n{CLOSES}"])) as served:
        bad, asked, risk = await run(vendor, kind, served.url, talks)
        assert [words for words, _ in bad] == ["Okay.", WARNS, WARNS, CLOSES]
        assert [(told or {}).get("stage") for _, told in bad] == [None, None, "WARNED", "ENDED"]
        assert bad[-1][1]["receipt"].startswith("AJ-")
        assert asked[0][0] == f"Okay.\n\n{QUESTION}"
        assert risk[0][0] == CRISIS
        assert risk[0][1]["support"]["lines"]
        assert risk[1][1] is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_refusal_is_asked_for_once_by_every_client_and_says_in_the_error_what_to_do(
    vendor: str, way: str, kind: str
) -> None:
    errors = (openai.BadRequestError, anthropic.BadRequestError)

    async def refused(client: Any) -> Any:
        talk, asked = Talk(client, way), Counted(client, kind)
        for text in (BAD, BAD, BAD):
            await talk.send(text)
        before = asked.count
        found = []
        for text in (CALM, FAINT):
            with pytest.raises(errors) as raised:
                await talk.send(text)
            talk.messages.pop()
            error: Any = raised.value
            found.append([str(error), error.message, error.body])
        return asked.count - before, found

    async with rig(scripted(speaks, ["END", f"END\n{CLOSES}"])) as served:
        count, found = await run(vendor, kind, served.url, refused, max_retries=5)
        assert count == 2
        assert len(answered(served)) == 2
        for text, message, body in found:
            assert HARM_REFUSAL in text
            assert HARM_REFUSAL in message
            error = body if vendor == "openai" else body["error"]
            assert (error["message"], error["code"]) == (HARM_REFUSAL, "conversation_ended")
        assert vendor == "openai" or found[1][2]["adjourn"]["support"]["lines"]


def answered(served: Rig) -> list[Received]:
    return [one for one in served.received if not is_fork(one)]


class Counted:
    """How many requests a client sends, its own retries too."""

    def __init__(self, client: Any, kind: str) -> None:
        self.count = 0
        client._client.event_hooks = {"request": [self.noted if kind == "async" else self.note], "response": []}

    def note(self, _: Any) -> None:
        self.count += 1

    async def noted(self, _: Any) -> None:
        self.count += 1
