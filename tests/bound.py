"""A stub of a Claude that binds its thinking: each block is signed with everything before it, and refused behind else.

https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/fix-bound-to-a-different-conversation
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import msgspec
from starlette.applications import Starlette

from tests.models import Answer, Asked, Refused, Said, scripted

BETA = "thinking-binding-controls-2026-08-01"
THOUGHT = "Let me think."

Values = dict[str, msgspec.Raw]
Answers = str | Said | Sequence[str | Said]


def bound(answers: Answers, fork: Answers = "CONTINUE") -> Starlette:
    """Answers from a list (its last for ever), with a signed block of thinking before each answer."""
    return scripted(_thinking(answers, lambda asked: asked.number), _thinking(fork, lambda asked: asked.fork - 1))


def _thinking(answers: Answers, number: Callable[[Asked], int]) -> Callable[[Asked], Answer]:
    def behave(asked: Asked) -> Answer:
        refusal = next(refusals(asked), None)
        if refusal is not None:
            return refusal
        one = answers if isinstance(answers, str | Said) else answers[min(number(asked), len(answers) - 1)]
        said = Said(one) if isinstance(one, str) else one
        thinking = {"type": "thinking", "thinking": THOUGHT, "signature": signature(asked.raw)}
        redacted = {"type": "redacted_thinking", "data": "c2VjcmV0"}
        return Said(said.text, said.finish, said.also, (thinking, redacted, *said.blocks))

    return behave


def refusals(asked: Asked) -> Iterator[Refused]:
    """What is wrong with the thinking in a request."""
    beta = any(name == b"anthropic-beta" and BETA.encode() in value for name, value in asked.headers)
    binding = (asked.body.get("thinking") or {}).get("block_binding")
    if binding is not None and not beta:
        yield Refused("thinking.block_binding: Extra inputs are not permitted")
    if binding is not None and binding["prefix_mismatch_behavior"] == "drop_block":
        return
    for place, message in enumerate(asked.body["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else []
        for index, block in enumerate(blocks):
            if block["type"] == "thinking" and block["signature"] != signature(asked.raw, place):
                yield Refused(
                    f"messages.{place}.content.{index}: Invalid `signature` in `thinking` block. The block is bound to"
                    " a different conversation. Remove the block, or set"
                    ' `thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
                )


def signature(body: bytes, before: int | None = None) -> str:
    """What the first messages of a request are signed with, byte for byte: system, tools, and each of them."""
    values = msgspec.json.decode(body, type=Values)
    messages = msgspec.json.decode(values["messages"], type=list[msgspec.Raw])[:before]
    digest = hashlib.sha256()
    for part in (values.get("system"), values.get("tools"), *messages):
        digest.update(bytes(part) + b"\0" if part is not None else b"\0")
    return digest.hexdigest()
