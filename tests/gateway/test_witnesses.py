"""Witnesses elsewhere, through the real server: beside the answer, late, failing, out of budget, in doubt, or sure."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adjourn.core.events import AttemptStarted, Ended, Event, Held, Judged, Signals, UserReceived
from adjourn.core.explain import explain
from adjourn.core.machine import Guidance, Hold
from adjourn.core.reading import Matter, Opinion
from adjourn.host import witnesses as beside
from adjourn.signals.remote import judge
from adjourn.store.erase import erase
from adjourn.store.export import export
from adjourn.upstream.witnesses import JUDGE, NamedWitness
from adjourn.web.serve import witnesses
from adjourn.web.watch import Watch
from tests.gateway.rig import ASK, BAD, CALM, FAINT, QUESTION, QUICK, YES, Rig, here, rig, until
from tests.models import REDIRECTS, hostile, scripted, stubborn
from tests.test_remote import completion, moderated

MATTERS = {judge.words()[matter]: matter for matter in Matter}


@dataclass
class Elsewhere:
    """A witness's server: `flagged` are the categories that it sees, `says` what a judge says to each matter."""

    flagged: Sequence[str] = ()
    says: Mapping[Matter, object] = field(default_factory=dict)
    fails: bool = False
    opens: asyncio.Event | None = None  # nothing is answered before
    asked: list[Any] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/moderations", self.moderate, methods=["POST"]),
                Route("/v1/chat/completions", self.opine, methods=["POST"]),
            ]
        )

    async def moderate(self, request: Request) -> Response:
        return await self._answer((await request.json())["input"], moderated(*self.flagged))

    async def opine(self, request: Request) -> Response:
        system, user = [one["content"] for one in (await request.json())["messages"]]
        (matter,) = (matter for words, matter in MATTERS.items() if words in system)
        said = [json.loads(line) for line in user.splitlines()]
        quote = [one["text"] for one in said if one["role"] == "user"][-1]
        answer = {"answer": "no", "quote": "", "at_risk": "nobody"}
        if self.says.get(matter) is True:
            answer = {"answer": "yes", "quote": quote, "at_risk": "self" if matter is Matter.RISK else "nobody"}
        elif matter in self.says:
            answer |= dict(self.says[matter])  # type: ignore[call-overload]
        return await self._answer((matter, said), completion(json.dumps(answer)))

    async def _answer(self, asked: object, said: bytes) -> Response:
        self.asked.append(asked)
        if self.opens is not None:
            await self.opens.wait()
        return JSONResponse({"error": {}}, 500) if self.fails else Response(said, media_type="application/json")


AGREES = dict.fromkeys((Matter.WARN, Matter.PERSISTENT_HARM, Matter.USER_REQUEST), True)


@asynccontextmanager
async def asking(elsewhere: Elsewhere, model: Starlette, kind: str = "moderation", **more: Any) -> AsyncIterator[Rig]:
    options = {name: more.pop(name) for name in ("watch", "policy") if name in more}
    async with here(elsewhere.app()) as url:
        one = NamedWitness(name="elsewhere", kind=kind, url=f"{url}/v1", model="m", **more)
        async with rig(model, witnesses=witnesses([one]), **options) as served:
            yield served
            if elsewhere.opens is not None:
                elsewhere.opens.set()
            assert await served.verified()


def of(events: Sequence[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def there(served: Rig, kind: type[Event], count: int = 1) -> None:
    async def is_there() -> bool:
        return await served.count(kind) >= count

    await until(is_there)


async def at_rest(served: Rig) -> None:
    await until(lambda: not served.host.witnesses.running)


# Beside the answer.


async def test_a_witness_elsewhere_keeps_nobody_waiting_and_what_it_saw_is_put_on_record_when_it_comes() -> None:
    elsewhere = Elsewhere(flagged=["self-harm/intent"], opens=asyncio.Event())
    async with asking(elsewhere, scripted("Hello.")) as served:
        chat = served.chat()
        reply = await chat.send(CALM)
        assert (reply.text, reply.adjourn, await served.count(Held)) == ("Hello.", None, 0)
        assert elsewhere.opens is not None
        elsewhere.opens.set()
        await there(served, Held)
        events = await served.events(reply.conversation)
        (seen,) = [event.reading for event in of(events, Signals) if event.reading.witness == "elsewhere"]
        assert (seen.version, seen.risk_kind) == ("m", "self")
        assert [held.level for held in of(events, Held)] == [Hold.QUIET]
        assert (await chat.send(CALM)).adjourn is None


async def test_p05_a_faint_sign_that_a_witness_elsewhere_sees_too_is_clear_and_help_lines_come_next() -> None:
    elsewhere = Elsewhere(flagged=["self-harm"])
    async with asking(elsewhere, scripted("I'm here.")) as served:
        chat = served.chat()
        first = await chat.send(FAINT)
        await there(served, Held, 2)
        elsewhere.flagged = ()
        second = await chat.send(CALM)
        told = [("support" in (reply.adjourn or {})) for reply in (first, second)]
        assert told[1] or told[0]  # with the answer, if it came before that was whole
        events = await served.events(first.conversation)
        assert of(events, Held)[-1].level is Hold.SHOWN
        if not told[0]:
            assert of(events, AttemptStarted)[-1].guidance is Guidance.SUPPORT
        await at_rest(served)


async def test_p05_a_risk_that_a_witness_elsewhere_and_a_local_one_see_late_lifts_an_end() -> None:
    elsewhere = Elsewhere()
    async with asking(elsewhere, hostile()) as served:
        chat = served.chat()
        for _ in range(QUICK.redirections + 2):
            reply = await chat.send(BAD)
        assert reply.ended
        elsewhere.flagged = ["self-harm"]
        again = chat.fork().back(4)
        assert (await again.send(FAINT)).conversation == reply.conversation
        await there(served, Held, 2)
        await at_rest(served)
        events = await served.events(reply.conversation)
        (receipt,) = export(reply.conversation, events, {})["receipts"]
        assert not receipt["stands"]
        elsewhere.flagged = ()
        assert (await chat.send("I need to talk.")).status == 200


@pytest.mark.parametrize(("sample", "asked"), [(1e-9, 0), (1.0, 3)])
async def test_a_witness_reads_its_share_of_the_messages_with_what_came_before(sample: float, asked: int) -> None:
    elsewhere = Elsewhere()
    async with asking(elsewhere, scripted("Hello."), sample=sample) as served:
        await served.chat().say(CALM, "Again.", "And again.")
        await at_rest(served)
        assert len(elsewhere.asked) == asked


async def test_a_retry_is_not_read_again() -> None:
    elsewhere = Elsewhere()
    async with asking(elsewhere, scripted("Hello.")) as served:
        chat = served.chat()
        await chat.say(CALM, "And now?")
        await chat.back().again()
        await at_rest(served)
        assert elsewhere.asked == [CALM, "And now?"]


@pytest.mark.parametrize("flagged", [["illicit", "harassment"], ["hate"]])
async def test_p10_what_a_witness_elsewhere_says_of_harm_or_abuse_never_counts(flagged: list[str]) -> None:
    async with asking(Elsewhere(flagged=flagged), hostile()) as served:
        chat = served.chat()
        for _ in range(6):
            reply = await chat.send(CALM)
            await at_rest(served)
        assert (reply.stage, served.forks) == (None, [])
        taken = of(await served.events(reply.conversation), UserReceived)
        assert {event.kind for event in taken} == {"CLEAR"}


# What fails adds nothing.

Trouble = tuple[Mapping[str, Any], Mapping[str, Any], str]
TROUBLES: Mapping[str, Trouble] = {
    "failed": ({"fails": True}, {}, "failed"),
    "late": ({"opens": True}, {"timeout": 0.02}, "late"),
    "budget": ({}, {"budget": 0}, "budget"),
}


def troubled(trouble: str, **more: Any) -> tuple[Elsewhere, Mapping[str, Any], str]:
    server, settings, came = TROUBLES[trouble]
    elsewhere = Elsewhere(**{**more, **server})
    if elsewhere.opens:
        elsewhere.opens = asyncio.Event()
    return elsewhere, settings, came


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_p06_a_witness_that_fails_is_late_or_has_no_budget_adds_nothing_and_is_counted(trouble: str) -> None:
    elsewhere, settings, came = troubled(trouble, flagged=["self-harm", "illicit"])
    watch = Watch()
    async with asking(elsewhere, scripted("Hello."), watch=watch, **settings) as served:
        reply = await served.chat().send(CALM)
        await at_rest(served)
        events = await served.events(reply.conversation)
        assert (reply.text, of(events, Held)) == ("Hello.", [])
        assert {event.reading.witness for event in of(events, Signals)} == {"local"}
        counted = f'adjourn_witness_questions_total{{came="{came}",kind="moderation"}} 1.0'
        assert counted in watch.metrics.page().decode()


async def closes(served: Rig, how: str) -> bool:
    """Go on until the chat is closed, or would be: at the person's request, or for harm."""
    chat = served.chat()
    if how == "request":
        await chat.send(ASK)
        return (await chat.send(YES)).ended
    await chat.send(BAD)
    await at_rest(served)
    await chat.send(BAD)
    return (await chat.send(BAD)).ended


WAYS: Mapping[str, Callable[[], Starlette]] = {"request": lambda: scripted(QUESTION), "harm": hostile}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(("trouble", "ends"), [("failed", False), ("late", False), ("budget", True), (None, True)])
async def test_p06_an_end_waits_for_what_is_being_read_and_goes_without_what_is_not_asked(
    how: str, trouble: str | None, ends: bool
) -> None:
    elsewhere, settings, _ = troubled(trouble) if trouble else (Elsewhere(), {}, "")
    async with asking(elsewhere, WAYS[how](), **settings) as served:
        assert await closes(served, how) is ends
        assert await served.count(Judged) == (0 if ends else 1)
        assert await served.count(Ended) == ends


@pytest.mark.parametrize("how", WAYS)
async def test_p05_a_risk_that_is_seen_while_an_end_waits_stops_it(how: str) -> None:
    elsewhere = Elsewhere()
    async with asking(elsewhere, WAYS[how]()) as served:
        chat = served.chat()
        await chat.say(*((ASK,) if how == "request" else (BAD, BAD)))
        await at_rest(served)
        elsewhere.flagged = ["self-harm"]
        assert not (await chat.send(YES if how == "request" else BAD)).ended
        assert await served.count(Held) == 1
        await at_rest(served)


async def test_what_is_not_there_after_the_longest_wait_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "WAIT_SECONDS", 0.02)
    for kind in ("moderation", JUDGE):
        elsewhere = Elsewhere(opens=asyncio.Event(), says=AGREES)
        async with asking(elsewhere, WAYS["request"](), kind) as served:
            assert not await closes(served, "request")
            assert [one.opinion for one in of(await served.every_event(), Judged)] == [Opinion.UNSCORED]


# A second opinion.

DOUBTS: Mapping[str, object] = {
    "no": {"answer": "no"},
    "unsure": {"answer": "unsure", "quote": BAD},
    "no quote": {"answer": "yes"},
    "words of its own": {"answer": "yes", "quote": "They went on and on."},
    "the assistant's words": {"answer": "yes", "quote": "I can't help with this."},
    "somebody at risk": {"answer": "yes", "quote": "forbidden request", "at_risk": "other"},
    "another form": {"reply": "yes"},
}


@pytest.mark.parametrize("how", WAYS)
async def test_p06_a_clear_yes_of_the_judge_lets_what_every_other_rule_allows_happen(how: str) -> None:
    elsewhere = Elsewhere(says=AGREES)
    async with asking(elsewhere, WAYS[how](), JUDGE) as served:
        assert await closes(served, how)
        await at_rest(served)
        matter, said = elsewhere.asked[-1] if how == "request" else elsewhere.asked[1]
        assert matter is (Matter.USER_REQUEST if how == "request" else Matter.PERSISTENT_HARM)
        assert [one["role"] for one in said] == ["user", "assistant"] * (len(said) // 2) + ["user"]
        events = await served.every_event()
        (told,) = (one for one in of(events, Judged) if one.matter is matter)
        (conversation,) = await served.store.ids()
        texts = await served.store.texts(conversation)
        assert (told.opinion, texts[told.quote].text) == (Opinion.YES, YES if how == "request" else BAD)
        opinions = export(conversation, events, texts)["opinions"]
        assert {"asked": matter, "said": "yes", "witness": "elsewhere"}.items() <= opinions[-1].items()
        assert any("the witness elsewhere says yes" in line for line in explain(conversation, events, str))
        await erase(served.store, conversation, 1)
        assert told.quote not in await served.store.texts(conversation)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("doubt", DOUBTS)
async def test_p06_any_doubt_of_the_judge_keeps_the_chat_open_and_the_model_answers(how: str, doubt: str) -> None:
    says = {**AGREES, Matter.PERSISTENT_HARM: DOUBTS[doubt], Matter.USER_REQUEST: DOUBTS[doubt]}
    async with asking(Elsewhere(says=says), WAYS[how](), JUDGE) as served:
        asked = len(served.asked)
        assert not await closes(served, how)
        assert len(served.asked) - asked == (2 if how == "request" else 3)
        guidance = of(await served.every_event(), AttemptStarted)[-1].guidance
        assert guidance is (Guidance.LEAVE_OPEN if how == "request" else Guidance.REDIRECT)
        await at_rest(served)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_p06_a_judge_that_does_not_answer_keeps_the_chat_open(how: str, trouble: str) -> None:
    elsewhere, settings, _ = troubled(trouble, says=AGREES)
    async with asking(elsewhere, WAYS[how](), JUDGE, **settings) as served:
        assert not await closes(served, how)
        assert {one.opinion for one in of(await served.every_event(), Judged)} == {Opinion.UNSCORED}


@pytest.mark.parametrize(("says", "warns"), [(True, True), ({"answer": "unsure"}, False)])
@pytest.mark.parametrize("who", ["model", "host"])
async def test_p06_a_warning_waits_for_the_yes_of_the_judge(says: object, warns: bool, who: str) -> None:
    model = stubborn() if who == "model" else scripted(REDIRECTS)
    elsewhere = Elsewhere(says={Matter.WARN: says})
    async with asking(elsewhere, model, JUDGE, policy=replace(QUICK, warning=who)) as served:
        chat = served.chat()
        first = await chat.send(BAD)
        await at_rest(served)
        second = await chat.send(BAD)
        assert [first.stage, second.stage] == [None, "WARNED" if warns else None]
        matter, said = elsewhere.asked[0]
        assert (matter, said[-1]["role"]) == (Matter.WARN, "assistant")
        await at_rest(served)


async def test_nobody_is_asked_about_an_ordinary_chat_or_a_first_faint_sign() -> None:
    elsewhere = Elsewhere(says={Matter.RISK: True})
    async with asking(elsewhere, scripted("Hello."), JUDGE) as served:
        await served.chat().say(CALM, FAINT, CALM)
        await at_rest(served)
        assert elsewhere.asked == []


@pytest.mark.parametrize(("says", "level"), [(True, Hold.SHOWN), ({"answer": "no"}, Hold.QUIET)])
async def test_p05_the_judge_looks_at_the_second_faint_sign_and_can_make_it_a_shown_hold(
    says: object, level: Hold
) -> None:
    elsewhere = Elsewhere(says={Matter.RISK: says})
    async with asking(elsewhere, scripted("I'm here."), JUDGE) as served:
        chat = served.chat()
        first, _, third = await chat.say(FAINT, CALM, FAINT)
        assert first.adjourn is None
        await at_rest(served)
        assert [matter for matter, _ in elsewhere.asked] == [Matter.RISK]
        events = await served.events(third.conversation)
        assert of(events, Held)[-1].level is level
        told = [third, await chat.send(CALM)]
        assert any("support" in (reply.adjourn or {}) for reply in told) == (level is Hold.SHOWN)
        await at_rest(served)
