"""Traces: a span for each request, below it one for each question to the model; never a word of a conversation."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from adjourn.web.traces import Traces, from_environment
from adjourn.web.watch import Watch
from adjourn.wire.usage import Usage, read_usage
from tests.gateway.rig import BAD, CALM, close, rig
from tests.models import WARNS, Fault, scripted

SECRET = "My grandmother's name is Ermintrude."
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Spans:
    """The spans that came to their end, by name."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.watch = Watch(traces=Traces(provider))

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    yield made
    assert "Ermintrude" not in "".join(span.to_json() for span in made.all)


def about(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_has_a_span_and_below_it_one_for_the_question_to_the_model(spans: Spans, stream: bool) -> None:
    async with rig(scripted("It is nine."), watch=spans.watch) as served:
        also = {"stream_options": {"include_usage": True}} if stream else {}
        reply = await served.chat(stream=stream, also=also).send(SECRET)
        (turn,), (chat,) = spans.of("POST /v1/chat/completions"), spans.of("chat stub")
        assert (turn.kind, chat.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
        assert turn.context is not None
        assert chat.parent is not None
        assert chat.parent.span_id == turn.context.span_id
        assert about(turn) == {
            "http.request.method": "POST",
            "http.route": "/v1/chat/completions",
            "http.response.status_code": 200,
            "gen_ai.conversation.id": reply.conversation,
            "adjourn.stage": "OPEN",
        }
        said = dict(about(chat))
        assert (said.pop("gen_ai.response.time_to_first_chunk", 0) > 0) is stream
        assert said == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "stub",
            **({"gen_ai.request.stream": True} if stream else {}),
            "gen_ai.conversation.id": reply.conversation,
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "stub",
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.usage.input_tokens": 5,
            "gen_ai.usage.output_tokens": 3,
            "server.address": "127.0.0.1",
            "server.port": int(served.model_url.rsplit(":", 1)[1]),
            "http.response.status_code": 200,
        }


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_on_anthropics_wire_has_spans_too(spans: Spans, stream: bool) -> None:
    async with rig(scripted("It is nine."), watch=spans.watch) as served:
        chat = served.claude(model="stub", stream=stream)
        body = {"model": "stub", "max_tokens": 9, "messages": [{"role": "user", "content": SECRET}], "stream": stream}
        await served.post(json.dumps(body).encode(), path="/v1/messages?beta=true")
        assert (await chat.send(SECRET)).status == 200
        assert len(spans.of("POST /v1/messages")) == 2
        for span in spans.of("chat stub"):
            said = about(span)
            assert (said["gen_ai.provider.name"], said["gen_ai.response.id"][:4]) == ("anthropic", "msg_")
            assert said["gen_ai.response.finish_reasons"] == ("end_turn",)
            assert said["gen_ai.usage.input_tokens"] > 0
        assert len(spans.of("chat stub")) == 2


async def test_questions_whether_to_close_are_spans_of_the_same_turn(spans: Spans) -> None:
    async with rig(scripted(WARNS, ["END", f"END\n{SECRET}"]), watch=spans.watch) as served:
        await close(served.chat())
        turn = spans.of("POST /v1/chat/completions")[-1]
        assert about(turn)["adjourn.stage"] == "ENDED"
        forks = [span for span in spans.of("chat stub") if about(span).get("adjourn.fork")]
        assert len(forks) == 2
        assert turn.context is not None
        assert {span.parent.span_id for span in forks if span.parent} == {turn.context.span_id}
        assert not [span for span in spans.of("chat stub")[:2] if "adjourn.fork" in about(span)]


async def test_the_clients_trace_goes_on_through_us_to_the_model(spans: Spans) -> None:
    async with rig(scripted("Okay."), watch=spans.watch) as served:
        await served.chat().send(CALM, traceparent=f"00-{TRACE}-{PARENT}-01", tracestate="theirs=1")
        (turn,), (chat,) = spans.of("POST /v1/chat/completions"), spans.of("chat stub")
        assert turn.parent is not None
        assert format(turn.parent.span_id, "016x") == PARENT
        assert chat.context is not None
        assert format(chat.context.trace_id, "032x") == TRACE
        sent = served.received[0]
        assert sent.header("traceparent") == f"00-{TRACE}-{format(chat.context.span_id, '016x')}-01"
        assert sent.header("tracestate") == "theirs=1"


async def test_without_tracing_the_clients_trace_passes_as_it_is() -> None:
    async with rig(scripted("Okay.")) as served:
        given = f"00-{TRACE}-{PARENT}-01"
        await served.chat().send(CALM, traceparent=given)
        assert served.received[0].header("traceparent") == given


async def test_what_goes_wrong_is_an_error_with_its_kind(spans: Spans) -> None:
    async with rig(scripted([Fault("status_500"), Fault("cut")]), watch=spans.watch) as served:
        await served.chat().send(CALM)
        await served.chat().send(CALM)
        failed, cut = spans.of("chat stub")
        assert (about(failed)["error.type"], failed.status.status_code) == ("500", StatusCode.ERROR)
        assert (about(cut)["error.type"], cut.status.status_code) == ("UpstreamBroke", StatusCode.ERROR)
        turns = spans.of("POST /v1/chat/completions")
        assert [about(turn)["error.type"] for turn in turns] == ["500", "502"]


async def test_a_refusal_below_an_end_has_no_question_and_is_no_error(spans: Spans) -> None:
    async with rig(scripted(WARNS, ["END", "END"]), watch=spans.watch) as served:
        chat = served.chat()
        await close(chat)
        before = len(spans.of("chat stub"))
        assert (await chat.send(BAD)).refused
        assert len(spans.of("chat stub")) == before
        refused = spans.of("POST /v1/chat/completions")[-1]
        assert (about(refused)["http.response.status_code"], refused.status.status_code) == (400, StatusCode.UNSET)


async def test_what_is_not_a_vendors_wire_has_no_span(spans: Spans) -> None:
    async with rig(scripted("Okay."), watch=spans.watch) as served:
        for path in ("/", "/healthz", "/metrics"):
            async with served.session.get(served.url + path) as answer:
                assert answer.status == 200
        assert spans.all == ()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"},
    ],
)
def test_nothing_is_traced_unless_the_environment_asks_for_it(
    environment: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert from_environment(environment) is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    "environment", [{"OTEL_TRACES_EXPORTER": "console"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}]
)
def test_what_the_environment_asks_for_is_traced(environment: Mapping[str, str]) -> None:
    traces = from_environment(environment)
    assert traces is not None
    traces.close()


def test_without_the_extra_nothing_is_traced_and_whoever_asked_for_it_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert from_environment({"OTEL_TRACES_EXPORTER": "console"}) is None
    assert caplog.messages == ["no_traces"]


def test_an_exporter_that_is_not_known_is_told_and_nothing_is_traced(caplog: pytest.LogCaptureFixture) -> None:
    assert from_environment({"OTEL_TRACES_EXPORTER": "zipkin"}) is None
    assert caplog.messages == ["no_traces"]


# What an answer says of itself.


def test_what_an_answer_says_of_itself_is_read_on_each_wire() -> None:
    anthropic = {
        "id": "msg_1",
        "type": "message",
        "model": "claude",
        "content": [{"type": "text", "text": SECRET}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 7},
    }
    assert read_usage(json.dumps(anthropic).encode(), streamed=False) == Usage("claude", "msg_1", ["end_turn"], 13, 7)
    start = {"type": "message_start", "message": {**anthropic, "stop_reason": None, "usage": {"input_tokens": 3}}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    stream = b"".join(b"event: x\ndata: " + json.dumps(one).encode() + b"\n\n" for one in (start, delta))
    assert read_usage(stream, streamed=True) == Usage("claude", "msg_1", ["end_turn"], 3, 7)
    completed = {
        "type": "response.completed",
        "response": {"id": "resp_1", "model": "gpt", "usage": {"input_tokens": 1, "output_tokens": 2}},
    }
    stream = b'data: {"type": "x", "delta": "word"}\n\ndata: ' + json.dumps(completed).encode() + b"\n\n"
    assert read_usage(stream, streamed=True) == Usage("gpt", "resp_1", [], 1, 2)


@pytest.mark.parametrize("body", [b"", b"not json", b'{"usage": 7}', b'{"choices": [{"finish_reason": 1}]}', b"\xff"])
def test_an_answer_that_cannot_be_read_says_nothing_of_itself(body: bytes) -> None:
    assert read_usage(body, streamed=False) == Usage()
    assert read_usage(b"data: " + body + b"\n\n", streamed=True) == Usage()
