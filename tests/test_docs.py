"""The documentation says what is so."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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
