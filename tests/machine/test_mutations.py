"""Does anything notice when the machine is changed? Every cell, rule, order and register move is changed in turn.

A change is caught when a directed history of `test_machine.py` stops elsewhere, an observer of the search objects,
or the judge of random trees does. What is not caught stands in a table below, with a reason: cells that nothing ever
looks up (`UNREACHED`), and changes that make no difference (`EQUIVALENT`). Both tables are checked for being stale.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from adjourn.core import acts, decide, machine, tree
from adjourn.core.errors import AdjournError
from adjourn.core.machine import AnswerKind, Registers, UserKind
from adjourn.core.policy import Policy
from tests.machine import test_machine
from tests.machine.observers import Rules
from tests.machine.recorder import TABLES, recorded
from tests.machine.search import NARROW, search
from tests.machine.story import ends
from tests.machine.wander import Wanderer

WHOLE = os.environ.get("ADJOURN_SEARCH") == "whole"

Patch = Callable[[pytest.MonkeyPatch], None]

VALUES = {
    "MESSAGES": ("=", "REQUESTED", "ASKED", "LAST_RESORT", "HELD", "ENDED", "refused", "."),
    "ANSWERS": ("=", "REQUESTED", "ASKED", "LAST_RESORT", "HELD", "ENDED", "."),
    "REGISTERS": ("keep", "declined", "redirected", "warned", "calm", "."),
}
ROWS: dict[str, tuple[str, ...]] = {
    "MESSAGES": ("OPEN", "WARNED", "REQUESTED", "ASKED", "LAST_RESORT", "HELD", "ENDED"),
    "ANSWERS": ("OPEN", "WARNED", "REQUESTED", "ASKED", "LAST_RESORT", "HELD", "ENDED"),
    "REGISTERS": ("STILL", *UserKind),
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "MESSAGES": tuple(UserKind),
    "ANSWERS": tuple(AnswerKind),
    "REGISTERS": tuple(AnswerKind),
}


# What notices a change


def _directed(about: str = "", *, thorough: bool = True) -> None:
    """Every directed history, those of the changed cell first; else only those of the changed table."""
    cells = sorted(test_machine.CELLS, key=lambda cell: not about.startswith(f"{cell.table} {cell.row} {cell.column} "))
    for cell in cells:
        if thorough or about.startswith(cell.table):
            assert ends(cell.story, cell.rules) == cell.stage
            assert ends(cell.twin, cell.rules) == cell.other
    for name, test in vars(test_machine).items():
        if name.startswith("test_") and name != "test_a_history_uses_its_cell_and_its_twin_stops_elsewhere":
            test()


def _searched() -> None:
    search(Rules(2, 2, 1, 2), NARROW)


def _judged() -> None:
    for seed in range(60):
        wanderer = Wanderer(seed, Rules(2, 2, seed % 2, seed % 3 + seed % 2), wild=0.15)
        for _ in range(24):
            wanderer.step()
        assert wanderer.play.faults() == []


# An observer objects, a cell is empty, or a cell holds what is no stage. Other errors would be faults of this test.
NOTICED = (AssertionError, AdjournError, LookupError, ValueError)


def caught(name: str, patch: Patch, *, thorough: bool = True) -> bool:
    with pytest.MonkeyPatch.context() as change:
        patch(change)
        try:
            _directed(name, thorough=thorough)
            if thorough:
                _searched()
                _judged()
        except NOTICED:
            return True
    return False


# What is changed


def _cell(table: str, row: str, column: str, value: str) -> Patch:
    cells = dict(getattr(machine, table))
    cells.pop((row, column), None)
    if value != ".":
        cells[row, column] = value
    return lambda change: change.setattr(machine, table, cells)


def _cells() -> Iterator[tuple[str, Patch]]:
    for table in TABLES:
        now = getattr(machine, table)
        for row in ROWS[table]:
            for column in COLUMNS[table]:
                for value in VALUES[table]:
                    if value != now.get((row, column), "."):
                        yield f"{table} {row} {column} {value}", _cell(table, row, column, value)


def _set(module: object, name: str, value: object) -> Patch:
    return lambda change: change.setattr(module, name, value)


def _yes(case: decide.Case) -> bool:
    return True


def _no(case: decide.Case) -> bool:
    return False


def _rules() -> Iterator[tuple[str, Patch]]:
    for goal, needs in decide.NEEDS.items():
        for need in needs:
            fewer = {**decide.NEEDS, goal: tuple(one for one in needs if one != need)}
            yield f"NEEDS {goal} without {need}", _set(decide, "NEEDS", fewer)
    for name, rule in decide.RULES.items():
        for holds, always in ((True, _yes), (False, _no)):
            other = replace(rule, holds=always)
            yield f"RULES {name} is always {holds}", _set(decide, "RULES", {**decide.RULES, name: other})


def _orders() -> Iterator[tuple[str, Patch]]:
    for name in ("USER_KINDS", "ANSWER_KINDS"):
        kinds = getattr(decide, name)
        for at in range(len(kinds) - 1):
            swapped = (*kinds[:at], kinds[at + 1], kinds[at], *kinds[at + 2 :])
            yield f"{name} {at} {kinds[at][0]} after {kinds[at + 1][0]}", _set(decide, name, swapped)
            dropped = (*kinds[:at], *kinds[at + 1 :])
            yield f"{name} {at} without {kinds[at][0]}", _set(decide, name, dropped)


def _moves() -> Iterator[tuple[str, Patch]]:
    for name in machine.MOVES:
        for other, move in machine.MOVES.items():
            if other != name:
                yield f"MOVES {name} is {other}", _set(machine, "MOVES", {**machine.MOVES, name: move})

    def later(before: Registers, answer: machine.Weighed) -> Registers:
        return Registers(redirected=before.redirected, warned=before.warned, calm=before.calm + 1)

    def early(before: Registers, answer: machine.Weighed) -> Registers:
        return Registers(redirected=before.redirected, warned=answer.answer)

    def unseen(before: Registers, answer: machine.Weighed) -> Registers:
        return before if before.k < answer.redirections else early(before, answer)

    yield "MOVES calm never empties", _set(machine, "MOVES", {**machine.MOVES, "calm": later})
    yield "MOVES an early warning counts", _set(machine, "MOVES", {**machine.MOVES, "warned": early})
    yield "MOVES an early warning is nothing", _set(machine, "MOVES", {**machine.MOVES, "warned": unseen})
    yield "KEPT_REDIRECTIONS is 1", _set(machine, "KEPT_REDIRECTIONS", 1)


def _without(module: object, name: str) -> Iterator[tuple[str, Patch]]:
    whole = getattr(module, name)
    for one in sorted(whole):
        yield f"{name} without {one}", _set(module, name, whole - {one})


def _others() -> Iterator[tuple[str, Patch]]:
    yield from _without(decide, "FLAGGED")
    yield from _without(decide, "VOID_FINISHES")
    yield from _without(tree, "LASTING")
    yield from _without(tree, "SIGNS")
    yield "every node is fresh", _set(tree.Tree, "fresh", lambda self, node: True)
    yield "fresh after a hold", _set(tree.Tree, "fresh", lambda self, node: node.number > self.floor)
    yield "fresh after an act", _set(tree.Tree, "fresh", lambda self, node: node.number > self.last_hold)
    yield "registers outlive an act", _set(tree.Tree, "registers", _registers_without_floor)
    yield "nothing is ended", _set(tree.Tree, "is_ended", lambda self, node: False)
    yield "only below the closing answer", _set(tree.Tree, "is_ended", lambda self, node: node in self.ended)
    yield "the counter stands", _set(acts, "_since_faint", lambda tree, node: tree.since_faint)
    yield "a claim counts", _set(acts, "told", _told_as_received)
    yield (
        "one witness is enough",
        _set(acts, "sign", lambda node: machine.Hold.SHOWN if node.risk_by else machine.Hold.NO),
    )
    for module in (acts, decide):
        yield (
            f"sign in {module.__name__} is never clear",
            _set(module, "sign", lambda node: machine.Hold.QUIET if node.risk_by else machine.Hold.NO),
        )


def _registers_without_floor(self: tree.Tree, node: str | None) -> Registers:
    return self.nodes[node].registers if node is not None else machine.EMPTY


def _told_as_received(before: tree.Tree, claim: acts.Claim, policy: Policy) -> acts.Events:
    message = acts.Message(text=claim.text, parent=claim.parent, readings=claim.readings, closing=acts.Text("x"))
    return acts.received(before, message, policy)


# What is not caught, and why. `A|B` stands for either.

UNREACHED: dict[str, str] = {
    "MESSAGES OPEN|WARNED|REQUESTED|ASKED|LAST_RESORT RISK": "a sign of risk holds before its message is judged",
    "MESSAGES OPEN|WARNED|REQUESTED|ASKED|LAST_RESORT|HELD|ENDED CLAIMED": "a claimed message is not judged, only read",
    "MESSAGES OPEN|WARNED|REQUESTED|LAST_RESORT|HELD CONFIRM": "only who was asked can confirm",
    "MESSAGES REQUESTED|LAST_RESORT BLIND|ASK|BAD|FLAG|CLEAR": "a void answer comes between",
    "MESSAGES HELD BAD": "while held the tree is frozen, and what is bad is flagged only",
    "MESSAGES ENDED RISK|BLIND|CONFIRM|ASK|BAD|FLAG|CLEAR": "a message on an ended path is refused before it is judged",
    "ANSWERS OPEN|WARNED|REQUESTED|ASKED|LAST_RESORT SUPPORT": "crisis help holds the tree before its answer is judged",
    "ANSWERS OPEN|WARNED|ASKED|LAST_RESORT|HELD|ENDED QUESTION": "only at REQUESTED an answer is a question",
    "ANSWERS ASKED END|VOID|WARN|REDIRECT|DECLINE|HELP": "only an answer can be ASKED, and nobody answers an answer",
    "ANSWERS ENDED END|SUPPORT|VOID|WARN|REDIRECT|DECLINE|HELP": "no message stands on an ended path",
    "REGISTERS RISK|CLAIMED END|SUPPORT|VOID|QUESTION|WARN|REDIRECT|DECLINE|HELP": "such a message is STILL",
    "REGISTERS STILL|BLIND|CONFIRM|ASK|BAD|FLAG|CLEAR END": "an end takes the registers before its message as they are",
    "REGISTERS BLIND|CONFIRM|ASK|BAD|FLAG|CLEAR SUPPORT": "crisis help holds first, and under a hold all is STILL",
    "REGISTERS BLIND|CONFIRM|BAD|FLAG|CLEAR QUESTION": "only who asks to close is REQUESTED",
}

_KINDS = "BLIND|BAD|FLAG|CLEAR"
_WORDS = "VOID|WARN|REDIRECT|DECLINE|HELP"

EQUIVALENT: dict[str, str] = {
    "MESSAGES HELD RISK|BLIND|ASK|FLAG|CLEAR REQUESTED|ASKED|LAST_RESORT|ENDED": "the rule not_held stops it too",
    f"ANSWERS HELD SUPPORT|{_WORDS} REQUESTED|ASKED|LAST_RESORT": "the rule not_held stops it too",
    "ANSWERS HELD END ENDED": "the rule not_held stops it too",
    f"MESSAGES OPEN {_KINDS} ENDED": "the rules asked_back and confirmed stop it too",
    "MESSAGES WARNED BLIND|FLAG|CLEAR ENDED": "the rules asked_back and confirmed stop it too",
    "MESSAGES ASKED BAD|FLAG|CLEAR ENDED": "the rule confirmed stops it too",
    f"MESSAGES OPEN {_KINDS} LAST_RESORT": "the rule warned stops it too",
    f"ANSWERS OPEN {_WORDS} LAST_RESORT": "the rule warned stops it too",
    "ANSWERS OPEN END ENDED": "the rule warned stops it too",
    "MESSAGES ASKED BLIND LAST_RESORT": "the rule all_read stops it too",
    "ANSWERS OPEN|WARNED|REQUESTED|HELD END =|REQUESTED|ASKED|LAST_RESORT|HELD": "only ENDED is looked for",
    "REGISTERS STILL SUPPORT declined|redirected|warned|calm": "a shown hold ends with a lift, which empties all",
    "NEEDS REQUESTED|ASKED|LAST_RESORT|user_request|persistent_harm without not_held": "the tables' row HELD does too",
    "RULES not_held is always True": "the tables' row HELD does too",
    "NEEDS ASKED without not_observed": "REQUESTED needs it already",
    "NEEDS persistent_harm without not_observed": "LAST_RESORT needs it already",
    "NEEDS ASKED without fresh": "a request that is not fresh is not REQUESTED any more",
    "NEEDS persistent_harm without fresh|unanswered": "such a message is not at LAST_RESORT any more",
    "RULES fresh|unanswered is always True": "the stage of the message says so too",
    "NEEDS LAST_RESORT|persistent_harm without warned": "only the row WARNED leads to LAST_RESORT",
    "RULES warned is always True": "only the row WARNED leads to LAST_RESORT",
    "NEEDS user_request without asked_back|confirmed": "the kind CONFIRM says so too",
    "RULES agreed is always True|False": "only where a witness was asked: test_judged.py",
    "RULES asked_back|confirmed is always True": "the kind CONFIRM says so too",
    "ANSWER_KINDS 3 DECLINE after WARN": "the text leaves open what a vendor's refusal with a warning in it is",
}


def names(table: dict[str, str]) -> dict[str, str]:
    """The table with every `A|B` written out."""
    found: dict[str, str] = {}
    for pattern, reason in table.items():
        for words in product(*(word.split("|") for word in pattern.split())):
            found[" ".join(words)] = reason
    return found


@cache
def reached() -> frozenset[tuple[str, str, str]]:
    """The cells that directed histories, a search of one branch and random trees look up."""
    with recorded(machine) as noted:
        _directed()
        search(Rules(2, 2, 1, 2), NARROW, merge=False)
        _judged()
        if WHOLE:
            search(Rules(2, 2, 1, 2), merge=False)
    return frozenset(noted)


def mutants() -> dict[str, Patch]:
    """Every change, by name, that touches something which is looked up."""
    dead = {f"{table} {row} {column} " for table in TABLES for row in ROWS[table] for column in COLUMNS[table]}
    dead -= {f"{table} {row} {column} " for table, row, column in reached()}
    cells = {name: patch for name, patch in _cells() if name[: name.rindex(" ") + 1] not in dead}
    return cells | dict(_rules()) | dict(_orders()) | dict(_moves()) | dict(_others())


def test_nothing_looks_up_the_cells_that_cannot_be_reached() -> None:
    every = {f"{table} {row} {column}" for table in TABLES for row in ROWS[table] for column in COLUMNS[table]}
    assert every - {" ".join(cell) for cell in reached()} == set(names(UNREACHED))


def test_every_cell_that_is_reached_has_a_history_of_its_own() -> None:
    told = {(cell.table, cell.row, cell.column) for cell in test_machine.CELLS}
    empty = {cell for cell in reached() if cell[2] == "END"}  # asked about at every close, filled once
    seldom = {("REGISTERS", "STILL", "QUESTION"), ("REGISTERS", "STILL", "SUPPORT")}  # only a search meets them
    assert reached() - empty - seldom == told


@pytest.mark.parametrize("part", range(8))
def test_every_change_is_caught_or_makes_no_difference(part: int) -> None:
    known = names(EQUIVALENT)
    for number, (name, patch) in enumerate(mutants().items()):
        if number % 8 == part and name not in known:
            assert caught(name, patch), f"nothing notices: {name}"


@pytest.mark.parametrize("part", range(4))
def test_no_change_is_said_to_make_no_difference_that_makes_one(part: int) -> None:
    """By default the directed histories look; with ADJOURN_SEARCH=whole the searches and random trees too."""
    every = mutants()
    for number, name in enumerate(names(EQUIVALENT)):
        if number % 4 == part:
            assert name in every, f"there is no such change any more: {name}"
            assert not caught(name, every[name], thorough=WHOLE), f"this is noticed: {name}"


def test_the_changes_are_many() -> None:
    every, same = mutants(), names(EQUIVALENT)
    print(f"{len(every)} changes: {len(every) - len(same)} are caught, {len(same)} make no difference")
    print(f"{len(names(UNREACHED))} cells are never looked up")
    assert len(every) - len(same) > 400
    assert len(same) < len(every) / 4
