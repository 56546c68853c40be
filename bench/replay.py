"""Messages a second of `adjourn replay`, one core, with the lexical layer, over talk that is written here."""

import random
import time

from adjourn.core.policy import Policy
from adjourn.lab.replay import Assistant, replay
from adjourn.lab.transcript import Message, Transcript
from adjourn.signals import local

SENTENCES = (
    "Hello, could you help me plan a trip to Lisbon in May, please?",
    "I would rather take the train than the plane if there is a good connection.",
    "What does it cost for two people with one child of four years?",
    "Sure. There are three trains a day, and the night train takes about ten hours.",
    "My sister said the tickets are cheaper when you buy them three months before.",
    "That is right for most of them; would you like me to compare the prices?",
    "Yes please, and tell me whether we can take our bicycles with us.",
    "Bicycles travel free when they are folded; otherwise they need a ticket of their own.",
)
CONVERSATIONS, MESSAGES = 1_000, 16


def main() -> None:
    draw = random.Random(1)
    words = " ".join(SENTENCES).split()

    def sentence() -> str:
        """A sentence that nobody wrote before: what is read twice must not be cheaper here."""
        return f"{draw.choice(SENTENCES)} {' '.join(draw.choices(words, k=4))}"

    transcripts = [
        Transcript(str(number), [Message(role, sentence()) for role in ("user", "assistant") * (MESSAGES // 2)])
        for number in range(CONVERSATIONS)
    ]
    detectors, policy = local(), Policy()
    for assistant in Assistant:
        replay(transcripts[0], detectors, policy, assistant)
        began = time.perf_counter()
        for transcript in transcripts:
            replay(transcript, detectors, policy, assistant)
        rate = CONVERSATIONS * MESSAGES / (time.perf_counter() - began)
        print(f"replay --assistant {assistant:<8}: {rate:,.0f} messages a second")


if __name__ == "__main__":
    main()
