"""Processes that write until they are killed, and say what was acknowledged: `CONVERSATION FIRST COUNT DIGEST`.

`python -m tests.store.writing URL` forks one of them for each number that it reads (so that none has to import
anything), which says its process id first; `dead` is said when it is. Not a test: `test_crashes.py` starts it.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterable
from itertools import count

from adjourn.core.events import Event
from adjourn.store import Store, open_store
from adjourn.store.codec import encode
from tests import support


def digest(events: Iterable[Event]) -> str:
    """Return a short digest of what these events say."""
    hashed = hashlib.blake2b(digest_size=8)
    for event in events:
        name, body = encode(event)
        hashed.update(name.encode() + b"\0" + body)
    return hashed.hexdigest()


async def acknowledged(store: Store, conversation: str, *turns: support.Turn) -> None:
    """Commit these turns; when that is acknowledged, say so in one write, which is in the pipe whole or not at all."""
    committed = await support.commit_turns(store, turns, conversation=conversation)
    line = f"{conversation} {committed.first} {len(committed.events)} {digest(committed.events)}\n"
    os.write(1, line.encode())


async def closed_ones(store: Store, prefix: str) -> None:
    """Write one conversation after the other, each until it is closed."""
    for number in count():
        for turn in (*support.to_last_resort(), support.closing("e1", "u3")):
            await acknowledged(store, f"{prefix}.{number}", turn)


async def shared(store: Store, conversation: str, prefix: str) -> None:
    """Write on in a conversation in which others write too, and the killed ones before them did."""
    for number in count():
        user = f"{prefix}.u{number}"
        await acknowledged(
            store,
            conversation,
            support.message(user, None, support.BAD),
            support.reply(f"{prefix}.a{number}", user, support.REDIRECT),
        )


async def write(url: str, round_: int) -> None:
    """Write until killed."""
    store = open_store(url)
    await store.keep(support.QUICK)
    await asyncio.gather(
        closed_ones(store, f"r{round_}.0"),
        closed_ones(store, f"r{round_}.1"),
        shared(store, f"all{round_ // 10}", f"r{round_}.2"),
        shared(store, f"all{round_ // 10}", f"r{round_}.3"),
    )


def main(url: str) -> None:
    while line := sys.stdin.readline():
        writer = os.fork()
        if not writer:
            os.write(1, f"{os.getpid()}\n".encode())
            try:
                asyncio.run(write(url, int(line)))
            finally:
                os._exit(1)
        os.waitpid(writer, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main(sys.argv[1])
