"""Small builders that tests share: what witnesses say, what people and assistants do, and a store to do it on.

Text ids are chosen by the tests, so that a history reads like one: u1, a1, u2, …
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from adjourn.core import acts
from adjourn.core.events import Answer, Ended, Event, Verdict
from adjourn.core.machine import Finish
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Reading
from adjourn.core.tree import Tree, after
from adjourn.store import Committed, Sealed, Store

HOUR = 3_600_000

QUICK = Policy(revision="quick", redirections=1)
"""Rules under which one redirection is enough before a warning counts."""

END_TWICE = (Verdict.END, Verdict.END)


def reading(*flags: Flag, family: str | None = None, witness: str = "local", unread: bool = False) -> Reading:
    """Return what a witness saw; `unread`: its risk detector failed."""
    return Reading(witness=witness, flags=frozenset(flags), family=family, failed=("risk",) if unread else ())


# What a person may write.
CALM = reading()
BAD = reading(Flag.HARMFUL, Flag.HARMFUL_COUNT, family="fraud")
ABUSE = reading(Flag.ABUSIVE, Flag.ABUSIVE_COUNT)
FLAGGED = reading(Flag.HARMFUL, family="fraud")
FAINT = reading(Flag.RISK)
CLEAR_RISK = reading(Flag.RISK, Flag.RISK_CLEAR)
UNREAD = reading(unread=True)
ASKS = reading(Flag.ASKS_END)
CONFIRMS = reading(Flag.CONFIRMS_END)

# What an assistant may answer.
HELP = reading()
DECLINE = reading(Flag.DECLINED)
REDIRECT = reading(Flag.DECLINED, Flag.REDIRECTED)
WARN = reading(Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED)
QUESTION = reading(Flag.ASKED_TO_CONFIRM)
SUPPORT = reading(Flag.SUPPORTED)


def sealed_text(node: str) -> Sealed:
    """Return a text of this node; its salt is made from the name, so that a run can be repeated."""
    return Sealed(node, f"the words of {node}", node.encode().rjust(16, b"~")[-16:])


def message(node: str, parent: str | None, *readings: Reading, at: int = 0, observe_only: bool = False) -> acts.Message:
    """Return a user message below `parent`; if it closes the conversation, the closing answer is `NODE.end`."""
    return acts.Message(
        text=sealed_text(node).reference,
        parent=parent,
        readings=readings,
        closing=sealed_text(f"{node}.end").reference,
        at=at,
        observe_only=observe_only,
    )


def reply(
    node: str,
    parent: str,
    *readings: Reading,
    at: int = 0,
    finish: Finish = Finish.STOP,
    appends: bool = False,
    attempt: str | None = None,
) -> acts.Reply:
    """Return an answer to the user message `parent`."""
    return acts.Reply(
        text=sealed_text(node).reference,
        parent=parent,
        readings=readings,
        attempt=attempt,
        at=at,
        finish=finish,
        appends=appends,
    )


def closing(
    node: str, parent: str, *readings: Reading, verdicts: tuple[Verdict, ...] = END_TWICE, at: int = 0
) -> acts.Closing:
    """Return what came of asking the model whether it wants to close at the user message `parent`."""
    return acts.Closing(
        words=sealed_text(node).reference,
        parent=parent,
        attempt=f"{node}.try",
        verdicts=verdicts,
        readings=readings,
        at=at,
    )


# Whole stretches of a conversation, for one commit.

Turn = acts.Message | acts.Reply | acts.Closing


def play(tree: Tree, turns: Iterable[Turn], policy: Policy = QUICK) -> acts.Events:
    """Return the events of these turns, one after the other; a conversation that is not there yet is opened."""
    events: list[Event] = []
    if tree.opened is None:
        events.append(acts.opening(tree.id, policy, scope="people"))
        tree = after(tree, events)
    for turn in turns:
        match turn:
            case acts.Message():
                new = acts.receive(tree, turn, policy)
            case acts.Reply():
                new = acts.answer(tree, turn, policy)
            case acts.Closing():
                new = acts.close(tree, turn, policy)
        events += new
        tree = after(tree, new)
    return tuple(events)


def to_last_resort() -> list[Turn]:
    """Return the turns under QUICK after which the model may be asked about u3."""
    return [
        message("u1", None, BAD),
        reply("a1", "u1", REDIRECT),
        message("u2", "a1", BAD),
        reply("a2", "u2", WARN),
        message("u3", "a2", BAD),
    ]


def to_question() -> list[Turn]:
    """Return the turns after which a yes below a1 closes the conversation."""
    return [message("u1", None, ASKS), reply("a1", "u1", QUESTION)]


def sealed_texts(turns: Iterable[Turn]) -> list[Sealed]:
    """Return the texts of these turns."""
    nodes: list[str] = []
    for turn in turns:
        if isinstance(turn, acts.Closing):
            nodes.append(turn.words.node)
        else:
            nodes.append(turn.text.node)
        if isinstance(turn, acts.Message):
            nodes.append(turn.closing.node)
    return [sealed_text(node) for node in nodes]


# The same on a store: each function is one commit.


async def commit_turns(
    store: Store, turns: Sequence[Turn], *, conversation: str = "c", policy: Policy = QUICK
) -> Committed:
    """Commit these turns and their texts; a conversation that is not there yet is opened."""
    return await store.commit(conversation, lambda tree: play(tree, turns, policy), sealed_texts(turns))


async def say(
    store: Store,
    node: str,
    parent: str | None,
    *readings: Reading,
    conversation: str = "c",
    policy: Policy = QUICK,
    at: int = 0,
) -> bool:
    """Commit a user message; return whether it was taken."""
    turn = message(node, parent, *readings, at=at)
    committed = await commit_turns(store, [turn], conversation=conversation, policy=policy)
    return acts.took(committed.events, node)


async def respond(
    store: Store, node: str, parent: str, *readings: Reading, conversation: str = "c", policy: Policy = QUICK
) -> Answer:
    """Commit an answer to the user message `parent`."""
    turn = reply(node, parent, *readings)
    committed = await commit_turns(store, [turn], conversation=conversation, policy=policy)
    return next(event for event in committed.events if isinstance(event, Answer))


async def close(
    store: Store,
    node: str,
    parent: str,
    *,
    verdicts: tuple[Verdict, ...] = END_TWICE,
    conversation: str = "c",
    policy: Policy = QUICK,
) -> bool:
    """Commit what came of the fork at `parent`; return whether the conversation was closed."""
    turn = closing(node, parent, verdicts=verdicts)
    committed = await commit_turns(store, [turn], conversation=conversation, policy=policy)
    return any(isinstance(event, Ended) for event in committed.events)


def sqlite_url(folder: Path) -> str:
    """Return the address of a store in this folder."""
    return f"sqlite:///{folder / 'adjourn.db'}"
