"""The list of a person with 10,000 chats: a page of it, and what each search takes, in the file of a server."""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from adjourn.core.acts import Message, Text, opening, receive
from adjourn.core.events import Event
from adjourn.core.policy import Policy
from adjourn.core.reading import Reading
from adjourn.core.tree import Tree, after
from adjourn.store import Sealed, Store, open_store, sealed

CHATS, MESSAGES, WORDS, VOCABULARY = 10_000, 5, 40, 20_000
MEASURED = 20
BROWSER = "browser:bench"
POLICY = Policy()
CALM = (Reading(version="bench"),)


def written(draw: random.Random, vocabulary: list[str]) -> str:
    """A message whose words are as unequal as those of a language: few stand everywhere, most are rare."""
    return " ".join(vocabulary[int(VOCABULARY ** draw.random()) - 1] for _ in range(WORDS))


async def chat(store: Store, name: str, at: int, texts: list[str]) -> None:
    kept = [sealed(f"{name}.{number}", text) for number, text in enumerate(texts)]

    def events(tree: Tree) -> list[Event]:
        made: list[Event] = [opening(name, POLICY, scope=BROWSER, at=at)]
        tree = after(tree, made)
        for text in kept:
            new = receive(tree, message(text, at), POLICY)
            made += new
            tree = after(tree, new)
        return made

    await store.commit(name, events, kept)


def message(text: Sealed, at: int) -> Message:
    return Message(text=text.reference, parent=None, readings=CALM, closing=Text("end"), at=at)


async def costs(url: str) -> dict[str, float]:
    """The median milliseconds of a page and of searches."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("aeioulnrstdmcp", k=draw.randint(2, 11))) for _ in range(VOCABULARY)]
    store = open_store(url)
    wanted = ((f"c{at:05}", at, [written(draw, vocabulary) for _ in range(MESSAGES)]) for at in range(CHATS))
    for name, at, texts in wanted:
        await chat(store, name, at, texts)
    searches = {
        "a page, no search": "",
        "a word that stands everywhere": vocabulary[0],
        "a rare word": vocabulary[-1],
        "a word that stands nowhere": "zzzz",
        "the first letter": "t",
        "three words": " ".join((vocabulary[50], vocabulary[500], vocabulary[5000])),
    }
    found = {}
    for what, search in searches.items():
        times = []
        for _ in range(MEASURED):
            began = time.perf_counter()
            await store.chats(BROWSER, 50, search=search)
            times.append((time.perf_counter() - began) * 1000)
        found[what] = statistics.median(times)
    await store.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.db"
        for what, median in asyncio.run(costs(f"sqlite:///{file}")).items():
            print(f"chats   {what:<30} of {CHATS:,} chats: {median:.1f} ms")
        print(f"chats   the file: {file.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
