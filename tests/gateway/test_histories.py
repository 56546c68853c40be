"""What clients do to a history between two requests, and what the tree must be all the same (DESIGN, section 7).

Each row is one thing that clients do, and has a twin beside it that looks alike and must not be recognised.
"""

import copy
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adjourn.core.events import Answer, Claimed, Event, Held, Inherited, Opened, UserReceived
from adjourn.core.machine import Finish
from adjourn.core.policy import Policy
from adjourn.store import MOST
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, FAINT, QUESTION, UNREAD, YES, Chat, Recording, Reply, Rig, rig
from tests.models import WARNS, Asked, Fault, Said, scripted

Messages = list[dict[str, Any]]
Tells = Callable[[Messages], Messages]

FORK = ["END", "END"]
THINKS = "<think>They want to know, and I know.</think>\n\n"
PASSAGES = "### Context\n[1] Clocks have hands. [2] Sundials have none.\n### Query"
NAMED = {"X-OpenWebUI-Chat-Id": "chat-1"}


@dataclass
class Client(Chat):
    """A client that does something to each history before it sends it; what it shows to the person stays as it is."""

    tells: Tells = list

    def fork(self) -> "Client":
        return Client(**{**vars(self), "messages": list(self.messages)})

    async def post(self, messages: Sequence[Any], **headers: str) -> Reply:
        return await super().post(self.tells(copy.deepcopy(list(messages))), **headers)


def speaks(asked: Asked) -> Said:
    """A model that thinks aloud, says no two things alike, declines what it should, and warns."""
    words = WARNS if BAD in asked.last else QUESTION if ASK in asked.last else "It is  nine."
    return Said(f"{THINKS}{words}\n\n({asked.number}) \n", also={"reasoning_content": "hm"})


def repeats(asked: Asked) -> str:
    """A model that says the same again and again."""
    return WARNS if BAD in asked.last else QUESTION if ASK in asked.last else "As you like."


# What clients do to every history, and what no one may notice.


def texts(change: Callable[[str], str], *roles: str) -> Tells:
    def tells(messages: Messages) -> Messages:
        return [
            {**one, "content": change(one["content"])} if one["role"] in (roles or ("user", "assistant")) else one
            for one in messages
        ]

    return tells


def as_parts(messages: Messages) -> Messages:
    return [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages]


def in_several_parts(messages: Messages) -> Messages:
    def parts(text: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": line} for line in text.split("\n\n")]

    return [{**one, "content": parts(one["content"])} if one["role"] == "assistant" else one for one in messages]


def unthought(text: str) -> str:
    return text.removeprefix(THINKS)


def reasoned(messages: Messages) -> Messages:
    return [
        {**one, "content": unthought(one["content"]), "reasoning_content": "hm", "reasoning_details": [{"x": 1}]}
        if one["role"] == "assistant"
        else one
        for one in messages
    ]


def detailed(text: str) -> str:
    return text.replace("<think>", '<details type="reasoning" done="true">\n').replace("</think>", "\n</details>")


def retrieved(before: str, after: str) -> Tells:
    """Passages stand around the newest message only, and are gone from it in the next request."""

    def tells(messages: Messages) -> Messages:
        newest = max(at for at, one in enumerate(messages) if one["role"] == "user")
        messages[newest]["content"] = f"{before}{messages[newest]['content']}{after}"
        return messages

    return tells


def dated(messages: Messages) -> Messages:
    """The time of day stands in a system message in front, and in another one before the newest message."""
    now = {"role": "system", "content": f"It is {len(messages)} o'clock."}
    return [now, *messages[:-1], {**now, "role": "developer"}, messages[-1]]


def window(count: int) -> Tells:
    return lambda messages: messages[-count:]


def compacted(role: str, count: int) -> Tells:
    """A summary stands in front, and of what was said only the newest messages."""

    def tells(messages: Messages) -> Messages:
        if len(messages) <= count:
            return messages
        return [{"role": role, "content": f"So far {len(messages) - count} were said."}, *messages[-count:]]

    return tells


HARMLESS: dict[str, Tells] = {
    "as it was": list,
    "trimmed": texts(str.strip),
    "wrapped otherwise": texts(lambda text: "\n  ".join(text.split(" ")), "assistant"),
    "in one line": texts(lambda text: " ".join(text.split())),
    "with other line ends": texts(lambda text: text.replace("\n", "\r\n")),
    "without its reasoning": texts(unthought, "assistant"),
    "without its reasoning, trimmed": texts(lambda text: unthought(text).strip()),
    "with its reasoning in a field": reasoned,
    "with its reasoning in a fold": texts(detailed, "assistant"),
    "as parts": as_parts,
    "in several parts": in_several_parts,
    "with passages before it": retrieved(f"{PASSAGES}\n\n", ""),
    "with passages behind it": retrieved("", f"\n\n{PASSAGES}"),
    "with passages around it": retrieved(f"{PASSAGES}\n\n", f"\n\n{PASSAGES}"),
    "with a date in system messages": dated,
    "the last 3": window(3),
    "the last 4": window(4),
    "the last 5": window(5),
    "the last 6": window(6),
    "a user's summary and 3": compacted("user", 3),
    "a user's summary and 4": compacted("user", 4),
    "a system's summary and 3": compacted("system", 3),
    "a system's summary and 5": compacted("system", 5),
    "an assistant's summary and 3": compacted("assistant", 3),
}
TOO_LITTLE: dict[str, Tells] = {
    "the last 2": window(2),
    "a user's summary and 2": compacted("user", 2),
    "a system's summary and 2": compacted("system", 2),
}
"""What only an id lets recognise."""


async def thread(served: Rig, count: int) -> list[Event]:
    """Check that there is one conversation in which so many messages follow one another; return its facts."""
    assert await served.verified() == 1
    events = await served.every_event()
    assert not [event for event in events if isinstance(event, Claimed | Inherited)]
    messages = [event for event in events if isinstance(event, UserReceived)]
    answers = {event.parent: event.node for event in events if isinstance(event, Answer)}
    above = [None, *(answers[message.node] for message in messages[:-1])]
    assert [message.parent for message in messages] == above
    assert len(messages) == count
    return events


def rows(*tables: dict[str, Tells]) -> pytest.MarkDecorator:
    named = {name: tells for table in tables for name, tells in table.items()}
    return pytest.mark.parametrize("tells", named.values(), ids=named.keys())


async def play(client: Chat, *said: str) -> list[Reply]:
    """Say these, plain and streamed by turns."""
    replies = []
    for number, text in enumerate(said):
        client.stream = number % 2 == 1
        replies.append(await client.send(text))
        assert replies[-1].status == 200
    return replies


@rows(HARMLESS)
@pytest.mark.parametrize("model", [speaks, repeats])
async def test_p03_what_counts_goes_on_counting_and_the_end_follows(tells: Tells, model: Any) -> None:
    async with rig(scripted(model, FORK)) as served:
        client = Client(served, tells=tells)
        replies = await play(client, CALM, BAD, BAD, BAD)
        assert replies[-1].ended
        await thread(served, 4)
        for text in (CALM, BAD, CALM):
            assert (await client.send(text)).refused
            client.back()


@rows(HARMLESS)
@pytest.mark.parametrize("model", [speaks, repeats])
async def test_p05_a_hold_follows(tells: Tells, model: Any) -> None:
    async with rig(scripted(model, FORK)) as served:
        await play(Client(served, tells=tells), CALM, CLEAR, "And what day is it?", BAD, BAD, BAD, BAD)
        await thread(served, 7)
        assert not served.forks


@rows({name: tells for name, tells in HARMLESS.items() if "passages" not in name})
@pytest.mark.parametrize("model", [speaks, repeats])
async def test_p04_consent_is_consent(tells: Tells, model: Any) -> None:
    async with rig(scripted(model)) as served:
        replies = await play(Client(served, tells=tells), CALM, ASK, YES)
        assert replies[-1].ended
        await thread(served, 3)


@rows(HARMLESS, TOO_LITTLE)
async def test_with_an_id_the_same_is_recognised(tells: Tells) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        client = Client(served, tells=tells, headers=NAMED)
        replies = await play(client, CALM, CALM, BAD, BAD, BAD)
        assert replies[-1].ended
        await thread(served, 5)
        assert (await client.send(CALM)).refused


@rows(TOO_LITTLE)
async def test_without_an_id_one_answer_alone_is_recognised_by_nobody(tells: Tells) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        replies = await play(Client(served, tells=tells), CALM, CALM, CALM)
        assert len({reply.conversation for reply in replies}) == 3


# A message that stays without an answer.


@pytest.mark.parametrize("named", [{}, NAMED])
async def test_after_an_error_two_messages_follow_one_another(named: dict[str, str]) -> None:
    def fails_twice(asked: Asked) -> Said | Fault:
        return Fault("status_500") if asked.number in (2, 3) else speaks(asked)

    async with rig(scripted(fails_twice, FORK)) as served:
        chat = served.chat(headers=named)
        replies = await chat.say(CALM, BAD, BAD, "And now?", BAD)
        assert [reply.status for reply in replies] == [200, 200, 500, 500, 200]
        assert {reply.conversation for reply in replies} == {replies[0].conversation}
        await thread(served, 5)
        assert (await chat.send(BAD)).ended
        assert (await chat.send(CALM)).refused
        assert (await chat.send(CALM)).refused  # Open WebUI keeps what was refused, and sends it again


async def test_p04_a_yes_below_a_request_that_was_not_answered_closes_nothing() -> None:
    async with rig(scripted([Said("Hello."), Fault("status_500"), Said("As you like.")])) as served:
        chat = served.chat()
        await chat.say(CALM, ASK)
        assert not (await chat.send(YES)).ended
        await thread(served, 3)


# Below an end.


@pytest.mark.parametrize("named", [{}, NAMED])
@rows({name: tells for name, tells in HARMLESS.items() if "passages" in name})
async def test_p01_a_closed_message_is_the_same_without_what_was_put_around_it(tells: Tells, named: Any) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        client = Client(served, tells=tells, headers=named)
        assert (await play(client, CALM, BAD, BAD, BAD))[-1].ended
        before, more = client.messages[:-1], {"role": "user", "content": CALM}
        other = {"role": "assistant", "content": "Sure, here is how."}
        for messages in ([*before, more], [*before, other, more], [*client.messages, more], client.messages):
            assert (await client.post(messages)).refused
        client.tells = list
        assert (await client.post([*before, other])).refused
        assert (await client.post(before)).status == 200  # another answer to it
        edited = [*before[:-1], {"role": "user", "content": "Clocks, please."}]
        assert (await client.post(edited)).status == 200
        assert await served.verified() == 1


@pytest.mark.parametrize("kept", [1, 2, 3])
async def test_p01_below_an_end_an_id_and_the_closed_message_are_enough(kept: int) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=NAMED)
        await chat.say(CALM, BAD, BAD, "Now: " + BAD)
        window_ = chat.messages[-1 - kept : -1]
        other, more = {"role": "assistant", "content": "Sure."}, {"role": "user", "content": CALM}
        assert (await chat.post([*window_, other, more])).refused
        edited = [*window_[:-1], {"role": "user", "content": "Now."}]
        assert (await chat.post([*edited, other, more])).status == 200


# Other answers, other branches.


async def branches(served: Rig) -> dict[str, list[str]]:
    """The words below each message and each answer, in their order; of an answer without its reasoning."""
    (line,) = await served.store.conversations()
    kept = await served.store.texts(line.id)
    said = {node: unthought(text.text).replace(PASSAGES, "").strip() for node, text in kept.items()}
    below: dict[str, list[str]] = {}
    for event in await served.every_event():
        if isinstance(event, UserReceived | Claimed | Answer):
            below.setdefault(said.get(event.parent or "", event.parent or ""), []).append(said.get(event.node, ""))
    return below


@rows({name: tells for name, tells in HARMLESS.items() if "wrapped" not in name})
async def test_an_answer_again_and_the_branch_before_are_siblings(tells: Tells) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        client = Client(served, tells=tells)
        await play(client, CALM, BAD)
        other = client.fork()
        await other.back().again()
        await play(client, "One.")
        await play(other, "Two.")
        await play(client, "Three.")
        nine = "It is  nine."
        assert await branches(served) == {
            "": [CALM],
            CALM: [f"{nine}\n\n(0)"],
            f"{nine}\n\n(0)": [BAD],
            BAD: [f"{WARNS}\n\n(1)", f"{WARNS}\n\n(2)"],
            f"{WARNS}\n\n(1)": ["One."],
            f"{WARNS}\n\n(2)": ["Two."],
            "One.": [f"{nine}\n\n(3)"],
            "Two.": [f"{nine}\n\n(4)"],
            f"{nine}\n\n(3)": ["Three."],
            "Three.": [f"{nine}\n\n(5)"],
        }
        assert await served.verified() == 1


@pytest.mark.parametrize("which", [0, 1])
async def test_p04_a_yes_below_either_of_two_questions_is_consent(which: int) -> None:
    async with rig(scripted(speaks)) as served:
        one = served.chat()
        await one.say(CALM, ASK)
        two = one.fork().back()
        await two.again()
        assert one.messages != two.messages
        chat = (one, two)[which]
        assert (await chat.send(YES)).ended
        assert (await chat.send(CALM)).refused
        assert (await (two, one)[which].send(CALM)).status == 200  # beside the end
        assert await served.verified() == 1


async def test_p03_a_warning_that_is_given_again_is_a_warning() -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat()
        await chat.say(CALM, BAD, BAD)
        await chat.back().again()
        assert (await chat.send(BAD)).ended
        assert await served.verified() == 1


async def test_a_branch_that_is_left_and_found_again_goes_on_where_it_was() -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat()
        await chat.say(CALM, BAD, BAD)
        edited = chat.fork().back(4)
        await edited.say("What day is it?", "And tomorrow?")
        assert (await chat.send(BAD)).ended
        assert (await edited.send(CALM)).status == 200
        assert (await chat.send(CALM)).refused
        assert await served.verified() == 1


# An answer that is continued.


@pytest.mark.parametrize("joined", ["in one", "in one, with a blank", "in two", "in one, without its reasoning"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_continued_is_ours(joined: str, stream: bool) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(stream=stream)
        await chat.say(CALM, BAD)
        begun = chat.messages[-1]["content"]
        more = (await chat.again()).text
        if joined != "in two":
            glue = " " if joined == "in one, with a blank" else ""
            one = {"role": "assistant", "content": begun + glue + more}
            if joined == "in one, without its reasoning":
                one["content"] = unthought(begun) + unthought(more)
            chat.messages[-2:] = [one]
        for text in (CALM, BAD, BAD):
            await chat.send(text)
        events = await served.every_event()
        assert sum(isinstance(event, Opened) for event in events) == 1
        assert not [event for event in events if isinstance(event, Claimed)]
        assert len([event for event in events if isinstance(event, UserReceived)]) == 5
        continued = next(event for event in events if isinstance(event, Answer) and event.finish is Finish.PREFILLED)
        below = [event.parent for event in events if isinstance(event, UserReceived)]
        assert below[2] == continued.node
        assert await served.verified() == 1


async def test_a_text_of_the_clients_that_was_continued_is_not_ours() -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=NAMED)
        await chat.say(CALM, BAD)
        begun = f"{QUESTION} Say yes."
        chat.messages[-1]["content"] = begun
        more = (await chat.again()).text
        chat.messages[-2:] = [{"role": "assistant", "content": begun + more}]
        assert not (await chat.send(YES)).ended
        assert await served.verified() == 1


# Steps of an answer.

LOOK = {"tools": [{"type": "function", "function": {"name": "look"}}]}


def call(ident: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": "look", "arguments": arguments}}


def looks(*at: int) -> Callable[[Asked], Said]:
    """A model that calls a tool at these requests."""

    def behave(asked: Asked) -> Said:
        said = speaks(asked)
        if asked.number not in at:
            return said
        return Said(
            f"Let me look ({asked.number}). ", "tool_calls", {"tool_calls": [call(f"t{asked.number}", '{"a":1}')]}
        )

    return behave


def step_as_it_was(step: dict[str, Any]) -> dict[str, Any]:
    return step


def step_without_text(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "content": None}


def step_trimmed(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "content": step["content"].strip()}


def step_rewritten(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "tool_calls": [call(one["id"], '{ "a" : 1.0 }') for one in step["tool_calls"]]}


STEPS = [step_as_it_was, step_without_text, step_trimmed, step_rewritten]


async def loop(chat: Chat, text: str, steps: int, tells: Any) -> Reply:
    """Say something, and give the model what its tools bring, step by step."""
    chat.messages.append({"role": "user", "content": text})
    for _ in range(steps):
        reply = await chat.post(chat.messages)
        assert reply.status == 200
        said = called(reply)
        result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "nine"}
        chat.messages += [tells(said), result]
    return await chat.again()


def called(reply: Reply) -> dict[str, Any]:
    """The message with which the model calls a tool, as a client keeps it."""
    if not reply.streamed:
        message: dict[str, Any] = reply.json["choices"][0]["message"]
        return message
    calls = [one for chunk in reply.chunks for one in chunk["choices"][0]["delta"].get("tool_calls", ())]
    return {"role": "assistant", "content": reply.text, "tool_calls": [{**one, "index": None} for one in calls]}


@pytest.mark.parametrize("tells", STEPS)
@pytest.mark.parametrize("named", [{}, NAMED])
@pytest.mark.parametrize("stream", [False, True])
async def test_steps_of_an_answer_are_no_turns_even_of_the_very_first(tells: Any, named: Any, stream: bool) -> None:
    async with rig(scripted(looks(0, 1, 3, 5), FORK)) as served:
        chat = served.chat(headers=named, also=LOOK, stream=stream)
        await loop(chat, BAD, 2, tells)
        await loop(chat, BAD, 1, tells)
        assert len(served.received) == 5
        assert (await loop(chat, BAD, 0, tells)).ended
        await thread(served, 3)
        assert (await chat.send(CALM)).refused


@pytest.mark.parametrize("tells", STEPS)
@pytest.mark.parametrize("named", [{}, NAMED])
async def test_a_new_message_before_a_tools_result_stands_below_the_one_before(tells: Any, named: Any) -> None:
    async with rig(scripted(looks(0), FORK)) as served:
        chat = served.chat(headers=named, also=LOOK)
        chat.messages.append({"role": "user", "content": BAD})
        chat.messages.append(tells(called(await chat.post(chat.messages))))
        replies = await chat.say(BAD, BAD)
        await thread(served, 3)
        assert (await chat.send(BAD)).ended
        assert {reply.conversation for reply in replies} == {(await chat.send(CALM)).conversation}


async def test_a_step_with_another_call_is_none_of_ours() -> None:
    async with rig(scripted(looks(0), FORK)) as served:
        chat = served.chat(also=LOOK)
        await loop(chat, BAD, 1, lambda step: {**step, "tool_calls": [call("t9")]})
        assert len(await served.store.conversations()) == 2


# What broke off.


class Breaks:
    """A model that breaks off in its first answer to BAD; a client has some of the words, or none."""

    words = ("I can", "'t help", " with", " this.", " Something")

    def __init__(self) -> None:
        self.left = 1
        self.whole = scripted(speaks, FORK)
        self.app = Recording(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if (
            self.left
            and request.url.path.endswith("completions")
            and BAD in json.loads(body)["messages"][-1]["content"]
        ):
            self.left -= 1
            await StreamingResponse(self._broken(), media_type="text/event-stream")(scope, receive, send)
            return

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.whole(scope, again, send)

    async def _broken(self) -> AsyncIterator[bytes]:
        for words in self.words:
            yield chunk({"content": words})
        yield b'data: {"error": {"message": "It broke."}}\n\n'


@pytest.mark.parametrize("has", range(6))
@pytest.mark.parametrize("named", [{}, NAMED])
@pytest.mark.parametrize("first", [True, False])
async def test_what_came_of_an_answer_before_it_broke_off_is_ours(has: int, named: dict[str, str], first: bool) -> None:
    model = Breaks()
    async with rig(model.app) as served:
        chat = served.chat(headers=named, stream=True)
        if not first:
            await chat.send(CALM)
        await chat.send(BAD)
        chat.back()
        if has:
            chat.messages.append({"role": "assistant", "content": "".join(Breaks.words[:has])})
        replies = await chat.say(BAD, BAD, BAD)
        recognised = has or named or not first
        assert len(await served.store.conversations()) == (1 if recognised else 2)
        assert await served.count(Claimed) == (0 if recognised else 1)
        assert replies[-1].ended
        assert await served.verified()


@pytest.mark.parametrize("words", ["I can't help with that.", "can't help with", "Sure!"])
async def test_what_only_looks_like_the_beginning_of_an_answer_is_none_of_ours(words: str) -> None:
    async with rig(Breaks().app) as served:
        chat = served.chat(headers=NAMED, stream=True)
        await chat.send(BAD)
        chat.messages[-1]["content"] = words
        await chat.send(CALM)
        finishes = [event.finish for event in await served.every_event() if isinstance(event, Answer)]
        assert finishes == [Finish.CLAIMED, Finish.STOP]
        assert await served.verified() == 1


# Two people.


async def equal(served: Rig, tells: Tells, *said: str) -> tuple[Client, Client]:
    """Two people behind one key who say the same, and hear the same."""
    one, two = Client(served, tells=tells), Client(served, tells=tells)
    for text in said:
        mine, theirs = await one.send(text), await two.send(text)
        assert (mine.text, mine.status) == (theirs.text, theirs.status)
        assert mine.conversation != theirs.conversation
    return one, two


@rows(HARMLESS)
async def test_p07_two_people_with_equal_words_are_never_joined(tells: Tells) -> None:
    async with rig(scripted(repeats, FORK)) as served:
        one, two = await equal(served, tells, CALM, BAD, BAD)
        mine, theirs = await one.send("I like clocks."), await two.send("I like watches.")
        assert mine.conversation != theirs.conversation
        mine, theirs = await one.send(CALM), await two.send(CALM)
        assert mine.conversation != theirs.conversation
        assert await served.verified()


@pytest.mark.parametrize("ends", [0, 1])
@rows({name: HARMLESS[name] for name in ("as it was", "trimmed", "as parts", "with a date in system messages")})
async def test_p07_the_end_of_one_of_two_people_does_not_reach_the_other(tells: Tells, ends: int) -> None:
    async with rig(scripted(repeats, FORK)) as served:
        pair = await equal(served, tells, CALM, BAD, BAD)
        closed, other = pair[ends], pair[1 - ends]
        assert (await closed.send(BAD)).ended
        assert (await closed.send(CALM)).refused
        assert (await other.send(CALM)).status == 200
        assert (await other.send("I like clocks.")).status == 200
        assert await served.verified()


async def test_p07_where_very_many_heard_the_same_nobody_is_joined_to_another() -> None:
    async with rig(scripted(repeats), Policy(redirections=MOST * 2)) as served:
        mine, other = Client(served, tells=window(3)), served.chat()
        await mine.say(CALM, BAD, BAD)
        theirs = (await other.say("Hello.", *[BAD] * (MOST + 1)))[0]
        assert (await mine.send("I like clocks.")).conversation != theirs.conversation
        assert await served.verified()


async def test_p05_a_sign_of_risk_of_one_of_two_people_is_no_sign_of_the_others() -> None:
    async with rig(scripted(repeats, FORK)) as served:
        one, two = await equal(served, list, CALM, BAD)
        await one.send(CLEAR)
        assert "support" not in ((await two.send(BAD)).adjourn or {})


# Ids.


IDS = ["Adjourn-Conversation", "X-OpenWebUI-Chat-Id", "ChatUI-Conversation-ID"]
STANDS = {
    "open": [CALM],
    "warned": [CALM, BAD, BAD],
    "asked": [CALM, ASK],
    "held": [CALM, CLEAR],
    "closed": [CALM, BAD, BAD, BAD],
}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("before", [{}, {"X-OpenWebUI-Chat-Id": "chat-0"}])
@pytest.mark.parametrize("stands", STANDS)
async def test_a_copy_under_another_id_stands_as_the_first_one_did(
    stands: str, name: str, before: dict[str, str]
) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=before)
        await chat.say(*STANDS[stands])
        copy_ = chat.fork()
        copy_.headers = {name: "chat-2"}
        for one in (copy_, chat):
            if stands == "open":
                replies = await one.say(BAD, BAD, CALM)
                assert replies[1].stage == "WARNED"
            elif stands == "warned":
                assert (await one.send(BAD)).ended
            elif stands == "asked":
                assert (await one.send(YES)).ended
            elif stands == "held":
                for text in (BAD, BAD, BAD, BAD):
                    assert not (await one.send(text)).ended
                assert not served.forks
            else:
                assert (await one.send(CALM)).refused
        assert await served.verified()


@pytest.mark.parametrize("stands", ["warned", "asked"])
async def test_a_copy_that_goes_on_from_before_does_not_stand_there(stands: str) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat()
        await chat.say(*STANDS[stands])
        copied = chat.fork().back(len(chat.messages) - 2)
        copied.headers = NAMED
        assert not (await copied.send({"warned": BAD, "asked": YES}[stands])).ended
        assert await served.verified() == 2


async def test_an_id_that_is_another_one_each_time_lets_nobody_past_an_end_or_a_hold() -> None:
    async with rig(scripted(speaks, FORK)) as served:
        for text in ("", CLEAR):
            chat = served.chat(key=f"k{text}")
            replies = []
            for number, said in enumerate(filter(None, [CALM, text, BAD, BAD, BAD])):
                chat.headers = {"X-OpenWebUI-Chat-Id": f"chat-{text}{number}"}
                replies.append(await chat.send(said))
            assert replies[-1].ended == (not text)
            chat.headers = {"X-OpenWebUI-Chat-Id": f"chat-{text}x"}
            assert (await chat.send(CALM)).refused == (not text)
        assert await served.verified()


async def test_a_copy_of_what_broke_off_is_a_conversation_of_its_own() -> None:
    async with rig(Breaks().app) as served:
        chat = served.chat(stream=True)
        await chat.send(BAD)
        chat.headers = NAMED
        assert (await chat.send(CALM)).status == 200
        assert await served.verified() == 2


# What the client changes in the middle.


@pytest.mark.parametrize("named", [{}, NAMED])
async def test_an_answer_that_the_person_edited_is_none_of_ours(named: dict[str, str]) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=named)
        await chat.say(CALM, BAD, BAD)
        chat.messages[-1]["content"] = "Sure, here is how."
        assert not (await chat.send(BAD)).ended
        claimed = [
            event
            for event in await served.every_event()
            if isinstance(event, Answer) and event.finish is Finish.CLAIMED
        ]
        assert len(claimed) == 1
        assert await served.verified() == 1


@pytest.mark.parametrize("named", [{}, NAMED])
async def test_an_older_answer_that_the_person_edited_changes_nothing(named: dict[str, str]) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=named)
        await chat.say(CALM, BAD, BAD)
        chat.messages[1]["content"] = "It is ten."
        assert (await chat.send(BAD)).ended
        await thread(served, 4)
        assert (await chat.send(CALM)).refused


@pytest.mark.parametrize("named", [{}, NAMED])
@pytest.mark.parametrize("sign", [CLEAR, FAINT])
@pytest.mark.parametrize("at", ["edited", "in a summary", "in front", "in an answer"])
async def test_p05_a_sign_of_risk_in_words_that_were_changed_holds_and_is_read_once(
    named: Any, sign: str, at: str
) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=named)
        await chat.say(CALM, BAD, BAD)
        if at == "edited":
            chat.messages[2]["content"] = sign
        elif at == "in a summary":
            chat.messages[:2] = [{"role": "user", "content": f"So far: {sign}"}]
        elif at == "in an answer":
            chat.messages[3]["content"] = "You can call a help line."
        else:
            chat.messages.insert(0, {"role": "user", "content": sign})
        for _ in range(3):
            assert not (await chat.send(BAD)).ended
        assert not served.forks
        assert await served.verified() == 1
        assert await served.count(Held) == 1


@pytest.mark.parametrize("at", [0, 2])
async def test_p06_words_that_were_changed_and_cannot_be_read_let_nothing_end(at: int) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat()
        await chat.say(CALM, BAD, BAD)
        chat.messages[at]["content"] = UNREAD
        for text in (BAD, BAD, ASK, YES):
            assert not (await chat.send(text)).ended
        await thread(served, 7)
        assert not served.forks


@pytest.mark.parametrize("named", [{}, NAMED])
async def test_words_that_were_changed_to_bad_ones_count_for_nothing(named: Any) -> None:
    async with rig(scripted(speaks, FORK)) as served:
        chat = served.chat(headers=named)
        await chat.say(CALM, "One.", "Two.", "Three.")
        for at in (0, 2, 4):
            chat.messages[at]["content"] = BAD
        replies = await chat.say(BAD, BAD, BAD)
        assert [reply.ended for reply in replies] == [False, False, True]
        assert await served.count(Held) == 0


async def test_among_very_many_equal_answers_the_one_that_is_meant_is_found_with_a_few_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []

    def counted(name: str) -> Any:
        look = getattr(served.store, name)

        async def counting(*arguments: Any, **named: Any) -> Any:
            looks.append(name)
            return await look(*arguments, **named)

        return counting

    async with rig(scripted("As you like.")) as served:
        chat = served.chat(headers=NAMED)
        for number in range(MOST + 5):
            await chat.send(f"Tell me of number {number}.")
        for name in ("see", "find", "texts"):
            monkeypatch.setattr(served.store, name, counted(name), raising=False)
        chat.messages = chat.messages[-3:]
        await chat.send(CALM)
        assert len(looks) < 20, looks
        monkeypatch.undo()
        await thread(served, MOST + 6)


# Several answers at once.


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("named", [{}, NAMED])
@pytest.mark.parametrize("stream", [False, True])
async def test_any_of_several_answers_that_comes_back_is_the_branch(which: int, named: Any, stream: bool) -> None:
    async with rig(three()) as served:
        chat = served.chat(headers=named, also={"n": 3}, stream=stream)
        reply = await chat.send(CALM)
        chat.messages[-1]["content"] = f"Answer {which}."
        chat.also = {}
        second = await chat.send(CALM)
        assert second.conversation == reply.conversation
        events = await served.every_event()
        answers = [event.node for event in events if isinstance(event, Answer)]
        received = [event for event in events if isinstance(event, UserReceived)]
        assert (len(answers), len(received)) == (4, 2)
        assert received[1].parent == answers[which]
        assert await served.count(Claimed) == 0
        assert await served.verified() == 1


def three() -> Recording:
    """A model that gives three answers to whoever asks for them."""

    async def chat(request: Request) -> Response:
        body = await request.json()
        numbers = range(body.get("n", 1))
        if body.get("stream"):
            deltas = [chunk({"content": f"Answer {number}."}, index=number) for number in numbers]
            deltas += [chunk({}, "stop", index=number) for number in numbers]
            return Response(b"".join([*deltas, b"data: [DONE]\n\n"]), media_type="text/event-stream")
        message = [{"role": "assistant", "content": f"Answer {number}."} for number in numbers]
        return JSONResponse(
            {"choices": [{"index": at, "message": one, "finish_reason": "stop"} for at, one in enumerate(message)]}
        )

    return Recording(Starlette(routes=[Route("/{path:path}", chat, methods=["POST"])]))


def chunk(delta: dict[str, Any], finish: str | None = None, *, index: int = 0) -> bytes:
    said = {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"
