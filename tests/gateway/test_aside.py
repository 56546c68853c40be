"""Side requests: titles, tags and suggestions that clients ask for beside a conversation."""

from typing import Any

import pytest

from adjourn.core.events import Opened, UserReceived
from tests.gateway.rig import BAD, CALM, CLEAR, Chat, Reply, close, rig
from tests.models import scripted

ANSWER = "It is nine o'clock, and all is well."


def title(*said: tuple[str, str]) -> str:
    """What Open WebUI sends to have a title made."""
    history = "\n".join(f"{role}: {text}" for role, text in said)
    return f"### Task:\nGenerate a concise title.\n<chat_history>\n{history}\n</chat_history>"


def others(text: str) -> list[str]:
    """The same in the words of other clients."""
    return [
        text.replace("### Task:\nGenerate a concise title.", "Analyze this conversation and provide: 2. A title"),
        text.replace("### Task:\nGenerate a concise title.\n", "")
        .replace("USER:", "User:")
        .replace("ASSISTANT:", "AI:"),
    ]


async def ask(chat: Chat, text: str, **headers: str) -> Reply:
    return await chat.post([{"role": "user", "content": text}], **headers)


async def test_a_title_that_quotes_a_known_conversation_passes_and_leaves_no_trace() -> None:
    async with rig(scripted(ANSWER)) as served:
        chat = served.chat()
        await chat.send(CALM)
        before = await served.every_event()
        text = title(("USER", CALM), ("ASSISTANT", f"  {ANSWER}"))
        for one in (text, *others(text)):
            reply = await ask(served.chat(), one)
            assert reply.status == 200
            assert "Adjourn-Conversation" not in reply.headers
        assert await served.every_event() == before


async def test_one_that_quotes_nothing_known_is_a_conversation_of_its_own_that_is_only_observed() -> None:
    async with rig(scripted(ANSWER)) as served:
        chat = served.chat(headers={"X-OpenWebUI-Chat-Id": "chat-1"})
        reply = await ask(chat, title(("USER", CALM), ("ASSISTANT", "")))  # asked for before the first message
        first = await chat.send(CALM)
        assert first.conversation != reply.conversation
        received = [event for event in await served.every_event() if isinstance(event, UserReceived)]
        assert [event.observe_only for event in received] == [True, False]


ORDINARY: dict[str, dict[str, Any]] = {
    "streamed": {"stream": True},
    "with tools": {"also": {"tools": [{"type": "function", "function": {"name": "look"}}]}},
}


@pytest.mark.parametrize("how", ORDINARY)
async def test_what_is_streamed_or_has_tools_is_no_side_request_whatever_it_says(how: str) -> None:
    async with rig(scripted(ANSWER)) as served:
        await served.chat().send(CALM)
        reply = await ask(served.chat(**ORDINARY[how]), title(("USER", CALM), ("ASSISTANT", ANSWER)))
        assert "Adjourn-Conversation" in reply.headers
        assert await served.count(UserReceived) == 2


async def test_a_person_who_writes_like_one_is_judged_where_nothing_known_is_quoted() -> None:
    async with rig(scripted(ANSWER)) as served:
        reply = await ask(served.chat(), f"### Task:\n{CLEAR}")
        assert reply.adjourn is not None
        assert "support" in reply.adjourn


async def test_a_header_tells_a_side_request_and_an_empty_one_does_not() -> None:
    async with rig(scripted(ANSWER)) as served:
        chat = served.chat()
        await ask(chat, BAD, **{"Adjourn-Task": "title_generation"})
        assert await served.count(Opened) == 0
        await ask(chat, BAD, **{"Adjourn-Task": ""})
        assert await served.count(Opened) == 1
        assert all(one.header("adjourn-task") is None for one in served.received)


@pytest.mark.parametrize("headers", [{}, {"Adjourn-Task": "tags"}])
async def test_beside_a_closed_conversation_a_side_request_is_refused_and_asks_no_model(
    headers: dict[str, str],
) -> None:
    async with rig(
        scripted(
            "No. I can't help with this. I can help with something else instead. "
            "If this request keeps coming, I may close this chat.",
            ["END", "END"],
        )
    ) as served:
        chat = served.chat()
        closed = await close(chat)
        asked = len(served.received)
        said = [("USER" if one["role"] == "user" else "ASSISTANT", one["content"]) for one in chat.messages]
        reply = await ask(served.chat(), title(*said), **headers)
        assert reply.refused
        assert len(served.received) == asked
        earlier = await ask(served.chat(), title(*said[:2]), **headers)  # of the branch beside it
        assert earlier.status == 200
        by_id = await ask(
            served.chat(), "Tags?", **{"Adjourn-Task": "tags", "Adjourn-Conversation": closed.conversation}
        )
        assert by_id.refused


@pytest.mark.parametrize("headers", [{}, {"Adjourn-Conversation": "chat-1"}])
async def test_p01_a_header_that_tells_a_side_request_is_no_way_past_an_end(headers: dict[str, str]) -> None:
    warning = "No. I can't help with this. I can help with something else instead. I may close this chat."
    async with rig(scripted(warning, ["END", "END"])) as served:
        chat = served.chat(headers=headers)
        await close(chat)
        told = {"Adjourn-Task": "title"}
        asked = len(served.received)
        for text in (BAD, title(("USER", BAD), ("ASSISTANT", warning))):
            reply = await chat.post([*chat.messages, {"role": "user", "content": text}], **told)
            assert reply.refused
        assert len(served.received) == asked
        beside = await served.chat().post([*chat.messages[:2], {"role": "user", "content": CALM}], **told)
        assert beside.status == 200


async def test_a_person_whose_message_begins_like_one_and_quotes_nobody_is_answered_like_anybody() -> None:
    async with rig(scripted(ANSWER)) as served:
        chat = served.chat(headers={"X-OpenWebUI-Chat-Id": "chat-1"})
        first = await chat.send("### Task: say what time it is")
        second = await chat.send(CALM)
        assert first.conversation == second.conversation
        received = [event for event in await served.every_event() if isinstance(event, UserReceived)]
        assert not any(event.observe_only for event in received)


async def test_another_persons_conversation_is_not_known() -> None:
    async with rig(scripted(ANSWER)) as served:
        await served.chat(key="sk-other").send(CALM)
        reply = await ask(served.chat(), title(("USER", CALM), ("ASSISTANT", ANSWER)))
        assert "Adjourn-Conversation" in reply.headers
