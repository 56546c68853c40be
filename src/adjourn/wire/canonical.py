"""When two messages are the same message: what clients do to a history must not make another of it.

Canonical text is NFC, without white space; of an assistant's, reasoning is left out (DESIGN, section 7). White space is
dropped, not folded: clients join blocks of one answer, and what it was continued with, in every way there is.
"""

import re
import unicodedata

_OPENS = re.compile(r"<(?:(think|thinking|reasoning)|(details) type=\"reasoning\"[^<>]*)>", re.IGNORECASE)


def canonical(text: str, *, assistant: bool) -> str:
    """Return the text by which a message is recognised."""
    if assistant and "<" in text:
        text = _without_reasoning(text)
    return unicodedata.normalize("NFC", "".join(text.split()))


def _without_reasoning(text: str) -> str:
    """Leave out what stands between the tags. An end that was looked for in vain is not looked for again."""
    parts, at, missing = [], 0, set()
    while opened := _OPENS.search(text, at):
        name = (opened[1] or opened[2]).lower()
        end = None if name in missing else re.compile(f"</{name}>", re.IGNORECASE).search(text, opened.end())
        if end is None:
            missing.add(name)
        parts.append(text[at : opened.start() if end else opened.end()])
        at = (end or opened).end()
    return "".join([*parts, text[at:]])
