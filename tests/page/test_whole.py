"""The application as a whole: what each state looks like to axe, and what the parts do for one another."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from adjourn.host.words import said
from tests.page.conftest import at, close, say

TITLES = ".list-link"


@contextmanager
def opened(browser: Browser, url: str, width: int = 1280, *, dark: bool = False) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", locale="en-US"
    )
    yield at(context, url)
    context.close()


def looks_well(page: Page, state: str, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width, state
    found = Axe().run(page)
    assert found.violations_count == 0, f"{state}: {found.generate_report()}"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_any_state_of_a_chat(width: int, dark: bool, browser: Browser, demo: str) -> None:
    with opened(browser, demo, width, dark=dark) as page:
        looks_well(page, "empty", width)
        say(page, "thanks", 1)
        looks_well(page, "answer", width)
        page.click("#more")
        page.click("#menu summary")
        looks_well(page, "menu", width)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        expect(page.locator(TITLES)).to_have_count(1)
        looks_well(page, "list", width)
        page.keyboard.press("Escape")
        page.keyboard.press("Control+Shift+O")
        expect(page.locator("article")).to_have_count(0)
        say(page, "I want to die", 1)
        looks_well(page, "card", width)
        page.keyboard.press("Control+Shift+O")
        expect(page.locator("article")).to_have_count(0)
        close(page)
        looks_well(page, "closed", width)


def test_the_list_follows_what_happens_in_the_chat_and_in_other_tabs(chat: Page, two: tuple[str, str]) -> None:
    say(chat, "say: one", 1)
    expect(chat.locator(TITLES)).to_have_text(["A title"])
    expect(chat.locator(f"{TITLES}[aria-current]")).to_have_count(1)
    other = at(chat.context, two[0])
    other.locator(".list-more summary").click()
    other.get_by_label("Title", exact=True).fill("Renamed")
    other.get_by_role("button", name="Rename").click()
    expect(chat.locator(TITLES)).to_have_text(["Renamed"])
    other.locator(".list-more summary").click()
    other.get_by_role("button", name="Delete").click()
    expect(chat.locator(TITLES)).to_have_count(0)


def test_a_temporary_chat_begins_empty_and_its_first_message_makes_it_one(chat: Page) -> None:
    chat.get_by_role("button", name="Temporary chat").click()
    expect(chat.locator("#empty")).to_contain_text("erased a day after")
    say(chat, "say: soon gone", 1)
    expect(chat.locator(".list-clock")).to_have_count(1)


def test_a_thumb_is_kept_in_place_and_leads_on_when_chosen_again(chat: Page) -> None:
    say(chat, "say: good", 1)
    with chat.expect_response("**/feedback") as kept:
        chat.get_by_role("link", name="Good answer", exact=True).click()
    assert kept.value.status == 201
    assert json.loads(kept.value.request.post_data or "")["rating"] == "up"
    expect(chat.locator("#status")).to_contain_text("Thank you")
    chat.get_by_role("link", name="Good answer", exact=True).click()
    expect(chat.get_by_label("Good", exact=True)).to_be_checked()


def test_a_chat_that_is_put_away_leaves_the_list_and_stays_open(page: Page) -> None:
    say(page, "I want to die", 1)
    address = page.url
    page.get_by_role("button", name="Put this chat away").click()
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator(TITLES)).to_have_count(0)
    page.goto(address)
    expect(page.locator("#composer")).to_be_visible()


def test_the_first_minutes_put_words_into_the_box_and_call_the_demo_a_script(page: Page) -> None:
    expect(page.locator(".first .label")).to_have_text(said("en")["first"]["script"])
    page.get_by_role("button", name="See a branch").click()
    expect(page.locator("#box")).to_have_value("How does a chat branch?")


def test_the_page_speaks_the_persons_language_and_wears_their_theme(chat: Page, two: tuple[str, str]) -> None:
    chat.goto(f"{two[0]}/settings")
    chat.get_by_label("Dark").check()
    chat.get_by_label("Language").select_option("it")
    chat.get_by_label("Model", exact=True).select_option("other")
    chat.get_by_role("button", name="Save").click()
    chat.goto(two[0])
    assert chat.locator("html").get_attribute("lang") == "it"
    assert chat.locator("html").get_attribute("data-theme") == "dark"
    expect(chat.locator("#choice")).to_have_value("other")
    expect(chat.get_by_role("link", name="Nuova chat").first).to_be_visible()
    expect(chat.get_by_placeholder("Scrivi un messaggio")).to_be_visible()


def test_a_question_mark_shows_the_shortcuts_but_not_while_one_writes(page: Page) -> None:
    page.fill("#box", "")
    page.press("#box", "?")
    expect(page.locator("#sheet")).to_be_hidden()
    page.fill("#box", "")
    page.locator("#more").focus()
    page.keyboard.press("?")
    expect(page.locator("#sheet")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#sheet")).to_be_hidden()
