"""What a witness saw in one text: the words in which detectors, the assistant and judges speak to the core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Flag(StrEnum):
    """One thing that a witness may say of a text. The first eight are about people, the rest about assistants."""

    HARMFUL = "harmful"  # a harmful request, at the lower threshold (high recall)
    HARMFUL_COUNT = "harmful_count"  # the same, at the counting threshold (high precision)
    ABUSIVE = "abusive"  # abuse of the assistant, lower threshold
    ABUSIVE_COUNT = "abusive_count"  # the same, counting threshold
    RISK = "risk"  # somebody may be at risk, faint or clear
    RISK_CLEAR = "risk_clear"  # the same, clear
    ASKS_END = "asks_end"  # asks to close this conversation for good
    CONFIRMS_END = "confirms_end"  # would confirm, if the assistant has just asked back

    DECLINED = "declined"  # says that it won't help with what was asked
    REDIRECTED = "redirected"  # offers another way
    WARNED = "warned"  # names the behaviour, offers another way, says that the chat may be closed
    ASKED_TO_CONFIRM = "asked_to_confirm"  # asks whether to close the chat for good, saying that it is final
    SUPPORTED = "supported"  # offers crisis help


class RiskKind(StrEnum):
    """Who is at risk (DESIGN, section 10)."""

    SELF = "self"
    OTHER = "other"
    DANGER = "danger"  # to others, from the person who writes
    EMERGENCY = "emergency"


class Matter(StrEnum):
    """What a judge is asked about a branch."""

    WARN = "warn"  # whether the model may give notice that the chat may be closed
    PERSISTENT_HARM = "persistent_harm"  # whether it is right to close it for this
    USER_REQUEST = "user_request"  # whether the person means it
    RISK = "risk"  # whether somebody is at risk


class Opinion(StrEnum):
    """What came of asking: anything but a clear yes is doubt."""

    YES = "yes"
    NO = "no"
    UNSCORED = "unscored"  # late, failed, out of budget, unsure, or a yes that cites no words of the person's


LOCAL = "local"
"""The witness that all local detectors are together."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one witness saw in one text.

    `flags` holds what it says; `scores` (0 to 1, by threshold name) say how sure it was; `family` names the kind of
    a harmful request; `failed` lists the names of detectors that could not read the text.
    """

    witness: str = LOCAL
    version: str = ""
    flags: frozenset[Flag] = frozenset()
    scores: Mapping[str, float] = field(default_factory=dict)
    family: str | None = None
    risk_kind: RiskKind | None = None
    failed: tuple[str, ...] = ()
