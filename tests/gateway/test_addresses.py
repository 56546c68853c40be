"""What stands under /v1: two wires, what passes as it is, and no side door; errors in the form of who asks."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from adjourn.cli.server import start_lines
from adjourn.core.errors import CallerError
from adjourn.core.policy import Policy
from adjourn.signals import Detectors
from adjourn.signals.lexical import Lexical
from adjourn.upstream.choice import versioned
from adjourn.upstream.demo import demo_app
from adjourn.upstream.stand_ins import StandIns
from adjourn.web.serve import Serving, application, serve
from tests.gateway.rig import CALM, Recording, here, rig
from tests.models import hostile, scripted

CLAUDE = {"anthropic-version": "2023-06-01"}
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def served_with(**options: Any) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A server that is started with these settings, and a session."""
    async with AsyncExitStack() as stack:
        serving = replace(Serving(db="memory:", policy=Policy()), **options)
        url = await stack.enter_async_context(here(application(serving)))
        yield url, await stack.enter_async_context(aiohttp.ClientSession())


async def ask(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] = JSON, method: str = "POST", data: Any = None
) -> tuple[int, Any]:
    body = data or json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": CALM}]})
    given = body if method == "POST" else None
    async with session.request(method, URL(url, encoded=True), data=given, headers=headers) as answer:
        return answer.status, json.loads(await answer.read())


def kind(told: Any) -> str:
    """The form of an error: Anthropic's has a type of its own."""
    return "anthropic" if told.get("type") == "error" else "openai"


# Errors.


@pytest.mark.parametrize("path", ["messages/batches", "messages/x", "messages/batches/b_1/results", "messages/"])
async def test_p01_a_side_door_beside_messages_is_not_there_and_says_so_in_anthropics_form(path: str) -> None:
    async with rig(hostile()) as served:
        for method in ("POST", "GET", "DELETE"):
            status, told = await ask(served.session, f"{served.url}/v1/{path}", method=method)
            assert (status, told["type"], told["error"]["type"]) == (404, "error", "not_found_error")
            assert "this address" in told["error"]["message"]
        assert not served.received


@pytest.mark.parametrize(
    ("path", "headers", "form"),
    [
        ("messages", {}, "anthropic"),
        ("messages/count_tokens/x", {}, "anthropic"),
        ("assistants", CLAUDE, "anthropic"),
        ("assistants", {}, "openai"),
        ("chat/completions", CLAUDE, "openai"),
    ],
)
async def test_a_refusal_has_the_form_of_the_wire_that_a_request_speaks(
    path: str, headers: Mapping[str, str], form: str
) -> None:
    async with rig(hostile()) as served:
        for more in (
            {"Content-Type": "text/plain"},
            {"Host": "elsewhere.example"},
            {"Origin": "https://elsewhere.example"},
        ):
            status, told = await ask(served.session, f"{served.url}/v1/{path}", {**JSON, **headers, **more})
            assert (status, kind(told)) == ({"Host": 421, "Origin": 403}.get(next(iter(more)), 415), form)
        assert not served.received


@pytest.mark.parametrize("body", ["{", "[]", '{"messages": []}', '{"messages": [{"content": "x"}]}', '{"messages": 1}'])
async def test_a_body_that_cannot_be_read_is_refused_in_anthropics_form(body: str) -> None:
    async with rig(hostile()) as served:
        status, told = await ask(served.session, f"{served.url}/v1/messages", data=body)
        assert (status, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")
        assert not served.received


# What passes.


PASSED = [
    ("POST", "messages/count_tokens?beta=true", {**JSON, **CLAUDE}),
    ("POST", "embeddings", JSON),
    ("POST", "moderations", JSON),
    ("POST", "audio/transcriptions", {"Content-Type": "multipart/form-data; boundary=x"}),
    ("POST", "images/edits", {"Content-Type": "multipart/form-data; boundary=x"}),
    ("POST", "files", {"Content-Type": "multipart/form-data; boundary=x", **CLAUDE}),
    ("GET", "files?after=a%2Fb&limit=2", {}),
    ("GET", "files/file_1/content", CLAUDE),
    ("DELETE", "files/file%201", {}),
    ("PUT", "files/file_1", {"Content-Type": "application/octet-stream"}),
    ("POST", "files/file_1/x", {}),
]


@pytest.mark.parametrize(("method", "path", "headers"), PASSED)
async def test_what_can_hold_no_conversation_passes_neither_judged_nor_recorded(
    method: str, path: str, headers: Mapping[str, str]
) -> None:
    async with rig(scripted("Okay.")) as served:
        data = b"\x00\xff any bytes" if method in ("POST", "PUT") else None
        url = URL(f"{served.url}/v1/{path}", encoded=True)
        async with served.session.request(method, url, data=data, headers=headers) as answer:
            assert answer.status == 200
        (one,) = served.received
        assert (one.body, one.query.decode()) == (data or b"", path.partition("?")[2])
        assert one.header("content-type") == headers.get("Content-Type", one.header("content-type"))
        assert not await served.store.conversations()


async def test_what_passes_is_refused_like_anything_else_to_a_page_of_another_site() -> None:
    async with rig(scripted("Okay.")) as served:
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": "https://elsewhere.example"}
        assert (await ask(served.session, f"{served.url}/v1/files", headers))[0] == 403
        assert not served.received


async def test_with_a_step_up_in_it_nothing_passes() -> None:
    ups = ["files/../chat/completions", "files/%2e%2e/messages", "audio/..%2fmessages", "images/x/..", "files/.%2e/x"]
    ups += ["files/%252e%252e/chat/completions", "audio/..%00/chat/completions"]
    async with rig(scripted("Okay.")) as served:
        for path in ups:
            assert (await ask(served.session, f"{served.url}/v1/{path}"))[0] == 404, path
        assert not served.received
        assert (await ask(served.session, f"{served.url}/v1/files/a..b"))[0] == 200


async def test_the_query_of_chat_completions_goes_up_too() -> None:
    async with rig(scripted("Okay.")) as served:
        assert (await ask(served.session, f"{served.url}/v1/chat/completions?api-version=1%2F2"))[0] == 200
        assert served.received[0].query == b"api-version=1%2F2"


# Models behind it.


@pytest.mark.parametrize("root", ["", "/", "/v1", "/v1/"])
async def test_a_model_of_anthropics_is_found_at_its_address_with_or_without_the_version(root: str) -> None:
    model = scripted("Okay.")
    async with (
        here(model) as address,
        served_with(anthropic_upstream=f"{address}{root}", anthropic_key="sk-ours") as (url, session),
    ):
        headers = {**JSON, **CLAUDE, "x-api-key": "sk-theirs", "Authorization": "Bearer sk-theirs"}
        assert (await ask(session, f"{url}/v1/messages", headers))[0] == 200
        (one,) = model.state.received
        assert (one.path, one.header("x-api-key"), one.header("authorization")) == ("/v1/messages", "sk-ours", None)
        status, told = await ask(session, f"{url}/v1/chat/completions")
        assert (status, kind(told)) == (404, "openai")
        assert "--upstream" in told["error"]["message"]
        assert (await ask(session, f"{url}/v1/models", CLAUDE, "GET"))[0] == 200
        assert (await ask(session, f"{url}/v1/models", {}, "GET"))[0] == 404
    assert versioned("https://api.example.com/") == "https://api.example.com/v1"


async def test_each_wire_has_a_model_of_its_own_and_one_without_is_not_there() -> None:
    first, second = scripted("One."), scripted("Two.")
    async with here(first) as one, here(second) as two:
        async with served_with(upstream=f"{one}/v1", anthropic_upstream=two, key="sk-one") as (url, session):
            assert (await ask(session, f"{url}/v1/messages"))[1]["content"][0]["text"] == "Two."
            assert (await ask(session, f"{url}/v1/chat/completions"))[1]["choices"][0]["message"]["content"] == "One."
            await ask(session, f"{url}/v1/files", CLAUDE, "GET")
            assert [one.path for one in second.state.received] == ["/v1/messages", "/v1/files"]
            assert first.state.received[0].header("authorization") == "Bearer sk-one"
        async with served_with(upstream=f"{one}/v1") as (url, session):
            for path in ("messages", "messages/count_tokens"):
                status, told = await ask(session, f"{url}/v1/{path}")
                assert (status, told["error"]["type"]) == (404, "not_found_error")
                assert "--anthropic-upstream" in told["error"]["message"]


async def test_without_any_model_the_demo_assistant_speaks_both_wires() -> None:
    async with served_with() as (url, session):
        _, claude = await ask(session, f"{url}/v1/messages")
        _, openai = await ask(session, f"{url}/v1/chat/completions")
        assert claude["content"][0]["text"] == openai["choices"][0]["message"]["content"]
        assert "has_more" in (await ask(session, f"{url}/v1/models", CLAUDE, "GET"))[1]
        assert (await ask(session, f"{url}/v1/models", {}, "GET"))[1]["object"] == "list"


async def test_p03_the_demo_assistant_closes_a_chat_on_anthropics_wire() -> None:
    seen = Detectors([Lexical(), StandIns()], Policy().thresholds)
    async with rig(Recording(demo_app()), Policy(), seen=seen) as served:
        chat = served.claude(model="adjourn-demo")
        replies = await chat.say(*["This is a forbidden request."] * 5)
        assert replies[-1].ended
        assert (await chat.send(CALM)).refused


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"anthropic_upstream": "api.example.com"}, "--anthropic-upstream api.example.com: an address that begins"),
        ({"anthropic_upstream": "https://a.example/v1/messages"}, "leave out /messages"),
        ({"upstream": "https://a.example/v1/chat/completions/"}, "leave out /chat/completions"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_before_anything_starts(named: dict[str, Any], says: str) -> None:
    with pytest.raises(CallerError, match=says):
        serve(replace(Serving(db="memory:", policy=Policy()), **named), print)


def test_an_operator_is_told_which_models_stand_behind_the_server() -> None:
    serving = Serving(db="memory:", policy=Policy())
    one, two = "https://one.example/v1", "https://two.example"
    both: dict[str, Any] = {"upstream": one, "anthropic_upstream": two}
    for named, models in (({}, ["the demo"]), (both, [one, two])):
        lines = [line for line in start_lines(replace(serving, **named), "http://x") if "  model " in line]
        assert len(lines) == len(models)
        assert all(model in line for model, line in zip(models, lines, strict=True))
