"""Recorded rows that a person labelled: what is true of them, and in which groups they are counted.

A line is a conversation with `labels` beside its messages: `{"id", "messages", "labels": {"risk": "self", "kind": …}}`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from adjourn.core.errors import ClientError
from adjourn.core.reading import RiskKind
from adjourn.lab.transcript import Transcript, decode, transcript
from adjourn.signals.detector import OF_ASSISTANTS, OF_USERS

AXES = ("kind", "risk_kind", "family", "voice", "lang", "source")
"""By what rows are grouped: each may stand among the labels or beside them."""

RISK = "risk"

OF_MESSAGES: Mapping[str, str] = {**dict.fromkeys(OF_USERS, "user"), **dict.fromkeys(OF_ASSISTANTS, "assistant")}
"""The labels of a message, and whose: the last one of that role is the one that is labelled."""

OF_CONVERSATIONS = ("closes", "warns", "card")
"""The labels of a conversation: whether it should be closed, a warning may be allowed, a shown hold may appear."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row. `truths`: what is known of it, by label; `groups`: its group by axis; `unknown`: all other labels."""

    transcript: Transcript
    truths: Mapping[str, bool]
    groups: Mapping[str, str]
    unknown: tuple[str, ...] = ()


def labelled_message(line: bytes, number: int) -> Labelled:
    """Return a row whose last message is labelled; raises ClientError, which says what is wrong with it."""
    row = _row(line, number, OF_MESSAGES)
    roles = {message.role for message in row.transcript.messages}
    for name in row.truths:
        if OF_MESSAGES[name] not in roles:
            raise ClientError(f"labels.{name} speaks of the {OF_MESSAGES[name]}'s last message, and there is none")
    return row


def labelled_conversation(line: bytes, number: int) -> Labelled:
    """Return a row that is labelled as a whole; raises ClientError, which says what is wrong with it."""
    return _row(line, number, OF_CONVERSATIONS)


def _row(line: bytes, number: int, known: Collection[str]) -> Labelled:
    data = decode(line)
    labels = data.get("labels") or {}
    if not isinstance(labels, dict):
        raise ClientError("labels: an object is needed")
    found = {name: _truth(name, value) for name, value in labels.items() if name in known}
    truths = {name: true for name, true in found.items() if true is not None}
    groups = {axis: _group(axis, value) for axis in AXES if (value := labels.get(axis, data.get(axis))) is not None}
    if RISK in known and isinstance(labels.get(RISK), str):
        groups.setdefault("risk_kind", labels[RISK])
    unknown = tuple(plain(name) for name in labels if name not in known and name not in AXES)
    return Labelled(transcript(data, number), truths, groups, unknown)


def _truth(name: str, value: Any) -> bool | None:
    """Return what a label says; None where it says nothing."""
    return _READ.get(name, _yes_or_no)(name, value)


def _yes_or_no(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ClientError(f"labels.{name} = {value!r}: true or false is needed")


def _kind_of_risk(name: str, value: Any) -> bool:
    """Return whether there is a risk: `null` means that there is none, as it does for whoever names its kind."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if value in list(RiskKind):
        return True
    raise ClientError(f"labels.{name} = {value!r}: true, false, null or one of {', '.join(RiskKind)} is needed")


_READ: Mapping[str, Callable[[str, Any], bool | None]] = {RISK: _kind_of_risk}


def _group(axis: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ClientError(f"{axis} = {value!r}: text is needed")
    return plain(str(value))


def plain(text: str) -> str:
    """Return a text as one line that any terminal shows: spaces folded, and `?` for what cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
