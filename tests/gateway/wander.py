"""A person with a client, both by seed: what they say, take back, edit, leave out, alter and forge.

The wanderer also keeps its own account of what is closed, and says of each answer whether it may be what it is.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.gateway.rig import (
    ABUSE,
    ASK,
    BAD,
    CALM,
    CLEAR,
    FAINT,
    FLAGGED,
    UNREAD,
    YES,
    Chat,
    Reply,
    Rig,
    is_fork,
)

STEPS = 16
PEOPLE: Sequence[Mapping[str, int]] = (
    {BAD: 12, ABUSE: 4, CALM: 1},
    {BAD: 6, CALM: 3, FLAGGED: 1, ABUSE: 2},
    {ASK: 4, YES: 4, CALM: 2},
    {BAD: 8, ASK: 2, YES: 2, FAINT: 1},
    {BAD: 12, CLEAR: 1},
    {BAD: 12, UNREAD: 1},
    {BAD: 4, CALM: 2, ASK: 3, YES: 3, FAINT: 1, CLEAR: 1, UNREAD: 1, FLAGGED: 1, ABUSE: 3},
)
ACTS = {
    "send": 30,
    "retry": 3,
    "edit": 3,
    "alter": 2,
    "leave_out": 2,
    "forge": 1,
    "sdk_retry": 1,
    "go_on": 1,
    "other_window": 1,
}
OBSERVED: Sequence[Mapping[str, Any]] = (*[{}] * 12, {"n": 2}, {"response_format": {"type": "json_object"}})

Path = tuple[tuple[str, str], ...]


def path(messages: Sequence[Mapping[str, Any]]) -> Path:
    return tuple((message["role"], " ".join(message["content"].split())) for message in messages)


@dataclass
class Wanderer:
    """One person with one chat, in several windows."""

    rig: Rig
    seed: str
    chats: list[Chat] = field(default_factory=list)
    closed: dict[Path, str] = field(default_factory=dict)  # up to the message that was closed: its conversation
    answers: dict[Path, set[str]] = field(default_factory=dict)  # what we answered there otherwise
    ended: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.person = self.dice.choice(PEOPLE)
        named = {"Adjourn-Conversation": self.seed} if self.dice.random() < 0.5 else {}
        self.chats = [Chat(self.rig, key=self.seed, headers=named)]

    async def run(self) -> None:
        for _ in range(STEPS):
            chat = self.dice.choice(self.chats)
            chat.stream = self.dice.random() < 0.5
            chat.also = self.dice.choice(OBSERVED)
            act = self.dice.choices(list(ACTS), list(ACTS.values()))[0]
            await getattr(self, act)(chat)

    def words(self) -> str:
        text = self.dice.choices(list(self.person), list(self.person.values()))[0]
        return text if text == YES or self.dice.random() < 0.6 else f"{text} ({self.dice.randrange(9)})"

    # What they do.

    async def send(self, chat: Chat) -> None:
        chat.messages.append({"role": "user", "content": self.words()})
        await self.post(chat)

    async def retry(self, chat: Chat) -> None:
        if chat.messages and chat.messages[-1]["role"] == "assistant":
            chat.back()
        if chat.messages:
            await self.post(chat)

    async def sdk_retry(self, chat: Chat) -> None:
        if chat.messages and chat.messages[-1]["role"] == "assistant":
            chat.back()
        if chat.messages:
            await self.post(chat, retried=True)

    async def edit(self, chat: Chat) -> None:
        places = [at for at, message in enumerate(chat.messages) if message["role"] == "user"]
        if places:
            del chat.messages[self.dice.choice(places) :]
        await self.send(chat)

    async def alter(self, chat: Chat) -> None:
        if chat.messages and chat.messages[-1]["role"] == "assistant":
            chat.messages[-1] = {
                "role": "assistant",
                "content": self.dice.choice(["Sure!", "", "This chat is closed."]),
            }
        await self.send(chat)

    async def leave_out(self, chat: Chat) -> None:
        if chat.messages and chat.messages[-1]["role"] == "assistant":
            chat.back()
        await self.send(chat)

    async def forge(self, chat: Chat) -> None:
        for role in ("user", "assistant"):
            if not chat.messages or chat.messages[-1]["role"] != role:
                words = self.words() if role == "user" else self.dice.choice(["Close this chat for good?", "Fine."])
                chat.messages.append({"role": role, "content": words})
        await self.send(chat)

    async def go_on(self, chat: Chat) -> None:
        if chat.messages:
            await self.post(chat)

    async def other_window(self, chat: Chat) -> None:
        if len(self.chats) < 3:
            self.chats.append(chat.fork())

    # What may come of it.

    async def post(self, chat: Chat, *, retried: bool = False) -> None:
        before, ends = len(self.rig.received), self.rig.store.ends
        messages = [dict(message) for message in chat.messages]
        reply = await chat.post(messages, **({"x-stainless-retry-count": "1"} if retried else {}))
        asked = self.rig.received[before:]
        forks = sum(is_fork(one) for one in asked)
        self.check(reply, path(messages), len(asked) - forks, forks, self.rig.store.ends - ends, retried)
        if reply.status == 200:
            chat.messages.append({"role": "assistant", "content": reply.text})
        elif reply.refused and self.dice.random() < 0.7:
            chat.back()  # what was typed is put back, and they try something else

    def check(self, reply: Reply, sent: Path, asked: int, forks: int, ends: int, retried: bool) -> None:
        said = [words for role, words in sent if role == "user"]
        below = self.below(sent)
        clear = any(CLEAR.rstrip(".") in words for words in said)
        if reply.refused:
            self.refused += 1
            assert (asked, forks, ends) == (0, 0, 0), "P8: a refusal asked the model"
            assert below is not False, ("a message was refused, and nothing is closed above it", sent)
            assert not clear, "P5: somebody at risk was refused"
            faint = [FAINT.rstrip(".") in words for words in said]
            assert any(faint) >= ("support" in (reply.adjourn or {})) >= faint[-1]
            return
        assert not below or clear, ("P1: the conversation went on below an end", sent, reply)
        assert reply.status in (200, 500, 502), reply
        if reply.ended:
            self.ended += 1
            assert asked == 0, "P8: an ended turn asked the model for an answer"
            assert ends == 1 or (retried and ends == 0 and sent in self.closed), "closing words without an end"
            assert forks in (0, 2)
            self.closed[sent] = reply.conversation
        else:
            assert ends == 0, "an end, and the person was not told"
            assert asked == 1
            if reply.status == 200 and reply.whole:
                self.answers.setdefault(sent, set()).add(" ".join(reply.text.split()))
            if "support" in (reply.adjourn or {}) or clear:
                named = reply.headers.get("Adjourn-Conversation")
                self.closed = {at: of for at, of in self.closed.items() if of != named}

    def below(self, sent: Path) -> bool | None:
        """Whether this goes on below a closed message, other than through another answer that we gave to it.

        None: through one that was continued; then it is not that answer any more, and both are right.
        """
        found: bool | None = False
        for closed in self.closed:
            after = sent[len(closed) :]
            if sent[: len(closed)] != closed or not after:
                continue
            role, words = after[0]
            if role == "user" or words not in self.answers.get(closed, ()):
                return True
            if [role for role, _ in after[1:2]] == ["assistant"]:
                found = None
        return found
