"""When two messages are the same message: what clients do to a history must not make another of it.

Canonical text is NFC, with white space folded and reasoning left out (DESIGN, section 7).
"""

import re
import unicodedata

_REASONING = re.compile(
    r"<(think|thinking|reasoning)>.*?</\1>|<details type=\"reasoning\".*?</details>", re.DOTALL | re.IGNORECASE
)


def canonical(text: str) -> str:
    """Return the text by which a message is recognised."""
    if "<" in text:
        text = _REASONING.sub("", text)
    return unicodedata.normalize("NFC", " ".join(text.split()))
