"""Text as the tables want it: small letters, plain words, sentence ends; disguises undone.

Everything here runs in linear time, on any text (lone surrogates too).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

END = "."
"""The one token that is no word: a sentence ends here."""

_ENDS = ".!?;\n\r"
_KEPT = "@$*"  # letters in disguise
_DROPPED = {ord(c): None for c in "'`´’‘ʼ\u00ad\u200b\u200c\u200d\u2060\ufeff"}
_ASCII = {n: " " for n in range(128) if not chr(n).isalnum() and chr(n) not in _KEPT}
_GATE = str.maketrans({**_ASCII, 39: None, 96: None})
_WORDS = re.compile(rf"[a-z0-9{re.escape(_KEPT)}]+|{re.escape(END)}")
_ONE_END = {39: None, 96: None, **{ord(end): END for end in _ENDS}}
_ALIKE = str.maketrans("авекмнорстухіјѕԁɡ", "abekmhopctyxijsdg", "\u0336\u0335")
_LEET = str.maketrans("013457@$!|8", "oieastasiib")
_LEETED = re.compile(r"(?<![a-z0-9@$!|])[a-z]*+[0-9@$!|][a-z0-9@$!|]*[a-z][a-z0-9@$]*")  # from its run's start only
_SPACED = re.compile(r"(?<![a-z0-9])(?:[a-z][ .\-_*]{1,2}){2,}[a-z](?![a-z0-9])")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_LEET_LIKE = re.compile(r"[a-z][0-9@$*!|]+[a-z]|(?<![a-z0-9])[0-9@$][a-z]{2}")
_SPACED_LIKE = re.compile(r" [a-z] +[a-z] +[a-z] ")
_REPEATED_LIKE = re.compile(r"([a-z])\1\1")  # twice as fast as the above

_SINGLES = r"(?<![\w'])'(?:[^'\n]|(?<=\w)'(?=\w)){3,400}'(?!\w)"
_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,400}`"
    r'|"[^"\n]{0,1000}"|“[^”\n]{0,1000}”|«[^»\n]{0,1000}»|' + _SINGLES + r"|^[ \t]*>[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_QUOTES = re.compile(r"[\"“«`>]|(?<!\w)'")  # without one of these nothing is quoted
_NOT_PLAIN = re.compile(r"[\"“”«»`<>{}\[\]|\\]|://|www\.|" + _SINGLES)


def folded(text: str) -> str:
    """Small ASCII letters as far as that goes: wide, accented and look-alike letters become plain ones."""
    low = text.lower()
    if low.isascii():
        return low
    low = unicodedata.normalize("NFKD", low).translate(_DROPPED).translate(_ALIKE)
    return "".join(c for c in low if c.isascii() or not unicodedata.combining(c))


def rough(low: str) -> str:
    """The words of a folded text, found in the cheapest way, to see whether a closer look is worth it."""
    return low.translate(_GATE)


def odd(low: str, words: str) -> bool:
    """Whether a folded text, of these rough words, may hide others: digits, spaces, repeated letters."""
    return bool(
        _REPEATED_LIKE.search(words)
        or _SPACED_LIKE.search(f" {words} ")
        or (not ("!" not in low and words.replace(" ", "").isalpha()) and _LEET_LIKE.search(low))
    )


def plain(text: str) -> bool:
    """Whether these are the writer's own simple words: no quotation, code, markup or address."""
    return not _NOT_PLAIN.search(text) and not _QUOTED.search(text)


def bare(text: str) -> str:
    """The text without what is quoted or code; the same object if there is nothing of it."""
    return _QUOTED.sub(" quoted ", text) if _QUOTES.search(text) else text


def tokens(low: str, spelling: Mapping[str, tuple[str, ...]], known: frozenset[str]) -> list[str]:
    """The words of a folded text in their common spelling, and `END` where a sentence ends."""
    strange = odd(low, rough(low))
    if strange:
        low = _SPACED.sub(lambda m: _joined(m[0], known), low)
        low = _LEETED.sub(lambda m: _clear(m[0], known), low)
    words = _WORDS.findall(low.translate(_ONE_END))
    if strange:
        return [right for word in words for right in _respelled(word, spelling, known)]
    if spelling.keys().isdisjoint(words):
        return words
    return [right for word in words for right in spelling.get(word, (word,))]


def sentences(words: list[str], size: int = 64, overlap: int = 16) -> Iterator[list[str]]:
    """The sentences; an endless one in overlapping pieces, so that no step is worse than linear."""
    start = 0
    for place, word in enumerate([*words, END]):
        if word == END:
            if place - start <= size:
                if place > start:
                    yield words[start:place]
            else:
                for at in range(start, place - overlap, size - overlap):
                    yield words[at : min(at + size, place)]
            start = place + 1


def _joined(spaced: str, known: frozenset[str]) -> str:
    """Write spaced letters as a word; a first "a" or "i" may be a word of its own."""
    word = re.sub(r"[^a-z]", "", spaced)
    return f"{word[0]} {word[1:]}" if word not in known and word[0] in "ai" and word[1:] in known else word


def _clear(word: str, known: frozenset[str]) -> str:
    clear = word.translate(_LEET)
    return clear if clear in known else word


def _respelled(word: str, spelling: Mapping[str, tuple[str, ...]], known: frozenset[str]) -> tuple[str, ...]:
    if word in spelling:
        return spelling[word]
    if word in known or word == END:
        return (word,)
    word = word.strip(_KEPT) or word
    for by in (r"\1\1", r"\1"):
        shorter = _REPEATED.sub(by, word)
        if shorter in spelling:
            return spelling[shorter]
        if shorter in known:
            return (shorter,)
    return (word,)
