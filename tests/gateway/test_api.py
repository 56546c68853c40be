"""The API as an application uses it: real requests to a running gateway, in the form that /openapi.json describes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from adjourn.core.events import Ended, Erased, Held
from adjourn.core.machine import Hold, Mode
from adjourn.web.api import API
from adjourn.web.callers import SENT_IN
from adjourn.web.serve import Serving, application
from adjourn.web.shapes import Refusal
from tests.gateway.rig import BAD, CALM, CLEAR, FAINT, QUICK, Chat, Reply, Rig, add_key, close, here, rig
from tests.models import hostile

DESCRIPTION = API.openapi()
METHODS = [(path, method) for path, methods in DESCRIPTION["paths"].items() for method in methods]
UNKNOWN = "c_0000"


@dataclass(frozen=True, eq=False)
class Application:
    """A client of the API, with a key or a browser's cookie."""

    rig: Rig
    headers: Mapping[str, str]

    async def ask(self, path: str, body: object = None, method: str | None = None) -> Reply:
        given = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = self.headers if body is None else {"Content-Type": "application/json", **self.headers}
        how = method or ("GET" if body is None else "POST")
        data = None if body is None else given
        async with self.rig.session.request(how, self.rig.url + path, data=data, headers=sent) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def get(self, path: str) -> Any:
        reply = await self.ask(path)
        assert reply.status == 200, reply.body
        return reply.json

    async def post(self, path: str, body: object = None, status: int = 201) -> Any:
        reply = await self.ask(path, {} if body is None else body)
        assert reply.status == status, reply.body
        return reply.json


def of(chat: Chat) -> Application:
    """The application that has the key of this chat."""
    return Application(chat.rig, {"Authorization": f"Bearer {chat.key}"})


@pytest.fixture(params=["memory:", "sqlite"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    db = request.param if request.param == "memory:" else f"sqlite:///{tmp_path / 'a.db'}"
    async with rig(hostile(), db=db) as opened:
        yield opened


async def closed(rig: Rig, key: str = "sk-test", chat_id: str = "chat-17") -> tuple[Chat, dict[str, Any]]:
    """A chat that was closed, and what its client was told of it."""
    chat = rig.chat(key=key, headers={"X-OpenWebUI-Chat-Id": chat_id})
    told = (await close(chat)).adjourn
    assert told is not None
    return chat, told


def names(told: Mapping[str, Any], chat_id: str = "chat-17") -> tuple[str, ...]:
    return told["conversation"], chat_id, told["receipt"], told["receipt"].lower()


# What is answered


async def test_a_closed_conversation_is_told_with_its_ends_by_each_of_its_names(running: Rig) -> None:
    chat, told = await closed(running)
    for name in names(told):
        state = await of(chat).get(f"/api/conversations/{name}")
        assert (state["id"], state["external_id"], state["closed"]) == (told["conversation"], "chat-17", True)
        (end,) = state["ends"]
        assert (end["number"], end["sentence"], end["stands"]) == (told["receipt"], told["sentence"], True)
        assert state["messages"] == 6
        assert state["support"] is None


async def test_an_open_conversation_does_not_say_how_near_it_is_to_an_end(running: Rig) -> None:
    chat = running.chat()
    calm = running.chat(key="sk-calm")
    await chat.say(BAD, BAD)
    reply = await calm.send(CALM)
    await calm.send(CALM)
    (line,) = (await of(chat).get("/api/conversations"))["conversations"]
    state = await of(chat).get(f"/api/conversations/{line['id']}")
    other = await of(calm).get(f"/api/conversations/{reply.conversation}")
    same = {key: value for key, value in state.items() if key not in ("id", "opened_at", "last_at")}
    assert same == {key: other[key] for key in same}
    exported = await of(chat).get(f"/api/conversations/{line['id']}/export")
    assert set(exported["messages"][0]) == {"index", "parent", "node", "role", "text", "at"}


async def test_p09_a_receipt_names_ground_turns_with_their_texts_and_the_policy(running: Rig) -> None:
    chat, told = await closed(running)
    found = await of(chat).get(f"/api/receipts/{told['receipt'].lower()}")
    assert (found["number"], found["ground"], found["conversation"]) == (
        told["receipt"],
        "persistent_harm",
        told["conversation"],
    )
    (end,) = [event for event in await running.events(told["conversation"]) if isinstance(event, Ended)]
    assert [turn["node"] for turn in found["turns"]] == list(end.turns)
    assert {turn["text"] for turn in found["turns"] if turn["role"] == "user"} == {BAD}
    assert {turn["role"] for turn in found["turns"]} == {"user", "assistant"}
    assert found["policy"] == {"digest": QUICK.digest, "revision": "quick"}
    assert (await of(chat).get("/api/conversations/chat-17/receipts"))["receipts"] == [found]


async def test_an_open_conversation_has_no_receipts_and_its_id_is_no_receipt(running: Rig) -> None:
    chat = running.chat()
    reply = await chat.send(CALM)
    assert await of(chat).get(f"/api/conversations/{reply.conversation}/receipts") == {"receipts": []}
    assert (await of(chat).ask(f"/api/receipts/{reply.conversation}")).status == 404


async def test_the_export_is_data_or_markdown(running: Rig) -> None:
    chat, told = await closed(running)
    exported = await of(chat).get("/api/conversations/chat-17/export")
    assert [message["text"] for message in exported["messages"]] == [said["content"] for said in chat.messages]
    assert exported["receipts"][0]["number"] == told["receipt"]
    shown = await of(chat).ask("/api/conversations/chat-17/export?format=markdown")
    assert shown.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert shown.body.decode().startswith(f"# Conversation {told['conversation']}")
    assert (await of(chat).ask("/api/conversations/chat-17/export?format=html")).status == 422


async def test_a_shown_hold_brings_help_lines_and_a_quiet_one_is_told_to_nobody(running: Rig) -> None:
    shown, quiet, calm = running.chat(key="sk-1"), running.chat(key="sk-2"), running.chat(key="sk-3")
    replies = [await chat.send(text) for chat, text in ((shown, CLEAR), (quiet, FAINT), (calm, CALM))]
    assert [await running.store.see(one.conversation, lambda tree: tree.held) for one in replies] == [
        Hold.SHOWN,
        Hold.QUIET,
        Hold.NO,
    ]
    assert (await of(shown).get("/api/conversations"))["conversations"][0]["support"] is True
    state = await of(shown).get(f"/api/conversations/{replies[0].conversation}")
    assert state["support"]["kind"] == "self"
    assert state["support"]["lines"]
    told = [
        [
            await of(chat).get(f"/api/conversations/{reply.conversation}{more}")
            for more in ("", "/export", "/receipts", "/feedback")
        ]
        for chat, reply in ((quiet, replies[1]), (calm, replies[2]))
    ]
    for held, unheld in zip(*told, strict=True):
        assert held.keys() == unheld.keys()
        assert "quiet" not in json.dumps(held)
        assert held.get("support") is None
    assert (await of(quiet).get("/api/conversations"))["conversations"][0]["support"] is False


async def test_in_shadow_mode_a_hold_is_not_shown() -> None:
    async with rig(hostile(), replace(QUICK, mode=Mode.SHADOW)) as shadow:
        chat = shadow.chat()
        reply = await chat.send(CLEAR)
        assert any(isinstance(event, Held) for event in await shadow.events(reply.conversation))
        assert (await of(chat).get(f"/api/conversations/{reply.conversation}"))["support"] is None
        assert (await of(chat).get("/api/conversations"))["conversations"][0]["support"] is False
        headers = {"Authorization": f"Bearer {chat.key}"}
        async with shadow.session.get(f"{shadow.url}/c/{reply.conversation}", headers=headers) as page:
            assert "findahelpline" not in await page.text()


async def test_in_mode_off_nothing_is_kept_and_help_lines_are_given(tmp_path: Path) -> None:
    off = Serving(db=f"sqlite:///{tmp_path / 'a.db'}", policy=replace(QUICK, mode=Mode.OFF))
    async with here(application(off)) as url, aiohttp.ClientSession() as session:
        for path, status in (("conversations", 404), ("receipts/AJ-7F3K-92", 404), ("support", 200)):
            async with session.get(f"{url}/api/{path}") as answer:
                assert (answer.status, answer.content_type) == (status, "application/json")


async def test_pages_follow_one_another_until_all_conversations_were_shown(running: Rig) -> None:
    sent = [(await running.chat(headers={"X-OpenWebUI-Chat-Id": f"{n}"}).send(CALM)).conversation for n in range(5)]
    asking, shown, after = of(running.chat()), [], ""
    while True:
        page = await asking.get(f"/api/conversations?limit=2{after}")
        shown += [line["id"] for line in page["conversations"]]
        if page["next"] is None:
            break
        after = f"&before={page['next']}"
    assert sorted(shown) == sorted(sent)
    assert len(await asking.get("/api/conversations?limit=200")) == 2


async def test_a_key_sees_its_end_users_and_can_ask_for_one(running: Rig) -> None:
    users = {user: running.chat(also={"user": user}) for user in ("ann", "ann/2", "bea")}
    ids = {user: (await chat.send(CALM)).conversation for user, chat in users.items()}
    asking = of(running.chat())
    listed = (await asking.get("/api/conversations"))["conversations"]
    assert {line["user"]: line["id"] for line in listed} == ids
    (only,) = (await asking.get("/api/conversations?user=ann"))["conversations"]
    assert only["id"] == ids["ann"]
    assert (await asking.get("/api/conversations?user=nobody"))["conversations"] == []


async def test_a_browser_sees_its_own_conversations_only_and_not_those_of_users_it_names(running: Rig) -> None:
    mine = Application(running, {"Cookie": "adjourn_browser=one"})
    chat = {"model": "stub", "messages": [{"role": "user", "content": CALM}]}
    bodies = (chat, {**chat, "user": "ann"})
    ids = [(await mine.ask("/v1/chat/completions", body)).conversation for body in bodies]
    assert [line["id"] for line in (await mine.get("/api/conversations"))["conversations"]] == ids[:1]
    assert (await mine.get("/api/conversations?user=ann"))["conversations"] == []
    assert (await mine.ask(f"/api/conversations/{ids[1]}")).status == 404


async def test_help_lines_are_given_for_a_kind_and_a_country(running: Rig) -> None:
    asking = of(running.chat())
    lines = await asking.get("/api/support?country=GB")
    assert (lines["kind"], lines["emergency"]) == ("self", "999")
    assert (await asking.get("/api/support?kind=danger"))["kind"] == "danger"
    assert (await asking.ask("/api/support?kind=sad")).status == 422


# With keys of the server's own


def signed_in(rig: Rig, secret: str, browser: str) -> Application:
    """A browser that signed in with this key."""
    return Application(rig, {"Cookie": f"adjourn_browser={browser}; adjourn_key={secret}"})


async def test_a_key_sees_its_end_users_and_a_browser_that_signed_in_with_it_only_itself(running: Rig) -> None:
    ident, secret = await add_key(running.store)
    _, foreign = await add_key(running.store)
    keys = [Application(running, {"Authorization": f"Bearer {one}"}) for one in (secret, foreign)]
    one, two = (signed_in(running, secret, name) for name in ("one", "two"))
    chat = {"model": "stub", "messages": [{"role": "user", "content": CALM}]}
    sent = ((keys[0], chat), (keys[0], {**chat, "user": "ann"}), (one, chat), (two, chat), (keys[1], chat))
    ids = [(await asking.ask("/v1/chat/completions", body)).conversation for asking, body in sent]
    sees = {keys[0]: ids[:2], one: ids[2:3], two: ids[3:4], keys[1]: ids[4:]}
    for asking, theirs in sees.items():
        listed = (await asking.get("/api/conversations"))["conversations"]
        assert {line["id"] for line in listed} == set(theirs)
        found = [(await asking.ask(f"/api/conversations/{name}")).status for name in ids]
        assert found == [200 if name in theirs else 404 for name in ids]
    scope = next(line.scope for line in await running.store.conversations() if line.id == ids[2])
    browser = scope.removeprefix(f"own:{ident}/")
    assert browser.startswith("browser:")
    assert (await keys[0].get(f"/api/conversations?user={browser}"))["conversations"] == []
    (only,) = (await keys[0].get("/api/conversations?user=ann"))["conversations"]
    assert only["id"] == ids[1]
    assert (await one.get("/api/conversations?user=ann"))["conversations"] == []


async def test_once_there_are_keys_every_address_and_the_description_need_one(running: Rig) -> None:
    _, secret = await add_key(running.store)
    _, told = await closed(running, key=secret)
    for path, method, body, _ in (*addresses(told), ("/openapi.json", "GET", None, False)):
        without = await Application(running, {"Authorization": "Bearer adj_wrong"}).ask(path, body, method)
        assert (without.status, without.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert Refusal.model_validate(without.json).error.code is None
    assert await Application(running, {"Adjourn-Key": secret}).get("/openapi.json") == DESCRIPTION


@pytest.mark.parametrize("name", DESCRIPTION["components"]["securitySchemes"])
async def test_a_key_is_taken_as_the_description_says_that_it_is_sent(name: str) -> None:
    scheme = DESCRIPTION["components"]["securitySchemes"][name]
    async with rig(hostile()) as running:
        _, secret = await add_key(running.store)
        bearer = scheme["type"] == "http"
        sent = {"Authorization": f"Bearer {secret}"} if bearer else {scheme["name"]: secret}
        assert await Application(running, sent).get("/api/conversations") == {"conversations": [], "next": None}


def test_every_form_of_a_key_is_described_and_that_a_server_without_keys_needs_none() -> None:
    schemes = DESCRIPTION["components"]["securitySchemes"]
    assert [one.get("name", "authorization").lower() for one in schemes.values()] == list(SENT_IN)
    assert DESCRIPTION["security"] == [*({name: []} for name in schemes), {}]


# Feedback and erasure


async def test_p09_feedback_is_kept_and_given_back_with_what_it_is_about(running: Rig) -> None:
    chat, told = await closed(running)
    asking, path = of(chat), "/api/conversations/chat-17/feedback"
    node = (await asking.get("/api/conversations/chat-17"))["ends"][0]["answer"]
    first = await asking.post(path, {"rating": "wrong_end", "about": told["receipt"].lower(), "reasons": ["fiction"]})
    assert first["about"] == told["receipt"]
    second = await asking.post(path, {"rating": "down", "about": node, "text": "Unkind. è"})
    third = await asking.post(path, {"rating": "up"})
    assert (third["about"], third["reasons"], third["text"]) == (None, [], None)
    assert (await asking.get(path))["feedback"] == [first, second, third]


async def test_feedback_about_what_is_not_in_the_conversation_is_refused(running: Rig) -> None:
    chat, _ = await closed(running)
    elsewhere = await running.chat(headers={"X-OpenWebUI-Chat-Id": "other"}).send(CALM)
    other = (await of(chat).get(f"/api/conversations/{elsewhere.conversation}/export"))["messages"][0]["node"]
    for about in (other, "AJ-0000-00", "", "m_0"):
        reply = await of(chat).ask("/api/conversations/chat-17/feedback", {"rating": "up", "about": about})
        assert reply.status == 422
    assert await running.store.feedback() == []


BAD_BODIES = {
    b"": 422,
    b"{": 400,
    b"\xff": 400,
    b"[" * 60_000: 400,
    b"[]": 422,
    b"null": 422,
    b"{}": 422,
    b'{"rating": "splendid"}': 422,
    b'{"rating": "up", "more": 1}': 422,
    b'{"rating": "up", "\\ud800": 1}': 422,
    b'{"rating": "up", "text": "\\ud800"}': 422,
    b'{"rating": "up", "text": 7}': 422,
    b'{"rating": "up", "reasons": [""]}': 422,
    b'{"rating": "up", "text": "' + b"a" * 10_001 + b'"}': 422,
    b'{"rating": "up", "text": "' + b"a" * 70_000 + b'"}': 413,
}


@pytest.mark.parametrize(("body", "status"), BAD_BODIES.items(), ids=[str(body[:40]) for body in BAD_BODIES])
async def test_feedback_that_breaks_a_rule_is_refused_with_a_sentence(body: bytes, status: int) -> None:
    async with rig(hostile()) as running:
        chat = running.chat()
        reply = await chat.send(CALM)
        refused = await of(chat).ask(f"/api/conversations/{reply.conversation}/feedback", body)
        assert (refused.status, set(refused.json)) == (status, {"error"})
        assert {"message", "type", "code"} <= set(refused.json["error"])
        assert refused.json["error"]["message"]
        assert await running.store.feedback() == []


async def test_erasing_takes_every_word_and_doing_it_again_changes_nothing(running: Rig) -> None:
    chat, told = await closed(running)
    asking = of(chat)
    await asking.post("/api/conversations/chat-17/feedback", {"rating": "down", "text": "Unkind"})
    for _ in range(2):
        erased = await asking.post("/api/conversations/chat-17/erase", status=200)
        assert erased == {"id": told["conversation"], "erased": True}
    events = await running.events(told["conversation"])
    assert sum(isinstance(event, Erased) for event in events) == 1
    (said,) = (await asking.get("/api/conversations/chat-17/feedback"))["feedback"]
    assert (said["rating"], said["text"]) == ("down", None)
    found = await asking.get(f"/api/receipts/{told['receipt']}")
    assert {turn["text"] for turn in found["turns"]} == {None}
    assert (await asking.get("/api/conversations/chat-17"))["closed"] is True
    assert (await asking.ask("/api/conversations/chat-17/export?format=markdown")).status == 200


async def test_a_store_that_cannot_be_written_is_503_and_says_when_to_try_again(running: Rig) -> None:
    chat, _ = await closed(running)
    running.store.fails = lambda: True
    for path, body in (("feedback", {"rating": "up"}), ("erase", {})):
        reply = await of(chat).ask(f"/api/conversations/chat-17/{path}", body)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert reply.json["error"]["code"] == "store_unavailable"


async def test_what_goes_wrong_by_our_own_fault_is_500_in_the_same_form(running: Rig) -> None:
    chat, _ = await closed(running)

    def broken() -> bool:
        raise RuntimeError("a fault of ours")

    running.store.fails = broken
    reply = await of(chat).ask("/api/conversations/chat-17/feedback", {"rating": "up"})
    assert (reply.status, reply.headers["Content-Type"]) == (500, "application/json")
    assert reply.headers["Adjourn-Request"] in Refusal.model_validate(reply.json).error.message


# Refusals


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/api/nothing", "GET", 404, "not_found"),
        ("/api/conversations/", "GET", 404, "not_found"),
        ("/api/conversations", "DELETE", 405, "method_not_allowed"),
        ("/api/conversations/x/erase", "GET", 405, "method_not_allowed"),
        ("/openapi.json", "PUT", 405, "method_not_allowed"),
        ("/api/conversations?limit=0", "GET", 422, "invalid"),
        ("/api/conversations?limit=201", "GET", 422, "invalid"),
        ("/api/conversations?before=yesterday", "GET", 422, "invalid"),
        ("/api/conversations?before=9999999999999999.c", "GET", 422, "invalid"),
    ],
)
async def test_every_refusal_is_json_of_one_form(path: str, method: str, status: int, code: str) -> None:
    async with rig(hostile()) as running:
        reply = await of(running.chat()).ask(path, method=method)
        assert (reply.status, reply.json["error"]["code"]) == (status, code)
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["Cache-Control"] == "no-store"
        assert ("Allow" in reply.headers) is (status == 405)


async def test_a_post_that_is_not_json_is_refused_before_it_is_read(running: Rig) -> None:
    form = Application(running, {"Content-Type": "application/x-www-form-urlencoded"})
    reply = await form.ask("/api/conversations/x/erase", b"a=b")
    assert reply.status == 415


async def test_what_is_described_is_at_openapi_json_and_no_page_loads_anything_from_elsewhere(running: Rig) -> None:
    asking = of(running.chat())
    assert await asking.get("/openapi.json") == DESCRIPTION
    assert DESCRIPTION["openapi"].startswith("3.1")
    for path in ("/docs", "/redoc", "/api/docs", "/api/redoc"):
        assert (await asking.ask(path)).status == 404


# Somebody else's


def addresses(told: Mapping[str, Any]) -> Iterator[tuple[str, str, object, bool]]:
    """Every address of the API with every name of this conversation: path, method, body, whether it names one."""
    for path, method in METHODS:
        body = None if method == "get" else {"rating": "up"} if path.endswith("/feedback") else {}
        for name in names(told) if "{" in path else ("",):
            yield path.replace("{ident}", name).replace("{number}", name), method.upper(), body, "{" in path


def same_for_all(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers without those in which any two answers differ."""
    return {name: value for name, value in headers.items() if name.lower() not in ("date", "adjourn-request")}


async def test_p07_nobody_reads_or_changes_another_conversation_by_any_address(running: Rig) -> None:
    chat, told = await closed(running)
    await of(chat).post("/api/conversations/chat-17/feedback", {"rating": "down", "text": "Unkind"})
    before = await running.events(told["conversation"])
    strangers = [
        Application(running, headers)
        for headers in (
            {"Authorization": "Bearer sk-other"},
            {"Authorization": "Bearer sk-test2"},
            {"X-Api-Key": "sk-test"},
            {"Cookie": "adjourn_browser=sk-test"},
            {},
        )
    ]
    for asking in strangers:
        for path, method, body, names_one in addresses(told):
            reply = await asking.ask(path, body, method)
            if names_one:
                unknown = path.split("/")
                unknown[3] = UNKNOWN
                as_unknown = await asking.ask("/".join(unknown), body, method)
                assert (reply.status, reply.body) == (404, as_unknown.body)
                assert same_for_all(reply.headers) == same_for_all(as_unknown.headers)
            assert told["conversation"].encode() not in reply.body
            assert b"Unkind" not in reply.body
    assert await running.events(told["conversation"]) == before
    assert len(await running.store.feedback()) == 1
    assert (await running.store.feedback())[0].text == "Unkind"


async def test_the_owner_finds_at_each_of_these_addresses_what_a_stranger_does_not(running: Rig) -> None:
    chat, told = await closed(running)
    for path, method, body, _ in addresses(told):
        reply = await of(chat).ask(path, body, method)
        by_its_number = "/receipts/" not in path or told["receipt"].lower() in path.lower()
        assert (reply.status in (200, 201)) is by_its_number, (path, reply.body)


# Anything at all


CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
)


@pytest.mark.parametrize(("path", "method"), METHODS, ids=lambda value: str(value))
async def test_whatever_is_sent_is_answered_as_described(path: str, method: str) -> None:
    """Requests made from the description, sensible and senseless ones, with names that exist and that do not."""
    async with rig(hostile()) as running:
        _, told = await closed(running)
        await asyncio.to_thread(send_anything, running.url, path, method, told)


def send_anything(url: str, path: str, method: str, told: Mapping[str, Any]) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(DESCRIPTION)))
    schema.config.update(base_url=url)
    operation = schema[path][method.upper()]
    checks: list[Any] = [CHECKS.get_one(name) for name in CHECKED]

    @settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    def send(case: schemathesis.Case[Any]) -> None:
        for name in ("ident", "number"):
            if len(str(case.path_parameters.get(name, ""))) % 2:  # as often as not one that exists
                case.path_parameters[name] = told["receipt"]
        if isinstance(case.body, dict) and isinstance(case.body.get("about"), str):
            case.body["about"] = told["receipt"]
        case.call_and_validate(headers={"Authorization": "Bearer sk-test"}, checks=checks)

    send()
