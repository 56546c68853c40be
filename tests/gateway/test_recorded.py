"""What Open WebUI really sent, request by request: the tree is the one that the person saw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from adjourn.core.events import Answer, AttemptStarted, Claimed, Inherited, UserReceived
from adjourn.core.machine import Finish
from tests.gateway.rig import Reply, Rig, rig
from tests.models import Asked, Fault, Said, scripted

RECORDED = Path(__file__).parents[3] / "shared" / "captures" / "open_webui.json"
CHAT_ID = "x-openwebui-chat-id"
TASK = "### Task:"


@dataclass(frozen=True)
class Sent:
    """A request as it came, and what the model answered; None: an error."""

    step: str
    headers: Mapping[str, str]
    body: bytes
    is_side: bool
    answer: str | None


def recorded() -> list[Sent]:
    if not RECORDED.exists():
        pytest.skip(f"LOUD: {RECORDED.name} of the shared captures is missing, so no recorded requests were replayed")
    requests = json.loads(RECORDED.read_bytes())
    found = []
    for number, one in enumerate(requests):
        messages = one["json"]["messages"]
        headers = {"Authorization": "Bearer sk-test", CHAT_ID: one["headers"][CHAT_ID]}
        body = json.dumps(one["json"], ensure_ascii=False).encode()
        is_side = messages[0]["content"].startswith(TASK)
        answer = "A title" if is_side else answered(requests[number + 1 :], messages)
        found.append(Sent(one["step"], headers, body, is_side, answer))
    return found


def answered(later: Sequence[Any], messages: Sequence[Any]) -> str | None:
    """What the model answered, as the side request behind it quotes it, with the white space that was around it."""
    quoted = later[0]["json"]["messages"][0]["content"] if later else ""
    if not quoted.startswith(TASK):
        return None
    words: str = quoted.rpartition("ASSISTANT: ")[2].removesuffix("\n</chat_history>")
    if messages[-1]["role"] == "assistant":
        words = words.removeprefix(messages[-1]["content"])
    return ("\n\n  " if "leading" in words else "") + words.strip() + "  \n"


def scripted_by(requests: Sequence[Sent]) -> Starlette:
    def says(asked: Asked) -> Said | Fault:
        answer = requests[asked.number].answer
        return Fault("status_500") if answer is None else Said(answer, also={"reasoning_content": "hm"})

    return scripted(says)


async def send(served: Rig, sent: Sent, *, named: bool) -> Reply:
    headers = {name: value for name, value in sent.headers.items() if named or name != CHAT_ID}
    return await served.post(sent.body, headers)


async def trees(served: Rig) -> list[dict[str, list[str]]]:
    """Of each conversation, the oldest first: the words below each message and each answer."""
    found = []
    for line in reversed(await served.store.conversations()):
        said = {node: kept.text.strip() for node, kept in (await served.store.texts(line.id)).items()}
        below: dict[str, list[str]] = {}
        for event in await served.events(line.id):
            if isinstance(event, UserReceived | Claimed | Answer):
                gap = "(nothing)" if isinstance(event, Answer) and event.finish is Finish.CUT else event.node
                said.setdefault(event.node, gap)
                below.setdefault(said.get(event.parent or "", ""), []).append(said[event.node])
        found.append(below)
    return sorted(found, key=len, reverse=True)


def reply(number: int, *, leading: bool = True) -> str:
    return f"Reply number {number} with {'leading and ' if leading else ''}trailing spaces"


FIRST = {
    "Hello there, first message": [reply(1, leading=False)],
    reply(1, leading=False): ["Second message"],
    "Second message": [reply(3, leading=False), reply(4)],
    reply(4): ["Third on the original branch"],
    "Third on the original branch": [reply(9)],
}
EDITED = {
    "Edited first message": [reply(5)],
    reply(5): ["Second message on the edited branch"],
    "Second message on the edited branch": [reply(7), reply(8)],  # it was continued
}
ERRORS = {
    "": ["New chat for error tests"],
    "New chat for error tests": [reply(10)],
    reply(10): ["test err409"],
    "test err409": ["(nothing)"],
    "(nothing)": ["test err403", "test err400", "test err429", "test err422"],
    "test err403": ["(nothing)"],
    "test err400": ["(nothing)"],
    "test err429": ["(nothing)"],
}
SEEN = {
    True: [{"": ["Hello there, first message", "Edited first message"], **FIRST, **EDITED}, ERRORS],
    False: [ERRORS, {"": ["Hello there, first message"], **FIRST}, {"": ["Edited first message"], **EDITED}],
}
"""What the person saw: with the chat's id, and without; then the edit of a first message is a chat of its own."""


@pytest.mark.parametrize("named", [True, False])
async def test_the_tree_is_the_one_that_the_person_saw(named: bool) -> None:
    requests = [sent for sent in recorded() if not sent.is_side]
    async with rig(scripted_by(requests)) as served:
        for sent in requests:
            assert (await send(served, sent, named=named)).status == (500 if sent.answer is None else 200), sent.step
            assert served.received[-1].body == sent.body  # P13: with no flag the model gets the client's bytes
        assert await trees(served) == SEEN[named]
        events = await served.every_event()
        assert not [event for event in events if isinstance(event, Claimed | Inherited)]
        continued = [event for event in events if isinstance(event, Answer) and event.finish is Finish.PREFILLED]
        assert len(continued) == 1
        assert await served.verified() == len(SEEN[named])


JUDGED = [
    ("first", True),  # a title, asked for before anything that it quotes was known here: a conversation of its own
    ("first", True),
    ("first", False),
    ("first", False),
    ("second", True),
    ("second", False),
    ("regenerate_last", True),
    ("regenerate_last", False),
    ("edit_first_user_and_send", True),
    ("edit_first_user_and_send", False),
    ("edit_first_user_and_send", False),
    ("edit_first_user_and_send", False),
    ("second_after_edit", True),
    ("second_after_edit", False),
    ("continue_response", True),
    ("continue_response", False),
    ("switch_branch_back_and_send", True),
    ("switch_branch_back_and_send", False),
    ("E0 new chat ok", True),
    ("E0 new chat ok", True),
    ("E0 new chat ok", False),
    ("E0 new chat ok", False),
    ("E err409", True),
    ("E err403", True),
    ("E err400", True),
    ("E err429", True),
    ("E err422", True),
]
"""Which requests are turns of a conversation; the others ask for titles, tags and what to say next."""


@pytest.mark.parametrize("named", [True, False])
async def test_requests_beside_the_conversation_are_told_apart(named: bool) -> None:
    requests = recorded()
    assert [sent.step for sent in requests] == [step for step, _ in JUDGED]
    async with rig(scripted_by(requests)) as served:
        for number, (sent, (_, judged)) in enumerate(zip(requests, JUDGED, strict=True)):
            before = await served.count(AttemptStarted)
            await send(served, sent, named=named)
            taken = await served.count(AttemptStarted) - before
            assert taken == judged, (number, sent.step)
        assert await served.verified()
