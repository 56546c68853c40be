"""The receipt: what a person is told of an end."""

import hashlib
from dataclasses import dataclass

from adjourn.core.events import Ended
from adjourn.core.machine import Ground
from adjourn.core.policy import ABUSE

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Digits and letters that are not taken for one another when read aloud or copied by hand."""

FAMILY_WORDS = {
    "chem_bio": "poisons and agents that harm many",
    "child_safety": "the safety of children",
    "drugs": "drugs",
    "extremism": "violent extremism",
    "fraud": "fraud",
    "harassment": "harassing somebody",
    "hate": "hatred of a group",
    "illegal": "crime",
    "malware": "breaking into computers",
    "misinformation": "deceiving many people",
    "privacy": "somebody's private life",
    "self_harm": "harming oneself",
    "sexual_violence": "sexual violence",
    "violence": "violence",
    "weapons": "weapons",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Ground, one plain sentence, the messages that the end rests on, the policy, the time, a short number."""

    number: str
    conversation: str
    ground: Ground
    sentence: str
    turns: tuple[str, ...]
    at: int
    policy: str


def receipt_number(conversation: str, answer: str) -> str:
    """Return a short number, the same for the same end: `AJ-7F3K-92`."""
    drawn = int.from_bytes(hashlib.blake2b(f"{conversation}/{answer}".encode(), digest_size=8).digest())
    letters = ""
    for _ in range(6):
        drawn, letter = divmod(drawn, len(_ALPHABET))
        letters += _ALPHABET[letter]
    return f"AJ-{letters[:4]}-{letters[4:]}"


def sentence(ground: Ground, family: str | None) -> str:
    """Return the one plain sentence that says why."""
    if ground is Ground.USER_REQUEST:
        return "You asked to close this chat and confirmed."
    if family == ABUSE:
        return "Insults went on after a notice."
    about = FAMILY_WORDS.get(family or "")
    named = f" ({about})" if about else ""
    return f"Requests that the assistant had declined{named} went on after a notice."


def receipt(conversation: str, ended: Ended) -> Receipt:
    """Return the receipt of an end."""
    return Receipt(
        number=ended.receipt,
        conversation=conversation,
        ground=ended.ground,
        sentence=sentence(ended.ground, ended.family),
        turns=ended.turns,
        at=ended.at,
        policy=ended.policy,
    )
