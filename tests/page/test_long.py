"""A conversation of 2,000 messages."""

from playwright.sync_api import Page, expect

MESSAGES = 2_000
MOST_MS = 1_000

LOADED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def test_a_conversation_of_2000_messages_opens_in_under_a_second_and_all_of_it_can_be_read(
    chat: Page, two: tuple[str, str]
) -> None:
    said = [
        {"role": "assistant", "content": f"Answer **{at}**.\n\n- one\n- two"}
        if at % 2
        else {"role": "user", "content": f"Question {at}?"}
        for at in range(MESSAGES)
    ]
    told = [*said[:-1], {"role": "assistant", "content": "Answer **last**."}, {"role": "user", "content": "say: end"}]
    answer = chat.request.post(
        f"{two[0]}/v1/chat/completions", data={"model": "calm", "messages": told, "stream": True}
    )
    conversation = answer.headers["adjourn-conversation"]
    chat.goto(f"{two[0]}/c/{conversation}")
    assert chat.evaluate(LOADED) < MOST_MS
    expect(chat.locator("article").last).to_contain_text("end")
    assert chat.locator("article").count() == 200
    assert chat.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 2")
    expect(chat.locator("html[data-ready]")).to_be_attached()
    chat.get_by_role("link", name="earlier messages").click()
    expect(chat.locator("article")).to_have_count(MESSAGES + 2, timeout=15_000)
    chat.goto(f"{two[0]}/c/{conversation}?all=1")
    assert chat.evaluate(LOADED) < 2 * MOST_MS  # even so
