"""A process that is killed while it writes loses nothing that it acknowledged, and leaves a whole log."""

import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path

from adjourn.core.machine import Stage
from adjourn.store import Store, open_store
from adjourn.store.verify import verify
from tests import support
from tests.store.children import Child
from tests.store.writing import digest

ROUNDS = 100


def a_while(dice: random.Random) -> int:
    """Take a moment that is not a multiple of anything, so that the kill comes at any point of a commit."""
    spent = 0
    for turn in range(dice.randrange(20_000)):
        spent += turn
    return spent


def killed_writer(parent: Child, round_: int, dice: random.Random) -> list[bytes]:
    """Let a process write, kill it at any moment, and return all that it had said was acknowledged."""
    parent.tell(str(round_).encode())
    writer = int(parent.hear())
    heard = [parent.hear() for _ in range(dice.randrange(40))]
    a_while(dice)
    os.kill(writer, signal.SIGKILL)
    while (line := parent.hear()) != b"dead":
        assert line, "the parent of the writers died"
        heard.append(line)
    return heard


async def check(store: Store, lines: Sequence[bytes]) -> int:
    """Check that all that was acknowledged is there; return how many events more there are."""
    newest: dict[str, int] = {}
    for line in lines:
        conversation, first, length, said = line.decode().split()
        start, end = int(first), int(first) + int(length)
        rows = await store.read(conversation, start - 1)
        assert digest(row.event for row in rows[: end - start]) == said
        newest[conversation] = max(newest.get(conversation, 0), end - 1)
    policies = await store.policies()
    more = 0
    for conversation, number in newest.items():
        found = await verify(store, conversation, policies)
        assert found.faults == []
        assert found.only_chained == 0
        more += found.events - number
    return more


async def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(9)
    url = support.sqlite_url(tmp_path)
    acknowledged = unheard = 0
    with Child("writing", url) as parent:
        for round_ in range(ROUNDS):
            lines = killed_writer(parent, round_, dice)
            store = open_store(url)
            try:
                unheard += await check(store, lines)
            finally:
                await store.close()
            acknowledged += len(lines)
    store = open_store(url)
    try:
        policies = await store.policies()
        conversations = await store.conversations()
        ended = [line for line in conversations if line.ended]
        for line in conversations:
            assert (await verify(store, line.id, policies)).faults == []
        for line in ended:
            assert await store.see(line.id, lambda tree: tree.stage("e1")) is Stage.ENDED
            assert not await support.say(store, "u9", "e1", support.CALM, conversation=line.id)
    finally:
        await store.close()
    print(f"{acknowledged} commits acknowledged, {unheard} events durable but unheard of, {len(ended)} ends")
    assert acknowledged >= 10 * ROUNDS
    assert len(ended) >= ROUNDS // 2
    assert unheard > 0, "no kill came between a commit and its acknowledgement"
