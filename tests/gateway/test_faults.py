"""What goes wrong: the model is away, breaks off or talks rubbish, the client goes away, the disk is full."""

import asyncio
import json
import socket
from typing import Any

import pytest
from openai import APIError, InternalServerError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adjourn.core.events import Answer, AttemptEnded, Ended, ForkReplied, Outcome, UserReceived
from adjourn.core.machine import Finish, Ground
from tests.gateway.rig import (
    ASK,
    BAD,
    CALM,
    CLEAR,
    YES,
    Recording,
    Rig,
    client_of,
    close,
    rig,
    until,
)
from tests.models import FAULTS, WARNS, Fault, Said, broken, scripted


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


async def outcomes(served: Rig) -> list[Outcome]:
    return [event.outcome for event in await served.every_event() if isinstance(event, AttemptEnded)]


async def test_a_model_that_cannot_be_reached_is_a_502_and_the_message_can_be_sent_again(stream: bool) -> None:
    with socket.socket() as taken:  # its port is nobody else's, and nobody listens
        taken.bind(("127.0.0.1", 0))
        await _unreachable(f"http://127.0.0.1:{taken.getsockname()[1]}", stream)


async def _unreachable(nobody: str, stream: bool) -> None:
    async with rig(scripted("Okay."), model_url=nobody) as served:
        chat = served.chat(stream=stream)
        for _ in range(2):
            reply = await chat.send(CALM)
            assert reply.status == 502
            assert reply.json["error"]["type"] == "upstream_error"
            assert "could not be reached" in reply.json["error"]["message"]
            chat.back()
        assert await outcomes(served) == [Outcome.FAILED] * 2
        async with served.session.get(f"{served.url}/v1/models") as answer:
            assert answer.status == 502


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_an_error_of_the_models_keeps_its_status_and_its_body(stream: bool, status: int) -> None:
    sent: list[int] = []

    async def fails(_: Request) -> Response:
        sent.append(status)
        return JSONResponse({"error": {"message": "No."}, "x": [1]}, status, headers={"retry-after": "7", "x-own": "1"})

    model = Recording(Starlette(routes=[Route("/v1/chat/completions", fails, methods=["POST"])]))
    async with rig(model) as served:
        reply = await served.chat(stream=stream).send(CALM)
        assert (reply.status, reply.body) == (status, b'{"error":{"message":"No."},"x":[1]}')
        assert reply.headers["retry-after"] == "7"
        assert "x-own" not in reply.headers
        assert "x-should-retry" not in reply.headers
        assert await outcomes(served) == [Outcome.FAILED]


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_a_fault_of_the_models_the_message_is_answered_when_it_is_sent_again(
    stream: bool, fault: str
) -> None:
    answers = [Said("Well."), Said("" if fault == "empty" else None) if fault in ("empty", "null") else Fault(fault)]
    if fault == "error_in_stream" and not stream:
        answers[1] = Fault("status_500")
    async with rig(scripted([*answers, "It is nine.", "Okay."])) as served:
        chat = served.chat(stream=stream)
        await chat.send(CALM)
        chat.messages.append({"role": "user", "content": BAD})
        await chat.post(chat.messages)
        assert (await chat.again()).text == "It is nine."
        assert (await chat.send(CALM)).text == "Okay."
        received = [event for event in await served.every_event() if isinstance(event, UserReceived)]
        assert len(received) == 3
        assert await served.verified() == 1


async def test_p13_rubbish_of_the_models_goes_to_the_client_as_it_is_and_counts_for_nothing(stream: bool) -> None:
    for fault in ("not_json", "no_choices"):
        for text in (CALM, BAD, ASK, CLEAR):
            bare = scripted(Fault(fault))
            async with rig(bare) as served:
                body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": stream}).encode()
                reply = await served.post(body)
                straight = await served.post(served.received[0].body, url=served.model_url)
                assert reply.status == 200
                if text is not CLEAR:
                    assert reply.body == straight.body
                answers = [event for event in await served.every_event() if isinstance(event, Answer)]
                assert {answer.finish for answer in answers} <= {Finish.UNREADABLE}
                assert await served.verified() == 1


async def test_p06_a_fork_that_fails_in_any_way_is_a_continue(stream: bool) -> None:
    for fork in (
        Fault("status_500"),
        Fault("not_json"),
        Fault("no_choices"),
        Fault("cut"),
        Said(None),
        Said("END", also={"tool_calls": [{"id": "t", "type": "function", "function": {"name": "x"}}]}),
    ):
        for forks in ([fork], ["END", fork]):
            async with rig(scripted(WARNS, forks)) as served:
                chat = served.chat(stream=stream)
                await chat.say(BAD, BAD)
                assert (await chat.send(BAD)).text == WARNS
                assert await served.count(Ended) == 0
                assert [event.verdict for event in await served.every_event() if isinstance(event, ForkReplied)] == [
                    "END"
                ] * (len(forks) - 1) + ["CONTINUE"]
                assert await served.verified() == 1


async def test_broken_models_never_end_a_conversation_and_never_break_the_gateway(stream: bool) -> None:
    for seed in range(4):
        async with rig(broken(seed)) as served:
            chat = served.chat(stream=stream)
            for text in (CALM, BAD, BAD, BAD, BAD, ASK, YES, CLEAR, BAD):
                assert (await chat.send(text)).status in (200, 500, 502)
            grounds = [event.ground for event in await served.every_event() if isinstance(event, Ended)]
            assert Ground.PERSISTENT_HARM not in grounds
            assert await served.verified()


# The client goes away.


class Slow:
    """A model that says something, and goes on when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.gone = asyncio.Event()
        routes = [Route("/v1/chat/completions", self._chat, methods=["POST"])]
        self.app = Recording(Starlette(routes=routes))

    async def _chat(self, request: Request) -> Response:
        if not (await request.json()).get("stream"):
            self.begun = True
            await self._waited(request)
        return StreamingResponse(self._said(request), media_type="text/event-stream")

    async def _said(self, request: Request) -> Any:
        yield chunk({"role": "assistant", "content": "It is"})
        await self._waited(request)
        yield chunk({"content": " nine."})
        yield chunk({}, "stop")
        yield b"data: [DONE]\n\n"

    async def _waited(self, request: Request) -> None:
        try:
            while not self.go_on.is_set():
                if await request.is_disconnected():
                    self.gone.set()
                    return
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.gone.set()
            raise


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    said = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


async def test_a_client_that_goes_away_in_mid_stream_stops_the_model_and_the_attempt_is_interrupted() -> None:
    model = Slow()
    async with rig(model.app) as served:
        chat = served.chat(stream=True)
        chat.messages.append({"role": "user", "content": CALM})
        body = json.dumps({"messages": chat.messages, "stream": True}).encode()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-test"}
        url = f"{served.url}/v1/chat/completions"
        async with served.session.post(url, data=body, headers=headers) as answer:
            assert b"It is" in await answer.content.readany()
        await until(model.gone.is_set)
        await until(lambda: _one(served, AttemptEnded))
        assert await outcomes(served) == [Outcome.INTERRUPTED]
        assert await served.count(Answer) == 0
        model.go_on.set()
        assert (await chat.again()).text == "It is nine."
        assert await served.verified()


async def _one(served: Rig, kind: type[Any]) -> bool:
    return await served.count(kind) > 0


async def test_whole_events_come_as_they_are_said_and_the_last_ones_once_the_answer_is_kept() -> None:
    model = Slow()
    async with rig(model.app) as served:
        url = f"{served.url}/v1/chat/completions"
        body = json.dumps({"messages": [{"role": "user", "content": CALM}], "stream": True}).encode()
        async with served.session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert await answer.content.readany() == chunk({"role": "assistant", "content": "It is"})
            assert await served.count(UserReceived) == 1
            assert await served.count(Answer) == 0
            model.go_on.set()
            rest = b""
            while b"stop" not in rest:
                rest += await answer.content.readany()
            assert await served.count(Answer) == 1


# The store fails.


@pytest.mark.parametrize("after", [0, 1])
async def test_p12_a_store_that_cannot_write_is_a_503_with_retry_after_or_an_error_in_the_stream(
    stream: bool, after: int
) -> None:
    async with rig(scripted("It is nine.")) as served:
        store = served.store
        commits = [0]

        def fails() -> bool:
            commits[0] += 1
            return commits[0] > after

        store.fails = fails
        chat = served.chat(stream=stream)
        chat.messages.append({"role": "user", "content": CALM})
        reply = await chat.post(chat.messages)
        if stream and after:
            assert reply.status == 200
            assert "[DONE]" not in reply.body.decode()
            assert reply.chunks[-1]["error"]["type"] == "store_error"
            assert all(not choice["finish_reason"] for part in reply.chunks[:-1] for choice in part["choices"])
        else:
            assert reply.status == 503
            assert reply.headers["Retry-After"] == "1"
            assert reply.json["error"]["type"] == "store_error"
            assert "x-should-retry" not in reply.headers
        assert len(served.received) == after
        assert await served.count(Answer) == 0
        store.fails = lambda: False
        assert (await chat.again()).text == "It is nine."
        assert await served.verified() == 2 - (after == 0)


async def test_p01_where_the_end_cannot_be_kept_no_closing_words_are_sent(stream: bool) -> None:
    async with rig(scripted(WARNS, ["END", "END\nGoodbye."])) as served:
        chat = served.chat(stream=stream)
        await chat.say(BAD, BAD)
        store = served.store
        store.fails = lambda: len(served.forks) == 2
        chat.messages.append({"role": "user", "content": BAD})
        reply = await chat.post(chat.messages)
        assert reply.status == 503
        assert b"Goodbye" not in reply.body
        store.fails = lambda: False
        assert (await chat.again()).ended
        assert await served.verified() == 1


async def test_an_error_in_the_middle_of_a_stream_is_raised_by_the_official_client() -> None:
    async with rig(scripted([Fault("error_in_stream"), Fault("cut"), "Okay."])) as served, served.client() as client:
        create: Any = client.chat.completions.create
        for says in ("It broke.", "broke off"):
            with pytest.raises(APIError, match=says):
                async for _ in await create(model="m", messages=[{"role": "user", "content": CALM}], stream=True):
                    pass


async def test_what_a_model_said_before_it_broke_off_is_kept_as_interrupted_and_an_error_is_the_last_event() -> None:
    async with rig(scripted([Fault("cut"), "Okay."])) as served:
        chat = served.chat(stream=True)
        chat.messages.append({"role": "user", "content": CALM})
        reply = await chat.post(chat.messages)
        assert reply.chunks[-1]["error"]["type"] == "upstream_error"
        assert b"[DONE]" not in reply.body
        assert await outcomes(served) == [Outcome.INTERRUPTED]
        assert (await chat.again()).text == "Okay."


async def test_an_error_of_the_models_is_tried_again_by_the_official_client_as_ever() -> None:
    async with rig(scripted(Fault("status_500"))) as served, client_of(served.url, max_retries=1) as client:
        with pytest.raises(InternalServerError):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": CALM}])
        assert len(served.received) == 2


async def test_p01_an_end_stands_when_the_model_is_away(stream: bool) -> None:
    async with rig(scripted([WARNS, WARNS, Fault("status_500")], ["END", "END"])) as served:
        chat = served.chat(stream=stream)
        await close(chat)
        assert (await chat.send(CALM)).refused


async def test_a_client_that_goes_away_while_a_plain_answer_is_being_kept_leaves_an_attempt_and_no_answer() -> None:
    async with rig(scripted("It is noon.")) as served:
        keeps, goes_on = asyncio.Event(), asyncio.Event()
        commit, commits = served.store.commit, 0

        async def slow(*arguments: Any, **named: Any) -> Any:
            nonlocal commits
            commits += 1
            if commits == 2:  # the answer's
                keeps.set()
                await goes_on.wait()
            return await commit(*arguments, **named)

        served.store.commit = slow  # type: ignore[method-assign]
        asking = asyncio.create_task(served.chat().send(CALM))
        await keeps.wait()
        asking.cancel()

        async def is_over() -> bool:
            return await served.count(AttemptEnded) == 1

        await until(is_over)
        goes_on.set()
        assert (await served.chat().send(CALM)).status == 200  # and whatever still ran has run
        assert await served.count(Answer) == 1
        await served.verified()
