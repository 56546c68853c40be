"""What a commit makes of a chat in its person's list, and the words by which it is found."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adjourn.core.events import Answer, Claimed, Erased, Event, Held, Opened, Signals, UserReceived
from adjourn.core.machine import UserKind
from adjourn.core.reading import Flag
from adjourn.store.interface import TEMPORARY, Chat, Conversation
from adjourn.store.text import Sealed
from adjourn.store.views import MESSAGES

UNDO_MS = 10 * 60_000
"""How long a person may undo that they deleted a chat."""

TEMPORARY_MS = 24 * 3_600_000
"""How long after its last message a temporary chat is erased."""

BEGINNING = 200
"""How many characters of the first message are kept as its beginning."""

READ = 20_000
"""How many characters of a message can be found; what stands below them (a long paste) is not."""

ASKED = 8
"""How many words of a search count."""

WORD = 40
"""How many characters of a word count."""

FLAGS = frozenset(
    {Flag.HARMFUL, Flag.HARMFUL_COUNT, Flag.ABUSIVE, Flag.ABUSIVE_COUNT, Flag.RISK, Flag.RISK_CLEAR, Flag.SUPPORTED}
)
"""What a message may not carry if words of its chat are to become a title."""

# Chinese and Japanese are written without spaces: there each letter is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_MARKS = re.compile(r"[\u0300-\u036f]")


def went_on(chat: Chat | None, line: Conversation, events: Sequence[Event], texts: Mapping[str, Sealed]) -> Chat:
    """Return what these events make of a chat, and of one that is not there yet (None); `line`: as it is after them."""
    opened = next((event for event in events if isinstance(event, Opened)), None)
    before = chat or Chat(line=line, beginning=None, flagged=False, temporary=False, erased=False)
    after = replace(
        before,
        line=line,
        flagged=before.flagged or any(_flagged(event) for event in events),
        temporary=before.temporary or (opened is not None and (opened.external or "").startswith(TEMPORARY)),
    )
    messages = sum(isinstance(event, MESSAGES) for event in events)
    if messages and messages == line.messages:
        after = replace(after, beginning=_beginning(events, texts))
    last = next((event for event in reversed(events) if isinstance(event, UserReceived | Erased)), None)
    if isinstance(last, UserReceived):
        after = replace(after, erased=False, away=False, deleted_at=None)
    elif last is not None:
        after = replace(after, beginning=None, title=None, titled_by=None, erased=True)
    return after


def _flagged(event: Event) -> bool:
    read = isinstance(event, Signals) and (event.reading.flags & FLAGS or event.reading.failed)
    return bool(read) or isinstance(event, Held)


def _beginning(events: Iterable[Event], texts: Mapping[str, Sealed]) -> str | None:
    """Return how the first message of a person begins, in one line."""
    people = (event.node for event in events if isinstance(event, MESSAGES) and isinstance(event.kind, UserKind))
    text = texts.get(next(people, ""))
    return " ".join(text.text[: 2 * BEGINNING].split())[:BEGINNING] if text is not None else None


def found_by(events: Iterable[Event], texts: Mapping[str, Sealed]) -> set[str]:
    """Return the words of the messages that these events bring."""
    nodes = [event.node for event in events if isinstance(event, UserReceived | Claimed | Answer)]
    return {word for node in nodes if node in texts for word in words_of(texts[node].text)}


def words_of(text: str) -> set[str]:
    """Return the words of a text as they are looked for: without accents and capitals."""
    plain = unicodedata.normalize("NFKD", text[:READ])
    return {word[:WORD] for word in _WORDS.findall(_MARKS.sub("", plain).casefold())}


def asked_for(search: str) -> list[str]:
    """Return the words of a search, the longest first: they exclude most."""
    return sorted(words_of(search), key=lambda word: (-len(word), word))[:ASKED]


def altered(chat: Chat, change: Chat) -> Chat:
    """Return the chat with what a person may change of it."""
    return replace(
        chat,
        title=change.title,
        titled_by=change.titled_by,
        pinned=change.pinned,
        away=change.away,
        deleted_at=change.deleted_at,
    )
