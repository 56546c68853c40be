"""An end races with whatever forbids it, from two processes on one file: one of the two orders comes out, whole."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from adjourn.core.events import Answer, Claimed, Ended, Event, Held, Lifted, Reopened, UserReceived
from adjourn.core.machine import AnswerKind, Finish, Hold
from adjourn.core.tree import Tree
from adjourn.store import Recorded, Store, open_store
from adjourn.store.verify import verify
from tests import support
from tests.store.children import Child
from tests.store.racing import Acknowledged, Task, plain, run

ROUNDS = 1000
ENDS = ("close", "confirm")
OTHERS = ("send", "risk", "late_clear", "late_faint")
SAME = 150
BOTH = 10
"""So often each of two that do the same must have been the first."""
ENOUGH = 20
"""So often each order of each pair must have come out, or the race would not bite."""


def violations(events: Sequence[Event]) -> list[str]:
    """Return what no log may say. It knows the promises, and nothing of the machine."""
    found = []
    parent: dict[str, str | None] = {}
    answers: dict[str, Answer] = {}
    standing: dict[str, str] = {}  # closing answers, each with the message that it answers
    held = False
    for number, event in enumerate(events, 1):
        if isinstance(event, UserReceived | Claimed | Answer):
            parent[event.node] = event.parent
            if isinstance(event, Answer):
                answers[event.node] = event
            if _is_below(event.node, parent, answers, standing):
                found.append(f"{number}: {event.node} is below an end")
        if isinstance(event, Ended):
            if held:
                found.append(f"{number}: an end in a held tree")
            standing[event.answer] = event.node
        if isinstance(event, Held):
            held = True  # in so few messages no faint sign passes away
        if isinstance(event, Reopened) or (isinstance(event, Held) and event.level is Hold.SHOWN):
            standing = {}
        if isinstance(event, Lifted):
            held = False
    return found


def _is_below(node: str, parent: dict[str, str | None], answers: dict[str, Answer], standing: dict[str, str]) -> bool:
    """Whether the path to this node passes an end, or goes on from an ended message without another answer."""
    below, here = node, parent[node]
    while here is not None:
        if here in standing:
            return True
        if here in standing.values() and below not in standing:
            answer = answers.get(below)
            if answer is None or answer.finish in (Finish.CUT, Finish.CLAIMED) or answer.kind is AnswerKind.END:
                return True
        below, here = here, parent[here]
    return False


def check(rows: Sequence[Recorded], done: dict[str, Acknowledged]) -> None:
    """Check what holds whichever came first."""
    events = [row.event for row in rows]
    assert violations(events) == []
    for acknowledged in done.values():  # nothing that was acknowledged is lost, or not what was acknowledged
        start = acknowledged.first - 1
        assert [plain(event) for event in events[start : start + len(acknowledged.events)]] == acknowledged.events
    ends = [event for event in events if isinstance(event, Ended)]
    told = [name for acknowledged in done.values() for name, _ in acknowledged.events if name == "ended"]
    assert len(told) == len(ends)


def test_the_checker_of_this_file_sees_what_it_looks_for() -> None:
    turns: list[support.Turn] = [*support.to_last_resort(), support.closing("e1", "u3")]
    events = list(support.play(Tree(id="c"), turns))
    message = next(event for event in events if isinstance(event, UserReceived))
    gap = next(event for event in events if isinstance(event, Answer))
    (end,) = (event for event in events if isinstance(event, Ended))
    hold = Held(level=Hold.SHOWN, kind=None, about="u1", witnesses=("local",), core="1")
    below = replace(message, node="u4", parent="e1")
    around = replace(gap, node="g", parent="u3", finish=Finish.CUT)
    beside = replace(gap, node="b", parent="u3")
    assert violations(events) == []
    assert violations([*events, below]) != []
    assert violations([*events, around]) != []
    assert violations([*events, replace(message, node="u4", parent="u3")]) != []
    assert violations([*events, beside, replace(message, node="u4", parent="b")]) == []
    assert violations([*events, hold, below]) == []
    assert violations([*events, hold, end]) != []
    assert violations([*events, Reopened(reason="", at=1), below]) == []


async def race(store: Store, child: Child, theirs: Task, mine: Task) -> dict[str, Acknowledged]:
    """Let the two begin at once; return what each was told."""
    child.tell(msgspec.json.encode(theirs))
    assert child.hear() == b"ready"
    child.tell(b"go")
    done = await run(store, mine)
    return {mine.what: done, theirs.what: msgspec.json.decode(child.hear(), type=Acknowledged)}


async def test_an_end_never_stands_with_what_forbids_it_whichever_process_comes_first(tmp_path: Path) -> None:
    dice = random.Random(4)
    url = support.sqlite_url(tmp_path)
    orders: Counter[tuple[str, str, str]] = Counter()
    store = open_store(url)
    try:
        await store.keep(support.QUICK)
        policies = await store.policies()
        with Child("racing", url) as child:
            for round_ in range(ROUNDS):
                name = f"c{round_}"
                end, other = dice.choice(ENDS), dice.choice(OTHERS)
                begun = support.to_last_resort() if end == "close" else support.to_question()
                await support.commit_turns(store, begun, conversation=name)
                tasks = [Task(name, what, dice.choice((0, dice.randrange(20_000)))) for what in (end, other)]
                dice.shuffle(tasks)
                done = await race(store, child, *tasks)
                check(await store.read(name), done)
                assert (await verify(store, name, policies)).faults == []
                first = end if done[end].first < done[other].first else other
                closed = any(what == "ended" for what, _ in done[end].events)
                # An end comes out only before what forbids it; a yes is no less a yes for a message beside it.
                assert closed == (first == end or (end, other) == ("confirm", "send"))
                orders[end, other, first] += 1
    finally:
        await store.close()
    for pair, times in sorted(orders.items()):
        print(*pair, times)
    assert all(orders[end, other, first] >= ENOUGH for end in ENDS for other in OTHERS for first in (end, other))


async def test_p12_the_same_message_in_two_processes_at_once_is_taken_once(tmp_path: Path) -> None:
    dice, first = random.Random(5), Counter[str]()
    url = support.sqlite_url(tmp_path)
    store = open_store(url)
    try:
        with Child("racing", url) as child:
            for round_ in range(SAME):
                name = f"c{round_}"
                await support.commit_turns(store, support.to_question(), conversation=name)
                tasks = [Task(name, what, dice.choice((0, dice.randrange(20_000)))) for what in ("take", "take_too")]
                done = await race(store, child, *tasks)
                assert [one.overtaken for one in done.values()].count(True) == 1
                taken = [row.event.node for row in await store.read(name) if isinstance(row.event, UserReceived)]
                assert len(taken) == 2
                assert [lookup.node for lookup in await store.find([b"path"], name)] == taken[1:]
                assert set(await store.texts(name)) == {"u1", "a1", taken[1]}
                first[taken[1]] += 1
    finally:
        await store.close()
    assert min(first["s1"], first["s2"]) >= BOTH


async def test_a_new_id_in_two_processes_at_once_names_one_conversation(tmp_path: Path) -> None:
    dice, first = random.Random(6), Counter[str]()
    url = support.sqlite_url(tmp_path)
    store = open_store(url)
    try:
        with Child("racing", url) as child:
            for round_ in range(SAME):
                theirs, mine = (Task(f"x{round_}.{who}", "name", dice.choice((0, 9_000))) for who in "ab")
                child.tell(msgspec.json.encode(theirs))
                assert child.hear() == b"ready"
                child.tell(b"go")
                done = await run(store, mine), msgspec.json.decode(child.hear(), type=Acknowledged)
                assert sorted(one.overtaken for one in done) == [False, True]
                named = await store.external("people", f"x{round_}")
                assert named == (theirs if done[0].overtaken else mine).conversation
                assert await store.read((mine if done[0].overtaken else theirs).conversation) == []
                first["theirs" if done[0].overtaken else "mine"] += 1
    finally:
        await store.close()
    assert min(first["theirs"], first["mine"]) >= BOTH
