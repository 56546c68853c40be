"""Traces, by OpenTelemetry's conventions for generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/).

A span for each request on a vendor's wire, and below it one for each question to the model's API. No span holds words
of a conversation. Needs the extra `otel`; without it, or without an exporter in the OTEL_ environment variables, there
is no tracing at all.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from adjourn.version import __version__
from adjourn.web import log
from adjourn.wire.usage import read_usage

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

CHATS: Mapping[str, str] = {"/chat/completions": "openai", "/responses": "openai", "/messages": "anthropic"}
"""What is asked for an answer, and whose wire it is."""

_ADDRESSES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class _Model(msgspec.Struct):
    model: str = ""
    stream: bool | None = None


_MODEL = msgspec.json.Decoder(_Model)


@dataclass(slots=True)
class RequestSpan:
    """A span for a request, and what makes others its children."""

    span: "Span"
    context: "Context"

    def ends(self, status: int, conversation: str | None, stage: str | None) -> None:
        """End it with what came of the request."""
        if status:  # else nobody was left to be answered
            self.span.set_attribute("http.response.status_code", status)
        if conversation is not None:
            self.span.set_attribute("gen_ai.conversation.id", conversation)
        if stage is not None:
            self.span.set_attribute("adjourn.stage", stage)
        if status >= 500:
            _failed(self.span, str(status))
        self.span.end()


@dataclass(slots=True)
class ChatSpan:
    """A span for a question to the model's API. `headers` carry it on; `kept`: the answer's body, if it is wanted."""

    span: "Span"
    headers: Mapping[str, str]
    kept: list[bytes] | None
    streamed: bool

    def answered(self, status: int) -> None:
        """Note the status."""
        self.span.set_attribute("http.response.status_code", status)
        if status >= 400:
            _failed(self.span, str(status))

    def began(self, seconds: float) -> None:
        """Note how long the first bytes of a stream took."""
        if self.streamed:
            self.span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)

    def failed(self, error: Exception) -> None:
        """Note what went wrong."""
        _failed(self.span, type(error).__qualname__)

    def ends(self) -> None:
        """End it with what the answer says of itself."""
        body = b"".join(self.kept or ())
        if body:
            usage = read_usage(body, streamed=not body.lstrip().startswith(b"{"))
            said: dict[str, Any] = {
                "gen_ai.response.id": usage.ident,
                "gen_ai.response.model": usage.model,
                "gen_ai.response.finish_reasons": usage.reasons or None,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
            }
            self.span.set_attributes({name: value for name, value in said.items() if value is not None})
        self.span.end()


class Traces:
    """The spans of one server. `url`: the model's API's address."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("adjourn", __version__)
        self._passed_on = TraceContextTextMapPropagator()

    def request(self, method: str, address: str, headers: Mapping[str, str]) -> RequestSpan:
        """Begin the span of a request, below the one that its `traceparent` names (https://www.w3.org/TR/trace-context/)."""
        from opentelemetry import trace

        above = self._passed_on.extract(headers)
        about = {"http.request.method": method, "http.route": address}
        kind = trace.SpanKind.SERVER
        span = self._tracer.start_span(f"{method} {address}", context=above, kind=kind, attributes=about)
        return RequestSpan(span, trace.set_span_in_context(span, above))

    def chat(
        self, above: RequestSpan, url: str, path: str, body: bytes, *, fork: bool, conversation: str | None
    ) -> ChatSpan:
        """Begin the span of a question to the model's API."""
        from opentelemetry import trace

        asked, server = _model(body), urlsplit(url)
        about: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": CHATS[path],
            "gen_ai.request.model": asked.model or None,
            "gen_ai.request.stream": True if asked.stream else None,
            "gen_ai.conversation.id": conversation,
            "server.address": server.hostname,
            "server.port": server.port or (443 if server.scheme == "https" else 80),
            "adjourn.fork": True if fork else None,
        }
        span = self._tracer.start_span(
            f"chat {asked.model}".strip(),
            context=above.context,
            kind=trace.SpanKind.CLIENT,
            attributes={name: value for name, value in about.items() if value is not None},
        )
        headers: dict[str, str] = {}
        self._passed_on.inject(headers, trace.set_span_in_context(span, above.context))
        return ChatSpan(span, headers, [] if span.is_recording() else None, asked.stream is True)

    def close(self) -> None:
        """Send what has not been sent yet, and let go of the exporter."""
        self._provider.shutdown()


def _model(body: bytes) -> _Model:
    try:
        return _MODEL.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Model()


def _failed(span: "Span", kind: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def from_environment(environment: Mapping[str, str] = os.environ) -> Traces | None:
    """Return what the OTEL_ environment variables ask for; None if they ask for nothing.

    What they ask for in vain stands in the log.

    OTEL_TRACES_EXPORTER is `otlp`, `console` or `none`; with an OTLP address it may be left out. The other variables
    are read by the SDK itself (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
    """
    wanted = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if any(map(environment.get, _ADDRESSES)) else "none")
    if wanted == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if wanted not in _EXPORTERS:
        log.warning("no_traces", message=f"OTEL_TRACES_EXPORTER={wanted}: only otlp, console and none are known here")
        return None
    try:
        return _EXPORTERS[wanted]()
    except ImportError:
        log.warning("no_traces", message="the environment asks for traces, but adjourn[otel] is not installed")
        return None


def _otlp() -> Traces:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return _with(TracerProvider(shutdown_on_exit=False), BatchSpanProcessor(OTLPSpanExporter()))


def _console() -> Traces:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    return _with(TracerProvider(shutdown_on_exit=False), SimpleSpanProcessor(ConsoleSpanExporter()))


def _with(provider: "TracerProvider", processor: Any) -> Traces:
    provider.add_span_processor(processor)
    return Traces(provider)


_EXPORTERS: Mapping[str, Callable[[], Traces]] = {"otlp": _otlp, "console": _console}
