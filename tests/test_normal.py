"""Disguises are undone before anything is looked for, and what is no disguise stays what it is; all in linear time."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.core.reading import Flag
from adjourn.signals import Detectors, Lexical
from adjourn.signals.normal import WINDOW, bare, folded, windows

DETECTORS = Detectors([Lexical()])

DISGUISED = {
    "capitals": "I WANT TO KILL MYSELF",
    "accents": "ì wánt tö kíll mysêlf",
    "leet": "i want to k1ll mys3lf",
    "zero width": "i want to ki\u200bll my\u200dself",
    "full width": "ｉ ｗａｎｔ ｔｏ ｋｉｌｌ ｍｙｓｅｌｆ",
    "bold": "𝐢 𝐰𝐚𝐧𝐭 𝐭𝐨 𝐤𝐢𝐥𝐥 𝐦𝐲𝐬𝐞𝐥𝐟",
    "small capitals": "i want to ᴋɪʟʟ myself",
    "combining strokes": "i want to k\u0336i\u0336l\u0336l\u0336 myself",
    "spaced": "i want to k i l l m y s e l f",
    "spaced, words apart": "k i l l  m y s e l f",
    "dotted": "i want to k.i.l.l m.y.s.e.l.f",
    "repeated": "i want to kiiiillll myseeeelf",
    "a lone surrogate": "i want to kill\ud83d myself",
    "right-to-left marks": "i want to \u202ekill\u202c my\u200fself",
    "Cyrillic": "i want to kіll mуsеlf",
    "Greek": "i want to kιll mysεlf",
    "emoji between": "i want to kill🙂myself",
}
TWINS = {
    "capitals": "I WANT TO KILL THE PROCESS",
    "accents": "le café est fermé, je veux un thé",
    "leet": "k1ll is the name of bus line 13, i want to take it",
    "zero width": "i want to\u200b skill\u200d up",
    "spaced": "a s a p please",
    "spaced letters of an alphabet": "a b c d e f g",
    "dotted": "u.s.a. and e.u.",
    "repeated": "sooooo gooood",
    "a lone surrogate": "good morning \ud83d",
    "right-to-left marks": "\u202bشكرا جزيلا\u202c",
    "Cyrillic": "сегодня хорошая погода",
    "Greek": "καλημέρα, τι κάνεις;",
    "emoji": "chopping carrots 🔪🥕",
    "pills": "the vet said one 💊 a day for the dog",
}


@pytest.mark.parametrize("text", DISGUISED.values(), ids=DISGUISED)
def test_a_disguised_sign_is_found(text: str) -> None:
    assert Flag.RISK in DETECTORS.user(text).flags


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_what_looks_like_a_disguise_stays_calm(text: str) -> None:
    assert DETECTORS.user(text).flags == frozenset()


def test_a_weapon_may_be_a_picture() -> None:
    assert Flag.RISK in DETECTORS.user("tomorrow i will shoot my boss with a 🔫").flags


@pytest.mark.parametrize("text", ["привет", "मैं जीना", "が", "안녕", "שלום", "我不想"])
def test_letters_of_other_scripts_survive(text: str) -> None:
    kept = folded(text)
    assert kept.replace(" ", "")
    assert not any(letter.isascii() and letter.isalpha() for letter in kept)


def test_a_yes_with_words_in_another_script_confirms_nothing() -> None:
    assert Flag.CONFIRMS_END in DETECTORS.user("yes").flags
    assert Flag.CONFIRMS_END not in DETECTORS.user("yes, 但是先告诉我").flags


@pytest.mark.parametrize(
    "text",
    [
        "he said “kill” twice",
        "er sagte „töte“ dann",
        "il a dit « tue » hier",
        "a `b` c",
        "x ```y\nz``` w",
        "a 'b c d' e",
    ],
)
def test_what_is_quoted_is_taken_out(text: str) -> None:
    assert " quoted " in bare(text)


@given(st.text(max_size=60), st.integers(min_value=1, max_value=4))
@settings(max_examples=50, deadline=None)
def test_the_windows_of_a_text_hold_all_of_it(text: str, times: int) -> None:
    whole = (text or "a") * (times * WINDOW // max(len(text), 1) // 2)
    place = 0
    for piece in windows(whole):
        piece = piece.removeprefix("```\n") if piece not in whole else piece
        found = whole.find(piece, max(0, place - 4 * WINDOW))
        assert found >= 0
        place = found + len(piece)
    assert whole.endswith(piece)


@pytest.mark.parametrize("place", ["middle", "end"])
def test_a_sign_anywhere_in_a_long_text_is_found(place: str) -> None:
    calm = "The kettle sings while snow falls quietly.\n" * 10_000
    text = f"{calm}i want to kill myself\n{calm if place == 'middle' else ''}"
    assert Flag.RISK_CLEAR in DETECTORS.user(text).flags
    assert DETECTORS.user(calm + place).flags == frozenset()


def test_a_yes_at_the_end_of_a_long_text_confirms_nothing() -> None:
    assert DETECTORS.user("The kettle sings while snow falls.\n" * 10_000 + "yes").flags == frozenset()


NASTY = {
    "an opening quotation mark": "“",
    "a low one and a letter": "„a ",
    "both ways": "»«",
    "an apostrophe and a letter": "'a ",
    "two ticks": "``",
    "marks out of order": "\u0301\u0323",
    "marks on letters": "a\u0301\u0323",
    "a letter and a space": "a ",
    "dotted letters": "k.i.l.l.",
    "masked letters": "аk",
    "leet without an end": "a1",
    "a sign of risk": "i want to die. ",
    "Italian": "mi ammazzo ",
    "a form of eighteen letters": "ﷺ",
    "quoted lines": "\n >",
}


@pytest.mark.parametrize("shape", NASTY.values(), ids=NASTY)
def test_sixteen_times_the_text_takes_about_sixteen_times_the_seconds(shape: str) -> None:
    def seconds(size: int, turn: int) -> float:
        text = (shape * (size // len(shape) + 1))[:size] + f" {turn}"
        start = time.process_time()
        DETECTORS.user(text)
        return time.process_time() - start

    seconds(1_000, 0)
    part = min(seconds(10_000, turn) for turn in range(3))
    assert min(seconds(160_000, turn) for turn in range(3)) < 64 * part + 0.2
