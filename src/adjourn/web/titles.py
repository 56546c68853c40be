"""Titles of chats: asked of the model after the first answer, beside the chat, and never from what may be harm or risk.

The question is no turn: it is neither judged nor recorded, and nothing of it is shown but the title.
"""

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from adjourn.core.errors import StoreError, UpstreamError
from adjourn.core.events import Answer, UserReceived
from adjourn.core.machine import UserKind
from adjourn.core.tree import Tree
from adjourn.host import Host
from adjourn.store import Chat, Titled
from adjourn.store.chats import FLAGS
from adjourn.upstream.client import Upstream
from adjourn.wire import anthropic
from adjourn.wire.interface import Wire

LENGTH = 60
"""How many characters a title of the model's has at most, and what is shown of a first message in place of one."""

PERSONS_LENGTH = 120
"""How many characters a title has at most that a person gives."""

QUOTED = 1000
"""How many characters of each message the model is shown."""

ASKS = (
    "Give this conversation a title of two to six words, in its own language. Say what it is about, plainly. "
    "Answer with the title alone: no quotation marks, no full stop."
)

BESIDE: Mapping[str, Mapping[str, Any]] = {anthropic.NAME: {"max_tokens": 100}}
"""What a wire needs in such a request besides model and messages."""

_SPACE = re.compile(r"\s+")
_JOINERS = "\u200c\u200d"
_MARKS = "\"'`*_#“”„«»‹›‘’ "


async def entitle(host: Host, upstream: Upstream, wire: Wire, conversation: str, model: str) -> str | None:
    """Ask the model for a title of a chat that has none, once it has an answer, and keep it; return it.

    None: there is none, and none was asked where a message of the chat may be harm, abuse or a sign of risk or could
    not be read, where the chat is closed, or where somebody gave it a title. Raises nothing: without a title the chat
    is called by its beginning.
    """
    with suppress(StoreError, UpstreamError):
        chat = await host.store.chat(conversation)
        if chat is None or not _may_be_asked(chat) or not await host.store.see(conversation, _is_open):
            return None
        body = await _question(host, wire, conversation, model)
        if body is None:
            return None
        async with upstream.ask("POST", wire.PATH, body, {"Content-Type": "application/json"}, fork=True) as answer:
            said = await answer.body()
        reply = wire.read_reply(said) if answer.status == 200 else None
        title = from_model(reply.words) if reply is not None and not reply.unread else ""
        if not title or host.detectors.user(title).flags & FLAGS:
            return None
        kept = await host.store.mark(
            conversation,
            lambda now: replace(now, title=title, titled_by=Titled.MODEL) if _may_be_asked(now) else now,
        )
        return title if kept is not None and kept.title == title else None
    return None


def _may_be_asked(chat: Chat) -> bool:
    return chat.titled_by is None and not (chat.flagged or chat.erased or chat.line.ended)


def _is_open(tree: Tree) -> bool:
    return not tree.held and not tree.ended


async def _question(host: Host, wire: Wire, conversation: str, model: str) -> bytes | None:
    """Return the body of the question, which quotes the first message and its answer; None before there is one."""
    events = [row.event for row in await host.store.read(conversation)]
    texts = await host.store.texts(conversation)
    asked = next((event for event in events if isinstance(event, UserReceived) and event.node in texts), None)
    answers = (event for event in events if isinstance(event, Answer) and event.node in texts)
    answer = next((event for event in answers if asked is not None and event.parent == asked.node), None)
    if asked is None or answer is None or asked.kind is UserKind.RISK:
        return None
    said = (f"Person: {texts[asked.node].text[:QUOTED]}", f"Assistant: {texts[answer.node].text[:QUOTED]}")
    messages = [{"role": "user", "content": "\n\n".join((ASKS, *said))}]
    return msgspec.json.encode({"model": model, "messages": messages, **BESIDE.get(wire.NAME, {})})


def from_model(said: str) -> str:
    """Return what a model said as a title, without the marks that models put around one; it may be empty."""
    plain = cleaned(said.strip().strip(_MARKS), 2 * LENGTH).strip(_MARKS).removesuffix(".").strip(_MARKS)
    return shortened(plain, LENGTH)


def cleaned(title: str, length: int) -> str:
    """Return what was given as a title in one line that can be shown, cut to so many characters; it may be empty.

    What is not seen, or turns the direction of writing (Unicode categories C*), goes, but for the joiners.
    """
    first = next((line for line in title.splitlines() if line.strip()), "")
    seen = (" " if char.isspace() else char for char in first)
    plain = "".join(char for char in seen if char in _JOINERS or not unicodedata.category(char).startswith("C"))
    return shortened(_SPACE.sub(" ", plain).strip(), length)


def shortened(text: str, length: int) -> str:
    """Return a text cut to so many characters, between two words where that is near."""
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    at_word = cut.rpartition(" ")[0]
    return (at_word if len(at_word) > length // 2 else cut).rstrip(" ,;:.-") + "…"
