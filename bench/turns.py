"""The cost of a turn (receive, decide, commit, answer, commit) after 10, 1,000 and 10,000 messages."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from adjourn.core.acts import Message, Reply, Text, answer, opening, receive
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Reading
from adjourn.store import Store, open_store, sealed

LENGTHS = (10, 1_000, 10_000)
MEASURED = 100
"""Turns that are timed at each length."""

POLICY = Policy()
CALM = (Reading(version="bench"),)
BAD = (Reading(version="bench", flags=frozenset({Flag.HARMFUL, Flag.HARMFUL_COUNT}), family="fraud"),)
DECLINES = (Reading(version="bench", flags=frozenset({Flag.DECLINED, Flag.REDIRECTED})),)


async def turn(store: Store, number: int, parent: str | None) -> str:
    """One turn of a conversation in which every second message is bad, so that registers move."""
    text, reply = sealed(f"u{number}", "some words of a person"), sealed(f"a{number}", "some words of a model")
    bad = number % 2 == 0
    message = Message(
        text=text.reference, parent=parent, readings=BAD if bad else CALM, closing=Text("end"), at=number + 1
    )
    given = Reply(text=reply.reference, parent=text.node, readings=DECLINES if bad else CALM, at=number + 1)
    await store.commit("c", lambda tree: receive(tree, message, POLICY), [text])
    await store.commit("c", lambda tree: answer(tree, given, POLICY), [reply])
    return reply.node


async def costs(url: str) -> list[float]:
    """The median milliseconds of a turn at each length."""
    store, parent, number, medians = open_store(url), None, 0, []
    await store.commit("c", lambda _: (opening("c", POLICY, scope="bench"),))
    for length in LENGTHS:
        while number < length // 2:
            parent = await turn(store, number, parent)
            number += 1
        times = []
        for _ in range(MEASURED):
            began = time.perf_counter()
            parent = await turn(store, number, parent)
            times.append((time.perf_counter() - began) * 1000)
            number += 1
        medians.append(statistics.median(times))
    await store.close()
    return medians


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, url in (("memory", "memory:"), ("sqlite", f"sqlite:///{Path(folder) / 'bench.db'}")):
            medians = asyncio.run(costs(url))
            for length, median in zip(LENGTHS, medians, strict=True):
                print(f"{name:<7} a turn after {length:>6} messages: {median:.3f} ms, {median / medians[0]:.2f}x")


if __name__ == "__main__":
    main()
