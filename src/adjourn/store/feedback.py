"""What people said, to be read elsewhere: lines of JSON, or a table."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields

import msgspec

from adjourn.store.export import exported_time
from adjourn.store.interface import Feedback

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a text for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""


def feedback_lines(found: Iterable[Feedback]) -> Iterator[bytes]:
    """Yield a line of JSON for each; its time is in UTC (RFC 3339)."""
    for said in found:
        yield msgspec.json.encode({**asdict(said), "at": exported_time(said.at)}) + b"\n"


def feedback_csv(found: Iterable[Feedback]) -> str:
    """Return a table with a head (RFC 4180), reasons in one cell; what looks like a formula gets an apostrophe."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([field.name for field in fields(Feedback)])
    for said in found:
        row = {**asdict(said), "reasons": " ".join(said.reasons), "at": exported_time(said.at)}
        writer.writerow([_harmless(value) for value in row.values()])
    return table.getvalue()


def _harmless(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(FORMULA) else text
