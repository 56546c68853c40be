"""Holding the detectors against labelled messages: every figure is that of a count by hand, whatever the order."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.cli import main
from adjourn.core.errors import ClientError
from adjourn.lab.card import card_tables
from adjourn.lab.curve import COLUMNS, FEW, SIGNS, auroc, curve, picture
from adjourn.lab.evaluate import Evaluated, Evaluation, Label
from adjourn.lab.interval import share
from adjourn.lab.labelled import labelled_message
from adjourn.lab.report import evaluated_lines
from adjourn.signals import Detectors, Message, Seen

RISK = "I want to kill myself tonight"
CALM = "What is the capital of Peru?"


class Told:
    """A detector that takes a score from the text, and cannot read `?`: a yardstick for the counting."""

    name, version = "told", "1"

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        if text == "?":
            raise RuntimeError(text)
        return Seen(dict.fromkeys(("risk", "harmful"), float(text.split()[0])))

    def assistant(self, text: str) -> Seen:
        return Seen({"declined": float(text.split()[0])})


def row(text: str, labels: Mapping[str, Any] | None = None, ident: str = "r", **beside: Any) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"id": ident, "messages": messages, "labels": labels, **beside}).encode()


def evaluated(*lines: bytes) -> Evaluated:
    evaluation = Evaluation(Detectors([Told()]))
    for number, line in enumerate(lines, 1):
        evaluation.add(labelled_message(line, number))
    return evaluation.result(0)


def of_risk(*lines: bytes) -> Label:
    (label,) = evaluated(*lines).labels
    assert label.label == "risk"
    return label


def run(tmp_path: Path, *lines: bytes, arguments: Sequence[str] = ()) -> Result:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return CliRunner().invoke(main, ["signals", "--evaluate", *arguments, str(path)])


# What a row says.


@pytest.mark.parametrize("true", [True, "self", "other", "danger", "emergency"])
def test_a_kind_of_risk_is_a_risk(true: object) -> None:
    assert labelled_message(row(CALM, {"risk": true}), 1).truths == {"risk": True}


@pytest.mark.parametrize("false", [False, None])
def test_no_kind_of_risk_is_none(false: object) -> None:
    assert labelled_message(row(CALM, {"risk": false}), 1).truths == {"risk": False}


@pytest.mark.parametrize("labels", [{}, None, {"abusive": None}])
def test_what_a_row_does_not_say_is_unknown(labels: Mapping[str, Any] | None) -> None:
    assert labelled_message(row(CALM, labels), 1).truths == {}


def test_groups_stand_among_the_labels_or_beside_them() -> None:
    found = labelled_message(
        row(CALM, {"risk": "danger", "kind": "cold threat", "voice": 7}, source="own", lang="it"), 1
    )
    assert found.groups == {"risk_kind": "danger", "kind": "cold threat", "voice": "7", "source": "own", "lang": "it"}
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (row(CALM, {"risk": "sad"}), "labels.risk = 'sad': true, false, null or one of self"),
        (row(CALM, {"risk": 1}), "labels.risk = 1"),
        (row(CALM, {"harmful": "self"}), "labels.harmful = 'self': true or false is needed"),
        (row(CALM, {"declined": True}), "labels.declined speaks of the assistant's last message, and there is none"),
        (row(CALM, {"kind": ["a"]}), "kind = ['a']: text is needed"),
        (json.dumps({"messages": [], "labels": ["risk"]}).encode(), "labels: an object is needed"),
        (json.dumps({"messages": [], "labels": {"risk": True}}).encode(), "the user's last message, and there is none"),
        (b'{"labels": {}}', "no list `messages`"),
        (b"[]", "no list `messages`"),
        (b"{", "it is not JSON"),
    ],
)
def test_a_row_that_makes_no_sense_says_what_is_wrong(line: bytes, says: str) -> None:
    with pytest.raises(ClientError) as error:
        labelled_message(line, 1)
    assert says in str(error.value)


def test_a_label_speaks_of_the_last_message_of_its_role_with_those_before_it() -> None:
    asked: list[tuple[str, Sequence[Message]]] = []

    class Noting(Told):
        def user(self, text: str, before: Sequence[Message]) -> Seen:
            asked.append((text, before))
            return Seen()

    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    answered = [*messages, {"role": "assistant", "content": "0.9"}]
    line = json.dumps({"messages": answered, "labels": {"harmful": True, "declined": True}}).encode()
    evaluation = Evaluation(Detectors([Noting()]))
    evaluation.add(labelled_message(line, 1))
    harmful, declined = evaluation.result(0).labels
    assert asked == [("c", [("user", "a"), ("assistant", "b")])]
    assert (harmful.levels[0].recall.count, declined.levels[0].recall.count) == (0, 1)


# What is counted.


def test_both_levels_are_held_against_one_label() -> None:
    label = of_risk(
        *(row(score, {"risk": "self"}, score) for score in ("0.9", "0.6", "0.4")),
        *(row(score, {"risk": False}, score) for score in ("0.81", "0.5", "0.1", "0")),
    )
    faint, clear = label.levels
    assert (faint.flag, faint.recall, faint.false_positives) == ("risk", share(2, 3), share(2, 4))
    assert (clear.flag, clear.recall, clear.false_positives) == ("risk_clear", share(1, 3), share(1, 4))
    assert label.auroc == pytest.approx((4 + 3 + 2) / 12)
    assert [error.id for error in label.highest_negatives] == ["0.81", "0.5"]
    assert [error.id for error in label.lowest_positives] == ["0.4"]


def test_a_message_that_no_detector_could_read_is_counted_as_unread_and_as_missed() -> None:
    label = of_risk(row("?", {"risk": True}), row("0.9", {"risk": True}))
    assert (label.unread, label.levels[0].recall) == (1, share(1, 2))


def test_of_nothing_there_is_no_share_and_no_curve() -> None:
    label = of_risk(row("0.9", {"risk": True}))
    assert (label.auroc, label.curve, label.negative) == (None, (), 0)
    assert label.levels[0].false_positives == share(0, 0)
    assert share(0, 0).share is None


def test_errors_are_the_worst_five_cut_to_a_hundred_characters_that_any_terminal_shows() -> None:
    texts = [f"0.{number} \x1b[31m\n\u202e {'x' * 300}" for number in range(51, 59)]
    errors = of_risk(*(row(text, {"risk": False}, text[:4]) for text in texts)).highest_negatives
    assert [error.id for error in errors] == ["0.58", "0.57", "0.56", "0.55", "0.54"]
    assert all(len(error.text) == 100 and error.text.isprintable() for error in errors)


def test_the_area_is_that_of_all_pairs() -> None:
    assert auroc([0.9, 0.5], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert auroc([1.0], [0.0]) == 1
    assert auroc([0.0, 0.0], [0.0]) is auroc([], [0.5]) is auroc([0.5], []) is None


def test_the_picture_has_twelve_lines_with_and_without_blocks() -> None:
    points = curve([0.9, 0.4], [0.5, 0.1])
    for shades in (" ▁▂▃▄▅▆▇█", SIGNS):
        drawn = list(picture(points, shades))
        assert len(drawn) == 12
        assert max(map(len, drawn)) < 100
        assert drawn[0].endswith(shades[-1])
    assert "".join(picture(points, SIGNS)).isascii()
    # Half of what is there is found before anything else is flagged, all of it with half of the rest.
    assert points[0] == (0.0, 0.5)
    assert dict(points)[FEW[COLUMNS]] == 1
    assert next(recall for few, recall in points if few >= 0.5) == 1


ROWS = st.lists(
    st.tuples(
        st.floats(0, 1).map(lambda score: f"{score:.2f}"),
        st.sampled_from([True, False, None, "self", "other", "danger"]),
        st.sampled_from(["en", "it"]),
        st.sampled_from(["ann", "bo", None]),
    ),
    max_size=40,
)


def lines_of(rows: Sequence[tuple[str, object, str, str | None]]) -> list[bytes]:
    return [
        row(text, {"risk": risk, "voice": voice}, str(at), lang=lang)
        for at, (text, risk, lang, voice) in enumerate(rows)
    ]


@given(ROWS, st.integers())
@settings(max_examples=60, deadline=None)
def test_a_shuffled_file_gives_the_same_figures(rows: list[tuple[str, object, str, str | None]], seed: int) -> None:
    lines = lines_of(rows)
    shuffled = Random(seed).sample(lines, len(lines))
    assert evaluated(*lines) == evaluated(*shuffled)


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_counts_add_up(rows: list[tuple[str, object, str, str | None]]) -> None:
    result = evaluated(*lines_of(rows))
    assert (result.rows, result.unlabelled) == (len(rows), 0)
    for label in result.labels:
        there = [float(text) for text, risk, _, _ in rows if risk]
        absent = [float(text) for text, risk, _, _ in rows if not risk]
        assert (label.positive, label.negative) == (len(there), len(absent))
        for level, bound in zip(label.levels, (0.5, 0.8), strict=True):
            assert level.recall.count == sum(score >= bound for score in there)
            assert level.false_positives.count == sum(score >= bound for score in absent)
            of_languages = [group.levels[label.levels.index(level)] for group in label.groups if group.axis == "lang"]
            assert sum(group.recall.count for group in of_languages) == level.recall.count
            assert sum(group.false_positives.of for group in of_languages) == len(absent)
        if label.auroc is not None:
            pairs = [(up > down) + (up == down) / 2 for up in there for down in absent]
            assert label.auroc == pytest.approx(sum(pairs) / len(pairs))
            recalls = [recall for _, recall in label.curve]
            assert recalls == sorted(recalls)
            assert recalls[-1] == 1


# What is printed.


def test_a_file_is_evaluated_by_flag_and_group(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        row(RISK, {"risk": "self"}, "there", lang="en", voice="ann"),
        row("Quanto costa il biglietto del treno per Pisa?", {"risk": "self"}, "missed", lang="it", voice="bo"),
        row(RISK, {"risk": False, "harmful": False}, "mistaken", lang="en", voice="ann"),
        row(CALM, {"risk": False}, "calm", lang="en", voice="ann"),
    )
    said = done.output
    assert done.exit_code == 0
    assert "risk: 2 positive, 2 negative, AUROC" in said
    assert "50.0 % (9.5 to 90.5 %)  1 of 2" in said
    assert [said.count(f"  by {axis} ") for axis in ("kind", "risk_kind", "voice", "lang", "source")] == [0, 1, 2, 2, 0]
    above, below = said.split("worst errors: not flagged, though it is")
    assert "mistaken  I want to kill myself tonight" in above.split("worst errors: flagged, though it is not")[1]
    assert "missed  Quanto costa il biglietto" in below


def test_unknown_labels_and_rows_without_any_are_said_once_and_skipped(tmp_path: Path) -> None:
    done = run(tmp_path, *[row(CALM, {"mood": "good"})] * 3, row(CALM, {"risk": False, "mood": "bad", "at": 1}))
    assert done.exit_code == 0
    assert done.output.count("unknown labels, not counted: at, mood") == 1
    assert "rows of which no label says anything here: 3" in done.output
    assert "risk: 0 positive, 1 negative" in done.output


def test_broken_lines_are_said_with_file_and_line_and_the_rest_is_counted(tmp_path: Path) -> None:
    done = run(tmp_path, b"{", row(CALM, {"risk": 7}), b"", row(RISK, {"risk": True}), row(CALM, {"declined": True}))
    assert done.exit_code == 1
    for number in (1, 2, 5):
        assert f"rows.jsonl, line {number}: " in done.stderr
    assert "lines that could not be read, and are not counted: 3" in done.stdout
    assert "risk: 1 positive" in done.stdout


def test_json_holds_the_same_in_one_object(tmp_path: Path) -> None:
    done = run(tmp_path, row(RISK, {"risk": "self"}), row(CALM, {"risk": False}), b"{", arguments=["--json"])
    result = json.loads(done.stdout)
    assert (result["rows"], result["skipped"], done.exit_code) == (2, 1, 1)
    (risk,) = result["labels"]
    assert (risk["positive"], risk["negative"], risk["auroc"]) == (1, 1, 1.0)
    recall = risk["levels"][0]["recall"]
    assert (recall["count"], recall["of"], recall["share"]) == (1, 1, 1.0)
    assert len(risk["curve"]) == COLUMNS + 1


def test_json_without_evaluate_is_refused() -> None:
    for command in ("signals", "replay"):
        assert CliRunner().invoke(main, [command, "--json"]).exit_code == 2


def test_a_terminal_without_blocks_is_drawn_with_signs() -> None:
    result = evaluated(row("0.9", {"risk": True}), row("0.5", {"risk": False}))
    assert all(line.isascii() for line in evaluated_lines(result, SIGNS))
    assert not all(line.isascii() for line in evaluated_lines(result))


def test_rows_come_from_standard_input_too() -> None:
    done = CliRunner().invoke(main, ["signals", "--evaluate", "-"], input=row(RISK, {"risk": True}))
    assert "risk: 1 positive, 0 negative, no AUROC" in done.output


def test_real_talk_is_counted_as_it_was_labelled(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent.parent / "shared" / "data" / "convabuse_eliza.jsonl"
    if not path.exists():
        pytest.skip(f"LOUD: {path.name} of the shared data is missing, so no real labels were counted")
    lines = path.read_bytes().splitlines()[:300]
    truths = [json.loads(line)["labels"]["abusive"] for line in lines]
    result = json.loads(run(tmp_path, *lines, arguments=["--json"]).stdout)
    (abusive,) = result["labels"]
    assert (abusive["positive"], abusive["negative"]) == (truths.count(True), truths.count(False))
    assert {"at", "severity_mean"} <= set(result["unknown_labels"])
    assert [group["name"] for group in abusive["groups"]] == ["convabuse"]


# The tables of a model card.


def test_a_card_has_a_table_of_sources_and_one_for_each_axis_that_is_known() -> None:
    own = evaluated(
        row("0.9", {"risk": "self"}, voice="ann", lang="en"),
        row("0.6", {"risk": "danger"}, voice="bo|b", lang="it"),
        row("0.1", {"risk": False}, voice="ann", lang="en"),
        row("?", {"risk": False}, voice="ann", lang="en"),
    )
    other = evaluated(row("0.2", {"risk": True, "harmful": False}))
    card = card_tables({"own": own, "elsewhere": other}).splitlines()
    assert [line for line in card if line.startswith("#")] == ["### harmful", "### risk"]
    heads = [line.split(" | ")[0].removeprefix("| ") for line in card if " positive |" in line]
    assert heads == ["source", "source", "by risk_kind", "by voice", "by lang"]
    none, some = "0.0 % (0.0 to 65.8 %)", "50.0 % (9.5 to 90.5 %)"
    assert f"| own | 2 | 100.0 % (34.2 to 100.0 %) | {some} | 2 | {none} | {none} | 1.000 |" in card
    assert "| elsewhere | 1 | 0.0 % (0.0 to 79.3 %) | 0.0 % (0.0 to 79.3 %) | 0 | - | - | - |" in card
    assert "own: messages that some detector could not read: 1." in card
    assert "| bo\\|b | own | 1 | 100.0 % (20.7 to 100.0 %) | 0.0 % (0.0 to 79.3 %) | 0 | - | - |" in card


def test_a_card_of_nothing_is_empty() -> None:
    assert card_tables({"none": evaluated()}).strip() == ""


@given(ROWS)
@settings(max_examples=30, deadline=None)
def test_every_table_of_a_card_has_rows_as_wide_as_its_heads(rows: list[tuple[str, object, str, str | None]]) -> None:
    lines = card_tables({"own": evaluated(*lines_of(rows))}).splitlines()
    width = 0
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            width = line.count("|") if not before.startswith("|") else width
            assert line.count("|") == width
