"""A browser's list of chats over HTTP: what it shows, what a person does with it, and that nobody else can."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from yarl import URL

from adjourn.core.errors import StoreError
from adjourn.host.words import words
from adjourn.store import TEMPORARY, Chat
from adjourn.store.chats import UNDO_MS
from adjourn.store.views import NEW
from adjourn.upstream.client import Answered, Upstream
from adjourn.web import app, chats, health, titles
from adjourn.web.api import API
from adjourn.web.chat import routes as page
from adjourn.web.listing import grouped, zone_of
from adjourn.web.pages import routes as pages
from adjourn.wire import anthropic, openai_chat
from adjourn.wire.interface import Wire
from tests.gateway.rig import ABUSE, BAD, CALM, CLEAR, FAINT, FLAGGED, UNREAD, Reply, Rig, add_key, rig
from tests.models import CLOSES, REDIRECTS, WARNS, Answer, Asked, Fault, Refused, scripted

SAID = words()
FORM = "application/x-www-form-urlencoded"


@dataclass
class Browser:
    """A browser with a page of this server open."""

    rig: Rig
    name: str = "anna"
    key: str = ""

    @property
    def cookies(self) -> str:
        return f"adjourn_browser={self.name}" + (f"; adjourn_key={self.key}" if self.key else "")

    async def ask(self, method: str, path: str, body: bytes | None = None, **more: str) -> Reply:
        sent = {"Cookie": self.cookies, "Origin": self.rig.url, "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in more.items()}
        sent = {name: value for name, value in sent.items() if value}
        asking = self.rig.session.request(
            method, URL(self.rig.url + path, encoded=True), data=body, headers=sent, allow_redirects=False
        )
        async with asking as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def get(self, path: str, accept: str = "application/json") -> Reply:
        return await self.ask("GET", path, Accept=accept)

    async def post(self, path: str, fields: Mapping[str, Any] | None = None, **more: str) -> Reply:
        more = {"Content_Type": "application/json", **more}
        return await self.ask("POST", path, json.dumps(fields or {}).encode(), **more)

    async def form(self, path: str, fields: Mapping[str, str] | None = None) -> Reply:
        return await self.ask("POST", path, urlencode(fields or {}).encode(), Content_Type=FORM)

    async def say(self, *texts: str, chat: str = "") -> str:
        """Write these messages in a chat; return its id."""
        messages: list[dict[str, str]] = []
        ident = chat
        for text in texts:
            messages.append({"role": "user", "content": text})
            body = {"model": "stub", "messages": messages}
            reply = await self.post("/v1/chat/completions", body, Adjourn_Conversation=ident)
            assert reply.status == 200, reply.body
            messages.append({"role": "assistant", "content": reply.text})
            ident = reply.conversation
        return ident

    async def listed(self, path: str = "/chats") -> list[tuple[str, str]]:
        """The titles of the list, each with the name of its group."""
        reply = await self.get(path)
        assert reply.status == 200, reply.body
        return [(group["name"], chat["title"]) for group in reply.json["groups"] for chat in group["chats"]]


def helpful() -> Any:
    return scripted(["Gladly."])


# What it shows


async def test_a_browser_lists_its_own_chats_and_no_others() -> None:
    async with rig(helpful()) as running:
        anna, bob, nobody = Browser(running), Browser(running, "bob"), Browser(running, "carl")
        await anna.say("How do I bake bread?")
        await bob.say("What is the time?")
        assert await anna.listed() == [("Today", "How do I bake bread?")]
        assert await bob.listed() == [("Today", "What is the time?")]
        assert await nobody.listed() == []


async def test_a_program_with_a_key_has_no_list_here_and_nor_has_who_sends_no_cookie() -> None:
    async with rig(helpful()) as running:
        await running.chat().send("hello")
        for sent in ({"Authorization": "Bearer sk-test"}, {}):
            async with running.session.get(f"{running.url}/chats", headers=sent) as answer:
                assert (answer.status, (await answer.json())["groups"]) == (200, [])


async def test_two_browsers_that_signed_in_with_one_key_have_two_lists() -> None:
    async with rig(helpful()) as running:
        _, secret = await add_key(running.store)
        anna, bob = Browser(running, "anna", secret), Browser(running, "bob", secret)
        chat = await anna.say("How do I bake bread?")
        assert [title for _, title in await anna.listed()] == ["How do I bake bread?"]
        assert await bob.listed() == []
        assert (await bob.post(f"/chats/{chat}/pin")).status == 404
        assert (await Browser(running).get("/chats")).status == 401


async def test_a_list_is_data_for_scripts_html_to_include_and_a_page_of_its_own() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say('<b>bold</b> & "quoted"')
        assert (await anna.get("/chats")).json["groups"][0]["chats"][0]["id"] == chat
        part = (await anna.get(f"/chats?as=list&current={chat}&back=/c/{chat}", "text/html")).body.decode()
        assert part.startswith("<nav")
        assert "&lt;b&gt;bold&lt;/b&gt;" in part
        assert "<b>" not in part
        assert "aria-current=page" in part
        assert f'name="back" value="/c/{chat}"' in part
        whole = await anna.get("/chats", "text/html,*/*")
        assert whole.body.decode().startswith("<!doctype html>")
        assert part.split("<ul>")[1].split("aria-current")[0].strip() in whole.body.decode().replace(
            'value="/chats"', f'value="/c/{chat}"'
        )
        assert "script-src 'self'" in whole.headers["Content-Security-Policy"]
        assert whole.headers["Cache-Control"] == "no-store"


def chat_at(at: datetime, *, pinned: bool = False) -> Chat:
    line = replace(NEW, id="c", last_at=int(at.timestamp() * 1000))
    return Chat(line=line, beginning="c", flagged=False, temporary=False, erased=False, pinned=pinned)


@pytest.mark.parametrize(
    ("day", "group"),
    [
        ("2026-11-25", "Today"),
        ("2026-11-24", "Today"),
        ("2026-11-23", "Yesterday"),
        ("2026-11-22", "Last 7 days"),
        ("2026-11-18", "Last 7 days"),
        ("2026-11-17", "November 2026"),
        ("2026-10-31", "October 2026"),
        ("2025-11-24", "November 2025"),
    ],
)
def test_chats_stand_under_the_day_of_their_last_message(day: str, group: str) -> None:
    now = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    at = datetime.fromisoformat(f"{day}T23:59:00+00:00")
    assert [one.name for one in grouped([chat_at(at)], now, SAID)] == [group]
    assert [one.name for one in grouped([chat_at(at, pinned=True)], now, SAID)] == ["Pinned"]


@pytest.mark.parametrize(
    ("zone", "name"), [("Asia/Tokyo", "Asia/Tokyo"), ("../etc", "UTC"), ("No/Where", "UTC"), ("", "UTC")]
)
def test_a_day_is_that_of_the_pages_time_zone_if_it_says_one(zone: str, name: str) -> None:
    scope = {"type": "http", "query_string": b"", "headers": [(b"cookie", f"adjourn_zone={zone}".encode())]}
    assert str(zone_of(Request(scope))) == name


async def test_pages_of_the_list_follow_each_other_and_the_last_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.web.listing.LINES", 2)
    async with rig(helpful()) as running:
        anna = Browser(running)
        for number in range(5):
            await anna.say(f"question {number}")
        seen, path = [], "/chats"
        while path:
            reply = await anna.get(path)
            seen += [chat["title"] for group in reply.json["groups"] for chat in group["chats"]]
            path = reply.json["next"] and f"/chats?below={reply.json['next']}"
        assert sorted(seen) == [f"question {number}" for number in range(5)]
        link = re.search(r'href="(/chats\?[^"]*below[^"]*)"', (await anna.get("/chats", "text/html")).body.decode())
        assert link is not None
        assert len(await anna.listed(link[1].replace("&amp;", "&"))) == 2


async def test_a_closed_chat_bears_a_quiet_mark() -> None:
    model = scripted(["Gladly.", REDIRECTS, WARNS], fork=["END", f"END\n{CLOSES}"])
    async with rig(model) as running:
        anna = Browser(running)
        await anna.say("hello there")
        await anna.say(BAD, BAD, BAD)
        html = (await anna.get("/chats", "text/html")).body.decode()
        assert html.count(f'list-mark">{SAID["list_closed"]}<') == 1
        assert [title for _, title in await anna.listed()] == [SAID["list_untitled"], "hello there"]


async def test_a_search_finds_titles_and_words_and_nobody_elses() -> None:
    async with rig(helpful()) as running:
        anna, bob = Browser(running), Browser(running, "bob")
        bread = await anna.say("How do I bake bread?")
        await anna.say("What is the time?")
        await bob.say("Is my bread done?")
        await anna.post(f"/chats/{bread}/title", {"title": "Sunday loaf"})
        for search in ("brea", "LOAF", "gladly bake"):
            assert [title for _, title in await anna.listed(f"/chats/search?q={search.replace(' ', '+')}")] == [
                "Sunday loaf"
            ]
        assert await anna.listed("/chats/search?q=nothing") == []
        assert SAID["list_nothing_found"] in (await anna.get("/chats/search?q=%00%27", "text/html")).body.decode()


# What a person does with a chat


async def test_a_title_is_given_cleaned_and_taken_back() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        told = await anna.post(f"/chats/{chat}/title", {"title": "  My\u202e\n  own "})
        assert told.json["title"] == "My"
        assert await anna.listed() == [("Today", "My")]
        await anna.post(f"/chats/{chat}/title", {"title": ""})
        assert await anna.listed() == [("Today", "hello")]


async def test_pins_put_away_and_deleted_and_each_undone() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        one = await anna.say("one")
        await anna.say("two")
        assert (await anna.post(f"/chats/{one}/pin")).json["pinned"]
        assert await anna.listed() == [("Pinned", "one"), ("Today", "two")]
        await anna.post(f"/chats/{one}/unpin")
        for act in ("away", "delete"):
            await anna.post(f"/chats/{one}/{act}")
            assert await anna.listed() == [("Today", "two")]
            await anna.post(f"/chats/{one}/undo")
            assert sorted(await anna.listed()) == [("Today", "one"), ("Today", "two")]


async def test_what_was_deleted_too_long_ago_cannot_be_had_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        await anna.post(f"/chats/{chat}/delete")
        now = running.host.now()
        monkeypatch.setattr("adjourn.host.host.Host.now", lambda _: now + UNDO_MS + 1000)
        late = await anna.post(f"/chats/{chat}/undo")
        assert (late.status, late.json["error"]["message"]) == (409, SAID["list_too_late"])
        assert await anna.listed() == []


async def test_every_act_works_as_a_plain_form_and_leads_back() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        for act in ("title", "pin", "unpin", "away", "undo"):
            done = await anna.form(f"/chats/{chat}/{act}", {"title": "Mine", "back": f"/c/{chat}"})
            assert (done.status, done.headers["Location"]) == (303, f"/c/{chat}"), act
        assert await anna.listed() == [("Today", "Mine")]
        gone = await anna.form(f"/chats/{chat}/delete")
        shown = (await anna.get(gone.headers["Location"], "text/html")).body.decode()
        assert SAID["list_deleted"].format(title="Mine") in shown
        assert f'action="/chats/{chat}/undo"' in shown
        assert "Mine" not in (await Browser(running, "bob").get(gone.headers["Location"], "text/html")).body.decode()
        assert (await anna.form(f"/chats/{chat}/undo")).headers["Location"] == "/chats"
        assert await anna.listed() == [("Today", "Mine")]


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "/c/\r\nX: y", "/r", ""]
)
async def test_a_form_never_leads_elsewhere(back: str) -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        assert (await anna.form(f"/chats/{chat}/pin", {"back": back})).headers["Location"] == "/chats"


async def test_a_chat_is_saved_as_json_and_as_markdown_without_what_detectors_thought() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        saved = await anna.get(f"/chats/{chat}/export.json")
        assert [message["text"] for message in saved.json["messages"]] == ["hello", "Gladly."]
        assert "held" not in saved.json
        assert "stage" not in saved.json["messages"][0]
        assert saved.headers["Content-Disposition"] == f'attachment; filename="chat-{chat}.json"'
        text = await anna.get(f"/chats/{chat}/export.md")
        assert "Gladly." in text.body.decode()
        assert text.headers["Content-Type"].startswith("text/markdown")


async def test_a_temporary_chat_is_one_from_its_first_message() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        ident = (await anna.post("/chats/temporary")).json["id"]
        other = (await anna.form("/chats/temporary")).headers["Location"]
        assert ident.startswith(TEMPORARY)
        assert other.startswith(f"/c/{TEMPORARY}")
        assert not other.endswith(ident)
        await anna.say("hello", chat=ident)
        await anna.say("hello again")
        shown = {chat["title"]: chat["temporary"] for chat in (await anna.get("/chats")).json["groups"][0]["chats"]}
        assert shown == {"hello": True, "hello again": False}
        assert (await anna.post(f"/chats/{ident}/pin")).status == 200


# Nobody else


async def test_only_a_page_of_this_server_changes_a_chat() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        refused = (
            {"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"},
            {"Origin": "https://evil.example", "Sec_Fetch_Site": ""},
            {"Origin": "", "Sec_Fetch_Site": "cross-site"},
            {"Origin": "", "Sec_Fetch_Site": "same-site"},
            {"Origin": "", "Sec_Fetch_Site": ""},
            {"Origin": "null", "Sec_Fetch_Site": ""},
        )
        for path in (f"/chats/{chat}/delete", f"/chats/{chat}/title", "/chats/temporary"):
            for sent in refused:
                for kind in ("application/json", FORM):
                    assert (await anna.ask("POST", path, b"{}", **sent, Content_Type=kind)).status == 403, (path, sent)
            assert (await anna.post(path, Content_Type="text/plain")).status == 415
            assert (await anna.get(path)).status == 405
        assert await anna.listed() == [("Today", "hello")]
        assert (await anna.post(f"/chats/{chat}/pin", Origin="")).status == 200
        assert (await anna.post(f"/chats/{chat}/pin", Sec_Fetch_Site="")).status == 200


async def test_a_body_that_is_none_is_refused_and_changes_nothing() -> None:
    async with rig(helpful()) as running:
        anna = Browser(running)
        path = f"/chats/{await anna.say('hello')}/title"
        assert (await anna.ask("POST", path, b"{", Content_Type="application/json")).status == 422
        assert (await anna.ask("POST", path, b"[]", Content_Type="application/json")).status == 422
        assert (await anna.ask("POST", path, b"title=%ff\xff", Content_Type=FORM)).status == 422
        assert (await anna.ask("POST", path, b"x" * 20_000, Content_Type=FORM)).status == 413
        assert await anna.listed() == [("Today", "hello")]


ADDRESSES = [("GET", "/c/{conversation}")] + [
    ("POST" if "POST" in (route.methods or ()) else "GET", route.path) for route in chats.ROUTES if "{" in route.path
]
"""Every address of the application in which a conversation stands, with its method; those of /api say it themselves."""

OF_NOBODY = {"/", "/sign-in", "/sign-out", "/openapi.json", "/chats", "/chats/search", "/chats/temporary"}
OF_NOBODY |= {route.path for route in (*health.ROUTES, *pages.ROUTES)}
IN_FORMS = {"/chat/send", "/chat/retry", "/chat/continue", "/chat/stop", "/chat/events", "/chat/answer/{answer}"}
OF_MODELS = {"/v1/chat/completions", "/v1/messages", "/v1/models", "/v1/responses", "/v1/{rest:path}"}
"""What names no conversation in its address; the vendors' wires and the forms of the page (`IN_FORMS`) do so elsewhere,
which has tests below and in tests/page."""


def test_every_address_of_the_application_is_in_a_table_of_this_file() -> None:
    written = set(re.findall(r'Route\(\s*"([^"]+)"', Path(app.__file__).read_text(encoding="utf-8")))
    known = {route.path for route in (*chats.ROUTES, *health.ROUTES, *pages.ROUTES, *page.ROUTES)} | written
    assert known - OF_NOBODY - OF_MODELS - IN_FORMS - {"/api/{rest:path}"} == {path for _, path in ADDRESSES}


def api_addresses() -> list[tuple[str, str]]:
    paths = API.openapi()["paths"]
    return [(method.upper(), path) for path in paths for method in paths[path] if "{" in path]


async def test_nobody_reads_or_changes_anothers_chat_by_any_address() -> None:
    async with rig(helpful()) as running:
        _, secret = await add_key(running.store)
        anna, bob = Browser(running, "anna", secret), Browser(running, "bob", secret)
        chat = await anna.say("a secret of mine")
        before = [*await running.store.read(chat)], await running.store.chat(chat)
        for method, address in [*ADDRESSES, *api_addresses()]:
            answers = []
            for name in (chat, "c_nobody"):
                path = re.sub(r"\{\w+\}", name, address)
                sent = {"rating": "up"} if path.endswith("feedback") else {} if "/api/" in path else {"title": "stolen"}
                answers.append(await (bob.post(path, sent) if method == "POST" else bob.get(path)))
            theirs, none = answers
            assert (theirs.status, theirs.body) == (404, none.body), (method, address)
        for path in (
            "/chats",
            "/chats?as=list",
            "/chats/search?q=secret",
            f"/chats?deleted={chat}",
            "/api/conversations",
        ):
            for accept in ("application/json", "text/html"):
                assert b"secret of mine" not in (await bob.get(path, accept)).body, path
        assert ([*await running.store.read(chat)], await running.store.chat(chat)) == before
        assert (await anna.get(f"/c/{chat}", "text/html")).status == 200


async def test_who_names_anothers_chat_to_the_model_gets_a_chat_of_their_own() -> None:
    async with rig(helpful()) as running:
        anna, bob = Browser(running), Browser(running, "bob")
        chat = await anna.say("a secret of mine")
        before = await running.store.read(chat)
        assert await bob.say("what did she say?", chat=chat) != chat
        assert await running.store.read(chat) == before
        assert "secret of mine" not in str(running.received[-1].body)


# When the store cannot be used


async def test_when_the_store_cannot_be_read_it_is_said_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(helpful()) as running:

        async def fail(*_: Any) -> list[Chat]:
            raise StoreError("the disk is gone")

        monkeypatch.setattr(running.store, "chats", fail, raising=False)
        answer = await Browser(running).get("/chats")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert b"disk" not in answer.body


# Titles that the model makes


async def entitled(running: Rig, chat: str, wire: Wire = openai_chat) -> str | None:
    upstream = Upstream(f"{running.model_url}/v1")
    title = await titles.entitle(running.host, upstream, wire, chat, "stub")
    await upstream.close()
    return title


def titling(title: Answer) -> Any:
    def says(asked: Asked) -> Answer:
        return title if titles.ASKS in asked.last else "Gladly."

    return scripted(says)


@pytest.mark.parametrize("wire", [openai_chat, anthropic])
async def test_after_the_first_answer_the_model_gives_a_title_beside_the_chat(wire: Wire) -> None:
    async with rig(titling('"Baking  bread."')) as running:
        anna = Browser(running)
        chat = await anna.say("How do I bake bread?")
        before = await running.store.read(chat)
        assert await entitled(running, chat, wire) == "Baking bread"
        assert await anna.listed() == [("Today", "Baking bread")]
        assert await running.store.read(chat) == before
        asked = running.received[-1].json()["messages"][-1]["content"]
        assert "How do I bake bread?" in str(asked)
        count = len(running.received)
        assert await entitled(running, chat, wire) is None
        assert len(running.received) == count


@pytest.mark.parametrize("bad", [BAD, ABUSE, FLAGGED, FAINT, CLEAR, UNREAD])
@pytest.mark.parametrize("place", [0, 1])
async def test_no_title_is_asked_where_a_message_may_be_harm_abuse_or_risk(bad: str, place: int) -> None:
    async with rig(titling("A title")) as running:
        anna = Browser(running)
        chat = await anna.say(*([CALM, bad] if place else [bad, CALM]))
        count = len(running.received)
        assert await entitled(running, chat) is None
        assert len(running.received) == count
        assert await anna.listed() == [("Today", SAID["list_untitled"])]


async def test_a_title_that_the_person_gave_stays_even_if_it_was_given_meanwhile() -> None:
    async with rig(titling("The model's")) as running:
        anna = Browser(running)
        before, meanwhile = await anna.say("hello"), await anna.say("hello there")
        upstream = Upstream(f"{running.model_url}/v1")
        asks = upstream.ask

        @asynccontextmanager
        async def slowly(*arguments: Any, **named: Any) -> AsyncIterator[Answered]:
            async with asks(*arguments, **named) as answered:
                await anna.post(f"/chats/{meanwhile}/title", {"title": "Mine too"})
                yield answered

        upstream.ask = slowly  # type: ignore[method-assign]
        await anna.post(f"/chats/{before}/title", {"title": "Mine"})
        for chat in (before, meanwhile):
            assert await titles.entitle(running.host, upstream, openai_chat, chat, "stub") is None
        assert sorted(title for _, title in await anna.listed()) == ["Mine", "Mine too"]
        await upstream.close()


@pytest.mark.parametrize("title", ["", "  ", "***", FLAGGED, Refused("no"), Fault("status_500")])
async def test_what_is_no_title_or_may_be_harm_is_not_kept(title: Answer) -> None:
    async with rig(titling(title)) as running:
        anna = Browser(running)
        chat = await anna.say("hello")
        assert await entitled(running, chat) is None
        assert await anna.listed() == [("Today", "hello")]


async def test_a_model_that_cannot_be_reached_costs_the_chat_only_its_title() -> None:
    async with rig(helpful()) as running:
        chat = await Browser(running).say("hello")
        away = Upstream("http://127.0.0.1:9/v1")
        assert await titles.entitle(running.host, away, openai_chat, chat, "stub") is None
        await away.close()


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("Baking bread", "Baking bread"),
        ("**Baking bread**\n\nIs there more?", "Baking bread"),
        ("“Pane fatto in casa”.", "Pane fatto in casa"),
        ("a\x00b\u200b\u202ec\td", "abc d"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("word " * 40, "word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
        ("\n \n", ""),
    ],
)
def test_a_title_is_one_line_that_can_be_shown(given: str, title: str) -> None:
    assert titles.from_model(given) == title
    assert len(title) <= titles.LENGTH


def test_a_title_that_a_person_gives_keeps_its_marks_and_the_joiners_that_some_scripts_need() -> None:
    assert titles.cleaned(' "می\u200cخواهم" \u202e', titles.PERSONS_LENGTH) == '"می\u200cخواهم"'
