"""An answer belongs to the server: whoever reads it may come and go, stop it, ask again, and have it go on."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.page.conftest import at, fields, say
from tests.page.model import OVER, Model


def ask(page: Page, text: str) -> None:
    """Send a message whose answer comes piece by piece."""
    page.fill("#box", text)
    page.press("#box", "Enter")
    expect(page.locator("[data-answer]")).to_be_attached()


def test_a_reload_in_the_middle_of_an_answer_resumes_it(chat: Page, model: Model) -> None:
    ask(chat, "slow one")
    model.pieces.put("Hello **you")
    expect(chat.locator(".assistant .text")).to_contain_text("Hello **you")
    chat.reload()
    expect(chat.locator(".assistant .text")).to_contain_text("Hello **you")
    model.pieces.put("** there.\n\nSecond.")
    expect(chat.locator(".assistant strong")).to_have_text("you")
    model.pieces.put(OVER)
    expect(chat.locator("[aria-busy]")).to_have_count(0)
    expect(chat.locator(".assistant .text")).to_contain_text("Second.")
    expect(chat.locator("article")).to_have_count(2)


def test_an_answer_goes_on_while_nobody_reads_it(chat: Page, context: BrowserContext, model: Model) -> None:
    ask(chat, "slow two")
    model.pieces.put("Half ")
    expect(chat.locator(".assistant .text")).to_contain_text("Half")
    address = chat.url
    chat.close()
    model.pieces.put("and whole.")
    model.pieces.put(OVER)
    again = at(context, address)
    expect(again.locator(".assistant .text")).to_have_text("Half and whole.")


def test_a_line_that_drops_is_taken_up_where_it_was(chat: Page, model: Model) -> None:
    ask(chat, "slow three")
    model.pieces.put("First.\n\n")
    expect(chat.locator(".assistant .block")).to_have_count(1)
    answer = chat.locator("[data-answer]").get_attribute("data-answer")
    model.pieces.put("Second.")
    expect(chat.locator(".assistant .block")).to_have_count(2)
    model.pieces.put(OVER)
    expect(chat.locator("[aria-busy]")).to_have_count(0)
    server = re.match(r"http://[^/]+", chat.url)
    assert server is not None
    url = f"{server[0]}/chat/answer/{answer}"
    every = chat.request.get(url).text()
    numbers = [int(number) for number in re.findall(r"^id: (\d+)", every, re.MULTILINE)]
    rest = chat.request.get(url, headers={"Last-Event-ID": str(numbers[-1])}).text()
    assert "First." in every
    assert ("First." in rest, "event: over" in rest) == (False, True)


def test_an_answer_is_stopped_and_what_came_of_it_is_kept_and_goes_on(chat: Page, model: Model) -> None:
    ask(chat, "slow four")
    model.pieces.put("Half of")
    expect(chat.locator(".assistant .text")).to_contain_text("Half of")
    chat.get_by_role("button", name="Stop").click()
    expect(chat.locator(".assistant")).to_contain_text("This answer broke off.")
    model.pieces.put(OVER)
    chat.reload()
    expect(chat.locator(".assistant .text")).to_have_text("Half of")
    model.pieces.put(" it, and the rest.")
    model.pieces.put(OVER)
    chat.get_by_role("button", name="Continue").click()
    expect(chat.locator(".assistant .text")).to_have_text("Half of it, and the rest.")
    expect(chat.locator("[aria-busy]")).to_have_count(0)
    expect(chat.locator(".versions")).to_have_count(0)
    assert model.asked[-1]["messages"][-1] == {"role": "assistant", "content": "Half of"}
    say(chat, "say: thanks", 2)
    expect(chat.locator("article")).to_have_count(4)


def test_an_answer_is_asked_for_again_also_of_another_model(chat: Page) -> None:
    say(chat, "who is there?", 1)
    expect(chat.locator(".assistant .text")).to_have_text("calm heard: who is there?")
    chat.locator(".assistant select").select_option("other")
    chat.get_by_role("button", name="Another answer").click()
    expect(chat.locator(".assistant .text")).to_have_text("other heard: who is there?")
    expect(chat.locator(".assistant .place")).to_contain_text("2/2")
    assert chat.locator("article").count() == 2


def test_a_message_is_edited_into_a_branch_and_branches_are_changed_by_keyboard(chat: Page) -> None:
    say(chat, "say: one", 1)
    say(chat, "say: two", 2)
    chat.locator("article.user").first.get_by_role("link", name="Edit").focus()
    chat.keyboard.press("Enter")
    editor = chat.locator(".editor textarea")
    expect(editor).to_be_focused()
    editor.fill("say: three")
    editor.press("Enter")
    expect(chat.locator(".assistant .text")).to_have_text(["three"])
    expect(chat.locator(".place")).to_contain_text("2/2")
    chat.get_by_role("link", name="Previous version").focus()
    chat.keyboard.press("Enter")
    expect(chat.locator(".assistant .text")).to_have_text(["one", "two"])
    expect(chat.get_by_role("link", name="Next version")).to_be_focused()
    chat.keyboard.press("Enter")
    expect(chat.locator(".assistant .text")).to_have_text(["three"])
    say(chat, "say: four", 2)
    expect(chat.locator(".assistant .text")).to_have_text(["three", "four"])


def test_trouble_with_the_model_is_told_kindly_and_the_message_is_kept_and_tried_again(chat: Page) -> None:
    say(chat, "fail once", 0)
    expect(chat.locator(".trouble")).to_contain_text("That was a lot at once")
    expect(chat.locator(".trouble")).to_contain_text("there is too much to do")
    expect(chat.locator("article.user")).to_contain_text("fail once")
    chat.get_by_role("button", name="Retry").click()
    expect(chat.locator(".assistant .text")).to_have_text("calm heard: fail once")
    expect(chat.locator(".trouble")).to_have_count(0)
    expect(chat.locator("article")).to_have_count(2)


def test_the_same_message_sent_twice_is_one(chat: Page, two: tuple[str, str], model: Model) -> None:
    form = {**fields(chat), "text": "say: once"}
    before = len(model.asked)
    first = chat.request.post(f"{two[0]}/chat/send", form=form)
    again = chat.request.post(f"{two[0]}/chat/send", form=form)
    elsewhere = chat.request.post(f"{two[1]}/chat/send", form=form)
    assert first.url == again.url
    assert first.url.rpartition("/")[2] == elsewhere.url.rpartition("/")[2]
    chat.goto(first.url)
    expect(chat.locator(".assistant .text")).to_have_text("once")
    assert chat.locator("article").count() == 2
    assert len(model.asked) == before + 1


def test_a_double_click_sends_once(chat: Page) -> None:
    chat.fill("#box", "say: hello")
    chat.locator("#send").dblclick()
    expect(chat.locator(".assistant .text")).to_have_text("hello")
    expect(chat.locator("article")).to_have_count(2)


def test_the_box_is_usable_while_an_answer_comes_and_its_draft_survives(chat: Page, model: Model) -> None:
    ask(chat, "slow five")
    model.pieces.put("Coming")
    expect(chat.locator(".assistant .text")).to_contain_text("Coming")
    chat.fill("#box", "my next thought")
    chat.press("#box", "Enter")  # not yet: the answer is not whole
    model.pieces.put(OVER)
    expect(chat.locator("[aria-busy]")).to_have_count(0)
    expect(chat.locator("#box")).to_have_value("my next thought")
    chat.reload()
    expect(chat.locator("#box")).to_have_value("my next thought")
    chat.press("#box", "Enter")
    expect(chat.locator("article")).to_have_count(4)
    expect(chat.locator("#box")).to_have_value("")


def test_enter_sends_but_not_with_shift_nor_while_an_input_method_composes(chat: Page) -> None:
    chat.fill("#box", "say: hi")
    chat.press("#box", "Shift+Enter")
    chat.evaluate(
        """document.getElementById("box").dispatchEvent(
             new KeyboardEvent("keydown", {key: "Enter", bubbles: true, isComposing: true}))"""
    )
    expect(chat.locator("article")).to_have_count(0)
    expect(chat.locator("#box")).to_have_value("say: hi\n")
    chat.press("#box", "Enter")
    expect(chat.locator("article")).to_have_count(2)


def test_a_long_text_that_is_pasted_becomes_an_attachment(chat: Page, model: Model) -> None:
    chat.fill("#box", "What is this?")
    chat.evaluate(
        """{const data = new DataTransfer();
            data.setData("text/plain", "line <b>\\n".repeat(80) + "last");
            document.getElementById("box").dispatchEvent(
              new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));}"""
    )
    expect(chat.locator("#attached")).to_contain_text("Pasted text, 81 lines")
    chat.press("#box", "Enter")
    expect(chat.locator("article.user .pasted summary")).to_have_text("Pasted text, 81 lines")
    expect(chat.locator("#attached li")).to_have_count(0)
    expect(chat.locator("[aria-busy]")).to_have_count(0)
    assert "line <b>" in str(model.asked[-1]["messages"])


def test_reading_is_never_disturbed_and_the_end_is_one_step_away(chat: Page, model: Model) -> None:
    say(chat, "say:" + "\n\n".join(["A paragraph."] * 60), 1)
    ask(chat, "slow six")
    model.pieces.put("Word")
    expect(chat.locator("[data-answer] .text")).to_contain_text("Word")
    chat.evaluate("scrollTo(0, 300)")
    expect(chat.locator("#latest")).to_be_visible()
    model.pieces.put("\n\n".join(["More."] * 40))
    expect(chat.locator("[data-answer] .text")).to_contain_text("More.")
    assert chat.evaluate("scrollY") == 300
    chat.locator("#latest").click()
    expect(chat.locator("#latest")).to_be_hidden()
    model.pieces.put(OVER)
    expect(chat.locator("[aria-busy]")).to_have_count(0)


def test_code_tables_and_formulas_are_shown_and_code_is_copied(chat: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    say(chat, "say:```python\nprint(1)\n```\n\n|a|b|\n|-|-:|\n|1|2|\n\nSo $x^2$ and \\[\\frac{1}{2}\\]", 1)
    text = chat.locator(".assistant .text")
    expect(text.locator("pre .nb")).to_have_text("print")
    expect(text.locator("td.at-end")).to_have_text("2")
    expect(text.locator("math")).to_have_count(2)
    text.get_by_role("button", name="Copy code").click()
    expect(text.get_by_role("button", name="Copied")).to_be_visible()
    assert chat.evaluate("navigator.clipboard.readText()") == "print(1)"


@pytest.mark.parametrize("path", ["send", "retry", "continue", "stop"])
def test_a_form_without_the_mark_of_this_browsers_page_does_nothing(
    chat: Page, two: tuple[str, str], path: str
) -> None:
    answer = chat.request.post(f"{two[0]}/chat/{path}", form={"text": "hello", "token": "0" * 32, "key": "k"})
    assert answer.status == 403
