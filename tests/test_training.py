"""The rows that the detectors learn from: many voices, each row once, every label by a rule."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from adjourn.core.policy import FAMILIES
from adjourn.core.reading import RiskKind
from adjourn.lab.labelled import labelled_conversation, labelled_message
from adjourn.lab.outcomes import KINDS as KINDS_OF_CONVERSATIONS
from adjourn.signals.detector import OF_ASSISTANTS, OF_USERS
from adjourn.signals.encoder import encoder
from adjourn.signals.heads import Heads
from training.agreement import agreement
from training.rows import HELD, HERE, MissingData, Row, ours, public
from training.train import train

MOST_OF_A_VOICE = 300
ALIKE = 0.6
ROWS, TESTS = list(ours()), list(ours(HELD))
KINDS = tomllib.loads((HERE / "kinds.toml").read_text(encoding="utf-8"))


def words(row: Row) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", " ".join(text for _, text in row.messages).lower()))


def alike(rows: list[Row]) -> list[tuple[str, str]]:
    """Give the pairs whose words are nearly the same: the index of Jaccard is at least ALIKE."""
    found, by_word = [], dict[str, list[int]]()
    bags = [words(row) for row in rows]
    count = Counter(word for bag in bags for word in bag)
    for place, bag in enumerate(bags):
        # Two bags so much alike share one of the rarest words of each (prefix filtering).
        prefix = sorted(bag, key=lambda word: (count[word], word))[: len(bag) - int(np.ceil(ALIKE * len(bag))) + 1]
        near = {one for word in prefix for one in by_word.get(word, ())}
        same = sorted(one for one in near if len(bag & bags[one]) >= ALIKE * len(bag | bags[one]))
        found += [(rows[one].id, rows[place].id) for one in same]
        for word in prefix:
            by_word.setdefault(word, []).append(place)
    return found


def test_no_two_rows_have_nearly_the_same_words() -> None:
    # What the demo assistant says is there as it says it: its greeting in three places.
    assert alike([row for row in ROWS + TESTS if row.voice != "demo"]) == []


def test_two_rows_with_nearly_the_same_words_would_be_found() -> None:
    row = ROWS[0]
    twin = Row(id="twin", voice="x", kind=row.kind, lang=row.lang, messages=row.messages)
    assert alike([*ROWS[:50], twin]) == [(row.id, "twin")]


def test_no_voice_has_more_rows_than_one_may_have() -> None:
    assert max(Counter(row.voice for row in ROWS).values()) <= MOST_OF_A_VOICE


def test_every_row_has_an_id_of_its_own() -> None:
    assert len({row.id for row in ROWS + TESTS}) == len(ROWS) + len(TESTS)


def test_a_kind_says_what_its_rows_are_and_a_row_never_says_the_opposite() -> None:
    for row in ROWS + TESTS:
        kind = KINDS.get(row.kind) or KINDS[row.kind.split(".")[0]]
        for name, value in row.labels.items():
            if name != "family":
                assert name in kind.get("yes" if value else "no", ()), f"{row.id}: {name} is {value}"


def test_labels_are_those_that_detectors_know() -> None:
    for row in ROWS + TESTS:
        assert row.labels.keys() <= {*OF_USERS, *OF_ASSISTANTS, "family"}, row.id
        assert row.labels.get("risk") in (None, False, *RiskKind), row.id
        assert row.labels.get("family") in (None, *FAMILIES), row.id


@pytest.mark.parametrize("path", sorted(HELD.glob("*.jsonl")), ids=lambda path: path.stem)
def test_rows_for_tests_can_be_evaluated(path: Path) -> None:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        assert not labelled_message(line, number).unknown


def test_conversations_for_tests_can_be_evaluated() -> None:
    for path in (HELD / "conversations").glob("*.jsonl"):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            assert labelled_conversation(line, number).groups["kind"] in KINDS_OF_CONVERSATIONS, f"{path.name} {number}"


def test_a_third_of_the_rows_of_risk_is_in_five_other_languages() -> None:
    risk = [row for row in ROWS if row.labels.get("risk")]
    others = {row.lang for row in risk} - {"en"}
    assert others >= {"it", "es", "fr", "de", "pt"}
    assert sum(row.lang != "en" for row in risk) >= len(risk) / 3


def test_the_second_labelling_agrees_as_the_readme_says() -> None:
    second = [json.loads(line) for line in (HERE / "second.jsonl").read_text(encoding="utf-8").splitlines()]
    found = list(agreement({row.id: row for row in ROWS}, {one["id"]: frozenset(one["labels"]) for one in second}))
    assert {name for name, *_ in found} == {*OF_USERS, *OF_ASSISTANTS}
    assert min(share for _, _, share, _ in found) >= 0.97
    assert min(kappa for *_, kappa in found) >= 0.9


def test_agreement_by_chance_is_no_agreement() -> None:
    rows = [
        Row(id=str(n), voice="v", kind="calm", lang="en", messages=[("user", "x")], labels={"risk": n % 2 == 0})
        for n in range(4)
    ]
    second = {"0": frozenset({"risk"}), "1": frozenset({"risk"}), "2": frozenset[str](), "3": frozenset[str]()}
    assert list(agreement({row.id: row for row in rows}, second)) == [("risk", 4, 0.5, 0.0)]


def test_public_files_that_are_missing_or_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "prism.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(MissingData) as raised:
        list(public(tmp_path))
    assert "prism.jsonl: is not the file that was learned from" in str(raised.value)
    assert "catqa.jsonl: is missing" in str(raised.value)


def test_the_same_rows_make_the_same_weights_byte_for_byte(tmp_path: Path) -> None:
    model = encoder()
    assert model is not None
    few = ROWS[::12]
    for name in ("one", "other"):
        heads, _ = train(few, model)
        heads.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    assert Heads.read(tmp_path / "one.npz").of.keys() == {*OF_USERS, *OF_ASSISTANTS}
