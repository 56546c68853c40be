"""A real browser in front of real servers, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium
from tests.models import serving
from tests.page.model import Model

SETTINGS = """
[upstream.stub]
wire = "openai_chat"
url = "{url}/v1"
models = ["calm", "other"]
"""


@contextmanager
def served(db: Path, settings: Path | None = None) -> Iterator[str]:
    """Run `adjourn serve`, and give its address."""
    named = ["--settings", str(settings)] if settings else []
    options = ["--port", "0", "--db", f"sqlite:///{db}", "--country", "IT"]
    command = [sys.executable, "-m", "adjourn", *named, "serve", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().split()[-1]
        process.terminate()


@pytest.fixture(scope="module")  # no longer: while it runs, no other test has a loop of its own
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with chromium(pytestconfig) as started:
        yield started


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the demo assistant."""
    with served(tmp_path_factory.mktemp("page") / "demo.db") as url:
        yield url


@pytest.fixture(scope="session")
def model() -> Model:
    return Model()


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[tuple[str, str]]:
    """The addresses of two processes with one database, in front of the model."""
    folder = tmp_path_factory.mktemp("page")
    with ExitStack() as stack:
        url = stack.enter_context(serving(model.app))
        settings = folder / "settings.toml"
        settings.write_text(SETTINGS.format(url=url), encoding="utf-8")
        db = folder / "two.db"
        yield stack.enter_context(served(db, settings)), stack.enter_context(served(db, settings))


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A new browser profile; whatever a page of it complains about fails the test."""
    opened, complaints = browser.new_context(), list[str]()
    opened.on("weberror", lambda error: complaints.append(str(error.error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield opened
    opened.close()
    assert [text for text in complaints if "409 (Conflict)" not in text] == []


@pytest.fixture
def page(context: BrowserContext, demo: str) -> Page:
    """The page in front of the demo assistant."""
    return at(context, demo)


@pytest.fixture
def chat(context: BrowserContext, two: tuple[str, str]) -> Page:
    """The page in front of the model."""
    return at(context, two[0])


def at(context: BrowserContext, url: str) -> Page:
    """A new tab at this address, whose scripts run."""
    opened = context.new_page()
    opened.goto(url)
    expect(opened.locator("html[data-ready]")).to_be_attached()
    return opened


def say(page: Page, text: str, answers: int) -> None:
    """Write a message and wait until there are so many answers, the last of them whole."""
    page.fill("#box", text)
    page.press("#box", "Enter")
    expect(page.locator("article.assistant")).to_have_count(answers)
    expect(page.locator("[aria-busy]")).to_have_count(0)


def close(page: Page) -> None:
    """Have the chat closed at the person's request; the demo and the model both do."""
    say(page, "Please close this chat for good.", 1)
    page.get_by_role("button", name="Close this chat").click()
    expect(page.locator("#closed")).to_be_visible()


def fields(page: Page) -> dict[str, str | float | bool]:
    """What the page's composer sends beside the text."""
    return {
        str(field.get_attribute("name")): field.get_attribute("value") or ""
        for field in page.locator("#composer input").all()
    }
