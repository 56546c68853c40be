"""The detector that reads tables: `lexicon/*.toml` says what is said how; this file only looks it up.

A table has word lists and rules. A rule fires where one phrase (see `phrases`) of each of its slots stands in
one sentence. Its keys:

find      the slots: each a list of phrases or `@lists`; in this order, unless `ordered = false`
any       instead of `find`: the phrases of the only slot
within    how many other words may stand between two slots
but       phrases that take it back when they stand in the same sentence; `unless`: anywhere in the message
needs     instead of `find`: names of which each must have been seen in the message, the rarest first
signal    the name that it scores, with `score`; `family`, `kind`: said along with it
quoted    whether quotations and code are read as well (default: no)
plain     only in a message without quotation, code or address
most      only in a message of at most so many words; `first`: only in the first so many sentences
last      the last slot stands at the end of the sentence
only      the sentence (with `whole`: the message) has no words but those of these phrases
whole     the message is nothing but this phrase and words of the list `filler`, and no question
examples  texts on which it fires, and `not`: texts that have none of its signal; the tests read them
"""

import hashlib
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from itertools import chain
from typing import Any

from adjourn.core.reading import RiskKind
from adjourn.signals.detector import NOTHING, OF_ASSISTANTS, OF_USERS, Message, Seen
from adjourn.signals.normal import END, WINDOW, bare, folded, odd, plain, rough, sentences, tokens, windows
from adjourn.signals.phrases import Phrases, rarity

_FORMAT = "4"  # of this reader: changes when the same tables would be read otherwise
_BACK = 24  # how many earlier messages are looked at for what a "come on" presses for
_CALM = 3  # so many messages of other things, and it is not pressed for any more
_ANY = 1 << 30
_COUNTS = 0.8  # from here on a harmful request is one in its own right; below it is a topic
_NEITHER = ("abusive", "asks_end", "confirms_end", "risk")  # neither calm nor about the request
_FEW = 4
_OTHERS = tuple(f"{about}_{language}" for about in ("risk", "closing") for language in ("it", "es", "fr", "de", "pt"))
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a table."""

    signal: str
    score: float
    family: str | None
    kind: RiskKind | None
    slots: tuple[Phrases, ...]
    within: int
    ordered: bool
    but: tuple[Phrases, ...]
    unless: tuple[Phrases, ...]
    needs: tuple[str, ...]
    only: frozenset[str]
    last: bool
    quoted: bool
    plain: bool
    whole: bool
    most: int
    first: int


class Sentence:
    """A sentence that remembers what was looked for in it."""

    def __init__(self, words: list[str], place: int) -> None:
        self.words = words
        self.place = place
        self._found: dict[int, list[tuple[int, int]]] = {}

    def find(self, phrases: Phrases) -> list[tuple[int, int]]:
        """Give the places of some phrases."""
        known = self._found.get(id(phrases))
        if known is None:
            known = self._found[id(phrases)] = phrases.find(self.words)
        return known

    def fits(self, rule: Rule) -> bool:
        """Whether the sentence holds what the rule looks for, and nothing that takes it back."""
        if rule.only and not rule.only.issuperset(self.words):
            return False
        ends: list[int] | None = None
        for slot in rule.slots:
            found = self.find(slot)
            if ends is not None and rule.ordered:
                found = [one for one in found if any(0 <= one[0] - end <= rule.within for end in ends)]
            if not found:
                return False
            ends = [end for _, end in found]
        if rule.last and len(self.words) not in (ends or ()):
            return False
        return not any(self.find(phrases) for phrases in rule.but)


class Index:
    """Rules by the rarest words of which each needs one, with the other words that they need."""

    def __init__(self, entries: Iterable[tuple[str, Rule, tuple[frozenset[str], ...]]], short: frozenset[str]) -> None:
        self._starts: dict[str, list[tuple[Rule, tuple[frozenset[str], ...]]]] = {}
        for word, rule, others in entries:
            self._starts.setdefault(word, []).append((rule, others))
        self._gate = frozenset(self._starts)
        self._short = short

    def candidates(self, words: Iterable[str]) -> Iterator[Rule]:
        """Give the rules that may fire on these words, for all that one of their phrases needs is there."""
        starts = self._gate.intersection(words)
        if not starts:
            return
        there = frozenset(words)
        short = there <= self._short
        for word in starts:
            for rule, others in self._starts[word]:
                if rule.whole and not short:
                    continue
                for needed in others:
                    if needed.isdisjoint(there):
                        break
                else:
                    yield rule


class Lexicon:
    """The tables of some files, looked up by rare words."""

    def __init__(self, *names: str) -> None:
        self._common = _table("common")
        self._rank = {word: place for place, word in enumerate(self._common["frequent"].split())}
        self._spelling = {key: tuple(value.split()) for key, value in self._common["spelling"].items()}
        self._filler = frozenset(self._common["filler"])
        self._phrases: dict[tuple[str, ...], Phrases] = {}
        self._sums: list[Rule] = []
        self._rules = [rule for name in names for rule in self._add(_table(name))]
        # Without the first of its needs a sum can't come about: the others are looked for only beside that.
        self._leads = {rule.needs[0] for rule in self._sums}
        later = {name for rule in self._sums for name in rule.needs[1:]} - self._leads
        self._first = self._index([rule for rule in self._rules if rule.signal not in later])
        self._later = self._index([rule for rule in self._rules if rule.signal in later])
        self._known = frozenset(word for phrases in self._phrases.values() for word in phrases.words)

    def _index(self, rules: Sequence[Rule]) -> Index:
        variants: dict[str, set[str]] = {}
        for word, right in self._spelling.items():
            for one in right:
                variants.setdefault(one, {one}).add(word)

        alike: dict[frozenset[str], frozenset[str]] = {}  # most sets come many times: each is kept once

        def spelt(words: Iterable[str]) -> frozenset[str]:
            found: frozenset[str] = frozenset().union(*(variants.get(word, {word}) for word in words))
            return alike.setdefault(found, found)

        def entries() -> Iterator[tuple[str, Rule, tuple[frozenset[str], ...]]]:
            for rule in rules:
                slots = sorted(rule.slots, key=lambda slot: -rarity(slot.keys, self._rarity))
                for phrase in slots[0].needs:
                    needs = sorted(phrase, key=lambda keys: -rarity(keys, self._rarity))
                    others = {spelt(keys) for keys in (*needs[1:], *(slot.keys for slot in slots[1:]))}
                    for word in spelt(needs[0]):
                        yield word, rule, tuple(sorted(others, key=len))

        whole = (rule.slots[0].words | rule.only for rule in rules if rule.whole)
        return Index(entries(), spelt(self._filler.union({END}, *whole)))

    def _add(self, table: Mapping[str, Any]) -> Iterator[Rule]:
        lists = {**self._common["words"], **table.get("words", {})}
        for row in table["rule"]:
            rule = self._rule({**table.get("defaults", {}), **row}, lists)
            if rule.needs:
                self._sums.append(rule)
            else:
                yield rule

    def _rule(self, row: Mapping[str, Any], lists: Mapping[str, list[str]]) -> Rule:
        def phrases(name: str) -> tuple[Phrases, ...]:
            return tuple(self._slot(slot, lists) for slot in row.get(name, ()))

        return Rule(
            signal=row["signal"],
            score=row.get("score", 1.0),
            family=row.get("family"),
            kind=RiskKind(row["kind"]) if "kind" in row else None,
            slots=(self._slot(row["any"], lists),) if "any" in row else phrases("find"),
            within=row.get("within", 8),
            ordered=row.get("ordered", True),
            but=phrases("but"),
            unless=phrases("unless"),
            needs=tuple(row.get("needs", ())),
            only=frozenset(self._slot(row["only"], lists).words) if "only" in row else frozenset(),
            last=row.get("last", False),
            quoted=row.get("quoted", False),
            plain=row.get("plain", False),
            whole=row.get("whole", False),
            most=row.get("most", _ANY),
            first=row.get("first", _ANY),
        )

    def _slot(self, slot: str | list[str], lists: Mapping[str, list[str]]) -> Phrases:
        key = tuple(_flat([slot] if isinstance(slot, str) else slot, lists))
        if key not in self._phrases:
            self._phrases[key] = Phrases(key, self._spell, self._rarity)
        return self._phrases[key]

    def _rarity(self, word: str) -> int:
        return self._rank.get(word, len(self._rank))

    def _spell(self, word: str) -> list[str]:
        return tokens(folded(word), self._spelling, frozenset())

    def read(self, text: str) -> list[Rule]:
        """Give the rules that fire on the text, in a long one those that fire anywhere in it.

        What only a short message says is never said in a long one.
        """
        if len(text) <= WINDOW:
            return self._sum(self._look(text))
        fired: dict[int, Rule] = {}
        for place, piece in enumerate(windows(text)):
            for rule in self._look(piece):
                if rule.most == _ANY and (place == 0 or rule.first == _ANY):
                    fired[id(rule)] = rule
        return self._sum(list(fired.values()))

    def _look(self, text: str) -> list[Rule]:
        """Give the rules that fire by themselves; most texts cost a split and a set test."""
        low = folded(text)
        words = rough(low)
        if next(self._first.candidates(words.split()), None) is None and not odd(low, words):
            return []
        own = bare(text)
        views = [(low, (True, False))] if own is text else [(low, (True,)), (folded(own), (False,))]
        read = [(self._read(view), quoted) for view, quoted in views]
        fired = [rule for parts, quoted in read for rule in self._fire(self._first, parts, text, quoted)]
        if not self._leads.isdisjoint(rule.signal for rule in fired):
            fired += [rule for parts, quoted in read for rule in self._fire(self._later, parts, text, quoted)]
        return fired

    def _sum(self, fired: list[Rule]) -> list[Rule]:
        """Add the rules that fire because others do."""
        names = {rule.signal for rule in fired}
        if not self._leads.isdisjoint(names):
            for rule in self._sums:
                if names.issuperset(rule.needs):
                    fired.append(rule)
                    names.add(rule.signal)
        return fired

    def _read(self, low: str) -> tuple[list[str], list[Sentence]]:
        words = tokens(low, self._spelling, self._known)
        return words, [Sentence(part, place) for place, part in enumerate(sentences(words))]

    def _fire(
        self, index: Index, read: tuple[list[str], list[Sentence]], text: str, quoted: tuple[bool, ...]
    ) -> list[Rule]:
        words, parts = read
        fired: set[int] = set()
        spoilt: dict[int, bool] = {}  # by list: whether a phrase of it stands anywhere

        def spoils(phrases: Phrases) -> bool:
            if id(phrases) not in spoilt:
                spoilt[id(phrases)] = any(part.find(phrases) for part in parts)
            return spoilt[id(phrases)]

        few = list(index.candidates(words)) if len(parts) <= _FEW else None  # to look once is cheaper then
        for part in parts:
            for rule in index.candidates(part.words) if few is None else few:
                if (
                    id(rule) not in fired
                    and rule.quoted in quoted
                    and part.place < rule.first
                    and len(words) <= rule.most
                    and (self._is_whole(rule, words, text) if rule.whole else part.fits(rule))
                    and not any(map(spoils, rule.unless))
                    and (not rule.plain or plain(text))
                ):
                    fired.add(id(rule))
        return [rule for rule in self._rules if id(rule) in fired] if fired else []

    def _is_whole(self, rule: Rule, words: list[str], text: str) -> bool:
        said = [word for word in words if word != END]
        if rule.only:
            return "?" not in text and rule.only.issuperset(said) and bool(rule.slots[0].find(said))
        core = [word for word in said if word not in self._filler]
        return "?" not in text and any(rule.slots[0].is_all(one) for one in (said, core))


class Lexical:
    """The lexicon as a detector. The tables are read when the first text is."""

    name = "lexical"

    @cached_property
    def version(self) -> str:
        """Of the reader and of all tables: whoever edits one has another version."""
        tables = sorted(files(__package__).joinpath("lexicon").iterdir(), key=lambda entry: entry.name)
        content = b"".join(entry.read_bytes() for entry in tables if entry.name.endswith(".toml"))
        return f"{_FORMAT}.{hashlib.sha256(content).hexdigest()[:8]}"

    @cached_property
    def _people(self) -> Lexicon:
        return Lexicon("harmful", "abusive", "risk", "closing", *_OTHERS)

    @cached_property
    def _fired(self) -> Callable[[str], tuple[Rule, ...]]:
        return _remembering(self._people)

    @cached_property
    def _presses(self) -> Callable[[str], tuple[Rule, ...]]:
        return _remembering(Lexicon("pressing"))

    @cached_property
    def _assistants(self) -> Lexicon:
        return Lexicon("assistant")

    def user(self, text: str, before: Sequence[Message] = ()) -> Seen:
        """Read a person's message; after a harmful request, one that stays with it asks for it again."""
        fired = self._fired(text)
        if before and not any(map(_counts, fired)):
            asked, calm = self._asked(before)
            how = self._follows(text) if asked is not None else None
            if asked is not None and how is not None and (how.signal != "refers_back" or not calm):
                if how.signal == "stays_on":
                    return _seen(fired, OF_USERS, also=(_COUNTS, _surest(fired, "harmful").family))
                return _seen(fired, OF_USERS, also=(how.score, asked.family))
        return _seen(fired, OF_USERS) if fired else NOTHING

    def _follows(self, text: str) -> Rule | None:
        """Give how a message goes on with a harmful request, if there is one before it: the surest of the ways."""
        ways = self._presses(text)
        topic = next((rule for rule in self._fired(text) if rule.signal == "harmful"), None)
        if topic is not None and all(rule.signal != "moves_on" for rule in ways):
            return replace(topic, signal="stays_on")
        ways = tuple(rule for rule in ways if rule.signal != "moves_on")
        return max(ways, key=lambda rule: (rule.signal == "presses_on", rule.score), default=None)

    def _asked(self, before: Sequence[Message]) -> tuple[Rule | None, int]:
        """Give what the newest harmful request was, unless left long ago, and how many calm messages came since."""
        said = [self._fired(text) for role, text in before[-_BACK:] if role == "user"]
        if not any(map(_counts, chain.from_iterable(said))):
            return None, 0  # as nearly always: then nothing else need be looked up
        since: list[bool] = []
        calm = 0
        for role, text in reversed(before[-_BACK:]):
            if role != "user":
                continue
            fired = self._fired(text)
            if any(map(_counts, fired)):
                calm = 0
                for refers in reversed(since):
                    calm += not refers or bool(calm)
                return (_surest(fired, "harmful"), calm) if calm < _CALM else (None, calm)
            if any(rule.signal in _NEITHER for rule in fired):
                continue
            how = self._follows(text)
            if how is None or how.signal == "refers_back":
                since.append(how is not None)
                calm += how is None
            if calm == _CALM:
                break
        return None, calm

    def assistant(self, text: str) -> Seen:
        """Read an assistant's message."""
        return _seen(self._assistants.read(text), OF_ASSISTANTS)


def _remembering(lexicon: Lexicon) -> Callable[[str], tuple[Rule, ...]]:
    """Read with this lexicon; what was read is remembered, as each message is among the earlier ones of the next few.

    A long text is remembered by its digest, so that it is not kept. Threads may share it.
    """
    known: OrderedDict[str | bytes, tuple[Rule, ...]] = OrderedDict()

    def read(text: str) -> tuple[Rule, ...]:
        short = len(text) <= WINDOW
        key = text if short else hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        fired = known.get(key)
        if fired is None:
            fired = known[key] = tuple(lexicon.read(text))
            if len(known) > _REMEMBERED:
                known.popitem(last=False)
        return fired

    return read


def _counts(rule: Rule) -> bool:
    return rule.signal == "harmful" and rule.score >= _COUNTS


def _surest(fired: Iterable[Rule], signal: str) -> Rule:
    return max((rule for rule in fired if rule.signal == signal), key=lambda rule: rule.score)


def _seen(fired: Sequence[Rule], names: Iterable[str], also: tuple[float, str | None] | None = None) -> Seen:
    scores: dict[str, float] = {}
    for rule in fired:
        if rule.signal in names:
            scores[rule.signal] = max(rule.score, scores.get(rule.signal, 0.0))
    family = _surest(fired, "harmful").family if "harmful" in scores else None
    if also:
        scores["harmful"], family = also
    if not scores:
        return NOTHING
    return Seen(scores, family, _surest(fired, "risk").kind if "risk" in scores else None)


def _flat(phrases: Iterable[str], lists: Mapping[str, list[str]]) -> Iterable[str]:
    for phrase in phrases:
        if phrase.startswith("@"):
            yield from _flat(lists[phrase[1:]], lists)
        else:
            yield phrase


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("lexicon", f"{name}.toml").read_text("utf-8"))
