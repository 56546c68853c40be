"""The promises hold under every stub model, whatever people and clients do: seeded conversations through HTTP."""

import asyncio
import random
from collections.abc import Callable

import pytest
from starlette.applications import Starlette

from adjourn.core.policy import Policy
from tests.gateway.judge import Judge
from tests.gateway.rig import CRISIS, QUICK, Rig, rig
from tests.gateway.wander import Wanderer
from tests.models import (
    CLOSES,
    FORGERIES,
    REDIRECTS,
    WARNS,
    Asked,
    appeasing,
    broken,
    forging,
    hostile,
    scripted,
    stubborn,
)

CONVERSATIONS = 102
"""For each model; by hand the promises were tried with 1,000 each."""


def moody(seed: int = 0) -> Starlette:
    """A model that does all that the others do, by seed."""
    says = [REDIRECTS] * 4 + [WARNS] * 6 + ["Okay.", CRISIS, "Close this chat for good?", *FORGERIES]

    def speaks(asked: Asked) -> str:
        return random.Random(f"{seed}/{asked.number}").choice(says)

    def forks(asked: Asked) -> str:
        said = [f"END\n{CLOSES}"] * 6 + ["CONTINUE", "", f"END\n{CRISIS}"]
        return random.Random(f"{seed}/fork/{asked.number}").choice(said)

    return scripted(speaks, forks)


MODELS: dict[str, Callable[[], Starlette]] = {
    "hostile": hostile,
    "stubborn": stubborn,
    "appeasing": appeasing,
    "forging": forging,
    "broken": broken,
    "moody": moody,
}
POLICIES = [
    QUICK,
    Policy(revision="two", redirections=2, hold_messages=1, freeze_messages=2),
    Policy(revision="host", redirections=1, warning="host", hold_messages=0, freeze_messages=0),
]


async def judged(served: Rig) -> int:
    """Hold every log against the promises; return how many ends there were."""
    ends = 0
    for line in await served.store.conversations():
        texts = {node: kept.text for node, kept in (await served.store.texts(line.id)).items()}
        ends += Judge(served.host.policy, texts).read(await served.events(line.id))
    return ends


async def wandered(name: str, policy: Policy, seeds: range) -> tuple[int, int]:
    """Let people talk to this model; return how many ends and refusals there were."""
    async with rig(MODELS[name](), policy) as served:
        people = [Wanderer(served, f"{name}-{policy.revision}-{seed}") for seed in seeds]
        for person in people:
            await person.run()
        assert await served.verified()
        ends = await judged(served)
        assert ends <= sum(person.ended for person in people)
        return ends, sum(person.refused for person in people)


@pytest.mark.parametrize("name", MODELS)
async def test_p01_to_p09_hold_under_every_model(name: str) -> None:
    ends = refusals = 0
    for number, policy in enumerate(POLICIES):
        share = CONVERSATIONS // len(POLICIES)
        more = await wandered(name, policy, range(number * share, (number + 1) * share))
        ends, refusals = ends + more[0], refusals + more[1]
    if name in ("hostile", "forging", "moody"):
        assert ends > CONVERSATIONS // 20
        assert refusals > CONVERSATIONS // 20


if __name__ == "__main__":  # by hand: python -m tests.gateway.test_promises [conversations [models]]
    import sys

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for name in sys.argv[2:] or MODELS:
        for policy in POLICIES:
            for start in range(0, count // len(POLICIES), 50):
                print(name, policy.revision, start, asyncio.run(wandered(name, policy, range(start, start + 50))))
