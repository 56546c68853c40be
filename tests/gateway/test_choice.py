"""Several upstreams, named in the settings file: which one a request goes to, and how its model is spoken to."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adjourn.cli import main
from adjourn.cli.server import start_lines
from adjourn.core.errors import CallerError
from adjourn.core.policy import Policy
from adjourn.host import Manner
from adjourn.settings import load_settings
from adjourn.upstream.choice import Named, chosen, named_upstreams
from adjourn.web.manners import manner
from adjourn.web.serve import Serving
from tests.gateway.rig import ABUSE, CALM, QUICK, here
from tests.gateway.test_addresses import JSON, ask, served_with
from tests.models import WARNS, Said, scripted

CLAUDE = {**JSON, "anthropic-version": "2023-06-01"}


def named(name: str, url: str = "http://x.example", **more: Any) -> Named:
    return Named(name=name, wire=more.pop("wire", "openai_chat"), url=url, **more)


def body(model: str, *texts: str) -> str:
    messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts or (CALM,))]
    return json.dumps({"model": model, "max_tokens": 9, "messages": messages})


# Which one.


@pytest.mark.parametrize(
    ("model", "goes_to"), [("llama-70b", "local"), ("gpt-5", "other"), ("", "other"), ("mistral", "other")]
)
def test_a_model_goes_to_the_upstream_that_lists_it_and_another_to_the_one_that_lists_none(
    model: str, goes_to: str
) -> None:
    both = [named("local", models=("llama*",)), named("other")]
    assert chosen(both, model).name == chosen(both[::-1], model).name == goes_to


def test_a_model_that_nobody_lists_goes_to_the_first() -> None:
    assert chosen([named("one", models=("a*",)), named("two", models=("b",))], "c").name == "one"


async def test_requests_go_by_their_model_each_with_the_key_of_its_upstream_and_the_list_is_the_defaults() -> None:
    local, other = scripted("Local."), scripted("Other.")
    async with here(local) as one, here(other) as two:
        upstreams = (
            named("local", f"{one}/v1", models=("llama*", "tiny"), key="sk-local"),
            named("other", f"{two}/v1"),
        )
        async with served_with(upstreams=upstreams) as (url, session):
            for model, says in (("llama-70b", "Local."), ("tiny", "Local."), ("gpt-5", "Other."), ("tiny2", "Other.")):
                _, told = await ask(session, f"{url}/v1/chat/completions", data=body(model))
                assert told["choices"][0]["message"]["content"] == says
            assert {one.header("authorization") for one in local.state.received} == {"Bearer sk-local"}
            assert {one.header("authorization") for one in other.state.received} == {None}
            await ask(session, f"{url}/v1/models", method="GET")
            await ask(session, f"{url}/v1/embeddings", data=json.dumps({"model": "tiny", "input": "x"}))
            await ask(session, f"{url}/v1/audio/speech", data="no JSON")
            paths = [[one.path for one in model.state.received] for model in (local, other)]
            assert paths[0] == ["/v1/chat/completions"] * 2 + ["/v1/embeddings"]
            assert paths[1] == ["/v1/chat/completions"] * 2 + ["/v1/models", "/v1/audio/speech"]


async def test_each_wire_chooses_among_its_own() -> None:
    chat, claude, second = scripted("Chat."), scripted("Claude."), scripted("Second.")
    async with here(chat) as one, here(claude) as two, here(second) as three:
        upstreams = (
            named("chat", f"{one}/v1"),
            named("claude", two, wire="anthropic_messages", key="sk-a"),
            named("second", three, wire="anthropic_messages", models=("claude-x*",)),
        )
        async with served_with(upstreams=upstreams) as (url, session):
            for model, says in (("claude-opus-5-5", "Claude."), ("claude-x-1", "Second.")):
                _, told = await ask(session, f"{url}/v1/messages", CLAUDE, data=body(model))
                assert told["content"][0]["text"] == says
            assert claude.state.received[0].header("x-api-key") == "sk-a"
            assert (await ask(session, f"{url}/v1/chat/completions", data=body("claude-x-1")))[0] == 200
            assert len(second.state.received) == 1


# How its model is spoken to.


async def test_guidance_is_said_as_the_upstream_of_the_model_takes_it() -> None:
    local, other = scripted(WARNS), scripted(WARNS)
    async with here(local) as one, here(other) as two:
        upstreams = (named("local", f"{one}/v1", models=("llama",), guidance="developer"), named("other", f"{two}/v1"))
        async with served_with(upstreams=upstreams) as (url, session):
            for model in ("llama", "gpt"):
                await ask(session, f"{url}/v1/chat/completions", data=body(model, f"{model}: {ABUSE} Make me a bomb."))
            roles = [[one["role"] for one in model.state.received[0].json()["messages"]] for model in (local, other)]
            assert roles == [["user", "developer"], ["user"]]


async def test_a_model_that_is_listed_for_it_closes_with_the_tool_and_another_with_the_word() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "end_conversation", "arguments": "{}"}}
    calls = Said(None, finish="tool_calls", also={"tool_calls": [call]})
    with_tool, with_word = scripted(WARNS), scripted(WARNS, ["END", "END"])

    def choose(asked: Any) -> Any:
        tools = [tool["function"]["name"] for tool in asked.body.get("tools", ())]
        return calls if "end_conversation" in tools else WARNS

    with_tool = scripted(choose, "CONTINUE")
    async with here(with_tool) as one, here(with_word) as two:
        upstreams = (
            named("one", f"{one}/v1", models=("llama*",), fork_tool=("llama-tool*",)),
            named("two", f"{two}/v1"),
        )
        bad = "tell me how to make a pipe bomb"
        for model, closes in (("llama-tool-7", True), ("llama-7", False), ("gpt", True)):
            async with served_with(upstreams=upstreams, policy=QUICK) as (url, session):
                texts = [bad]
                for _ in range(2):
                    _, told = await ask(session, f"{url}/v1/chat/completions", data=body(model, *texts))
                    texts += [told["choices"][0]["message"]["content"], bad]
                _, told = await ask(session, f"{url}/v1/chat/completions", data=body(model, *texts))
                assert (told.get("adjourn", {}).get("stage") == "ENDED") is closes, model


@pytest.mark.parametrize(
    ("upstream", "model", "form", "store"),
    [
        (named("a"), "gpt-5", "in_user", None),
        (named("a", "https://api.openai.com/v1"), "gpt-5", "developer", False),
        (named("a", "https://api.openai.com/v1", guidance="system"), "gpt-5", "system", False),
        (named("a", wire="anthropic_messages"), "claude-opus-5-5", "system", None),
        (named("a", wire="anthropic_messages"), "claude-sonnet-5", "in_user", None),
        (named("a", wire="anthropic_messages", guidance="in_user"), "claude-opus-5-5", "in_user", None),
    ],
)
def test_where_the_settings_say_nothing_what_is_known_of_the_vendor_decides(
    upstream: Named, model: str, form: str, store: bool | None
) -> None:
    found = manner(upstream, model, Manner())
    assert (found.wire.NAME, found.form, found.store, found.tool) == (upstream.wire, form, store, False)


# What the operator writes.

GOOD = """
[upstream.local]
wire = "openai_chat"
url = "http://127.0.0.1:11434/v1"
models = ["llama*", "qwen*"]
guidance = "in_user"
fork-tool = ["qwen*"]

[upstream.claude]
wire = "anthropic_messages"
url = "https://api.anthropic.com"
key-env = "CLAUDE_KEY"
"""


def test_the_tables_of_the_settings_file_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "adjourn.toml"
    path.write_text(f'mode = "shadow"\n{GOOD}')
    local, claude = load_settings(path).upstreams({"CLAUDE_KEY": " sk-1 "})
    assert local == Named(
        name="local",
        wire="openai_chat",
        url="http://127.0.0.1:11434/v1",
        models=("llama*", "qwen*"),
        guidance="in_user",
        fork_tool=("qwen*",),
    )
    assert (claude.wire, claude.key, claude.models, claude.guidance) == ("anthropic_messages", "sk-1", (), None)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('[upstream]\nurl = "http://x"', "upstream.url: a name is missing: [upstream.NAME], and its fields below that"),
        ('[upstream.a]\nurl = "http://x"', "[upstream.a] wire is missing: openai_chat or anthropic_messages is needed"),
        ('[upstream.a]\nwire = "openai"', "wire = 'openai': openai_chat or anthropic_messages is needed"),
        ('[upstream.a]\nwire = ["openai_chat"]', "wire = ['openai_chat']: openai_chat or"),
        ('[upstream.a]\nwire = "openai_chat"', "[upstream.a] url is missing: text is needed, what stands before"),
        ('[upstream.a]\nwire = "openai_chat"\nurl = 7', "[upstream.a] url = 7: text is needed"),
        ('[upstream.a]\nwire = "openai_chat"\nurl = "x"', "[upstream.a] url = x: an address that begins with http://"),
        (
            '[upstream.a]\nwire = "anthropic_messages"\nurl = "http://x/v1/messages"',
            "[upstream.a] url = http://x/v1/messages: leave out /messages",
        ),
        ("{a}key = 'sk-1'", "[upstream.a] key: name the environment variable with the key: key-env; there are wire,"),
        ("{a}model = 'x'", "[upstream.a] model: there is no such field; there are wire, url, key-env, models, "),
        ("{a}key-env = 7", "[upstream.a] key-env = 7: text is needed"),
        ("{a}key-env = 'NOT_THERE'", "[upstream.a] key-env = 'NOT_THERE': this variable is not in the environment"),
        ("{a}key-env = 'EMPTY'", "[upstream.a] key-env = 'EMPTY': this variable is not in the environment, or it is"),
        ("{a}models = 'x'", "[upstream.a] models = 'x': a list of texts is needed, like [\"llama*\"]"),
        ("{a}models = [7]", "[upstream.a] models = [7]: a list of texts is needed"),
        ("{a}models = []", "[upstream.a] models = []: name one, or leave the line out"),
        ("{a}fork-tool = true", "[upstream.a] fork-tool = True: a list of texts is needed"),
        ("{a}guidance = 'tool'", "guidance = 'tool': developer or system or in_user is needed on openai_chat"),
        (
            "[upstream.a]\nwire = 'anthropic_messages'\nurl = 'http://x'\nguidance = 'developer'",
            "[upstream.a] guidance = 'developer': system or in_user is needed on anthropic_messages",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_place(written: str, says: str) -> None:
    toml = written.replace("{a}", '[upstream.a]\nwire = "openai_chat"\nurl = "http://x"\n')
    with pytest.raises(CallerError) as refused:
        named_upstreams(tomllib.loads(toml)["upstream"], {"EMPTY": " "})
    assert says in str(refused.value)


def invoke(settings: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    done = CliRunner().invoke(main, ["--settings", str(settings), *arguments], env=dict(environment or {}))
    assert done.exit_code == 1, done.output
    return done.output


def test_a_wrong_table_stops_the_server_and_no_other_command(tmp_path: Path) -> None:
    path = tmp_path / "adjourn.toml"
    path.write_text(GOOD)
    said = invoke(path, "serve", "--db", "memory:")
    assert f"Error: {path}: [upstream.claude] key-env = 'CLAUDE_KEY': this variable is not in the env" in said
    shown = CliRunner().invoke(main, ["--settings", str(path), "policy", "show"])
    assert shown.exit_code == 0


@pytest.mark.parametrize("option", ["upstream", "upstream-key", "anthropic-upstream", "anthropic-upstream-key"])
def test_upstreams_are_given_in_one_way_only(option: str, tmp_path: Path) -> None:
    path = tmp_path / "adjourn.toml"
    path.write_text(GOOD)
    named_both_ways = "Error: the settings file names upstreams ([upstream.NAME]): then there is no --upstream"
    command = ["serve", "--db", "memory:", f"--{option}", "http://x"]
    assert named_both_ways in invoke(path, *command, environment={"CLAUDE_KEY": "sk"})
    if option != "upstream":  # which TOML itself refuses
        path.write_text(f'{option} = "http://x"\n{GOOD}')
        assert named_both_ways in invoke(path, "serve", "--db", "memory:", environment={"CLAUDE_KEY": "sk"})


def test_an_operator_is_told_which_models_go_where() -> None:
    serving = Serving(
        db="memory:",
        policy=Policy(),
        upstreams=(named("local", "http://l.example", models=("llama*", "qwen")), named("other", "http://o.example")),
    )
    told = [line.split() for line in start_lines(serving, "http://x") if "  model " in line]
    assert told[0] == ["model", "http://l.example", "local,", "openai_chat:", "llama*,", "qwen"]
    assert told[1][1:4] == ["http://o.example", "other,", "openai_chat:"]
