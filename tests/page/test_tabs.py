"""Two tabs of one browser, on two server processes with one database."""

from playwright.sync_api import BrowserContext, Page, expect

from tests.page.conftest import at, close, fields, say

SECOND = 1000
"""In milliseconds."""


def other(chat: Page, context: BrowserContext, two: tuple[str, str]) -> Page:
    """The same chat in another tab, on the other process."""
    return at(context, chat.url.replace(two[0], two[1]))


def test_a_new_answer_shows_in_both_tabs(chat: Page, context: BrowserContext, two: tuple[str, str]) -> None:
    say(chat, "say: one", 1)
    beside = other(chat, context, two)
    say(chat, "say: two", 2)
    expect(beside.locator(".assistant .text")).to_have_text(["one", "two"], timeout=SECOND)
    say(beside, "say: three", 3)
    expect(chat.locator(".assistant .text")).to_have_text(["one", "two", "three"], timeout=SECOND)


def test_a_close_shows_in_both_tabs_within_a_second_and_what_was_typed_is_kept(
    chat: Page, context: BrowserContext, two: tuple[str, str]
) -> None:
    say(chat, "Please close this chat for good.", 1)
    beside = other(chat, context, two)
    beside.fill("#box", "I was still writing")
    chat.get_by_role("button", name="Close this chat").click()
    expect(chat.locator("#closed")).to_be_visible()
    expect(beside.locator("#closed")).to_contain_text("This chat is closed, as you asked.", timeout=SECOND)
    expect(beside.locator("#kept")).to_contain_text("I was still writing")
    beside.locator("#start-new").click()
    expect(beside.locator("#box")).to_have_value("I was still writing")


def test_a_message_from_a_stale_tab_is_refused_kindly_and_kept(
    chat: Page, context: BrowserContext, two: tuple[str, str]
) -> None:
    context.route("**/worker.js", lambda route: route.abort())  # a tab that hears of nothing
    stale = at(context, two[1])
    say(stale, "Please close this chat for good.", 1)
    form = fields(stale)
    assert stale.request.post(f"{two[0]}/chat/send", form={**form, "text": "Yes, close it.", "key": "another"}).ok
    beside = at(context, stale.url)
    expect(beside.locator("#closed")).to_be_visible()
    stale.fill("#box", "one more thing")
    stale.press("#box", "Enter")
    expect(stale.locator("#closed")).to_contain_text("This chat is closed")
    expect(stale.locator("#kept")).to_contain_text("one more thing")
    stale.locator("#start-new").click()
    expect(stale.locator("#box")).to_have_value("one more thing")


def test_all_tabs_share_one_stream(chat: Page, context: BrowserContext, two: tuple[str, str]) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url) if "/chat/events" in request.url else None)
    at(context, two[0])
    at(context, two[0])
    assert asked == []  # the pages themselves ask for none: the worker that they share does


def test_the_question_is_answered_with_a_button_or_in_words(chat: Page) -> None:
    say(chat, "Please close this chat for good.", 1)
    chat.get_by_role("button", name="Keep it open").click()
    expect(chat.locator("article.user").last).to_contain_text("No, keep it open.")
    expect(chat.locator("#composer")).to_be_visible()
    expect(chat.locator(".question")).to_have_count(0)


def test_p07_a_closed_chat_gives_its_receipt_and_every_way_on(chat: Page) -> None:
    close(chat)
    panel = chat.locator("#closed")
    expect(panel.get_by_role("heading")).to_be_focused()
    panel.get_by_text("Why?").click()
    expect(panel).to_contain_text("You asked to close this chat and confirmed.")
    panel.locator("ol a").first.click()
    expect(chat.locator("article:target")).to_contain_text("Please close this chat for good.")
    panel.get_by_text("This looks wrong").click()
    expect(panel).to_contain_text("closing is experimental")
    with chat.expect_download() as saved:
        panel.get_by_role("link", name="Save a copy").click()
    assert saved.value.suggested_filename == "chat.md"
    panel.get_by_text("Edit an earlier message").click()
    chat.locator(".editor textarea").fill("say: instead")
    chat.locator(".editor textarea").press("Enter")
    expect(chat.locator(".assistant .text").last).to_have_text("instead")
    expect(panel).to_have_count(0)
