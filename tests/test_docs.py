"""The documentation says what is so."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adjourn.core.policy import Policy
from adjourn.host.words import words
from adjourn.settings import SETTINGS
from adjourn.web.serve import Serving, application
from tests.models import serving

ROOT = Path(__file__).parent.parent
DOCS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_library_page_does_what_it_says() -> None:
    program, expected = code_blocks((ROOT / "docs" / "library.md").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    exec(compile(program, "library.md", "exec"), names)
    assert names["stages"] == ast.literal_eval(expected)
    last = names["last"]
    assert getattr(last, "refused", False)
    assert getattr(last, "receipt", None) is not None


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_generated_pages_are_those_that_the_code_gives() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize("number", range(1, 14))
def test_every_promise_names_the_code_that_keeps_it_and_its_tests(number: int) -> None:
    section = re.search(rf"^## P{number} .*?(?=^## |\Z)", PROMISES, re.DOTALL | re.MULTILINE)
    assert section, f"P{number} is missing"
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    kept = re.findall(r"`(src/[\w/]+\.py)`: `([\w.]+)`", section[0])
    assert kept, f"P{number} names no code"
    for file, name in kept:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{re.escape(part)}\b", source) for part in name.split(".")), (file, name)
    named = re.findall(r"`(test_\w+)`", section[0])
    assert named, f"P{number} names no test"
    for name in named:
        assert f"def {name}(" in tests, name
    assert any(name.startswith(f"test_p{number:02}_") for name in named), f"no test is named after P{number}"


def test_every_dependency_has_a_sentence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "decisions").glob("*.md"))
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name = re.split(r"[<>=;\[ ]", requirement)[0]
        assert f"`{name}`" in said, name


def test_constraints_pin_exact_versions_and_name_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "://" not in "".join(lines)


def test_the_readme_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "adjourn", "--help"], capture_output=True, check=True)
    commands = re.findall(r"^  (\w+) ", done.stdout.decode().partition("Commands:")[2], re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert commands
    assert [
        command for command in commands if f"`{command}`" not in readme and f"adjourn {command}" not in readme
    ] == []


def test_the_page_on_evaluating_shows_what_its_commands_say_of_its_rows() -> None:
    page = (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8")
    for rows, shown in zip(code_blocks(page, "jsonl"), code_blocks(page, "console"), strict=True):
        command, _, said = shown.partition("\n")
        *arguments, _ = command.removeprefix("$ adjourn ").split()
        done = subprocess.run(
            [sys.executable, "-m", "adjourn", *arguments], input=rows.encode(), capture_output=True, check=True
        )
        assert done.stdout.decode() == said
        assert done.stderr == b""


@pytest.mark.parametrize("page", ["openai-sdk", "anthropic-sdk"])
def test_the_page_on_a_vendors_client_does_what_it_says(page: str) -> None:
    program, streaming = code_blocks((ROOT / "docs" / "connect" / f"{page}.md").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    with serving(application(Serving(db="memory:", policy=Policy()))) as url:
        for block in (program, streaming):
            exec(compile(block.replace("http://127.0.0.1:8080", url), f"{page}.md", "exec"), names)
        names["client"].close()
    stages = [(adjourn or {}).get("stage") for _, adjourn in names["told"]]
    assert stages == [None, None, None, "WARNED", "ENDED", "ENDED"]
    assert names["told"][4][1]["receipt"].startswith("AJ-")
    assert names["told"][5][0] == words()["refusal"]
    assert len(names["messages"]) == 10
    streamed = names.get("streamed") or [(names.get("words"), names.get("adjourn"))]
    assert "".join(said for said, _ in streamed)
    assert [adjourn for _, adjourn in streamed if adjourn] == []


def test_every_page_on_connecting_says_the_sentence_that_a_person_reads_and_is_listed() -> None:
    listed = (ROOT / "docs" / "connect" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs" / "connect").glob("*.md"):
        assert words()["refusal"] in path.read_text(encoding="utf-8"), path
        assert path.name in listed or path.name == "README.md"


def test_the_container_file_sets_settings_that_exist_runs_as_nobody_else_and_asks_for_its_health() -> None:
    written = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    settings = [name.lower().replace("_", "-") for name in re.findall(r"ADJOURN_(\w+)=", written)]
    assert settings
    assert set(settings) <= set(SETTINGS)
    assert all("/" not in image for image in re.findall(r"^FROM (\S+)", written, re.MULTILINE))
    assert re.search(r"^USER [1-9]\d*$", written, re.MULTILINE)
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", written, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
    health = json.loads(re.search(r"HEALTHCHECK .*\\\n\s+CMD (.+)", written)[1])  # type: ignore[index]
    with serving(application(Serving(db="memory:", policy=Policy()))) as url:
        port = url.rpartition(":")[2]
        for at, status in ((port, 0), ("9", 1)):
            command = [sys.executable, *health[1:]]
            done = subprocess.run(command, env={"ADJOURN_PORT": at}, capture_output=True, timeout=60, check=False)
            assert done.returncode == status, done.stderr
