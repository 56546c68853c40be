"""Granite Guardian behind a chat endpoint, asked for what it looks for when no criterion is named: harm in general.

https://www.ibm.com/granite/docs/models/guardian. Up to 3.2 it answers Yes or No, and how sure it is between tags; from
3.3 on `<score> yes </score>`, behind its thoughts where it thinks.
"""

import re
from collections.abc import Sequence

from adjourn.signals.detector import Message, Seen
from adjourn.signals.remote.chat import alternating, body, said
from adjourn.signals.remote.sayings import SAID, harm, together

HARM = harm(None)
"""It names no family."""

TOKENS = 2048
"""It may think first."""

_THOUGHTS = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_SCORE = re.compile(r"\s*<score>\s*(yes|no)\s*</score>\s*", re.IGNORECASE)
_WORD = re.compile(r"\s*(yes|no)\s*(?:<confidence>\s*(?:high|low)\s*</confidence>\s*)?", re.IGNORECASE)


def ask(model: str, text: str, before: Sequence[Message]) -> Sequence[bytes]:
    """Return the one body that asks about a text, with what came before it."""
    return [body(model, alternating(text, before), TOKENS)]


def read(replies: Sequence[bytes]) -> Seen | None:
    """Return what the reply says; None if it is neither yes nor no."""
    words = said(replies[0]) if len(replies) == 1 else None
    if words is None:
        return None
    thoughts = _THOUGHTS.match(words)
    rest = words[thoughts.end() :] if thoughts else words
    found = _SCORE.fullmatch(rest) or _WORD.fullmatch(rest)
    if found is None:
        return None
    return together([(HARM, SAID)] if found[1].lower() == "yes" else [])
