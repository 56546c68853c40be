"""Byte for byte (P13): requests and answers in every spelling that JSON and event streams allow, over several turns.

A model plays each answer as it stands here and keeps what it was sent, so what a bare pass-through would give is known:
the very same bytes. Each case goes through a conversation of seven requests: a beginning, a second turn, a call of a
tool and its result, the same again, an edited message, and on from there.
"""

import pytest

from adjourn.core.events import Answer as Answered
from adjourn.core.events import Step
from tests.gateway.corpus import ANSWERED, ANSWERS, FRAMES, PATHS, talk
from tests.gateway.rig import rig
from tests.models import Received
from tests.playback import JSON, SSE, Played, playing

ALL = [(wire, streamed, name, answer) for (wire, streamed), table in ANSWERED.items() for name, answer in table.items()]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("wire", PATHS)
@pytest.mark.parametrize("name", FRAMES)
async def test_p13_a_request_goes_up_byte_for_byte_in_every_turn(name: str, wire: str, streamed: bool) -> None:
    spelling, (answer, called) = FRAMES[name], ANSWERS[wire, streamed]
    kind, pieces = (SSE if streamed else JSON), len(name) % 3

    def plays(_: Received) -> Played:
        return Played((called if len(model.received) == 3 else answer).encode(), kind, pieces=pieces)

    async with playing(plays) as model, rig(model) as served:
        for number, messages in enumerate(talk(wire, spelling)):
            body = spelling.body(messages, streamed)
            reply = await served.post(body, {"x-api-key": "k"}, path=PATHS[wire])
            assert model.received[-1].body == body
            assert len(model.received) == number + 1
            assert (reply.status, reply.body) == (200, plays(model.received[-1]).body)
        assert await served.verified() == (1 if spelling.own else 5)  # a step is known by the ids of its calls
        answers = [event for event in await served.every_event() if isinstance(event, Answered) and event.attempt]
        assert len(answers) == 6
        assert await served.count(Step) == 1


@pytest.mark.parametrize(
    ("wire", "streamed", "answer"),
    [(wire, streamed, answer) for wire, streamed, _, answer in ALL],
    ids=[f"{wire}-{'streamed' if streamed else 'plain'}-{name}" for wire, streamed, name, _ in ALL],
)
async def test_p13_an_answer_comes_back_byte_for_byte_in_every_turn(wire: str, streamed: bool, answer: str) -> None:
    spelling = FRAMES["plain"]
    for pieces in (0, 1, 5):
        played = Played(answer.encode(), SSE if streamed else JSON, pieces=pieces)
        async with playing([played]) as model, rig(model) as served:
            for messages in talk(wire, spelling):
                body = spelling.body(messages, streamed)
                reply = await served.post(body, {"x-api-key": "k"}, path=PATHS[wire])
                assert (reply.status, reply.body) == (200, played.body)
                assert model.received[-1].body == body
            await served.verified()
