"""What is refused before anything is kept or sent, each with a sentence in the wire's own form; and what is not."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from yarl import URL

from adjourn.upstream.demo import demo_app
from adjourn.web.guard import Guard
from tests.gateway.rig import BAD, CALM, Recording, Reply, Rig, close, rig
from tests.models import WARNS, hostile, scripted

JSON = {"Content-Type": "application/json"}
GOOD = b'{"messages": [{"role": "user", "content": "hello"}]}'


async def nothing_happened(served: Rig) -> None:
    assert not served.received
    assert not await served.store.conversations()


def error(reply: Reply, status: int) -> str:
    """The sentence of a refusal in the wire's own form."""
    assert reply.status == status, reply
    assert reply.headers["Content-Type"] == "application/json"
    found = reply.json["error"]
    assert found.keys() == {"message", "type", "param", "code"}
    assert found["type"] == "invalid_request_error"
    assert "Traceback" not in found["message"]
    assert len(found["message"]) > 10
    assert reply.headers["x-should-retry"] == "false"
    return str(found["message"])


def message(content: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":' + content + b"}]}"


DEEP = 100_000
BODIES: Mapping[str, tuple[bytes, str]] = {
    "nothing": (b"", "not JSON"),
    "no JSON": (b"hello", "not JSON"),
    "cut JSON": (GOOD[:-1], "not JSON"),
    "two bodies": (GOOD + GOOD, "not JSON"),
    "NaN": (b'{"temperature": NaN, "messages": [{"role": "user", "content": "x"}]}', "not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "text": (b'"messages"', "not a JSON object"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not "),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "not JSON"),
    "not UTF-8": (message(b'"\xff\xfe"'), "not UTF-8"),
    "not UTF-8 in a key": (b'{"\xff": 1, ' + GOOD[1:], "not UTF-8"),
    "a surrogate as bytes": (message(b'"\xed\xa0\x80"'), "not UTF-8"),
    "a high surrogate": (message(rb'"\ud83d"'), "not JSON"),
    "a low surrogate": (message(rb'"x\udc00y"'), "not JSON"),
    "surrogates the wrong way round": (message(rb'"\udc00\ud83d"'), "not JSON"),
    "a surrogate in a key": (rb'{"\ud83d": 1, ' + GOOD[1:], "not JSON"),
    "messages twice": (b'{"messages": [], ' + GOOD[1:], "`messages` twice"),
    "messages twice, escaped": (rb'{"m\u0065ssages": [], ' + GOOD[1:], "`messages` twice"),
    "messages twice, in capital hex": (rb'{"\u006Dessages": [], ' + GOOD[1:], "`messages` twice"),
    "role twice": (b'{"messages": [{"role": "system", "role": "user", "content": "x"}]}', "`role` twice"),
    "role twice, escaped": (
        rb'{"messages": [{"\u0072ole": "system", "role": "user", "content": "x"}]}',
        "`role` twice",
    ),
    "content twice": (b'{"messages": [{"role": "user", "content": "x", "content": "y"}]}', "`content` twice"),
    "content twice, escaped": (
        rb'{"messages": [{"role": "user", "content": "x", "conten\u0074": "y"}]}',
        "`content` twice",
    ),
    "content twice beside a message that has none": (
        b'{"messages": [{"role": "assistant", "tool_calls": [{"id": "t"}]}, {"role": "tool"},'
        b' {"role": "user", "content": "x", "content": "y"}]}',
        "`content` twice",
    ),
    "role twice in a part": (
        message(b'[{"type": "text", "text": "x", "role": 1, "role": 2, "content": "", "content": ""}]'),
        "twice",
    ),
    "no messages": (b'{"model": "m"}', "`messages`"),
    "null for messages": (b'{"messages": null}', "`messages`"),
    "no message": (b'{"messages": []}', "`messages`"),
    "text for messages": (b'{"messages": "hello"}', "`messages`"),
    "a message that is text": (b'{"messages": ["hello"]}', "messages[0]"),
    "no role": (b'{"messages": [{"content": "hello"}]}', "messages[0].role"),
    "a number for a role": (b'{"messages": [{"role": 1, "content": "hello"}]}', "messages[0].role"),
    "a number for content": (message(b"7"), "messages[0].content"),
    "an object for content": (message(b"{}"), "messages[0].content"),
    "deep lists": (message(b"[" * DEEP + b"]" * DEEP), "nested too deeply"),
    "deep objects": (message(b'[{"a":' * DEEP + b"1" + b"}]" * DEEP), "nested too deeply"),
    "deep with escapes": (rb'{"\u0061":' + b"[" * DEEP + b"]" * DEEP + b"," + GOOD[1:], "nested too deeply"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_cannot_be_read_is_refused_with_a_sentence_and_nothing_happens(name: str) -> None:
    body, says = BODIES[name]
    async with rig(scripted("Okay.")) as served:
        assert says in error(await served.post(body), 400)
        await nothing_happened(served)


async def test_depths_around_what_the_decoder_takes_are_taken_or_refused_but_never_break() -> None:
    async with rig(scripted("Okay.")) as served:
        for depth in (10, 400, *range(840, 1010, 6), 2000):
            for escaped in (b"a", rb"\u0061"):
                deep = b'{"' + escaped + b'":' + b"[" * depth + b"]" * depth + b"}"
                for body in (deep[:-1] + b"," + GOOD[1:], message(b"[" + deep + b"]")):
                    reply = await served.post(body)
                    if reply.body == b"Internal Server Error":  # the stub's own: its stack is deeper than ours
                        continue
                    assert reply.status == 200 or "nested too deeply" in error(reply, 400)


async def test_whole_numbers_of_any_length_break_nothing() -> None:
    async with rig(scripted("Okay.")) as served:
        for digits in (20, 400, 4299, 4301, 10_000):
            for escaped in (b"a", rb"\u0061"):
                reply = await served.post(b'{"' + escaped + b'":' + b"9" * digits + b"," + GOOD[1:])
                assert reply.status == 200 or reply.body == b"Internal Server Error"  # the stub's own: it reads them
                assert served.received


async def test_a_body_over_64_mb_is_refused_whether_its_length_is_said_or_not() -> None:
    async with rig(scripted("Okay.")) as served:

        async def chunks() -> Any:
            yield b'{"a": "'
            for _ in range(65):
                yield b"x" * 1024 * 1024
            yield b'", ' + GOOD[1:]

        reply = await served.post(b'{"a": "' + b"x" * 64 * 1024 * 1024 + b'", ' + GOOD[1:])
        assert "64 MB" in error(reply, 413)
        url = f"{served.url}/v1/chat/completions"
        async with served.session.post(url, data=chunks(), headers=JSON) as answer:
            assert "64 MB" in error(Reply(answer.status, answer.headers, await answer.read()), 413)
        await nothing_happened(served)


async def test_headers_over_64_kb_are_refused() -> None:
    async with rig(scripted("Okay.")) as served:
        many = {f"X-{number}": "x" * 4000 for number in range(17)}
        assert "64 KB" in error(await served.post(GOOD, many), 431)
        assert (await raw(served, b"X-Long: " + b"x" * 200_000)).split(b" ")[1][:1] == b"4"
        await nothing_happened(served)


async def raw(served: Rig, *lines: bytes, method: bytes = b"POST", body: bytes = GOOD) -> bytes:
    """Send these header lines as they are, and return what comes back."""
    port = int(served.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [method + b" /v1/chat/completions HTTP/1.1", *lines, b"Content-Length: %d" % len(body), b"Connection: close"]
    writer.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_history_of_5000_messages_is_a_history() -> None:
    async with rig(scripted("Okay.")) as served:
        messages = [
            {"role": "assistant" if number % 2 else "user", "content": f"message {number}"} for number in range(5000)
        ]
        body = json.dumps({"messages": [*messages, {"role": "user", "content": CALM}]}).encode()
        assert (await served.post(body)).text == "Okay."
        assert served.received[0].body == body
        assert await served.verified() == 1


async def test_unknown_parts_roles_and_fields_pass_as_they_are() -> None:
    async with rig(scripted("Okay.")) as served:
        messages: list[dict[str, Any]] = [
            {"role": "wizard", "content": [{"type": "spell"}, {}]},
            {
                "role": "user",
                "content": [{"type": "hologram", "content": 5}, {"type": "text", "text": CALM}],
                "x": [{}],
            },
        ]
        body = json.dumps({"messages": messages, "brand_new": {"role": "user"}}).encode()
        assert (await served.post(body)).text == "Okay."
        assert served.received[0].body == body


async def test_a_request_without_a_word_of_a_user_passes() -> None:
    async with rig(scripted("Okay.")) as served:
        for messages in ([{"role": "system", "content": "x"}], [{"role": "assistant", "content": "x"}]):
            assert (await served.post(json.dumps({"messages": messages}).encode())).text == "Okay."


# The guard.


@pytest.mark.parametrize("host", [b"evil.example", b"localhost.evil.example", b"127.0.0.2", b"", b"evil.example:80"])
async def test_another_name_for_this_server_is_refused(host: bytes) -> None:
    async with rig(scripted("Okay.")) as served:
        answer = await raw(served, b"Host: " + host, b"Content-Type: application/json")
        assert answer.startswith(b"HTTP/1.1 421 ")
        assert b"--allow-host" in answer
        await nothing_happened(served)


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:99", b"[::1]", b"[::1]:80", b"chat.lan"])
async def test_our_own_names_and_the_allowed_ones_are_served(host: bytes) -> None:
    async with rig(scripted("Okay."), guard=Guard(hosts=["chat.lan"])) as served:
        answer = await raw(served, b"Host: " + host, b"Content-Type: application/json")
        assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_page_on_another_site_can_neither_send_nor_read(headers: Mapping[str, str]) -> None:
    async with rig(scripted("Okay."), guard=Guard(origins=["https://mine.example"])) as served:
        reply = await served.post(GOOD, headers)
        assert "another site" in error(reply, 403)
        assert "Access-Control-Allow-Origin" not in reply.headers
        asks = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        async with served.session.options(f"{served.url}/v1/chat/completions", headers=asks) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with served.session.get(f"{served.url}/v1/models", headers=headers) as answer:
            assert answer.status == 403
        await nothing_happened(served)


async def test_a_site_that_is_allowed_can_send_and_read_and_our_own_page_can() -> None:
    site = "https://mine.example"
    async with rig(scripted("Okay."), guard=Guard(origins=[site])) as served:
        for headers in ({"Origin": site}, {"Origin": site, "Sec-Fetch-Site": "cross-site"}):
            reply = await served.post(GOOD, headers)
            assert reply.status == 200
            assert reply.headers["Access-Control-Allow-Origin"] == site
            asks = {**headers, "Access-Control-Request-Method": "POST"}
            async with served.session.options(f"{served.url}/v1/chat/completions", headers=asks) as answer:
                assert answer.status == 204
                assert answer.headers["Access-Control-Allow-Origin"] == site
        for headers in ({"Origin": served.url, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
            reply = await served.post(GOOD, headers)
            assert reply.status == 200
            assert "Access-Control-Allow-Origin" not in reply.headers


async def test_the_refusal_below_an_end_can_be_read_by_the_page_of_an_allowed_site() -> None:
    site = "https://mine.example"
    async with rig(hostile(), guard=Guard(origins=[site])) as served:
        chat = served.chat(headers={"Origin": site})
        await close(chat)
        reply = await chat.send(CALM)
        assert reply.refused
        assert reply.headers["Access-Control-Allow-Origin"] == site


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
async def test_only_json_is_taken(kind: str) -> None:
    async with rig(scripted("Okay.")) as served:
        assert "application/json" in error(await served.post(GOOD, {"Content-Type": kind}), 415)
        assert (await served.post(GOOD, {"Content-Type": "Application/JSON; charset=utf-8"})).status == 200


# Addresses.


@pytest.mark.parametrize(
    "path",
    [
        "completions",
        "chat/completions/x",
        "chat/completions/",
        "Chat/Completions",
        "chat%2Fcompletions%2F..",
        "assistants",
        "threads/t_1/runs",
        "realtime",
        "batches",
        "responses",
        "conversations",
        "files/../chat/completions",
        "files/%2e%2e/chat/completions",
        "audio/..%2fchat/completions",
        "images/..%5Cchat/completions",
        "",
    ],
)
async def test_p01_a_side_door_under_v1_is_not_there_and_says_so(path: str) -> None:
    async with rig(scripted("Okay.")) as served:
        for method in ("POST", "GET", "PUT", "PATCH", "DELETE"):
            url = URL(f"{served.url}/v1/{path}", encoded=True)  # steps up are sent as they are
            headers = JSON if method == "POST" else {}
            async with served.session.request(method, url, data=GOOD, headers=headers, allow_redirects=False) as answer:
                reply = Reply(answer.status, answer.headers, await answer.read())
            if method == "POST" or path != "responses":
                assert "this address" in error(reply, 404)
            else:
                assert reply.status in (404, 405)
        await nothing_happened(served)


async def test_the_models_are_those_of_the_model_behind() -> None:
    for model, name in ((scripted("Okay."), "stub"), (Recording(demo_app()), "adjourn-demo")):
        async with rig(model) as served, served.session.get(f"{served.url}/v1/models") as answer:
            assert answer.status == 200
            assert [one["id"] for one in (await answer.json())["data"]] == [name]


async def test_p12_a_refused_message_can_be_sent_again_in_a_new_chat_as_it_was() -> None:
    async with rig(scripted(WARNS, ["END", "END"])) as served:
        chat = served.chat()
        await close(chat)
        text = "A long and careful message about the weather."
        assert (await chat.send(text)).refused
        assert chat.messages[-1]["content"] == text
        assert (await served.chat().send(text)).status == 200
        assert BAD not in served.received[-1].json()["messages"][-1]["content"]
