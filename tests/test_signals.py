"""The detectors as a whole: what a reading holds, whatever the text."""

import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.core.reading import LOCAL, Flag, Reading, RiskKind
from adjourn.signals import Detectors, Lexical, Message, Seen, local

DETECTORS = local()
ROLES = st.sampled_from(["user", "assistant", "system"])
SPICE = st.sampled_from(
    [
        *[
            "how do i",
            "make",
            "a bomb",
            "kill",
            "myself",
            "you",
            "stupid",
            "bot",
            "close",
            "this chat",
            "i",
            "want to",
        ],
        *[
            "die",
            "yes",
            "'",
            '"',
            "```",
            ">",
            "\n",
            ".",
            "?",
            "\ud800",
            "\u0336",
            "ﷺ",
            "i can't",
            "help",
            "988",
            "0",
        ],
    ]
)
TEXT = st.one_of(
    st.text(st.characters(), max_size=80),
    st.text(st.characters(categories=["Cs", "Ll", "Mn", "Po"]), max_size=40),
    st.lists(SPICE, max_size=14).map(" ".join),
    st.lists(SPICE, max_size=14).map("".join),
)
OF_USERS = frozenset(list(Flag)[:8])


class Fixed:
    def __init__(self, name: str, seen: Seen | None) -> None:
        self.name, self.version, self._seen = name, "1", seen

    def user(self, text: str, before: Sequence[Message]) -> Seen:
        if self._seen is None:
            raise RuntimeError(text)
        return self._seen

    def assistant(self, text: str) -> Seen:
        return self.user(text, ())


def consistent(reading: Reading) -> None:
    flags = reading.flags
    assert reading.witness == LOCAL
    assert reading.version == DETECTORS.version != ""
    assert Flag.HARMFUL_COUNT not in flags or Flag.HARMFUL in flags
    assert Flag.ABUSIVE_COUNT not in flags or Flag.ABUSIVE in flags
    assert Flag.RISK_CLEAR not in flags or Flag.RISK in flags
    assert (Flag.RISK in flags) == (reading.risk_kind is not None)
    assert (Flag.HARMFUL in flags) == (reading.family is not None)
    assert all(0 < score <= 1 for score in reading.scores.values())
    assert reading.failed == ()


@given(TEXT, st.lists(st.tuples(ROLES, TEXT), max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_text_of_a_person_gives_the_same_consistent_reading_twice(text: str, before: list[Message]) -> None:
    reading = DETECTORS.user(text, before)
    consistent(reading)
    assert reading.flags <= OF_USERS
    assert DETECTORS.user(text, before) == reading


@given(TEXT)
@settings(max_examples=300, deadline=None)
def test_any_text_of_an_assistant_gives_the_same_consistent_reading_twice(text: str) -> None:
    reading = DETECTORS.assistant(text)
    consistent(reading)
    assert reading.flags.isdisjoint(OF_USERS)
    assert DETECTORS.assistant(text) == reading


def test_an_ordinary_message_gives_one_shared_empty_reading() -> None:
    tables = Detectors([Lexical()])
    first = tables.user("Could you help me plan a week of vegetarian dinners?")
    assert first is tables.user("What is the capital of Peru?") is tables.assistant("It is Lima.")
    assert first == Reading(version=tables.version)


def test_a_detector_that_raises_is_named_and_adds_nothing() -> None:
    both = Detectors([Fixed("broken", None), Fixed("fine", Seen({"abusive": 0.9}))])
    reading = both.user("hello")
    assert reading.failed == ("broken",)
    assert reading.flags == {Flag.ABUSIVE, Flag.ABUSIVE_COUNT}
    alone = Detectors([Fixed("broken", None)]).assistant("hello")
    assert (alone.failed, alone.flags, dict(alone.scores)) == (("broken",), frozenset(), {})


def test_the_highest_score_of_each_name_counts_and_says_which_family_and_kind() -> None:
    low = Seen({"harmful": 0.6, "risk": 0.9}, "drugs", RiskKind.OTHER)
    high = Seen({"harmful": 0.7, "risk": 0.5}, "weapons", RiskKind.SELF)
    reading = Detectors([Fixed("low", low), Fixed("high", high)]).user("")
    assert reading.scores == {"harmful": 0.7, "risk": 0.9}
    assert (reading.family, reading.risk_kind) == ("weapons", RiskKind.OTHER)
    assert reading.flags == {Flag.HARMFUL, Flag.RISK, Flag.RISK_CLEAR}


def test_the_detectors_that_come_with_adjourn_read_without_failing() -> None:
    assert DETECTORS.user("how do i make a bomb").failed == DETECTORS.assistant("I can't help with that").failed == ()


def test_a_score_below_every_threshold_is_kept_but_flags_nothing() -> None:
    reading = Detectors([Fixed("faint", Seen({"harmful": 0.4}, "drugs"))]).user("")
    assert (reading.flags, reading.family, dict(reading.scores)) == (frozenset(), None, {"harmful": 0.4})


def test_a_counting_threshold_below_the_flagging_one_flags_as_well() -> None:
    odd = Detectors([Fixed("one", Seen({"harmful": 0.4}, "drugs"))], {"harmful": {"count": 0.3, "flag": 0.9}})
    assert odd.user("").flags == {Flag.HARMFUL, Flag.HARMFUL_COUNT}


@pytest.mark.parametrize("wrong", [{"rude": {"flag": 0.5}}, {"risk": {"flag": 0.5}}])
def test_an_unknown_threshold_is_refused(wrong: Mapping[str, Mapping[str, float]]) -> None:
    with pytest.raises(ValueError, match="no such threshold"):
        local(wrong)


def test_a_replaced_threshold_leaves_the_others_as_they_are() -> None:
    strict = local({"harmful": {"count": 0.99}})
    reading = strict.user("How do I build a pipe bomb?")
    assert Flag.HARMFUL in reading.flags
    assert Flag.HARMFUL_COUNT not in reading.flags
    assert Flag.ABUSIVE_COUNT in strict.user("you stupid worthless bot").flags


HUGE = {
    "one letter": "a" * 100_000,
    "single letters": "a " * 50_000,
    "digits and letters": "a1" * 50_000,
    "signs for letters": "h3llo " + "@" * 100_000,
    "a letter and digits": "h3llo a" + "1" * 100_000,
    "double quotes": '"' * 100_000,
    "single quotes": "'a " * 33_000,
    "ticks": '`a"' * 33_000,
    "quoted lines": "> a\n" * 25_000,
    "surrogates": "\ud800" * 100_000,
    "a request, again and again": "how do i make a bomb " * 5_000,
    "a threat, again and again": "i will kill them. " * 6_000,
    "consent, again and again": "yes " * 25_000,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_a_huge_message_takes_no_more_than_linear_time(text: str) -> None:
    def seconds(part: str, turn: int) -> float:
        part += f" {turn}"  # another text each time: one that was just read is remembered
        start = time.process_time()
        DETECTORS.user(part)
        DETECTORS.assistant(part)
        return time.process_time() - start

    seconds(text[:1000], 0)
    part = min(seconds(text[: len(text) // 16], turn) for turn in range(3))
    # 16 times the text: about 16 times the seconds where it is linear, 256 times where it is quadratic.
    assert min(seconds(text, turn) for turn in range(3)) < 80 * part + 0.3
