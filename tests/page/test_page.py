"""The chat page in a real browser, in front of a real server with the demo assistant."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import say

BAD = [f"forbidden request, number {number}" for number in range(1, 6)]


def closed(page: Page) -> None:
    for number, text in enumerate(BAD, 1):
        say(page, text, number)


def test_p13_in_an_ordinary_chat_nothing_of_adjourn_is_seen(page: Page) -> None:
    say(page, "hello", 1)
    say(page, "thanks", 2)
    expect(page.locator("#closed")).to_be_hidden()
    expect(page.locator(".help")).to_have_count(0)
    assert page.locator("body").inner_text().lower().count("experimental") == 0


def test_a_closed_chat_shows_the_panel_in_place_of_the_composer_and_why(page: Page) -> None:
    closed(page)
    panel = page.locator("#closed")
    expect(panel).to_contain_text("This chat is closed.")
    expect(panel).to_contain_text("AJ-")
    expect(panel.get_by_role("heading")).to_be_focused()
    expect(page.locator("#composer")).to_be_hidden()
    panel.get_by_text("Why?").click()
    expect(panel).to_contain_text("Requests that the assistant had declined")
    expect(panel).to_contain_text("neither moderation nor an emergency service")


def test_p01_a_closed_chat_is_closed_after_a_reload_and_a_new_one_starts_at_once(page: Page) -> None:
    closed(page)
    page.reload()
    expect(page.locator("#closed")).to_contain_text("This chat is closed.")
    page.locator("#closed").get_by_role("link", name="Start a new chat").click()
    say(page, "hello", 1)
    expect(page.locator("#closed")).to_be_hidden()


def test_p07_an_earlier_message_can_be_edited_and_goes_on_beside_the_closed_branch(page: Page) -> None:
    closed(page)
    page.get_by_role("link", name="Edit", exact=True).first.click()
    editor = page.locator("#thread textarea")
    editor.fill("hello instead")
    editor.press("Enter")
    expect(page.locator("#thread")).to_contain_text("hello instead")
    expect(page.locator("#composer")).to_be_visible()
    expect(page.locator("#thread")).to_contain_text("2/2")


def test_p05_a_clear_sign_of_risk_shows_the_card_of_the_country(page: Page) -> None:
    say(page, "I want to die", 1)
    expect(page.get_by_text("You don't have to handle this without help.")).to_be_visible()
    expect(page.get_by_text("02 2327 2327")).to_be_visible()
    expect(page.get_by_text("No one is alerted by this chat")).to_be_visible()
    page.locator(".help summary").click()
    expect(page.get_by_text("02 2327 2327")).to_be_hidden()
    expect(page.locator(".help summary")).to_have_text("Help lines", use_inner_text=True)
    page.reload()
    expect(page.locator(".help summary")).to_have_text("Help lines", use_inner_text=True)
    expect(page.get_by_text("02 2327 2327")).to_be_hidden()
    say(page, "thank you", 2)
    expect(page.get_by_text("02 2327 2327")).to_be_hidden()
    say(page, "I still want to die", 3)
    expect(page.get_by_text("02 2327 2327").last).to_be_visible()


def test_p05_a_quiet_hold_shows_nothing(page: Page) -> None:
    say(page, "everything is pointless and I can't go on", 1)
    expect(page.locator(".help, #closed, .trouble, .warned")).to_have_count(0)


def test_a_browser_sees_only_its_own_conversations(page: Page, browser: Browser) -> None:
    say(page, "hello", 1)
    other = browser.new_context()
    answer = other.request.get(page.url)
    assert (answer.status, "hello" in answer.text()) == (404, False)
    other.close()


def test_a_message_is_shown_as_text_whatever_it_says(page: Page) -> None:
    say(page, "<img src=x onerror=alert(1)><script>alert(2)</script>", 1)
    expect(page.locator("#thread img, #thread script")).to_have_count(0)
    page.reload()
    expect(page.locator("#thread")).to_contain_text("<script>alert(2)</script>")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_width_of_a_phone_and_of_a_desk(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    closed(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
