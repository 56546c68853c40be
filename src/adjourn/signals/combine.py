"""Several detectors as one witness: the highest score of each name counts; thresholds make flags of them."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from adjourn.core import policy
from adjourn.core.reading import Flag, Reading, RiskKind
from adjourn.signals.detector import Detector, Message, Seen

THRESHOLDS: Mapping[str, Mapping[str, float]] = {
    **policy.THRESHOLDS,
    "asks_end": {"flag": 0.5},
    "confirms_end": {"flag": 0.5},
    "declined": {"flag": 0.5},
    "redirected": {"flag": 0.5},
    "warned": {"flag": 0.5},
    "asked_to_confirm": {"flag": 0.5},
    "supported": {"flag": 0.5},
}
_FLAGS = {
    "flag": {name: Flag(name) for name in THRESHOLDS if name != "risk"},
    "count": {"harmful": Flag.HARMFUL_COUNT, "abusive": Flag.ABUSIVE_COUNT},
    "faint": {"risk": Flag.RISK},
    "clear": {"risk": Flag.RISK_CLEAR},
}
_T = TypeVar("_T")
_LOWER = {
    "count": "flag",
    "clear": "faint",
}  # what is over the one is over the other, whatever the thresholds


REMEMBERED = 4096
"""Of how many texts it is remembered how they were read."""

LONG = 8_192
"""What has more characters is read in a thread: meanwhile the loop goes on with other requests."""


class Detectors:
    """Reads a text with every detector. One that raises adds nothing, and is named in `Reading.failed`.

    `quick`: those that read what is told of earlier messages.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
        *,
        quick: "Detectors | None" = None,
    ) -> None:
        self._detectors = tuple(detectors)
        self._quick = quick
        self._thresholds = _merged(thresholds or {})
        self._version: str | None = None
        self._nothing: Reading | None = None
        self._remembered: OrderedDict[bytes, Reading] = OrderedDict()

    @property
    def version(self) -> str:
        """All detectors with their versions."""
        if self._version is None:
            self._version = "+".join(f"{one.name}-{one.version}" for one in self._detectors) or "none"
        return self._version

    def user(self, text: str, before: Sequence[Message] = ()) -> Reading:
        """Read a person's message."""
        if before:
            return self._read(lambda one: one.user(text, before))
        return self._once(b"user", text, lambda one: one.user(text, ()))

    def assistant(self, text: str) -> Reading:
        """Read an assistant's message."""
        return self._once(b"assistant", text, lambda one: one.assistant(text))

    def told(self, text: str, *, user: bool) -> Reading:
        """Read a message of which a client tells that it was said: by the quick detectors, if there are such.

        A whole history may be told at once, and is no evidence but for risk.
        """
        quick = self._quick or self
        return quick.user(text) if user else quick.assistant(text)

    async def heard(self, said: str) -> Reading:
        """Read an assistant's message as `assistant` does; nobody else waits for a long one."""
        return self.assistant(said) if len(said) <= LONG else await asyncio.to_thread(self.assistant, said)

    def _once(self, role: bytes, text: str, ask: Callable[[Detector], Seen]) -> Reading:
        """Read a text by itself, or remember how it was read: clients tell the same histories again and again.

        Nothing is remembered of its words but their digest.
        """
        key = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16, person=role).digest()
        reading = self._remembered.get(key)
        if reading is None:
            reading = self._read(ask)
            if not reading.failed:
                self._remembered[key] = reading
                if len(self._remembered) > REMEMBERED:
                    self._remembered.popitem(last=False)
        return reading

    def _read(self, ask: Callable[[Detector], Seen]) -> Reading:
        seen, failed = [], []
        for one in self._detectors:
            try:
                answer = ask(one)
            except Exception:
                failed.append(one.name)
            else:
                if answer.scores:
                    seen.append(answer)
        if not seen and not failed:
            if self._nothing is None:
                self._nothing = Reading(version=self.version)
            return self._nothing
        return self._reading(seen, tuple(failed))

    def _reading(self, seen: Sequence[Seen], failed: tuple[str, ...]) -> Reading:
        scores = {name: max(one.scores.get(name, 0.0) for one in seen) for one in seen for name in one.scores}
        flags = {
            _FLAGS[level][name]
            for name, score in scores.items()
            for over, bound in self._thresholds.get(name, {}).items()
            if score >= bound
            for level in (over, _LOWER.get(over, over))
        }
        family = _of_the_surest(seen, "harmful", lambda one: one.family) or "unknown"
        kind = _of_the_surest(seen, "risk", lambda one: one.risk_kind) or RiskKind.SELF
        return Reading(
            version=self.version,
            flags=frozenset(flags),
            scores=scores,
            family=family if Flag.HARMFUL in flags else None,
            risk_kind=kind if Flag.RISK in flags else None,
            failed=failed,
        )


def _of_the_surest(seen: Sequence[Seen], name: str, of: Callable[[Seen], _T | None]) -> _T | None:
    told = [(one.scores.get(name, 0.0), -place, of(one)) for place, one in enumerate(seen) if of(one) is not None]
    return max(told, key=lambda entry: entry[:2])[2] if told else None


def _merged(given: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    for name, levels in given.items():
        unknown = set(levels) - set(THRESHOLDS.get(name, ()))
        if name not in THRESHOLDS or unknown:
            raise ValueError(f"no such threshold: {name} {', '.join(sorted(unknown))}".rstrip())
    return {name: {**levels, **given.get(name, {})} for name, levels in THRESHOLDS.items()}
