"""The pages beside the chat, over HTTP and in a real browser, with scripts and without."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from adjourn.core.policy import FAMILIES
from adjourn.host.lines import load
from adjourn.host.words import said
from adjourn.store import Rating
from adjourn.web.pages.feedback import REASONS
from adjourn.web.pages.first import Offer
from adjourn.web.pages.person import Person
from adjourn.web.pages.render import fragment
from tests.browser import chromium

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PUBLIC = ("/about/closing", "/help-lines", "/help-lines/card")
PAGES = ("/about/closing", "/help-lines", "/help-lines?kind=danger", "/settings", "/shortcuts")
BAD = [f"forbidden request, number {number}" for number in range(1, 6)]
SCREENSHOTS = os.environ.get("ADJOURN_SCREENSHOTS")
"""A folder for pictures of every page, to be looked at."""


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "adjourn", "serve", "--port", "0", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().split()[-1]
        process.terminate()


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "adjourn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('pages') / 'pages.db'}"


@pytest.fixture(scope="module")
def server(db: str) -> Iterator[str]:
    """A real server that knows no country."""
    with serving("--db", db) as address:
        yield address


@pytest.fixture
def client(server: str) -> Iterator[httpx2.Client]:
    """A browser's cookies, and nothing else of one."""
    with httpx2.Client(base_url=server, cookies={"adjourn_browser": os.urandom(8).hex()}) as client:
        yield client


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with chromium(pytestconfig) as started:
        yield started


@contextmanager
def opened(
    browser: Browser, *, scripts: bool = True, width: int = 1280, zone: str = "Europe/Paris", dark: bool = False
) -> Iterator[Page]:
    """A new browser profile; whatever the page complains about fails the test."""
    context = browser.new_context(
        java_script_enabled=scripts,
        viewport={"width": width, "height": 800},
        timezone_id=zone,
        color_scheme="dark" if dark else "light",
        locale="en-US",
    )
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert [text for text in complaints if "404" not in text and "422" not in text] == []


def chat(client: httpx2.Client, *texts: str) -> str:
    """Have a chat through the gateway, as this browser; return its id."""
    messages: list[Mapping[str, str]] = []
    known = {line["id"] for line in client.get("/api/conversations").json()["conversations"]}
    ident = "new"
    for text in texts:
        messages.append({"role": "user", "content": text})
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "adjourn-demo", "messages": messages},
            headers={"Adjourn-Conversation": ident},
        )
        messages.append(answer.json()["choices"][0]["message"])
        listed = client.get("/api/conversations").json()["conversations"]
        (ident,) = {line["id"] for line in listed} - known
    return ident


def closed(client: httpx2.Client) -> tuple[str, str]:
    """Return a chat that was closed, and the number of its receipt."""
    ident = chat(client, *BAD)
    (end,) = client.get(f"/api/conversations/{ident}").json()["ends"]
    return ident, end["number"]


def what_was_said(db: str, conversation: str, *more: str) -> list[dict[str, Any]]:
    lines = run("feedback", "export", "--db", db, *more).splitlines()
    return [line for line in map(json.loads, lines) if line["conversation"] == conversation]


# Whom they are open to, and what they may load


def test_the_public_pages_need_no_key_and_the_others_lead_to_where_it_can_be_given(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'keys.db'}"
    run("keys", "create", "laptop", "--db", db)
    with serving("--db", db) as address, httpx2.Client(base_url=address) as client:
        assert {path: client.get(path).status_code for path in PUBLIC} == dict.fromkeys(PUBLIC, 200)
        for path in ("/settings", "/feedback", "/shortcuts"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert client.post("/feedback", json={"conversation": "c", "rating": "up"}).status_code == 401
        chosen = client.post("/help-lines", headers=FORM, content="country=IT")
        assert (chosen.status_code, "adjourn_country=IT" in chosen.headers["set-cookie"]) == (303, True)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_or_style_of_its_own_and_a_policy_that_forbids_it(
    path: str, client: httpx2.Client
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|javascript:", answer.text) == []
    assert not set(re.findall(r'(?:src|<link[^>]*href)="(https?:[^"]*)"', answer.text))


@pytest.mark.parametrize("path", ["/help-lines", "/settings", "/feedback"])
@pytest.mark.parametrize(
    "sent", [{"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_a_page_of_another_site_can_send_no_form(path: str, sent: dict[str, str], client: httpx2.Client) -> None:
    answer = client.post(path, headers=FORM | sent, content="country=IT&theme=dark")
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_a_form_is_no_way_into_the_addresses_that_take_json(client: httpx2.Client) -> None:
    assert client.post("/v1/chat/completions", headers=FORM, content="model=x").status_code == 415
    assert client.post("/settings", json={"theme": "dark"}).status_code == 415


# Language


@pytest.mark.parametrize(
    ("asked", "cookie", "language"),
    [
        ("", None, "en"),
        ("it-IT,it;q=0.9,en;q=0.8", None, "it"),
        ("fr;q=0.9, it;q=0.4, en;q=0.5", None, "en"),
        ("it;q=0, en", None, "en"),
        ("fr", None, "en"),
        ("en", "it", "it"),
        ("it", "xx", "it"),
        (";;q=a,,it;q=0.1", None, "it"),
    ],
)
def test_a_page_speaks_the_language_chosen_else_the_one_the_browser_asks_for(
    asked: str, cookie: str | None, language: str, client: httpx2.Client
) -> None:
    if cookie:
        client.cookies.set("adjourn_language", cookie)
    answer = client.get("/about/closing", headers={"Accept-Language": asked})
    assert f'<html lang="{language}"' in answer.text
    assert answer.headers["content-language"] == language
    assert said(language)["about"]["title"] in answer.text


def test_where_a_browser_asks_for_no_language_that_there_is_the_operators_is_spoken() -> None:
    with serving("--db", "memory:", "--language", "it") as address, httpx2.Client(base_url=address) as client:
        assert '<html lang="it"' in client.get("/help-lines", headers={"Accept-Language": "fr"}).text
        assert '<html lang="en"' in client.get("/help-lines", headers={"Accept-Language": "en"}).text


# About closing


@pytest.mark.parametrize("language", ["en", "it"])
def test_about_closing_says_the_rules_in_force_the_mode_and_what_it_is_not(
    language: str, client: httpx2.Client
) -> None:
    text = client.get("/about/closing", headers={"Accept-Language": language}).text.replace("&#39;", "'")
    texts = said(language)
    assert texts["about"]["mode_enforce"] in text
    assert all(texts["families"][family] in text for family in FAMILIES)
    assert texts["rules"]["redirections"].format(count=3) in text
    for sentence in (texts["label"], texts["moral_status"], texts["about"]["not_clinical"]):
        assert sentence in text
    assert all(texts["about"][f"never_{number}"] in text for number in range(1, 7))


def test_about_closing_tells_how_the_rules_changed_and_since_when(tmp_path: Path) -> None:
    db, rules = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "rules.toml"
    for revision, redirections, mode in [("first", 3, "warn"), ("second", 4, "enforce")]:
        rules.write_text(f'revision = "{revision}"\nredirections = {redirections}\nmode = "{mode}"\n')
        with serving("--db", db, "--policy", str(rules)) as address:
            text = httpx2.get(f"{address}/about/closing").text
    assert text.index("second <span") < text.index("first <span")
    assert len(re.findall(r'since <time datetime="\d{4}-\d\d-\d\d">', text)) == 2
    assert "New: At least 4 such messages" in text
    assert "No longer: At least 3 such messages" in text
    assert "New: The assistant can close a chat" in text
    assert "The first rules that this server knows of." in text


def test_in_mode_off_and_shadow_about_closing_says_that_no_chat_is_closed() -> None:
    for mode in ("off", "shadow", "warn"):
        with serving("--db", "memory:", "--mode", mode) as address:
            text = httpx2.get(f"{address}/about/closing").text
            assert said("en")["about"][f"mode_{mode}"] in text
            assert said("en")["about"]["when"] not in text


# Help lines


def numbers(country: str) -> set[str]:
    return {line.dial for line in load() if line.country == country and line.dial}


OTHERS = {country: numbers(country) - numbers("IT") for country in ("US", "FR", "GB", "DE", "BR")}


def test_where_nobody_knows_the_country_there_are_emergency_words_and_a_directory_and_no_number(
    client: httpx2.Client,
) -> None:
    for kind in ("self", "other", "danger", "emergency"):
        text = client.get("/help-lines", params={"kind": kind}).text
        assert "your local emergency number" in text
        assert 'href="https://findahelpline.com"' in text
        assert "tel:" not in text


def test_the_persons_own_choice_comes_before_the_operators_and_that_before_the_time_zone() -> None:
    with serving("--db", "memory:", "--country", "uk") as address, httpx2.Client(base_url=address) as client:
        asked = {"zone": "Europe/Paris"}
        text = client.get("/help-lines", params=asked).text
        assert ("116 123" in text, "For United Kingdom, where" in text) == (True, True)
        client.post("/help-lines", headers=FORM, content="country=IT&kind=danger")
        text = client.get("/help-lines", params=asked).text
        assert "02 2327 2327" in text
        assert "which you chose" in text
        assert not any(number in text for numbers in OTHERS.values() for number in numbers if len(number) > 3)
        client.post("/help-lines", headers=FORM, content="country=ZZ")
        assert "tel:" not in client.get("/help-lines", params=asked).text


def test_a_time_zone_is_a_guess_and_is_called_one(client: httpx2.Client) -> None:
    text = client.get("/help-lines", params={"zone": "Europe/Paris"}).text
    assert ("3114" in text, "For France: that is a guess" in text) == (True, True)


def test_a_country_that_is_none_is_not_kept(client: httpx2.Client) -> None:
    for country in ("XX", "it'", "<script>", "I" * 100):
        assert "set-cookie" not in client.post("/help-lines", headers=FORM, content=f"country={country}").headers


@pytest.mark.parametrize("kind", ["self", "other", "danger", "emergency"])
@pytest.mark.parametrize("language", ["en", "it"])
def test_the_card_of_each_kind_has_its_own_words_and_alerts_no_one(
    kind: str, language: str, client: httpx2.Client
) -> None:
    client.cookies.set("adjourn_country", "IT")
    text = client.get(f"/help-lines/card?kind={kind}", headers={"Accept-Language": language}).text
    texts = said(language)["lines"]
    title, _, rest = texts[f"{kind}_title"].replace("'", "&#39;").partition("{number}")
    assert (title in text, rest in text) == (True, True)
    assert 'href="tel:112"' in text
    assert texts["alerted"] in text
    assert (texts["self_talk"] in text) is (kind == "self")
    assert "<html" not in text


def test_in_a_closed_chat_the_card_does_not_say_that_talking_goes_on(client: httpx2.Client) -> None:
    assert said("en")["lines"]["self_talk"] not in client.get("/help-lines/card?kind=self&closed=1").text


def test_ways_to_write_come_before_the_call(client: httpx2.Client) -> None:
    client.cookies.set("adjourn_country", "US")
    text = client.get("/help-lines").text
    assert text.index("https://988lifeline.org") < text.index("sms:988") < text.index('href="tel:988"')


# Settings


def test_settings_are_kept_in_cookies_that_no_script_reads_and_each_is_one_of_a_list(client: httpx2.Client) -> None:
    answer = client.post("/settings", headers=FORM, content="theme=dark&language=it&country=FR")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings?saved=1")
    cookies = answer.headers.get_list("set-cookie")
    kept = {cookie.partition("=")[0]: cookie for cookie in cookies}
    assert all("HttpOnly" in kept[f"adjourn_{name}"] for name in ("theme", "language", "country"))
    assert all("SameSite=strict" in cookie for cookie in cookies)
    text = client.get("/settings?saved=1").text
    assert '<html lang="it" dir="ltr" data-theme="dark">' in text
    assert said("it")["settings"]["saved"] in text


@pytest.mark.parametrize("wrong", ["theme=pink", "language=xx", "country=XX", "model=gpt", "theme=" + "a" * 70_000])
def test_a_choice_that_is_not_offered_changes_nothing(wrong: str, client: httpx2.Client) -> None:
    answer = client.post("/settings", headers=FORM, content=f"{wrong}&x=1")
    assert (answer.status_code, "set-cookie" in answer.headers) == (422, False)
    assert said("en")["settings"]["wrong"] in answer.text


def test_a_choice_can_be_taken_back(client: httpx2.Client) -> None:
    client.post("/settings", headers=FORM, content="theme=dark&language=it&country=FR")
    client.post("/settings", headers=FORM, content="theme=system&language=&country=")
    assert "adjourn_language" not in client.cookies
    assert "adjourn_country" not in client.cookies


def test_the_models_that_can_be_chosen_are_the_operators(tmp_path: Path) -> None:
    settings = tmp_path / "adjourn.toml"
    settings.write_text(
        '[upstream.one]\nwire = "openai_chat"\nurl = "http://127.0.0.1:9/v1"\nmodels = ["small", "large"]\n'
        '[upstream.two]\nwire = "openai_chat"\nurl = "http://127.0.0.1:9/v1"\nmodels = ["far-*"]\n'
    )
    command = [sys.executable, "-m", "adjourn", "--settings", str(settings), "serve", "--port", "0", "--db", "memory:"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        with httpx2.Client(base_url=process.stdout.readline().decode().split()[-1]) as client:
            offered = re.findall(r'<option value="(\w+)"', client.get("/settings").text.partition('id="language"')[0])
            kept = client.post("/settings", headers=FORM, content="theme=light&model=large").headers["set-cookie"]
            refused = client.post("/settings", headers=FORM, content="theme=light&model=far-away").status_code
        process.terminate()
    assert offered == ["small", "large"]
    assert "adjourn_model=large" in kept
    assert refused == 422


# Feedback


def test_feedback_of_a_form_is_kept_and_thanked_for(client: httpx2.Client, db: str) -> None:
    ident = chat(client, "hello")
    node = client.get(f"/api/conversations/{ident}/export").json()["messages"][1]["node"]
    asked = client.get("/feedback", params={"conversation": ident, "about": node})
    assert (asked.status_code, "the demo: a script" in asked.text) == (200, True)
    content = (
        f"conversation={ident}&about={node}&rating=down&reasons=wrong&reasons=lecture&reasons=fiction&text=%C3%A8+no"
    )
    answer = client.post("/feedback", headers=FORM, content=content)
    assert (answer.status_code, "Thank you." in answer.text) == (200, True)
    (kept,) = what_was_said(db, ident)
    assert (kept["about"], kept["rating"], kept["reasons"], kept["text"]) == (
        node,
        "down",
        ["wrong", "lecture"],
        "è no",
    )


def test_feedback_on_a_closing_names_its_receipt_and_where_nobody_answers_says_so(
    client: httpx2.Client, db: str
) -> None:
    ident, number = closed(client)
    form = client.get("/feedback", params={"conversation": ident, "about": number.lower(), "rating": "wrong_end"}).text
    assert number in form
    assert 'value="wrong_end" required checked' in form
    assert said("en")["label"] in form
    answer = client.post(
        "/feedback", headers=FORM, content=f"conversation={ident}&about={number}&rating=wrong_end&reasons=fiction"
    )
    assert "There is no reviewer here who answers." in answer.text
    (kept,) = what_was_said(db, ident)
    assert (kept["about"], kept["rating"], kept["text"]) == (number, "wrong_end", None)


def test_feedback_of_a_script_is_json_both_ways(client: httpx2.Client, db: str) -> None:
    ident = chat(client, "hello")
    sent: dict[str, object] = {"conversation": ident, "rating": "up", "reasons": ["helpful"], "text": "=1+1"}
    assert client.post("/feedback", json=sent).status_code == 201
    wrongs: list[tuple[dict[str, object], int]] = [
        ({"rating": "great"}, 422),
        ({"reasons": ["because"]}, 422),
        ({"text": "a" * 10_001}, 422),
        ({"about": "m_none"}, 404),
        ({"conversation": "c_none"}, 404),
        ({"more": 1}, 422),
    ]
    for wrong, status in wrongs:
        answer = client.post("/feedback", json=sent | wrong)
        assert (answer.status_code, "message" in answer.json()["error"]) == (status, True), wrong
    assert len(what_was_said(db, ident)) == 1
    (row,) = [
        row
        for row in csv.DictReader(io.StringIO(run("feedback", "export", "--format", "csv", "--db", db)))
        if row["conversation"] == ident
    ]
    assert (row["rating"], row["reasons"], row["text"]) == ("up", "helpful", "'=1+1")
    assert what_was_said(db, ident, "--since", "2999-01-01") == []


def test_nobody_gives_feedback_on_a_chat_of_another_browser(client: httpx2.Client, server: str, db: str) -> None:
    ident = chat(client, "hello")
    with httpx2.Client(base_url=server, cookies={"adjourn_browser": "another"}) as other:
        assert other.get("/feedback", params={"conversation": ident}).status_code == 404
        assert other.post("/feedback", headers=FORM, content=f"conversation={ident}&rating=up").status_code == 404
        assert other.post("/feedback", json={"conversation": ident, "rating": "up"}).status_code == 404
    assert what_was_said(db, ident) == []


def test_a_form_that_says_nothing_or_too_much_is_shown_again_with_its_words(client: httpx2.Client, db: str) -> None:
    ident = chat(client, "hello")
    for content, trouble in [("text=hm", "choose"), ("rating=up&text=" + "a" * 10_001, "too_long")]:
        answer = client.post("/feedback", headers=FORM, content=f"conversation={ident}&{content}")
        assert answer.status_code == 422
        assert said("en")["feedback"][trouble].format(count=10_000) in answer.text
        assert content.rpartition("=")[2] in answer.text
    assert what_was_said(db, ident) == []


def test_every_reason_has_words() -> None:
    assert {reason for reasons in REASONS.values() for reason in reasons} == said("en")["reasons"].keys()
    assert REASONS.keys() == set(Rating)


# In a browser


@pytest.fixture
def states(server: str, browser: Browser) -> Mapping[str, str]:
    """The pages and states that are looked at, by name."""
    return {
        "about": "/about/closing",
        "self": "/help-lines",
        "danger": "/help-lines?kind=danger",
        "settings": "/settings",
        "shortcuts": "/shortcuts",
        "nothing": "/feedback",
    }


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png", full_page=True)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_page_fits_and_axe_finds_nothing(
    width: int, dark: bool, states: Mapping[str, str], server: str, browser: Browser
) -> None:
    with opened(browser, width=width, dark=dark) as page:
        for name, path in states.items():
            page.goto(server + path)
            page.wait_for_load_state("networkidle")
            picture(page, f"{name}-{width}-{'dark' if dark else 'light'}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def test_feedback_pages_fit_and_axe_finds_nothing(server: str, browser: Browser) -> None:
    for width in (390, 1280):
        with opened(browser, width=width) as page:
            page.goto(server)
            cookies = {str(one.get("name")): str(one.get("value")) for one in page.context.cookies()}
            with httpx2.Client(base_url=server, cookies=cookies) as client:
                ident, number = closed(client)
            page.goto(f"{server}/feedback?chat={ident}&conversation={ident}&about={number}&rating=wrong_end")
            expect(page.get_by_label("It was for a story")).to_be_visible()
            expect(page.get_by_label("It was enough")).to_be_hidden()
            picture(page, f"wrong-{width}")
            assert Axe().run(page).violations_count == 0
            page.get_by_label("It was for a story").check()
            page.get_by_role("button", name="Send").click()
            expect(page.get_by_role("heading", name="Thank you.")).to_be_visible()
            picture(page, f"thanks-{width}")
            assert Axe().run(page).violations_count == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.locator("main").get_by_role("link", name="Back to the chat").click()
            expect(page).to_have_url(f"{server}/c/{ident}")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_country_is_guessed_with_scripts_and_chosen_with_and_without(
    scripts: bool, server: str, browser: Browser
) -> None:
    with opened(browser, scripts=scripts) as page:
        page.goto(f"{server}/help-lines")
        expect(page.locator(".card")).to_contain_text("3114" if scripts else "findahelpline.com")
        page.get_by_label("Country").select_option("IT")
        page.get_by_role("button", name="Show its lines").click()
        expect(page.locator(".card")).to_contain_text("02 2327 2327")
        expect(page.locator(".card")).not_to_contain_text("3114")
        page.get_by_role("link", name="Danger to others").click()
        expect(page.locator(".card")).to_contain_text("1522")
        assert page.get_by_role("link", name="Danger to others").get_attribute("aria-current") == "page"


@pytest.mark.parametrize("width", [390, 1280])
def test_settings_work_by_keyboard_and_without_scripts(width: int, server: str, browser: Browser) -> None:
    with opened(browser, scripts=False, width=width) as page:
        page.goto(f"{server}/settings")
        page.get_by_label("Dark").focus()
        page.keyboard.press("Space")
        page.get_by_label("Language").select_option("it")
        page.get_by_role("button", name="Save").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Salvato.")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator("html").get_attribute("lang") == "it"
        page.goto(f"{server}/about/closing")
        picture(page, f"about-it-{width}-dark")
        expect(page.get_by_role("heading", level=1)).to_have_text("Come si chiude una chat")


def test_a_chosen_theme_wins_over_the_devices(server: str, browser: Browser) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, dark=True) as page:
        page.goto(f"{server}/settings")
        assert page.evaluate(back) == "rgb(22, 24, 27)"
        page.get_by_label("Light").check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_be_visible()
        assert page.evaluate(back) == "rgb(253, 253, 252)"


def test_the_card_folds_to_a_link_that_stays_without_scripts(server: str, browser: Browser) -> None:
    with opened(browser, scripts=False) as page:
        page.goto(f"{server}/help-lines/card?kind=self")
        summary = page.locator("summary")
        summary.click()
        expect(page.get_by_role("heading")).to_be_hidden()
        expect(summary).to_be_visible()
        summary.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading")).to_be_visible()


def test_the_card_stands_well_in_a_page(server: str, browser: Browser) -> None:
    for kind, width, dark in [
        ("self", 390, False),
        ("other", 1280, True),
        ("danger", 320, True),
        ("emergency", 390, True),
    ]:
        with opened(browser, width=width, dark=dark) as page:
            page.goto(f"{server}/shortcuts")
            put = """async (address) => {
                document.querySelector("main").innerHTML = await (await fetch(address)).text();
            }"""
            page.evaluate(put, f"/help-lines/card?kind={kind}&zone=Europe/Rome")
            expect(page.locator("main")).to_contain_text("02 2327 2327")
            expect(page.locator("main")).to_contain_text("For Italy: that is a guess")
            picture(page, f"card-{kind}-{width}-{'dark' if dark else 'light'}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            found = Axe().run(page, options={"rules": {"page-has-heading-one": {"enabled": False}}})
            assert found.violations_count == 0, found.generate_report()


# The first minutes


@pytest.mark.parametrize("language", ["en", "it"])
def test_an_empty_chat_offers_three_cards_and_calls_the_demo_a_script(
    language: str, server: str, browser: Browser
) -> None:
    found = [Offer("connect_openai", 'ADJOURN_UPSTREAM_KEY="$OPENAI_API_KEY" adjourn serve --upstream ' + "x" * 40)]
    html = fragment("first.html", Person(language=language), action="/", fields={}, offers=found)
    assert said(language)["first"]["script"].replace("'", "&#39;") in html
    for width in (320, 390, 1280):
        with opened(browser, width=width, dark=width == 390) as page:
            page.goto(f"{server}/shortcuts")
            page.evaluate("(html) => { document.querySelector('main').innerHTML = '<h1>Chat</h1>' + html; }", html)
            expect(page.get_by_role("listitem")).to_have_count(3)
            expect(page.locator("button.try").first).to_have_attribute("data-say", "This is a forbidden request.")
            picture(page, f"first-{language}-{width}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert Axe().run(page).violations_count == 0
