"""Text as the tables want it: small letters, plain words, sentence ends; disguises undone.

Everything here runs in linear time, on any text (lone surrogates too).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

END = "."
"""The one token that is no word: a sentence ends here."""

WINDOW = 32_768
"""Characters that are read at once; a longer text is read in pieces that overlap."""
_OVERLAP = 2_048
_LINE = 512  # so far back a piece looks for the beginning of its line, or else of its word

_ENDS = ".!?;\n\r"
_KEPT = "@$*"  # letters in disguise
_ASCII = {n: " " for n in range(128) if not chr(n).isalnum() and chr(n) not in _KEPT}
_GATE = str.maketrans({**_ASCII, 39: None, 96: None})
_WORDS = re.compile(rf"[\w{re.escape(_KEPT)}]+|{re.escape(END)}")
_ONE_END = {39: None, 96: None, 95: " ", **{ord(end): END for end in _ENDS}}

# Signs that are no letters and say something all the same.
_MEANT = str.maketrans(
    {"🔪": " knife ", "🗡": " knife ", "🔫": " gun ", "💊": " pills ", "💣": " bomb ", "ß": "ss", "æ": "ae", "œ": "oe"}
    | {"\x85": "\n", "\u2028": "\n", "\u2029": "\n", "。": ".", "؟": "?", "।": "."}
)
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e007f"
)
_STROKES = "\u0334-\u0338\u20d2\u20d3\u20dd-\u20e0\u20e3\u20e5\u20e6\u0488\u0489"
_DROPPED = re.compile(rf"['`´’‘ʼ{_UNSEEN}{_STROKES}]+")
_MARKED = re.compile(r"(?<=[a-z])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]+")
_HEAPS = re.compile(r"([^\w\s\x00-\x7f]{8})[^\w\s\x00-\x7f]+")  # to sort a heap of marks takes quadratic time
_SIGNS = re.compile(r"[^\w\s\x00-\x7f]")
_SMALL = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢıłđøɡ", "abcdefghijklmnoprtuvwyzildog")
_LOOKS = ("авекмнорстухіјѕԁһӏԛԝѵαβεικνορτυχ", "abekmhopctyxijsdhlqwvabeikvoptyx")
_ALIKE = str.maketrans(*_LOOKS)
_MASKED = re.compile(f"[{_LOOKS[0]}]")
_LETTERS = re.compile(r"[^\W\d_]+")
_FOREIGN = re.compile("[\u0370-\u03ff\u0400-\u052f]")

_LEET = str.maketrans("013457@$!|8", "oieastasiib")
_LEETED = re.compile(r"(?<![a-z0-9@$!|])[a-z]*+[0-9@$!|][a-z0-9@$!|]*[a-z][a-z0-9@$]*")  # from its run's start only
_SPACED = re.compile(r"(?<![a-z0-9])(?:[a-z][ .\-_*/,|~+:]{1,2}){2,}[a-z](?![a-z0-9])")
_LONGEST = 16  # letters of a word that was spaced
_ALONE = frozenset("ai")  # letters that are words
_REPEATED = re.compile(r"([a-z])\1{2,}")
_LEET_LIKE = re.compile(r"[a-z][0-9@$*!|]+[a-z]|(?<![a-z0-9])[0-9@$][a-z]{2}")
_SPACED_LIKE = re.compile(r" [a-z] +[a-z] +[a-z] ")
_REPEATED_LIKE = re.compile(r"([a-z])\1\1")  # twice as fast as the above

# Each alternative begins with its sign and never goes over another one that could begin it: no text is gone over twice.
_SINGLES = r"'(?<![\w']')(?:[^'\n]|(?<=\w)'(?=\w)){3,400}+'(?!\w)"
_QUOTED = re.compile(
    r"```(?:[^`]|`(?!``))*+(?:```)?|`[^`\n]{1,400}+`"
    r'|"[^"\n]{0,1000}+"|“[^“”\n]{0,1000}+”|„[^„“”\n]{0,1000}+[“”]|«[^«»\n]{0,1000}+»|»[^«»\n]{0,1000}+«|'
    + _SINGLES
    + r"|>(?:(?<=^>)|(?<=^[ \t]>)|(?<=^[ \t]{2}>)|(?<=^[ \t]{3}>))[^\n]*+",
    re.MULTILINE,
)
_QUOTES = re.compile(r"[\"“„«»`>]|(?<!\w)'")  # without one of these nothing is quoted
_NOT_PLAIN = re.compile(r"[\"“”„«»`<>{}\[\]|\\]|://|www\.|" + _SINGLES)


def windows(text: str) -> Iterator[str]:
    """The text, a long one in pieces that overlap; what began in a block of code goes on as one."""
    start, fenced = 0, False
    while True:
        piece = text[start : start + WINDOW]
        yield f"```\n{piece}" if fenced else piece
        if start + WINDOW >= len(text):
            return
        following = start + WINDOW - _OVERLAP
        for end in ("\n", " "):
            place = text.rfind(end, following - _LINE, following)
            if place >= 0:
                following = place + 1
                break
        fenced ^= text.count("```", start, following) % 2 == 1
        start = following


def folded(text: str) -> str:
    """Small letters, the Latin ones plain: no accents, no wide, small-capital or look-alike letters, nothing unseen.

    Signs become spaces, but for a few that are words here; letters of other scripts stay what they are.
    """
    low = text.lower()
    if low.isascii():
        return low
    low = unicodedata.normalize("NFKD", _HEAPS.sub(r"\1", low).translate(_MEANT))
    low = _DROPPED.sub("", low).translate(_SMALL)
    if _MASKED.search(low):
        low = _unmasked(low)
    return _SIGNS.sub(_sign, _MARKED.sub("", low))


def _sign(found: re.Match[str]) -> str:
    return found[0] if unicodedata.category(found[0])[0] == "M" else " "


def _unmasked(low: str) -> str:
    """Write Cyrillic and Greek letters as Latin ones in words that hide behind them, and in no others."""
    foreign = _FOREIGN.search(low.translate(_ALIKE)) is not None  # then only mixed words hide

    def unmask(found: re.Match[str]) -> str:
        word = found[0]
        clear = word.translate(_ALIKE)
        hides = clear.isascii() and not (foreign and _FOREIGN.match(word) and len(_FOREIGN.findall(word)) == len(word))
        return clear if hides else word

    return _LETTERS.sub(unmask, low)


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
    """Write spaced letters as a word, or as the fewest known words that they are."""
    letters = re.sub(r"[^a-z]", "", spaced)
    if letters in known:
        return letters
    best: list[tuple[int, int]] = [(0, 0)]  # for each number of letters: how many words they are, where the last begins
    for end in range(1, len(letters) + 1):
        ways = [
            (best[start][0] + 1, start)
            for start in range(max(0, end - _LONGEST), end)
            if best[start][0] <= start and _is_word(letters[start:end], known)
        ]
        best.append(min(ways, default=(len(letters) + 1, end)))
    if best[-1][0] > len(letters):
        return letters
    words = []
    end = len(letters)
    while end:
        start = best[end][1]
        words.append(letters[start:end])
        end = start
    return " ".join(reversed(words))


def _is_word(letters: str, known: frozenset[str]) -> bool:
    return letters in known if len(letters) > 1 else letters in _ALONE


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
