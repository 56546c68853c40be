"""Whatever is changed in a store afterwards is found and named, and nothing is found where nothing was changed."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adjourn.core import acts
from adjourn.core.errors import CallerError
from adjourn.core.events import (
    Answer,
    Checked,
    Claimed,
    Decision,
    Ended,
    Erased,
    Event,
    ForkReplied,
    Held,
    Inherited,
    Lifted,
    Reopened,
    Signals,
    UserReceived,
    Verdict,
)
from adjourn.core.machine import AnswerKind, Ground, Hold, Registers, Stage, UserKind
from adjourn.core.recompute import DECIDED
from adjourn.store import Recorded, Sealed, Store, open_store
from adjourn.store.codec import NAMES, encode, first_head, next_head
from adjourn.store.memory import MemoryStore
from adjourn.store.verify import Verified, verify
from tests import support
from tests.store.histories import MOVES, POLICIES, SCRIPTS, History, Move, moves

REBUILD = "what is kept beside the events differs from them: `adjourn db rebuild` makes it again"


class Altered(MemoryStore):
    """A store in memory whose events and texts were changed behind its back."""

    def alter(self, rows: Sequence[Recorded], texts: Mapping[str, Sealed] | None = None) -> None:
        self._events["c"] = list(rows)
        if texts is not None:
            self._texts["c"] = dict(texts)


async def check(store: Store) -> Verified:
    return await verify(store, "c", await store.policies())


async def small() -> tuple[Altered, list[Recorded], Mapping[str, Sealed]]:
    """Return a conversation that was closed, with a late sign of risk beside it."""
    store = Altered()
    await store.keep(support.QUICK)
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    await support.say(store, "u4", "e1", support.UNREAD)
    await support.say(store, "u5", None, support.FAINT)
    return store, await store.read("c"), await store.texts("c")


def flipped(body: bytes, at: int, bits: int) -> bytes:
    return body[:at] + bytes([body[at] ^ bits]) + body[at + 1 :]


def chained(events: Sequence[Event], conversation: str = "c") -> list[Recorded]:
    """Return these events as a forger writes them who knows how the chain is made."""
    return rechained([encode(event) for event in events], conversation)


def rechained(bodies: Sequence[tuple[str, bytes]], conversation: str = "c") -> list[Recorded]:
    head, rows = first_head(conversation), []
    for number, (name, body) in enumerate(bodies, 1):
        head = next_head(head, name, body)
        rows.append(Recorded(conversation, number, name, body, head))
    return rows


# A store that nobody touched


async def test_an_untouched_conversation_has_no_fault_and_every_decision_comes_out_the_same() -> None:
    store, rows, _ = await small()
    found = await check(store)
    assert found.faults == []
    assert found.events == len(rows)
    assert found.again == sum(isinstance(row.event, DECIDED) for row in rows)
    assert found.only_chained == 0


async def test_a_conversation_that_does_not_exist_has_no_fault() -> None:
    assert await check(MemoryStore()) == Verified("c")


# Bytes


async def test_each_changed_byte_of_each_event_is_found_and_its_event_is_named() -> None:
    store, rows, _ = await small()
    dice = random.Random(1)
    for index, row in enumerate(rows):
        for at in range(len(row.body)):
            body = flipped(row.body, at, dice.randrange(1, 256))
            store.alter([*rows[:index], row._replace(body=body), *rows[index + 1 :]])
            faults = (await check(store)).faults
            assert faults[0].startswith(f"event {row.number} ("), (row, at)


async def test_each_changed_byte_of_a_digest_in_the_chain_is_found_and_its_event_is_named() -> None:
    store, rows, _ = await small()
    for index, row in enumerate(rows):
        for at in range(len(row.head)):
            store.alter([*rows[:index], row._replace(head=flipped(row.head, at, 1)), *rows[index + 1 :]])
            assert (await check(store)).faults[0].startswith(f"event {row.number} (")


async def test_a_changed_name_of_an_event_is_found() -> None:
    store, rows, _ = await small()
    for index, row in enumerate(rows):
        for name in {*NAMES, "nothing"} - {row.name}:
            store.alter([*rows[:index], row._replace(name=name), *rows[index + 1 :]])
            assert (await check(store)).faults[0].startswith(f"event {row.number} (")


async def test_each_changed_byte_of_a_text_or_its_salt_is_found_and_its_event_is_named() -> None:
    store, rows, texts = await small()
    number_of = {getattr(row.event, "text", getattr(row.event, "node", "")): row.number for row in rows[::-1]}
    for node, text in texts.items():
        variants = [replace(text, salt=flipped(text.salt, at, 1)) for at in range(len(text.salt))]
        words = text.text.encode()
        variants += [replace(text, text=flipped(words, at, 1).decode()) for at in range(len(words))]
        for altered in variants:
            store.alter(rows, {**texts, node: altered})
            faults = (await check(store)).faults
            assert len(faults) == 1
            assert faults[0].startswith(f"event {number_of[node]}: the text of {node} is not")


async def test_whatever_byte_a_forger_changes_verification_comes_to_its_end() -> None:
    """The chain is made again, so that all depends on what the events say; much of that is no decision."""
    store, rows, _ = await small()
    dice, found = random.Random(2), 0
    bodies = [(row.name, row.body) for row in rows]
    for index, (name, body) in enumerate(bodies):
        for at in range(len(body)):
            altered = flipped(body, at, dice.randrange(1, 32))
            store.alter(rechained([*bodies[:index], (name, altered), *bodies[index + 1 :]]))
            found += bool((await check(store)).faults)
    assert found > 1000


# Events


async def test_a_missing_event_is_found_and_named_wherever_it_was() -> None:
    store, rows, _ = await small()
    for index in range(len(rows)):
        store.alter([*rows[:index], *rows[index + 1 :]])
        assert f"event {index + 1} is missing" in (await check(store)).faults


async def test_a_conversation_without_its_events_is_found() -> None:
    store, _, _ = await small()
    store.alter([])
    assert (await check(store)).faults == ["event 1 is missing"]


async def test_swapped_events_are_found_and_named() -> None:
    store, rows, _ = await small()
    for index in range(len(rows) - 1):
        first, second = rows[index], rows[index + 1]
        if (first.name, first.body) == (second.name, second.body):
            continue
        in_place = second._replace(number=first.number), first._replace(number=second.number)
        store.alter([*rows[:index], *in_place, *rows[index + 2 :]])
        assert (await check(store)).faults[0].startswith(f"event {first.number} (")


async def test_an_event_put_in_is_found() -> None:
    store, rows, _ = await small()
    for index in range(1, len(rows)):
        name, body = encode(Reopened(reason="", at=1))
        between = Recorded("c", index + 1, name, body, next_head(rows[index - 1].head, name, body))
        store.alter([*rows[:index], between, *(row._replace(number=row.number + 1) for row in rows[index:])])
        assert (await check(store)).faults[0].startswith(f"event {index + 2} (")


# Texts


async def test_a_text_that_is_gone_without_an_erasure_is_found_and_its_event_is_named() -> None:
    store, rows, texts = await small()
    for node in texts:
        store.alter(rows, {name: text for name, text in texts.items() if name != node})
        (fault,) = (await check(store)).faults
        assert fault.startswith("event ")
        assert fault.endswith(f"the text of {node} is gone, and was not erased")


async def test_texts_that_were_erased_are_not_missed_and_later_ones_are() -> None:
    store, _, _ = await small()
    await store.commit("c", lambda tree: [Erased(at=1)])
    assert (await check(store)).faults == []
    await support.say(store, "u6", None, support.CALM)
    store.alter(await store.read("c"), {})
    (fault,) = (await check(store)).faults
    assert "the text of u6 is gone" in fault


async def test_a_text_that_is_there_though_it_was_erased_is_found() -> None:
    store, _, texts = await small()
    await store.commit("c", lambda tree: [Erased(at=1)])
    store.alter(await store.read("c"), {"u1": texts["u1"]})
    (fault,) = (await check(store)).faults
    assert fault.endswith("the text of u1 is there, though it was erased")


# What is kept beside the events, in a file


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(support.sqlite_url(tmp_path))
    await store.keep(support.QUICK)
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    await support.say(store, "u4", "a2", support.FAINT)
    yield store
    await store.close()


def run_sql(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "adjourn.db", isolation_level=None)) as database:
        assert database.execute(statement).rowcount > 0


@pytest.mark.parametrize(
    "change",
    [
        """UPDATE nodes SET body = replace(body, '"BAD"', '"FLAG"') WHERE node = 'u2'""",
        "UPDATE nodes SET body = x'00' WHERE node = 'u2'",
        "DELETE FROM nodes WHERE node = 'a1'",
        """UPDATE conversations SET facts = replace(facts, '"u3"', '"u2"')""",
        """UPDATE conversations SET facts = replace(facts, '"held":1', '"held":0')""",
        "UPDATE conversations SET facts = x'ff'",
        "UPDATE conversations SET head = zeroblob(32)",
        "UPDATE conversations SET number = number - 1",
        "UPDATE conversations SET messages = messages + 1",
        "UPDATE conversations SET ended = 0",
        "UPDATE conversations SET held = 0",
        "UPDATE conversations SET last_at = 1",
        "UPDATE conversations SET scope = 'others'",
        "UPDATE conversations SET external = 'x'",
        "DELETE FROM conversations",
    ],
)
async def test_what_differs_beside_the_events_is_found_and_a_rebuild_mends_it(
    in_file: Store, tmp_path: Path, change: str
) -> None:
    assert (await check(in_file)).faults == []
    run_sql(tmp_path, change)
    assert (await check(in_file)).faults == [REBUILD]
    await in_file.rebuild()
    assert (await check(in_file)).faults == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE events SET body = x'7b7d' WHERE number = 3", "event 3 (user_received) is not what was written"),
        ("UPDATE events SET head = x'00' WHERE number = 4", "event 4 (signals) is not what was written"),
        ("DELETE FROM events WHERE number = 5", "event 5 is missing"),
        ("DELETE FROM events WHERE number > 9", "event 10 is missing"),
        ("DELETE FROM texts WHERE node = 'u2'", "the text of u2 is gone, and was not erased"),
        ("UPDATE texts SET salt = zeroblob(16) WHERE node = 'u2'", "the text of u2 is not what was written"),
        ("UPDATE texts SET text = CAST(x'ff' AS TEXT) WHERE node = 'u2'", "the text of u2 is not what was written"),
    ],
)
async def test_changes_in_a_file_are_found_too(in_file: Store, tmp_path: Path, change: str, fault: str) -> None:
    run_sql(tmp_path, change)
    assert any(fault in found for found in (await check(in_file)).faults)


async def test_a_policy_that_was_changed_is_not_taken_for_the_one_that_decided(in_file: Store, tmp_path: Path) -> None:
    again = (await check(in_file)).again
    run_sql(tmp_path, """UPDATE policies SET body = replace(body, '"redirections":1', '"redirections":2')""")
    assert await in_file.policies() == {}
    found = await check(in_file)
    assert found.again < again
    assert found.again + found.only_chained == again
    assert found.faults == []


async def test_a_commit_that_comes_between_is_no_fault() -> None:
    """A conversation may go on while it is being verified."""

    class GoesOn(MemoryStore):
        turns = 2

        async def texts(self, conversation: str) -> Mapping[str, Sealed]:
            if self.turns:
                self.turns -= 1
                await support.say(self, f"u{self.turns}", None, support.CALM)
            return await super().texts(conversation)

    store = GoesOn()
    await support.commit_turns(store, [support.message("u9", None, support.CALM)])
    await store.keep(support.QUICK)
    found = await check(store)
    assert (found.faults, found.events) == ([], 7)


# Forgers who know how the chain is made


def first(events: Sequence[Event], of: type[Event], which: int = 0) -> int:
    return [index for index, event in enumerate(events) if isinstance(event, of)][which]


def other(event: Event, **fields: Any) -> Event:
    return replace(event, **fields)


def changed(of: type[Event], which: int, **fields: object) -> Callable[[list[Event]], int]:
    def forge(events: list[Event]) -> int:
        at = first(events, of, which)
        events[at] = other(events[at], **fields)
        return at

    return forge


def removed(of: type[Event], which: int = 0) -> Callable[[list[Event]], int]:
    def forge(events: list[Event]) -> int:
        at = first(events, of, which)
        del events[at]
        return at

    return forge


def end_without_a_fork(events: list[Event]) -> int:
    """The model said CONTINUE the second time."""
    at = first(events, ForkReplied, 1)
    events[at] = other(events[at], verdict=Verdict.CONTINUE)
    return first(events, Answer, 2)


def without_the_hold(events: list[Event]) -> int:
    del events[first(events, Held)]
    return first(events, Signals, -1)


def end_from_nowhere(events: list[Event]) -> int:
    at = first(events, Ended)
    events.append(other(events[at], answer="a1", node="u1"))
    return len(events) - 1


def decision_put_in(events: list[Event]) -> int:
    at = first(events, Decision)
    events.append(events[at])
    return len(events) - 1


FORGERIES: dict[str, Callable[[list[Event]], int]] = {
    "a bad message made a calm one": changed(UserReceived, 0, kind=UserKind.CLEAR),
    "a bad message made another stage": changed(UserReceived, 1, stage=Stage.LAST_RESORT),
    "other registers before a message": changed(UserReceived, 1, before=Registers(redirected=("u1", "u1"))),
    "a message frozen": changed(UserReceived, 0, frozen=True),
    "a message held": changed(UserReceived, 0, held=Hold.QUIET),
    "a faint sign farther away": changed(UserReceived, -1, since_faint=5),
    "a redirection made a help": changed(Answer, 0, kind=AnswerKind.HELP),
    "a redirection made a warning": changed(Answer, 0, kind=AnswerKind.WARN),
    "other registers after an answer": changed(Answer, 0, after=Registers(warned="a1")),
    "another stage after an answer": changed(Answer, 0, stage=Stage.WARNED),
    "words that the host did not add": changed(Answer, 0, added="warning"),
    "a decision with a rule less": changed(Decision, 0, rules=()),
    "a decision with other evidence": changed(Decision, 0, rules=(Checked("warned", True, ("u1",)),)),
    "a decision for another stage": changed(Decision, 0, stage=Stage.OPEN),
    "a decision about another message": changed(Decision, 1, node="u2"),
    "a decision removed": removed(Decision, 0),
    "an end on another ground": changed(Ended, 0, ground=Ground.USER_REQUEST),
    "an end with another receipt": changed(Ended, 0, receipt="AJ-2222-22"),
    "an end that rests on other turns": changed(Ended, 0, turns=("u1",)),
    "an end of another family": changed(Ended, 0, family="weapons"),
    "an end at another time": changed(Ended, 0, at=77),
    "an end removed": removed(Ended),
    "an end that the model did not choose": end_without_a_fork,
    "an end that nothing led to": end_from_nowhere,
    "a decision that nothing led to": decision_put_in,
    "a hold made stronger": changed(Held, 0, level=Hold.SHOWN),
    "a hold of other witnesses": changed(Held, 0, witnesses=("local", "judge")),
    "a hold about another message": changed(Held, 0, about="u1"),
    "a hold removed": without_the_hold,
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forger_who_makes_the_chain_again_is_found_since_it_is_decided_otherwise(forgery: str) -> None:
    store = Altered()
    await store.keep(support.QUICK)
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    await support.say(store, "u4", "a2", support.FAINT)
    events = [row.event for row in await store.read("c")]
    where = FORGERIES[forgery](events)
    store.alter(chained(events))
    faults = [fault for fault in (await check(store)).faults if fault != REBUILD]
    assert faults
    numbers = [int(fault.split()[1].rstrip(":")) for fault in faults]
    # The events of one decision are compared as one: it is named by the first of them.
    assert where - 2 <= numbers[0] - 1 <= where
    assert all(str(number) in fault for number, fault in zip(numbers, faults, strict=True))


async def test_a_forger_who_changes_a_file_and_rebuilds_it_is_found(in_file: Store, tmp_path: Path) -> None:
    events = [row.event for row in await in_file.read("c")]
    forged = changed(UserReceived, 0, kind=UserKind.CLEAR)(events)
    with closing(sqlite3.connect(tmp_path / "adjourn.db", isolation_level=None)) as database:
        for row in chained(events):
            database.execute("UPDATE events SET body = ?, head = ? WHERE number = ?", (row.body, row.head, row.number))
    await in_file.rebuild()
    faults = (await check(in_file)).faults
    assert faults[0] == f"event {forged + 1}: decided again, it comes out otherwise"
    assert REBUILD not in faults


# What can only be chained


async def of_another_core(*turns: support.Turn) -> Altered:
    store = Altered()
    await store.keep(support.QUICK)
    await support.commit_turns(store, turns)
    events = [row.event for row in await store.read("c")]
    older = [other(event, core="0") if hasattr(event, "core") else event for event in events]
    store.alter(chained(older))
    await store.rebuild()
    return store


async def test_what_another_version_of_the_rules_decided_is_only_chained() -> None:
    store = await of_another_core(*support.to_last_resort())
    decided = sum(isinstance(row.event, DECIDED) for row in await store.read("c"))
    found = await check(store)
    assert (found.faults, found.again, found.only_chained) == ([], 0, decided)
    await support.respond(store, "a3", "u3", support.HELP)
    assert (await check(store)).again == 1


async def test_an_end_that_another_version_of_the_rules_decided_is_only_chained() -> None:
    store = await of_another_core(*support.to_last_resort(), support.closing("e1", "u3"))
    decided = sum(isinstance(row.event, DECIDED) for row in await store.read("c"))
    found = await check(store)
    assert (found.faults, found.again, found.only_chained) == ([], 0, decided)


async def test_what_was_decided_under_a_policy_that_is_not_kept_is_only_chained() -> None:
    store, rows, _ = await small()
    found = await verify(store, "c", {})
    holds = sum(isinstance(row.event, Held) for row in rows)
    decided = sum(isinstance(row.event, DECIDED) for row in rows)
    assert (found.faults, found.again, found.only_chained) == ([], holds, decided - holds)


# Random histories


async def played(history: Sequence[Move]) -> Store:
    store, walk = MemoryStore(), History()
    for policy in POLICIES:
        await store.keep(policy)
    await store.commit("c", lambda tree: [acts.opening("c", support.QUICK, scope="people")])
    for move in history:
        for step in walk.steps(move):
            decide, texts = walk.commit(step)
            try:
                walk.note((await store.commit("c", decide, texts)).events)
            except CallerError:
                continue
    return store


async def verifies(store: Store) -> list[Event]:
    """Check that nothing is wrong and every decision was made again; return the events."""
    events = [row.event for row in await store.read("c")]
    found = await check(store)
    assert found.faults == []
    assert found.only_chained == 0
    assert found.again == sum(isinstance(event, DECIDED) for event in events)
    return events


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(moves, max_size=30))
def test_any_history_verifies_and_every_decision_comes_out_the_same(history: list[Move]) -> None:
    asyncio.run(_play_and_verify(history))


async def _play_and_verify(history: Sequence[Move]) -> list[Event]:
    return await verifies(await played(history))


async def test_long_histories_with_every_kind_of_event_verify() -> None:
    """The same moves, drawn so that ends come often: whoever reads only this test knows that they do."""
    names = [name for name in MOVES for _ in range(4 if name in SCRIPTS or name in ("lift", "reopen") else 1)]
    kinds: set[type[Event]] = set()
    grounds: dict[Ground, int] = dict.fromkeys(Ground, 0)
    lifted = retried = claimed_ = 0
    for seed in range(60):
        dice = random.Random(seed)
        history = []
        for _ in range(40):
            name = dice.choice(names)
            history.append((name, dice.choice((0, 0, 0, 1, 4)), dice.randrange(MOVES[name])))
        events = await _play_and_verify(history)
        kinds |= {type(event) for event in events}
        for event in events:
            if isinstance(event, Ended):
                grounds[event.ground] += 1
        parents = [event.parent for event in events if isinstance(event, Answer)]
        retried += len(parents) - len(set(parents))
        lifted += sum(isinstance(event, Lifted) for event in events)
        claimed_ += sum(isinstance(event, Claimed) for event in events)
    assert set(NAMES.values()) - kinds <= {Inherited}
    assert min(grounds.values()) >= 20, grounds
    assert min(lifted, retried, claimed_) >= 20
