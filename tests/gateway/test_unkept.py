"""What the store cannot keep: it is refused, or passes unjudged, as the operator set it; ends stand either way."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adjourn.core.errors import StoreError
from adjourn.core.events import Answer, AttemptEnded, Ended, UserReceived
from adjourn.store.sqlite import SqliteStore
from adjourn.web.watch import Watch
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, FAINT, YES, Chat, Rig, close, rig
from tests.models import WARNS, scripted
from tests.support import sqlite_url

Trouble = Callable[[Rig], AbstractAsyncContextManager[None]]
LONG = " and so on" * 10_000
"""What a full disk has no room for."""

HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["chat", "messages"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


@asynccontextmanager
async def full_disk(served: Rig) -> AsyncIterator[None]:
    store = served.store._store
    assert isinstance(store, SqliteStore)
    await store._in_turn(lambda database: database.execute("PRAGMA max_page_count = 1").fetchone())
    try:
        yield
    finally:
        await store._in_turn(lambda database: database.execute("PRAGMA max_page_count = 1000000").fetchone())


@asynccontextmanager
async def locked(served: Rig) -> AsyncIterator[None]:
    """Another process writes, and does not come to an end."""
    store = served.store._store
    assert isinstance(store, SqliteStore)
    command = (sys.executable, "-c", HOLD, str(store._path))
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        await holder.communicate(b"")  # its input ends, and so does it


@asynccontextmanager
async def unreadable(served: Rig) -> AsyncIterator[None]:
    """Nothing can be written, and nothing be read."""

    async def fails(*_: Any, **__: Any) -> Any:
        raise StoreError("the disk is gone")

    names = ("find", "see", "external", "texts")
    for name in names:
        setattr(served.store, name, fails)
    served.store.fails = lambda: True
    try:
        yield
    finally:
        for name in names:
            delattr(served.store, name)
        served.store.fails = lambda: False


@pytest.fixture(params=[full_disk, locked], ids=["full disk", "locked database"])
def trouble(request: pytest.FixtureRequest) -> Trouble:
    found: Trouble = request.param
    return found


@pytest.fixture
def db(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


def person(served: Rig, wire: str, *, stream: bool) -> Chat:
    chat = served.claude if wire == "messages" else served.chat
    return chat(stream=stream)


def opened(model: Any, db: str, *, passes: bool = True, **options: Any) -> AbstractAsyncContextManager[Rig]:
    return rig(model, db=db, pass_unkept=passes, busy_seconds=0.05, **options)


def unjudged(watch: Watch) -> dict[str, float]:
    samples = [sample for metric in watch.metrics.registry.collect() for sample in metric.samples]
    return {one.labels["what"]: one.value for one in samples if one.name == "adjourn_unjudged_total" and one.value}


async def test_by_default_what_cannot_be_kept_is_refused_for_now(
    wire: str, stream: bool, trouble: Trouble, db: str
) -> None:
    async with opened(scripted("It is nine."), db, passes=False) as served:
        chat = person(served, wire, stream=stream)
        await chat.send(CALM)
        async with trouble(served):
            chat.messages.append({"role": "user", "content": CALM + LONG})
            reply = await chat.post(chat.messages)
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert "Adjourn-Unjudged" not in reply.headers
            assert len(served.received) == 1
        assert (await chat.again()).text == "It is nine."
        assert await served.verified() == 1


async def test_where_it_may_pass_it_goes_up_as_it_came_and_the_operator_is_told(
    wire: str, stream: bool, trouble: Trouble, db: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    async with opened(scripted("It is nine."), db, watch=watch) as served:
        chat = person(served, wire, stream=stream)
        await chat.say(BAD, BAD)
        async with trouble(served), _logged(caplog):
            reply = await chat.send(BAD + LONG)
            assert (reply.status, reply.text, reply.adjourn) == (200, "It is nine.", None)
            assert reply.headers["Adjourn-Unjudged"] == "1"
            assert "Adjourn-Conversation" not in reply.headers
            assert served.received[-1].json()["messages"] == chat.messages[:-1]
            assert unjudged(watch) == {"message": 1}
            assert {"what": "message", "conversation": None} in [
                getattr(record, "fields", None) for record in caplog.records if record.msg == "unjudged"
            ]
        assert await served.count(UserReceived) == 2
        assert (await chat.send(CALM)).headers.get("Adjourn-Unjudged") is None
        assert await served.verified() == 1


@asynccontextmanager
async def _logged(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    with caplog.at_level(logging.WARNING, logger="adjourn"):
        yield


@pytest.mark.parametrize("passes", [False, True], ids=["refuse", "pass"])
async def test_p01_an_end_stands_while_nothing_can_be_written(
    wire: str, stream: bool, trouble: Trouble, db: str, passes: bool
) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye."]), db, passes=passes) as served:
        chat = person(served, wire, stream=stream)
        await close(chat)
        before = len(served.received)
        async with trouble(served):
            chat.messages.append({"role": "user", "content": CALM + LONG})
            reply = await chat.post(chat.messages)
            if passes or reply.status == 400:  # a refusal that says nothing writes nothing
                assert reply.refused
                assert (reply.adjourn or {}).get("receipt") or wire == "chat"
            assert len(served.received) == before
            faint = await chat.back().post([*chat.messages, {"role": "user", "content": FAINT + LONG}])
            assert faint.refused == passes
            risk = await chat.post([*chat.messages, {"role": "user", "content": CLEAR + LONG}])
            assert risk.status == (200 if passes else 503)
        assert (await chat.send(CALM)).refused
        assert await served.count(Ended) == 1
        assert await served.verified() == 1


@pytest.mark.parametrize("what", [CALM, BAD])
async def test_an_answer_that_cannot_be_kept_goes_through_whole_and_its_message_stays_unanswered(
    wire: str, stream: bool, db: str, what: str
) -> None:
    watch, commits = Watch(), [0]

    def fails() -> bool:
        commits[0] += 1
        return commits[0] > 1

    async with opened(scripted("It is nine."), db, watch=watch) as served:
        served.store.fails = fails
        chat = person(served, wire, stream=stream)
        chat.messages.append({"role": "user", "content": what})
        reply = await chat.post(chat.messages)
        assert (reply.status, reply.text, reply.whole, reply.adjourn) == (200, "It is nine.", True, None)
        assert "Adjourn-Conversation" in reply.headers
        assert unjudged(watch) == {"answer": 1}
        served.store.fails = lambda: False
        assert await served.count(UserReceived) == 1
        assert await served.count(Answer) + await served.count(AttemptEnded) == 0
        assert (await chat.again()).text == "It is nine."
        assert (await chat.send(CALM)).status == 200
        assert await served.verified() == 2


async def test_p05_help_lines_come_also_with_an_answer_that_cannot_be_kept(wire: str, stream: bool, db: str) -> None:
    commits = [0]

    def fails() -> bool:
        commits[0] += 1
        return commits[0] > 1

    async with opened(scripted("I hear you."), db) as served:
        served.store.fails = fails
        chat = person(served, wire, stream=stream)
        chat.messages.append({"role": "user", "content": CLEAR})
        reply = await chat.post(chat.messages)
        assert reply.whole
        assert "support" in (reply.adjourn or {})


async def test_p01_where_an_end_cannot_be_kept_the_chat_goes_on_unjudged(wire: str, stream: bool, db: str) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye."]), db) as served:
        chat = person(served, wire, stream=stream)
        await chat.say(BAD, BAD)
        served.store.fails = lambda: len(served.forks) == 2
        chat.messages.append({"role": "user", "content": BAD})
        reply = await chat.post(chat.messages)
        assert (reply.status, reply.text) == (200, WARNS)
        assert reply.headers["Adjourn-Unjudged"] == "1"
        assert b"Goodbye" not in reply.body
        served.store.fails = lambda: False
        assert await served.count(Ended) == 0
        assert (await chat.again()).status == 200
        assert await served.verified() == 1


async def test_p01_where_nothing_can_be_read_either_the_ends_that_were_met_stand(
    wire: str, stream: bool, db: str
) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye."]), db) as served:
        chat, consent = (person(served, wire, stream=stream) for _ in range(2))
        await close(chat)
        await consent.say(ASK, YES)
        other = person(served, wire, stream=stream)
        await other.send(CALM)
        before = len(served.received)
        async with unreadable(served):
            for closed in (chat, consent):
                reply = await closed.send(CALM)
                assert reply.refused
                closed.back()
            left_out = chat.messages[:-1]
            assert (await chat.post([*left_out, {"role": "user", "content": CALM}])).refused
            assert len(served.received) == before
            assert (await chat.post([*chat.messages, {"role": "user", "content": CLEAR}])).status == 200
            assert (await chat.post(left_out)).status == 200  # a retry of what was closed is open
            assert (await other.send(CALM)).headers["Adjourn-Unjudged"] == "1"
        assert (await chat.send(CALM)).refused
        assert await served.verified() == 3


async def test_p07_beside_an_end_a_chat_goes_on_where_nothing_can_be_read(wire: str, stream: bool, db: str) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye.", "CONTINUE"]), db) as served:
        chat = person(served, wire, stream=stream)
        await close(chat)
        beside = chat.fork().back()
        await beside.again()
        async with unreadable(served):
            assert (await beside.send(CALM)).status == 200
            assert (await chat.send(CALM)).refused


async def test_p05_an_end_that_a_clear_sign_lifted_is_not_remembered(wire: str, stream: bool, db: str) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye."]), db) as served:
        chat = person(served, wire, stream=stream)
        await close(chat)
        assert (await chat.send(CLEAR)).status == 200
        async with unreadable(served):
            assert (await chat.send(CALM)).headers["Adjourn-Unjudged"] == "1"


async def test_the_object_of_a_refusal_from_memory_is_that_of_the_end(db: str) -> None:
    async with opened(scripted(WARNS, ["END", "END\nGoodbye."]), db) as served:
        chat = served.chat()
        told = (await close(chat)).adjourn
        async with unreadable(served):
            refused = await chat.send(CALM)
            assert json.loads(refused.body)["adjourn"] == told
