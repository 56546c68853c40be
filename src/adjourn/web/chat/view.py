"""What a person sees of a stored conversation: one branch of it, each message with the versions beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adjourn.core.events import Answer, AttemptEnded, AttemptStarted, Claimed, Ended, Event, Held, UserReceived
from adjourn.core.machine import AnswerKind, Finish, Hold, Mode, Stage, UserKind
from adjourn.core.reading import RiskKind
from adjourn.core.receipt import Receipt, receipt
from adjourn.core.tree import Tree
from adjourn.host import Host
from adjourn.store import Sealed
from adjourn.web.chat.answers import Running, Writing
from adjourn.wire.request import ASSISTANT, USER

NEWEST = 200
"""So many messages are shown at first; the earlier ones are a step away."""

ELSEWHERE_MS = 10 * 60 * 1000
"""For how long an answer of which nothing more was heard may be on its way in another process."""


@dataclass(slots=True)
class Message:
    """One message. `versions`: the messages at its place, itself among them; the place of an attempt is its answer's.

    `warned`: the assistant asks here to change direction, and did not in its answer before. `broken`: it is what came
    of an answer that broke off. `coming`: it is being written, in this process under this id (`writing`: what there is
    of it), or elsewhere (the empty string).
    """

    node: str
    parent: str | None
    role: str
    text: str
    at: int
    kind: AnswerKind | UserKind | None = None
    broken: bool = False
    coming: str | None = None
    writing: Writing | None = None
    warned: bool = False
    versions: Sequence[str] = ()

    @property
    def mine(self) -> bool:
        """Whether the person wrote it."""
        return self.role == USER

    @property
    def place(self) -> int:
        """Which of the versions it is, from 1."""
        return self.versions.index(self.node) + 1

    @property
    def previous(self) -> str | None:
        return self.versions[self.place - 2] if self.place > 1 else None

    @property
    def following(self) -> str | None:
        return self.versions[self.place] if self.place < len(self.versions) else None


@dataclass(frozen=True, slots=True)
class Card:
    """Help lines, beside the message that showed the sign; `sign` is another one for each new sign."""

    sign: str
    at: str
    kind: RiskKind


@dataclass(slots=True)
class View:
    """A branch of a conversation: `path` is what is shown of it, `earlier` how many messages stand before that.

    `leaf`: where it goes on (None: at the beginning). `answers`: what came of each attempt at an answer. `asked`: the
    assistant asks whether to close. `end`: how the branch was closed; `family`: for what kind of requests. `mode`: the
    one that holds for this conversation.
    """

    conversation: str | None = None
    number: int = 0
    messages: dict[str, Message] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    path: list[Message] = field(default_factory=list)
    earlier: int = 0
    leaf: str | None = None
    asked: bool = False
    end: Receipt | None = None
    family: str | None = None
    mode: Mode | None = None
    cards: Sequence[Card] = ()

    def named(self, ident: str) -> str | None:
        """Return the message with this id; while an answer is written, it has the id of its attempt."""
        node = self.answers.get(ident, ident)
        return node if node in self.messages else None

    @property
    def unanswered(self) -> Message | None:
        return self.path[-1] if self.path and self.path[-1].mine else None

    @property
    def last_of_mine(self) -> Message | None:
        return next((message for message in reversed(self.path) if message.mine), None)

    def turns(self, end: Receipt) -> list[Message]:
        """Return the messages on which an end rests."""
        return [self.messages[node] for node in end.turns if node in self.messages]

    def above(self, node: str | None) -> list[Message]:
        """Return the path down to this message."""
        path: list[Message] = []
        while node is not None and node in self.messages:
            path.append(self.messages[node])
            node = path[-1].parent
        return path[::-1]

    def said(self, parent: str | None, text: str) -> Message | None:
        """Return the person's message with this text at this place, if it is there already."""
        there = (one for one in self.messages.values() if one.mine and one.parent == parent and one.text == text)
        return next(there, None)

    def history(self, node: str | None) -> list[dict[str, str]]:
        """Return the path down to this message as a request tells it."""
        return [{"role": one.role, "content": one.text} for one in self.above(node) if one.text]


async def seen(
    host: Host, conversation: str, at: str | None = None, *, coming: Sequence[Running] = (), whole: bool = False
) -> View:
    """Return what is shown of a conversation: the branch through `at` that was written to last.

    `coming`: the answers that are being written in it, in this process.
    """
    rows = await host.store.read(conversation)
    events = [row.event for row in rows]
    texts = await host.store.texts(conversation)
    view = View(conversation, rows[-1].number if rows else 0, _messages(events, texts))
    for running in coming:
        _come(view.messages, running)
    view.messages.update(_elsewhere(events, view.messages, host.now()))
    _versions(view.messages)
    view.answers = {event.attempt: event.node for event in events if isinstance(event, Answer) and event.attempt}
    view.leaf = _newest_below(view.messages, view.named(at or ""))
    path = view.above(view.leaf)
    _warn(path)
    view.path = path if whole else path[-NEWEST:]
    view.earlier = len(path) - len(view.path)
    standing, stage, mode, held = await host.store.see(conversation, lambda tree: _standing(host, tree, view.leaf))
    shown = {message.node for message in path}
    ends = [event for event in events if isinstance(event, Ended) and event.answer in standing & shown]
    view.end = receipt(conversation, ends[-1]) if ends else None
    view.asked = stage is Stage.ASKED and path[-1].coming is None and not path[-1].mine
    view.mode, view.family = mode, ends[-1].family if ends else None
    view.cards = list(_cards(events, view)) if held is Hold.SHOWN and mode >= Mode.WARN else ()
    return view


def _standing(host: Host, tree: Tree, leaf: str | None) -> tuple[set[str], Stage, Mode, Hold | None]:
    """Return the ends that stand, the stage at the leaf, the mode, and the hold."""
    known = leaf if leaf is not None and leaf in tree.nodes else None
    return set(tree.ended), tree.stage(known), host.mode(tree), tree.held


def _messages(events: Sequence[Event], texts: Mapping[str, Sealed]) -> dict[str, Message]:
    """Return the messages in the order in which they came, and what came of answers that broke off."""
    found: dict[str, Message] = {}
    tried: dict[str, AttemptStarted] = {}
    broken: dict[str, str] = {}  # message -> the newest answer to it that broke off
    cut = {
        (event.parent, _text(texts, event.node))
        for event in events
        if isinstance(event, Answer) and event.finish is Finish.CUT  # put in when the conversation went on below it
    }
    for event in events:
        if isinstance(event, UserReceived | Claimed):
            at = event.at if isinstance(event, UserReceived) else 0
            found[event.node] = Message(event.node, event.parent, USER, _text(texts, event.node), at, event.kind)
        elif isinstance(event, Answer):
            text = _text(texts, event.node)
            if event.finish is Finish.PREFILLED and event.parent in broken:
                text = found.pop(broken.pop(event.parent)).text + text  # it went on where that one broke off
            found[event.node] = Message(event.node, event.parent, ASSISTANT, text, event.at, event.kind)
        elif isinstance(event, AttemptStarted):
            tried[event.attempt] = event
        elif isinstance(event, AttemptEnded) and (text := _text(texts, event.attempt)):
            begun = tried[event.attempt]
            if (begun.node, text) not in cut:
                found[event.attempt] = Message(event.attempt, begun.node, ASSISTANT, text, begun.at, broken=True)
                broken[begun.node] = event.attempt
    return found


def _warn(path: Sequence[Message]) -> None:
    """Note where the assistant asks to change direction; it is said once, not on every answer that follows."""
    before = False
    for message in path:
        if not message.mine:
            warns = message.kind is AnswerKind.WARN
            message.warned, before = warns and not before, warns


def _come(messages: dict[str, Message], running: Running) -> None:
    """Put in an answer that is being written; what it goes on with is shown as its beginning."""
    node = running.turn.node
    for message in [one for one in messages.values() if one.broken and one.parent == node]:
        if running.begun and message.text == running.begun:
            del messages[message.node]
    messages[running.id] = Message(running.id, node, ASSISTANT, "", 0, coming=running.id, writing=running.shown())


def _elsewhere(events: Sequence[Event], messages: Mapping[str, Message], now: int) -> dict[str, Message]:
    """Return the answers that another process may be writing: begun not long ago, and neither done nor broken off."""
    begun = {event.attempt: event for event in events if isinstance(event, AttemptStarted)}
    for event in events:
        if isinstance(event, Answer | AttemptEnded) and event.attempt:
            begun.pop(event.attempt, None)
    answered = {one.parent for one in messages.values() if not one.mine}
    return {
        one.attempt: Message(one.attempt, one.node, ASSISTANT, "", one.at, coming="")
        for one in begun.values()
        if one.node not in answered and now - one.at < ELSEWHERE_MS
    }


def _text(texts: Mapping[str, Sealed], node: str) -> str:
    return texts[node].text if node in texts else ""


def _versions(messages: Mapping[str, Message]) -> None:
    """Note on every message which others stand at its place."""
    places: dict[tuple[str | None, str], list[str]] = {}
    for message in messages.values():
        places.setdefault((message.parent, message.role), []).append(message.node)
    for message in messages.values():
        message.versions = places[message.parent, message.role]


def _newest_below(messages: dict[str, Message], at: str | None) -> str | None:
    """Return the message that came last below this one (None: of all)."""
    if at is None:
        return next(reversed(messages), None)
    below, leaf = {at}, at
    for message in messages.values():
        if message.parent in below:
            below.add(message.node)
            leaf = message.node
    return leaf


def _cards(events: Sequence[Event], view: View) -> Iterator[Card]:
    """Yield the card of each new sign on the path; of one that came on another branch, at the end of this one."""
    shown = [message.node for message in view.path]
    held = [event for event in events if isinstance(event, Held) and event.level is Hold.SHOWN]
    placed: dict[str, tuple[str, RiskKind | None]] = {}
    for event in held:
        if event.about in shown:
            placed[_beside(view, event.about)] = event.about, event.kind
    if held and not placed and shown:
        placed[shown[-1]] = held[-1].about, held[-1].kind
    for at, (about, kind) in placed.items():
        yield Card(about, at, kind or RiskKind.SELF)


def _beside(view: View, about: str) -> str:
    """Return the message behind which the card stands: the answer to the one that showed the sign."""
    at = next(index for index, message in enumerate(view.path) if message.node == about)
    answered = view.path[at].mine and at + 1 < len(view.path)
    return view.path[at + 1].node if answered else about
