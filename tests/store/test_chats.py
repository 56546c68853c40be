"""A person's own list of chats: what stands in it, in which order, how it is searched, and what an erasure takes."""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from adjourn.core import acts
from adjourn.core.events import Erased, Event
from adjourn.core.reading import Reading
from adjourn.core.tree import Tree, after
from adjourn.store import TEMPORARY, Below, Chat, Owner, Store, Titled, open_store, sealed, sqlite
from adjourn.store.chats import READ, TEMPORARY_MS, UNDO_MS
from adjourn.store.erase import LATE_MS, MINUTE_SECONDS, erase, forget
from tests import support

ANNA, BOB = "browser:anna", "own:k_1/browser:bob"


async def write(
    store: Store,
    name: str,
    *texts: str,
    scope: str = ANNA,
    at: int = 0,
    external: str | None = None,
    reading: Reading = support.CALM,
) -> None:
    """Have a person write these messages, one below the other, in a chat that is begun if it is not there yet."""
    for number, text in enumerate(texts):
        kept = sealed(f"{name}.{at}.{number}", text)
        turn = acts.Message(
            text=kept.reference,
            parent=None,
            readings=(reading,),
            closing=support.sealed_text("end").reference,
            at=at,
        )

        def events(tree: Tree, turn: acts.Message = turn) -> Sequence[Event]:
            begun = (
                [acts.opening(name, support.QUICK, scope=scope, external=external, at=at)]
                if tree.opened is None
                else []
            )
            return [*begun, *acts.receive(after(tree, begun), turn, support.QUICK)]

        await store.commit(name, events, [kept])


async def shown(store: Store, search: str = "", scope: str = ANNA) -> list[str]:
    return [chat.id for chat in await store.chats(scope, 100, search=search)]


async def mark(store: Store, name: str, **changes: object) -> Chat:
    chat = await store.mark(name, lambda chat: replace(chat, **changes))  # type: ignore[arg-type]
    assert chat is not None
    return chat


async def entitle(store: Store, name: str, title: str) -> Chat:
    return await mark(store, name, title=title, titled_by=Titled.PERSON)


# What stands in it, and in which order


async def test_a_list_shows_a_browsers_own_chats_the_pinned_first_then_the_newest(store: Store) -> None:
    for at, name in enumerate(("one", "two", "three")):
        await write(store, name, "hello", at=at)
    await write(store, "four", "hello", at=9, scope=BOB)
    await mark(store, "one", pinned=True)
    assert await shown(store) == ["one", "three", "two"]
    assert await shown(store, scope=BOB) == ["four"]
    assert await shown(store, scope="own:k_1") == []


async def test_what_a_program_keeps_stands_in_no_list_and_its_words_in_no_index(store: Store) -> None:
    await write(store, "one", "hello", scope="key:abc")
    assert await store.chat("one") is None
    assert await shown(store, "hello", scope="key:abc") == []
    assert await store.mark("one", lambda chat: replace(chat, pinned=True)) is None
    assert [line.id for line in await store.page(Owner("key:abc"), 10)] == ["one"]


async def test_pages_one_after_the_other_show_each_chat_once(store: Store) -> None:
    for number in range(9):
        await write(store, f"c{number}", "hello", at=1000 * (number // 3))
    for name in ("c0", "c7", "c3"):
        await mark(store, name, pinned=True)
    below, seen = None, []
    while page := await store.chats(ANNA, 2, below):
        seen += [chat.id for chat in page]
        below = Below(page[-1].pinned, page[-1].line.last_at, page[-1].id)
    assert seen == ["c7", "c3", "c0", "c6", "c8", "c4", "c5", "c1", "c2"]


async def test_a_chat_tells_how_its_first_message_begins_in_one_line_and_that_it_was_closed(store: Store) -> None:
    await write(store, "c", "  How do\n\nI bake   bread? " + "x" * 500)
    await write(store, "c", "and cake?", at=5)
    chat = await store.chat("c")
    assert chat is not None
    assert chat.beginning is not None
    assert chat.beginning.startswith("How do I bake bread? xxx")
    assert (len(chat.beginning), chat.line.last_at, chat.line.ended, chat.flagged) == (200, 5, False, False)


@pytest.mark.parametrize(
    ("reading", "flagged"),
    [
        (support.CALM, False),
        (support.ASKS, False),
        (support.FLAGGED, True),
        (support.ABUSE, True),
        (support.FAINT, True),
        (support.UNREAD, True),
    ],
)
async def test_a_chat_is_flagged_from_the_first_message_that_may_be_harm_abuse_or_risk(
    reading: Reading, flagged: bool, store: Store
) -> None:
    await write(store, "c", "hello")
    await write(store, "c", "hm", at=1, reading=reading)
    await write(store, "c", "never mind", at=2)
    chat = await store.chat("c")
    assert chat is not None
    assert chat.flagged is flagged


async def test_a_chat_put_away_or_deleted_leaves_the_list_and_a_new_message_brings_it_back(store: Store) -> None:
    await write(store, "away", "about bread")
    await write(store, "gone", "about bread")
    await mark(store, "away", away=True)
    await mark(store, "gone", deleted_at=1)
    assert await shown(store) == []
    assert await shown(store, "bread") == ["away"]
    await write(store, "away", "again", at=5)
    await write(store, "gone", "again", at=6)
    assert await shown(store) == ["gone", "away"]


async def test_only_what_a_person_may_change_is_changed_and_what_raises_changes_nothing(store: Store) -> None:
    await write(store, "c", "hello")
    before = await store.chat("c")
    assert before is not None
    assert await mark(store, "c", flagged=True, beginning="x", erased=True, title="Mine") == replace(
        before, title="Mine"
    )

    def fail(chat: Chat) -> Chat:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.mark("c", fail)
    assert await store.chat("c") == replace(before, title="Mine")


# Searching


@pytest.mark.parametrize(
    ("search", "finds"),
    [
        ("bread", ["two", "one"]),
        ("BRÈA", ["two", "one"]),
        ("bread sourdough", ["one"]),
        ("sourdough bread, please", []),
        ("read", []),
        ("perché", ["three"]),
        ("perche", ["three"]),
        ("日記", ["four"]),
        ("記", ["four"]),
        ("strasse", ["four"]),
        ("%", []),
        ("' OR 1 --", []),
        ("…", []),
    ],
)
async def test_a_search_finds_the_chats_in_which_each_of_its_words_begins_a_word(
    search: str, finds: Sequence[str], store: Store
) -> None:
    await write(store, "one", "How do I bake bread?", "With sourdough.", at=1)
    await write(store, "two", "My bread’s too hard", at=2)
    await write(store, "three", "Perché?", at=3)
    await write(store, "four", "私の日記 in der Straße", at=4)
    await write(store, "other", "bread perché 日記 strasse", scope=BOB)
    assert await shown(store, search) == finds


async def test_a_title_is_found_until_it_is_changed_and_what_was_said_still_is(store: Store) -> None:
    await write(store, "c", "hello world")
    await entitle(store, "c", "World and bread")
    assert [await shown(store, word) for word in ("bread", "world", "hello")] == [["c"]] * 3
    await entitle(store, "c", "Cake")
    assert [await shown(store, word) for word in ("bread", "world", "cake")] == [[], ["c"], ["c"]]


async def test_an_answer_is_found_and_the_end_of_a_very_long_message_is_not(store: Store) -> None:
    await write(store, "c", "first " + "x " * READ + "last")
    text = sealed("a", "a word of the assistant")
    given = acts.Reply(text=text.reference, parent="c.0.0", readings=(support.HELP,))
    await store.commit("c", lambda tree: acts.answer(tree, given, support.QUICK), [text])
    assert [await shown(store, word) for word in ("first", "last", "assistant")] == [["c"], [], ["c"]]


# Erasing


async def test_an_erasure_takes_title_beginning_and_words_and_the_chat_from_the_list(store: Store) -> None:
    for name in ("c", "other"):
        await write(store, name, "about bread")
    await entitle(store, "c", "Secret")
    await erase(store, "c", 1)
    chat = await store.chat("c")
    assert chat is not None
    assert (chat.title, chat.titled_by, chat.beginning, chat.erased) == (None, None, None, True)
    assert [await shown(store, word) for word in ("", "bread", "secret")] == [["other"], ["other"], []]
    await write(store, "c", "about cake", at=2)
    assert await shown(store) == ["c", "other"]
    assert await shown(store, "bread") == ["other"]


async def test_a_title_alone_is_erased_too(store: Store) -> None:
    await write(store, "c", "hello")
    await erase(store, "c", 1)
    await entitle(store, "c", "Later")
    await erase(store, "c", 2)
    chat = await store.chat("c")
    assert chat is not None
    assert chat.title is None


async def test_the_words_of_erased_chats_are_in_no_file_any_more(tmp_path: Path) -> None:
    """Many chats, so that pages are split and joined, and changed titles, of which nothing may stay either."""
    draw = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    store = open_store(support.sqlite_url(tmp_path))
    said: dict[str, list[str]] = {}
    for number in range(60):
        name = f"c{number}"
        said[name] = ["".join(draw.choices(letters, k=draw.randint(8, 14))) for _ in range(150)]
        for at in range(5):
            await write(store, name, " ".join(said[name][30 * at : 30 * at + 29]), at=at)
        await entitle(store, name, said[name][29])
        await entitle(store, name, said[name][59])
    erased = draw.sample(sorted(said), 40)
    for name in erased:
        await store.commit(name, lambda tree: [Erased(at=1)])
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    left = [word for name in erased for word in said[name] if word.encode() in data]
    assert left == []
    kept = next(name for name in sorted(said) if name not in erased)
    assert await shown(store, said[kept][0]) == [kept]
    await store.close()


# What a person deleted, and temporary chats


async def forget_at(store: Store, at: int) -> None:
    """Let a server look at that time, once."""

    async def rest(seconds: float) -> None:
        if seconds == MINUTE_SECONDS:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await forget(store, now=lambda: at, rest=rest)


async def test_a_deleted_chat_can_be_had_back_for_a_while_and_is_then_erased_for_good(store: Store) -> None:
    for name in ("gone", "back", "other"):
        await write(store, name, "hello")
        await mark(store, name, deleted_at=1000 if name != "other" else None)
    await forget_at(store, 1000 + UNDO_MS)
    assert await store.texts("gone") != {}
    await mark(store, "back", deleted_at=None)
    await forget_at(store, 1001 + UNDO_MS + LATE_MS)
    assert [bool(await store.texts(name)) for name in ("gone", "back", "other")] == [False, True, True]
    assert await store.overdue(10**15, 10**15, 10) == []


async def test_a_temporary_chat_is_erased_a_day_after_its_last_message_and_no_other(store: Store) -> None:
    await write(store, "t", "hello", external=f"{TEMPORARY}1", at=1000)
    await write(store, "c", "hello", external="chat-1", at=1000)
    await write(store, "t", "again", at=5000)
    await forget_at(store, 1001 + TEMPORARY_MS)
    assert await store.texts("t") != {}
    await forget_at(store, 5001 + TEMPORARY_MS)
    assert [bool(await store.texts(name)) for name in ("t", "c")] == [False, True]
    assert await shown(store) == ["c"]


async def test_a_chat_that_goes_on_meanwhile_is_not_erased(store: Store) -> None:
    await write(store, "c", "hello")
    await mark(store, "c", deleted_at=1)
    found = store.overdue

    async def overtaken(*arguments: int) -> list[Chat]:
        chats = await found(*arguments)
        await write(store, "c", "wait", at=5)
        return chats

    store.overdue = overtaken  # type: ignore[method-assign, assignment]
    await forget_at(store, 10**9)
    assert len(await store.texts("c")) == 2
    assert await shown(store) == ["c"]


# Making it again


async def everything(store: Store) -> list[Chat | None]:
    return [await store.chat(name) for name in ("one", "two", "three", "four")]


async def test_rebuilding_makes_what_follows_from_the_events_and_keeps_what_people_did(store: Store) -> None:
    await write(store, "one", "about bread", at=1)
    await write(store, "two", "about cake", at=2, reading=support.FAINT, external=f"{TEMPORARY}2")
    await write(store, "three", "about soup", at=3)
    await write(store, "four", "about soup", at=4)
    await erase(store, "three", 5)
    await erase(store, "four", 5)
    await write(store, "four", "and rice", at=6)
    await entitle(store, "one", "Loaf")
    await mark(store, "two", pinned=True, away=True)
    before = await everything(store)
    assert await store.rebuild() == 4
    assert await everything(store) == before
    assert [await shown(store, word) for word in ("bread", "loaf", "cake", "soup", "rice")] == [
        ["one"],
        ["one"],
        ["two"],
        [],
        ["four"],
    ]


async def test_chats_that_an_older_version_kept_stand_in_the_list_and_are_found(tmp_path: Path) -> None:
    url = support.sqlite_url(tmp_path)
    store = open_store(url)
    await write(store, "one", "about bread")
    await write(store, "two", "about bread", scope="key:abc")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "adjourn.db")) as database:  # as it was before there were lists
        for table in ("chats", "words"):
            database.execute(f"DROP TABLE {table}")
        database.execute("ALTER TABLE policies DROP COLUMN at")  # of the step after that of the lists
        database.execute(f"PRAGMA user_version = {sqlite.LISTS - 1}")
    store = open_store(url)
    assert await shown(store) == await shown(store, "bread") == ["one"]
    assert await store.chat("two") is None
    await store.close()


async def test_what_one_process_did_another_sees_at_once(tmp_path: Path) -> None:
    one, other = open_store(support.sqlite_url(tmp_path)), open_store(support.sqlite_url(tmp_path))
    await write(one, "c", "about bread")
    await entitle(other, "c", "Loaf")
    await write(one, "c", "and cake", at=1)
    chat = await one.chat("c")
    assert chat is not None
    assert (chat.title, chat.line.last_at) == ("Loaf", 1)
    assert [await shown(other, word) for word in ("cake", "loaf")] == [["c"], ["c"]]
    for store in (one, other):
        await store.close()
