"""What happened and why, in plain words: a sentence for each fact that moved a conversation or could have."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from adjourn.core.decide import RULES
from adjourn.core.events import (
    Answer,
    Claimed,
    Decision,
    Ended,
    Erased,
    Event,
    Held,
    Judged,
    Lifted,
    Opened,
    RefusedRead,
    Reopened,
    UserReceived,
)
from adjourn.core.machine import EMPTY, AnswerKind, Finish, Hold, Registers, Stage, UserKind
from adjourn.core.reading import Flag, Matter, Opinion, RiskKind
from adjourn.core.receipt import FAMILY_WORDS, sentence
from adjourn.core.tree import UNSEEN, Node, Tree, apply

Name = Callable[[str], str]
"""How a node is called in a sentence: "message 4"."""

RISK_WORDS = {
    None: "somebody may be at risk",
    RiskKind.SELF: "the writer may be at risk",
    RiskKind.OTHER: "somebody else may be at risk",
    RiskKind.DANGER: "the writer may be a danger to others",
    RiskKind.EMERGENCY: "somebody may need help right now",
}

ASKED_WORDS: Mapping[Matter, str] = {
    Matter.WARN: "the model may give notice that the chat may be closed",
    Matter.PERSISTENT_HARM: "it is right to close the chat",
    Matter.USER_REQUEST: "the person means to close the chat",
    Matter.RISK: "somebody is at risk",
}
OPINION_WORDS: Mapping[Opinion, str] = {
    Opinion.YES: "says yes",
    Opinion.NO: "says no",
    Opinion.UNSCORED: "gives no answer that counts",
}


def explain(conversation: str, events: Iterable[Event], name: Name) -> Iterator[str]:
    """Yield the sentences of a conversation, in its order."""
    tree = Tree(id=conversation)
    for event in events:
        old = tree.registers(event.parent) if isinstance(event, Answer) else EMPTY
        apply(tree, event)
        said = explain_event(old, event, tree, name)
        if said:
            yield said


def explain_event(old: Registers, event: Event, after: Tree, name: Name) -> str | None:
    """Return a sentence for a fact, given the tree after it; None for what moved nothing.

    `old`: of an answer, the registers before it.
    """
    match event:
        case Opened():
            return (
                f"Opened in mode {event.mode.name.lower()}; a warning counts after {event.redirections} redirections."
            )
        case UserReceived():
            return _message(event, after.nodes[event.node], name)
        case Claimed() | Answer() if event.kind in (UserKind.RISK, AnswerKind.SUPPORT):
            return None  # the hold says it
        case Answer():
            return _answer(old, event, after, name)
        case Held() | Judged() | Decision():
            return _SENTENCES[type(event)](event, name)
        case Ended():
            why = sentence(event.ground, event.family)
            return f"Closed with {name(event.answer)} ({event.ground}, receipt {event.receipt}). {why}"
        case RefusedRead():
            return "A message below the end was refused; it was kept because of what it may say of a risk."
        case Reopened():
            return f"A reviewer reopened the conversation: {event.reason}"
        case Lifted():
            return f"A reviewer lifted the hold: {event.reason}"
        case Erased():
            return "The texts were erased."
        case _:
            return None


def _what(node: Node) -> str:
    """Return what is bad about a message."""
    if Flag.HARMFUL in node.flags:
        about = FAMILY_WORDS.get(node.family or "")
        return "a harmful request" + (f" ({about})" if about else "")
    return "abuse of the assistant"


def _message(event: UserReceived, node: Node, name: Name) -> str | None:
    message = _capital(name(event.node))
    match event.kind:
        case UserKind.BAD if event.observe_only:
            return f"{message} is {_what(node)}; the request can only be observed, so it does not count."
        case UserKind.BAD:
            return f"{message} is {_what(node)}."
        case UserKind.FLAG if event.frozen and (Flag.HARMFUL_COUNT in node.flags or Flag.ABUSIVE_COUNT in node.flags):
            return f"{message} is {_what(node)}; it does not count, since somebody may be at risk."
        case UserKind.FLAG:
            return f"{message} may be {_what(node)}; that is not sure enough to count."
        case UserKind.ASK:
            return f"{message} asks to close the conversation."
        case UserKind.BLIND:
            return f"{message} could not be read; until it has been, nothing is closed."
        case _:
            return None


def _answer(old: Registers, event: Answer, after: Tree, name: Name) -> str | None:
    message = after.nodes.get(event.parent or "", UNSEEN)
    if event.finish in (Finish.CUT, Finish.CLAIMED):
        return None
    answer = _capital(name(event.node))
    added = {"question": " (the host added the question)", "warning": " (the host added the notice)"}
    said = added.get(event.added or "", "")
    if event.stage is Stage.ASKED:
        return f"{answer} asks whether to close it for good{said}."
    if message.message is UserKind.BAD and event.after != old:
        match event.kind:
            case AnswerKind.WARN if event.after.warned == event.node:
                return f"{answer} gives notice that the chat may be closed{said}."
            case AnswerKind.WARN | AnswerKind.REDIRECT:
                return f"{answer} declines it and offers another way ({event.after.k} so far)."
            case AnswerKind.DECLINE:
                return f"{answer} declines it without another way: that does not count."
            case _:
                return f"{answer} does not decline it: that does not count."
    if old != EMPTY and event.after == EMPTY and (old.k or old.warned):
        return f"With {name(event.node)} what was bad before is forgotten: it stopped."
    return None


def _held(event: Held, name: Name) -> str:
    what = f"{_capital(name(event.about))} shows {{}} sign that {RISK_WORDS[event.kind]}"
    if event.level is Hold.SHOWN:
        return f"{what.format('a clear')}: nothing is closed until a reviewer lifts the hold, and any end is undone."
    return f"{what.format('a faint')}: for some messages nothing is closed, and nothing counts."


def _judged(event: Judged, name: Name) -> str:
    asked, said = ASKED_WORDS[event.matter], OPINION_WORDS[event.opinion]
    return f"Asked at {name(event.node)} whether {asked}, the witness {event.witness} {said}."


def _decision(event: Decision, name: Name) -> str | None:
    failed = [RULES[rule.rule].else_ for rule in event.rules if not rule.holds]
    step = {
        Stage.LAST_RESORT: "the model may be asked whether it wants to close",
        Stage.REQUESTED: "the person will be asked whether they mean it",
        Stage.ASKED: "the person is asked whether they mean it",
        Stage.ENDED: "the conversation is closed",
    }[event.wanted]
    if failed:
        return f"{_capital(name(event.node))}: not so far that {step}: {'; '.join(failed)}."
    if event.stage is Stage.LAST_RESORT:
        return f"{_capital(name(event.node))} goes on after the notice: {step}."
    return None


_SENTENCES: Mapping[type[Event], Callable[[Any, Name], str | None]] = {
    Held: _held,
    Judged: _judged,
    Decision: _decision,
}


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
