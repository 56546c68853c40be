"""A server that others can reach: it starts with a key only, and people sign in with it in a real browser."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium

ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adjourn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the real server, and give its address."""
    command = [sys.executable, "-m", "adjourn", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().split()[-1]
        process.terminate()


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('keys') / 'keys.db'}"


@pytest.fixture(scope="module")
def key(db: str) -> str:
    return run("keys", "create", "laptop", "--db", db).stdout.strip()


@pytest.fixture(scope="module")
def server(db: str, key: str) -> Iterator[str]:
    with serving("--db", db) as address:
        yield address


@pytest.fixture(scope="module")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with chromium(pytestconfig) as started:
        yield started


@contextmanager
def profile(browser: Browser, *, scripts: bool = True) -> Iterator[tuple[BrowserContext, Page]]:
    """A new browser profile."""
    context = browser.new_context(java_script_enabled=scripts)
    yield context, context.new_page()
    context.close()


def sign_in(page: Page, server: str, key: str) -> None:
    page.goto(server)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


# Who may be served


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "no key opens it: `adjourn keys create NAME` makes one; or listen on 127.0.0.1"),
        (("--mode", "off"), "in mode off there is no store, so there are no keys"),
    ],
)
def test_without_a_key_only_this_machine_is_served(more: Sequence[str], says: str, tmp_path: Path) -> None:
    refused = run("serve", "--host", "0.0.0.0", "--port", "0", "--db", f"sqlite:///{tmp_path / 'a.db'}", *more)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: --host 0.0.0.0: ")
    assert says in refused.stderr


def test_with_keys_that_were_all_revoked_only_this_machine_is_served(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'a.db'}"
    ident = run("keys", "create", "laptop", "--db", db).stderr.partition(":")[0]
    assert run("keys", "revoke", ident, "--db", db).returncode == 0
    assert "no key opens it" in run("serve", "--host", "0.0.0.0", "--port", "0", "--db", db).stderr


def test_with_a_key_others_may_be_served(db: str, key: str) -> None:
    with serving("--host", "0.0.0.0", "--db", db) as address:
        assert address.startswith("http://0.0.0.0:")


# The page


@pytest.mark.parametrize("scripts", [True, False])
def test_a_person_signs_in_and_out_with_scripts_and_without(
    scripts: bool, browser: Browser, server: str, key: str
) -> None:
    with profile(browser, scripts=scripts) as (context, page):
        sign_in(page, f"{server}/c/c_none", key[:-1] + "!")
        expect(page.get_by_role("alert")).to_contain_text("This key doesn't open anything here.")
        sign_in(page, server, key)
        expect(page).to_have_url(f"{server}/")
        held = {cookie.get("name"): cookie for cookie in context.cookies()}["adjourn_key"]
        assert (held.get("httpOnly"), held.get("sameSite"), held.get("value")) == (True, "Strict", key)
        page.locator("#more").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{server}/sign-in")
        page.goto(server)
        expect(page).to_have_url(f"{server}/sign-in")


def test_a_chat_is_seen_after_signing_in_again_and_by_no_other_browser(browser: Browser, server: str, key: str) -> None:
    with profile(browser) as (_, page), profile(browser) as (_, other):
        sign_in(page, server, key)
        page.fill("#box", "hello")
        page.press("#box", "Enter")
        expect(page.locator("article.assistant .tools")).to_have_count(1)
        chat = page.url
        assert "/c/c_" in chat
        page.locator("#more").click()
        page.get_by_role("button", name="Sign out").click()
        sign_in(page, server, key)
        page.goto(chat)
        expect(page.locator("article.assistant .tools")).to_have_count(1)
        sign_in(other, server, key)
        other.goto(chat)
        expect(other.locator("body")).to_contain_text("There is no such chat in this browser.")


def test_the_sign_in_page_loads_nothing_that_it_forbids_itself_and_fits_a_phone(browser: Browser, server: str) -> None:
    with profile(browser) as (_, page):
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(server)
        expect(page.get_by_label("Key")).to_be_focused()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert complaints == []


def test_who_was_signed_out_meanwhile_is_told_and_keeps_what_they_wrote(
    browser: Browser, server: str, key: str
) -> None:
    with profile(browser) as (context, page):
        sign_in(page, server, key)
        expect(page.locator("#box")).to_be_visible()
        expect(page.locator("html[data-ready]")).to_be_attached()
        context.clear_cookies(name="adjourn_key")
        page.fill("#box", "hello")
        page.press("#box", "Enter")
        expect(page.locator("main")).to_contain_text("You are signed out, so nothing was sent.")
        expect(page.locator("#box")).to_have_value("hello")
        expect(page.locator("main")).not_to_contain_text("The server says")
