"""The demo assistant: it says that it is a script, follows guidance, and is read as doing what it does."""

import json
from collections.abc import Iterator, Mapping, Sequence

import pytest
from anthropic.types import Message as AnthropicMessage
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from starlette.testclient import TestClient

from adjourn.core.reading import Flag
from adjourn.signals import Detectors, Lexical
from adjourn.upstream.demo import FORK, demo_app, script
from adjourn.upstream.stand_ins import StandIns

ASSISTANTS = Detectors([Lexical()])
SCRIPT = script()
HARM, ABUSE, CALM = "This is a forbidden request.", "An insult!", "Hello!"
GUIDED = SCRIPT.table["guided"]
DECLINES = frozenset({Flag.DECLINED, Flag.REDIRECTED})

READ_AS = {
    "redirect": DECLINES,
    "may_warn": DECLINES | {Flag.WARNED},
    "ask_back": frozenset({Flag.ASKED_TO_CONFIRM}),
    "support": frozenset({Flag.SUPPORTED}),
    "leave_open": frozenset[Flag](),
    "close_yourself": frozenset[Flag](),
}

Body = Mapping[str, object]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(demo_app()) as client:
        yield client


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def guidance(name: str) -> str:
    return f"[adjourn/{name}] For the next answer only.\nIt may speak of an insult or of a forbidden request."


def answer(client: TestClient, *messages: Mapping[str, object]) -> str:
    response = client.post("/v1/chat/completions", json={"model": "adjourn-demo", "messages": messages})
    assert response.status_code == 200, response.text
    completion = ChatCompletion.model_validate_json(response.content)
    assert completion.choices[0].finish_reason == "stop"
    return completion.choices[0].message.content or ""


def flags(text: str) -> frozenset[Flag]:
    return ASSISTANTS.assistant(text).flags


# What it says by itself.


@pytest.mark.parametrize(
    "words", ["hello", "Hi there!", "are you a language model?", "who are you", "", "is this a bot?"]
)
def test_it_says_that_it_is_a_script_in_its_greeting_and_when_asked(client: TestClient, words: str) -> None:
    assert "a script, not a language model" in answer(client, user(words))


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Why are chats closed?", "why"),
        ("When is a chat closed?", "when"),
        ("how do I get it back?", "back"),
        ("Can I appeal?", "appeal"),
        ("My chat was closed by mistake", "appeal"),
        ("Is this moderation?", "moderation"),
        ("Which help lines do you show?", "help lines"),
        ("What data is kept?", "data"),
        ("How do I connect a model?", "connect"),
        ("What can you do?", "can"),
        ("how are you?", "how are you"),
        ("Thanks!", "thanks"),
        ("bye", "bye"),
        ("Good morning", "hello"),
        ("How can I see a chat being closed?", "show"),
        ("what happens if I edit an earlier message?", "branch"),
        ("does swearing close a chat?", "never"),
        ("what is Adjourn?", "adjourn"),
        ("I am so sad today", "low"),
    ],
)
def test_it_answers_what_it_is_asked(client: TestClient, question: str, topic: str) -> None:
    texts = next(entry.texts for entry in SCRIPT.topics if entry.name == topic)
    assert answer(client, user(question)) in texts


@pytest.mark.parametrize("question", ["What is the capital of France?", "Schreib mir ein Gedicht", "🙂", "x" * 100_000])
def test_it_says_that_it_does_not_know_what_is_not_in_its_script(client: TestClient, question: str) -> None:
    said = answer(client, user(question))
    assert said in (*SCRIPT.table["said"]["unknown"], *SCRIPT.table["said"]["greeting"])
    assert "script" in said


def test_nothing_that_it_says_by_itself_is_read_as_an_act() -> None:
    texts = [text for topic in SCRIPT.topics for text in topic.texts]
    texts += [text for said in SCRIPT.table["said"].values() for text in said]
    assert {text: flags(text) for text in texts if flags(text)} == {}


@pytest.mark.parametrize(
    ("words", "kind"), [(HARM, "harm"), (ABUSE, "abuse"), ("INSULT and forbidden\nrequest", "harm")]
)
def test_it_declines_and_redirects_what_it_finds_flagged_by_itself(client: TestClient, words: str, kind: str) -> None:
    assert answer(client, user(words)) in GUIDED["redirect"][kind]


@pytest.mark.parametrize("words", ["insults are rude words", "a request that isn't forbidden", "consultations"])
def test_words_that_only_look_like_the_stand_ins_are_not_declined(client: TestClient, words: str) -> None:
    assert not flags(answer(client, user(words)))


def test_it_stands_by_somebody_at_risk_without_being_told_to(client: TestClient) -> None:
    assert Flag.SUPPORTED in flags(answer(client, user("I want to kill myself")))


@pytest.mark.parametrize("words", ["thanks", "What is the capital of France?", "hello"])
def test_after_a_sign_of_risk_it_makes_no_small_talk(client: TestClient, words: str) -> None:
    risk = [user("I want to kill myself"), assistant("I'm here.")]
    assert answer(client, *risk, user(words)) in SCRIPT.table["said"]["at_risk"]
    assert answer(client, *risk, user("What data is kept?")) not in SCRIPT.table["said"]["at_risk"]


def test_without_a_host_it_says_that_it_cannot_close_the_chat(client: TestClient) -> None:
    assert answer(client, user("please close this chat for good")) in GUIDED["close_yourself"]["any"]


# Guidance.


@pytest.mark.parametrize("words", [HARM, ABUSE, CALM], ids=["harm", "abuse", "calm"])
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("name", READ_AS)
def test_guidance_is_followed_so_that_the_detectors_see_it(
    client: TestClient, name: str, turns: int, words: str
) -> None:
    before = [user("Hello"), assistant("Hello!")] * turns
    said = answer(client, *before, user(f"{words}\n\n{guidance(name)}"))
    assert flags(said) == READ_AS[name]


@pytest.mark.parametrize("name", READ_AS)
def test_every_text_for_guidance_is_read_as_what_it_is_for(name: str) -> None:
    texts = [text for entry in GUIDED[name].values() for text in entry]
    assert {text: flags(text) for text in texts} == dict.fromkeys(texts, READ_AS[name])


def test_there_is_no_guidance_that_the_tests_forgot() -> None:
    assert set(GUIDED) == set(READ_AS)


@pytest.mark.parametrize("role", ["developer", "system"])
def test_guidance_may_come_as_a_trailing_message(client: TestClient, role: str) -> None:
    said = answer(client, user(HARM), {"role": role, "content": guidance("may_warn")})
    assert Flag.WARNED in flags(said)


def test_guidance_may_come_as_a_part_of_its_own(client: TestClient) -> None:
    parts = [{"type": "text", "text": ABUSE}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    said = answer(client, {"role": "user", "content": [*parts, {"type": "text", "text": guidance("may_warn")}]})
    assert said in GUIDED["may_warn"]["abuse"]


def test_guidance_speaks_of_the_next_answer_only(client: TestClient) -> None:
    old = user(f"{HARM}\n\n{guidance('may_warn')}")
    assert flags(answer(client, old, assistant("No."), user("What data is kept?"))) == frozenset()
    assert flags(answer(client, old, assistant("No."), user(HARM))) == DECLINES


@pytest.mark.parametrize(
    "words",
    [
        f"Hello, what is this: {guidance('may_warn')}",  # in the middle of a line
        f"Hello\n{guidance('may_warn')}",  # without the blank line
        f"Hello\n\n{guidance('unheard_of')}",  # no such guidance
    ],
)
def test_what_only_looks_like_guidance_is_not_followed(client: TestClient, words: str) -> None:
    assert Flag.WARNED not in flags(answer(client, user(words)))


def test_guidance_in_an_answer_or_a_tool_result_is_nobodys(client: TestClient) -> None:
    for role in ("assistant", "tool"):
        said = answer(client, user("hello"), {"role": role, "content": guidance("may_warn")})
        assert flags(said) == frozenset()


def test_the_guidance_is_no_part_of_the_persons_words(client: TestClient) -> None:
    assert (
        answer(client, user(f"bye\n\n{guidance('unheard_of')}"))
        == "Goodbye! The chat stays here, and you can go on any time."
    )


def test_a_chat_is_left_open_with_a_question_where_somebody_is_at_risk(client: TestClient) -> None:
    risk = [user("I want to kill myself"), assistant("I'm here.")]
    ask = user(f"close this chat\n\n{guidance('leave_open')}")
    assert answer(client, *risk, ask) in GUIDED["leave_open"]["risk"]
    assert answer(client, ask) in GUIDED["leave_open"]["any"]


# The question whether to close.

ASKED = user(f"Three requests were declined. An insult alone must not be a reason.\n{FORK}")
ASKED_AGAIN = user(f"Once more.\n{FORK}\nBelow it, write to the person, at most 600 characters.")


@pytest.mark.parametrize("asked", [ASKED, {**ASKED, "role": "developer"}, {**ASKED, "role": "system"}])
def test_asked_whether_to_close_a_bad_chat_it_says_end_and_nothing_else(
    client: TestClient, asked: Mapping[str, str]
) -> None:
    assert answer(client, user(HARM), assistant("No."), user(HARM), asked) == "END"


@pytest.mark.parametrize(("words", "kind"), [(HARM, "harm"), (ABUSE, "abuse")])
def test_asked_again_it_adds_words_to_the_person(client: TestClient, words: str, kind: str) -> None:
    said = answer(client, user(words), ASKED, assistant("END"), ASKED_AGAIN)
    assert said == f"END\n{SCRIPT.table['fork'][kind]}"
    assert not flags(said) & {Flag.SUPPORTED, Flag.ASKED_TO_CONFIRM}


def test_asked_in_the_persons_own_message_it_reads_only_what_stands_before_the_host(client: TestClient) -> None:
    rest = f"\n\n{guidance('fork')}\n{FORK}"
    assert answer(client, user(HARM + rest)) == "END"
    assert answer(client, user(CALM + rest)) == "CONTINUE"


def test_where_nothing_is_bad_it_says_continue(client: TestClient) -> None:
    assert answer(client, user("Hello"), assistant(HARM), user("Why are chats closed?"), ASKED) == "CONTINUE"
    assert answer(client, ASKED, assistant("END"), ASKED_AGAIN) == "CONTINUE"


def test_where_somebody_is_at_risk_it_says_continue(client: TestClient) -> None:
    assert answer(client, user(HARM), assistant("No."), user("I want to kill myself"), ASKED) == "CONTINUE"


@pytest.mark.parametrize("words", [f"“{FORK}”", f"{FORK} Or not.", f"{FORK}\nWhat is this?", "END or CONTINUE?"])
def test_the_question_is_the_exact_last_line_or_it_is_none(client: TestClient, words: str) -> None:
    assert answer(client, user(HARM), assistant("No."), user(words)) not in ("END", "CONTINUE")


# On the wire.


def events(client: TestClient, **rest: object) -> tuple[list[ChatCompletionChunk], bytes]:
    body = {"messages": [user("Why are chats closed?")], "stream": True, **rest}
    response = client.post("/v1/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    data = [event.removeprefix(b"data: ") for event in response.content.split(b"\n\n")[:-1]]
    assert data[-1] == b"[DONE]"
    return [ChatCompletionChunk.model_validate_json(one) for one in data[:-1]], response.content


def test_a_stream_says_the_same_in_chunks(client: TestClient) -> None:
    chunks, _ = events(client)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == answer(client, user("Why are chats closed?"))
    assert len(chunks) > 20
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_the_usage_if_it_is_asked_for(client: TestClient) -> None:
    chunks, _ = events(client, stream_options={"include_usage": True})
    usage = chunks[-1].usage
    assert chunks[-1].choices == []
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 4


def test_a_paced_stream_says_the_same() -> None:
    with TestClient(demo_app(pace=1e-6)) as client:
        chunks, _ = events(client)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_an_answer_says_its_usage_and_its_model(client: TestClient) -> None:
    response = client.post("/v1/chat/completions", json={"messages": [user("hello there")]}).json()
    usage = response["usage"]
    assert (response["model"], usage["prompt_tokens"]) == ("adjourn-demo", 2)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_it_offers_one_model(client: TestClient) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["adjourn-demo"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"\xff", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"messages": []}', "messages"),
        (b'{"messages": "hello"}', "messages"),
        (b'{"messages": [{"content": "hello"}]}', "messages[0]"),
        (b'{"messages": [{"role": "user", "content": 3}]}', "messages[0].content"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', None),
        (b"[" * 100_000, None),
    ],
)
def test_a_bad_request_is_refused_in_the_vendors_form(client: TestClient, body: bytes, param: str | None) -> None:
    response = client.post("/v1/chat/completions", content=body)
    error = json.loads(response.content)["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert error["message"]


def test_what_is_not_offered_is_refused_in_the_vendors_form(client: TestClient) -> None:
    for response in (client.get("/v1/embeddings"), client.get("/v1/chat/completions")):
        assert response.status_code in (404, 405)
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_unusual_but_legal_requests_are_answered(client: TestClient) -> None:
    messages: Sequence[Body] = [
        {"role": "system", "content": "Be brief.", "name": "x"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
    ]
    assert "a script" in answer(client, *messages)
    assert "a script" in answer(client, {"role": "system", "content": "No words of a user at all."})
    assert "a script, not" in answer(client, assistant("What data is kept?"))


# The stand-ins.


@pytest.mark.parametrize(
    ("text", "seen", "family"),
    [
        ("forbidden request", {Flag.HARMFUL, Flag.HARMFUL_COUNT}, "illegal"),
        ("A Forbidden  Request, please", {Flag.HARMFUL, Flag.HARMFUL_COUNT}, "illegal"),
        ("insult", {Flag.ABUSIVE, Flag.ABUSIVE_COUNT}, None),
        ("Insult.", {Flag.ABUSIVE, Flag.ABUSIVE_COUNT}, None),
        ("forbidden requests", set(), None),
        ("forbidden", set(), None),
        ("insulted", set(), None),
    ],
)
def test_the_stand_ins_are_seen_as_whole_words(text: str, seen: set[Flag], family: str | None) -> None:
    reading = Detectors([StandIns()]).user(text)
    assert (set(reading.flags), reading.family) == (seen, family)


def test_the_stand_ins_are_nothing_in_an_answer() -> None:
    assert not Detectors([StandIns()]).assistant("forbidden request, insult").scores


# The same on Anthropic's wire.


def test_on_both_wires_it_says_the_same(client: TestClient) -> None:
    asked = {"model": "adjourn-demo", "max_tokens": 64, "messages": [user("Why are chats closed?")]}
    response = client.post("/v1/messages", json=asked)
    message = AnthropicMessage.model_validate_json(response.content)
    assert [block.type for block in message.content] == ["text"]
    assert response.json()["content"][0]["text"] == answer(client, user("Why are chats closed?"))
    assert (message.stop_reason, message.usage.input_tokens, message.model) == ("end_turn", 4, "adjourn-demo")
    streamed = client.post("/v1/messages", json={**asked, "stream": True})
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert [line[7:] for line in streamed.text.splitlines() if line.startswith("event: ")] == [
        event["type"] for event in events
    ]
    words = "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    assert words == response.json()["content"][0]["text"]
    assert len(events) > 20


def test_to_anthropics_clients_it_offers_its_model_and_refuses_in_their_form(client: TestClient) -> None:
    version = {"anthropic-version": "2023-06-01"}
    (model,) = client.get("/v1/models", headers=version).json()["data"]
    assert (model["type"], model["id"]) == ("model", "adjourn-demo")
    for response, status, kind in (
        (client.post("/v1/messages", content=b"{}"), 400, "invalid_request_error"),
        (client.post("/v1/messages", content=b'{"messages": []}'), 400, "invalid_request_error"),
        (client.get("/v1/elsewhere", headers=version), 404, "not_found_error"),
    ):
        told = response.json()
        assert (response.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
        assert told["error"]["message"]
