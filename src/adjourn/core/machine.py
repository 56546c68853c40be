"""The machine: every stage, kind and register rule as a table, and the few lines that read them.

A promise is a missing cell: the column END has one filled cell, one cell leads to ASKED, one to an end by
consent, and none of HELD's leads to an end. `docs/machine.md` is drawn from these tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from adjourn.core.errors import Impossible


class Stage(StrEnum):
    """Where a branch stands."""

    OPEN = "OPEN"
    WARNED = "WARNED"
    REQUESTED = "REQUESTED"  # the person asked to close, and has not been asked back yet
    ASKED = "ASKED"  # the answer asked back
    LAST_RESORT = "LAST_RESORT"  # the model may be asked whether it wants to close
    HELD = "HELD"
    ENDED = "ENDED"


class UserKind(StrEnum):
    """What a user message is: the first of these that applies."""

    RISK = "RISK"
    CLAIMED = "CLAIMED"
    BLIND = "BLIND"
    CONFIRM = "CONFIRM"
    ASK = "ASK"
    BAD = "BAD"
    FLAG = "FLAG"
    CLEAR = "CLEAR"


class AnswerKind(StrEnum):
    """What an answer is: the first of these that applies."""

    END = "END"
    SUPPORT = "SUPPORT"
    VOID = "VOID"
    QUESTION = "QUESTION"
    WARN = "WARN"
    REDIRECT = "REDIRECT"
    DECLINE = "DECLINE"
    HELP = "HELP"


class Finish(StrEnum):
    """How an answer came to its end."""

    STOP = "stop"
    REFUSAL = "refusal"  # a vendor's refusal stop: it declines
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    PREFILLED = "prefilled"  # the client wrote its beginning
    UNREADABLE = "unreadable"
    CUT = "cut"  # failed or interrupted, and the person went on below the message
    CLAIMED = "claimed"  # this host did not produce it


class Hold(IntEnum):
    """P5: the tree is not held; held in silence; held with support shown. The higher is the stronger."""

    NO = 0
    QUIET = 1
    SHOWN = 2


class Mode(IntEnum):
    """How far Adjourn may go. The effective one is the lower of the conversation's start and now."""

    OFF = 0
    SHADOW = 1
    WARN = 2
    ENFORCE = 3


class Ground(StrEnum):
    """P2: the only two grounds of an end."""

    PERSISTENT_HARM = "persistent_harm"
    USER_REQUEST = "user_request"


class Guidance(StrEnum):
    """What the host may add for the model, at most one at a time (DESIGN, section 6)."""

    SUPPORT = "support"
    LEAVE_OPEN = "leave_open"
    CLOSE_YOURSELF = "close_yourself"
    ASK_BACK = "ask_back"
    MAY_WARN = "may_warn"
    REDIRECT = "redirect"


VOID_FINISHES = frozenset(Finish) - {Finish.STOP, Finish.REFUSAL}

KEPT_REDIRECTIONS = 20
"""The list `redirected` keeps the newest 20 (the policy's R is at most that), so that a turn costs the same
at any length."""


@dataclass(frozen=True, slots=True)
class Registers:
    """What an answer's node remembers of its branch.

    `redirected`: the bad user messages that were redirected, oldest first (k is its length); `warned`: the
    answer that warned; `calm`: user messages since the last bad one that was declined.
    """

    redirected: tuple[str, ...] = ()
    warned: str | None = None
    calm: int = 0

    @property
    def k(self) -> int:
        return len(self.redirected)


EMPTY = Registers()

SAME = "="
"""In a table: WARNED if the registers say warned, else OPEN."""
REFUSED = "refused"
"""In a table: the message is not taken."""


def _table(text: str) -> Mapping[tuple[str, str], str]:
    """Read a table: the first line names the columns, `.` is an empty cell, `A,B` is a row for each."""
    head, *rows = (line.split() for line in text.strip().splitlines())
    return {
        (row, column): cell
        for names, *cells in rows
        for row in names.split(",")
        for column, cell in zip(head[1:], cells, strict=True)
        if cell != "."
    }


# A clear sign of risk lifts the tree's ends before its message is looked up here: then the row is HELD.
MESSAGES = _table("""
stage   RISK     CLAIMED  BLIND    FLAG     CLEAR    CONFIRM  ASK        BAD
OPEN    HELD     =        =        =        =        .        REQUESTED  =
WARNED  HELD     =        =        =        =        .        REQUESTED  LAST_RESORT
ASKED   HELD     =        =        =        =        ENDED    REQUESTED  =
HELD    HELD     HELD     HELD     HELD     HELD     .        HELD       HELD
ENDED   refused  refused  refused  refused  refused  .        refused    refused
""")

ANSWERS = _table("""
stage              END    QUESTION  SUPPORT  VOID  WARN  REDIRECT  DECLINE  HELP
OPEN,WARNED,ASKED  .      .         HELD     =     =     =         =        =
LAST_RESORT        ENDED  .         HELD     =     =     =         =        =
REQUESTED          .      ASKED     HELD     =     =     =         =        =
HELD               .      .         HELD     HELD  HELD  HELD      HELD     HELD
""")

# STILL: a message that is CLAIMED or RISK, or received or answered while held, frozen or observe-only.
REGISTERS = _table("""
message                       WARN     REDIRECT    DECLINE   HELP  QUESTION  VOID  END  SUPPORT
STILL                         keep     keep        keep      keep  keep      keep  keep keep
BAD                           warned   redirected  declined  calm  calm      calm  keep keep
FLAG,CLEAR,ASK,CONFIRM,BLIND  calm     calm        calm      calm  calm      calm  keep keep
""")


@dataclass(frozen=True, slots=True)
class Weighed:
    """An answer at the moment when the registers move: the message it answers, its own node, and R and C."""

    message: str
    answer: str
    redirections: int
    calm: int


def _redirected(before: Registers, answer: Weighed) -> Registers:
    redirected = (*before.redirected, answer.message)[-KEPT_REDIRECTIONS:]
    return replace(before, redirected=redirected, calm=0)


def _warned(before: Registers, answer: Weighed) -> Registers:
    """A warning counts once k has reached R; an early one counts as a redirection."""
    if before.k < answer.redirections:
        return _redirected(before, answer)
    return replace(before, warned=answer.answer, calm=0)


def _calm(before: Registers, answer: Weighed) -> Registers:
    return EMPTY if before.calm + 1 >= answer.calm else replace(before, calm=before.calm + 1)


MOVES: Mapping[str, Callable[[Registers, Weighed], Registers]] = {
    "keep": lambda before, answer: before,
    "declined": lambda before, answer: replace(before, calm=0),
    "redirected": _redirected,
    "warned": _warned,
    "calm": _calm,
}


def same(registers: Registers) -> Stage:
    """Return the stage that the registers alone give."""
    return Stage.WARNED if registers.warned else Stage.OPEN


def after_message(stage: Stage, kind: UserKind, registers: Registers) -> Stage | None:
    """Return the stage that a user message asks for, or None where it is refused; an empty cell is Impossible."""
    cell = _cell(MESSAGES, stage, kind)
    return None if cell == REFUSED else same(registers) if cell == SAME else Stage(cell)


def after_answer(stage: Stage, kind: AnswerKind, registers: Registers) -> Stage:
    """Return the stage below an answer, given the registers after it; an empty cell is Impossible."""
    cell = _cell(ANSWERS, stage, kind)
    return same(registers) if cell == SAME else Stage(cell)


def may_end(stage: Stage) -> bool:
    """Whether the tables let an answer end the conversation at this stage."""
    return ANSWERS.get((stage, AnswerKind.END)) == Stage.ENDED


def moved(before: Registers, still: bool, message: UserKind, kind: AnswerKind, answer: Weighed) -> Registers:
    """Return the registers after an answer; `still` says that nothing about this message may count."""
    row = "STILL" if still else message
    return MOVES[_cell(REGISTERS, row, kind)](before, answer)


def _cell(table: Mapping[tuple[str, str], str], row: str, column: str) -> str:
    try:
        return table[row, column]
    except KeyError:
        raise Impossible(f"the machine has no cell for {column} at {row}") from None
