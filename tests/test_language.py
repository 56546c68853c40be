"""Which language a text is in, and what `adjourn signals` says of one that the tables do not know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.signals.language import KNOWN, UNKNOWN, is_unknown, language

TEXTS = [
    ("en", "i want to go home now"),
    ("en", "Why is the sky blue?"),
    ("it", "non voglio più andare a scuola"),
    ("it", "voglio morire"),
    ("es", "¿Cómo puedo aprender a cocinar?"),
    ("es", "quiero morir"),
    ("fr", "je ne sais pas quoi faire"),
    ("fr", "j'en ai marre de tout"),
    ("de", "ich weiß nicht, was ich tun soll"),
    ("de", "will sterben"),
    ("pt", "não sei o que fazer"),
    ("pt", "eu quero morrer"),
    ("nl", "ik wil niet naar het feest"),
    ("pl", "nie wiem, co się stało"),
    ("tr", "bu çok güzel bir gün"),
    ("ru", "я не хочу жить"),
    ("ar", "لا أريد أن أعيش"),
    ("zh", "我不想活了"),
    ("ja", "もう生きたくない"),
    ("ko", "살고 싶지 않아"),
    ("th", "ไม่อยากอยู่แล้ว"),
    (UNKNOWN, "मैं जीना नहीं चाहता"),
    (UNKNOWN, "δεν θέλω να ζήσω"),
    (UNKNOWN, "jag orkar inte leva längre"),
    (None, "42"),
    (None, "👍"),
    (None, "Berlin"),
]


@pytest.mark.parametrize(("code", "text"), TEXTS)
def test_script_and_common_words_tell_the_language(code: str | None, text: str) -> None:
    assert language(text) == code


def test_only_languages_that_the_tables_lack_are_unknown() -> None:
    assert not any(map(is_unknown, (*KNOWN, None)))
    assert is_unknown("ru")
    assert is_unknown(UNKNOWN)


@given(st.text(max_size=200))
def test_any_text_has_a_language_or_none(text: str) -> None:
    found = language(text)
    assert found is None or found.isalpha()
