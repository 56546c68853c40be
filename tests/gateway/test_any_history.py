"""Whatever history a client sends, with however few words: it is taken or refused, and the log is whole."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.core.errors import ClientError
from adjourn.core.events import Outcome
from adjourn.host import Host, Manner
from adjourn.store.verify import verify
from adjourn.wire.openai_chat import parse
from tests.gateway.judge import Judge
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, FAINT, QUESTION, QUICK, UNREAD, YES, detectors
from tests.models import CLOSES, REDIRECTS, WARNS

USERS = (CALM, BAD, BAD, BAD, BAD, ASK, YES, FAINT, CLEAR, UNREAD, "", f"Look: {CALM}")
ANSWERS = (WARNS, WARNS, REDIRECTS, QUESTION, CLOSES, "Okay.", "", WARNS[:9], f"{WARNS} {WARNS}")
IDS = (None, None, "one", "two", "new")


def message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def calls(ident: str) -> list[dict[str, Any]]:
    return [{"id": ident, "type": "function", "function": {"name": "look", "arguments": "{}"}}]


messages = st.one_of(
    st.sampled_from(USERS).map(lambda text: message("user", text)),
    st.sampled_from(ANSWERS).map(lambda text: message("assistant", text)),
    st.sampled_from("ab").map(lambda ident: message("assistant", None, tool_calls=calls(ident))),
    st.just(message("tool", "nine", tool_call_id="a")),
    st.just(message("system", "Be brief.")),
)
outcomes = st.one_of(
    st.sampled_from(ANSWERS[:5]).map(lambda text: ("answer", text)),
    st.sampled_from("ab").map(lambda ident: ("step", ident)),
    st.just(("broken", WARNS[:20])),
)
turns = st.tuples(
    st.integers(0, 3),  # how many of the newest messages are taken back
    st.booleans(),  # whether it is the client's whole history, or a window of it
    st.lists(messages, max_size=3),
    st.sampled_from(IDS),
    outcomes,
)


@settings(max_examples=150)
@given(turns=st.lists(turns, min_size=2, max_size=14))
def test_any_history_is_taken_or_refused(turns: list[Any]) -> None:
    asyncio.run(played(turns))


async def played(turns: list[Any]) -> None:
    async with Host.open("memory:", QUICK, detectors=detectors(QUICK), manner=Manner()) as host:
        history: list[dict[str, Any]] = []
        for back, window, more, ident, (what, said) in turns:
            history = [*history[: len(history) - back], *more]
            sent = history[-4:] if window else history
            if not any(one["role"] == "user" for one in sent):
                history.append(message("user", BAD))
                sent = history
            try:
                request = parse(json.dumps({"messages": sent}).encode())
                turn = await host.begin(scope="p", request=request, conversation=ident)
            except ClientError:
                continue
            while turn.forks:
                turn = await turn.reply(f"END\n{CLOSES}")
            if turn.refused:
                continue
            if turn.ended:
                history.append(message("assistant", turn.say))
            elif what == "answer":
                turn = await turn.answer(said)
                history.append(message("assistant", "\n\n".join(filter(None, [said, turn.say]))))
            elif what == "step":
                await turn.answer("", calls=[said])
                history += [message("assistant", None, tool_calls=calls(said)), message("tool", "x", tool_call_id=said)]
            else:
                await turn.failed(Outcome.INTERRUPTED, said)
                history.append(message("assistant", said[:10]))
        policies = await host.store.policies()
        for line in await host.store.conversations():
            assert (await verify(host.store, line.id, policies)).faults == []
            texts = {node: kept.text for node, kept in (await host.store.texts(line.id)).items()}
            Judge(QUICK, texts).read([row.event for row in await host.store.read(line.id)])
