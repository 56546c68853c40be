"""Which language a text is in, as far as its script and its commonest words tell: enough to say what nobody can read.

The tables know six languages. Nothing is guessed: of a text with too few words in any of them it says nothing.
"""

import re
from collections import Counter

KNOWN = ("en", "it", "es", "fr", "de", "pt")
"""The languages of the tables."""

UNKNOWN = "unknown"
"""A text with letters in a script, or with words, of which no language here is known."""

_SCRIPTS = {
    "ru": "\u0400-\u052f",
    "ar": "\u0600-\u06ff\u0750-\u077f",
    "th": "\u0e00-\u0e7f",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "ja": "\u3040-\u30ff",
    "zh": "\u4e00-\u9fff",
}
_OTHER = r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]"  # letters, but not Latin ones
_OF_SCRIPT = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
_LATIN = re.compile(r"[a-z\u00df-\u024f\u1e00-\u1eff]")
_WORD = re.compile(r"[^\W\d_]+")
_FOREIGN = re.compile(_OTHER)
_READ = 2_000  # characters that are looked at
_SURE = 3  # so many words of none of the languages make a text one that is not known

_COMMON = {
    "en": (
        "the and you that is it to of in i my me do not what how this for with have are was be on can your am "
        "so an we he she they but if or want just from about at all please would could there no yes when who "
        "why help make write explain give tell show good thanks ok hello hi"
    ),
    "it": (
        "il lo la gli le un una di che e è non mi ti si ho hai ha sono per con come cosa ma se più anche "
        "questo questa mio mia voglio posso della del nel al da in io tu ciao grazie perché quando sì puoi "
        "fare tutti"
    ),
    "es": (
        "el la los las un una de que y no me te se he ha es soy estoy para por con como cómo qué pero si más "
        "mi tu yo su quiero puedo del al en lo esto esta este hola gracias porque cuando sí puedes hacer muy "
        "está"
    ),
    "fr": (
        "le la les un une des de que et ne pas je tu il elle me te se ai as est suis pour par avec comme mais "
        "si plus mon ma mes ton du au en ce cette dans sur nous vous on qui quoi bonjour merci veux peux oui "
        "fait c j l d qu n"
    ),
    "de": (
        "der die das ein eine und ich du er sie es nicht ist bin hast habe hab mir mich dir zu mit für auf "
        "von wie was aber wenn mehr mein meine den dem im in so auch noch kann will wir ihr hallo danke bitte "
        "warum wann ja nein"
    ),
    "pt": (
        "o a os as um uma de que e não nao me te se eu é sou estou para por com como mas mais meu minha do da "
        "no na em isso este esta quero posso oi olá obrigado obrigada porque quando sim você voce vou está "
        "muito tem"
    ),
    "nl": ("de het een en ik je niet is dat van op te zijn met voor maar wat hoe mijn naar wil kan geen ook ben heb"),
    "pl": "i w nie na się że to jest z do jak co ale mi moje mój jestem chcę mam już czy tak dla od",
    "tr": "ve bir bu ben sen için ile çok ne var yok değil ama mi istiyorum nasıl daha gibi beni benim",
}
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_NAMES = tuple(_WORDS)


def language(text: str) -> str | None:
    """Return the code of the text's language (ISO 639-1), `UNKNOWN`, or None where there is too little to tell by.

    By script: Arabic, Chinese, Japanese, Korean, Russian and Thai. By words: the six of the tables, Dutch, Polish and
    Turkish. Another language in one of these scripts is taken for the one that has most speakers.
    """
    low = text[:_READ].lower()
    foreign, latin = len(_FOREIGN.findall(low)), len(_LATIN.findall(low))
    if foreign * 2 > latin:  # letters of these scripts say more than Latin ones do
        return _of_script(low)
    words = _WORD.findall(low)
    counts = Counter(name for word in words for name in _NAMES if word in _WORDS[name])
    best = max(_NAMES, key=lambda name: counts[name])
    if counts[best]:
        return best
    return UNKNOWN if len(words) >= _SURE else None


def _of_script(low: str) -> str:
    counts = {name: len(letters.findall(low)) for name, letters in _OF_SCRIPT.items()}
    if counts["ja"]:
        return "ja"  # Chinese characters among Japanese letters
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] * 2 > len(_FOREIGN.findall(low)) else UNKNOWN


def is_unknown(found: str | None) -> bool:
    """Whether the tables do not know the language that `language` found."""
    return found is not None and found not in KNOWN
