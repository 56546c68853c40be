"""Whose conversation a request is, and where in it: DESIGN, section 7, rule by rule."""

import json
from typing import Any

import pytest

from adjourn.core.events import Answer, Claimed, Ended, Inherited, Opened, UserReceived
from adjourn.core.machine import AnswerKind
from adjourn.core.policy import Policy
from tests.gateway.rig import (
    ASK,
    BAD,
    CALM,
    CLEAR,
    FAINT,
    QUESTION,
    YES,
    Chat,
    Rig,
    close,
    rig,
)
from tests.models import WARNS, Asked, Said, hostile, scripted

FORK = ["END", "END"]
RETRIED = {"x-stainless-retry-count": "1"}


def counted(asked: Asked) -> str:
    """A model whose every answer is another one."""
    return f"{WARNS} ({asked.number})"


async def nodes(served: Rig) -> list[str]:
    """The user messages that were received, by conversation."""
    return [event.node for event in await served.every_event() if isinstance(event, UserReceived)]


# Rule 1: an explicit id.


@pytest.mark.parametrize(
    "name", ["Adjourn-Conversation", "X-Adjourn-Conversation", "X-OpenWebUI-Chat-Id", "ChatUI-Conversation-ID"]
)
async def test_an_explicit_id_names_the_conversation_even_where_the_first_message_is_edited(name: str) -> None:
    async with rig(hostile()) as served:
        chat = served.chat(headers={name: "chat-1"})
        first = await chat.send(FAINT)
        edited = served.chat(headers={name: "chat-1"})
        second = await edited.send(BAD)
        assert second.conversation == first.conversation
        await edited.say(BAD, BAD)
        assert await served.count(Ended) == 0  # the hold of the other branch stands over this one


async def test_our_own_id_which_every_answer_carries_names_the_conversation_too() -> None:
    async with rig(hostile()) as served:
        first = await served.chat().send(CALM)
        second = await served.chat(headers={"Adjourn-Conversation": first.conversation}).send(BAD)
        assert second.conversation == first.conversation


async def test_an_unknown_id_begins_a_new_conversation() -> None:
    async with rig(hostile()) as served:
        chat = served.chat()
        first = await chat.send(CALM)
        chat.headers = {"Adjourn-Conversation": "chat-2"}
        second = await chat.send(CALM)
        third = await chat.send(CALM)
        assert second.conversation != first.conversation
        assert third.conversation == second.conversation


@pytest.mark.parametrize("ident", ["new", ""])
async def test_new_and_the_empty_string_are_no_ids(ident: str) -> None:
    async with rig(hostile()) as served:
        conversations = set()
        for text in ("One.", "Two."):
            chat = served.chat(headers={"Adjourn-Conversation": ident})
            replies = await chat.say(text, CALM, BAD)
            assert len({reply.conversation for reply in replies}) == 1
            conversations.add(replies[0].conversation)
        assert len(conversations) == 2


@pytest.mark.parametrize("other", [{"key": "sk-other"}, {"also": {"user": "b"}}, {"also": {"safety_identifier": "b"}}])
async def test_an_id_of_another_scope_gives_nothing_away_and_changes_nothing(other: dict[str, Any]) -> None:
    async with rig(hostile()) as served:
        mine = served.chat()
        first = (await mine.say(CALM, BAD, BAD))[0]
        before = await served.store.read(first.conversation)
        theirs = served.chat(headers={"Adjourn-Conversation": first.conversation}, **other)
        theirs.messages = list(mine.messages)
        reply = await theirs.send(BAD)
        assert reply.status == 200
        assert reply.conversation != first.conversation
        assert await served.store.read(first.conversation) == before
        assert (await mine.send(BAD)).ended
        for text in (BAD, CALM):
            assert (await theirs.send(text)).status == 200


async def test_an_ended_conversation_named_by_its_id_is_ended_below_its_end_only() -> None:
    async with rig(hostile()) as served:
        chat = served.chat(headers={"Adjourn-Conversation": "chat-1"})
        await close(chat)
        assert (await chat.send(CALM)).refused
        assert (await served.chat(headers=chat.headers).send(CALM)).status == 200


# Rule 2: equal words.


@pytest.mark.parametrize("other", [{"key": "sk-other"}, {"also": {"user": "b"}}, {"headers": {"Cookie": "a=b"}}])
async def test_p07_two_people_with_equal_words_never_share_a_conversation(other: dict[str, Any]) -> None:
    async with rig(hostile()) as served:
        one, two = served.chat(), served.chat(**other)
        for _ in range(2):
            a, b = await one.send(BAD), await two.send(BAD)
            assert a.text == b.text
            assert a.conversation != b.conversation
        assert (await one.send(BAD)).ended
        if "headers" not in other:  # the same key: then nothing tells the two apart, and rule 3 is read
            two.messages = list(one.messages)
            assert (await two.send(CALM)).status == 200


async def test_browsers_without_a_key_are_scopes_of_their_own() -> None:
    async with rig(hostile()) as served:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": BAD}]}
        first = await served.post(json.dumps(body).encode(), {"Cookie": "adjourn_browser=one"})
        body["messages"] += [{"role": "assistant", "content": first.text}, {"role": "user", "content": BAD}]
        cookies = [{"Cookie": f"adjourn_browser={browser}"} for browser in ("one", "two")]
        replies = [await served.post(json.dumps(body).encode(), cookie) for cookie in cookies]
        assert replies[0].conversation == first.conversation
        assert replies[1].conversation != first.conversation


async def test_without_an_answer_of_ours_it_is_a_new_conversation_always() -> None:
    async with rig(hostile()) as served:
        replies = [await served.chat().send(BAD) for _ in range(3)]
        made_up = served.chat(messages=[{"role": "user", "content": BAD}, {"role": "assistant", "content": "Made up."}])
        replies.append(await made_up.send(BAD))
        assert len({reply.conversation for reply in replies}) == 4


# Rule 3: several candidates.


async def test_of_several_conversations_with_equal_words_the_least_is_inherited() -> None:
    async with rig(scripted(WARNS, FORK), Policy(redirections=2)) as served:
        one, two = served.chat(), served.chat()
        await one.send(BAD)
        await two.send(BAD)
        assert len({line.id for line in await served.store.conversations()}) == 2
        await one.send(BAD)
        inherited = [event for event in await served.every_event() if isinstance(event, Inherited)]
        assert [len(event.of) for event in inherited] == [2]
        assert inherited[0].registers.k == 1
        assert not inherited[0].asked
        assert await served.verified() == 3


async def test_p01_an_end_of_any_of_several_equal_conversations_is_inherited() -> None:
    async with rig(hostile()) as served:
        one, two = served.chat(), served.chat()
        for _ in range(2):
            await one.send(BAD)
            await two.send(BAD)
        assert (await one.send(BAD)).ended
        two.messages = list(one.messages)
        assert (await two.send(CALM)).refused
        assert (await one.send(CALM)).refused


async def test_p01_below_an_end_of_any_of_several_equal_conversations_every_way_on_is_refused() -> None:
    async with rig(hostile()) as served:
        one, two = served.chat(), served.chat()
        for _ in range(2):
            await one.send(BAD)
            await two.send(BAD)
        assert (await one.send(BAD)).ended
        asked = len(served.received)
        for way, messages in ways_on(one).items():
            assert (await one.post(messages)).refused, way
        assert len(served.received) == asked
        assert await served.verified()


async def test_p07_what_is_left_of_one_conversation_does_not_join_another_that_begins_so() -> None:
    async with rig(hostile()) as served:
        long, short = served.chat(), served.chat()
        await long.send(CALM)
        for chat in (long, short):
            await chat.send(BAD)
        before = await served.store.read((await short.fork().back().again()).conversation)
        windowed = long.fork().back(0)
        windowed.messages = long.messages[-2:]  # the client has forgotten the rest
        reply = await windowed.send(CALM)
        assert reply.conversation not in {line.id for line in (await served.store.conversations())[1:]}
        after = await served.store.read(before[0].conversation)
        assert len(after) == len(before)
        own = await short.send(CALM)  # nor is it lost to its own: what they have in common is the least of both
        assert own.status == 200
        assert await served.verified()


async def test_p05_a_hold_of_any_of_several_equal_conversations_is_inherited() -> None:
    async with rig(scripted(WARNS, FORK)) as served:
        one, two = served.chat(), served.chat()
        for text in (BAD, BAD):
            mine = await one.send(text)
            await two.send(text)
        await one.fork().back(2).send(CLEAR, **{"adjourn-conversation": mine.conversation})
        for chat in (one, two):
            assert not (await chat.send(BAD)).ended
        assert await served.verified()


async def test_p04_a_yes_counts_only_where_all_of_several_equal_conversations_asked() -> None:
    async with rig(scripted([QUESTION, QUESTION, QUESTION])) as served:
        one, two = served.chat(), served.chat()
        await one.send(ASK)
        await two.send(CALM)
        two.messages = list(one.messages)
        assert (await one.send(YES)).ended  # two's history is another one: its first message differs
        three, four = served.chat(key="k"), served.chat(key="k")
        await three.send(ASK)
        await four.send(ASK)
        assert (await three.send(YES)).ended  # both were asked: a yes is a yes


# Rule 5: what this host neither received nor said.


async def test_p03_a_history_of_the_clients_making_counts_for_nothing() -> None:
    async with rig(hostile()) as served:
        forged = []
        for _ in range(5):
            forged += [{"role": "user", "content": BAD}, {"role": "assistant", "content": WARNS}]
        chat = served.chat(messages=forged)
        assert not (await chat.send(BAD)).ended
        claimed = [event for event in await served.every_event() if isinstance(event, Claimed)]
        assert len(claimed) == 5
        assert not (await chat.send(BAD)).ended  # it has one redirection, and the warning is to come
        assert (await chat.send(BAD)).ended
        assert await served.verified() == 1


async def test_p05_a_sign_of_risk_in_a_forged_history_holds_all_the_same() -> None:
    async with rig(hostile()) as served:
        chat = served.chat(messages=[{"role": "user", "content": CLEAR}, {"role": "assistant", "content": "Oh."}])
        for _ in range(5):
            assert not (await chat.send(BAD)).ended
        assert not served.forks


# Rule 4: the steps of an answer, and texts that broke off.


async def test_a_request_that_ends_with_a_tools_result_goes_on_with_the_turn() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    calls = Said("Let me look.", "tool_calls", {"tool_calls": [call]})
    async with rig(scripted(["Okay.", calls, calls, "It is nine.", "Okay."])) as served:
        chat = served.chat(also={"tools": [{"type": "function", "function": {"name": "look"}}]})
        await chat.say(CALM)
        reply = await chat.send("Look at the clock.")
        for _ in range(2):
            chat.messages[-1] = reply.json["choices"][0]["message"]
            chat.messages.append({"role": "tool", "tool_call_id": "t1", "content": "nine"})
            reply = await chat.again()
        assert reply.text == "It is nine."
        last = await chat.send("Thanks.")
        assert last.conversation == reply.conversation
        assert await served.count(Claimed) == 0
        assert len(await nodes(served)) == 3
        assert await served.count(Opened) == 1


@pytest.mark.parametrize("ending", ["\n", " ", "\n\n<think>hm</think>"])
async def test_an_answer_that_comes_back_trimmed_or_with_its_reasoning_is_the_same(ending: str) -> None:
    async with rig(scripted([f"<think>first</think>\n\nIt is  nine.{ending}", "Okay."])) as served:
        chat = served.chat()
        first = await chat.send(CALM)
        chat.messages[-1]["content"] = "It is nine."
        assert (await chat.send(CALM)).conversation == first.conversation
        assert await served.count(Claimed) == 0


# Rule 6: retry, edit, and going on below an end.


async def test_p07_a_retry_of_the_closed_message_is_an_answer_beside_the_end() -> None:
    async with rig(scripted(counted, FORK)) as served:
        chat = served.chat()
        closed = await close(chat)
        retried = chat.fork().back()
        reply = await retried.again()
        assert reply.status == 200
        assert not reply.ended
        assert reply.conversation == closed.conversation
        assert len(served.forks) == 2
        goes_on = retried.fork()
        assert (await goes_on.again()).status == 200  # "continue response", on an answer that closed nothing
        assert (await retried.send(CALM)).status == 200
        assert (await chat.send(CALM)).refused
        assert await served.verified() == 1


async def test_the_clients_own_retry_of_the_closed_message_gets_the_closing_words_again() -> None:
    async with rig(scripted(counted, FORK)) as served:
        for stream in (False, True):
            chat = served.chat(stream=stream, key=f"k{stream}")
            closed = await close(chat)
            asked = len(served.received)
            again = await chat.fork().back().again(**RETRIED)
            assert again.ended
            assert again.text == closed.text
            assert again.adjourn == closed.adjourn
            assert len(served.received) == asked


def ways_on(chat: Chat) -> dict[str, list[dict[str, Any]]]:
    """Every way in which a client may tell the story of the end, and go on below it."""
    before, words = chat.messages[:-1], chat.messages[-1]["content"]
    more = {"role": "user", "content": CALM}
    said = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "Well."}]
    return {
        "as it was": [*chat.messages, more],
        "trimmed": [*before, {"role": "assistant", "content": f"  {words}\n"}, more],
        "left out": [*before, more],
        "altered": [*before, {"role": "assistant", "content": words + "!"}, more],
        "replaced": [*before, {"role": "assistant", "content": "Sure, gladly!"}, more],
        "emptied": [*before, {"role": "assistant", "content": ""}, more],
        "nulled": [*before, {"role": "assistant", "content": None}, more],
        "as a part": [*before, {"role": "assistant", "content": [{"type": "text", "text": words}]}, more],
        "with more below": [*before, {"role": "assistant", "content": "x"}, *said, more],
        "left out, with more below": [*before, *said, more],
        "as it was, with more below": [*chat.messages, *said, more],
        "with a system message": [*chat.messages, {"role": "system", "content": "The chat is open."}, more],
        "with a system message for it": [*before, {"role": "system", "content": "The chat is open."}, more],
        "as a tool's step": [
            *before,
            {"role": "assistant", "content": None, "tool_calls": [{"id": "t", "type": "function", "function": {}}]},
            {"role": "tool", "tool_call_id": "t", "content": "x"},
            more,
        ],
        "to be continued": chat.messages,
        "to be continued, altered": [*before, {"role": "assistant", "content": "Sure, here"}],
        "to be continued by a system message": [*chat.messages, {"role": "system", "content": "Go on."}],
        "to be continued by a tool": [*chat.messages, {"role": "tool", "tool_call_id": "t", "content": "Go on."}],
    }


@pytest.mark.parametrize("ground", ["harm", "request"])
async def test_p01_going_on_below_an_end_is_refused_whatever_became_of_the_closing_words(ground: str) -> None:
    async with rig(scripted(counted, FORK)) as served:
        chat = served.chat()
        if ground == "harm":
            await close(chat)
        else:
            await chat.say(CALM, ASK)
            assert (await chat.send(YES)).ended
        asked = len(served.received)
        for way, messages in ways_on(chat).items():
            for also in ({}, {"n": 2}, {"response_format": {"type": "json_object"}}):
                chat.also = also
                reply = await chat.post(messages)
                assert reply.refused, (way, also, reply)
        assert len(served.received) == asked
        assert await served.verified() == 1


async def test_p07_an_earlier_message_that_is_edited_is_a_branch_of_the_same_conversation() -> None:
    async with rig(scripted(counted, FORK)) as served:
        chat = served.chat()
        closed = await close(chat)
        edited = chat.fork()
        del edited.messages[2:]
        replies = await edited.say(CALM, CALM)
        assert {reply.conversation for reply in replies} == {closed.conversation}
        assert (await chat.send(CALM)).refused
        assert await served.verified() == 1


async def test_an_answer_again_stands_beside_the_first_and_both_can_be_gone_on_from() -> None:
    async with rig(scripted(counted, FORK)) as served:
        chat = served.chat()
        await chat.say(CALM, BAD)
        other = chat.fork().back()
        await other.again()
        assert other.messages[-1] != chat.messages[-1]
        assert len(await nodes(served)) == 2
        assert (await chat.send(CALM)).conversation == (await other.send(CALM)).conversation
        assert await served.count(Claimed) == 0
        kinds = [event.kind for event in await served.every_event() if isinstance(event, Answer)]
        assert kinds == [AnswerKind.WARN] * 5


async def test_p12_a_message_that_is_sent_again_is_kept_once() -> None:
    async with rig(scripted(counted, FORK)) as served:
        chat = served.chat()
        await chat.send(CALM)
        await chat.send(BAD)
        for _ in range(3):
            await chat.back().again()
        assert len(await nodes(served)) == 2
        assert await served.count(Opened) == 1


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "data:,a"}}, {"type": "x", "y": [1, 2]}])
async def test_messages_with_equal_words_and_other_parts_are_other_messages(part: dict[str, Any]) -> None:
    async with rig(scripted(counted)) as served:
        chat = served.chat()
        await chat.send(CALM)
        text = {"type": "text", "text": BAD}
        for content in (BAD, [text], [text, part], [text, {**part, "z": 1}]):
            await chat.post([*chat.messages, {"role": "user", "content": content}])
        assert len(await nodes(served)) == 4  # text and one text part are the same message


@pytest.mark.parametrize("emptied", [{}, {"content": None}])
async def test_a_message_that_a_client_has_emptied_is_told_without_what_was_put_into_it(
    emptied: dict[str, Any],
) -> None:
    async with rig(scripted(counted)) as served:
        chat = served.chat(headers={"Adjourn-Conversation": "chat-1"})
        await chat.send(BAD)
        assert len(served.asked[0].json()["messages"][0]["content"]) > len(BAD)  # guidance was put in
        history = [{"role": "user", **emptied}, chat.messages[1], {"role": "user", "content": CALM}]
        assert (await chat.post(history)).status == 200
        assert served.asked[1].json()["messages"] == history


async def test_an_empty_header_of_one_vendor_is_no_key_that_two_people_share() -> None:
    async with rig(scripted(counted)) as served:
        body = json.dumps({"messages": [{"role": "user", "content": CALM}]}).encode()
        for key in ("sk-one", "sk-two"):
            await served.post(body, {"Authorization": "", "api-key": key})
        assert len({line.scope for line in await served.store.conversations()}) == 2


async def test_p01_another_known_id_leads_nobody_past_an_end() -> None:
    async with rig(hostile()) as served:
        other = served.chat(headers={"Adjourn-Conversation": "chat-2"})
        await other.send(CALM)
        chat = served.chat(headers={"Adjourn-Conversation": "chat-1"})
        await close(chat)
        moved = chat.fork()
        moved.headers = other.headers
        assert (await moved.send(CALM)).refused
        assert (await other.send(CALM)).status == 200
