"""Draws the pages of docs/ that say what the code says: `make docs` writes them, `make check` compares them."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from adjourn.cli import main as commands
from adjourn.core import machine
from adjourn.core.decide import NEEDS, NEEDS_IF_JUDGED, RULES
from adjourn.core.machine import AnswerKind, Mode, Stage, UserKind
from adjourn.core.policy import Policy
from adjourn.settings import policy_toml
from adjourn.web.api import API
from adjourn.web.metrics import TABLE
from adjourn.web.refusals import SAYS

HERE = Path(__file__).parent
MADE = "<!-- Made by docs/generate.py from the code: change the code, then `make docs`. -->"


def table(rows: Mapping[tuple[str, str], str], corner: str) -> Iterator[str]:
    """A table of the machine in Markdown, as it stands in the code: an empty cell cannot happen."""
    names = list(dict.fromkeys(row for row, _ in rows))
    order = [*UserKind, *AnswerKind]
    columns = sorted({column for _, column in rows}, key=[str(kind) for kind in order].index)
    yield f"| {corner} | {' | '.join(columns)} |"
    yield "| --- " * (len(columns) + 1) + "|"
    for name in names:
        yield f"| {name} | {' | '.join(rows.get((name, column), '') for column in columns)} |"


def arrows() -> Iterator[str]:
    """The stage changes as a Mermaid diagram; what stays as it is (`=`, or the same stage) is left out."""
    moves: dict[tuple[str, str], list[str]] = {}
    for rows in (machine.MESSAGES, machine.ANSWERS):
        for (stage, kind), cell in rows.items():
            if cell not in (machine.SAME, machine.REFUSED, stage):
                moves.setdefault((stage, cell), []).append(kind)
    moves["OPEN", "WARNED"] = ["WARN after R redirections"]
    moves["ENDED", "HELD"] = ["clear RISK"]
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> OPEN"
    for (stage, cell), kinds in moves.items():
        yield f"    {stage} --> {cell}: {', '.join(dict.fromkeys(kinds))}"
    yield "```"


def machine_page() -> Iterator[str]:
    """docs/machine.md."""
    yield from ("# The machine", "", MADE, "")
    yield "`=` is WARNED if the branch has been warned, else OPEN. An empty cell cannot happen, and is refused."
    yield "A clear sign of risk holds, and lifts every end, before its message is looked up: then the row is HELD. What"
    yield "stands below an end is refused before it is looked up: the row ENDED says the same once more."
    yield from ("", *arrows())
    yield from ("", "## A user message", "", *table(machine.MESSAGES, "stage"))
    yield from ("", "## An answer", "", *table(machine.ANSWERS, "stage"))
    yield from ("", "## The registers of a branch", "")
    yield "STILL: a message that is CLAIMED or RISK, or received or answered while held, frozen or observe-only."
    yield from ("", *table(machine.REGISTERS, "message"), "", "## What each step nearer to an end needs", "")
    yield "| step | rule | promise | holds if |"
    yield "| --- | --- | --- | --- |"
    for step, rules in NEEDS.items():
        for rule in rules:
            yield f"| {step} | `{rule}` | {RULES[rule].promise} | {RULES[rule].says} |"
    for ground, rules in NEEDS_IF_JUDGED.items():
        for rule in rules:
            yield f"| {ground}, where witnesses are asked | `{rule}` | {RULES[rule].promise} | {RULES[rule].says} |"
    yield from ("", "## The kinds", "")
    for kinds in (Stage, UserKind, AnswerKind):
        yield f"- **{kinds.__name__}**: {', '.join(kinds)}"


MODES = {
    Mode.OFF: "Adjourn is not there: everything passes, and no store is opened.",
    Mode.SHADOW: "Messages are read and kept, and a sign of risk is recorded. Nothing is said to anybody.",
    Mode.WARN: "Besides: help lines, and help for the model to decline well. Nothing is closed, no notice given.",
    Mode.ENFORCE: "Besides: the notice, the question whether to close, and the end.",
}


def policy_page() -> Iterator[str]:
    """docs/policy.md."""
    yield from ("# The policy", "", MADE, "")
    yield "A TOML file; what is left out keeps its default. `adjourn policy check FILE` checks one, and"
    yield "`adjourn policy show` prints the rules in force. These are the defaults:"
    yield from ("", "```toml", policy_toml(Policy()).strip(), "```", "")
    yield from (line.strip() for line in (Policy.__doc__ or "").splitlines()[2:])
    yield from ("", "## Modes", "", "| mode | what it does |", "| --- | --- |")
    yield from (f"| `{mode.name.lower()}` | {says} |" for mode, says in MODES.items())


def commands_page() -> Iterator[str]:
    """docs/commands.md."""
    yield from ("# Commands", "", MADE)
    yield from help_of(commands, "adjourn")


def help_of(command: click.Command, name: str) -> Iterator[str]:
    """The help of a command and of those below it."""
    context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
    yield from ("", f"## {name}", "", "```", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for below, found in sorted(command.commands.items()):
            yield from help_of(found, f"{name} {below}")


def api_page() -> Iterator[str]:
    """docs/api.md."""
    described = API.openapi()
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    yield from ("# The API", "", MADE, "", described["info"]["description"], "")
    yield "Drawn from the server's own description, `GET /openapi.json` (OpenAPI 3.1), with all types."
    yield from ("", "| address | what it does |", "| --- | --- |")
    yield from (f"| `{address}` | {operation['summary']} |" for address, operation in operations)
    for address, operation in operations:
        yield from operation_of(address, operation, described)
    yield from ("", "## Refusals", "", "| status | code | when |", "| --- | --- | --- |")
    yield from (f"| {status} | {f'`{code}`' if code else 'null'} | {when} |" for status, (code, when) in SAYS.items())
    yield from ("", *(line.strip() for line in KEEPING.strip().splitlines()))


def operation_of(address: str, operation: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    """One address: what it takes, what it answers, and with which statuses."""
    yield from ("", f"## {address}", "", operation["description"])
    parameters = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    yield from [""] if parameters else []
    for one in parameters:
        said = one.get("description") or " or ".join(one["schema"].get("enum", ()))
        default = one["schema"].get("default")
        yield f"- `{one['name']}`: {said}{f'; by default {default}' if default is not None else ''}"
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield from ("", "Takes:", "", "```json", shown(schema, described), "```")
    status, answer = next(iter(operation["responses"].items()))
    yield from ("", f"Answers {status}:", "", "```json")
    yield shown(answer["content"]["application/json"]["schema"], described)
    yield from ("```", "", f"Or a refusal: {', '.join(sorted(list(operation['responses'])[1:]))}.")


def shown(schema: Mapping[str, Any], described: Mapping[str, Any]) -> str:
    """An example of this schema, as JSON that a person reads."""
    return json.dumps(example(schema, described), indent=2, ensure_ascii=False)


def example(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Any:
    """A value that this schema describes, from its own examples."""
    if "$ref" in schema:
        return example(described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], described)
    if "properties" in schema:
        return {name: example(field, described) for name, field in schema["properties"].items()}
    found = next((schema[key] for key in ("examples", "enum") if key in schema), [schema.get("const")])[0]
    if found is not None:
        return found
    if "anyOf" in schema:
        return example(schema["anyOf"][0], described)
    plain = {"array": [], "object": {}, "boolean": False, "integer": 1, "string": "…"}
    return [example(schema["items"], described)] if "items" in schema else plain.get(schema.get("type", ""))


KEEPING = """
    ## How long conversations are kept

    `adjourn serve --retention 30d` erases a conversation once its newest message is older than that: when the server
    starts, and then every hour. Its texts, their salts and look-up digests and the words of its feedback are gone; that
    there was a conversation, its receipts and what was decided stay, and `adjourn verify` still finds them whole. A
    conversation with a shown hold is erased as well; the hold stays. By default everything is kept, but for what
    a person deletes in their list of chats (erased after a quarter of an hour) and their temporary chats (erased 24
    hours after the last message). In
    mode off no store is opened, and so nothing is erased.
"""


def metrics_page() -> Iterator[str]:
    """docs/metrics.md."""
    yield from ("# The metrics", "", MADE, "")
    yield "What `GET /metrics` tells Prometheus, beside the numbers of the process. Times are in seconds. No label"
    yield "holds anything that a client wrote."
    for name, row in TABLE.items():
        yield from ("", f"## {name}", "", f"{row.says}.")
        yield from [""] if row.labels or row.buckets else []
        yield from (
            f"- `{label}`: {', '.join(values) or 'the HTTP status; 0 if the client was gone'}"
            for label, values in row.labels.items()
        )
        if row.buckets:
            yield f"- a histogram, with buckets up to {', '.join(map(str, row.buckets))} seconds"


BLOCK = re.compile(r"^```(jsonl|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def evaluate_page() -> Iterator[str]:
    """docs/evaluate.md: written by hand, but for what its commands answer to the rows above them."""
    rows = ""

    def answered(block: re.Match[str]) -> str:
        nonlocal rows
        if block[1] == "jsonl":
            rows = block[2]
            return block[0]
        command = block[2].partition("\n")[0]
        *arguments, _ = shlex.split(command.removeprefix("$ adjourn "))
        answer = CliRunner().invoke(commands, [*arguments, "-"], input=rows)
        return f"```console\n{command}\n{answer.output}```"

    yield BLOCK.sub(answered, (HERE / "evaluate.md").read_text(encoding="utf-8"))


PAGES = {
    "api.md": api_page,
    "machine.md": machine_page,
    "policy.md": policy_page,
    "commands.md": commands_page,
    "metrics.md": metrics_page,
    "evaluate.md": evaluate_page,
}


def generate(check: bool) -> bool:
    """Write the pages, or compare them; return whether they were as they should be."""
    good = True
    for name, page in PAGES.items():
        text = "\n".join(line.rstrip() for line in page()).strip() + "\n"
        path = HERE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            good = False
            print(f"docs/{name} {'differs from the code: run `make docs`' if check else 'written'}")
            if not check:
                path.write_text(text, encoding="utf-8")
    return good


if __name__ == "__main__":
    checking = "--check" in sys.argv
    sys.exit(0 if generate(checking) or not checking else 1)
