"""How the demo assistant's answers are written on each vendor's wire. A token is a word here."""

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

_CHUNK = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer in the form of OpenAI's Chat Completions, to be written whole or in chunks."""

    text: str
    model: str
    prompt_tokens: int
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def usage(self) -> Mapping[str, int]:
        """How many words went in and out."""
        out = len(self.text.split())
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": out, "total_tokens": self.prompt_tokens + out}

    def whole(self) -> bytes:
        """Write it as one body."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return _json(self._envelope("chat.completion", choices=[choice], usage=self.usage))

    def events(self, with_usage: bool) -> Iterator[bytes]:
        """Write it as events, a word each; `with_usage`: with the usage as one more."""
        yield self._event({"role": "assistant", "content": ""})
        for words in _CHUNK.findall(self.text):
            yield self._event({"content": words})
        yield self._event({}, finish="stop")
        if with_usage:
            yield _event(_json(self._envelope("chat.completion.chunk", choices=[], usage=self.usage)))
        yield _event(b"[DONE]")

    @staticmethod
    def refusal(message: str, param: str | None = None, status: int = 400) -> bytes:
        """Write an error; `param`: what in the body is wrong."""
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
        return _json({"error": error})

    @staticmethod
    def models(model: str) -> bytes:
        """Write the list of models."""
        entry = {"id": model, "object": "model", "created": 0, "owned_by": "adjourn"}
        return _json({"object": "list", "data": [entry]})

    def _event(self, delta: Mapping[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(_json(self._envelope("chat.completion.chunk", choices=[choice])))

    def _envelope(self, kind: str, **rest: object) -> Mapping[str, object]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, **rest}


@dataclass(frozen=True, slots=True)
class Message:
    """One answer in the form of Anthropic's Messages, to be written whole or in events."""

    text: str
    model: str
    prompt_tokens: int
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")

    def whole(self) -> bytes:
        """Write it as one body."""
        return _json(self._message(content=[{"type": "text", "text": self.text}], stop_reason="end_turn"))

    def events(self, with_usage: bool) -> Iterator[bytes]:
        """Write it as events, a word each; the usage always comes with it."""
        yield _named("message_start", message=self._message(content=[], stop_reason=None))
        yield _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for words in _CHUNK.findall(self.text):
            yield _named("content_block_delta", index=0, delta={"type": "text_delta", "text": words})
        yield _named("content_block_stop", index=0)
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        yield _named("message_delta", delta=stop, usage={"output_tokens": len(self.text.split())})
        yield _named("message_stop")

    @staticmethod
    def refusal(message: str, param: str | None = None, status: int = 400) -> bytes:
        """Write an error; `param`: what in the body is wrong."""
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        said = f"{param}: {message}" if param else message
        return _json({"type": "error", "error": {"type": kind, "message": said}})

    @staticmethod
    def models(model: str) -> bytes:
        """Write the list of models."""
        entry = {"type": "model", "id": model, "display_name": model, "created_at": "1970-01-01T00:00:00Z"}
        return _json({"data": [entry], "has_more": False, "first_id": model, "last_id": model})

    def _message(self, **rest: object) -> Mapping[str, object]:
        usage = {"input_tokens": self.prompt_tokens, "output_tokens": len(self.text.split())}
        head = {"id": self.id, "type": "message", "role": "assistant", "model": self.model}
        return {**head, **rest, "stop_sequence": None, "usage": usage}


Form = type[Completion] | type[Message]


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _named(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\n".encode() + _event(_json({"type": kind, **fields}))
