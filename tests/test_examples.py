"""Every rule that brings examples fires on them, and says nothing of their twins."""

import tomllib
from collections.abc import Iterator
from importlib.resources import files

import pytest

from adjourn.core.reading import RiskKind
from adjourn.signals import Detectors, Lexical

DETECTORS = Detectors([Lexical()])
LANGUAGES = ("it", "es", "fr", "de", "pt")
TABLES = {
    name: tomllib.loads(files("adjourn.signals").joinpath("lexicon", f"{name}.toml").read_text("utf-8"))
    for name in (*(f"{about}_{language}" for about in ("risk", "closing") for language in LANGUAGES), "risk", "closing")
}


def rules() -> Iterator[tuple[str, int, dict[str, object]]]:
    for name, table in TABLES.items():
        for place, row in enumerate(table["rule"]):
            yield name, place, {**table.get("defaults", {}), **row}


def texts(key: str) -> list[object]:
    found: list[object] = []
    for name, place, rule in rules():
        given = rule.get(key, [])
        assert isinstance(given, list)
        found += [pytest.param(rule, text, id=f"{name} {place}: {text}") for text in given]
    return found


@pytest.mark.parametrize(("rule", "text"), texts("examples"))
def test_a_rule_fires_on_its_examples(rule: dict[str, str], text: str) -> None:
    reading = DETECTORS.user(text)
    assert reading.scores.get(rule["signal"], 0) >= float(rule["score"])
    if "kind" in rule and float(rule["score"]) >= max(reading.scores.values()):
        assert reading.risk_kind is RiskKind(rule["kind"])


@pytest.mark.parametrize(("rule", "text"), texts("not"))
def test_a_twin_of_an_example_has_nothing_of_the_signal(rule: dict[str, str], text: str) -> None:
    assert rule["signal"] not in DETECTORS.user(text).scores


def test_every_rule_in_another_language_has_examples_and_twins() -> None:
    lacking = [
        (name, place) for name, place, rule in rules() if "_" in name and not (rule.get("examples") and rule.get("not"))
    ]
    assert lacking == []
