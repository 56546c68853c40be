"""The list of chats in a real browser, in front of a real server with the demo assistant."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server, in a process of its own."""
    db = tmp_path_factory.mktemp("list") / "list.db"
    command = [sys.executable, "-m", "adjourn", "serve", "--port", "0", "--db", f"sqlite:///{db}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().split()[-1]
        process.terminate()


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with chromium(pytestconfig) as started:
        yield started


def say(context: BrowserContext, server: str, text: str) -> str:
    """Begin a chat with this message; return its id."""
    body = {"model": "adjourn-demo", "messages": [{"role": "user", "content": text}]}
    answer = context.request.post(f"{server}/v1/chat/completions", data=body)
    assert answer.ok, answer.text()
    return answer.headers["adjourn-conversation"]


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def page(request: pytest.FixtureRequest, browser: Browser, server: str) -> Iterator[Page]:
    """The list of a new browser profile with three chats; whatever the page complains about fails the test."""
    context = browser.new_context(java_script_enabled=request.param, timezone_id="Asia/Tokyo")
    opened, complaints = context.new_page(), []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    context.request.get(server)
    for text in ("hello bread", "hello cake", "<img src=x onerror=alert(1)>"):
        say(context, server, text)
    opened.goto(f"{server}/chats")
    yield opened
    context.close()
    assert complaints == []


def titles(page: Page, *expected: str) -> None:
    expect(page.locator(".list-link")).to_have_text(list(expected))


def more(page: Page, title: str) -> None:
    page.get_by_label(f"More about {title}").click()


BREAD, CAKE, IMG = "hello bread", "hello cake", "<img src=x onerror=alert(1)>"


def test_a_chat_is_renamed_and_pinned_where_it_stands(page: Page) -> None:
    titles(page, IMG, CAKE, BREAD)
    more(page, BREAD)
    page.locator("[data-chat]", has_text=BREAD).get_by_label("Title").fill("Loaf")
    page.keyboard.press("Enter")
    titles(page, IMG, CAKE, "Loaf")
    more(page, "Loaf")
    page.locator("[data-chat]", has_text="Loaf").get_by_role("button", name="Pin").click()
    titles(page, "Loaf", IMG, CAKE)
    expect(page.locator(".list h2")).to_have_text(["Pinned", "Today"])


def test_a_deleted_chat_can_be_had_back(page: Page) -> None:
    more(page, CAKE)
    page.locator("[data-chat]", has_text=CAKE).get_by_role("button", name="Delete").click()
    titles(page, IMG, BREAD)
    expect(page.locator(".list-toast")).to_contain_text("hello cake is deleted.")
    page.get_by_role("button", name="Undo").click()
    titles(page, IMG, CAKE, BREAD)
    expect(page.locator(".list-toast")).to_have_count(0)


def test_the_search_finds_words(page: Page) -> None:
    box = page.get_by_label("Search chats")
    box.fill("bre")
    box.press("Enter")
    titles(page, BREAD)
    box.fill("nowhere")
    box.press("Enter")
    expect(page.locator(".list")).to_contain_text("No chat with these words.")


def test_what_stands_in_a_title_is_shown_as_text(page: Page) -> None:
    expect(page.locator(".list img, .list script")).to_have_count(0)


@pytest.mark.parametrize("page", [True], indirect=True)
def test_scripts_search_while_one_types_and_escape_takes_the_search_back(page: Page) -> None:
    box = page.get_by_label("Search chats")
    box.press_sequentially("cak")
    titles(page, CAKE)
    expect(page.locator("[data-list=status]")).to_have_text("1 chat found")
    box.press("Escape")
    titles(page, IMG, CAKE, BREAD)


@pytest.mark.parametrize("page", [True], indirect=True)
def test_the_page_is_told_of_a_new_and_a_temporary_chat_and_tells_of_a_change(page: Page, server: str) -> None:
    page.evaluate("""() => {
        for (const name of ["adjourn:new", "adjourn:temporary", "adjourn:deleted"])
            document.addEventListener(name, (event) => {
                event.preventDefault();
                document.documentElement.dataset.told = name;
            });
    }""")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator("html")).to_have_attribute("data-told", "adjourn:new")
    page.get_by_role("button", name="Temporary chat").click()
    expect(page.locator("html")).to_have_attribute("data-told", "adjourn:temporary")
    chat = say(page.context, server, "and soup")
    page.evaluate(
        "chat => document.dispatchEvent(new CustomEvent('adjourn:changed', { detail: { current: chat } }))", chat
    )
    titles(page, "and soup", IMG, CAKE, BREAD)
    expect(page.locator("[aria-current=page]")).to_have_text("and soup")


@pytest.mark.parametrize("page", [True], indirect=True)
def test_the_keyboard_leads_through_the_menu_of_a_chat_and_back(page: Page) -> None:
    summary = page.get_by_label(f"More about {CAKE}")
    summary.press("Enter")
    expect(page.locator("[data-chat]", has_text=CAKE).get_by_label("Title")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(page.locator("[data-chat]", has_text=CAKE).get_by_label("Title")).to_be_hidden()


@pytest.mark.parametrize("page", [True], indirect=True)
def test_the_list_goes_on_where_it_stopped_under_the_same_day(page: Page, server: str) -> None:
    for number in range(30):
        say(page.context, server, f"hello {number}")
    page.reload()
    expect(page.locator(".list-link")).to_have_count(30)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".list-link")).to_have_count(33)
    expect(page.locator(".list h2")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("page", [True], indirect=True)
def test_the_list_fits_the_width_of_a_phone_and_of_a_desk(page: Page, width: int, scheme: str, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    more(page, CAKE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / f"list-{width}-{scheme}.png")
