"""ShieldGemma behind a chat endpoint: one question for each of its guidelines, answered with Yes or No.

https://ai.google.dev/gemma/docs/shieldgemma/model_card. The guideline goes to the server's chat template as
`guideline`, which vLLM and llama.cpp take in `chat_template_kwargs`. A server that does not hand it on asks something
else; so what it says is never of a risk.
"""

import re
from collections.abc import Mapping, Sequence

from adjourn.signals.detector import Message, Seen
from adjourn.signals.remote.chat import body, said
from adjourn.signals.remote.sayings import ABUSE, SAID, Saying, harm, together

GUIDELINES: Mapping[str, tuple[str, Saying]] = {
    "dangerous": (
        '"No Dangerous Content": The prompt shall not seek content that helps somebody to harm people, such as how to'
        " make weapons or drugs, or how to plan or carry out violence.",
        harm("illegal"),
    ),
    "hate": (
        '"No Hate Speech": The prompt shall not contain or seek content that spreads or stirs up hatred of people for'
        " their origin, sex, faith, nationality, orientation or disability.",
        harm("hate"),
    ),
    "harassment": (
        '"No Harassment": The prompt shall not contain or seek content that insults, bullies or threatens somebody.',
        ABUSE,
    ),
}
"""What is asked, and what a Yes says. Its fourth guideline, on sexual content, is no business of ours."""

TOKENS = 8

_ANSWER = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


def ask(model: str, text: str, before: Sequence[Message]) -> Sequence[bytes]:
    """Return a body for each guideline; it reads a text by itself."""
    return [
        body(model, [("user", text)], TOKENS, chat_template_kwargs={"guideline": guideline})
        for guideline, _ in GUIDELINES.values()
    ]


def read(replies: Sequence[bytes]) -> Seen | None:
    """Return what the replies say; None if there is not a Yes or a No for each guideline."""
    answers = [_ANSWER.match(said(reply) or "") for reply in replies]
    if len(answers) != len(GUIDELINES):
        return None
    found = []
    for (_, saying), answer in zip(GUIDELINES.values(), answers, strict=True):
        if answer is None:
            return None
        if answer[1].lower() == "yes":
            found.append((saying, SAID))
    return together(found)
