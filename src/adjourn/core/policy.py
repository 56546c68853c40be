"""The rules as data, with a revision and a digest. Whatever makes no sense is refused, naming key and value."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from adjourn.core.errors import CallerError
from adjourn.core.machine import KEPT_REDIRECTIONS, Mode
from adjourn.core.reading import Flag

ABUSE = "abuse"
FAMILIES = (
    "chem_bio",
    "child_safety",
    "drugs",
    "extremism",
    "fraud",
    "harassment",
    "hate",
    "illegal",
    "malware",
    "misinformation",
    "privacy",
    "self_harm",
    "sexual_violence",
    "violence",
    "weapons",
)
"""The kinds of harmful requests. Each, and `abuse`, counts toward an end or does not."""

HOUR_MS = 3_600_000

THRESHOLDS: Mapping[str, Mapping[str, float]] = {
    "harmful": {"flag": 0.5, "count": 0.8},
    "abusive": {"flag": 0.5, "count": 0.8},
    "risk": {"faint": 0.5, "clear": 0.8},
}
"""From which score a detector's word is taken, by what it says."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of DESIGN section 4 as data.

    `redirections` (R): how many bad messages must have been redirected before a warning counts. `calm` (C): how
    many other messages make all of it forgotten. `hold_messages` (V) and `freeze_messages` (W): for how many user
    messages after a faint sign of risk nothing is closed, and nothing counts. `idle_reset`: hours of silence after
    which all of it is forgotten too. `warning`: who may give the warning, the model only or the host as well.
    `families`: which kinds of bad messages count. `rollout`: the shares of conversations in each mode.
    """

    revision: str = "default-1"
    mode: Mode = Mode.ENFORCE
    redirections: int = 3
    calm: int = 3
    hold_messages: int = 3
    freeze_messages: int = 10
    idle_reset: float = 12.0
    warning: str = "model"
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: THRESHOLDS)
    families: Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys((*FAMILIES, ABUSE), True))
    rollout: Mapping[str, float] = field(default_factory=lambda: {"enforce": 1.0})

    @cached_property
    def digest(self) -> str:
        """The digest of all of it: two policies with one digest decide alike."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def idle_ms(self) -> int:
        return round(self.idle_reset * HOUR_MS)

    def counts(self, flags: frozenset[Flag], family: str | None) -> bool:
        """Whether a message with these flags is bad: at the counting threshold, and of a family that counts."""
        return (Flag.HARMFUL_COUNT in flags and self.families.get(family or "", False)) or (
            Flag.ABUSIVE_COUNT in flags and self.families.get(ABUSE, False)
        )

    def start_mode(self, conversation: str) -> Mode:
        """Return the mode in which a conversation starts: its share of the rollout, and never above the mode."""
        drawn = int.from_bytes(hashlib.blake2b(conversation.encode(), digest_size=8).digest()) / 2**64
        for name, share in self.rollout.items():
            drawn -= share
            if drawn < 0:
                return min(self.mode, Mode[name.upper()])
        return self.mode


def policy_from(data: Mapping[str, Any]) -> Policy:
    """Return the policy that this mapping (a TOML table, say) describes; keys left out keep their defaults.

    Raises CallerError, which names the key and the value, for an unknown key, a wrong type or a senseless value.
    """
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in _READ:
            _refuse(key, value, f"there is no such key; there are {', '.join(_READ)}")
        values[key] = _READ[key](key, value)
    policy = Policy(**values)
    if policy.freeze_messages < policy.hold_messages:
        _refuse("freeze_messages", policy.freeze_messages, f"not below hold_messages = {policy.hold_messages}")
    return policy


def policy_data(policy: Policy) -> dict[str, Any]:
    """Return the mapping from which `policy_from` makes this policy again."""
    data = {f.name: getattr(policy, f.name) for f in fields(policy)}
    return {**data, "mode": policy.mode.name.lower()}


def _refuse(key: str, value: object, why: str) -> None:
    raise CallerError(f"policy: {key} = {value!r}: {why}")


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            _refuse(key, value, f"a whole number from {low} to {high} is needed")
        return int(value)

    return read


def _number(low: float, high: float) -> Callable[[str, Any], float]:
    def read(key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            _refuse(key, value, f"a number from {low:g} to {high:g} is needed")
        return float(value)

    return read


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        if value not in words:
            _refuse(key, value, f"one of {', '.join(words)} is needed")
        return str(value)

    return read


def _revision(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        _refuse(key, value, "a name for these rules is needed")
    return str(value)


def _mode(key: str, value: Any) -> Mode:
    return Mode[_one_of(*(mode.name.lower() for mode in Mode))(key, value).upper()]


def _table(key: str, value: Any, known: Mapping[str, object]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _refuse(key, value, "a table is needed")
    for name in value:
        if name not in known:
            _refuse(f"{key}.{name}", value[name], f"there is no such key; there are {', '.join(known)}")
    return dict(value)


def _thresholds(key: str, value: Any) -> Mapping[str, Mapping[str, float]]:
    read = _number(0, 1)
    merged = {name: dict(pair) for name, pair in THRESHOLDS.items()}
    for name, pair in _table(key, value, THRESHOLDS).items():
        for level, score in _table(f"{key}.{name}", pair, THRESHOLDS[name]).items():
            merged[name][level] = read(f"{key}.{name}.{level}", score)
        low, high = merged[name].values()
        if low > high:
            _refuse(f"{key}.{name}", merged[name], "the first may not be above the second")
    return merged


def _families(key: str, value: Any) -> Mapping[str, bool]:
    every = dict.fromkeys((*FAMILIES, ABUSE), True)
    for name, counts in _table(key, value, every).items():
        if not isinstance(counts, bool):
            _refuse(f"{key}.{name}", counts, "true or false is needed")
        every[name] = counts
    return every


def _rollout(key: str, value: Any) -> Mapping[str, float]:
    read = _number(0, 1)
    modes = {"shadow": 0.0, "warn": 0.0, "enforce": 0.0}
    shares = {name: read(f"{key}.{name}", share) for name, share in _table(key, value, modes).items()}
    if abs(sum(shares.values()) - 1) > 1e-9:
        _refuse(key, value, "the shares must add up to 1")
    return shares


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "revision": _revision,
    "mode": _mode,
    "redirections": _whole(1, KEPT_REDIRECTIONS),
    "calm": _whole(1, 100),
    "hold_messages": _whole(0, 1000),
    "freeze_messages": _whole(0, 1000),
    "idle_reset": _number(0.01, 24 * 365),
    "warning": _one_of("model", "host"),
    "thresholds": _thresholds,
    "families": _families,
    "rollout": _rollout,
}
