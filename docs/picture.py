"""Makes docs/closed.png, the picture of a closed chat in the README, from the running page: `make picture`."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

WORDS = ["hello", *["forbidden request, please"] * 5]


def main() -> None:
    """Start a server with the demo assistant, let it close a chat, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "adjourn", "serve", "--port", "0", "--db", f"sqlite:///{folder}/picture.db"]
        with subprocess.Popen([*command], stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": "1"}) as server:
            assert server.stdout is not None
            address = server.stdout.readline().decode().split()[-1]
            with sync_playwright() as playwright:
                flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
                page = browser.new_page(viewport={"width": 900, "height": 900})
                page.goto(address)
                for count, words in enumerate(WORDS, 1):
                    page.fill("#box", words)
                    page.press("#box", "Enter")
                    expect(page.locator("article.assistant .tools")).to_have_count(count)
                expect(page.locator("#closed")).to_be_visible()
                page.mouse.move(0, 0)
                page.screenshot(path=Path(__file__).with_name("closed.png"), animations="disabled")
                browser.close()
            server.terminate()


if __name__ == "__main__":
    main()
