"""Anthropic Messages through the gateway: what the other wire does, and what is this vendor's own."""

import asyncio
import json
import random
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import anthropic
import msgspec
import pytest
from anthropic import Anthropic, AsyncAnthropic, BadRequestError, DefaultAsyncHttpxClient, DefaultHttpxClient
from anthropic.types import Message

from adjourn.core.events import Answer as Answered
from adjourn.core.events import AttemptStarted, Claimed, Signals, UserReceived
from adjourn.core.machine import AnswerKind, Ground
from adjourn.host import Manner
from adjourn.wire.anthropic import FORMS, form_of
from adjourn.wire.splice import members
from tests.bound import BETA, bound
from tests.gateway.rig import (
    ABUSE,
    ASK,
    BAD,
    CALM,
    CLEAR,
    FLAGGED,
    HARM_REFUSAL,
    QUESTION,
    YES,
    Claude,
    ClaudeReply,
    Rig,
    close,
    is_fork,
    rig,
)
from tests.models import CLOSES, FORK, REDIRECTS, WARNS, Answer, Fault, Refused, Said, odd_json, scripted

OLD, NEW = "claude-sonnet-5-20260301", "claude-opus-5-5"
"""A model that takes guidance in the user's text only, and one that takes a system message."""

TOOLS = {"tools": [{"name": "look", "description": "Look.", "input_schema": {"type": "object"}}]}
THINKS = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
ENDS = ("END", f"END\n{CLOSES}")


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


def client_of(served: Rig, **options: Any) -> AsyncAnthropic:
    """The official client: its address is the server's root."""
    http = DefaultAsyncHttpxClient(verify=False)
    return AsyncAnthropic(base_url=served.url, api_key="sk-test", http_client=http, **options)


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def block(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


# The main job.


async def test_p03_a_chat_of_persistent_bad_messages_is_redirected_warned_and_closed(stream: bool) -> None:
    async with rig(scripted(WARNS, ENDS)) as served:
        chat = served.claude(stream=stream)
        assert (await chat.send(CALM)).adjourn is None
        first, second = await chat.say(BAD, BAD)
        assert (first.stage, second.stage) == (None, "WARNED")
        closed = await chat.send(BAD)
        assert closed.ended
        assert closed.whole
        assert closed.text == CLOSES
        assert closed.adjourn is not None
        assert closed.adjourn["ground"] == Ground.PERSISTENT_HARM
        asked = len(served.received)
        for reply in await chat.say(CALM, BAD):
            assert reply.refused
        assert len(served.received) == asked
        assert await served.verified() == 1


async def test_p04_a_request_to_close_is_asked_back_and_carried_out_on_a_yes(stream: bool) -> None:
    async with rig(scripted("Okay.")) as served:
        chat = served.claude(stream=stream)
        asked = await chat.send(ASK)
        assert asked.text == f"Okay.\n\n{QUESTION}"
        assert isinstance(asked, ClaudeReply)
        assert [part["type"] for part in asked.content] == ["text", "text"]
        closed = await chat.send(YES)
        assert closed.ended
        assert closed.adjourn is not None
        assert closed.adjourn["ground"] == Ground.USER_REQUEST
        assert len(served.received) == 1
        assert (await chat.send(CALM)).refused


async def test_p04_a_client_that_keeps_only_the_words_of_an_answer_is_understood_too(stream: bool) -> None:
    async with rig(scripted("Okay.")) as served:
        chat = served.claude(stream=stream)
        asked = await chat.send(ASK)
        chat.messages[-1] = {"role": "assistant", "content": asked.text}
        assert (await chat.send(YES)).ended


async def test_p05_below_an_end_a_clear_sign_is_answered_with_help_lines(stream: bool) -> None:
    async with rig(scripted(WARNS, ENDS)) as served:
        chat = served.claude(stream=stream)
        await close(chat)
        reply = await chat.send(CLEAR)
        assert reply.status == 200
        assert reply.adjourn is not None
        assert reply.adjourn["support"]["lines"]


@pytest.mark.parametrize("name", ["status_500", "cut", "not_json", "no_choices", "short"])
async def test_p05_where_the_model_fails_help_lines_come_all_the_same(name: str, stream: bool) -> None:
    async with rig(scripted(Fault(name))) as served:
        reply = await served.claude(stream=stream).post([user(CLEAR)])
        broken = name == "not_json" and not stream  # bytes in which nothing can be put
        assert ("support" in (reply.adjourn or {})) is not broken, reply


# The official client.


async def test_the_official_client_is_warned_closed_and_refused_once_with_a_readable_sentence() -> None:
    async with rig(scripted(WARNS, ENDS)) as served, client_of(served) as client:
        messages: list[Any] = []
        seen: list[Message] = []
        for text in (CALM, BAD, BAD, BAD):
            messages.append(user(text))
            seen.append(await client.messages.create(model=NEW, max_tokens=99, messages=messages))
            messages.append({"role": "assistant", "content": seen[-1].content})
        assert [told(message) for message in seen] == [None, None, "WARNED", "ENDED"]
        assert (seen[-1].stop_reason, seen[-1].usage.output_tokens) == ("end_turn", 0)
        asked = len(served.received)
        with pytest.raises(BadRequestError) as refused:
            await client.messages.create(model=NEW, max_tokens=99, messages=[*messages, user(CALM)])
        assert len(served.received) == asked
        assert HARM_REFUSAL in str(refused.value)
        assert refused.value.body["adjourn"]["receipt"]  # type: ignore[index]


async def test_the_official_stream_helper_sees_the_same(stream: bool) -> None:
    async with rig(scripted(Said(WARNS, blocks=[THINKS]), ENDS)) as served, client_of(served) as client:
        messages: list[Any] = []
        for text, stage in ((BAD, None), (BAD, "WARNED"), (BAD, "ENDED")):
            messages.append(user(text))
            async with client.messages.stream(model=NEW, max_tokens=99, messages=messages) as streaming:
                words = [word async for word in streaming.text_stream]
                message = await streaming.get_final_message()
            assert "".join(words) == (CLOSES if stage == "ENDED" else WARNS)
            assert message.stop_reason == "end_turn"
            messages.append({"role": "assistant", "content": [part.to_dict() for part in message.content]})
        shown = served.received[-1].json()["messages"]
        assert next(message for message in shown if message["role"] == "assistant")["content"][0] == THINKS
        with pytest.raises(BadRequestError, match="This chat is closed"):
            async with client.messages.stream(model=NEW, max_tokens=99, messages=[*messages, user(CALM)]):
                pass


async def test_the_official_client_gets_the_hosts_question_as_a_block_of_its_own() -> None:
    async with rig(scripted(Said("Okay.", blocks=[THINKS]))) as served, client_of(served) as client:
        async with client.messages.stream(model=NEW, max_tokens=99, messages=[user(ASK)]) as streaming:
            streamed = (await streaming.get_final_message()).content
        plain = (await client.messages.create(model=NEW, max_tokens=99, messages=[user(ASK)])).content
        for content in (streamed, plain):
            assert [part.type for part in content] == ["thinking", "text", "text"]
            assert content[-1].to_dict()["text"] == f"\n\n{QUESTION}"


async def test_the_official_synchronous_client_is_served_too() -> None:
    def run(url: str) -> list[str | None]:
        http = DefaultHttpxClient(verify=False)
        with Anthropic(base_url=url, api_key="sk-test", http_client=http) as client:
            plain = client.messages.create(model=NEW, max_tokens=99, messages=[user(CALM)])
            with client.messages.stream(model=NEW, max_tokens=99, messages=[user(CALM)]) as streaming:
                streamed = streaming.get_final_message()
            counted = client.messages.with_raw_response.count_tokens(model=NEW, messages=[user(CALM)])
        return [plain.content[0].to_dict()["text"], streamed.content[0].to_dict()["text"], counted.text()]  # type: ignore[list-item]

    async with rig(scripted("Okay.")) as served:
        said = await asyncio.to_thread(run, served.url)
        assert said == ["Okay.", "Okay.", '{"path": "/v1/messages/count_tokens"}']
        assert await served.count(UserReceived) == 2


async def test_where_a_stream_ends_early_the_official_client_gets_the_object_and_is_not_disturbed() -> None:
    async with rig(scripted(Fault("short"))) as served, client_of(served, max_retries=0) as client:
        streaming = await client.messages.create(model=NEW, max_tokens=9, messages=[user(CLEAR)], stream=True)
        *_, last = [event async for event in streaming]
        assert last.to_dict()["adjourn"]["support"]  # type: ignore[index]
        async with client.messages.stream(model=NEW, max_tokens=9, messages=[user(CLEAR)]) as helped:
            assert [word async for word in helped.text_stream]
            assert (await helped.get_final_message()).stop_reason is None


async def test_an_error_in_a_stream_is_raised_by_the_official_client() -> None:
    async with rig(scripted(Fault("cut"))) as served, client_of(served, max_retries=0) as client:
        streaming = await client.messages.create(model=NEW, max_tokens=9, messages=[user(CLEAR)], stream=True)
        with pytest.raises(anthropic.APIStatusError, match="broke off") as raised:
            [event async for event in streaming]
        assert raised.value.body["adjourn"]["support"]  # type: ignore[index]


def told(message: Message) -> str | None:
    return ((message.model_extra or {}).get("adjourn") or {}).get("stage")


# Bytes pass.


UNUSUAL: Mapping[str, Any] = {
    "system": [block("Be brief.", cache_control={"type": "ephemeral"})],
    "x/unknown": {"": [None, 1.5e300, "\u2028ü😀"]},
    "thinking": {"type": "adaptive"},
    **TOOLS,
}


async def test_p13_with_no_flag_odd_bytes_pass_both_ways_as_they_are(stream: bool) -> None:
    said = Said("Fine — \u2028 here.", blocks=[THINKS, {"type": "from_the_future", "x": [{}]}])
    async with rig(scripted(said, odd=True)) as served:
        messages: list[Any] = []
        for text in (CALM, "And now?", "Well."):
            messages.append({"role": "user", "content": [block(text, cache_control={"type": "ephemeral"})]})
            body = f" {odd_json({**UNUSUAL, 'messages': messages, 'stream': stream})}\n".encode()
            headers = {"anthropic-beta": "one-2026-01-01, two", "anthropic-version": "2023-06-01"}
            through = await served.post(body, headers, path="/v1/messages?beta=true")
            bare = await served.post(body, headers, path="/v1/messages?beta=true", url=served.model_url)
            behind, direct = served.received[-2:]
            assert behind.body == direct.body == body
            assert behind.header("anthropic-beta") == headers["anthropic-beta"]
            assert unnumbered(through.body) == unnumbered(bare.body)
            assert isinstance(through, ClaudeReply)
            assert "Adjourn-Conversation" in through.headers
            messages.append({"role": "assistant", "content": through.content})
        assert await served.count(Answered) == 3
        assert len(await served.store.conversations()) == 1


def unnumbered(body: bytes) -> bytes:
    """The bytes of an answer without the numbers by which it differs from the one before."""
    return bytes(byte for byte in body if byte not in b"0123456789")


async def test_the_query_of_a_request_goes_up_as_it_came_with_side_requests_too() -> None:
    async with rig(scripted(WARNS, ENDS)) as served:
        chat = served.claude()
        for text in (BAD, BAD, BAD):
            chat.messages.append(user(text))
            body = json.dumps({"model": NEW, "max_tokens": 9, "messages": chat.messages}).encode()
            reply = await served.post(body, path="/v1/messages?beta=true&x=%2F%20+a")
            chat.messages.append({"role": "assistant", "content": reply.text})
        assert reply.ended
        assert len(served.forks) == 2
        assert {one.query for one in served.received} == {b"beta=true&x=%2F%20+a"}


# What the model is shown.


@pytest.mark.parametrize("model", [OLD, NEW])
async def test_guidance_takes_the_form_that_the_model_takes(model: str, stream: bool) -> None:
    async with rig(scripted(REDIRECTS)) as served:
        chat = served.claude(stream=stream, model=model)
        await chat.say(BAD, CALM)
        first, second = (one.json()["messages"] for one in served.received)
        assert [message["role"] for message in first] == ["user", *(["system"] if model == NEW else [])]
        assert "[adjourn/redirect]" in first[-1]["content"]
        assert second[: len(first)] == first


async def test_no_system_message_stands_where_claude_takes_none() -> None:
    async with rig(scripted(REDIRECTS)) as served:
        chat = served.claude()
        await chat.send(BAD)
        chat.messages.append(user(BAD))
        chat.messages.append({"role": "system", "content": "Be brief."})
        await chat.again()
        await chat.send(BAD)
        for one in served.received:
            roles = [message["role"] for message in one.json()["messages"]]
            for before, role, after in zip([None, *roles], roles, [*roles[1:], None], strict=False):
                assert role != "system" or (before, after) in (("user", "assistant"), ("user", None)), roles
        assert roles.count("system") == 3


async def test_a_chat_that_goes_on_with_an_older_model_has_its_guidance_in_the_users_text() -> None:
    async with rig(scripted(REDIRECTS)) as served:
        chat = served.claude(model=NEW)
        await chat.send(BAD)
        chat.model = OLD
        await chat.send(CALM)
        messages = served.received[-1].json()["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "user"]
        assert "[adjourn/redirect]" in messages[0]["content"]


@pytest.mark.parametrize("model", [OLD, NEW])
@pytest.mark.parametrize("written", [json.dumps, odd_json])
async def test_the_messages_of_each_request_begin_with_those_of_the_one_before(
    model: str, written: Any, stream: bool
) -> None:
    texts = [CALM, BAD, CALM, BAD, BAD, BAD, "Well.", ASK, CALM, BAD]
    async with rig(bound(WARNS)) as served:
        messages: list[Any] = []
        for text in texts:
            marked = {"cache_control": {"type": "ephemeral"}} if len(messages) in (0, 4) else {}
            messages.append({"role": "user", "content": [block(text, **marked)]})
            body = {"model": model, "max_tokens": 9, "system": "Be kind.", "messages": messages, "stream": stream}
            reply = await served.post(written(body).encode(), path="/v1/messages")
            assert reply.status == 200, reply.body
            assert isinstance(reply, ClaudeReply)
            messages.append({"role": "assistant", "content": reply.content})
        sent = [_messages(one.body) for one in served.asked]
        assert len(sent) == len(texts)
        for before, now in pairwise(sent):
            assert now.startswith(before)
        assert sent[-1].count(b"[adjourn") + sent[-1].count(rb"[\u0061djourn") > 4
        assert await served.verified() == 1


def _messages(body: bytes) -> bytes:
    span = members(body)["messages"]
    return body[span.start : span.end - 1].rstrip()


# Thinking that is bound to what stands before it.


@pytest.mark.parametrize("model", [OLD, NEW])
async def test_thinking_stays_valid_over_guidance_retries_edits_tools_and_forks(model: str, stream: bool) -> None:
    calls = {"tool_calls": [{"id": "t1", "function": {"name": "look", "arguments": '{"at": 1}'}}]}
    answers: list[str | Said] = [WARNS, Said(None, "tool_calls", calls), *[WARNS] * 40]
    async with rig(bound(answers, ("END", "CONTINUE"))) as served:
        chat = served.claude(stream=stream, model=model, also={**TOOLS, "system": "Be kind."})
        await chat.say(CALM, BAD)
        assert chat.messages[-1]["content"][-1] == {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}}
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "nine"}
        chat.messages.append({"role": "user", "content": [result]})
        await chat.again()
        await chat.say(BAD, BAD, BAD)
        assert len(served.forks) == 4  # at two messages the model was asked twice, and went on
        other = chat.fork().back(5)
        await other.say("Something else.", BAD, BAD)
        await chat.back().again()
        await chat.say(ASK, CALM)
        for one in served.received:
            assert one.header("anthropic-beta") is None
        assert await served.verified() == 1
        assert len(await served.store.conversations()) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_a_faithful_client_does_no_thinking_is_refused_and_each_branch_only_grows(seed: int) -> None:
    choice = random.Random(seed)
    async with rig(bound([WARNS, REDIRECTS, "Gladly.", WARNS], [ENDS[0], "CONTINUE"])) as served:
        chat = served.claude(
            stream=bool(seed % 2), model=choice.choice([OLD, NEW]), headers={"Adjourn-Conversation": "x"}
        )
        shown: dict[str, bytes] = {}  # what stood before each answer, by the answer's number
        for _ in range(25):
            if chat.messages and choice.random() < 0.3:  # go back, to say something else or to ask once more
                chat.back(2 * choice.randint(1, len(chat.messages) // 2))
            if not chat.messages or choice.random() < 0.8:
                chat.messages.append(user(choice.choice([CALM, BAD, BAD, ABUSE, FLAGGED, ASK, "Hm."])))
            elif chat.messages[-1]["role"] == "assistant":
                chat.back()
            assert (await chat.again()).status == 200
            sent = _messages(served.asked[-1].body)
            for message in chat.messages[:-1]:
                if message["role"] == "assistant":
                    assert sent.startswith(shown[json.dumps(message["content"])])
            shown[json.dumps(chat.messages[-1]["content"])] = sent
        assert len(served.received) >= 25
        assert all(one.header("anthropic-beta") is None for one in served.received)
        assert await served.verified() == 1


async def test_asked_again_the_model_gets_every_block_of_its_first_reply(stream: bool) -> None:
    future = {"type": "from_the_future", "x": [1.0]}
    async with rig(bound(WARNS, (Said("END", blocks=[future]), ENDS[1]))) as served:
        also = {"stop_sequences": ["x"], "temperature": 0.25, "thinking": {"type": "enabled", "budget_tokens": 2000}}
        chat = served.claude(stream=stream, also={**also, **TOOLS, "tool_choice": {"type": "auto"}})
        closed = await close(chat)
        assert closed.text == CLOSES
        first, second = (one.json() for one in served.forks)
        assert second["messages"][: len(first["messages"])] == first["messages"]
        reply, question = second["messages"][len(first["messages"]) :]
        assert [part["type"] for part in reply["content"]] == [
            "thinking",
            "redacted_thinking",
            "from_the_future",
            "text",
        ]
        assert reply["content"][2] == future
        assert question["role"] == "user"
        assert question["content"].endswith(FORK)
        for body in (first, second):
            assert not {"stop_sequences", "stream"} & body.keys()
            assert body["tools"] == TOOLS["tools"]
            assert body["tool_choice"] == {"type": "none"}
            assert (body["max_tokens"], body["temperature"]) == (3024, 0.25)


async def test_a_model_may_close_with_a_tool(stream: bool) -> None:
    def says(asked: Any) -> Answer:
        assert any(tool["name"] == "end_conversation" for tool in asked.body["tools"])
        assert "tool_choice" not in asked.body
        call = {"id": "e1", "function": {"name": "end_conversation", "arguments": json.dumps({"words": CLOSES})}}
        return Said(None, "tool_calls", {"tool_calls": [call]})

    def main(asked: Any) -> Answer:
        return says(asked) if "end_conversation" in json.dumps(asked.body.get("tools", [])) else WARNS

    async with rig(scripted(main), manner=Manner(tool=True)) as served:
        chat = served.claude(stream=stream, also=TOOLS)
        assert (await close(chat)).text == CLOSES
        first, second = (one.json()["messages"] for one in served.received[-2:])
        call, result = second[len(first) :]
        assert call["content"][0]["type"] == "tool_use"
        assert [(part["type"], part["tool_use_id"]) for part in result["content"]] == [("tool_result", "e1")]


async def test_where_the_client_itself_changed_what_stood_before_the_way_out_is_taken(stream: bool) -> None:
    async with rig(bound(REDIRECTS)) as served:
        chat = served.claude(stream=stream)
        await chat.say(CALM, CALM)
        chat.also = {"system": "Be brief."}
        headers = {"anthropic_beta": "one-2026-01-01"}
        assert (await chat.send(CALM, **headers)).status == 200
        refused, sent = served.received[-2:]
        assert sent.json() == refused.json() | {
            "thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
        }
        assert sent.header("anthropic-beta") == f"one-2026-01-01, {BETA}"
        chat.also = {"system": "Be long.", "thinking": {"type": "disabled"}}
        reply = await chat.send(CALM)
        assert reply.status == 400
        assert "bound to a different conversation" in reply.json["error"]["message"]
        assert len(served.received) == 5


async def test_another_refusal_of_the_vendors_is_passed_on_as_it_is(stream: bool) -> None:
    async with rig(scripted(Refused("max_tokens: too many"))) as served:
        reply = await served.claude(stream=stream).send(CALM)
        assert (reply.status, reply.json["error"]["message"]) == (400, "max_tokens: too many")
        assert len(served.received) == 1


# Answers of other kinds.


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("refusal", AnswerKind.DECLINE),
        ("max_tokens", AnswerKind.VOID),
        ("model_context_window_exceeded", AnswerKind.VOID),
        ("pause_turn", AnswerKind.VOID),
        ("stop_sequence", AnswerKind.REDIRECT),
        ("end_turn", AnswerKind.REDIRECT),
    ],
)
async def test_a_stop_reason_says_what_kind_of_answer_it_is(finish: str, kind: AnswerKind, stream: bool) -> None:
    async with rig(scripted(Said(REDIRECTS, finish))) as served:
        await served.claude(stream=stream).send(BAD)
        (answer,) = (event for event in await served.every_event() if isinstance(event, Answered))
        assert answer.kind is kind


async def test_a_refusal_without_a_word_is_a_decline_and_never_a_redirection(stream: bool) -> None:
    async with rig(scripted(Said(None, "refusal"))) as served:
        for _ in range(4):  # the client must drop the turn, or is refused for ever
            chat = served.claude(stream=stream)
            assert (await chat.send(BAD)).status == 200
        kinds = {event.kind for event in await served.every_event() if isinstance(event, Answered)}
        assert kinds == {AnswerKind.DECLINE}
        assert not served.forks


@pytest.mark.parametrize(
    "also",
    [
        {"tool_choice": {"type": "any"}, **TOOLS},
        {"tool_choice": {"type": "tool", "name": "look"}, **TOOLS},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"output_format": {"type": "json_schema", "schema": {}}},
    ],
)
async def test_p13_into_a_request_that_is_only_observed_nothing_is_put(also: dict[str, Any]) -> None:
    async with rig(scripted(WARNS, ENDS)) as served:
        chat = served.claude(also=also)
        for text in (BAD, BAD, BAD, BAD, ASK):
            assert (await chat.send(text)).status == 200
            assert served.received[-1].json()["messages"] == chat.messages[:-1]
        assert not any(is_fork(one) for one in served.received)


async def test_a_moved_cache_mark_and_a_trimmed_tool_result_make_no_other_conversation() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    calls = {"tool_calls": [{"id": "t1", "function": {"name": "look", "arguments": "{}"}}]}
    async with rig(scripted(["Hi.", Said("Let me see.", "tool_calls", calls), "A bird.", "Yes.", "No."])) as served:
        chat = served.claude(also=TOOLS)
        await chat.send(CALM)
        chat.messages.append({"role": "user", "content": [picture, block("What is it?")]})
        await chat.again()
        result = {"type": "tool_result", "tool_use_id": "t1", "content": "long"}
        chat.messages.append({"role": "user", "content": [result]})
        await chat.again()
        mark = {"cache_control": {"type": "ephemeral"}}
        chat.messages[2] = {"role": "user", "content": [picture | mark, block("What is it?", **mark)]}
        chat.messages[4]["content"][0]["content"] = "[trimmed]"
        await chat.send("Is it?")
        assert len(await served.store.conversations()) == 1
        assert (await served.count(Claimed), await served.count(UserReceived)) == (0, 3)
        assert await times_read(served, 1) == 1
        chat.messages[2] = user("What is it?")  # without its picture it is told otherwise: only a sign of risk counts
        await chat.send("Is it?")
        assert len(await served.store.conversations()) == 1
        assert (await served.count(Claimed), await times_read(served, 1)) == (0, 1)


async def times_read(served: Rig, index: int) -> int:
    """How often the detectors have read this message of a person's."""
    events = await served.every_event()
    nodes = [event.node for event in events if isinstance(event, UserReceived)]
    return sum(isinstance(event, Signals) and event.about == nodes[index] for event in events)


async def test_a_client_that_goes_on_with_an_assistants_message_is_only_observed() -> None:
    async with rig(scripted(WARNS)) as served:
        chat = served.claude()
        chat.messages += [user(BAD), {"role": "assistant", "content": "I"}]
        await chat.again()
        assert served.received[-1].json()["messages"] == chat.messages[:-1]
        (answer,) = (event for event in await served.every_event() if isinstance(event, Answered))
        assert answer.kind is AnswerKind.VOID


# Whose it is.


async def test_the_key_and_the_user_of_the_metadata_tell_people_apart() -> None:
    async with rig(scripted(WARNS, ENDS)) as served:
        first = served.claude(also={"metadata": {"user_id": "a"}})
        await close(first)
        for also, key in (({"metadata": {"user_id": "b"}}, "sk-test"), ({}, "sk-test"), (first.also, "sk-other")):
            other = Claude(served, key=key, also=also, messages=list(first.messages))
            assert (await other.send(CALM)).status == 200
        assert (await first.send(CALM)).refused


def test_the_forms_are_those_of_the_models_that_are_documented() -> None:
    takes = ["claude-opus-4-8", "claude-opus-4-8-20260528", "claude-opus-5", "claude-opus-5-5", "claude-sonnet-5-5"]
    takes += ["claude-haiku-5-5", "claude-fable-5-1", "claude-mythos-5"]
    assert [form_of(model) for model in takes] == ["system"] * len(takes)
    others = ["claude-opus-4-7", "claude-sonnet-5", "claude-sonnet-5-20260301", "claude-haiku-4-5", "gpt-9", ""]
    assert [form_of(model) for model in others] == ["in_user"] * len(others)
    assert set(FORMS.values()) == {"system"}


async def test_an_attempt_with_guidance_is_on_record_with_its_form() -> None:
    async with rig(scripted(REDIRECTS)) as served:
        await served.claude().send(BAD)
        (begun,) = (event for event in await served.every_event() if isinstance(event, AttemptStarted))
        assert begun.guided is not None
        assert begun.guided.form == "system"
        assert msgspec.json.decode(served.received[0].body)["messages"][-1]["content"] == begun.guided.words
