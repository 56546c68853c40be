"""The rows that are learned from: our own, by many voices, and public ones that lie outside the project."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adjourn.signals.detector import Message

HERE = Path(__file__).parent
DATA, HELD = HERE / "data", HERE / "held"
PUBLIC = "ADJOURN_PUBLIC_DATA"
"""The environment variable with the folder of the public files."""


class MissingData(Exception):
    """Public files are missing, or are others than those with which the weights were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A labelled message: the last of `messages`, which has the ones before it as context.

    `labels`: what is known of it, by name; `weight`: how much it counts, where our own rows count 1.
    """

    id: str
    voice: str
    kind: str
    lang: str
    messages: Sequence[Message]
    labels: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def role(self) -> str:
        return self.messages[-1][0]

    @property
    def text(self) -> str:
        return self.messages[-1][1]


def ours(folder: Path = DATA) -> Iterator[Row]:
    """Yield the rows of a folder: a file is a voice."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield Row(
                id=row["id"],
                voice=path.stem,
                kind=row["kind"],
                lang=row["lang"],
                messages=[(message["role"], message["content"]) for message in row["messages"]],
                labels=row["labels"],
            )


def public(folder: Path) -> Iterator[Row]:
    """Yield the public rows that are learned from, as `public.toml` says.

    Raises MissingData, which names each file that is missing or is another one.
    """
    uses = tomllib.loads((HERE / "public.toml").read_text(encoding="utf-8"))
    wrong = [f"{folder / name}: {_fault(folder / name, use['sha256'])}" for name, use in uses.items()]
    if any(not problem.endswith(": ") for problem in wrong):
        raise MissingData("\n".join(problem for problem in wrong if not problem.endswith(": ")))
    for name, use in uses.items():
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if number % use["each"] == use.get("first", 0):
                yield from _public_rows(Path(name).stem, json.loads(line), use)


def _fault(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "is missing"
    return "" if hashlib.sha256(path.read_bytes()).hexdigest() == sha256 else "is not the file that was learned from"


def _public_rows(name: str, row: Mapping[str, Any], use: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what a public row says by its labels; of a whole conversation, each message."""
    messages = [(message["role"], message["content"]) for message in row["messages"]]
    labels = dict(use.get("all", {}))
    for label, values in use.get("where", {}).items():
        if str(row["labels"].get(label)).lower() not in values:
            continue
        labels |= values[str(row["labels"][label]).lower()]
    last = range(len(messages)) if use.get("messages") == "all" else range(len(messages) - 1, len(messages))
    for index in last:
        role, text = messages[index]
        told = {label: yes for label, yes in labels.items() if (label in use["of_users"]) == (role == "user")}
        if told and text.strip():
            yield Row(
                id=f"{row['id']}-{index}",
                voice=name,
                kind=f"public.{name}",
                lang="en",
                messages=messages[: index + 1],
                labels=told,
                weight=use["weight"],
            )
