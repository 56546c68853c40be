"""What the model is sent, and what comes back: with no flag the bytes themselves, else insertions and nothing more."""

import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from adjourn.core.events import Answer as Answered
from adjourn.core.machine import AnswerKind
from adjourn.core.policy import Policy
from adjourn.host import Manner
from adjourn.upstream.choice import Named
from adjourn.upstream.client import Upstream
from adjourn.web.app import create_app
from adjourn.web.guard import Guard
from adjourn.wire import openai_chat
from adjourn.wire.splice import members
from tests.gateway.rig import (
    ABUSE,
    ASK,
    BAD,
    CALM,
    CLEAR,
    CRISIS,
    FLAGGED,
    close,
    here,
    is_fork,
    rig,
)
from tests.models import FORK, REDIRECTS, WARNS, Answer, Asked, Said, odd_json, scripted

FORMS = ["in_user", "developer", "system"]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"role": {}}}}}
TOOLS = {"tools": [TOOL]}


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


def speaks(asked: Asked) -> Answer:
    said: dict[str | None, str] = {"redirect": REDIRECTS, "may_warn": WARNS, "support": CRISIS}
    return said.get(asked.guidance, f"It is {asked.number} o'clock.")


def unusual(messages: Sequence[Any], stream: bool) -> bytes:
    """A body that nobody writes, with fields that nobody knows."""
    return (
        b" \r\n"
        + odd_json(
            {
                "x/unknown": [{"": None}, -0.0, 1e300, "\u2028", True],
                "messages": [
                    {"role": "system", "content": "Be brief.", "cache": {"role": "user"}},
                    {"role": "rôle", "content": None},
                    *messages,
                ],
                "model": "stub/ü",
                "stream": stream,
                "temperature": 0.5,
                "stream_options": {"include_usage": True},
                **TOOLS,
            }
        ).encode()
        + b"\n"
    )


@pytest.mark.parametrize("odd", [False, True])
async def test_p13_with_no_flag_request_and_answer_are_byte_for_byte_those_of_a_bare_pass_through(
    stream: bool, odd: bool
) -> None:
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a": "ü"}'}}]
    answers = [
        Said("Good morning, wörld. 😀", also={"reasoning_content": "hm", "logprobs": None}),
        Said(None, "tool_calls", {"tool_calls": calls}),
        Said("", "length"),
        Said("It is nine.", "brand_new_reason"),
        Said("END\nThis chat is closed."),
    ]

    bare = scripted(answers, odd=odd)
    async with rig(scripted(answers, odd=odd)) as served, here(bare) as address:
        messages: list[dict[str, Any]] = []
        for answer in answers:
            messages.append(
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What/time \u2028 is it?", "x": 1},
                        {"type": "hologram", "content": "…"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    ],
                    "name": '"quoted"',
                }
            )
            body = unusual(messages, stream)
            through = await served.post(body, {"Authorization": "Bearer k"})
            straight = await served.post(body, {"Authorization": "Bearer k"}, url=address)
            assert served.received[-1].body == bare.state.received[-1].body == body
            assert (through.status, through.body) == (200, straight.body)
            messages.append({"role": "assistant", "content": answer.text or "", **answer.also})
        assert await served.verified() == 1


async def test_p13_headers_pass_both_ways_where_they_concern_the_model() -> None:
    async with rig(scripted("Okay.")) as served:
        reply = await served.post(
            json.dumps({"messages": [{"role": "user", "content": CALM}]}).encode(),
            {
                "Authorization": "Bearer sk-mine",
                "Cookie": "adjourn_browser=x",
                "X-Forwarded-For": "10.0.0.1",
                "Adjourn-Details": "1",
                "OpenAI-Organization": "org",
                "X-Custom": "kept",
                "Accept-Encoding": "gzip",
                "Sec-Fetch-Site": "same-origin",
            },
        )
        up = served.received[-1]
        assert up.header("authorization") == "Bearer sk-mine"
        assert up.header("openai-organization") == "org"
        assert up.header("x-custom") == "kept"
        assert up.header("accept-encoding") == "identity"
        assert up.header("host") == served.model_url.removeprefix("http://")
        for name in ("cookie", "x-forwarded-for", "adjourn-details", "sec-fetch-site", "origin"):
            assert up.header(name) is None
        assert reply.headers["x-request-id"] == "req-1"
        assert reply.headers["Adjourn-Conversation"].startswith("c_")


async def test_p03_no_question_and_no_word_about_closing_comes_a_turn_early(stream: bool) -> None:
    async with rig(scripted(speaks, ["END", "END"]), Policy()) as served:
        chat = served.chat(stream=stream, also=TOOLS)
        seen: list[str | None] = []
        for text in (CALM, BAD, BAD, BAD, BAD):
            await chat.send(text)
            seen.append(_guidance(served.received[-1].json()["messages"][-1]["content"]))
            assert not served.forks
        assert seen == [None, "redirect", "redirect", "redirect", "may_warn"]
        for one in served.received[:4]:
            assert "closing the chat" in str(one.body) or _guidance(str(one.json()["messages"][-1]["content"])) is None
            assert "may close" not in _new(one.json())
        assert (await chat.send(BAD)).ended
        assert len(served.forks) == 2


def _new(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def _guidance(text: str) -> str | None:
    _, found, rest = text.partition("[adjourn/")
    return rest.partition("]")[0] if found else None


async def test_no_tool_of_ours_is_ever_sent_and_the_clients_stay_as_they_are(stream: bool) -> None:
    for also in ({}, TOOLS, {**TOOLS, "tool_choice": "auto"}):
        async with rig(scripted(speaks, ["END", "CONTINUE"])) as served:
            chat = served.chat(stream=stream, also=also)
            await chat.say(CALM, BAD, BAD, BAD, ASK, CLEAR, CALM)
            assert len(served.forks) == 2
            for one in served.received:
                body = one.json()
                assert body.get("tools") == also.get("tools")
                choice = "none" if is_fork(one) and also else also.get("tool_choice")
                assert body.get("tool_choice") == choice


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("odd", [False, True])
async def test_over_twenty_turns_the_messages_of_each_request_begin_with_those_of_the_one_before(
    form: str, stream: bool, odd: bool
) -> None:
    texts = [CALM, BAD, CALM, FLAGGED, CALM, BAD, BAD, BAD, "Well.", ASK, CALM, ABUSE, CALM, CALM, BAD, CALM, CALM]
    texts += [ABUSE, "Hm.", FLAGGED, CALM]
    async with rig(scripted(speaks, "CONTINUE", odd=odd), Policy(), manner=Manner(form=form)) as served:
        chat = served.chat(stream=stream)
        for text in texts:
            chat.messages.append({"role": "user", "content": [{"type": "text", "text": text}] if odd else text})
            written = odd_json if odd else json.dumps
            body = written({"messages": chat.messages, "stream": stream}).encode()
            reply = await served.post(body)
            assert reply.status == 200
            chat.messages.append({"role": "assistant", "content": reply.text})
        sent = [_messages(one.body) for one in served.asked]
        assert len(sent) == len(texts) == 21
        for before, now in pairwise(sent):
            assert now.startswith(before), (before, now)
        guided = sum("[adjourn/" in str(one.body, errors="replace") for one in served.asked)
        assert guided > 10
        assert served.asked[-1].json()["messages"][-1]["role"] in ("user", "assistant")
        roles = [message["role"] for message in served.asked[-1].json()["messages"]]
        assert set(roles) == {"user", "assistant"} | ({form} if form != "in_user" else set())
        assert await served.verified() == 1


def _messages(body: bytes) -> bytes:
    """The bytes of the messages, from the first on, without the end of their list."""
    span = members(body)["messages"]
    return body[span.start : span.end - 1].rstrip()


async def test_what_was_put_in_stands_at_the_same_place_after_a_tools_result() -> None:
    calls = [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    answers: list[Answer] = [Said(None, "tool_calls", {"tool_calls": calls}), REDIRECTS, "Okay."]
    for form in FORMS:
        async with rig(scripted(answers), Policy(), manner=Manner(form=form)) as served:
            chat = served.chat(also=TOOLS)
            first = await chat.send(BAD)
            chat.messages[-1] = first.json["choices"][0]["message"]
            chat.messages.append({"role": "tool", "tool_call_id": "t1", "content": "nine"})
            assert (await chat.again()).text == REDIRECTS
            await chat.send(CALM)
            one, two, three = (_messages(request.body) for request in served.received)
            assert b"[adjourn/redirect]" in one
            assert two.startswith(one)
            assert three.startswith(two)
            kinds = [event.kind for event in await served.every_event() if isinstance(event, Answered)]
            assert kinds == [AnswerKind.REDIRECT, AnswerKind.HELP]


@pytest.mark.parametrize(
    "also",
    [
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"tool_choice": "required", **TOOLS},
        {"tool_choice": {"type": "function", "function": {"name": "look"}}, **TOOLS},
    ],
)
async def test_p13_into_a_request_that_is_only_observed_nothing_is_put(also: dict[str, Any]) -> None:
    async with rig(scripted(WARNS, ["END", "END"])) as served:
        chat = served.chat(also=also)
        for text in (BAD, BAD, BAD, BAD, ASK, BAD):
            assert (await chat.send(text)).status == 200
            assert served.received[-1].json()["messages"] == chat.messages[:-1]
        assert not served.forks


async def test_p01_an_observed_request_below_an_end_is_refused_like_any_other() -> None:
    async with rig(scripted(WARNS, ["END", "END"])) as served:
        chat = served.chat()
        await close(chat)
        asked = len(served.received)
        chat.also = {"response_format": {"type": "json_object"}}
        assert (await chat.send(CALM)).refused
        assert len(served.received) == asked


async def test_a_fork_asks_with_the_clients_own_values_and_leaves_out_what_shapes_an_answer() -> None:
    also = {
        "temperature": 0.25,
        "stop": ["x"],
        "max_tokens": 5,
        "max_completion_tokens": 4000,
        "seed": 7,
        "stream_options": {"include_usage": True},
        **TOOLS,
    }
    for form in FORMS:
        async with rig(
            scripted(WARNS, ["END", f"END\n{'Bye. ' * 400}"]), manner=Manner(form=form, store=False)
        ) as served:
            chat = served.chat(stream=True, also=also)
            closed = await close(chat)
            assert 0 < len(closed.text) <= 600
            for fork in served.forks:
                body = fork.json()
                assert body["temperature"] == 0.25
                assert body["seed"] == 7
                assert body["max_tokens"] == 1024
                assert body["max_completion_tokens"] == 4000
                assert body["store"] is False
                assert body["tool_choice"] == "none"
                assert not {"stop", "stream", "stream_options", "n", "response_format"} & body.keys()
            first, second = (fork.json()["messages"] for fork in served.forks)
            assert second[: len(first)] == first
            assert first[-1]["role"] == ("user" if form == "in_user" else form)
            assert first[-1]["content"].endswith(FORK)


async def test_p13_in_mode_off_everything_passes_and_no_store_is_opened(stream: bool) -> None:
    model = scripted(WARNS)
    async with here(model) as address, aiohttp.ClientSession() as session:

        @asynccontextmanager
        async def opened() -> Any:
            upstream = Upstream(f"{address}/v1")
            yield None, {Named(name="stub", wire=openai_chat.NAME, url=upstream.url): upstream}
            await upstream.close()

        async with here(create_app(opened, Guard())) as url:
            for text in (BAD, BAD, BAD, BAD):
                body = unusual([{"role": "user", "content": text}], stream)
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/v1/chat/completions", data=body, headers=headers) as answer:
                    assert answer.status == 200
                    assert "Adjourn-Conversation" not in answer.headers
                assert model.state.received[-1].body == body
