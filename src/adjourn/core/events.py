"""The closed union of facts. What a conversation is, is what these say, in their order; nothing else is kept.

Node, attempt and text ids are random strings from the host. `at` is Unix time in milliseconds. `digest` is a
salted digest of a text that lies beside the log, so that erasing text and salt keeps the log whole. `policy` is
the digest of the policy in force. `core` is the version of the rules that decided.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from adjourn.core.machine import AnswerKind, Finish, Ground, Guidance, Hold, Mode, Registers, Stage, UserKind
from adjourn.core.reading import Matter, Opinion, Reading, RiskKind

CORE_VERSION = "1"
"""The version of the rules. It rises with every change after which an old log would be decided otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The conversation began, with this mode and this R (`redirections`)."""

    scope: str
    external: str | None
    mode: Mode
    redirections: int
    at: int
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """A witness read the text `about` (a node, or a refused text)."""

    about: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A witness was asked about the branch that ends at `node`, and this came of it.

    `quote`: the text of what it cited, with its `digest`; neither where it cited nothing. `version`: its model.
    """

    node: str
    matter: Matter
    opinion: Opinion
    witness: str
    version: str
    quote: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserReceived:
    """This host received a user message as the newest of a request, and took it.

    `kind` and `stage` are settled here. `held`, `since_faint` (user messages since the newest faint sign, this one
    counted) and `frozen` are the tree's windows at this message. `before`: the registers that it starts from.
    """

    node: str
    parent: str | None
    digest: str
    at: int
    kind: UserKind
    stage: Stage
    observe_only: bool
    held: Hold
    since_faint: int | None
    frozen: bool
    before: Registers
    policy: str
    core: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The client says that this user message was sent; this host did not receive it. `kind` is CLAIMED or RISK."""

    node: str
    parent: str | None
    digest: str
    kind: UserKind
    before: Registers
    core: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A sign of risk in the text `about`, as `witnesses` saw it. A shown hold lifts all ends of the conversation."""

    level: Hold
    kind: RiskKind | None
    about: str
    witnesses: tuple[str, ...]
    core: str


class Guided(NamedTuple):
    """What was put into the upstream view behind a user message, verbatim, and how: developer, system or in_user."""

    form: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A try at an answer to `node` began, with this guidance.

    After a fork it is written again, with the guidance that was decided then.
    """

    attempt: str
    node: str
    guidance: Guidance | None
    guided: Guided | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """The conversation began as one of several that nothing tells apart, at `node` of its claimed history.

    `registers`: the smallest of theirs; `asked`: all were asked back there; `held`, `since_faint`: any was held.
    `of`: those conversations.
    """

    node: str
    registers: Registers
    asked: bool
    held: Hold
    since_faint: int | None
    of: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """This host's answer to `parent` went on with calls of the client's tools: a message of its own, no answer yet."""

    node: str
    parent: str
    attempt: str
    digest: str
    at: int


class Outcome(StrEnum):
    """How an attempt ended that brought no answer."""

    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt brought no answer: it settles nothing for its message. `digest`: of what came of it, if anything."""

    attempt: str
    outcome: Outcome
    digest: str = ""


class Verdict(StrEnum):
    """What the model said when it was asked whether it wants to close."""

    END = "END"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkReplied:
    """The model was asked for the first or the second time (`turn`) whether it wants to close."""

    attempt: str
    node: str
    turn: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to the user message `parent` (None: a claimed history that begins with the assistant).

    `after`: the registers below it. `added`: what the host appended to the model's words, by name.
    """

    node: str
    parent: str | None
    attempt: str | None
    digest: str
    at: int
    kind: AnswerKind
    finish: Finish
    stage: Stage
    after: Registers
    added: str | None
    policy: str
    core: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule, whether it held, and the messages that this rests on."""

    rule: str
    holds: bool
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy said at `node`: the tables asked for `wanted`, and `stage` is what the rules left of it."""

    node: str
    wanted: Stage
    stage: Stage
    rules: tuple[Checked, ...]
    policy: str
    core: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The conversation is closed below `answer`, which answers `node`. `turns` are the messages that it rests on."""

    answer: str
    node: str
    ground: Ground
    family: str | None
    turns: tuple[str, ...]
    receipt: str
    at: int
    policy: str
    core: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRead:
    """A message below an end was refused, and showed a sign of risk or could not be read."""

    text: str
    parent: str | None
    digest: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """A reviewer removed all ends of the conversation; a hold stays."""

    reason: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """A reviewer removed the hold of the conversation, and its freeze; ends stay."""

    reason: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """The texts, salts, look-up digests and quoted evidence of the conversation are gone."""

    at: int


Event = (
    Opened
    | Signals
    | Judged
    | UserReceived
    | Claimed
    | Inherited
    | Held
    | AttemptStarted
    | AttemptEnded
    | Step
    | ForkReplied
    | Answer
    | Decision
    | Ended
    | RefusedRead
    | Reopened
    | Lifted
    | Erased
)
