"""A way out of one of Anthropic's refusals: thinking that is bound to other words than those before it.

The vendor signs each block of thinking together with everything before it, and refuses it behind anything else
(https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/fix-bound-to-a-different-conversation).
"""

from collections.abc import Mapping

import msgspec

from adjourn.core.errors import ClientError
from adjourn.wire.request import decoded, member
from adjourn.wire.splice import Insertion, Span, insert, members

_BOUND = "bound to a different conversation"
_BETA = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}
_BEHAVIOUR = b'"prefix_mismatch_behavior":"drop_block"'
_BINDING = b'"block_binding":{' + _BEHAVIOUR + b"}"
_THINKING = b'"thinking":{"type":"adaptive",' + _BINDING + b"}"


def way_out(sent: bytes, status: int, answer: bytes) -> tuple[bytes, Mapping[str, str]] | None:
    """Return the request that has the vendor drop thinking that no longer fits, if it was refused for that.

    None if the request says itself what is to be done then, or wants no thinking.
    """
    if status != 400 or not _is_bound(answer):
        return None
    put_in = _drops(sent)
    return (insert(sent, [put_in]), _BETA) if put_in is not None else None


def _is_bound(answer: bytes) -> bool:
    try:
        return _BOUND in str(member(decoded(answer), "error", "message"))
    except ClientError:
        return False


def _drops(sent: bytes) -> Insertion | None:
    """Return what to put in, and where: in the innermost object of the setting that is there."""
    thinking = members(sent).get("thinking")
    if thinking is None:
        return _at_end(sent, Span(0, len(sent.rstrip())), _THINKING)
    told = msgspec.json.decode(sent[thinking.start : thinking.end])
    if not isinstance(told, dict) or told.get("type") == "disabled":
        return None
    binding = members(sent, thinking.start).get("block_binding")
    if binding is None:
        return _at_end(sent, thinking, _BINDING)
    bound = told["block_binding"]
    says = not isinstance(bound, dict) or "prefix_mismatch_behavior" in bound
    return None if says else _at_end(sent, binding, _BEHAVIOUR)


def _at_end(sent: bytes, span: Span, member: bytes) -> Insertion:
    """Return the insertion of a member at the end of the object that stands there."""
    return Insertion(span.end - 1, b"," + member if members(sent, span.start) else member)
