"""Finding conversations by their names and by whose they are; what people said; erasing what is old."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adjourn.core import acts
from adjourn.core.errors import StoreError, UnknownConversation
from adjourn.core.events import Ended, Erased, Event
from adjourn.core.machine import Hold
from adjourn.core.tree import Tree
from adjourn.store import Cursor, Feedback, Owner, Rating, Store, open_store, sqlite
from adjourn.store.erase import HOUR_SECONDS, erase, retain
from adjourn.store.verify import verify
from tests import support

DAY = 24 * 3600 * 1000


async def begin(store: Store, name: str, scope: str, at: int = 0, external: str | None = None) -> None:
    opened = acts.opening(name, support.QUICK, scope=scope, external=external, at=at)
    await store.commit(name, lambda tree: [opened])


async def closed(store: Store, name: str = "c", at: int = 5) -> str:
    """Write a conversation that was closed; return the number of its receipt."""
    await support.commit_turns(
        store, [*support.to_last_resort(), support.closing("e1", "u3", at=at)], conversation=name
    )
    return next(row.event.receipt for row in await store.read(name) if isinstance(row.event, Ended))


def said(conversation: str, at: int = 1, about: str | None = None, text: str | None = "It was fiction") -> Feedback:
    reasons = ("fiction", "è") if text else ()
    return Feedback(conversation=conversation, about=about, rating=Rating.WRONG_END, reasons=reasons, text=text, at=at)


async def erasures(store: Store, conversation: str) -> int:
    return sum(isinstance(row.event, Erased) for row in await store.read(conversation))


# Whose, and by what name


async def test_a_page_shows_an_owners_conversations_only_and_with_users_those_of_its_end_users(store: Store) -> None:
    scopes = {"one": "key:a", "two": "key:a/user", "three": "key:ab", "four": "key:a0", "five": "key:b/user"}
    for name, scope in scopes.items():
        await begin(store, name, scope)
    assert [line.id for line in await store.page(Owner("key:a"), 10)] == ["one"]
    assert {line.id for line in await store.page(Owner("key:a", users=True), 10)} == {"one", "two"}
    assert [line.id for line in await store.page(Owner("key:a/user"), 10)] == ["two"]


async def test_pages_one_after_the_other_show_each_conversation_once_the_newest_first(store: Store) -> None:
    for number in range(7):
        await begin(store, f"c{number}", "people", at=1000 * (number // 3))
    await begin(store, "other", "others", at=1500)
    below, shown = None, []
    while page := await store.page(Owner("people"), 2, below):
        shown += [line.id for line in page]
        below = Cursor(page[-1].last_at, page[-1].id)
    assert shown == ["c6", "c3", "c4", "c5", "c0", "c1", "c2"]


async def test_a_browser_that_signed_in_with_a_key_is_no_end_user_of_it(store: Store) -> None:
    for name, scope in (("one", "own:k_1"), ("two", "own:k_1/user"), ("three", "own:k_1/browser:a")):
        await begin(store, name, scope)
    key, browser = Owner("own:k_1", users=True), Owner("own:k_1/browser:a")
    assert {line.id for line in await store.page(key, 10)} == {"one", "two"}
    assert [line.id for line in await store.page(browser, 10)] == ["three"]
    assert [await store.named("three", owner) for owner in (key, browser)] == [[], ["three"]]


async def test_an_id_of_ours_the_clients_own_and_a_receipt_lead_to_the_owners_conversation_only(store: Store) -> None:
    number = await closed(store)
    await begin(store, "d", "people/one", external="chat-1")
    mine, others = Owner("people", users=True), Owner("others", users=True)
    for name, conversation in {"c": "c", number: "c", number.lower(): "c", "d": "d", "chat-1": "d"}.items():
        assert await store.named(name, mine) == [conversation]
        assert await store.named(name, others) == []
    assert await store.named("chat-1", Owner("people")) == []
    assert await store.named("nothing", mine) == []


async def test_without_an_owner_only_what_nobody_else_can_choose_is_a_name(store: Store) -> None:
    number = await closed(store)
    await begin(store, "d", "people/one", external="c")
    assert await store.named("c") == ["c"]
    assert await store.named(number) == ["c"]
    assert await store.named("chat-1") == []
    assert await store.named("c", Owner("people", users=True)) == ["c", "d"]


async def test_the_clients_own_id_leads_to_the_newest_of_that_name(store: Store) -> None:
    await begin(store, "a", "people/one", at=1, external="x")
    await begin(store, "b", "people/two", at=2, external="x")
    assert await store.named("x", Owner("people", users=True)) == ["b", "a"]


async def test_receipts_are_found_after_a_rebuild_and_after_an_erasure(store: Store) -> None:
    number = await closed(store)
    await store.commit("c", lambda tree: [Erased(at=1)])
    await store.rebuild()
    assert await store.named(number) == ["c"]


async def test_receipts_of_a_file_of_an_older_version_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(support.sqlite_url(tmp_path))
    number = await closed(store)
    await store.close()
    (step,) = (step for step in sqlite._migrations() if "TABLE receipts" in step)
    with closing(sqlite3.connect(tmp_path / "adjourn.db")) as database:
        for table in ("receipts", "feedback"):
            database.execute(f"DROP TABLE {table}")
        for index in ("scope", "named"):
            database.execute(f"DROP INDEX conversations_{index}")
        for statement in step.split(";\n"):
            database.execute(statement)
        assert database.execute("SELECT * FROM receipts").fetchall() == [(number, "c")]


# Feedback


async def test_feedback_comes_back_in_order_of_one_conversation_or_of_all_since_a_time(store: Store) -> None:
    kept = [said("c", 5, "u1"), said("d", 6), said("c", 7, text=None)]
    for one in kept:
        await store.comment(one)
    assert await store.feedback() == kept
    assert await store.feedback("c") == [kept[0], kept[2]]
    assert await store.feedback(since=6) == kept[1:]
    assert await store.feedback("nobody") == []


async def test_an_erasure_takes_the_words_of_feedback_and_leaves_what_they_thought(store: Store) -> None:
    await closed(store)
    for conversation in ("c", "d"):
        await store.comment(said(conversation, 5, "u1"))
    await erase(store, "c", 9)
    assert await store.feedback("c") == [said("c", 5, "u1", text=None)]
    assert await store.feedback("d") == [said("d", 5, "u1")]


async def test_the_words_of_feedback_that_were_erased_are_in_no_file_any_more(tmp_path: Path) -> None:
    store = open_store(support.sqlite_url(tmp_path))
    await closed(store)
    await store.comment(said("c", text="unlike any other"))
    await erase(store, "c", 9)
    files = list(tmp_path.iterdir())
    assert files
    assert not any(b"unlike any other" in file.read_bytes() for file in files)
    await store.close()


async def test_a_rebuild_leaves_feedback_alone(store: Store) -> None:
    await closed(store)
    await store.comment(said("c"))
    await store.rebuild()
    assert await store.feedback() == [said("c")]


# Erasing


async def test_erasing_twice_is_recorded_once_and_what_came_in_between_is_erased_too(store: Store) -> None:
    await closed(store)
    for _ in range(2):
        await erase(store, "c", 9)
    assert await erasures(store, "c") == 1
    await store.comment(said("c"))
    await erase(store, "c", 10)
    assert (await erasures(store, "c"), await store.texts("c")) == (2, {})
    assert [one.text for one in await store.feedback("c")] == [None]


async def test_an_erasure_takes_nothing_of_what_is_written_after_it_in_the_same_transaction(tmp_path: Path) -> None:
    store = open_store(support.sqlite_url(tmp_path))
    await store.keep(support.QUICK)
    await support.commit_turns(store, [support.message("u1", None)], conversation="c")
    writes, waiting = threading.Event(), threading.Event()

    def slow(tree: Tree) -> Iterable[Event]:
        writes.set()
        assert waiting.wait(5)
        return ()

    first = asyncio.ensure_future(store.commit("d", slow))
    await asyncio.to_thread(writes.wait, 5)
    erasing = asyncio.ensure_future(store.commit("c", lambda tree: (Erased(at=9),)))
    answering = asyncio.ensure_future(support.commit_turns(store, [support.reply("a1", "u1")], conversation="c"))
    await asyncio.sleep(0)  # both wait now
    waiting.set()
    await asyncio.gather(first, erasing, answering)
    assert list(await store.texts("c")) == ["a1"]
    assert (await verify(store, "c", await store.policies())).faults == []
    await store.close()


async def test_erasing_what_does_not_exist_is_refused_in_a_sentence(store: Store) -> None:
    with pytest.raises(UnknownConversation, match="there is no conversation nobody"):
        await erase(store, "nobody", 9)


class Clock:
    """A time that moves when somebody rests, and a rest that ends when the test says so."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.rested: list[float] = []
        self.begun = asyncio.Semaphore(0)
        self.over = asyncio.Semaphore(0)

    async def rest(self, seconds: float) -> None:
        self.rested.append(seconds)
        if seconds < HOUR_SECONDS:
            return
        self.begun.release()
        await self.over.acquire()
        self.at += round(seconds * 1000)


async def words_kept(store: Store) -> list[str]:
    return [name for name in await store.ids() if await store.texts(name)]


async def test_what_is_older_than_the_retention_is_erased_at_once_and_then_every_hour(store: Store) -> None:
    keep, clock = 30 * DAY, Clock(100 * DAY)
    for name, age in (("old", 31 * DAY), ("soon", 30 * DAY - 1000), ("young", DAY)):
        await support.commit_turns(
            store, [support.message("u1", None, support.CALM, at=clock.at - age)], conversation=name
        )
        await store.keep(support.QUICK)
    task = asyncio.create_task(retain(store, keep, now=lambda: clock.at, rest=clock.rest))
    await clock.begun.acquire()
    assert await words_kept(store) == ["soon", "young"]
    assert clock.rested[-1] == HOUR_SECONDS
    assert len(clock.rested) == 2  # one between two erasures, so that turns are written in between
    clock.over.release()
    await clock.begun.acquire()
    assert await words_kept(store) == ["young"]
    clock.over.release()
    await clock.begun.acquire()
    assert [await erasures(store, name) for name in ("old", "soon", "young")] == [1, 1, 0]
    policies = await store.policies()
    for name in await store.ids():
        assert (await verify(store, name, policies)).faults == []
    task.cancel()


async def test_a_held_conversation_that_is_old_is_erased_as_well_and_stays_held(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CLEAR_RISK, at=1)])
    clock = Clock(100 * DAY)
    task = asyncio.create_task(retain(store, DAY, now=lambda: clock.at, rest=clock.rest))
    await clock.begun.acquire()
    assert await words_kept(store) == []
    assert await store.see("c", lambda tree: tree.held) is Hold.SHOWN
    task.cancel()


async def test_old_words_of_feedback_alone_are_erased_and_young_ones_wait(store: Store) -> None:
    await begin(store, "c", "people", at=1)
    await store.comment(said("c", at=50))
    assert await store.older(50, 10) == []
    assert [line.id for line in await store.older(51, 10)] == ["c"]
    await erase(store, "c", 60)
    assert await store.older(100, 10) == []


async def test_a_refused_message_that_was_kept_for_its_risk_counts_as_the_newest(store: Store) -> None:
    await closed(store, at=5)
    await support.say(store, "calm", "e1", support.CALM, at=800)
    assert [line.id for line in await store.older(6, 10)] == ["c"]
    await support.say(store, "unread", "e1", support.UNREAD, at=900)
    assert await store.older(900, 10) == []
    assert [line.id for line in await store.older(901, 10)] == ["c"]


async def test_a_conversation_that_goes_on_meanwhile_is_not_erased(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CALM, at=1)])
    clock, look = Clock(100 * DAY), store.older

    async def older_and_then_a_message(at: int, limit: int) -> object:
        found = await look(at, limit)
        if found:
            await support.commit_turns(store, [support.message("u2", "u1", support.CALM, at=clock.at)])
        return found

    store.older = older_and_then_a_message  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(retain(store, DAY, now=lambda: clock.at, rest=clock.rest))
    await clock.begun.acquire()
    assert set(await store.texts("c")) == {"u1", "u2"}
    task.cancel()


async def test_what_cannot_be_erased_holds_up_nothing_and_is_tried_again_an_hour_later(store: Store) -> None:
    for name in ("c", "d"):
        await support.commit_turns(store, [support.message("u1", None, support.CALM, at=1)], conversation=name)
    clock, write = Clock(100 * DAY), store.commit

    async def fails(conversation: str, *arguments: Any) -> object:
        if conversation == "c":
            raise StoreError("it is damaged")
        return await write(conversation, *arguments)

    store.commit = fails  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(retain(store, DAY, now=lambda: clock.at, rest=clock.rest))
    await clock.begun.acquire()
    assert await words_kept(store) == ["c"]
    store.commit = write  # type: ignore[method-assign]
    clock.over.release()
    await clock.begun.acquire()
    assert await words_kept(store) == []
    task.cancel()


async def test_the_version_stays_until_something_is_written(store: Store) -> None:
    before = await store.version()
    assert await store.version() == before
    await store.comment(Feedback(conversation="c_1", about=None, rating=Rating.UP, at=1))
    assert await store.version() != before
