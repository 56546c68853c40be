"""A real browser for tests of the page: Chromium through Playwright, or a skip that cannot be overlooked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MISSING = "install chromium and playwright: apt-get install chromium, pip install playwright"

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    # The browser itself calls nobody.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(config: pytest.Config) -> Iterator["Browser"]:
    """Start Chromium for the length of a block, or skip LOUDLY. Best from a fixture of session or module scope.

    @pytest.fixture(scope="module")
    def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
        with chromium(pytestconfig) as started:
            yield started
    """
    executable = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        executable = None
    if executable is None:
        _skip(config)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


def _skip(config: pytest.Config) -> NoReturn:
    # `-q` hides the reasons of skips, so this is written past the capture. (Workers of xdist have no terminal.)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is not None and capture is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\nNOT TESTED in a browser: {MISSING}", red=True, bold=True)
    pytest.skip(MISSING)
