"""What comes at the same moment: no order of two requests breaks a promise, in one server or in two on one file."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from adjourn.core.events import AttemptEnded, Ended, Opened, UserReceived
from adjourn.core.policy import Policy
from adjourn.store import open_store
from adjourn.store.verify import verify
from tests.gateway.judge import Judge
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, YES, Chat, Reply, Rig, close, rig
from tests.gateway.test_closing import process
from tests.models import WARNS, Asked, scripted

ROUNDS = 12
"""For each pair; by hand each was tried 300 times."""
BOTH_END = ["END", "END\nGoodbye."]


class Gate:
    """A model whose answer to the question whether to close waits until it is let through."""

    def __init__(self, moments: random.Random | None = None) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self._moments = moments

    async def fork(self, asked: Asked) -> str:
        self.asked.set()
        if self._moments is None:
            await self.open.wait()
        else:
            await moment(self._moments)
        return BOTH_END[asked.fork - 1]


async def moment(dice: random.Random) -> None:
    for _ in range(dice.randrange(12)):
        await asyncio.sleep(0)


async def later(dice: random.Random, act: Awaitable[Reply]) -> Reply:
    await moment(dice)
    return await act


async def judged(served: Rig) -> int:
    await served.verified()
    ends = 0
    for line in await served.store.conversations():
        texts = {node: kept.text for node, kept in (await served.store.texts(line.id)).items()}
        ends += Judge(served.host.policy, texts, in_turn=False).read(await served.events(line.id))
    return ends


async def to_the_brink(served: Rig, **options: str) -> Chat:
    """A chat in which the next bad message is the last resort; it stands in it already, and is not sent."""
    chat = served.chat(**options)
    await chat.say(BAD, BAD)
    chat.messages.append({"role": "user", "content": BAD})
    return chat


def below(chat: Chat, text: str = CALM) -> Chat:
    """The same chat, which goes on below its newest message."""
    other = chat.fork()
    other.messages.append({"role": "user", "content": text})
    return other


# One thing surely before the other.


async def test_p01_who_speaks_below_while_the_model_is_asked_is_answered_and_nothing_is_closed() -> None:
    gate = Gate()
    async with rig(scripted(WARNS, gate.fork)) as served:
        chat = await to_the_brink(served)
        closing = asyncio.create_task(chat.fork().again())
        await gate.asked.wait()
        assert (await below(chat).again()).status == 200
        gate.open.set()
        reply = await closing
        assert reply.status == 200
        assert not reply.ended
        assert await judged(served) == 0


async def test_p05_a_sign_of_risk_on_another_branch_while_the_model_is_asked_stops_the_end() -> None:
    gate = Gate()
    async with rig(scripted(WARNS, gate.fork)) as served:
        chat = await to_the_brink(served)
        closing = asyncio.create_task(chat.fork().again())
        await gate.asked.wait()
        sibling = chat.fork().back(3)
        sibling.messages.append({"role": "user", "content": CLEAR})
        assert (await sibling.again()).adjourn is not None
        gate.open.set()
        reply = await closing
        assert reply.status == 200
        assert not reply.ended
        assert await judged(served) == 0


async def test_p01_a_clients_retry_while_the_model_is_asked_takes_the_place_of_the_first_attempt() -> None:
    gate = Gate()
    async with rig(scripted(WARNS, gate.fork)) as served:
        chat = await to_the_brink(served)
        first = asyncio.create_task(chat.fork().again())
        await gate.asked.wait()
        gate.asked.clear()
        second = asyncio.create_task(chat.fork().again(**{"x-stainless-retry-count": "1"}))
        await gate.asked.wait()
        gate.open.set()
        replies = [await first, await second]
        assert replies[0].status == 503  # nobody waits for it any more
        assert replies[0].headers["x-should-retry"] == "false"
        assert replies[1].ended
        assert await judged(served) == 1
        assert (await below(chat).again()).refused


async def test_p08_while_the_model_is_asked_nothing_reaches_the_client() -> None:
    gate = Gate()
    async with rig(scripted(WARNS, gate.fork)) as served:
        chat = await to_the_brink(served)
        chat.stream = True
        closing = asyncio.create_task(chat.again())
        await gate.asked.wait()
        assert not closing.done()
        assert not served.store.ends
        gate.open.set()
        assert (await closing).ended


# In any order.


async def raced(
    acts: Callable[[Chat], list[Awaitable[Reply]]], check: Callable[[Rig, Chat, list[Reply]], Awaitable[None]]
) -> None:
    dice = random.Random(7)
    gate = Gate(dice)
    async with rig(scripted(WARNS, gate.fork)) as served:
        for number in range(ROUNDS):
            chat = await to_the_brink(served, key=f"k{number}")
            replies = await asyncio.gather(*(later(dice, act) for act in acts(chat)))
            await check(served, chat, replies)
        await judged(served)


async def test_p01_an_end_and_a_send_below_it() -> None:
    async def check(served: Rig, chat: Chat, replies: list[Reply]) -> None:
        first, second = replies
        assert first.status == 200
        if second.status == 200 and first.ended:  # it was there first, on a branch of its own
            assert not second.ended
        assert second.status == 200 or second.refused
        if first.ended:
            assert (await below(chat, "More.").again()).refused

    await raced(lambda chat: [chat.fork().again(), below(chat).again()], check)


async def test_p01_an_end_and_a_retry() -> None:
    async def check(served: Rig, chat: Chat, replies: list[Reply]) -> None:
        assert replies[1].status == 200
        assert all(reply.status in (200, 503) for reply in replies)  # what the retry found running was given up
        if any(reply.ended for reply in replies):
            assert (await below(chat, "More.").again()).refused

    retried = {"x-stainless-retry-count": "1"}
    await raced(lambda chat: [chat.fork().again(), chat.fork().again(**retried), chat.fork().again()], check)


async def test_p05_an_end_and_a_sign_of_risk_on_a_sibling() -> None:
    async def check(served: Rig, chat: Chat, replies: list[Reply]) -> None:
        assert replies[1].adjourn is not None
        assert "support" in replies[1].adjourn
        assert (await below(chat, "More.").again()).status == 200  # the end was lifted, or never came

    def acts(chat: Chat) -> list[Awaitable[Reply]]:
        sibling = chat.fork().back(3)
        sibling.messages.append({"role": "user", "content": CLEAR})
        return [chat.fork().again(), sibling.again()]

    await raced(acts, check)


async def test_p04_a_yes_and_another_message_at_once() -> None:
    dice = random.Random(3)
    async with rig(scripted("Okay.")) as served:
        for number in range(ROUNDS):
            chat = served.chat(key=f"k{number}")
            await chat.say(CALM, ASK)
            yes, other = below(chat, YES), below(chat, "Wait.")
            replies = await asyncio.gather(*(later(dice, one.again()) for one in (yes, other)))
            assert replies[0].ended  # the other is a branch beside it
            assert replies[1].text == "Okay."
            assert (await yes.send(CALM)).refused
            assert (await other.send(CALM)).status == 200
        assert await judged(served) == ROUNDS


async def test_p12_a_message_that_is_sent_twice_at_once_is_kept_once(tmp_path: Path) -> None:
    async with rig(scripted("Okay."), db=f"sqlite:///{tmp_path / 'kept.db'}") as served:
        chat = served.chat()
        await chat.send(CALM)
        chat.messages.append({"role": "user", "content": BAD})
        replies = await asyncio.gather(*(chat.fork().again() for _ in range(5)))
        assert len({reply.conversation for reply in replies}) == 1
        assert await served.count(UserReceived) == 2
        assert await judged(served) == 0


async def test_a_new_id_that_comes_twice_at_once_begins_one_conversation(tmp_path: Path) -> None:
    async with rig(scripted("Okay."), db=f"sqlite:///{tmp_path / 'kept.db'}") as served:
        chat = served.chat(headers={"X-OpenWebUI-Chat-Id": "chat-1"})
        replies = await asyncio.gather(*(below(chat, text).again() for text in (CALM, BAD, "Hello.")))
        assert len({reply.conversation for reply in replies}) == 1
        assert await served.count(Opened) == 1


async def test_many_people_at_once_do_not_meet() -> None:
    dice = random.Random(11)

    async def person(served: Rig, key: str) -> str:
        chat = served.chat(key=key, stream=dice.random() < 0.5)
        replies = [await later(dice, chat.send(text)) for text in (CALM, BAD, BAD, BAD)]
        assert replies[-1].ended
        assert (await chat.send(CALM)).refused
        assert len({reply.conversation for reply in replies}) == 1
        return replies[0].conversation

    async with rig(scripted(WARNS, BOTH_END)) as served:
        found = await asyncio.gather(*(person(served, f"k{number}") for number in range(25)))
        assert len(set(found)) == 25
        assert await judged(served) == 25
        assert await served.count(AttemptEnded) == 0


# Two servers on one file.


async def test_p01_two_servers_on_one_file_close_and_refuse_as_one(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'kept.db'}"
    dice = random.Random(5)
    gate = Gate(dice)
    model = scripted(WARNS, gate.fork)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(rig(model, db=db))
        two = await stack.enter_async_context(rig(model, db=db))
        for number in range(ROUNDS):
            chat = await to_the_brink(one, key=f"k{number}")
            other = chat.fork()
            other.url = two.url
            replies = await asyncio.gather(*(later(dice, each.fork().again()) for each in (chat, other)))
            assert all(reply.status == 200 for reply in replies)
            assert any(reply.ended for reply in replies)
            for each in (chat, other):
                assert (await below(each, "More.").again()).refused
        await judged(one)


async def test_p01_two_server_processes_on_one_file_agree(tmp_path: Path) -> None:
    async with process(tmp_path) as (one, _), process(tmp_path) as (two, _), aiohttp.ClientSession() as session:
        served = Rig(url=one, model_url="", host=None, received=[], session=session)  # type: ignore[arg-type]
        for number in range(4):
            chat = Chat(served, key=f"k{number}")
            for turn in range(4):
                chat.url = (one, two)[turn % 2]
                assert (await chat.send(BAD)).status == 200
            chat.messages.append({"role": "user", "content": BAD})
            other = chat.fork()
            chat.url, other.url = one, two
            replies = await asyncio.gather(chat.fork().again(), other.fork().again())
            assert any(reply.ended for reply in replies)
            for each in (chat, other):
                assert (await below(each).again()).refused
    store = open_store(f"sqlite:///{tmp_path / 'kept.db'}")
    try:
        policies = await store.policies()
        for line in await store.conversations():
            assert not (await verify(store, line.id, policies)).faults
            events = [row.event for row in await store.read(line.id)]
            texts = {node: kept.text for node, kept in (await store.texts(line.id)).items()}
            assert Judge(Policy(), texts, in_turn=False).read(events) >= 1
            assert any(isinstance(event, Ended) for event in events)
    finally:
        await store.close()


async def test_p01_an_end_that_one_server_made_stands_in_the_other(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'kept.db'}"
    async with rig(scripted(WARNS, BOTH_END), db=db) as one, rig(scripted("Okay."), db=db) as two:
        chat = one.chat()
        await close(chat)
        chat.url = two.url
        assert (await chat.send(CALM)).refused
        assert not two.received
        lifted = chat.fork().back()
        assert (await lifted.send(CLEAR)).status == 200
        chat.url = one.url
        assert (await chat.back().send(CALM)).status == 200
