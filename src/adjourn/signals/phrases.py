"""Phrases as small automata over words: many phrases are looked for at the cost of a few look-ups.

In a phrase `(a|b c|)` stands for each of its alternatives; right behind a word or a group, `report(ed|s|)`,
for the endings of each.
Nothing repeats and nothing is expanded, so neither a table nor a text can make this blow up.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Set

_PART = re.compile(r"\(|\)|\||[^\s()|]+")
_ENDINGS = re.compile(r"(?:([^\s()|]+)|\(([^()]*[^()\s|])\))\(([^()\s]*)\)")

Sequence = list["str | list[Sequence]"]
"""Words and groups one after another; a group is a list of alternatives."""


class State:
    """A place in a phrase: which words go on from here, and whether it may end here."""

    __slots__ = ("ends", "next")

    def __init__(self) -> None:
        self.next: dict[str, list[State]] = {}
        self.ends = False

    def absorb(self, other: "State") -> None:
        """Accept what `other` accepts, too."""
        self.ends = self.ends or other.ends
        for word, states in other.next.items():
            self.next.setdefault(word, []).extend(states)

    def matches(self, words: list[str], start: int) -> Iterator[int]:
        """Give the places behind each match that begins at `start`."""
        states = [self]
        for place in range(start, len(words)):
            states = [state for one in states for state in one.next.get(words[place], ())]
            if not states:
                return
            if any(state.ends for state in states):
                yield place + 1


class Phrases:
    """A list of phrases that are looked for together.

    `needs` says for each phrase of which sets of words it holds one each, the rarest set first.
    """

    def __init__(self, phrases: Iterable[str], spell: Callable[[str], list[str]], rank: Callable[[str], int]) -> None:
        self.root = State()
        self.needs: list[list[set[str]]] = []
        self.words: set[str] = set()
        end = State()
        end.ends = True
        for parsed in (part for phrase in phrases for part in _split(_parsed(phrase, spell))):
            self.root.absorb(_state(parsed, end))
            self.needs.append(sorted(_needs(parsed, rank), key=lambda keys: -rarity(keys, rank)))
            self.words.update(_words(parsed))
        self.keys = set().union(*(needs[0] for needs in self.needs))

    def find(self, words: list[str], most: int = 8) -> list[tuple[int, int]]:
        """Give the first places, as (start, end), where a phrase stands."""
        if self.root.next.keys().isdisjoint(words):
            return []
        found: list[tuple[int, int]] = []
        for start, word in enumerate(words):
            if word in self.root.next:
                found += [(start, end) for end in self.root.matches(words, start)]
                if len(found) >= most:
                    break
        return found

    def is_all(self, words: list[str]) -> bool:
        """Whether the words are one phrase and nothing else."""
        return len(words) in self.root.matches(words, 0)


def _parsed(phrase: str, spell: Callable[[str], list[str]]) -> Sequence:
    phrase = _ENDINGS.sub(_ended, phrase)
    sequence: Sequence = []
    outer: list[tuple[Sequence, list[Sequence]]] = []
    if phrase.count("(") != phrase.count(")") or ("|" in phrase and "(" not in phrase):
        raise ValueError(f"groups do not match: {phrase}")
    for part in _PART.findall(phrase):
        if part == "(":
            group: list[Sequence] = [[]]
            sequence.append(group)
            outer.append((sequence, group))
            sequence = group[0]
        elif part == "|":
            sequence = []
            outer[-1][1].append(sequence)
        elif part == ")":
            sequence = outer.pop()[0]
        else:
            sequence.extend(spell(part))
    return sequence


def _ended(found: re.Match[str]) -> str:
    stems = [found[1]] if found[1] else found[2].split("|")
    return f"({'|'.join(stem + end for stem in stems for end in found[3].split('|'))})"


def _split(sequence: Sequence) -> Iterator[Sequence]:
    """Give the alternatives one by one if there is nothing else."""
    if len(sequence) == 1 and not isinstance(sequence[0], str):
        for alternative in sequence[0]:
            yield from _split(alternative)
    else:
        yield sequence


def _state(sequence: Sequence, after: State) -> State:
    for part in reversed(sequence):
        before = State()
        if isinstance(part, str):
            before.next[part] = [after]
        else:
            for alternative in part:
                before.absorb(_state(alternative, after))
        after = before
    return after


def rarity(words: Set[str], rank: Callable[[str], int]) -> int:
    """How rare the commonest of the words is."""
    return min(map(rank, words))


def _needs(sequence: Sequence, rank: Callable[[str], int]) -> Iterator[set[str]]:
    """Give, for each part that cannot be left out, a set of words of which one must be there."""
    for part in sequence:
        if isinstance(part, str):
            yield {part}
        else:
            each = [list(_needs(alternative, rank)) for alternative in part]
            if all(each):
                yield set().union(*(max(needs, key=lambda keys: rarity(keys, rank)) for needs in each))


def _words(sequence: Sequence) -> Iterator[str]:
    for part in sequence:
        if isinstance(part, str):
            yield part
        else:
            for alternative in part:
                yield from _words(alternative)
