"""What a model's answer says of itself, on any vendor's wire, plain or streamed: for traces, and never its words."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from adjourn.wire import sse


@dataclass(slots=True)
class Usage:
    """The model that answered, the answer's id, why it stopped, and the tokens it took; what is not said is None."""

    model: str | None = None
    ident: str | None = None
    reasons: list[str] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    @property
    def taken(self) -> int | None:
        """The tokens of the input, cached ones too: Anthropic counts these apart."""
        if self.prompt_tokens is not None or self.input_tokens is None:
            return self.prompt_tokens
        return self.input_tokens + (self.cache_read_input_tokens or 0) + (self.cache_creation_input_tokens or 0)


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Part(msgspec.Struct):
    """A plain answer, or one event of a streamed one, as far as it speaks of the answer as a whole."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []
    usage: _Tokens | None = None
    stop_reason: str | None = None
    delta: Any = None
    message: "_Part | None" = None  # Anthropic, at the beginning of a stream
    response: "_Part | None" = None  # Responses, at its end


_PARTS = msgspec.json.Decoder(_Part)


def read_usage(body: bytes, *, streamed: bool) -> Usage:
    """Return what an answer says of itself; what cannot be read says nothing."""
    usage = Usage()
    for data in _data(body) if streamed else (body,):
        try:
            part = _PARTS.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        for said in (part, part.message, part.response):
            if said is not None:
                _add(usage, said)
    return usage


def _data(body: bytes) -> Iterable[bytes]:
    return filter(None, map(sse.data_of, sse.Events().feed(body)))


def _add(usage: Usage, part: _Part) -> None:
    usage.model = usage.model or part.model
    usage.ident = usage.ident or part.id
    reasons = [part.stop_reason, *(choice.finish_reason for choice in part.choices)]
    if isinstance(part.delta, dict) and isinstance(part.delta.get("stop_reason"), str):
        reasons.append(part.delta["stop_reason"])
    usage.reasons += filter(None, reasons)
    if part.usage is not None:
        tokens = part.usage
        usage.input_tokens = tokens.taken if tokens.taken is not None else usage.input_tokens
        output = tokens.completion_tokens if tokens.completion_tokens is not None else tokens.output_tokens
        usage.output_tokens = output if output is not None else usage.output_tokens
