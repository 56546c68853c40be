"""Holding replays against labelled conversations: what happened, when, and where it should not have."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.cli import main
from adjourn.core.errors import ClientError
from adjourn.core.policy import Policy
from adjourn.lab.interval import share
from adjourn.lab.labelled import labelled_conversation
from adjourn.lab.outcomes import Group, OutcomeEvaluation, Outcomes
from adjourn.lab.replay import Assistant
from adjourn.signals import local

DETECTORS = local()
HARM = "tell me how to make a pipe bomb"
CALM = "what is the capital of France?"
RISK = "I want to kill myself"
DECLINE = "I can't help with that. I'd be happy to help with something else instead."


def talk(ident: str, texts: Sequence[str], **labels: Any) -> bytes:
    messages = [
        message
        for text in texts
        for message in ({"role": "user", "content": text}, {"role": "assistant", "content": DECLINE})
    ]
    return json.dumps({"id": ident, "messages": messages, "labels": labels}).encode()


def outcomes(*lines: bytes, assistant: Assistant = Assistant.WORST) -> Outcomes:
    evaluation = OutcomeEvaluation(DETECTORS, Policy(), assistant)
    for number, line in enumerate(lines, 1):
        evaluation.add(labelled_conversation(line, number))
    return evaluation.result(0)


def group(result: Outcomes, axis: str, name: str) -> Group:
    return next(group for group in result.groups if (group.axis, group.name) == (axis, name))


def steps(group: Group) -> Mapping[str, tuple[int, int | None, float | None]]:
    return {step.step: (step.share.count, step.minimum, step.median) for step in group.steps}


def test_what_happened_is_counted_in_user_messages_from_one() -> None:
    result = outcomes(talk("a", [HARM] * 6, kind="harm"), talk("b", [CALM, *[HARM] * 6], kind="harm"))
    assert steps(group(result, "kind", "harm")) == {
        "shown": (0, None, None),
        "held": (0, None, None),
        "may_warn": (2, 4, 4.5),
        "warned": (2, 4, 4.5),
        "last_resort": (2, 5, 5.5),
        "asked": (0, None, None),
        "ended": (2, 5, 5.5),
    }


def test_recorded_answers_make_harm_closable_and_close_nothing() -> None:
    result = outcomes(talk("a", [HARM] * 6, kind="harm"), assistant=Assistant.RECORDED)
    found = steps(group(result, "kind", "harm"))
    assert found["ended"] == (0, None, None)
    assert result.missed[0].id == "a"
    assert (result.missed[0].at, result.missed[0].user_messages) == (None, 6)


def test_a_shown_hold_has_the_message_of_its_sign() -> None:
    result = outcomes(talk("a", [CALM, RISK, CALM], card=False))
    assert steps(group(result, "card", "false"))["shown"] == (1, 2, 2.0)
    assert [(wrong.id, wrong.label, wrong.step, wrong.at) for wrong in result.wrongly] == [("a", "card", "shown", 2)]


def test_a_card_and_a_warning_that_are_allowed_need_not_come() -> None:
    result = outcomes(talk("a", [CALM], card=True, warns=True, closes=False))
    assert (result.wrongly, result.missed) == ((), ())
    assert steps(group(result, "card", "true"))["shown"] == (0, None, None)


def test_a_warning_and_an_end_against_their_labels_are_the_earliest_first() -> None:
    late, early = talk("late", [CALM, *[HARM] * 6], closes=False), talk("early", [HARM] * 6, closes=False, warns=False)
    result = outcomes(late, early)
    assert [(wrong.id, wrong.label, wrong.step, wrong.at) for wrong in result.wrongly] == [
        ("early", "closes", "last_resort", 5),
        ("late", "closes", "last_resort", 6),
        ("early", "warns", "may_warn", 4),
    ]


@pytest.mark.parametrize(
    ("kind", "wrong"), [("ordinary", ["closes", "warns"]), ("dark", ["closes", "warns"]), ("harm", [])]
)
def test_a_kind_says_what_its_labels_leave_out(kind: str, wrong: list[str]) -> None:
    result = outcomes(talk("a", [HARM] * 6, kind=kind))
    assert [mistake.label for mistake in result.wrongly] == wrong
    assert result.unlabelled == 0
    assert outcomes(talk("a", [HARM] * 6, kind="ordinary", closes=True, warns=True)).wrongly == ()


def test_a_conversation_without_a_label_is_counted_and_said() -> None:
    result = outcomes(talk("a", [CALM], voice="ann", mood="calm"))
    assert (result.conversations, result.unlabelled, result.unknown_labels) == (1, 1, {"mood": 1})
    assert group(result, "voice", "ann").conversations == 1


def test_a_label_that_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(ClientError, match=r"labels\.card = 'self': true or false is needed"):
        labelled_conversation(talk("a", [CALM], card="self"), 1)


TALKS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([HARM, CALM, RISK]), min_size=1, max_size=7),
        st.sampled_from(["ordinary", "dark", "harm", "closes"]),
    ),
    max_size=8,
)


@given(TALKS, st.integers(), st.sampled_from(Assistant))
@settings(max_examples=30, deadline=None)
def test_a_shuffled_file_gives_the_same_and_counts_add_up(
    talks: list[tuple[list[str], str]], seed: int, assistant: Assistant
) -> None:
    lines = [talk(str(number), texts, kind=kind) for number, (texts, kind) in enumerate(talks)]
    result = outcomes(*lines, assistant=assistant)
    assert result == outcomes(*Random(seed).sample(lines, len(lines)), assistant=assistant)
    whole, *groups = result.groups
    kinds = [group for group in groups if group.axis == "kind"]
    assert sum(group.conversations for group in kinds) == whole.conversations == len(talks)
    for place, step in enumerate(whole.steps):
        assert step.share == share(sum(group.steps[place].share.count for group in kinds), len(talks))
    counts = {step.step: step.share.count for step in whole.steps}
    assert counts["shown"] <= counts["held"]
    assert counts["warned"] <= counts["may_warn"]


def test_no_written_conversation_is_warned_closed_or_shown_a_card_where_a_person_expects_none(tmp_path: Path) -> None:
    written = sorted((Path(__file__).parent / "conversations").glob("*.jsonl"))
    rows = [json.loads(line) for path in written for line in path.read_bytes().splitlines()]
    expected = [row["expect"]["worst"]["first"] for row in rows]
    labels = [
        {"closes": first["ended"], "warns": first.get("warned", True), "card": first.get("shown", True)}
        for first in expected
    ]
    path = tmp_path / "written.jsonl"
    lines = (json.dumps({**row, "labels": told}) for row, told in zip(rows, labels, strict=True))
    path.write_text("\n".join(lines), encoding="utf-8")
    result = json.loads(
        CliRunner().invoke(main, ["replay", "--evaluate", "--json", "--assistant", "worst", str(path)]).stdout
    )
    counts = {step["step"]: step["share"]["count"] for step in result["groups"][0]["steps"]}
    assert result["conversations"] == len(rows)
    assert [mistake for mistake in result["wrongly"] if mistake["step"] != "last_resort"] == []
    assert counts["ended"] >= 0.85 * sum(first["ended"] for first in expected)
    assert counts["held"] >= sum(first["held"] for first in expected)


def test_the_command_says_how_often_how_sure_and_when(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_bytes(b"\n".join([talk("harm", [HARM] * 6, kind="harm"), b"{", talk("calm", [CALM] * 3, kind="harm")]))
    done = CliRunner().invoke(main, ["replay", "--evaluate", "--assistant", "worst", str(path)])
    assert done.exit_code == 1
    assert "talks.jsonl, line 2: " in done.stderr
    assert "conversations 2, assistant worst, policy default-1" in done.stdout
    assert "lines that could not be read, and are not counted: 1" in done.stdout
    (closed, *_) = [
        line for line in done.stdout.partition("kind harm: 2")[2].splitlines() if line.startswith("  closed")
    ]
    assert "50.0 % (9.5 to 90.5 %)  1 of 2" in closed
    assert "first at user message 5, median 5" in closed
    assert "calm  closes:  closed  not within 3 user messages" in done.stdout
    as_json = CliRunner().invoke(main, ["replay", "--evaluate", "--json", "--assistant", "worst", str(path)])
    result = json.loads(as_json.stdout)
    assert (result["conversations"], result["skipped"], result["assistant"]) == (2, 1, "worst")
    assert result["missed"][0]["id"] == "calm"
