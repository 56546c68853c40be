"""What two processes do at the same time to one conversation. `python -m tests.store.racing URL` is the second one.

Each line that it reads is a task, to which it answers `ready`; at the next line it begins, and answers with what was
acknowledged. Not a test: `test_races.py` starts it.
"""

import asyncio
import sys
from dataclasses import dataclass

import msgspec

from adjourn.core import acts
from adjourn.core.events import Event
from adjourn.core.reading import Flag
from adjourn.core.tree import Tree
from adjourn.store import Lookup, Sealed, Store, open_store
from adjourn.store.codec import encode
from tests import support


@dataclass(frozen=True)
class Task:
    """What one of the two does, in which conversation, after how long a moment."""

    conversation: str
    what: str
    moment: int


@dataclass(frozen=True)
class Acknowledged:
    """What came of it: the number of the first event, and the events as they are kept; or somebody else was faster."""

    first: int
    events: list[tuple[str, str]]
    overtaken: bool = False


def close(tree: Tree) -> acts.Events:
    """The model chose twice to close."""
    return acts.close(tree, support.closing("e1", "u3"), support.QUICK)


def confirm(tree: Tree) -> acts.Events:
    """The person says yes to the question."""
    return acts.receive(tree, support.message("u2", "a1", support.CONFIRMS), support.QUICK)


def send(tree: Tree) -> acts.Events:
    """The person goes on, on the same branch, at the newest place of it that there is."""
    newest = next(node for node in ("e1", "u3", "u2.end", "a1") if node in tree.nodes)
    return acts.receive(tree, support.message("s1", newest, support.BAD), support.QUICK)


def risk(tree: Tree) -> acts.Events:
    """On a branch of its own, the person says that they want to die."""
    return acts.receive(tree, support.message("s1", None, support.CLEAR_RISK), support.QUICK)


def late_clear(tree: Tree) -> acts.Events:
    """A witness that took its time sees a clear sign of risk in the first message."""
    seen = support.reading(Flag.RISK, Flag.RISK_CLEAR, witness="judge")
    return acts.witness(tree, "u1", [seen], support.QUICK)


def late_faint(tree: Tree) -> acts.Events:
    """It sees a faint one."""
    return acts.witness(tree, "u1", [support.reading(Flag.RISK, witness="judge")], support.QUICK)


def take(tree: Tree) -> acts.Events:
    """A message is taken that the other one takes too."""
    return acts.receive(tree, support.message("s1", "a1", support.CALM), support.QUICK)


def take_too(tree: Tree) -> acts.Events:
    """The same message, of which this process knows no other name than its own."""
    return acts.receive(tree, support.message("s2", "a1", support.CALM), support.QUICK)


def name(tree: Tree) -> acts.Events:
    """A conversation begins with the id that the other one gives to its own."""
    return (acts.opening(tree.id, support.QUICK, scope="people", external=tree.id.partition(".")[0]),)


DOES = {act.__name__: act for act in (close, confirm, send, risk, late_clear, late_faint, take, take_too, name)}
TEXTS: list[Sealed] = [support.sealed_text(node) for node in ("e1", "u2", "u2.end", "s1", "s1.end", "s2", "s2.end")]


def lookups(task: Task) -> list[Lookup]:
    """Return the digests by which the two see that a message is the same."""
    node = {"take": "s1", "take_too": "s2"}.get(task.what)
    return [Lookup(b"path", b"alone", task.conversation, node, own=True)] if node else []


async def run(store: Store, task: Task) -> Acknowledged:
    """Do it, and return what was acknowledged."""
    for _ in range(task.moment):
        pass
    committed = await store.commit(task.conversation, DOES[task.what], TEXTS, lookups(task))
    return Acknowledged(committed.first, [plain(event) for event in committed.events], committed.overtaken)


def plain(event: Event) -> tuple[str, str]:
    """Return an event as the store writes it."""
    name, body = encode(event)
    return name, body.decode()


async def main(url: str) -> None:
    store = open_store(url)
    while line := sys.stdin.readline():
        task = msgspec.json.decode(line, type=Task)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        done = await run(store, task)
        sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
        sys.stdout.flush()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
