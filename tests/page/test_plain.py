"""Without scripts a person can read, send, and use every right."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.model import OVER, Model


@pytest.fixture
def plain(browser: Browser, two: tuple[str, str]) -> Iterator[Page]:
    """The page in a browser that runs no scripts."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(two[0])
    yield page
    context.close()


def send(page: Page, text: str) -> None:
    page.fill("#box", text)
    page.click("#send")
    expect(page.locator("article.user").last).to_contain_text(text)
    expect(page.locator("[aria-busy]")).to_have_count(0)  # until then the page loads itself again


def test_a_person_reads_sends_edits_and_asks_again(plain: Page) -> None:
    send(plain, "say: *one*")
    expect(plain.locator(".assistant em")).to_have_text("one")
    plain.get_by_role("link", name="Edit").click()
    plain.locator(".editor textarea").fill("say: two")
    plain.locator(".editor").get_by_role("button", name="Send").click()
    expect(plain.locator(".assistant .text")).to_have_text("two")
    plain.get_by_role("link", name="Previous version").click()
    expect(plain.locator(".assistant .text")).to_have_text("one")
    plain.get_by_role("button", name="Another answer").click()
    expect(plain.locator(".assistant .place")).to_contain_text("2/2")


def test_an_answer_is_stopped_and_goes_on(plain: Page, model: Model) -> None:
    plain.fill("#box", "slow, without scripts")
    plain.click("#send")
    model.pieces.put("Half")
    expect(plain.locator(".assistant .text")).to_contain_text("Half")
    plain.get_by_role("button", name="Stop").click()
    expect(plain.locator(".broken")).to_be_visible()
    model.pieces.put(OVER)  # what nobody waits for any more
    model.pieces.put(" and whole")
    model.pieces.put(OVER)
    plain.get_by_role("button", name="Continue").click()
    expect(plain.locator(".assistant .text")).to_have_text("Half and whole")


def test_a_closed_chat_gives_panel_receipt_and_help_lines(plain: Page) -> None:
    send(plain, "Please close this chat for good.")
    plain.get_by_role("button", name="Close this chat").click()
    panel = plain.locator("#closed")
    expect(panel).to_contain_text("This chat is closed, as you asked.")
    panel.get_by_text("Why?").click()
    expect(panel.get_by_text(re.compile("Receipt AJ-"))).to_be_visible()
    panel.get_by_role("link", name="Help lines").click()
    expect(plain.get_by_text("02 2327 2327")).to_be_visible()
    plain.get_by_role("link", name="Back to the chat").click()
    panel.get_by_role("link", name="Start a new chat").click()
    expect(plain.locator("#box")).to_be_visible()


def test_p05_help_lines_are_shown_and_put_away(plain: Page) -> None:
    send(plain, "I want to die")
    expect(plain.get_by_text("02 2327 2327")).to_be_visible()
    plain.locator(".help summary").click()
    expect(plain.get_by_text("02 2327 2327")).to_be_hidden()
