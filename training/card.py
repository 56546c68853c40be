"""Write the model card: what is known of the detectors, and their figures on rows that nothing was learned from.

`python -m training.card` reads `held/` and the public files that `public.toml` does not name, or the other half of
those that it does; without these only our own rows.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adjourn.core.policy import Policy
from adjourn.lab.card import card_tables
from adjourn.lab.evaluate import Evaluated, Evaluation
from adjourn.lab.labelled import labelled_conversation, labelled_message
from adjourn.lab.outcomes import OutcomeEvaluation
from adjourn.lab.replay import Assistant
from adjourn.lab.report import outcome_lines
from adjourn.signals import Detectors, Lexical, local
from adjourn.signals.heads import Heads
from adjourn.signals.trained import Trained
from training.rows import HELD, HERE, PUBLIC

CARD = HERE.parent / "docs" / "model-card.md"
TEXT = HERE / "card.md"
"""What the card says beside its figures; `{messages}`, `{fallback}` and `{conversations}` are put in."""

ORDINARY = {"risk": None, "harmful": False, "abusive": False, "asks_end": False, "confirms_end": False}
SOURCES: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "prism.jsonl": (2, {**ORDINARY, "kind": "ordinary prompts"}),
    "self_instruct.jsonl": (2, {**ORDINARY, "kind": "ordinary prompts"}),
    "dangerousqa.jsonl": (1, {"harmful": True, "kind": "harmful questions"}),
    "tau_airline.jsonl": (1, {**ORDINARY, "declined": False, "supported": False, "kind": "a shop's customers"}),
}
"""Public files to test on: of every so manieth line the second one (the first is learned from), and what is true."""


def evaluated(detectors: Detectors, rows: Iterable[bytes]) -> Evaluated:
    """Return how labelled messages are seen."""
    evaluation = Evaluation(detectors)
    for number, row in enumerate(rows, 1):
        evaluation.add(labelled_message(row, number))
    return evaluation.result(0)


def held() -> Iterator[bytes]:
    """Yield our own rows for tests."""
    for path in sorted(HELD.glob("*.jsonl")):
        yield from path.read_bytes().splitlines()


def public(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the public rows for tests, by file; of what is missing nothing."""
    for name, (each, labels) in SOURCES.items():
        if (folder / name).is_file():
            lines = (folder / name).read_bytes().splitlines()
            rows = [json.loads(line) for number, line in enumerate(lines) if number % each == each - 1]
            yield Path(name).stem, [json.dumps({**row, "labels": labels}).encode() for row in rows]


def conversations(detectors: Detectors, assistant: Assistant) -> str:
    """Return what would have happened in our own conversations for tests."""
    outcomes = OutcomeEvaluation(detectors, Policy(), assistant)
    for path in sorted((HELD / "conversations").glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            outcomes.add(labelled_conversation(line, number))
    return "\n".join(outcome_lines(outcomes.result(0)))


def main() -> int:
    """Write the card."""
    folder = Path(os.environ.get(PUBLIC, HERE.parent.parent / "shared/data"))
    missing = [name for name in SOURCES if not (folder / name).is_file()]
    if missing:
        print(f"left out of the card, since they are not in {folder}: {', '.join(missing)}", file=sys.stderr)
    detectors = local()
    fallback = Detectors([Lexical(), Trained(Heads.read(), None)])
    sources = {"held": evaluated(detectors, held())}
    sources |= {name: evaluated(detectors, rows) for name, rows in public(folder)}
    text = TEXT.read_text(encoding="utf-8")
    worst, recorded = (conversations(detectors, assistant) for assistant in (Assistant.WORST, Assistant.RECORDED))
    tables = {
        "{messages}": card_tables(sources),
        "{fallback}": card_tables({"held": evaluated(fallback, held())}),
        "{worst}": worst,
        "{recorded}": recorded,
        "{version}": detectors.version,
    }
    for name, table in tables.items():
        text = text.replace(name, table.strip())
    CARD.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
