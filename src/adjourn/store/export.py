"""A conversation as a person can keep it: every branch, with its receipts, as data or as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from adjourn.core.events import Answer, Claimed, Ended, Event, Judged, UserReceived
from adjourn.core.machine import UserKind
from adjourn.core.receipt import receipt
from adjourn.core.tree import fold
from adjourn.store.text import Sealed


def export(conversation: str, events: Sequence[Event], texts: Mapping[str, Sealed]) -> dict[str, Any]:
    """Return the conversation as data: messages in the order in which they came, each with its parent's index."""
    tree = fold(events, conversation)
    index: dict[str, int] = {}
    messages = []
    for event in events:
        if isinstance(event, UserReceived | Claimed | Answer):
            index[event.node] = len(index) + 1
            text = texts.get(event.node)
            messages.append(
                {
                    "index": index[event.node],
                    "parent": index[event.parent] if event.parent is not None else None,
                    "node": event.node,
                    "role": "user" if isinstance(event.kind, UserKind) else "assistant",
                    "text": text.text if text else None,
                    "at": exported_time(tree.nodes[event.node].at),
                    "kind": event.kind.value,
                    "stage": tree.stage(event.node).value,
                }
            )
    ends = [event for event in events if isinstance(event, Ended)]
    judged = [event for event in events if isinstance(event, Judged)]
    return {
        "conversation": conversation,
        "opened_at": exported_time(tree.opened.at) if tree.opened else None,
        "held": tree.held.name.lower(),
        "messages": messages,
        "opinions": [
            {
                "message": index.get(one.node),
                "witness": one.witness,
                "asked": one.matter.value,
                "said": one.opinion.value,
                "quote": texts[one.quote].text if one.quote in texts else None,
            }
            for one in judged
        ],
        "receipts": [
            {**asdict(receipt(conversation, end)), "at": exported_time(end.at), "stands": end.answer in tree.ended}
            for end in ends
        ],
    }


def for_person(exported: Mapping[str, Any]) -> dict[str, Any]:
    """Return an exported conversation without what the detectors thought of it, or how near it was to an end."""
    hidden = {"kind", "stage"}
    messages = [{name: value for name, value in one.items() if name not in hidden} for one in exported["messages"]]
    return {name: value for name, value in exported.items() if name not in {"held", "opinions"}} | {
        "messages": messages
    }


def markdown(exported: Mapping[str, Any]) -> str:
    """Return an exported conversation as Markdown."""
    return "\n".join(_lines(exported)) + "\n"


def _lines(exported: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Conversation {exported['conversation']}"
    yield ""
    yield f"Begun {exported['opened_at']}."
    for message in exported["messages"]:
        yield ""
        below = message["parent"]
        branch = f", below {below}" if below not in (None, message["index"] - 1) else ""
        yield f"## {message['index']}. {message['role']}{branch}"
        yield ""
        yield "*(no text is kept)*" if message["text"] is None else message["text"]
    for end in exported["receipts"]:
        yield ""
        yield f"**{'Closed' if end['stands'] else 'Closed, and opened again'}**, {end['at']}: {end['sentence']}"
        yield f"Receipt {end['number']}."


def exported_time(at: int) -> str:
    """Return a Unix time in milliseconds as people and programs write it (RFC 3339, UTC)."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
