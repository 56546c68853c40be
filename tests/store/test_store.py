"""What every store does, and what the one in a file does besides."""

import asyncio
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, rule

from adjourn.core import acts
from adjourn.core.errors import CallerError, Impossible, StoreError, UnknownKey
from adjourn.core.events import AttemptEnded, Erased, Event, Outcome, Reopened
from adjourn.core.machine import Hold, Stage
from adjourn.core.policy import Policy
from adjourn.core.tree import Node, Tree, after, fold
from adjourn.store import Sealed, Store, key_digest, new_key, open_store, sealed, sqlite, writer
from adjourn.store.codec import first_head, next_head
from adjourn.store.interface import Decide, Lookup
from adjourn.store.keys import PREFIX
from adjourn.store.sqlite import SqliteStore, migrate
from adjourn.store.verify import verify
from tests import support
from tests.store.histories import POLICIES, History, Move, moves


@asynccontextmanager
async def opened(url: str, busy_seconds: float = sqlite.BUSY_SECONDS) -> AsyncIterator[Store]:
    store = open_store(url, busy_seconds=busy_seconds)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(support.sqlite_url(tmp_path)) as store:
        yield store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of `in_file`."""
    return tmp_path / "adjourn.db"


@contextmanager
def direct(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as database:
        yield database


@contextmanager
def held_by_another(file: Path) -> Iterator[None]:
    """Another process has a write transaction open."""
    with direct(file) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def seen(tree: Tree) -> dict[str, object]:
    """What there is to know of a tree besides its nodes, as plain data that outlives the look."""
    return {name: value for name, value in vars(tree).items() if name != "nodes"}


async def events_of(store: Store, conversation: str = "c") -> list[Event]:
    return [row.event for row in await store.read(conversation)]


async def nodes_of(store: Store, names: Sequence[str], conversation: str = "c") -> dict[str, Node]:
    return await store.see(conversation, lambda tree: {name: tree.nodes[name] for name in names})


async def kept_as_folded(store: Store, conversation: str = "c") -> None:
    """Check that what is kept is what the log says when it is read from its beginning."""
    folded = fold(await events_of(store, conversation), conversation)
    assert await store.see(conversation, seen) == seen(folded)
    assert await nodes_of(store, list(folded.nodes), conversation) == dict(folded.nodes)


def opening(conversation: str = "c", at: int = 0) -> Callable[[Tree], list[Event]]:
    return lambda tree: [acts.opening(conversation, support.QUICK, scope="people", at=at)]


# Appending and reading


async def test_what_was_committed_is_read_back_in_order_with_numbers_from_one(store: Store) -> None:
    first = await support.commit_turns(store, [support.message("u1", None, support.CALM)])
    second = await support.commit_turns(store, [support.reply("a1", "u1", support.HELP)])
    rows = await store.read("c")
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert tuple(row.event for row in rows) == first.events + second.events
    assert (first.first, second.first) == (1, len(first.events) + 1)
    assert {row.conversation for row in rows} == {"c"}
    assert [row.name for row in rows][:2] == ["opened", "signals"]


async def test_each_event_carries_the_digest_of_all_before_it(store: Store) -> None:
    await support.commit_turns(store, support.to_last_resort())
    head = first_head("c")
    for row in await store.read("c"):
        head = next_head(head, row.name, row.body)
        assert row.head == head
    line = await store.line("c")
    assert line is not None
    assert line[1] == head


async def test_reading_after_a_number_brings_only_what_is_newer(store: Store) -> None:
    await support.commit_turns(store, support.to_last_resort())
    rows = await store.read("c")
    assert await store.read("c", after=3) == rows[3:]
    assert await store.read("c", after=len(rows)) == []


async def test_a_conversation_that_does_not_exist_reads_as_empty_and_is_not_made_by_looking(store: Store) -> None:
    assert await store.read("nobody") == []
    assert await store.texts("nobody") == {}
    assert await store.line("nobody") is None
    assert await store.see("nobody", lambda tree: (tree.id, tree.number, tree.opened)) == ("nobody", 0, None)
    assert await store.conversations() == []


async def test_conversations_do_not_see_each_other(store: Store) -> None:
    await support.commit_turns(store, support.to_question(), conversation="one")
    await support.commit_turns(store, [support.message("u1", None, support.CLEAR_RISK)], conversation="two")
    assert await store.see("one", lambda tree: (tree.held, tree.stage("a1"))) == (Hold.NO, Stage.ASKED)
    assert await store.see("two", lambda tree: tree.held) is Hold.SHOWN
    assert set(await store.texts("two")) == {"u1"}


async def test_a_commit_decides_on_what_the_one_before_it_wrote(store: Store) -> None:
    await support.commit_turns(store, support.to_last_resort())
    closed, late = await asyncio.gather(support.close(store, "e1", "u3"), support.say(store, "u4", "u3", support.CALM))
    assert (closed, late) == (True, False)
    assert await store.see("c", lambda tree: tree.stage("e1")) is Stage.ENDED


async def test_nothing_is_written_if_decide_raises(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CALM)])
    before = await store.read("c"), await store.texts("c"), await store.conversations()
    text = sealed("x", "never said")

    def refuse(tree: Tree) -> list[Event]:
        raise CallerError("no")

    def fail_midway(tree: Tree) -> Iterator[Event]:
        yield Reopened(reason="", at=1)
        raise CallerError("no")

    for decide in (refuse, fail_midway):
        with pytest.raises(CallerError, match="no"):
            await store.commit("c", decide, [text])
        with pytest.raises(CallerError, match="no"):
            await store.commit("new", decide, [text])
    assert (await store.read("c"), await store.texts("c"), await store.conversations()) == before
    assert await store.read("new") == []
    await kept_as_folded(store)


async def test_nothing_is_written_if_a_text_cannot_be(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CALM)])
    before = await store.read("c"), await store.texts("c"), await store.conversations()
    half = Sealed("u2", "\ud800", b"salt")  # half a character: no text at all
    turn = support.message("u2", "u1", support.CALM)
    with pytest.raises(UnicodeEncodeError):
        await store.commit("c", lambda tree: support.play(tree, [turn]), [half])
    assert (await store.read("c"), await store.texts("c"), await store.conversations()) == before
    await kept_as_folded(store)
    assert await support.say(store, "u2", "u1", support.CALM)
    await kept_as_folded(store)


async def test_a_commit_of_nothing_changes_nothing(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CALM)])
    before = await store.read("c"), await store.conversations()
    committed = await store.commit("c", lambda tree: [], [sealed("x", "never said")])
    assert committed.events == ()
    await store.commit("new", lambda tree: [])
    assert (await store.read("c"), await store.conversations()) == before
    assert set(await store.texts("c")) == {"u1"}


async def test_the_first_event_opens_the_conversation_and_no_other_does(store: Store) -> None:
    with pytest.raises(Impossible, match="event 1"):
        await store.commit("c", lambda tree: [Reopened(reason="", at=0)])
    await store.commit("c", opening())
    with pytest.raises(Impossible, match="event 2"):
        await store.commit("c", opening())
    assert len(await store.read("c")) == 1


async def test_what_decide_does_to_the_tree_that_it_is_shown_is_not_kept(store: Store) -> None:
    await support.commit_turns(store, [support.message("u1", None, support.CALM)])

    def scribble(tree: Tree) -> list[Event]:
        tree.nodes["u1"] = tree.nodes["u1"]._replace(stage=Stage.ENDED)
        tree.held = Hold.SHOWN
        return []

    await store.commit("c", scribble)
    await store.see("c", scribble)
    await kept_as_folded(store)


# Texts


async def test_only_texts_that_an_event_names_are_kept(store: Store) -> None:
    named, unnamed = support.sealed_text("u1"), support.sealed_text("u9")
    turn = support.message("u1", None, support.CALM)
    await store.commit("c", lambda tree: support.play(tree, [turn]), [named, unnamed])
    assert await store.texts("c") == {"u1": named}


async def test_the_text_of_a_refused_message_is_kept_only_where_it_leaves_a_trace(store: Store) -> None:
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    await support.say(store, "calm", "e1", support.CALM)
    await support.say(store, "unread", "e1", support.UNREAD)
    texts = await store.texts("c")
    assert "calm" not in texts
    assert texts["unread"] == support.sealed_text("unread")


@pytest.mark.parametrize("words", ["", "due parole", "\x00 in it", "🕊️ \u202e right to left", "line\r\nline\u2028line"])
async def test_a_text_comes_back_as_it_was(store: Store, words: str) -> None:
    text = sealed("u1", words)
    turn = acts.Message(
        text=text.reference, parent=None, readings=(support.CALM,), closing=support.sealed_text("x").reference
    )
    await store.commit("c", lambda tree: support.play(tree, [turn]), [text])
    assert (await store.texts("c"))["u1"] == text


async def test_erasing_removes_texts_and_salts_and_the_log_still_verifies(store: Store) -> None:
    await support.commit_turns(store, support.to_last_resort())
    await support.commit_turns(store, support.to_question(), conversation="other")
    await store.keep(support.QUICK)
    rows = await store.read("c")
    await store.commit("c", lambda tree: [Erased(at=1)])
    assert await store.texts("c") == {}
    assert await store.texts("other") != {}
    assert (await store.read("c"))[: len(rows)] == rows
    assert (await verify(store, "c", await store.policies())).faults == []
    await support.respond(store, "a3", "u3", support.HELP)
    assert set(await store.texts("c")) == {"a3"}
    assert (await verify(store, "c", await store.policies())).faults == []


async def test_an_erased_text_is_in_no_file_any_more_not_even_while_the_store_is_open(tmp_path: Path) -> None:
    def found(what: bytes) -> bool:
        return any(what in path.read_bytes() for path in tmp_path.iterdir())

    words, salt = b"the words of u2", support.sealed_text("u2").salt
    async with opened(support.sqlite_url(tmp_path)) as store:
        await support.commit_turns(store, support.to_last_resort())
        assert found(words)
        assert found(salt)
        await store.commit("c", lambda tree: [Erased(at=1)])
        assert not found(words)
        assert not found(salt)
    assert not found(words)
    assert not found(salt)


async def test_a_text_that_was_there_for_long_is_in_no_file_any_more_once_it_is_erased(tmp_path: Path) -> None:
    url = support.sqlite_url(tmp_path)
    async with opened(url) as store:
        await support.commit_turns(store, support.to_last_resort())
    assert b"the words of u2" in (tmp_path / "adjourn.db").read_bytes()
    async with opened(url) as store:
        await store.commit("c", lambda tree: [Erased(at=1)])
        assert not any(b"the words of u2" in path.read_bytes() for path in tmp_path.iterdir())


# Look-ups, the client's ids, secrets


async def test_only_look_ups_to_nodes_that_came_are_kept_and_an_erasure_takes_them(store: Store) -> None:
    turn = support.message("u1", None, support.CALM)
    named, unnamed = Lookup(b"one", b"1", "c", "u1", own=True), Lookup(b"two", b"2", "c", "u9", own=True)
    await store.commit("c", lambda tree: support.play(tree, [turn]), [], [named, unnamed])
    other = Lookup(b"one", b"1", "d", "u1", own=False)
    await store.commit("d", lambda tree: support.play(tree, [turn]), [], [other])
    assert sorted(await store.find([b"one", b"two", b"three"]), key=str) == sorted([named, other], key=str)
    assert await store.find([]) == []
    assert len(await store.find([b"%d" % n for n in range(2000)] + [b"one"])) == 2
    await store.commit("c", lambda tree: [Erased(at=1)])
    assert await store.find([b"one", b"two"]) == [other]


async def test_what_came_of_an_attempt_is_kept_with_its_digest_and_found_until_it_is_erased(store: Store) -> None:
    await store.keep(support.QUICK)
    await support.say(store, "u1", None, support.CALM)
    text, lookup = sealed("t1", "It is"), Lookup(b"broken", b"", "c", "t1", own=True)
    ended = AttemptEnded(attempt="t1", outcome=Outcome.INTERRUPTED, digest=text.digest)
    await store.commit("c", lambda tree: [ended], [text], [lookup])
    assert (await store.texts("c"))["t1"] == text
    assert await store.find([b"broken"], "c") == [lookup]
    assert (await verify(store, "c", await store.policies())).faults == []
    nothing = AttemptEnded(attempt="t2", outcome=Outcome.FAILED)
    await store.commit("c", lambda tree: [nothing], [sealed("t2", "")], [Lookup(b"no", b"", "c", "t9", own=True)])
    assert (await store.texts("c")).keys() == {"u1", "t1"}
    await store.commit("c", lambda tree: [Erased(at=1)])
    assert await store.find([b"broken"]) == []
    assert (await verify(store, "c", await store.policies())).faults == []
    lost = AttemptEnded(attempt="t3", outcome=Outcome.INTERRUPTED, digest=text.digest)
    await store.commit("c", lambda tree: [lost])
    assert (await verify(store, "c", await store.policies())).faults == [
        f"event {len(await store.read('c'))}: the text of t3 is gone, and was not erased"
    ]


async def test_the_clients_own_id_names_one_conversation_of_its_scope_whoever_opens_it_first(store: Store) -> None:
    async def open_with(name: str, scope: str, external: str | None, at: int) -> bool:
        begun = acts.opening(name, support.QUICK, scope=scope, external=external, at=at)
        return (await store.commit(name, lambda tree: [begun])).overtaken

    assert not await open_with("first", "people", "x", 1)
    assert await open_with("late", "people", "x", 2)
    assert not await open_with("elsewhere", "others", "x", 3)
    assert not await open_with("without", "people", None, 4)
    assert await store.read("late") == []
    assert await store.external("people", "x") == "first"
    assert await store.external("others", "x") == "elsewhere"
    assert await store.external("others", "y") is None


async def test_a_message_is_taken_once_and_a_claim_of_it_counts_too(store: Store) -> None:
    text, again = sealed("u1", "Hello."), sealed("u2", "Hello.")
    looked = [Lookup(b"path", b"alone", "c", node, own=True) for node in ("u1", "u2")]

    def taking(kept: Sealed) -> Decide:
        def decide(tree: Tree) -> Iterable[Event]:
            begun = () if tree.opened else (acts.opening("c", support.QUICK, scope="people"),)
            message = acts.Message(kept.reference, None, (support.CALM,), acts.Text(""))
            return (*begun, *acts.receive(after(tree, begun), message, support.QUICK))

        return decide

    assert not (await store.commit("c", taking(text), [text], looked[:1])).overtaken
    before = await store.read("c")
    assert (await store.commit("c", taking(again), [again], looked[1:])).overtaken
    assert await store.read("c") == before
    assert [lookup.node for lookup in await store.find([b"path"], "c")] == ["u1"]
    assert [lookup.node for lookup in await store.find([b"alone"], "c", alone=True)] == ["u1"]
    assert await store.find([b"alone"], "d", alone=True) == []
    assert await store.find([b"alone"], alone=True) == []  # in all conversations, only what this host said


async def test_a_secret_is_made_once_for_each_name(store: Store) -> None:
    one = await store.secret("one")
    assert len(one) == 32
    assert await store.secret("one") == one
    assert await store.secret("two") != one


async def test_a_secret_is_the_same_for_all_who_use_the_file_and_for_no_other_file(tmp_path: Path) -> None:
    url = support.sqlite_url(tmp_path)
    async with opened(url) as one, opened(url) as two, opened(f"{url}.other") as other:
        secret = await one.secret("one")
        assert await two.secret("one") == secret
        assert await other.secret("one") != secret


# The list, policies, what is kept beside the events


async def test_a_key_is_found_by_its_digest_alone_and_listed_the_oldest_first(store: Store) -> None:
    assert not await store.has_keys()
    younger, secret = new_key("laptop", 2)
    older, _ = new_key("server", 1)
    await store.add_key(younger, key_digest(secret))
    await store.add_key(older, key_digest("another"))
    assert await store.has_keys()
    assert await store.keys() == [older, younger]
    assert await store.key(key_digest(secret)) == younger
    for wrong in (secret.encode(), key_digest(secret + "x"), key_digest(younger.id), b""):
        assert await store.key(wrong) is None


async def test_a_revoked_key_says_when_and_stays_in_the_list_for_good(store: Store) -> None:
    kept, other = new_key("laptop", 1)[0], new_key("server", 1)[0]
    await store.add_key(kept, b"kept")
    await store.add_key(other, b"other")
    gone = await store.revoke_key(kept.id, 7)
    assert (gone.revoked_at, gone.opens, other.opens) == (7, False, True)
    assert await store.key(b"kept") == gone
    assert await store.key(b"other") == other
    with pytest.raises(CallerError, match=f"the key {kept.id} was revoked already"):
        await store.revoke_key(kept.id, 8)
    with pytest.raises(UnknownKey, match="there is no key k_none"):
        await store.revoke_key("k_none", 8)
    assert await store.key(b"kept") == gone
    assert await store.has_keys()
    assert len(await store.keys()) == 2


async def test_a_key_that_somebody_else_made_or_revoked_is_so_at_once(tmp_path: Path) -> None:
    async with opened(support.sqlite_url(tmp_path)) as one, opened(support.sqlite_url(tmp_path)) as two:
        assert not await one.has_keys()
        key, secret = new_key("laptop", 1)
        await two.add_key(key, key_digest(secret))
        assert await one.has_keys()
        assert await one.key(key_digest(secret)) == key
        await two.revoke_key(key.id, 2)
        assert await one.key(key_digest(secret)) == replace(key, revoked_at=2)


async def test_the_key_itself_is_in_no_file(tmp_path: Path) -> None:
    key, secret = new_key("laptop", 1)
    async with opened(support.sqlite_url(tmp_path)) as store:
        await store.add_key(key, key_digest(secret))
        files = [file.read_bytes() for file in tmp_path.iterdir()]
        assert any(key_digest(secret) in file for file in files)
        assert not any(secret.removeprefix(PREFIX).encode() in file for file in files)


def test_keys_are_random_and_known_at_sight() -> None:
    made = [new_key("laptop", 1) for _ in range(100)]
    assert len({key.id for key, _ in made} | {secret for _, secret in made}) == 200
    assert all(re.fullmatch(r"adj_[\w-]{43}", secret) for _, secret in made)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31m", "x" * 101])
def test_a_name_that_cannot_be_read_in_a_list_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(CallerError, match="1 to 100 characters that can be printed"):
        new_key(name, 1)


async def test_conversations_are_listed_newest_first(store: Store) -> None:
    for name, at in (("old", 1000), ("new", 3000), ("mid", 2000)):
        await support.say(store, "u1", None, support.CALM, conversation=name, at=at)
    assert [line.id for line in await store.conversations()] == ["new", "mid", "old"]
    await support.say(store, "u2", "u1", support.CALM, conversation="old", at=4000)
    assert [line.id for line in await store.conversations()] == ["old", "new", "mid"]


async def test_conversations_of_the_same_time_are_listed_by_their_ids(store: Store) -> None:
    for name in ("b", "è", "a", "Z", "\U0001f600"):
        await store.commit(name, opening(name))
    assert [line.id for line in await store.conversations()] == ["Z", "a", "b", "è", "\U0001f600"]


async def test_a_line_of_the_list_says_what_became_of_the_conversation(store: Store) -> None:
    await store.commit("c", opening(at=500))
    await support.commit_turns(store, support.to_last_resort())
    await support.commit_turns(store, [support.closing("e1", "u3", at=9000)])
    (line,) = await store.conversations()
    assert (line.opened_at, line.last_at, line.messages) == (500, 9000, 6)
    assert (line.scope, line.external, line.ended, line.held) == ("people", None, True, Hold.NO)
    assert line.number == len(await store.read("c"))
    await support.say(store, "u9", None, support.CLEAR_RISK)
    (line,) = await store.conversations()
    assert (line.ended, line.held, line.last_at) == (False, Hold.SHOWN, 9000)
    kept = await store.line("c")
    assert kept is not None
    assert kept[0] == line


async def test_rules_are_told_in_the_order_in_which_they_came_into_use(store: Store) -> None:
    old, first, second = (Policy(revision=name) for name in ("old", "first", "second"))
    for policy, at in [(second, 9), (first, 5), (old, None), (first, 12), (second, 3)]:
        await store.keep(policy, at)
    assert await store.rules() == [(old, None), (first, 5), (second, 9)]


async def test_policies_are_kept_by_their_digests_and_once(store: Store) -> None:
    exact = Policy(revision="whole numbers", idle_reset=12, rollout={"enforce": 1})
    for policy in (*POLICIES, *POLICIES, exact):
        await store.keep(policy)
    assert await store.policies() == {policy.digest: policy for policy in (*POLICIES, exact)}
    assert all(policy.digest == digest for digest, policy in (await store.policies()).items())


async def test_rebuilding_makes_the_same_again(store: Store) -> None:
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    await support.commit_turns(store, [support.message("u1", None, support.FAINT)], conversation="d")
    lines = await store.conversations()
    kept = [await store.line(line.id) for line in lines]
    trees = [await store.see(line.id, seen) for line in lines]
    assert await store.rebuild() == 2
    assert await store.conversations() == lines
    assert [await store.line(line.id) for line in lines] == kept
    assert [await store.see(line.id, seen) for line in lines] == trees
    await kept_as_folded(store, "c")
    await kept_as_folded(store, "d")
    await support.say(store, "u4", "a2", support.CALM)
    await kept_as_folded(store)


async def test_looking_sees_one_state_of_the_tree_while_commits_go_on(store: Store) -> None:
    """Each commit brings a message and its answer: no look may find one without the other."""
    await store.commit("c", opening())

    async def write(round_: int) -> None:
        turns: list[support.Turn] = [
            support.message(f"u{round_}", None, support.CALM),
            support.reply(f"a{round_}", f"u{round_}", support.HELP),
        ]
        await support.commit_turns(store, turns)

    def look(tree: Tree) -> tuple[int, int]:
        count = sum(f"u{n}" in tree.nodes and f"a{n}" in tree.nodes for n in range(60))
        return tree.number, 4 * count + 1

    found = await asyncio.gather(*(f(n) for n in range(60) for f in (write, lambda _: store.see("c", look))))
    looked = [pair for pair in found if pair is not None]
    assert len(looked) == 60
    assert all(number == expected for number, expected in looked)


async def test_what_looking_raises_is_raised(store: Store) -> None:
    await store.commit("c", opening())
    with pytest.raises(KeyError, match="nowhere"):
        await store.see("c", lambda tree: tree.nodes["nowhere"])
    assert await store.see("c", lambda tree: tree.number) == 1


# Many at once


async def test_of_many_commits_at_once_the_one_that_raises_is_left_out_alone(in_file: Store, file: Path) -> None:
    await in_file.commit("c", opening())
    culprit = 37

    def decide(number: int) -> Callable[[Tree], acts.Events]:
        turn = support.message(f"u{number}", None, support.CALM)

        def run(tree: Tree) -> acts.Events:
            if number == culprit:
                raise CallerError("number 37")
            return acts.receive(tree, turn, support.QUICK)

        return run

    results = await asyncio.gather(
        *(in_file.commit("c", decide(n), [support.sealed_text(f"u{n}")]) for n in range(64)), return_exceptions=True
    )
    failed = [n for n, result in enumerate(results) if isinstance(result, BaseException)]
    assert failed == [culprit]
    assert str(results[culprit]) == "number 37"
    expected = {f"u{n}" for n in range(64)} - {"u37"}
    with direct(file) as database:  # durable: another connection finds them in the file
        rows = database.execute("SELECT body FROM events WHERE name = 'user_received'").fetchall()
    assert len(rows) == 63
    assert set(await in_file.texts("c")) == expected
    await kept_as_folded(in_file)


async def test_commits_that_wait_together_are_committed_together(
    in_file: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write, first_began, go_on = writer.write_together, threading.Event(), threading.Event()

    def counted(
        path: Path, database: sqlite3.Connection, remembered: writer.Remembered, batch: Sequence[writer.Waiting]
    ) -> None:
        sizes.append(len(batch))
        first_began.set()
        go_on.wait()
        write(path, database, remembered, batch)

    monkeypatch.setattr(writer, "write_together", counted)
    waiting = [asyncio.ensure_future(in_file.commit("c0", opening("c0")))]
    await asyncio.to_thread(first_began.wait)
    waiting += [asyncio.ensure_future(in_file.commit(f"c{n}", opening(f"c{n}"))) for n in range(1, 101)]
    await asyncio.sleep(0)  # each puts its work into the queue
    go_on.set()
    await asyncio.gather(*waiting)
    assert sizes == [1, writer.TOGETHER, 100 - writer.TOGETHER]


async def test_commits_whose_callers_went_away_do_not_break_the_writer(in_file: Store, file: Path) -> None:
    with held_by_another(file):
        tasks = [asyncio.ensure_future(in_file.commit(f"c{n}", opening(f"c{n}"))) for n in range(64)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
    outcome = await results
    assert all(isinstance(result, asyncio.CancelledError) for result in outcome[::2])
    for n in range(1, 64, 2):
        assert len(await in_file.read(f"c{n}")) == 1
    await in_file.commit("after", opening("after"))
    for line in await in_file.conversations():  # a cancelled one may have been written, but then whole
        await kept_as_folded(in_file, line.id)


async def test_closing_finishes_what_waits_and_then_refuses_in_a_sentence(tmp_path: Path) -> None:
    url = support.sqlite_url(tmp_path)
    store = open_store(url)
    waiting = [asyncio.ensure_future(store.commit(f"c{n}", opening(f"c{n}"))) for n in range(150)]
    await asyncio.sleep(0)
    await store.close()
    assert all(result.first == 1 for result in await asyncio.gather(*waiting))
    with pytest.raises(StoreError, match="is closed"):
        await store.commit("late", opening("late"))
    with pytest.raises(StoreError, match="is closed"):
        await store.read("c1")
    await store.close()
    async with opened(url) as again:
        assert len(await again.conversations()) == 150


# Several stores on one file


async def test_what_one_store_wrote_another_on_the_same_file_goes_on_from(tmp_path: Path) -> None:
    url = support.sqlite_url(tmp_path)
    async with opened(url) as one, opened(url) as two:
        await support.commit_turns(one, support.to_last_resort()[:3])
        await support.commit_turns(two, support.to_last_resort()[3:])
        assert await support.close(one, "e1", "u3")
        assert not await support.say(two, "u4", "e1", support.CALM)
        await one.keep(support.QUICK)
        assert await one.read("c") == await two.read("c")
        assert (await verify(two, "c", await two.policies())).faults == []
        await kept_as_folded(one)
    async with opened(url) as again:
        assert await again.see("c", lambda tree: tree.stage("e1")) is Stage.ENDED
        assert set(await again.texts("c")) == {"u1", "a1", "u2", "a2", "u3", "e1"}


def test_a_new_file_may_be_opened_by_several_at_once(tmp_path: Path) -> None:
    for round_ in range(25):
        url, start = f"sqlite:///{tmp_path / str(round_)}/new.db", threading.Barrier(4)
        failed: list[StoreError] = []

        def open_it(url: str = url, start: threading.Barrier = start, failed: list[StoreError] = failed) -> None:
            start.wait()
            try:
                asyncio.run(open_store(url).close())
            except StoreError as error:
                failed.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


def test_opening_a_new_file_waits_while_another_process_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here SQLite gives up at once, whatever its busy time; what is patched is the moment that the store waits."""
    with direct(tmp_path / "adjourn.db") as other:
        other.execute("BEGIN IMMEDIATE")
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: other.execute("COMMIT"))
        monkeypatch.setattr(sqlite, "time", clock)
        asyncio.run(open_store(support.sqlite_url(tmp_path)).close())
        assert not other.in_transaction


def test_opening_a_new_file_that_another_process_keeps_fails_in_a_sentence(tmp_path: Path) -> None:
    with direct(tmp_path / "adjourn.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            open_store(support.sqlite_url(tmp_path), busy_seconds=0.01)


async def test_a_reader_does_not_wait_for_a_writer(in_file: Store, file: Path) -> None:
    await support.commit_turns(in_file, support.to_question())
    with held_by_another(file):
        async with asyncio.timeout(sqlite.BUSY_SECONDS / 2):
            assert len(await in_file.read("c")) > 0
            assert await in_file.see("c", lambda tree: tree.stage("a1")) is Stage.ASKED
            assert set(await in_file.texts("c")) == {"u1", "a1"}
            assert len(await in_file.conversations()) == 1
            assert await in_file.policies() == {}


async def test_who_only_reads_may_open_the_file_while_another_writes(in_file: Store, file: Path) -> None:
    await support.commit_turns(in_file, support.to_question())
    with held_by_another(file):
        async with asyncio.timeout(sqlite.BUSY_SECONDS / 2), opened(f"sqlite:///{file}") as second:
            assert await second.read("c") == await in_file.read("c")


async def test_a_commit_that_cannot_have_its_turn_fails_in_a_sentence_and_a_later_one_succeeds(tmp_path: Path) -> None:
    async with opened(support.sqlite_url(tmp_path), busy_seconds=0.01) as store:
        with held_by_another(tmp_path / "adjourn.db"):
            for attempt in (store.commit("c", opening()), store.keep(support.QUICK), store.rebuild(), store.ready()):
                with pytest.raises(StoreError, match=r"adjourn\.db could not be used: database is locked"):
                    await attempt
        assert await store.read("c") == []
        await store.ready()
        await store.commit("c", opening())
        assert len(await store.read("c")) == 1


async def test_whether_a_store_is_ready_is_asked_without_leaving_anything_behind(in_file: Store, file: Path) -> None:
    await in_file.secret("lookups")
    await in_file.ready()
    with direct(file) as other:
        assert other.execute("SELECT name FROM secrets").fetchall() == [("lookups",)]
    await in_file.close()
    with pytest.raises(StoreError, match="is closed"):
        await in_file.ready()


# Versions of the tables


def tables(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    return database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def versions() -> range:
    files = resources.files("adjourn.store").joinpath("migrations").iterdir()
    return range(sum(file.name.endswith(".sql") for file in files))


@pytest.mark.parametrize("version", versions())
async def test_a_file_of_an_older_version_is_brought_up_to_date(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = len(versions())
    with direct(tmp_path / "new.db") as new, direct(tmp_path / "adjourn.db") as old:
        assert migrate(new) == (0, newest)
        steps = sqlite._migrations()
        with monkeypatch.context() as earlier:
            earlier.setattr(sqlite, "_migrations", lambda: steps[:version])
            migrate(old)
        assert old.execute("PRAGMA user_version").fetchone() == (version,)
        assert migrate(old) == (version, newest)
        assert tables(old) == tables(new)
        assert migrate(old) == (newest, newest)
    async with opened(support.sqlite_url(tmp_path)) as store:
        await store.commit("c", opening())


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = sqlite._migrations()
    monkeypatch.setattr(sqlite, "_migrations", lambda: [*steps, "CREATE TABLE more (x);\nCREATE TABLE more (x);\n"])
    with pytest.raises(StoreError, match="more already exists"):
        SqliteStore(tmp_path / "adjourn.db")
    with direct(tmp_path / "adjourn.db") as database:
        assert tables(database) == []
        assert database.execute("PRAGMA user_version").fetchone() == (0,)


def test_a_file_of_a_newer_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with direct(tmp_path / "adjourn.db") as database:
        migrate(database)
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=f"has version 99, this Adjourn knows up to {len(versions())}: update Adjourn"):
        SqliteStore(tmp_path / "adjourn.db")
    with direct(tmp_path / "adjourn.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


# What goes wrong with a disk


def test_a_path_that_is_a_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be used"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_path_below_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be used"):
        open_store(f"sqlite:///{tmp_path}/file/adjourn.db")


def test_a_file_that_is_no_database_is_refused_in_a_sentence_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "adjourn.db"
    path.write_bytes(b"a letter, not a database\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"a letter, not a database\n" * 100


@pytest.mark.parametrize(
    ("trouble", "says"),
    [("PRAGMA max_page_count = 1", "full"), ("PRAGMA query_only = ON", "readonly")],
    ids=["a full disk", "a read-only file"],
)
async def test_trouble_while_writing_is_a_store_error_and_what_was_there_is_still_read(
    trouble: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = support.sqlite_url(tmp_path)
    async with opened(url) as store:
        await support.commit_turns(store, support.to_question())
        rows = await store.read("c")
    whole = sqlite._open

    def troubled(path: Path, busy_seconds: float) -> sqlite3.Connection:
        database = whole(path, busy_seconds)
        database.execute(trouble)
        return database

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_open", troubled)
        async with opened(url) as store:
            large = sealed("u2", "word " * 10_000)
            turn = acts.Message(text=large.reference, parent=None, readings=(support.CALM,), closing=large.reference)
            results = await asyncio.gather(
                *(store.commit(c, lambda tree: support.play(tree, [turn]), [large]) for c in ("d", "e", "f", "c")),
                return_exceptions=True,
            )
            for result in results:
                assert isinstance(result, StoreError)
                assert says in str(result)
            assert await store.read("c") == rows
    async with opened(url) as store:
        assert [line.id for line in await store.conversations()] == ["c"]
        await kept_as_folded(store)


async def test_damage_in_what_is_kept_beside_the_events_is_a_store_error(in_file: Store, file: Path) -> None:
    await support.commit_turns(in_file, support.to_question())
    with direct(file) as database:
        database.execute("UPDATE nodes SET body = x'00ff' WHERE node = 'a1'")
    with pytest.raises(StoreError, match="cannot be read"):
        await in_file.see("c", lambda tree: tree.nodes["a1"])
    with pytest.raises(StoreError, match="cannot be read"):
        await support.say(in_file, "u2", "a1", support.CONFIRMS)
    with direct(file) as database:
        database.execute("UPDATE conversations SET facts = x'7b'")
    with pytest.raises(StoreError, match="cannot be read"):
        await support.say(in_file, "u2", "a1", support.CONFIRMS)
    await in_file.rebuild()
    assert await support.say(in_file, "u2", "a1", support.CONFIRMS)
    await kept_as_folded(in_file)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://localhost/adjourn", "not supported yet"),
        ("postgresql:///adjourn", "not supported yet"),
        ("sqlite://adjourn.db", "is needed"),
        ("sqlite:///", "is needed"),
        ("adjourn.db", "is needed"),
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence(url: str, says: str) -> None:
    with pytest.raises(CallerError, match=says):
        open_store(url)


# Random histories: the file and the memory agree, and both with the log


class Agreement(RuleBasedStateMachine):
    """The same moves on a store in memory and on one in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.url = support.sqlite_url(Path(self.folder.name))
        self.runner = asyncio.Runner()
        self.histories = {"c": History(), "d": History()}
        self.memory = open_store("memory:")
        self.file = self.runner.run(self.open())
        self.runner.run(self.begin())

    async def open(self) -> Store:
        return open_store(self.url)

    async def begin(self) -> None:
        for store in (self.memory, self.file):
            for policy in POLICIES:
                await store.keep(policy)
            for name in self.histories:
                await store.commit(name, opening(name))

    @rule(move=moves)
    def move(self, move: Move) -> None:
        self.runner.run(self.make(move, "c"))

    @rule(move=moves)
    def move_in_the_other_conversation(self, move: Move) -> None:
        self.runner.run(self.make(move, "d"))

    @rule()
    def reopen_the_file(self) -> None:
        self.runner.run(self.file.close())
        self.file = self.runner.run(self.open())
        self.runner.run(self.compare())

    @rule()
    def rebuild(self) -> None:
        assert self.runner.run(self.memory.rebuild()) == 2
        assert self.runner.run(self.file.rebuild()) == 2
        self.runner.run(self.compare())

    async def make(self, move: Move, name: str) -> None:
        history = self.histories[name]
        for step in history.steps(move):
            decide, texts = history.commit(step)
            results = [await self.attempt(store, name, decide, texts) for store in (self.memory, self.file)]
            assert results[0] == results[1]
            if not isinstance(results[0], str):
                history.note(results[0])
        await self.compare()

    async def attempt(
        self, store: Store, name: str, decide: Callable[[Tree], Sequence[Event]], texts: Sequence[Sealed]
    ) -> tuple[Event, ...] | str:
        """Return what was committed, having checked that what was kept before and this make what is kept now."""
        before = await events_of(store, name)
        try:
            committed = await store.commit(name, decide, texts)
        except CallerError as error:
            assert await events_of(store, name) == before
            return str(error)
        assert await events_of(store, name) == [*before, *committed.events]
        if committed.events:
            assert committed.first == len(before) + 1
        await kept_as_folded(store, name)
        return committed.events

    async def compare(self) -> None:
        assert await self.memory.conversations() == await self.file.conversations()
        for name in self.histories:
            assert await self.memory.read(name) == await self.file.read(name)
            assert await self.memory.texts(name) == await self.file.texts(name)
            assert await self.memory.line(name) == await self.file.line(name)
            assert await self.memory.see(name, seen) == await self.file.see(name, seen)
            await kept_as_folded(self.memory, name)
            await kept_as_folded(self.file, name)

    def teardown(self) -> None:
        self.runner.run(self.file.close())
        self.runner.close()
        self.folder.cleanup()


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
