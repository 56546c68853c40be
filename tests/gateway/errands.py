"""What people do with the official clients, and models that answer it: recorded shapes, every field of them."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from pydantic import BaseModel

from tests.gateway.clients import Scenario, entered, items, settled
from tests.models import Received
from tests.playback import SSE, Played

SCENARIOS: dict[str, list[Scenario]] = {"openai": [], "anthropic": []}


def of_openai(scenario: Scenario) -> Scenario:
    SCENARIOS["openai"].append(scenario)
    return scenario


def of_anthropic(scenario: Scenario) -> Scenario:
    SCENARIOS["anthropic"].append(scenario)
    return scenario


# What OpenAI's models say.

PICTURE = "data:image/png;base64,iVBORw0KGgo="
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 0},
}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m-2026", "service_tier": "default", "system_fingerprint": "fp_1"}
LOGPROBS = {"content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}], "refusal": None}
FORECAST = '{"city": "Zürich", "degrees": -3}'


def completion(*messages: Mapping[str, Any], finish: str = "stop", **more: Any) -> bytes:
    choices = [
        {"index": index, "message": {"role": "assistant", "refusal": None, **message}, "finish_reason": finish, **more}
        for index, message in enumerate(messages)
    ]
    return json.dumps({**HEAD, "object": "chat.completion", "choices": choices, "usage": USAGE}).encode()


def chunks(*deltas: tuple[int, Mapping[str, Any], str | None], usage: bool = False, **more: Any) -> bytes:
    told: list[Mapping[str, Any]] = [
        {"choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}]}
        for index, delta, finish in deltas
    ]
    told += [{"choices": [], "usage": USAGE}] if usage else []
    lines = [json.dumps({**HEAD, "object": "chat.completion.chunk", **one, "obfuscation": "x1"}) for one in told]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


CALL = {"id": "call_1", "type": "function", "function": {"name": "Look", "arguments": '{"city": "Zürich"}'}}


def openai_says(one: Received) -> Played:
    """A model that answers as the request wants it."""
    if one.path != "/v1/chat/completions":
        return OPENAI_SAYS[one.path]
    asked = one.json()
    headers = [("x-request-id", "req_1"), ("openai-processing-ms", "12"), ("x-ratelimit-remaining-requests", "7")]
    calls = bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"
    if asked.get("stream"):
        return Played(openai_streams(asked, calls), SSE, headers=headers, pieces=37)
    count = asked.get("n") or 1
    if calls:
        body = completion({"content": None, "tool_calls": [CALL]}, finish="tool_calls")
    elif asked.get("logprobs"):
        body = completion({"content": "Hi", "annotations": []}, logprobs=LOGPROBS)
    else:
        text = FORECAST if asked.get("response_format") else "Grüezi. 😀"
        body = completion(*[{"content": f"{text}{' ' * index}", "x_reasoning": "hm"} for index in range(count)])
    return Played(body, headers=headers)


def openai_streams(asked: Mapping[str, Any], calls: bool) -> bytes:
    if calls:
        begun = {**CALL, "index": 0, "function": {"name": "Look", "arguments": ""}}
        grown = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"city": ', '"Zürich"}')]
        deltas: list[Mapping[str, Any]] = [
            {"role": "assistant", "content": None, "tool_calls": [begun]},
            *({"tool_calls": [g]} for g in grown),
        ]
        return chunks(*[(0, delta, None) for delta in deltas], (0, {}, "tool_calls"))
    count = asked.get("n") or 1
    words = (FORECAST[:9], FORECAST[9:]) if asked.get("response_format") else ("Grü", "ezi. 😀")
    said = [(index, {"content": word}, None) for word in words for index in range(count)]
    first = [(index, {"role": "assistant", "content": "", "x_reasoning": "hm"}, None) for index in range(count)]
    more = {"logprobs": LOGPROBS} if asked.get("logprobs") else {}
    return chunks(*first, *said, *[(index, {}, "stop") for index in range(count)], usage=True, **more)


VECTOR = base64.b64encode(b"\0\0\x80?\0\0\0@").decode()
OPENAI_SAYS = {
    "/v1/models": Played(b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x"}]}'),
    "/v1/embeddings": Played(
        json.dumps(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
                "model": "e",
                "usage": {"prompt_tokens": 1, "total_tokens": 1},
            }
        ).encode()
    ),
    "/v1/moderations": Played(b'{"id":"modr-1","model":"o","results":[]}'),
    "/v1/audio/transcriptions": Played(b'{"text":"Hello"}'),
    "/v1/audio/speech": Played(bytes(range(256)), "audio/mpeg", pieces=100),
}


class Look(BaseModel):
    city: str


class Forecast(BaseModel):
    city: str
    degrees: int


USER: Any = {"role": "user", "content": "What is the weather like?"}
SYSTEM: Any = {"role": "system", "content": "Be brief."}


# What is done with OpenAI's clients.


@of_openai
async def several_turns_with_everything_that_a_request_may_have(client: Any) -> Any:
    create, messages, seen = client.chat.completions.create, [SYSTEM, USER], []
    for _ in range(3):
        answer = await settled(
            create(
                model="m",
                messages=messages,
                temperature=0.25,
                metadata={"a": "b"},
                user="someone",
                store=False,
                stop=["\n\n"],
                extra_headers={"X-Mine": "1"},
                extra_query={"q": "a b/ü"},
                extra_body={"x_unknown": {"": [1.5e300, None]}, "reasoning": {"effort": "low"}},
            )
        )
        seen.append(answer)
        messages += [answer.choices[0].message, USER]
    return seen


@of_openai
async def a_stream_of_chunks(client: Any) -> Any:
    options: Any = {"include_usage": True}
    create = client.chat.completions.create
    return await items(await settled(create(model="m", messages=[USER], stream=True, stream_options=options)))


@of_openai
async def the_stream_helper(client: Any) -> Any:
    async with entered(client.chat.completions.stream(model="m", messages=[SYSTEM, USER])) as stream:
        events = await items(stream)
        return events, await settled(stream.get_final_completion())


@of_openai
async def the_stream_helper_with_a_form(client: Any) -> Any:
    manager = client.chat.completions.stream(model="m", messages=[USER], response_format=Forecast)
    async with entered(manager) as stream:
        events = await items(stream)
        final = await settled(stream.get_final_completion())
        assert final.choices[0].message.parsed == Forecast(city="Zürich", degrees=-3)
        return events, final


@of_openai
async def an_answer_with_a_form(client: Any) -> Any:
    parsed = await settled(client.chat.completions.parse(model="m", messages=[USER], response_format=Forecast))
    assert parsed.choices[0].message.parsed.degrees == -3
    return parsed


@of_openai
async def a_tool_is_called_and_its_result_is_answered(client: Any) -> Any:
    tools, seen = [openai.pydantic_function_tool(Look)], []
    messages: list[Any] = [SYSTEM, USER]
    for streamed in (False, True):
        if streamed:
            async with entered(client.chat.completions.stream(model="m", messages=messages, tools=tools)) as stream:
                seen.append(await items(stream))
                answer = await settled(stream.get_final_completion())
        else:
            answer = await settled(client.chat.completions.parse(model="m", messages=messages, tools=tools))
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.parsed_arguments == Look(city="Zürich")
        result = {"role": "tool", "tool_call_id": call.id, "content": "Snow."}
        messages += [answer.choices[0].message.to_dict(), result]
        last = await settled(client.chat.completions.create(model="m", messages=messages, tools=tools))
        seen += [answer, last]
        messages += [last.choices[0].message, USER]
    return seen


@of_openai
async def a_picture(client: Any) -> Any:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    return await settled(client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}]))


@of_openai
async def several_choices(client: Any) -> Any:
    create, asked = client.chat.completions.create, {"model": "m", "messages": [USER], "n": 3}
    return await settled(create(**asked)), await items(await settled(create(**asked, stream=True)))


@of_openai
async def logarithms_of_probabilities(client: Any) -> Any:
    create, asked = client.chat.completions.create, {"model": "m", "messages": [USER], "logprobs": True}
    return await settled(create(**asked)), await items(await settled(create(**asked, stream=True)))


@of_openai
async def the_headers_of_an_answer(client: Any) -> Any:
    raw = await settled(client.chat.completions.with_raw_response.create(model="m", messages=[USER]))
    names = ("content-type", "x-request-id", "openai-processing-ms", "x-ratelimit-remaining-requests")
    return raw.status_code, [raw.headers[name] for name in names], await settled(raw.parse())


@of_openai
async def what_is_beside_the_chat(client: Any) -> Any:
    models = await items(await settled(client.models.list()))
    embedded = await settled(client.embeddings.create(model="e", input="Hello"))
    judged = await settled(client.moderations.create(input="Hello"))
    heard = await settled(client.audio.transcriptions.create(model="w", file=("a.wav", b"RIFF\0\xff\r\n")))
    spoken = await settled(client.audio.speech.create(model="t", voice="alloy", input="Hello"))
    return models, embedded, judged, heard, spoken.content


# What Anthropic's models say, and what is done with their clients.

CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-m"}
CLAUDE_USAGE = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 2, "service_tier": "standard"}
THINKS = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
USES = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Zürich"}}


def anthropic_says(one: Received) -> Played:
    if one.path != "/v1/messages":
        return ANTHROPIC_SAYS[one.path]
    asked = one.json()
    last = asked["messages"][-1]["content"]
    resulted = isinstance(last, list) and last[0]["type"] == "tool_result"
    text = FORECAST if "output_config" in asked else "Grüezi. 😀"
    said: list[Mapping[str, Any]] = [THINKS] if asked.get("thinking") else []
    said += [USES] if asked.get("tools") and not resulted else [{"type": "text", "text": text, "citations": None}]
    stop = "tool_use" if said[-1] is USES else "end_turn"
    headers = [("request-id", "req_1"), ("anthropic-ratelimit-requests-remaining", "7")]
    if asked.get("stream"):
        return Played(anthropic_streams(said, stop), SSE, headers=headers, pieces=37)
    body = {**CLAUDE, "content": said, "stop_reason": stop, "stop_sequence": None, "usage": CLAUDE_USAGE}
    return Played(json.dumps(body).encode(), headers=headers)


def anthropic_streams(said: Sequence[Mapping[str, Any]], stop: str) -> bytes:
    start: Mapping[str, Any] = {
        **CLAUDE,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": CLAUDE_USAGE,
    }
    told: list[Mapping[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(said):
        begun, deltas = grown(block)
        told.append({"type": "content_block_start", "index": index, "content_block": begun})
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        told.append({"type": "content_block_stop", "index": index})
    ends = {"stop_reason": stop, "stop_sequence": None}
    told.append({"type": "message_delta", "delta": ends, "usage": {"output_tokens": 4}})
    told.append({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9}})
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told).encode()


def grown(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    if block["type"] == "thinking":
        signed = {"type": "signature_delta", "signature": block["signature"]}
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        return {**block, "thinking": "", "signature": ""}, [thought, signed]
    if block["type"] == "tool_use":
        halves = ('{"city": ', '"Zürich"}')
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]
    halves = (block["text"][:9], block["text"][9:])
    return {**block, "text": ""}, [{"type": "text_delta", "text": half} for half in halves]


ANTHROPIC_SAYS = {
    "/v1/models": Played(
        b'{"data":[{"type":"model","id":"claude-m","display_name":"M","created_at":"2026-01-01T00:00:00Z"}],'
        b'"has_more":false,"first_id":"claude-m","last_id":"claude-m"}'
    ),
    "/v1/messages/count_tokens": Played(b'{"input_tokens":9}'),
}
ASK: Any = {"model": "claude-m", "max_tokens": 99, "messages": [USER]}
LOOK: Any = {"name": "look", "description": "Look.", "input_schema": {"type": "object", "properties": {"city": {}}}}


@of_anthropic
async def several_turns_with_everything_that_a_message_may_have(client: Any) -> Any:
    messages, seen = [USER], []
    for _ in range(3):
        answer = await settled(
            client.messages.create(
                **{**ASK, "messages": messages},
                system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
                metadata={"user_id": "someone"},
                thinking={"type": "enabled", "budget_tokens": 50},
                stop_sequences=["x"],
                extra_headers={"X-Mine": "1", "anthropic-beta": "one-2026-01-01"},
                extra_query={"q": "a b/ü"},
                extra_body={"x_unknown": {"": [1.5e300, None]}},
            )
        )
        seen.append(answer)
        messages += [{"role": "assistant", "content": answer.content}, USER]
    return seen


@of_anthropic
async def a_stream_of_events(client: Any) -> Any:
    return await items(await settled(client.messages.create(**ASK, stream=True)))


@of_anthropic
async def the_stream_helper_with_thinking(client: Any) -> Any:
    thinking = {"type": "enabled", "budget_tokens": 50}
    async with entered(client.messages.stream(**ASK, thinking=thinking)) as stream:
        events = await items(stream)
        final = await settled(stream.get_final_message())
    async with entered(client.messages.stream(**ASK)) as stream:
        return events, final, await items(stream.text_stream)


@of_anthropic
async def an_answer_with_a_form_plain_and_streamed(client: Any) -> Any:
    parsed = await settled(client.messages.parse(**ASK, output_format=Forecast))
    async with entered(client.messages.stream(**ASK, output_format=Forecast)) as stream:
        final = await settled(stream.get_final_message())
    assert parsed.parsed_output == final.parsed_output == Forecast(city="Zürich", degrees=-3)
    return parsed, final


@of_anthropic
async def a_tool_is_used_and_its_result_is_answered(client: Any) -> Any:
    messages, seen = [USER], []
    for streamed in (False, True):
        asked = {**ASK, "messages": messages, "tools": [LOOK]}
        if streamed:
            async with entered(client.messages.stream(**asked)) as stream:
                seen.append(await items(stream))
                answer = await settled(stream.get_final_message())
        else:
            answer = await settled(client.messages.create(**asked))
        assert answer.content[-1].input == {"city": "Zürich"}
        result = {"type": "tool_result", "tool_use_id": answer.content[-1].id, "content": "Snow."}
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        last = await settled(client.messages.create(**{**asked, "messages": messages}))
        seen += [answer, last]
        messages += [{"role": "assistant", "content": last.content}, USER]
    return seen


@of_anthropic
async def a_picture_in_a_block(client: Any) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    return await settled(client.messages.create(**{**ASK, "messages": [{"role": "user", "content": content}]}))


@of_anthropic
async def the_headers_of_a_message(client: Any) -> Any:
    raw = await settled(client.messages.with_raw_response.create(**ASK))
    names = ("content-type", "request-id", "anthropic-ratelimit-requests-remaining")
    return raw.status_code, [raw.headers[name] for name in names], await settled(raw.parse())


@of_anthropic
async def what_is_beside_the_messages(client: Any) -> Any:
    counted = await settled(client.messages.count_tokens(model="claude-m", messages=[USER], tools=[LOOK]))
    models = await items(await settled(client.models.list()))
    beta = await settled(client.beta.messages.create(**ASK, betas=["one-2026-01-01", "two"]))
    return counted, models, beta


SAYS = {"openai": openai_says, "anthropic": anthropic_says}
