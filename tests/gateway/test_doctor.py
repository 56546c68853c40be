"""The doctor: what it says of models that do what Adjourn asks of them, and of each that does not."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from starlette.applications import Starlette

from adjourn.cli import main
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.store import key_digest, new_key, open_store
from adjourn.upstream.choice import Named
from adjourn.upstream.client import Timeouts
from adjourn.web.doctor import Finding, State, examine
from adjourn.web.doctor.arrivals import arrived
from adjourn.web.serve import Serving, application
from tests.gateway.rig import here
from tests.models import Answers, Asked, Fault, Refused, Said, scripted, serving

ROME = "Rome."
CALL = {"id": "call_1", "type": "function", "function": {"name": "end_conversation", "arguments": "{}"}}


def obedient(asked: Asked) -> str:
    """Does what a note says, wherever it stands."""
    return "Maple. Rome." if any("with the word maple" in text for _, text in asked.texts) else ROME


def without(*roles: str) -> Any:
    """A model that refuses messages of these roles."""

    def answer(asked: Asked) -> Any:
        refused = next((role for role, _ in asked.texts if role in roles), None)
        return Refused(f"unknown role {refused}") if refused else obedient(asked)

    return answer


def set_up(url: str, mode: Mode = Mode.ENFORCE, **more: Any) -> Serving:
    """A server's settings, in front of the model at this address."""
    options = {"wire": "openai_chat", **{key: more.pop(key) for key in ("wire", "key", "guidance") if key in more}}
    named = Named(name="m", url=url, models=more.pop("models", ("stub",)), fork_tool=more.pop("tool", ()), **options)
    return replace(Serving(db="memory:", policy=replace(Policy(), mode=mode), upstreams=(named,)), **more)


async def found(settings: Serving, *server: str) -> list[Finding]:
    return [finding async for finding in examine(settings, *server)]


async def tried(stub: Starlette, path: str = "/v1", **more: Any) -> Mapping[str, State]:
    """What is found of this model, by what is said of it."""
    async with here(stub) as url:
        return {one.says: one.state for one in await found(set_up(url + path, **more)) if one.about == "model m"}


def of(findings: list[Finding], about: str) -> Finding:
    (one,) = [finding for finding in findings if finding.about == about]
    return one


def stands(tried: Mapping[str, State], begins: str) -> State:
    """How that stands which is said in these words."""
    (state,) = [state for says, state in tried.items() if says.startswith(begins)]
    return state


# A model that does all of it.


@pytest.mark.parametrize("wire", ["openai_chat", "anthropic_messages"])
async def test_a_model_that_does_all_of_it_is_good_on_either_wire(wire: str) -> None:
    model = scripted(obedient)
    told = await tried(model, "" if wire == "anthropic_messages" else "/v1", wire=wire, key="sk-1")
    assert list(told.values()) == [State.SET, *[State.GOOD] * 4]
    assert stands(told, "it takes guidance as in_user, and follows it") is State.GOOD
    bodies = [one.json() for one in model.state.received]
    assert all(body["max_tokens"] == 1024 and body["model"] == "stub" for body in bodies)
    key = model.state.received[0].header("x-api-key" if wire == "anthropic_messages" else "authorization")
    assert key == ("sk-1" if wire == "anthropic_messages" else "Bearer sk-1")
    assert len(bodies) == 4


async def test_a_model_that_closes_with_a_tool_is_asked_with_the_tool() -> None:
    model = scripted(lambda asked: Said(None, also={"tool_calls": [CALL]}) if "tools" in asked.body else ROME)
    told = await tried(model, tool=("st*",))
    assert stands(told, "it follows the question whether to close, but said END") is State.DOUBT


async def test_without_a_name_in_the_settings_the_models_own_list_names_one() -> None:
    model = scripted(obedient)
    await tried(model, models=())
    assert model.state.received[1].json()["model"] == "stub"
    assert [one.path for one in model.state.received[:2]] == ["/v1/models", "/v1/chat/completions"]
    assert stands(await tried(scripted(obedient), models=("other*",)), "it lists no models") is State.DOUBT


async def test_the_pages_model_is_tried_where_it_stands_behind_that_upstream() -> None:
    model = scripted(obedient)
    await tried(model, model="page", models=("page", "stub"))
    assert {one.json()["model"] for one in model.state.received} == {"page"}


# Each thing that can fail.


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Fault("status_500"), "it refuses a question to stub: 500, 'It broke.'"),
        (Fault("not_json"), "its answer is none on this wire"),
        (Fault("no_choices"), "its answer is none on this wire"),
        (Fault("cut"), "it does not answer: the model's answer broke off"),
        (Refused("no such model", 404), "it refuses a question to stub: 404, 'no such model'"),
    ],
)
async def test_a_model_that_does_not_answer_is_bad_and_asked_nothing_more(answer: Any, says: str) -> None:
    model = scripted(answer)
    assert stands(await tried(model), says) is State.BAD
    assert len(model.state.received) == 1


async def test_a_model_that_nobody_reaches_is_bad() -> None:
    findings = await found(set_up("http://127.0.0.1:9/v1"))
    assert findings[-2].state is State.BAD
    assert findings[-2].says == "it does not answer: the model could not be reached"
    unnamed = await found(set_up("http://127.0.0.1:9/v1", models=()))
    assert unnamed[-2] == findings[-2]


@pytest.mark.parametrize(("key", "state"), [(None, State.DOUBT), ("sk-wrong", State.BAD)])
async def test_a_model_that_wants_the_clients_key_is_a_doubt_and_one_that_refuses_ours_is_bad(
    key: str | None, state: State
) -> None:
    told = await tried(scripted(Refused("no key", 401)), key=key)
    assert list(told.values())[-1] is state


@pytest.mark.parametrize("fault", ["error_in_stream", "short", "cut", "not_json"])
async def test_a_model_whose_stream_fails_is_bad(fault: str) -> None:
    told = await tried(scripted(lambda asked: Fault(fault) if asked.body.get("stream") else obedient(asked)))
    assert [state for says, state in told.items() if "stream" in says] == [State.BAD]
    plain = await tried(scripted(lambda asked: Refused("no streams") if asked.body.get("stream") else obedient(asked)))
    assert stands(plain, "it does not stream: 400, 'no streams'") is State.BAD


async def test_a_model_that_refuses_guidance_in_the_form_that_is_set_is_bad_and_told_which_form_works() -> None:
    told = await tried(scripted(without("developer", "system")), guidance="developer")
    says = "it does not take guidance as developer (400, 'unknown role developer'); it takes \"in_user\": guidance = "
    assert stands(told, says) is State.BAD
    told = await tried(scripted(without("developer")), guidance="developer")
    assert stands(told, says.replace('"in_user"', '"system" or "in_user"')) is State.BAD
    assert stands(await tried(scripted(without("developer")), guidance="system"), "it takes guidance") is State.GOOD


async def test_a_model_that_takes_guidance_in_no_form_is_bad_where_the_mode_needs_it() -> None:
    def refuses(asked: Asked) -> Any:
        noted = any("A note from the application" in text for _, text in asked.texts)
        return Refused("no") if noted else ROME

    for mode, state in ((Mode.WARN, State.BAD), (Mode.SHADOW, State.DOUBT)):
        told = await tried(scripted(refuses), mode=mode)
        assert stands(told, "it does not take guidance as in_user (400, 'no'); nor in another form") is state


async def test_guidance_that_is_taken_but_does_nothing_is_a_doubt() -> None:
    assert stands(await tried(scripted(ROME)), "it takes guidance as in_user, but did not do") is State.DOUBT


@pytest.mark.parametrize(
    ("fork", "says", "state"),
    [
        ("CONTINUE", "it follows the question whether to close (", State.GOOD),
        ("**CONTINUE**\nNothing is wrong.", "it follows the question whether to close (", State.GOOD),
        ("END", "it follows the question whether to close, but said END where nothing was wrong", State.DOUBT),
        ("I would go on: CONTINUE.", "it does not answer the question whether to close with END or", State.BAD),
        ("<think>\nHm.\n</think>\nCONTINUE", "it does not answer the question whether to close with", State.BAD),
        (Refused("no", 400), "it refuses the question whether to close: 400, 'no'", State.BAD),
        (Fault("cut"), "it does not say whether to close: ", State.BAD),
    ],
)
async def test_the_question_whether_to_close_is_followed_or_not(fork: Answers, says: str, state: State) -> None:
    assert stands(await tried(scripted(obedient, fork)), says) is state
    weaker = await tried(scripted(obedient, fork), mode=Mode.WARN)
    assert stands(weaker, says) is (State.DOUBT if state is State.BAD else state)


async def test_a_question_whether_to_close_that_is_answered_late_is_bad() -> None:
    async def late(_: Asked) -> str:
        await asyncio.Event().wait()
        return "CONTINUE"

    told = await tried(scripted(obedient, late), timeouts=Timeouts(fork=0.05))
    assert stands(told, "it does not say whether to close within 0.05 s (--fork-timeout)") is State.BAD


# The server's own parts.


async def test_rules_detectors_database_and_help_lines_are_told(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'a.db'}"
    settings = Serving(db=db, policy=Policy(), country="IT")
    new = await found(settings)
    assert (of(new, "database").says, (tmp_path / "a.db").exists()) == (
        f"{db} is not there yet; the server makes it",
        0,
    )
    assert of(new, "mode").says.startswith("enforce: ")
    assert Policy().digest in of(new, "policy").says
    assert (of(new, "detectors").state, of(new, "help lines").state) == (State.GOOD, State.GOOD)
    assert of(new, "model").says.startswith("the demo assistant")
    assert of(new, "keys").says.startswith("none")
    store = open_store(db)
    key, secret = new_key("laptop", 1)
    await store.add_key(key, key_digest(secret))
    kept = await found(settings)
    assert (of(kept, "database").says, of(kept, "keys").says) == (
        f"{db} can be written",
        "1 open; every client needs one",
    )
    await store.revoke_key(key.id, 2)
    await store.close()
    assert of(await found(settings), "keys").state is State.BAD


async def test_a_database_that_cannot_be_one_and_a_country_without_lines_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is no database, but a text that is long enough to be read as one" * 20)
    broken = await found(Serving(db=f"sqlite:///{tmp_path / 'a.db'}", policy=Policy(), country="XX"))
    assert of(broken, "database").state is State.BAD
    assert of(broken, "help lines").says.startswith("none is known for 'XX'")
    below = await found(Serving(db=f"sqlite:///{tmp_path / 'a.db' / 'b.db'}", policy=Policy()))
    assert of(below, "database").says.endswith("cannot be written")
    postgres = await found(Serving(db="postgresql://x", policy=Policy()))
    assert "PostgreSQL is not supported yet" in of(postgres, "database").says


async def test_an_address_that_others_reach_without_a_key_is_bad() -> None:
    for mode in (Mode.OFF, Mode.ENFORCE):
        settings = Serving(db="memory:", policy=replace(Policy(), mode=mode), address="0.0.0.0")
        assert of(await found(settings), "address").state is State.BAD
        assert of(await found(replace(settings, address="127.0.0.1")), "address").state is State.SET


# Ids.


@pytest.mark.parametrize(
    ("ids", "state", "says"),
    [
        ([], State.DOUBT, "there is no conversation yet"),
        (["a", "b"], State.GOOD, "conversations that came with an id of the client's: 2 of the newest 2"),
        (
            ["a", None, None],
            State.DOUBT,
            "conversations that came with an id of the client's: 1 of the newest 3. Without one",
        ),
    ],
)
def test_it_is_said_how_many_conversations_came_with_an_id(ids: list[str | None], state: State, says: str) -> None:
    assert arrived(ids).state is state
    assert arrived(ids).says.startswith(says)


async def test_ids_are_seen_in_the_database_and_by_a_server_that_runs(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'a.db'}"
    settings = Serving(db=db, policy=Policy())
    async with here(application(settings)) as url:
        async with aiohttp.ClientSession() as session:
            for number, headers in enumerate(({"Adjourn-Conversation": "chat-1"}, {}, {"Cookie": "adjourn_browser=x"})):
                body = {"model": "m", "messages": [{"role": "user", "content": f"Hello {number}"}]}
                key = {} if "Cookie" in headers else {"Authorization": "Bearer sk-1"}
                async with session.post(f"{url}/v1/chat/completions", json=body, headers={**headers, **key}) as answer:
                    assert answer.status == 200
        of_file = of(await found(settings), "ids")
        of_server = await found(settings, url, "sk-1")
        assert of_file == of(of_server, "ids")
        assert "the client's: 1 of the newest 2." in of_file.says
        assert of(of_server, "server") == Finding("server", State.GOOD, f"{url} is ready")
        store = open_store(db)
        await store.add_key(new_key("laptop", 1)[0], b"x" * 32)
        await store.close()
    async with here(application(settings)) as url:
        refused = of(await found(settings, url), "ids")
        assert refused.state is State.BAD
        assert "needs a key of its own" in refused.says


async def test_a_server_that_does_not_answer_or_is_none_is_bad() -> None:
    settings = Serving(db="memory:", policy=Policy())
    assert of(await found(settings, "http://127.0.0.1:9"), "server").state is State.BAD
    async with here(scripted(ROME)) as url:
        assert of(await found(settings, url), "server").says.endswith("is not ready: it answered 200")


# The command.


def doctor(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["doctor", "--db", "memory:", *arguments], env={"HOME": "/nonexistent"})
    return done.exit_code, done.output


def test_the_command_says_a_line_for_each_thing_and_fails_if_something_needed_does() -> None:
    with serving(scripted(obedient)) as url:
        status, said = doctor("--upstream", f"{url}/v1", "--country", "IT")
        assert status == 0
        assert "good   model upstream it streams" in said
        assert "bad " not in said
    with serving(scripted(obedient, "Maybe.")) as url:
        assert doctor("--upstream", f"{url}/v1")[0] == 1
        assert doctor("--upstream", f"{url}/v1", "--mode", "shadow")[0] == 0


def test_the_command_says_the_same_as_data() -> None:
    with serving(scripted(Fault("status_500"))) as url:
        status, said = doctor("--upstream", f"{url}/v1", "--json")
    told = json.loads(said)
    assert (status, told["good"]) == (1, False)
    assert {"about", "state", "says"} == set(told["findings"][0])
    assert [one["about"] for one in told["findings"] if one["state"] == "bad"] == ["model upstream"]


def test_settings_that_serve_would_refuse_are_refused_in_the_same_sentence() -> None:
    status, said = doctor("--upstream", "api.example.com")
    assert (status, "Error: --upstream api.example.com: an address that begins" in said) == (1, True)
