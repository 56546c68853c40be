"""What is counted and timed, in the form of Prometheus (https://prometheus.io/docs/practices/naming/).

Every label has a small, closed set of values: no model's name, no id, nothing that a client wrote.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from adjourn.core.events import (
    Answer,
    AttemptEnded,
    AttemptStarted,
    Ended,
    Event,
    ForkReplied,
    Held,
    Judged,
    Outcome,
    Verdict,
)
from adjourn.core.machine import AnswerKind, Finish, Ground, Guidance, Hold
from adjourn.core.reading import Matter, Opinion
from adjourn.signals.remote.heard import Came
from adjourn.upstream.witnesses import KINDS as WITNESSES
from adjourn.web.addresses import ADDRESSES, AREAS, NO_WIRE, OTHER, WIRES

# When each counter began would be half of the page, and is the start of the process.
disable_created_metrics()  # type: ignore[no-untyped-call]

QUESTIONS = ("answer", "fork", "other")
"""What the model's API is asked: for an answer, whether to close, or something that is passed through."""

FAULTS = ("late", "unreachable", "broke_off", "status_3xx", "status_4xx", "status_5xx")
OUTCOMES = ("answered", *(f"closed_{ground}" for ground in Ground), "refused", *Outcome)
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
FIRST_BYTE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class Row(NamedTuple):
    """A metric: what it says, its labels with all their values, and the buckets of one that is timed."""

    says: str
    labels: Mapping[str, Sequence[str]] = {}
    buckets: Sequence[float] = ()


REQUESTS = "adjourn_requests_total"
TURNS = "adjourn_turns_total"
GUIDANCE = "adjourn_guidance_total"
HOLDS = "adjourn_holds_total"
FORKS = "adjourn_forks_total"
WITNESS_QUESTIONS = "adjourn_witness_questions_total"
OPINIONS = "adjourn_opinions_total"
UPSTREAM_FAULTS = "adjourn_upstream_faults_total"
UNBOUND_RETRIES = "adjourn_upstream_unbound_retries_total"
FIRST_BYTE = "adjourn_upstream_first_byte_seconds"
COMMIT_FAILURES = "adjourn_store_commit_failures_total"
UNJUDGED = "adjourn_unjudged_total"
COMMITS = "adjourn_store_commit_seconds"
ADDED = "adjourn_gateway_seconds"

TABLE: Mapping[str, Row] = {
    REQUESTS: Row(
        "Requests that were answered",
        {
            "wire": (*WIRES.values(), NO_WIRE),
            "address": (*ADDRESSES, *(f"/{area}/..." for area in AREAS), OTHER),
            "status": (),
        },
    ),
    TURNS: Row("Turns by what came of them; refused: below an end", {"outcome": OUTCOMES}),
    GUIDANCE: Row("Guidance put in for the model", {"kind": tuple(Guidance)}),
    HOLDS: Row("Signs of risk that held a conversation", {"level": ("quiet", "shown")}),
    FORKS: Row("Questions whether to close, by what came of them", {"verdict": tuple(Verdict)}),
    WITNESS_QUESTIONS: Row(
        "Questions to witnesses elsewhere, by the kind of witness and how it went",
        {"kind": WITNESSES, "came": tuple(Came)},
    ),
    OPINIONS: Row(
        "What witnesses elsewhere said when something waited for them, by what it was",
        {"matter": tuple(Matter), "opinion": tuple(Opinion)},
    ),
    UPSTREAM_FAULTS: Row(
        "Questions to the model's API that went wrong, by what was asked and how",
        {"question": QUESTIONS, "kind": FAULTS},
    ),
    UNBOUND_RETRIES: Row(
        "Requests asked once more, because the vendor said that a thinking block is bound to another conversation"
    ),
    FIRST_BYTE: Row(
        "From a question to the model's API to the first byte of the answer's body",
        {"question": QUESTIONS},
        FIRST_BYTE_SECONDS,
    ),
    COMMIT_FAILURES: Row("Commits that the store failed"),
    UNJUDGED: Row(
        "What passed although it could not be kept: a message, unjudged, or the answer to one that was judged",
        {"what": ("message", "answer")},
    ),
    COMMITS: Row("From a commit to when it was durable", buckets=SECONDS),
    ADDED: Row(
        "What the gateway itself adds: before the model is first asked, and after its last byte",
        {"when": ("before", "after")},
        SECONDS,
    ),
}

_NO_ANSWERS = frozenset({Finish.CUT, Finish.CLAIMED})


def _guided(event: AttemptStarted) -> tuple[str, ...] | None:
    return (GUIDANCE, event.guidance) if event.guidance is not None and event.guided is not None else None


def _answered(event: Answer) -> tuple[str, ...] | None:
    counts = event.kind is not AnswerKind.END and event.finish not in _NO_ANSWERS
    return (TURNS, "answered") if counts else None


_COUNTED: Mapping[type[Event], Callable[[Any], tuple[str, ...] | None]] = {
    AttemptStarted: _guided,
    Answer: _answered,
    AttemptEnded: lambda event: (TURNS, event.outcome),
    Ended: lambda event: (TURNS, f"closed_{event.ground}"),
    Held: lambda event: (HOLDS, "shown" if event.level is Hold.SHOWN else "quiet"),
    ForkReplied: lambda event: (FORKS, event.verdict),
    Judged: lambda event: (OPINIONS, event.matter, event.opinion),
}
"""Under which metric, and which values of its labels, a fact is counted."""


class Metrics:
    """One server's metrics. Its methods are named after what happened."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counts: dict[tuple[str, ...], Counter] = {}
        self._times: dict[tuple[str, ...], Histogram] = {}
        self._requests = Counter(REQUESTS, TABLE[REQUESTS].says, TABLE[REQUESTS].labels, registry=self.registry)
        for name, row in TABLE.items():
            if name != REQUESTS:
                self._add(name, row)

    def _add(self, name: str, row: Row) -> None:
        """Make a metric, with all values of its labels at nought."""
        for_each = [(name, *values) for values in product(*row.labels.values())]
        if row.buckets:
            timed = Histogram(name, row.says, row.labels, buckets=row.buckets, registry=self.registry)
            self._times |= {key: timed.labels(*key[1:]) if row.labels else timed for key in for_each}
        else:
            counted = Counter(name, row.says, row.labels, registry=self.registry)
            self._counts |= {key: counted.labels(*key[1:]) if row.labels else counted for key in for_each}

    def answered(self, wire: str, address: str, status: int) -> None:
        """Count a request that was answered."""
        key = wire, address, str(status)
        counter = self._counts.get(key)
        if counter is None:
            counter = self._counts[key] = self._requests.labels(*key)
        counter.inc()

    def refused(self) -> None:
        """Count a message that was refused below an end."""
        self._counts[TURNS, "refused"].inc()

    def committed(self, events: Sequence[Event], seconds: float) -> None:
        """Count what a commit put on record."""
        self._times[COMMITS,].observe(seconds)
        for event in events:
            counted = _COUNTED.get(type(event))
            key = counted(event) if counted is not None else None
            if key is not None:
                self._counts[key].inc()

    def commit_failed(self) -> None:
        """Count a commit that the store failed."""
        self._counts[COMMIT_FAILURES,].inc()

    def unjudged(self, what: str) -> None:
        """Count a message or an answer that passed although it could not be kept."""
        self._counts[UNJUDGED, what].inc()

    def upstream_failed(self, question: str, kind: str) -> None:
        """Count a question to the model's API that went wrong."""
        self._counts[UPSTREAM_FAULTS, question, kind].inc()

    def witness_asked(self, kind: str, came: Came) -> None:
        """Count a question to a witness elsewhere."""
        self._counts[WITNESS_QUESTIONS, kind, came].inc()

    def unbound_retried(self) -> None:
        """Count a request that was asked once more without its bound thinking blocks."""
        self._counts[UNBOUND_RETRIES,].inc()

    def first_byte(self, question: str, seconds: float) -> None:
        """Note how long the model's API took to its first byte."""
        self._times[FIRST_BYTE, question].observe(seconds)

    def added_before(self, seconds: float) -> None:
        """Note what the gateway took until the model was first asked."""
        self._times[ADDED, "before"].observe(seconds)

    def added_after(self, seconds: float) -> None:
        """Note what the gateway took after the model's last byte."""
        self._times[ADDED, "after"].observe(seconds)

    def page(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return generate_latest(self.registry)
