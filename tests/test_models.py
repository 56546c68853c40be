"""The stub models do what they say, over a real socket, and what they send is legal however odd it looks."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from openai import APIError, OpenAI
from openai.types.chat import ChatCompletion
from starlette.applications import Starlette

from adjourn.core.reading import Flag
from adjourn.signals import local
from tests.models import (
    FAULTS,
    FORGERIES,
    FORK,
    GARBAGE,
    Answer,
    Asked,
    Said,
    appeasing,
    broken,
    forging,
    hostile,
    odd_json,
    scripted,
    serving,
    stubborn,
)

ASSISTANTS = local()
MAKERS: Mapping[str, Callable[..., Starlette]] = {
    "hostile": hostile,
    "stubborn": stubborn,
    "appeasing": appeasing,
    "forging": forging,
}
HELLO = [{"role": "user", "content": "hello, wörld"}]
MAY_WARN = [{"role": "user", "content": "hello\n\n[adjourn/may_warn] You may."}]
ASKED = [*HELLO, {"role": "user", "content": f"Close?\n{FORK}"}]
ASKED_AGAIN = [*ASKED, {"role": "assistant", "content": "END"}, {"role": "user", "content": f"{FORK}\nAnd say why."}]

Messages = Sequence[Mapping[str, object]]


def body(messages: Messages = HELLO, **rest: object) -> dict[str, object]:
    return {"model": "stub", "messages": messages, **rest}


async def post(app: Starlette, messages: Messages = HELLO, **rest: object) -> httpx2.Response:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://stub") as client:
        return await client.post("/v1/chat/completions", json=body(messages, **rest))


async def said(app: Starlette, messages: Messages = HELLO) -> str:
    completion = ChatCompletion.model_validate_json((await post(app, messages)).content)
    return completion.choices[0].message.content or ""


async def streamed(app: Starlette, messages: Messages = HELLO) -> str:
    response = await post(app, messages, stream=True, stream_options={"include_usage": True})
    chunks = list(chunks_of(response.content))
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])


def chunks_of(content: bytes) -> Iterator[Any]:
    lines = [
        line[5:].strip() for line in content.decode().replace("\r\n", "\n").split("\n") if line.startswith("data:")
    ]
    assert lines[-1] == "[DONE]"
    yield from map(json.loads, lines[:-1])


def flags(text: str) -> frozenset[Flag]:
    return ASSISTANTS.assistant(text).flags


# What they say.


async def test_the_hostile_model_declines_redirects_warns_and_always_wants_to_close() -> None:
    app = hostile()
    assert flags(await said(app)) == {Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED}
    assert await said(app, ASKED) == "END"
    assert (await said(app, ASKED_AGAIN)).startswith("END\nI've said")


async def test_the_stubborn_model_warns_when_it_may_and_never_wants_to_close() -> None:
    app = stubborn()
    assert flags(await said(app)) == {Flag.DECLINED, Flag.REDIRECTED}
    assert flags(await said(app, MAY_WARN)) == {Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED}
    assert flags(await said(app, [*MAY_WARN, {"role": "assistant", "content": "No."}, *HELLO])) == {
        Flag.DECLINED,
        Flag.REDIRECTED,
    }
    assert await said(app, ASKED) == await said(app, ASKED_AGAIN) == "CONTINUE"


async def test_the_appeasing_model_does_nothing_but_help() -> None:
    app = appeasing()
    assert flags(await said(app)) == flags(await said(app, MAY_WARN)) == frozenset()
    assert await said(app, ASKED) == "CONTINUE"


async def test_the_forging_model_writes_one_forgery_after_the_other() -> None:
    app = forging()
    assert [await said(app) for _ in range(len(FORGERIES) + 1)] == [*FORGERIES, FORGERIES[0]]
    assert await said(app, ASKED) == "END"
    assert await said(forging(fork="CONTINUE"), ASKED) == "CONTINUE"


async def test_a_scripted_model_says_its_list_or_what_its_function_says() -> None:
    app = scripted(["one", Said("two", finish="length")], fork=["END", "END\nBye."])
    assert [await said(app), await said(app, ASKED), await said(app, ASKED_AGAIN)] == ["one", "END", "END\nBye."]
    assert [(await post(app)).json()["choices"][0]["finish_reason"] for _ in range(2)] == ["length", "length"]

    async def function(asked: Asked) -> Answer:
        return f"{asked.number} {asked.last} {asked.guidance}"

    app = scripted(function)
    assert [await said(app), await said(app, MAY_WARN)] == [
        "0 hello, wörld None",
        "1 hello\n\n[adjourn/may_warn] You may. may_warn",
    ]


async def test_a_scripted_model_may_call_tools() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    app = scripted(Said(None, finish="tool_calls", also={"tool_calls": [call]}))
    assert (await post(app)).json()["choices"][0]["message"]["tool_calls"] == [call]
    first = next(chunks_of((await post(app, stream=True)).content))
    assert first["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **call}]


@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
@pytest.mark.parametrize("name", MAKERS)
async def test_a_stream_says_what_a_plain_answer_says(name: str, odd: bool) -> None:
    for messages in (HELLO, ASKED, ASKED_AGAIN):
        texts = [await said(MAKERS[name](), messages), await said(MAKERS[name](odd=odd), messages)]
        assert await streamed(MAKERS[name](odd=odd), messages) == texts[0] == texts[1]


@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
async def test_the_same_requests_get_the_same_bytes(odd: bool) -> None:
    for stream in (False, True):
        answers = [
            [(await post(app, stream=stream)).content for _ in range(3)] for app in (forging(odd=odd), forging(odd=odd))
        ]
        assert answers[0] == answers[1]


def test_odd_json_is_json() -> None:
    value = {"a/b": ['"\\\n\u2028 üß😀é', 1.5, None, True, {}, []], "": {"x": "\x00"}}
    assert json.loads(odd_json(value)) == value
    assert "\n" not in odd_json(value)


# What they remember.


async def test_requests_are_kept_as_they_came() -> None:
    app = appeasing()
    raw = b'{ "messages":[{"role":"user","content":"\\u0068i"}] ,"x" : 1.50}'
    headers = {"Authorization": "Bearer k", "X-Odd": "yes"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://stub") as client:
        await client.post("/v1/chat/completions", content=raw, headers=headers)
        await client.post("/v1/embeddings", content=b"\x00")
        await client.get("/v1/models")
    assert [one.path for one in app.state.received] == ["/v1/chat/completions", "/v1/embeddings", "/v1/models"]
    assert [one.body for one in app.state.received] == [raw, b"\x00", b""]
    assert app.state.received[0].header("authorization") == "Bearer k"
    assert app.state.received[0].header("adjourn-conversation") is None
    assert app.state.received[0].json()["x"] == 1.5


# On a socket.


@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
def test_the_vendors_client_reads_them(odd: bool) -> None:
    with serving(appeasing(odd=odd)) as url, OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        plain = client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "hi"}])
        chunks = client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "hi"}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == plain.choices[0].message.content
        assert [model.id for model in client.models.list()] == ["stub"]


def test_a_stream_comes_in_pieces_and_an_app_can_be_served_after_another() -> None:
    app = appeasing()
    for _ in range(2):
        with (
            serving(app) as url,
            httpx2.stream("POST", f"{url}/v1/chat/completions", json=body(stream=True)) as response,
        ):
            assert sum(1 for _ in response.iter_raw()) >= 1
    assert len(app.state.received) == 2


def test_a_client_that_goes_away_in_mid_stream_does_not_keep_the_server() -> None:
    with (
        serving(appeasing()) as url,
        httpx2.stream("POST", f"{url}/v1/chat/completions", json=body(stream=True)) as answer,
    ):
        next(answer.iter_raw())


def test_an_app_that_cannot_start_is_an_error_here() -> None:
    @asynccontextmanager
    async def failing(app: Starlette) -> AsyncIterator[None]:
        if app.routes == []:
            raise RuntimeError("no")
        yield

    with pytest.raises(RuntimeError, match="did not run"), serving(Starlette(lifespan=failing)):
        pytest.fail("it runs")


# What is broken.


async def test_the_broken_model_fails_in_every_way_and_never_says_a_plain_end() -> None:
    faults = [fault for fault in FAULTS if fault != "cut"]  # which needs a socket
    statuses, replies = set(), set()
    for seed in range(20):
        app = broken(seed, faults)
        for _ in range(4):
            statuses.add((await post(app)).status_code)
            reply = await post(app, ASKED)
            replies.add(reply.content)
            assert b'"content":"END' not in reply.content or b"ENDLESSLY" in reply.content
    assert statuses == {200, 500}
    assert len(replies) > len(GARBAGE)
    again = [broken(7, faults), broken(7, faults)]
    assert [(await post(again[0])).content for _ in range(9)] == [(await post(again[1])).content for _ in range(9)]


@pytest.mark.parametrize(("fault", "content"), [("empty", ""), ("null", None)])
async def test_an_empty_answer_is_complete(fault: str, content: str | None) -> None:
    assert (await post(broken(faults=[fault]))).json()["choices"][0]["message"]["content"] == content
    assert len(list(chunks_of((await post(broken(faults=[fault]), stream=True)).content))) == 2


@pytest.mark.parametrize("fault", ["not_json", "no_choices"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_broken_answer_is_no_completion(fault: str, stream: bool) -> None:
    response = await post(broken(faults=[fault]), stream=stream)
    assert response.status_code == 200
    with pytest.raises((ValueError, KeyError)):
        [chunk["choices"] for chunk in (chunks_of(response.content) if stream else [response.json()])]


def test_an_error_in_a_stream_is_one_for_the_vendors_client() -> None:
    with (
        serving(broken(faults=["error_in_stream"])) as url,
        OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
        pytest.raises(APIError, match="It broke"),
    ):
        list(client.chat.completions.create(model="stub", messages=[{"role": "user", "content": "hi"}], stream=True))


@pytest.mark.parametrize("odd", [False, True], ids=["usual", "odd"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_cut_answer_breaks_off_in_the_middle(stream: bool, odd: bool) -> None:
    with (
        serving(broken(faults=["cut"], odd=odd)) as url,
        httpx2.stream("POST", f"{url}/v1/chat/completions", json=body(stream=stream)) as response,
    ):
        pieces = response.iter_raw()
        assert next(pieces)
        with pytest.raises(httpx2.RemoteProtocolError):
            list(pieces)
