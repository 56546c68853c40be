"""The one interface of every store. All of them pass the same tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from adjourn.core.errors import DamagedLog
from adjourn.core.events import Event
from adjourn.core.machine import Hold
from adjourn.core.policy import Policy
from adjourn.core.tree import Tree
from adjourn.store.codec import decode
from adjourn.store.keys import Key
from adjourn.store.text import Sealed

T = TypeVar("T")
Decide = Callable[[Tree], Iterable[Event]]


class Recorded(NamedTuple):
    """An event as it is kept: its number (from 1), its name and bytes, and the chain's digest with it."""

    conversation: str
    number: int
    name: str
    body: bytes
    head: bytes

    @property
    def event(self) -> Event:
        """The event that the bytes say; raises DamagedLog if they say none."""
        try:
            return decode(self.name, self.body)
        except DamagedLog as error:
            raise DamagedLog(f"event {self.number} of conversation {self.conversation}: {error}") from error


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit added. `first` is the number of the first of the events.

    `overtaken`: nothing was added, since the message, or the conversation with this id, is there already: somebody else
    was faster. Look it up again.
    """

    first: int
    events: tuple[Event, ...]
    overtaken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A line of the list of conversations. `at` are Unix times in milliseconds."""

    id: str
    scope: str
    external: str | None
    opened_at: int
    last_at: int
    messages: int
    held: Hold
    ended: bool
    number: int


class Lookup(NamedTuple):
    """Two keyed digests that lead to a node of a conversation: of its path, and of the message alone.

    `own`: this host received or produced that message; `said`: produced, as an answer or a step of one.
    """

    digest: bytes
    alone: bytes
    conversation: str
    node: str
    own: bool
    said: bool = False


MOST = 32
"""How many conversations a digest leads to at most, the newest first: many people say "hi"."""


BROWSER = "browser:"
"""How the last part of a scope begins that is one browser's."""

SIGNED_IN = f"/{BROWSER}"
"""What follows the key in the scope of a browser that signed in with it; it is no end user of the key."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose conversations are meant: those of this scope and, with `users`, those of the end users below it.

    Browsers that signed in with its key are not among them.
    """

    scope: str
    users: bool = False

    def owns(self, scope: str) -> bool:
        """Whether a conversation of this scope is theirs."""
        if not self.users or scope == self.scope:
            return scope == self.scope
        return scope.startswith(f"{self.scope}/") and not scope.startswith(self.scope + SIGNED_IN)


TEMPORARY = "temporary_"
"""How the client's id of a chat begins that is erased a day after its last message."""


def has_list(scope: str) -> bool:
    """Whether conversations of this scope stand in somebody's list of chats: those of a browser do.

    A program lists and searches for itself: of its conversations nothing is kept that only a list needs.
    """
    return scope.rpartition("/")[2].startswith(BROWSER)


class Titled(StrEnum):
    """Who gave a chat its title."""

    PERSON = "person"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A conversation as it stands in its person's own list. `at` are Unix times in milliseconds.

    `beginning`: how its first message begins; None once it was erased. `flagged`: some message may be harm, abuse or a
    sign of risk, or could not be read: no words of it are shown as a title that nobody chose. `erased`: no words are
    kept, and nothing came since. `away`: the person took it off the list; `deleted_at`: deleted it, with a while to
    undo it. A new message of theirs takes both back.
    """

    line: Conversation
    beginning: str | None
    flagged: bool
    temporary: bool
    erased: bool
    title: str | None = None
    titled_by: Titled | None = None
    pinned: bool = False
    away: bool = False
    deleted_at: int | None = None

    @property
    def id(self) -> str:
        """The id of the conversation."""
        return self.line.id


@dataclass(frozen=True, slots=True)
class Below:
    """Where a page of a person's list goes on: below this chat."""

    pinned: bool
    last_at: int
    id: str


class Rating(StrEnum):
    """What a person thinks of a message, or of an end."""

    UP = "up"
    DOWN = "down"
    RIGHT_END = "right_end"
    WRONG_END = "wrong_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a person said about a conversation, or one message or end of it (`about`: a node or a receipt's number).

    `reasons` and `text` are their words, which an erasure takes. `at` is Unix time in milliseconds.
    """

    conversation: str
    about: str | None
    rating: Rating
    reasons: tuple[str, ...] = ()
    text: str | None = None
    at: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of the list of conversations goes on: below this line."""

    last_at: int
    id: str


class Store(Protocol):
    """Appends events and reads them back. Readers never wait for the writer."""

    async def commit(
        self,
        conversation: str,
        decide: Decide,
        texts: Sequence[Sealed] = (),
        lookups: Sequence[Lookup] = (),
    ) -> Committed:
        """Append what `decide` makes of the conversation's tree as it is now; afterwards it is durable.

        `decide` is pure and may run again. It is run inside the transaction, so nothing comes between what it sees
        and what is written. Of `texts` and `lookups`, those whose node an event brings are kept. With `Erased` among
        the events, every text and look-up of the conversation and the words of its feedback are gone. What `decide`
        raises is raised, and nothing is written. Raises StoreError if it could not be written.
        """
        ...

    async def see(self, conversation: str, look: Callable[[Tree], T]) -> T:
        """Return what `look` makes of the conversation's tree (an empty one if there is none)."""
        ...

    async def read(self, conversation: str, after: int = 0) -> list[Recorded]:
        """Return the events with a number above `after`, in order; none if there is no such conversation."""
        ...

    async def texts(self, conversation: str) -> Mapping[str, Sealed]:
        """Return the texts that are kept, by node."""
        ...

    async def conversations(self) -> list[Conversation]:
        """Return all conversations, the newest first."""
        ...

    async def page(self, owner: Owner, limit: int, below: Cursor | None = None) -> list[Conversation]:
        """Return the newest conversations of an owner in the order of the list, or those that follow after `below`."""
        ...

    async def named(self, ident: str, owner: Owner | None = None) -> Sequence[str]:
        """Return the conversations of this name, the best match first; with `owner`, among theirs only.

        A name is an id of ours, or the number of a receipt (as a person copies it, in small letters too). With `owner`
        it may be the client's own id as well.
        """
        ...

    async def older(self, at: int, limit: int) -> list[Conversation]:
        """Return conversations whose newest message came before this time, and of which words are kept."""
        ...

    async def chats(self, scope: str, limit: int, below: Below | None = None, search: str = "") -> list[Chat]:
        """Return the first chats of a browser's list, or those after `below`: the pinned first, then the newest.

        With `search`, those in whose title or messages each of its words begins a word, those put away among them.
        """
        ...

    async def chat(self, conversation: str) -> Chat | None:
        """Return how a conversation stands in its person's list; None if it stands in none."""
        ...

    async def mark(self, conversation: str, change: Callable[[Chat], Chat]) -> Chat | None:
        """Keep what `change` makes of a chat's title, of pinned, away and deleted, and return it; None: there is none.

        It is run inside the transaction; what it raises is raised, and nothing is written.
        """
        ...

    async def overdue(self, deleted_before: int, silent_since: int, limit: int) -> list[Chat]:
        """Return chats to be erased: deleted before that time, or temporary without a message since the other."""
        ...

    async def comment(self, feedback: Feedback) -> None:
        """Keep what a person said; raises StoreError if it could not be written."""
        ...

    async def feedback(self, conversation: str | None = None, since: int = 0) -> list[Feedback]:
        """Return what was said since that time, of this conversation or of all, in the order in which it came."""
        ...

    async def ids(self) -> Sequence[str]:
        """Return the ids of all conversations that have events, whatever the list says."""
        ...

    async def line(self, conversation: str) -> tuple[Conversation, bytes] | None:
        """Return its line in that list, and the chain's digest from which it goes on; None if there is none."""
        ...

    async def find(
        self, digests: Sequence[bytes], conversation: str | None = None, *, alone: bool = False
    ) -> Sequence[Lookup]:
        """Return where these digests (of paths, or of messages alone) lead, in one conversation or in all.

        In all of them, a message alone is found only if this host said it, and of one digest at most the newest `MOST`.
        """
        ...

    async def external(self, scope: str, external: str) -> str | None:
        """Return the conversation of this scope with this id, ours or the client's; of several, the newest."""
        ...

    async def secret(self, name: str) -> bytes:
        """Return this store's own 32 random bytes of that name, made when they are first asked for."""
        ...

    async def add_key(self, key: Key, digest: bytes) -> None:
        """Keep a key under its digest; afterwards it is durable."""
        ...

    async def keys(self) -> Sequence[Key]:
        """Return all keys, revoked ones too, the oldest first."""
        ...

    async def has_keys(self) -> bool:
        """Whether there is any key, be it revoked: once there is one, there always is."""
        ...

    async def key(self, digest: bytes) -> Key | None:
        """Return the key with this digest as it is now, whoever changed it; None if there is none."""
        ...

    async def revoke_key(self, ident: str, at: int) -> Key:
        """Let a key open nothing any more, for good, and return it.

        Raises UnknownKey, and CallerError if it was revoked before.
        """
        ...

    async def keep(self, policy: Policy, at: int | None = None) -> None:
        """Keep a policy whole, so that whatever is decided under its digest can be decided again.

        `at`: when it came into use, in Unix milliseconds; of one that is kept already, the first time stays.
        """
        ...

    async def policies(self) -> Mapping[str, Policy]:
        """Return the policies that are kept, by digest; one that no longer has its digest is left out."""
        ...

    async def rules(self) -> Sequence[tuple[Policy, int | None]]:
        """Return the same policies in the order in which they came into use, each with the time if it is known."""
        ...

    async def rebuild(self) -> int:
        """Make nodes, tree facts and views again from the events; return how many conversations there are."""
        ...

    async def version(self) -> int:
        """Return a number that changes whenever anything is written, whoever writes it; it costs next to nothing."""
        ...

    async def ready(self) -> None:
        """Begin a write, and take it back; raises StoreError if nothing can be written just now."""
        ...

    async def close(self) -> None:
        """Finish what is being written and let go of the files."""
        ...
