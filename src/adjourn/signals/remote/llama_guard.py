"""Llama Guard 3 and 4 behind a chat endpoint; the server's chat template writes the policy around the messages.

https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-4. It answers `safe`, or `unsafe` and on the
next line the codes of the hazards, of MLCommons' taxonomy.
"""

import re
from collections.abc import Mapping, Sequence

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import NOTHING as NOTHING_SEEN
from adjourn.signals.detector import Message, Seen
from adjourn.signals.remote.chat import alternating, body, said
from adjourn.signals.remote.sayings import NOTHING, SAID, Saying, harm, risk, together

HAZARDS: Mapping[str, Saying] = {
    "S1": harm("violence"),
    "S2": harm("illegal"),
    "S3": harm("sexual_violence"),
    "S4": harm("child_safety"),
    "S5": harm("harassment"),  # defamation
    "S6": NOTHING,  # specialized advice
    "S7": harm("privacy"),
    "S8": NOTHING,  # intellectual property
    "S9": harm("chem_bio"),  # weapons that harm many
    "S10": harm("hate"),
    "S11": risk(RiskKind.SELF),  # suicide and self-harm
    "S12": NOTHING,  # sexual content
    "S13": harm("misinformation"),  # elections
    "S14": harm("malware"),  # abuse of a code interpreter
}

TOKENS = 64

_UNSAFE = re.compile(r"unsafe\s*\n\s*(S\d{1,2}(?:\s*[,\n]\s*S\d{1,2})*)")


def ask(model: str, text: str, before: Sequence[Message]) -> Sequence[bytes]:
    """Return the one body that asks about a text, with what came before it."""
    return [body(model, alternating(text, before), TOKENS)]


def read(replies: Sequence[bytes]) -> Seen | None:
    """Return what the reply says; None if it is none of this kind, or names a hazard that there is not."""
    words = said(replies[0]) if len(replies) == 1 else None
    if words is None:
        return None
    words = words.strip()
    if words == "safe":
        return NOTHING_SEEN
    found = _UNSAFE.fullmatch(words)
    codes = re.findall(r"S\d+", found[1]) if found else []
    if not codes or not set(codes) <= set(HAZARDS):
        return None
    return together((HAZARDS[code], SAID) for code in codes)
