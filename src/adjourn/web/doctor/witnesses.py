"""Whether each witness elsewhere answers, in the form of its kind."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

from adjourn.core.machine import Mode
from adjourn.core.reading import Matter, Opinion
from adjourn.signals.remote.heard import Came, Heard
from adjourn.upstream.witnesses import JUDGE, NamedWitness, RemoteWitness
from adjourn.web.doctor.finding import Finding, State
from adjourn.web.serve import Serving

CALM = "What is the capital of Italy?"
"""Nothing is wrong with it: a witness that says something is as good as one that says nothing, but odd."""

TROUBLE = {
    Came.UNREAD: "its reply is none of this kind",
    Came.LATE: "it does not answer in time",
    Came.FAILED: "it does not answer, or with an error",
    Came.BUDGET: "its budget is nothing, so it is never asked",
}


async def witnesses(serving: Serving) -> AsyncIterator[Finding]:
    """Yield what is found of each witness; each is asked one question, beside its budget."""
    if serving.policy.mode is Mode.OFF:
        return
    for named in serving.witnesses:
        budget = None if named.budget else named.budget
        witness = replace(named, budget=budget).open()
        try:
            yield await _tried(named, witness)
        finally:
            await witness.close()


async def _tried(named: NamedWitness, witness: RemoteWitness) -> Finding:
    about, began = f"witness {named.name}", time.perf_counter()
    if named.kind == JUDGE:
        heard = await witness.judge(Matter.PERSISTENT_HARM, [("user", CALM)])
    else:
        heard = await witness.read(CALM, ())
    seconds = time.perf_counter() - began
    if heard.came in TROUBLE:
        return Finding(about, State.BAD, f"{TROUBLE[heard.came]}: {_then(named)}")
    odd = _odd(named, heard)
    if odd:
        return Finding(about, State.DOUBT, odd)
    return Finding(about, State.GOOD, f"{named.url} ({named.kind}) answers ({seconds:.1f} s)")


def _then(named: NamedWitness) -> str:
    return "so no chat is ever closed" if named.kind == JUDGE or named.budget != 0 else "so it says nothing"


def _odd(named: NamedWitness, heard: Heard) -> str | None:
    """Return what is odd about what it says where nothing is wrong."""
    if named.kind == JUDGE:
        if heard.judgement.opinion is Opinion.YES:
            return "it would close a chat in which nothing is wrong"
        if heard.judgement.opinion is Opinion.UNSCORED:
            return "it gives no answer that counts where nothing is wrong: perhaps it does not keep to a JSON schema"
        return None
    return "it says something of a message in which nothing is wrong" if heard.came is Came.SPOKE else None
