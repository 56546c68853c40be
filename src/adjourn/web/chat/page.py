"""The page itself: HTML that can be read and used without scripts."""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from adjourn.core.machine import Ground
from adjourn.host import Host
from adjourn.host.words import page_words, words
from adjourn.store.export import exported_time
from adjourn.web import headers
from adjourn.web.chat import markdown
from adjourn.web.chat.answers import Answers, State
from adjourn.web.chat.forms import FENCE, browser_of, know_again, token
from adjourn.web.chat.view import Message, View, seen
from adjourn.web.gateway import Gateway
from adjourn.web.safe import HERE, SAFE

FOLDED = "adjourn_folded"
"""The cookie in which a browser says which cards the person has put away."""
THEME = "adjourn_theme"
THEMES = frozenset({"light", "dark"})
SCRIPT_WORDS = "script_"
"""What the scripts say has keys that begin so."""


@dataclass(slots=True)
class Chats:
    """What the page needs. `gateways`: by wire; `models`: those that it offers, each with its wire.

    `answers`: those of this process; `secret`: with which forms are marked as ours, the same in all processes.
    """

    host: Host
    gateways: Mapping[str, Gateway]
    answers: Answers
    models: Mapping[str, str]
    secret: bytes
    demo: bool = False

    def model(self, wanted: str) -> tuple[str, Gateway]:
        """Return a model that is offered, the first if this one is not, and the gateway in front of it."""
        name = wanted if wanted in self.models else next(iter(self.models))
        return name, self.gateways[self.models[name]].of(name)

    async def conversation(self, scope: str, wanted: str) -> str | None:
        """Return the conversation of this scope with this id."""
        return await self.host.store.external(scope, wanted) if wanted else None

    async def view(self, conversation: str | None, at: str | None = None, *, whole: bool = False) -> View:
        """Return what is shown of a conversation; of none, the beginning of one."""
        if conversation is None:
            return View()
        coming = self.answers.of(conversation)
        return await seen(self.host, conversation, at, coming=coming, whole=whole)


@cache
def template(name: str) -> jinja2.Template:
    """Return the template of a page."""
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"mine": _mine, "answer": _answer, "digits": _digits, "moment": exported_time, "day": _day}
    return made


async def chat_page(
    request: Request,
    chats: Chats,
    view: View,
    *,
    status: int = 200,
    typed: str = "",
    kept: str = "",
    trouble: str | None = None,
) -> Response:
    """Return the page. `typed`: what stands in the box; `kept`: what was refused below an end; `trouble`: a word."""
    browser = browser_of(request)
    failed = _failed(chats, view)
    said = {
        "w": page_words(),
        "view": view,
        "models": list(chats.models),
        "model": request.query_params.get("model", ""),
        "edit": request.query_params.get("edit"),
        "at": request.query_params.get("at"),
        "folded": set(request.cookies.get(FOLDED, "").split(".")),
        "theme": _theme(request),
        "token": token(chats.secret, browser),
        "key": secrets.token_urlsafe(16),
        "typed": typed,
        "kept": kept,
        "trouble": trouble or (failed[0] if failed else None),
        "detail": failed[1] if failed and not trouble else "",
        "running": next((one.coming for one in reversed(view.path) if one.coming is not None), None),
        "by_request": view.end is not None and view.end.ground is Ground.USER_REQUEST,
        "turns": view.turns(view.end) if view.end else [],
        "lines": chats.host.support(None) if view.end else None,
        "sign_out": words()["sign_out"] if headers.KEY in request.cookies else None,
        "script_words": _script_words(),
    }
    # A long conversation takes a while to render: everybody else goes on meanwhile.
    text = await asyncio.to_thread(template("chat.html").render, said)
    page = HTMLResponse(text, status, headers={**SAFE, "Cache-Control": "no-store"})
    know_again(page, request, browser)
    return page


def _failed(chats: Chats, view: View) -> tuple[str, str] | None:
    """Return why the newest answer to the last message failed, in words, if it did."""
    last = view.last_of_mine
    newest = chats.answers.newest(last.node) if last else None
    if newest is None or newest.state is not State.FAILED:
        return None
    return newest.trouble or "trouble_other", newest.detail


def _theme(request: Request) -> str | None:
    found = request.cookies.get(THEME)
    return found if found in THEMES else None


@cache
def _script_words() -> Markup:
    """Return the words of the scripts, as JSON that no text can break out of."""
    found = {key.removeprefix(SCRIPT_WORDS): text for key, text in page_words().items() if key.startswith(SCRIPT_WORDS)}
    return Markup(json.dumps(found).replace("<", "\\u003c"))


def _mine(message: Message) -> Markup:
    """Return a person's message as HTML: their words as they are, and long pasted texts folded."""
    parts: Sequence[str] = FENCE.split(message.text)
    said = page_words()
    shown = [escape(part.strip("\n")) if at % 2 == 0 else _pasted(part, said) for at, part in enumerate(parts)]
    return Markup("".join(shown))


def _pasted(text: str, said: Mapping[str, str]) -> str:
    label = said["pasted"].format(lines=text.count("\n") + 1)
    return f'<details class="pasted"><summary>{escape(label)}</summary><pre>{escape(text)}</pre></details>'


def _answer(message: Message) -> Markup:
    """Return an answer as HTML."""
    return Markup(markdown.html(message.text))


def _day(at: int) -> str:
    """Return a time, in milliseconds since 1970, as a person reads it; the page's script says it on their own clock."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _digits(number: str) -> str:
    return "".join(letter for letter in number if letter in "+0123456789")
