"""What people read: every language has it whole, and says with the same numbers and names what the policy says."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adjourn.core.machine import Ground, Mode
from adjourn.core.policy import ABUSE, FAMILIES, Policy, policy_from
from adjourn.core.receipt import sentence
from adjourn.host import words as room
from adjourn.host.country import countries, country_name, country_of
from adjourn.host.rules import changes, rules, shares
from adjourn.host.words import because, counted, languages, page_words, said, words

OTHERS = [code for code in languages() if code != "en"]


def whole(language: str) -> dict[str, str]:
    """Every text of a language's own file, by its place."""
    found: dict[str, str] = {}
    for key, text in room._file(language).items():
        found |= {f"{key}.{name}": said for name, said in text.items()} if isinstance(text, dict) else {key: text}
    return found


def holes(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


# Languages


def test_english_and_italian_are_there_and_call_themselves_by_their_names() -> None:
    assert dict(languages()) == {"en": "English", "it": "Italiano"}


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_text_and_the_same_places_to_fill_in(language: str) -> None:
    english, other = whole("en"), whole(language)
    assert english.keys() == other.keys()
    assert {key for key, text in english.items() if holes(text) != holes(other[key])} == set()
    assert not [key for key, text in other.items() if not text.strip()]


def test_no_language_says_end_where_it_asks_somebody_to_close() -> None:
    assert [key for key, text in whole("en").items() if re.search(r"\bend (it|this chat|the chat)\b", text, re.I)] == []


def test_a_language_is_added_by_adding_a_file_and_what_it_leaves_out_is_said_in_english(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = room._file
    german: Mapping[str, Any] = {"language": "Deutsch", "settings": {"title": "Einstellungen"}}
    monkeypatch.setattr(room, "_file", lambda name: german if name == "de" else file(name))
    texts = said.__wrapped__("de")
    assert (texts["settings"]["title"], texts["settings"]["save"], texts["label"]) == (
        "Einstellungen",
        "Save",
        said("en")["label"],
    )


def test_texts_for_the_model_are_no_language() -> None:
    assert "redirect" in words("guidance")
    assert "guidance" not in languages()


def test_the_pages_words_are_a_part_of_a_language() -> None:
    assert page_words("it")["closed"] == "Questa chat è chiusa."
    assert page_words()["closed"] == "This chat is closed."


# Receipts


def endings() -> Iterator[tuple[Ground, str | None]]:
    yield from ((Ground.PERSISTENT_HARM, family) for family in (*FAMILIES, ABUSE, None, "unheard_of"))
    yield Ground.USER_REQUEST, None


@pytest.mark.parametrize(("ground", "family"), list(endings()))
def test_the_receipt_says_in_english_what_it_says_on_the_wire(ground: Ground, family: str | None) -> None:
    assert because(ground, family) == sentence(ground, family)


def test_the_receipt_speaks_italian() -> None:
    assert because(Ground.PERSISTENT_HARM, "fraud", "it") == (
        "Richieste già rifiutate (frodi) sono continuate dopo un avviso."
    )
    assert because(Ground.USER_REQUEST, None, "it") == "Hai chiesto di chiudere questa chat e hai confermato."


# Rules


@pytest.mark.parametrize("language", list(languages()))
def test_the_rules_name_the_policys_numbers_and_families(language: str) -> None:
    policy = policy_from(
        {
            "redirections": 7,
            "calm": 5,
            "hold_messages": 4,
            "freeze_messages": 13,
            "idle_reset": 36,
            "families": {"fraud": False, "abuse": False},
            "thresholds": {"harmful": {"flag": 0.61}, "risk": {"faint": 0.42}},
        }
    )
    found = rules(policy, language)
    named = said(language)["families"]
    counting, not_counting, abuse = found.counts
    assert named["fraud"] in not_counting
    assert named["fraud"] not in counting
    assert all(named[family] in counting for family in FAMILIES if family != "fraud")
    assert abuse == said(language)["rules"]["abuse_not"]
    assert "7" in found.steps[0]
    assert ("5" in found.forgotten[0], "36" in found.forgotten[1]) == (True, True)
    assert all(number in found.risk[1] for number in ("4", "13"))
    assert "50 / 61 %" in found.sure[0]
    assert "42 %" in found.sure[2]
    assert not any(holes(text) for text in found.all)


def test_one_is_said_as_one() -> None:
    found = rules(policy_from({"redirections": 1, "calm": 1, "idle_reset": 1}), "en")
    assert found.steps[0].startswith("At least 1 such message,")
    assert found.forgotten[1] == "After 1 hour of silence, too."
    assert counted({"a": "{count} things"}, "a", 1) == "1 things"


def test_who_may_give_the_warning_is_said() -> None:
    host, model = policy_from({"warning": "host"}), Policy()
    assert changes(model, host, "en") == (
        [said("en")["rules"]["warning_host"]],
        [said("en")["rules"]["warning_model"]],
    )


def test_a_sign_that_holds_nothing_but_its_own_message_is_said_so() -> None:
    for held, frozen, key in [(0, 0, "faint_once"), (0, 2, "faint_only"), (1, 2, "faint")]:
        policy = policy_from({"hold_messages": held, "freeze_messages": frozen})
        assert rules(policy, "en").risk[1] == said("en")["rules"][key].format(hold=held, freeze=frozen)


def test_the_shares_of_a_rollout_never_go_further_than_the_mode() -> None:
    rollout = {"shadow": 0.5, "warn": 0.25, "enforce": 0.25}
    assert shares(policy_from({"rollout": rollout})) == {Mode.SHADOW: 0.5, Mode.WARN: 0.25, Mode.ENFORCE: 0.25}
    assert shares(policy_from({"rollout": rollout, "mode": "warn"})) == {Mode.SHADOW: 0.5, Mode.WARN: 0.5}
    assert shares(Policy()) == {Mode.ENFORCE: 1.0}


# Countries


@pytest.mark.parametrize(
    ("zone", "country"),
    [
        ("Europe/Rome", "IT"),
        ("America/New_York", "US"),
        ("Asia/Kolkata", "IN"),
        ("Asia/Calcutta", "IN"),
        ("Europe/Stockholm", "SE"),
        ("UTC", None),
        ("Iceland", None),
        ("Etc/GMT-1", None),
        ("", None),
        ("../etc/passwd", None),
    ],
)
def test_a_time_zone_leads_to_its_own_country_or_nowhere(zone: str, country: str | None) -> None:
    assert country_of(zone) == country


@pytest.mark.parametrize("language", list(languages()))
def test_every_country_of_which_something_is_known_has_a_name_and_no_other_one(language: str) -> None:
    found = dict(countries(language))
    assert found == said(language)["countries"]
    assert country_name("ZZ", language) == said(language)["lines"]["country_other"]
