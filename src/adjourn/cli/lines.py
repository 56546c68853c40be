"""Help lines: checked, and shown as a person there would see them."""

import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from adjourn.core.errors import CallerError
from adjourn.core.reading import RiskKind
from adjourn.host import lines
from adjourn.host.check_lines import Weight, check

OPEN: Mapping[bool | None, str] = {True: "open", False: "closed", None: "?"}


@click.group("lines")
def lines_group() -> None:
    """Check help lines, or show those of a country."""


@lines_group.command("check")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def lines_check(file: Path | None) -> None:
    """Say of each help line what is wrong with it, or old. Exit status 1 if anything is wrong.

    FILE: a file of the same form, instead of the one that comes with Adjourn. What is older than a year must be read
    again, but is no error; nor is a country with an emergency number and no line.
    """
    data = _read(file)
    found = list(check(data, date.today()))
    for finding in found:
        click.echo(f"{finding.weight:<6} {finding.about}: {finding.says}")
    count = Counter(finding.weight for finding in found)
    click.echo(f"{len(data.get('line', ()))} lines: {count[Weight.ERROR]} errors, {count[Weight.OLD]} old.")
    sys.exit(1 if count[Weight.ERROR] else 0)


def _read(file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads((file or lines.file()).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CallerError(f"{file or 'the help lines'}: {error}") from None


@lines_group.command("show")
@click.argument("country")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in RiskKind]), default=RiskKind.SELF.value, show_default=True
)
@click.option("--at", metavar="TIME", help="When, with its time zone: 2026-11-24T03:00+01:00. By default now.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines: the object that a client gets.")
def lines_show(country: str, kind: str, at: str | None, as_json: bool) -> None:
    """Show what a person in COUNTRY (two letters) would be shown. KIND: who is at risk."""
    shown = lines.support(kind, country, _time(at))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))
    else:
        for line in _shown(shown):
            click.echo(line)


def _time(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        raise CallerError(f"--at {at}: a time like 2026-11-24T03:00+01:00 is needed") from None


def _shown(shown: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'emergency':<10} {shown['emergency'] or 'no number is known'}"
    for line in shown["lines"]:
        opens = f"opens at {line['opens_at']}" if line["opens_at"] else ""
        ways = (line["dial"], line["text"] and f"text {line['text']}", line["chat"] and f"chat {line['chat']}")
        about = (line["name"], *ways, line["hours"], opens, line["url"])
        state = OPEN[line["open"]] if line["hours"] else "directory"
        yield f"{state:<10} {'  '.join(filter(None, about))}"
