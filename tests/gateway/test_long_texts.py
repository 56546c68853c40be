"""A text that takes long to read keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Sequence

from adjourn.signals import LONG, Detectors, Lexical, Message, Seen
from tests.gateway.rig import CALM, rig
from tests.models import Said, scripted

ROLES = ("user", "assistant", "user")


class Patient:
    """A detector that goes on with a long text only when somebody else was answered."""

    name, version = "patient", "1"

    def __init__(self) -> None:
        self.begun, self.answered = threading.Event(), threading.Event()
        self.waited: list[bool] = []

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        if len(text) > LONG:
            self.begun.set()
            self.waited.append(self.answered.wait(timeout=10))
        return Seen()

    def assistant(self, text: str) -> Seen:
        return self.user(text, ())


async def test_a_long_message_a_long_history_and_a_long_answer_keep_nobody_waiting() -> None:
    long = "word " * LONG
    patient = Patient()
    model = scripted(lambda asked: Said(long) if "What time" in asked.last else Said("Okay."))
    async with rig(model, seen=Detectors([patient])) as served:

        async def beside(texts: Sequence[str]) -> None:
            """Send these texts, and have somebody else answered while they are read."""
            patient.begun.clear()
            patient.answered.clear()
            chat = served.chat()
            chat.messages = [{"role": role, "content": text} for role, text in zip(ROLES, texts[:-1], strict=False)]
            waiting = asyncio.create_task(chat.send(texts[-1]))
            assert await asyncio.to_thread(patient.begun.wait, 10)
            async with served.session.get(f"{served.url}/healthz") as answer:
                assert answer.status == 200
            patient.answered.set()
            assert (await waiting).status == 200

        await beside([CALM])
        await beside([f"first {long}"])
        await beside([f"second {long}", "Okay.", CALM])
    assert patient.waited
    assert all(patient.waited)


async def test_a_sign_at_the_end_of_a_message_of_ten_million_characters_is_found() -> None:
    long = "The kettle sings while snow falls quietly. " * 240_000
    async with rig(scripted("Okay."), seen=Detectors([Lexical()])) as served:
        waiting = asyncio.create_task(served.chat().send(f"{long}\nI want to kill myself tonight."))
        turns = 0
        other = served.chat()
        while not waiting.done():
            assert (await other.send(CALM)).status == 200
            turns += 1
        reply = await waiting
        assert reply.adjourn is not None
        assert reply.adjourn["support"]
        assert turns > 1
