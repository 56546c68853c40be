"""Keys of the server: who has none is refused, who has one is a scope of their own, and no model ever sees one."""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import aiohttp
import anthropic
import openai
import pytest

from adjourn.core.errors import StoreError
from adjourn.web import callers
from tests.gateway.rig import CALM, Reply, Rig, add_key, close, rig
from tests.models import hostile, scripted

VENDORS = "sk-vendor-adj_not-ours"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASKED: Any = {"model": "stub", "max_tokens": 9, "messages": [{"role": "user", "content": CALM}]}
BODY = json.dumps({"model": "stub", "messages": [{"role": "user", "content": CALM}]}).encode()


def forms(secret: str) -> Mapping[str, Mapping[str, str]]:
    """Every way in which a client may send a key."""
    return {
        "authorization": {"Authorization": f"Bearer {secret}"},
        "authorization, oddly written": {"Authorization": f"bearer  {secret} "},
        "x-api-key": {"x-api-key": secret},
        "api-key": {"api-key": secret},
        "adjourn-key": {"Adjourn-Key": secret},
        "cookie": {"Cookie": f"adjourn_browser=one; adjourn_key={secret}"},
    }


FORMS = sorted(forms(""))


def unauthorized(reply: Reply) -> str:
    """The sentence of a 401 in the wire's own form."""
    assert (reply.status, reply.headers["x-should-retry"]) == (401, "false")
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    error = reply.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return str(error["message"])


def anthropic_client(served: Rig, key: str) -> anthropic.AsyncAnthropic:
    """The other vendor's official client, which sends this as `x-api-key`."""
    plain = anthropic.DefaultAsyncHttpxClient(verify=False)
    return anthropic.AsyncAnthropic(base_url=served.url, api_key=key, http_client=plain)


def went_up(served: Rig) -> str:
    """All headers that the model received, as text."""
    return " ".join(f"{name.decode()}: {value.decode()}" for one in served.received for name, value in one.headers)


async def scopes(served: Rig) -> list[str]:
    return [line.scope for line in await served.store.conversations()]


async def went(served: Rig, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str | None]:
    """What a browser gets at this address, and where it is sent."""
    async with served.session.get(served.url + path, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location")


def signing_in(
    served: Rig, key: str, headers: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """Send the form of the sign-in page, as a browser does."""
    sent = {**FORM, "Origin": served.url, "Sec-Fetch-Site": "same-origin", **(headers or {})}
    return served.session.post(
        f"{served.url}/sign-in", data=urlencode({"key": key}), headers=sent, allow_redirects=False
    )


# Who is let in


async def test_without_keys_everybody_is_answered_in_the_scope_of_what_they_send() -> None:
    async with rig(scripted("Okay.")) as served:
        assert (await served.chat(key="sk-test").send(CALM)).status == 200
        assert (await served.post(BODY)).status == 200
        assert sorted(scope.partition(":")[0] for scope in await scopes(served)) == ["key", "nobody"]
        assert served.received[0].header("authorization") == "Bearer sk-test"


async def test_the_official_openai_client_is_answered_with_a_key_in_a_scope_of_that_key() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        async with served.client() as client:
            client.api_key = secret
            said = [{"role": "user", "content": CALM}]
            answer = await client.chat.completions.create(model="stub", messages=said, user="ann")  # type: ignore[arg-type]
            assert answer.choices[0].message.content == "Okay."
            assert [model.id async for model in client.models.list()]
        assert await scopes(served) == [f"own:{ident}/ann"]
        assert secret not in went_up(served)


async def test_the_official_anthropic_client_is_answered_with_a_key_in_a_scope_of_that_key() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        async with anthropic_client(served, secret) as client:
            answer = await client.messages.create(**ASKED, metadata={"user_id": "ann"})
            assert [block.text for block in answer.content if block.type == "text"] == ["Okay."]
            assert [model.id async for model in client.models.list()]
        assert await scopes(served) == [f"own:{ident}/ann"]
        assert len(served.received) == 2
        assert "adj" not in went_up(served)


async def test_official_clients_say_what_is_wrong_with_a_key_and_ask_only_once() -> None:
    async with rig(scripted("Okay.")) as served:
        await add_key(served.store)
        async with served.client() as client:
            with pytest.raises(openai.AuthenticationError, match="this server needs a key of its own"):
                await client.models.list()
        async with anthropic_client(served, "adj_wrong") as other:
            with pytest.raises(anthropic.AuthenticationError, match="this server has no such key") as raised:
                await other.messages.create(**ASKED)
            assert raised.value.type == "authentication_error"
            with pytest.raises(anthropic.AuthenticationError) as raised:
                await other.models.list()
            assert raised.value.type == "authentication_error"
        assert not served.received


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_is_taken_in_every_form_and_in_no_form_goes_to_the_model(form: str) -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        reply = await served.post(BODY, forms(secret)[form])
        assert reply.status == 200
        (scope,) = await scopes(served)
        assert scope.partition("/")[0] == f"own:{ident}"
        assert ("/browser:" in scope) == (form == "cookie")
        assert "adj" not in went_up(served)


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_that_was_revoked_opens_nothing(form: str) -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        assert (await served.post(BODY, forms(secret)[form])).status == 200
        await served.store.revoke_key(ident, 2)
        assert f"the key {ident} was revoked" in unauthorized(await served.post(BODY, forms(secret)[form]))
        assert len(served.received) == 1
        assert "adjourn keys create NAME" in unauthorized(await served.post(BODY))


@pytest.mark.parametrize("form", FORMS)
async def test_a_key_that_is_none_opens_nothing(form: str) -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        for wrong in (secret[:-1], secret + "x", secret.swapcase(), f"adj_{ident}", "adj_"):
            assert unauthorized(await served.post(BODY, forms(wrong)[form]))
        assert not served.received
        assert not await served.store.conversations()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/else", "/api/support", "/metrics", "/x"])
async def test_every_address_but_a_few_needs_a_key(path: str) -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        async with served.session.get(served.url + path) as answer:
            assert answer.status == 401
        async with served.session.get(served.url + path, headers={"x-api-key": secret}) as answer:
            assert answer.status != 401


@pytest.mark.parametrize("path", ["/healthz", "/static/chat.css"])
async def test_health_and_what_pages_are_made_of_need_none(path: str) -> None:
    async with rig(scripted("Okay.")) as served:
        await add_key(served.store)
        async with served.session.get(served.url + path) as answer:
            assert answer.status == 200


async def test_a_vendors_key_is_no_key_of_ours_and_goes_up_beside_one() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        vendors = {"Authorization": f"Bearer {VENDORS}"}
        assert "Adjourn-Key" in unauthorized(await served.post(BODY, vendors))
        assert (await served.post(BODY, {**vendors, "Adjourn-Key": secret})).status == 200
        assert await scopes(served) == [f"own:{ident}"]
        assert served.received[0].header("authorization") == f"Bearer {VENDORS}"
        assert secret not in went_up(served)


async def test_what_is_sent_on_purpose_counts_before_what_a_browser_sends_by_itself() -> None:
    async with rig(scripted("Okay.")) as served:
        (one, first), (two, second) = await add_key(served.store), await add_key(served.store)
        cookie = forms(second)["cookie"]
        await served.post(BODY, {**cookie, "x-api-key": first})
        await served.post(BODY, {"x-api-key": second, "Adjourn-Key": first})
        assert await scopes(served) == [f"own:{one}"] * 2
        assert unauthorized(await served.post(BODY, {**cookie, "x-api-key": "adj_wrong"}))
        assert second not in went_up(served)
        assert two not in went_up(served)


# Scopes


async def test_two_keys_never_share_a_conversation() -> None:
    async with rig(hostile()) as served:
        (_, one), (_, two) = await add_key(served.store), await add_key(served.store)
        chat = served.chat(key=one)
        reply = await close(chat)
        named = {"Adjourn-Conversation": reply.conversation}
        assert (await chat.fork().send("And now?")).refused
        other = chat.fork()
        other.key = two
        for headers in ({}, named):
            other.headers = headers
            answered = await other.fork().send("And now?")
            assert answered.status == 200
            assert answered.conversation != reply.conversation


async def test_one_key_in_two_headers_is_one_scope_and_its_end_users_are_several() -> None:
    async with rig(hostile()) as served:
        ident, secret = await add_key(served.store)
        chat = served.chat(key=secret)
        await close(chat)
        chat.headers = {"Authorization": "Bearer sk-vendor", "Adjourn-Key": secret}
        assert (await chat.fork().send("And now?")).refused
        chat.also = {"user": "ann"}
        assert (await chat.fork().send("And now?")).status == 200
        assert sorted(await scopes(served)) == [f"own:{ident}", f"own:{ident}/ann"]


async def test_two_browsers_with_one_key_do_not_see_each_others_conversations() -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        replies = {
            browser: await served.post(BODY, {"Cookie": f"adjourn_browser={browser}; adjourn_key={secret}"})
            for browser in ("one", "two")
        }
        assert len(set(await scopes(served))) == 2
        seen = {}
        for browser in replies:
            cookie = {"Cookie": f"adjourn_browser={browser}; adjourn_key={secret}"}
            async with served.session.get(f"{served.url}/c/{replies['one'].conversation}", headers=cookie) as answer:
                seen[browser] = answer.status
        assert seen == {"one": 200, "two": 404}


async def test_a_browser_that_nothing_tells_from_others_is_not_let_in() -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        assert unauthorized(await served.post(BODY, {"Cookie": f"adjourn_key={secret}"}))


# What never goes up, and what it costs


@pytest.mark.parametrize("form", FORMS)
async def test_what_looks_like_a_key_never_goes_up_even_where_there_are_none(form: str) -> None:
    async with rig(scripted("Okay.")) as served:
        assert (await served.post(BODY, forms("adj_of-another-server")[form])).status == 200
        assert "adj" not in went_up(served)


@pytest.mark.parametrize("header", ["X-Custom", "User-Agent", "OpenAI-Organization"])
async def test_a_key_in_a_header_where_nobody_looks_does_not_go_up_either(header: str) -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        for value in (secret, f"x={secret}", f'"{secret}"', f"a,{secret}"):
            assert (await served.post(BODY, {"Adjourn-Key": secret, header: value})).status == 200
        assert secret not in went_up(served)


async def test_a_server_without_keys_looks_for_some_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(scripted("Okay.")) as served:
        clock = SimpleNamespace(monotonic=lambda: 100.0)
        monkeypatch.setattr(callers, "time", clock)
        assert (await served.post(BODY)).status == 200
        _, secret = await add_key(served.store)
        assert (await served.post(BODY)).status == 200
        clock.monotonic = lambda: 100.0 + callers.LOOK_SECONDS
        assert unauthorized(await served.post(BODY))
        assert (await served.post(BODY, forms(secret)["x-api-key"])).status == 200


async def test_a_first_key_opens_at_once() -> None:
    async with rig(scripted("Okay.")) as served:
        assert (await served.post(BODY)).status == 200
        ident, secret = await add_key(served.store)
        assert (await served.post(BODY, forms(secret)["x-api-key"])).status == 200
        assert f"own:{ident}" in await scopes(served)


# The page in a browser


async def test_pages_lead_to_the_sign_in_page_only_where_there_are_keys() -> None:
    async with rig(scripted("Okay.")) as served:
        assert await went(served, "/") == (200, None)
        assert await went(served, "/sign-in") == (303, "/")
    async with rig(scripted("Okay.")) as served:
        await add_key(served.store)
        assert await went(served, "/") == (303, "/sign-in")
        assert await went(served, "/c/c_1") == (303, "/sign-in")
        assert await went(served, "/sign-in") == (200, None)


async def test_a_good_key_signs_a_browser_in_and_it_keeps_the_key_where_no_script_and_no_other_site_gets_it() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        async with signing_in(served, f" {secret}\n") as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            set_cookies = answer.headers.getall("Set-Cookie")
        assert [said.partition("=")[0] for said in set_cookies] == ["adjourn_browser", "adjourn_key"]
        assert all("HttpOnly" in said and "SameSite=strict" in said for said in set_cookies)
        assert "Secure" not in set_cookies[1]
        cookie = {"Cookie": "; ".join(said.partition(";")[0] for said in set_cookies)}
        async with served.session.get(served.url, headers=cookie) as answer:
            assert (answer.status, "Sign out" in await answer.text()) == (200, True)
            assert "Set-Cookie" not in answer.headers
        assert (await served.post(BODY, cookie)).status == 200
        assert (await scopes(served))[0].startswith(f"own:{ident}/browser:")
        assert secret not in went_up(served)


async def test_over_https_the_cookie_is_for_https_only() -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        async with signing_in(served, secret, {"X-Forwarded-Proto": "https"}) as answer:  # as a proxy here says it
            assert "Secure" in answer.headers.getall("Set-Cookie")[1]


async def test_a_wrong_or_revoked_key_signs_nobody_in_and_is_not_shown_again() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        await served.store.revoke_key(ident, 2)
        for wrong in (secret, "adj_wrong", "", "<b>", "x" * 5000, "%ff"):
            async with signing_in(served, wrong) as answer:
                assert (answer.status, "Set-Cookie" in answer.headers) == (422, False)
                text = await answer.text()
                assert "This key doesn&#39;t open anything here." in text
                assert not wrong or f"{wrong}<" not in text


async def test_a_revoked_key_opens_no_page_any_more() -> None:
    async with rig(scripted("Okay.")) as served:
        ident, secret = await add_key(served.store)
        cookie = forms(secret)["cookie"]
        assert await went(served, "/", cookie) == (200, None)
        await served.store.revoke_key(ident, 2)
        assert await went(served, "/", cookie) == (303, "/sign-in")


async def test_signing_out_takes_the_key_out_of_the_browser() -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        headers = {**FORM, **forms(secret)["cookie"]}
        async with served.session.post(f"{served.url}/sign-out", headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
            (said,) = answer.headers.getall("Set-Cookie")
        assert said.startswith('adjourn_key="";')
        assert "Max-Age=0" in said


async def test_no_other_site_can_sign_a_browser_in_or_out_and_a_form_goes_nowhere_else() -> None:
    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        for more in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            async with signing_in(served, secret, more) as answer:
                assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
        for path, kind in (("/v1/chat/completions", FORM), ("/sign-in", {"Content-Type": "application/json"})):
            async with served.session.post(served.url + path, data=b"{}", headers=kind) as answer:
                assert answer.status == 415


async def test_keys_that_cannot_be_looked_up_let_nobody_in_and_it_is_said() -> None:
    async def fails(*_: object) -> None:
        raise StoreError("the disk is gone")

    async with rig(scripted("Okay.")) as served:
        _, secret = await add_key(served.store)
        served.store.key = served.store.has_keys = fails  # type: ignore[attr-defined]
        for headers in ({}, {"x-api-key": secret}):
            reply = await served.post(BODY, headers)
            assert (reply.status, reply.headers["Retry-After"], reply.json["error"]["type"]) == (
                503,
                "1",
                "store_error",
            )
            reply = await served.post(BODY, headers, path="/v1/messages")
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
            assert (reply.json["type"], reply.json["error"]["type"]) == ("error", "overloaded_error")
        async with signing_in(served, secret) as answer:
            assert (answer.status, "Please try again" in await answer.text()) == (503, True)
        assert not served.received
