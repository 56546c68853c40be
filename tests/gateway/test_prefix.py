"""What the model is sent begins with what it was sent before, on each branch, whatever became of the conversation."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.core.events import Outcome
from adjourn.core.policy import Policy
from adjourn.host import Host, Manner
from adjourn.wire.openai_chat import parse
from adjourn.wire.splice import members
from tests.gateway.rig import ABUSE, ASK, BAD, CALM, CLEAR, CRISIS, FAINT, FLAGGED, QUESTION, YES, detectors
from tests.models import REDIRECTS, WARNS

POLICIES = (Policy(revision="quick", redirections=1), Policy(), Policy(revision="host", redirections=1, warning="host"))
TEXTS = (CALM, BAD, BAD, BAD, ABUSE, FLAGGED, ASK, YES, FAINT, CLEAR)
WORDS = ("It is nine.", REDIRECTS, WARNS, QUESTION, CRISIS)

places = st.integers(0, 5)
moves = st.one_of(
    st.tuples(st.just("say"), st.just(0), st.sampled_from(TEXTS)),
    st.tuples(st.sampled_from(["retry", "fork", "fail", "go_on"]), places, st.just("")),
    st.tuples(st.just("edit"), places, st.sampled_from(TEXTS)),
    st.tuples(st.just("loop"), st.integers(1, 3), st.sampled_from(TEXTS)),
)

Messages = list[dict[str, Any]]


def told(body: bytes) -> bytes:
    """The bytes of the messages, from the first on, without the end of their list."""
    span = members(body)["messages"]
    return body[span.start : span.end - 1].rstrip()


@dataclass
class Person:
    """Somebody with a client that goes back and forth; `sent` is what the model was sent for each answer they have."""

    host: Host
    conversation: str | None
    words: Any
    chats: list[Messages] = field(default_factory=lambda: [[]])
    sent: dict[str, bytes] = field(default_factory=dict)
    count: int = 0
    checked: int = 0

    async def move(self, name: str, where: int, text: str) -> None:
        chat = self.chats[-1]
        users = [at for at, one in enumerate(chat) if one["role"] == "user"]
        if name == "fork":
            self.chats.append(list(self.chats[where % len(self.chats)]))
        elif name == "edit" and users:
            await self.ask([*chat[: users[where % len(users)]], user(text)])
        elif name == "retry" and users:
            await self.ask(chat[: users[-1 - where % len(users)] + 1])
        elif name == "fail" and users:
            await self.ask([*chat, user(CALM)], fails=True)
        elif name == "go_on" and users:
            await self.ask(chat)
        elif name == "loop":
            await self.ask([*chat, user(text)], steps=where)
        elif name == "say":
            await self.ask([*chat, user(text)])

    async def ask(self, messages: Messages, *, steps: int = 0, fails: bool = False) -> None:
        self.chats[-1] = list(messages)
        turn = await self.host.begin(
            scope="p", request=parse(json.dumps({"messages": messages}).encode()), conversation=self.conversation
        )
        while turn.forks:
            turn = await turn.reply("END\nGoodbye." if self.count % 2 else "CONTINUE")
        if turn.refused:
            self.chats[-1].pop()
            return
        self.count += 1
        if turn.ended:
            self.chats[-1].append({"role": "assistant", "content": turn.say})
            return
        self.check(messages, told(turn.body))
        if fails:
            await turn.failed(Outcome.FAILED)
            return
        if steps:
            ident = f"t{self.count}"
            await turn.answer("", calls=[ident])
            call = {"id": ident, "type": "function", "function": {"name": "look", "arguments": "{}"}}
            step = {"role": "assistant", "content": None, "tool_calls": [call]}
            self.keep(messages, step, told(turn.body))
            result = {"role": "tool", "tool_call_id": ident, "content": "nine"}
            await self.ask([*messages, step, result], steps=steps - 1)
            return
        words = f"{self.words[self.count % len(self.words)]} ({self.count})"
        sent = told(turn.body)
        turn = await turn.answer(words)
        answer = {"role": "assistant", "content": "\n\n".join(filter(None, [words, turn.say]))}
        self.keep(messages, answer, sent)
        self.chats[-1] = [*messages, answer]

    def keep(self, messages: Messages, answer: Mapping[str, Any], sent: bytes) -> None:
        self.sent[json.dumps([*messages, answer])] = sent

    def check(self, messages: Messages, now: bytes) -> None:
        """The newest answer in the request says which request it continues."""
        for end in range(len(messages), 0, -1):
            before = self.sent.get(json.dumps(messages[:end]))
            if before is not None:
                self.checked += 1
                assert now.startswith(before), (before, now)
                return


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("form", ["in_user", "system", "developer"])
@settings(max_examples=60)
@given(
    moves=st.lists(moves, min_size=4, max_size=24),
    policy=st.sampled_from(POLICIES),
    named=st.booleans(),
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
def test_each_request_begins_with_the_one_that_it_continues(
    form: str, moves: list[tuple[str, int, str]], policy: Policy, named: bool, words: list[str]
) -> None:
    async def run() -> None:
        async with Host.open("memory:", policy, detectors=detectors(policy), manner=Manner(form=form)) as host:
            person = Person(host, "chat-1" if named else None, words)
            for move in moves:
                await person.move(*move)

    asyncio.run(run())
