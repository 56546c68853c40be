"""Whatever people and models write, nothing of it runs, and nothing of it is asked of anybody else."""

import itertools
import re

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from adjourn.web.chat.markdown import blocks, html
from tests.page.conftest import at, say

RUNS = "window.hacked = 1"
PAYLOADS = [
    f"<script>{RUNS}</script>",
    f"<img src=x onerror='{RUNS}'>",
    f"<svg/onload='{RUNS}'>",
    f"<svg><script>{RUNS}</script></svg>",
    f"<math><mtext><img src=x onerror='{RUNS}'></mtext></math>",
    f"<math><mglyph><style><img src=x onerror='{RUNS}'></style></mglyph></math>",
    f"<iframe srcdoc='<script>parent.{RUNS}</script>'></iframe>",
    f"<body onload='{RUNS}'>",
    f"<details open ontoggle='{RUNS}'>x</details>",
    f"<input autofocus onfocus='{RUNS}'>",
    f"<a href='javascript:{RUNS}'>x</a>",
    "<form action='javascript:alert(1)'><button>x</button></form>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<object data='https://evil.example/'></object>",
    "<style>@import 'https://evil.example/x.css'</style>",
    f"</div></article></main><script>{RUNS}</script>",
    f"</textarea><script>{RUNS}</script>",
    f"--><script>{RUNS}</script><!--",
    f"<![CDATA[<script>{RUNS}</script>]]>",
    f"<template><script>{RUNS}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUNS}>'></noscript>",
    f"[x](javascript:{RUNS.replace(' ', '')})",
    f"[x](JaVaScRiPt:{RUNS.replace(' ', '')})",
    f"[x](java&#115;cript:{RUNS.replace(' ', '')})",
    f"[x](&#x6A;avascript:{RUNS.replace(' ', '')})",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox)",
    "<javascript:window.hacked=1>",
    f"[x](https://a.example \"' onmouseover='{RUNS}\")",
    f"[x](https://a.example/'onmouseover='{RUNS.replace(' ', '')})",
    "[ref]: javascript:window.hacked=1\n\n[x][ref]",
    "![x](javascript:window.hacked=1)",
    "![x](https://evil.example/pixel.png)",
    f'![x" onerror="{RUNS}](https://evil.example/pixel.png)',
    f'```"><script>{RUNS}</script>\nx\n```',
    f"```python onload={RUNS}\n<script>{RUNS}</script>\n```",
    f"```html\n<img src=x onerror='{RUNS}'>\n```",
    f"`<script>{RUNS}</script>`",
    f"|a|\n|-|\n|<img src=x onerror='{RUNS}'>|",
    f"# <svg onload='{RUNS}'>",
    f"> <script>{RUNS}</script>",
    f"- <img src=x onerror='{RUNS}'>",
    f"$\\text{{<svg/onload={RUNS}>}}$",
    f"$$\\text{{<img src=x onerror={RUNS}>}}$$",
    "$\\href{javascript:window.hacked=1}{x}$",
    "\\(\\href{javascript:window.hacked=1}{x}\\)",
    f"\\[\\text{{</math><script>{RUNS}</script>}}\\]",
    f"$\\text{{</mtext></math><img src=x onerror={RUNS}>}}$",
    "$\\style{background:url(https://evil.example)}{x}$",
    f"$\\class{{x' onclick='{RUNS}}}{{x}}$",
    f"$\\unicode{{<script>{RUNS}</script>}}$",
    "$\\includegraphics{https://evil.example/x.png}$",
    f"$<script>{RUNS}</script>$",
    f"$x$<script>{RUNS}</script>$y$",
    f"~~~~pasted\n</pre></details><script>{RUNS}</script>\n~~~~",
    f"&lt;script&gt;{RUNS}&lt;/script&gt;",
    f"\u202e<script>{RUNS}</script>",
    f"<scr\x00ipt>{RUNS}</scr\x00ipt>",
    f"<ScRiPt\n>{RUNS}</sCrIpT\n>",
    f"<svg><animate onbegin='{RUNS}' attributeName=x dur=1s></svg>",
    f"<svg><use href='data:image/svg+xml,<svg id=x onload={RUNS}>#x'></use></svg>",
]
ELEMENT = re.compile(r"<\s*/?\s*([a-z0-9]+)([^>]*)>", re.IGNORECASE)
NEVER = re.compile(r"^(script|img|svg|iframe|object|embed|style|link|meta|base|form|input|template|use|image)$", re.I)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_markdown_makes_an_element_or_an_attribute_that_could_run(payload: str) -> None:
    whole = [html(payload), html(f"Some words, and {payload} in them.")]
    growing = [made for end in range(1, len(payload) + 1) for _, made in blocks(payload[:end])]
    for made in itertools.chain(whole, growing):
        for name, attributes in ELEMENT.findall(made):
            assert not NEVER.match(name), made
            assert not re.search(r"\bon\w+\s*=|style\s*=|srcdoc|xlink", re.sub(r'"[^"]*"', '""', attributes)), made
            assert not re.search(r'href="\s*(?!https?:|mailto:)[a-z]+:', attributes, re.IGNORECASE), made


def test_nothing_that_people_or_models_write_runs_or_leaves_the_page(
    context: BrowserContext, two: tuple[str, str]
) -> None:
    away: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((*two, "data:", "blob:")):
            away.append(request.url)

    context.on("request", note)
    chat = at(context, two[0])
    everything = "\n\n".join(payload for payload in PAYLOADS if "\x00" not in payload)
    say(chat, f"say:{everything}", 1)
    check(chat)
    chat.reload()
    check(chat)
    chat.get_by_role("link", name="Edit").click()
    expect(chat.locator(".editor textarea")).to_be_focused()
    check(chat)
    assert away == []


def check(page: Page) -> None:
    """See that nothing ran, and that no handler or foreign element stands in the messages."""
    assert page.evaluate("window.hacked") is None
    found = "#thread :is(script, img, iframe, object, embed, style, link, meta, base, template)"
    expect(page.locator(found)).to_have_count(0)
    handlers = """[...document.querySelectorAll("#thread *")].flatMap((one) => [...one.attributes])
        .filter((one) => one.name.startsWith("on") || /^\\s*(javascript|data|vbscript):/i.test(one.value)
          && one.name === "href").map((one) => one.name)"""
    assert page.evaluate(handlers) == []


def test_the_page_allows_no_script_but_its_own_files(chat: Page, two: tuple[str, str]) -> None:
    answer = chat.request.get(two[0])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.search(r"<script(?! type=\"(module|application/json)\")|style=|\son\w+=", answer.text()) is None
