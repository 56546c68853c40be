"""Witnesses elsewhere in the settings file, their budget, and what the doctor says of them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from adjourn.cli.server import start_lines
from adjourn.core.errors import CallerError
from adjourn.core.policy import Policy
from adjourn.core.reading import Matter
from adjourn.settings import load_settings
from adjourn.signals.remote.heard import Came
from adjourn.upstream.client import Upstream
from adjourn.upstream.witnesses import JUDGE, NamedWitness, RemoteWitness, named_witnesses
from adjourn.web.doctor import Finding, State
from adjourn.web.doctor.witnesses import witnesses
from adjourn.web.serve import Serving
from tests.gateway.rig import here
from tests.gateway.test_witnesses import AGREES, Elsewhere
from tests.models import scripted

WHOLE = """
[[witness]]
name = "openai"
kind = "moderation"
url = "https://api.example.com/v1"
key-env = "THEIR_KEY"
timeout = 3
budget = 1000
sample = 0.5

[[witness]]
name = "second"
kind = "judge"
url = "http://127.0.0.1:11434/v1"
model = "some-model"
"""


def test_witnesses_are_tables_of_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "adjourn.toml"
    file.write_text(WHOLE + "[upstream.x]\n", encoding="utf-8")
    one, two = load_settings(file).witnesses({"THEIR_KEY": " sk-1 "})
    assert (one.key, one.timeout, one.budget, one.sample, one.model) == ("sk-1", 3.0, 1000, 0.5, "")
    assert (two.kind, two.model, two.key, two.budget) == (JUDGE, "some-model", None, None)
    assert load_settings(file).upstreams is not None
    lines = list(start_lines(Serving(db="memory:", policy=Policy(), witnesses=[one, two]), "http://x"))
    assert sum("what people write is sent there" in line for line in lines) == 2


def test_without_any_nobody_elsewhere_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "adjourn.toml"
    file.write_text("port = 8080\n", encoding="utf-8")
    assert load_settings(file).witnesses({}) == ()


GOOD: dict[str, Any] = {"name": "w", "kind": "llama_guard", "url": "http://x/v1", "model": "m"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"kind": "oracle"}, "kind = 'oracle': moderation, llama_guard"),
        ({"url": "x"}, "url = 'x': an address"),
        ({"url": None}, "url is missing"),
        ({"name": ""}, "name = ''"),
        ({"name": "local"}, "what the detectors of this machine are called"),
        ({"model": None}, "model is missing"),
        ({"key": "sk-1"}, "key-env"),
        ({"colour": "red"}, "there is no such field"),
        ({"key-env": "NOBODY"}, "this variable is not in the environment"),
        ({"timeout": 0}, "timeout = 0"),
        ({"timeout": True}, "timeout = True"),
        ({"budget": -1}, "budget = -1"),
        ({"budget": 1.5}, "budget = 1.5"),
        ({"sample": 1.1}, "at most 1"),
        ({"kind": JUDGE, "sample": 0.5}, "a judge is asked whenever"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_what_and_where(table: dict[str, Any], says: str) -> None:
    written = {name: value for name, value in {**GOOD, **table}.items() if value is not None}
    with pytest.raises(CallerError, match=r"^\[\[witness\]\] 1 ") as refused:
        named_witnesses([written], {})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"x": 1}, "a list of tables"),
        ([1], "a list of tables"),
        ([GOOD, GOOD], "two are called 'w'"),
        ([{**GOOD, "kind": JUDGE}, {**GOOD, "kind": JUDGE, "name": "v"}], "one judge only"),
    ],
)
def test_witnesses_that_do_not_go_together_are_refused(tables: Any, says: str) -> None:
    with pytest.raises(CallerError, match=says):
        named_witnesses(tables, {})


def test_the_page_on_witnesses_shows_settings_that_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "witnesses.md").read_text(encoding="utf-8")
    example = tomllib.loads(page.split("```toml")[1].split("```")[0])
    found = named_witnesses(example["witness"], {"OPENAI_API_KEY": "sk-1"})
    assert {one.kind for one in found} >= {"moderation", "llama_guard", JUDGE}


async def test_a_budget_is_of_requests_and_begins_anew_each_day() -> None:
    elsewhere = Elsewhere()
    today = [100.0]
    async with here(elsewhere.app()) as url:
        named = NamedWitness(name="w", kind="moderation", url=f"{url}/v1", budget=2)
        witness = RemoteWitness(named, Upstream(named.url), now=lambda: today[0])
        came = [(await witness.read("x", ())).came for _ in range(3)]
        today[0] += 86_400
        came.append((await witness.read("x", ())).came)
        await witness.close()
    assert came == [Came.SILENT, Came.SILENT, Came.BUDGET, Came.SILENT]


async def test_the_key_of_a_witness_goes_to_it_and_a_message_is_asked_about_as_its_kind_wants() -> None:
    model = scripted("unsafe\nS11")
    async with here(model) as url:
        witness = NamedWitness(name="w", kind="llama_guard", url=f"{url}/v1", model="m", key="sk-w").open()
        heard = await witness.read("x", [("user", "before"), ("assistant", "No.")])
        assert heard.reading is not None
        assert (heard.came, heard.reading.risk_kind) == (Came.SPOKE, "self")
        await witness.close()
    (asked,) = model.state.received
    assert asked.header("authorization") == "Bearer sk-w"
    assert [one["content"] for one in json.loads(asked.body)["messages"]] == ["before", "No.", "x"]


async def test_shieldgemma_is_asked_once_for_each_guideline_within_one_time_and_its_budget() -> None:
    model = scripted(["Yes", "No", "No", "No", "Perhaps", "No"])
    async with here(model) as url:
        witness = NamedWitness(name="w", kind="shieldgemma", url=f"{url}/v1", model="m", budget=7).open()
        assert [(await witness.read("x", ())).came for _ in range(3)] == [Came.SPOKE, Came.UNREAD, Came.BUDGET]
        await witness.close()
    assert len(model.state.received) == 6


# The doctor.


async def found(app: Starlette, kind: str, **more: Any) -> Finding:
    async with here(app) as url:
        named = NamedWitness(name="w", kind=kind, url=f"{url}/v1", model="m", **more)
        (finding,) = [one async for one in witnesses(Serving(db="memory:", policy=Policy(), witnesses=[named]))]
    assert finding.about == "witness w"
    return finding


@pytest.mark.parametrize(
    ("elsewhere", "kind", "more", "state", "says"),
    [
        (Elsewhere(), "moderation", {"budget": 1}, State.GOOD, "answers"),
        (Elsewhere(flagged=["hate"]), "moderation", {}, State.DOUBT, "nothing is wrong"),
        (Elsewhere(fails=True), "moderation", {}, State.BAD, "so no chat is ever closed"),
        (Elsewhere(), "moderation", {"budget": 0}, State.BAD, "never asked: so it says nothing"),
        (Elsewhere(), JUDGE, {}, State.GOOD, "answers"),
        (Elsewhere(says={Matter.PERSISTENT_HARM: {"answer": "unsure"}}), JUDGE, {}, State.DOUBT, "JSON schema"),
        (Elsewhere(says=AGREES), JUDGE, {}, State.DOUBT, "would close a chat"),
        (Elsewhere(fails=True), JUDGE, {}, State.BAD, "so no chat is ever closed"),
    ],
)
async def test_the_doctor_says_whether_a_witness_answers(
    elsewhere: Elsewhere, kind: str, more: dict[str, Any], state: State, says: str
) -> None:
    finding = await found(elsewhere.app(), kind, **more)
    assert finding.state is state
    assert says in finding.says


async def test_the_doctor_says_when_a_witness_is_of_another_kind() -> None:
    finding = await found(scripted("I'm glad to help!"), "granite_guardian")
    assert (finding.state, "none of this kind" in finding.says) == (State.BAD, True)
