"""Events, nodes, trees and policies as bytes, and the hash chain over the events.

An event's name in the database is a string of our own: a class may be renamed, a name may not. Old rows are never
rewritten; should a field change its meaning, the old name is read by a class of its own.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from adjourn.core import events
from adjourn.core.errors import DamagedLog
from adjourn.core.events import Event
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy, policy_data
from adjourn.core.tree import Node, Tree

NAMES: Mapping[str, type[Event]] = {
    "opened": events.Opened,
    "signals": events.Signals,
    "judged": events.Judged,
    "user_received": events.UserReceived,
    "claimed": events.Claimed,
    "inherited": events.Inherited,
    "held": events.Held,
    "attempt_started": events.AttemptStarted,
    "attempt_ended": events.AttemptEnded,
    "step": events.Step,
    "fork_replied": events.ForkReplied,
    "answer": events.Answer,
    "decision": events.Decision,
    "ended": events.Ended,
    "refused_read": events.RefusedRead,
    "reopened": events.Reopened,
    "lifted": events.Lifted,
    "erased": events.Erased,
}
_NAME_OF = {kind: name for name, kind in NAMES.items()}
_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in NAMES.items()}
_NODE = msgspec.json.Decoder(Node)
_TREE = msgspec.json.Decoder(Tree)


def encode(event: Event) -> tuple[str, bytes]:
    """Return the name and the bytes of an event."""
    return _NAME_OF[type(event)], _ENCODER.encode(event)


def decode(name: str, body: bytes) -> Event:
    """Return the event; raises DamagedLog if these bytes are not one."""
    try:
        event: Event = _DECODERS[name].decode(body)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedLog(f"this is no event of the kind {name!r}: {error}") from error
    return event


def first_head(conversation: str) -> bytes:
    """Return the chain's digest before the first event."""
    return hashlib.blake2b(conversation.encode(), digest_size=32).digest()


def next_head(head: bytes, name: str, body: bytes) -> bytes:
    """Return the chain's digest with one more event."""
    return hashlib.blake2b(head + name.encode() + b"\0" + body, digest_size=32).digest()


def encode_node(node: Node) -> bytes:
    """Return the bytes of a node."""
    return _ENCODER.encode(node)


def decode_node(body: bytes) -> Node:
    """Return the node; raises DamagedLog if these bytes are not one."""
    with _damaged("a message"):
        node: Node = _NODE.decode(body)
    return node


def encode_facts(tree: Tree) -> bytes:
    """Return the bytes of a tree without its nodes."""
    facts = tree.draft()
    facts.nodes = {}
    return _ENCODER.encode(facts)


def decode_facts(body: bytes) -> Tree:
    """Return the tree, without its nodes; raises DamagedLog if these bytes are not one."""
    with _damaged("a conversation"):
        tree: Tree = _TREE.decode(body)
    return tree


@contextmanager
def _damaged(what: str) -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedLog(f"what is kept of {what} beside the events cannot be read: {error}") from error


def encode_policy(policy: Policy) -> bytes:
    """Return the bytes of a policy."""
    return _ENCODER.encode(policy_data(policy))


def decode_policy(digest: str, body: bytes) -> Policy | None:
    """Return the policy, exactly as it was; None if these bytes are not the one with this digest (any more)."""
    try:
        data = msgspec.json.decode(body)
        policy = Policy(**{**data, "mode": Mode[data["mode"].upper()]})
        return policy if policy.digest == digest else None
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return None
