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

from adjourn.core.errors import StoreError
from adjourn.core.machine import Ground
from adjourn.host import Host
from adjourn.host.words import because, page_words
from adjourn.store.export import exported_time
from adjourn.web import headers
from adjourn.web.chat import markdown
from adjourn.web.chat.answers import Answers, State
from adjourn.web.chat.forms import FENCE, browser_of, know_again, token
from adjourn.web.chat.view import Message, View, seen
from adjourn.web.gateway import Gateway
from adjourn.web.listing import ZONE
from adjourn.web.listing import fragment as list_of
from adjourn.web.pages.about import modes
from adjourn.web.pages.first import first_minutes
from adjourn.web.pages.help_lines import card
from adjourn.web.pages.models import Models
from adjourn.web.pages.render import SHOWN, host_of, looking
from adjourn.web.pages.settings import shortcut_sheet
from adjourn.web.safe import HERE

FOLDED = "adjourn_folded"
"""The cookie in which a browser says which cards the person has put away."""
SCRIPT_WORDS = "script_"
"""What the scripts say has keys that begin so."""


@dataclass(slots=True)
class Chats:
    """What the page needs. `gateways`: by wire; `models`: those that it offers, each with its wire.

    `choice`: all models that a person can choose in the settings; `answers`: those of this process.
    `secret`: with which forms are marked as ours, the same in all processes.
    """

    host: Host
    gateways: Mapping[str, Gateway]
    answers: Answers
    models: Mapping[str, str]
    choice: Models
    secret: bytes
    demo: bool = False

    async def offered(self, chosen: str | None) -> Mapping[str, str]:
        """Return the models that the page offers, each with its wire: the one chosen in the settings among them."""
        if not chosen or chosen in self.models:
            return self.models
        known = await self.choice.offered()
        named = {name: wire for name, wire in self.models.items() if name}
        return {**named, chosen: known[chosen].wire} if chosen in known else self.models

    async def model(self, wanted: str, chosen: str | None) -> tuple[str, Gateway]:
        """Return the model that is asked for, else the one chosen in the settings, else the first; and its gateway."""
        offered = await self.offered(chosen)
        name = next((one for one in (wanted, chosen) if one and one in offered), next(iter(offered)))
        return name, self.gateways[offered[name]].of(name)

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
    made.filters |= {"mine": _mine, "answer": _answer, "moment": exported_time, "day": _day}
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
    begins: str = "",
) -> Response:
    """Return the page. `typed`: what stands in the box; `kept`: what was refused below an end; `trouble`: a word.

    `begins`: the id that the chat gets with its first message, if it is to be a certain one.
    """
    browser, who = browser_of(request), looking(request)
    failed = _failed(chats, view)
    offered = list(await chats.offered(who.model))
    key, mark = secrets.token_urlsafe(16), token(chats.secret, browser)
    hidden = {"token": mark, "key": f"{key}first"}
    said = {
        "w": page_words(who.language),
        "words": who.words,
        "person": who,
        "view": view,
        "models": offered,
        "model": next((one for one in (request.query_params.get("model"), who.model) if one in offered), ""),
        "begins": begins,
        "demo": chats.demo,
        "list": await _list(request, view),
        "first": await first_minutes(request, "/chat/send", fields=hidden) if not view.path else "",
        "shortcuts": shortcut_sheet(request),
        "cards": _cards(request, view),
        "mode": who.words["about"][f"mode_{view.mode.name.lower()}"] if view.mode is not None else None,
        "modes": modes(chats.host.policy, who.language),
        "why": because(view.end.ground, view.family, who.language) if view.end else "",
        "edit": request.query_params.get("edit"),
        "at": request.query_params.get("at"),
        "token": mark,
        "key": key,
        "typed": typed,
        "kept": kept,
        "trouble": trouble or (failed[0] if failed else None),
        "detail": failed[1] if failed and not trouble else "",
        "running": next((one.coming for one in reversed(view.path) if one.coming is not None), None),
        "by_request": view.end is not None and view.end.ground is Ground.USER_REQUEST,
        "turns": view.turns(view.end) if view.end else [],
        "sign_out": who.words["sign_out"] if headers.KEY in request.cookies else None,
        "script_words": _script_words(who.language),
    }
    # A long conversation takes a while to render: everybody else goes on meanwhile.
    text = await asyncio.to_thread(template("chat.html").render, said)
    page = HTMLResponse(text, status, headers={**SHOWN, "Content-Language": who.language})
    know_again(page, request, browser)
    return page


def _failed(chats: Chats, view: View) -> tuple[str, str] | None:
    """Return why the newest answer to the last message failed, in words, if it did."""
    last = view.last_of_mine
    newest = chats.answers.newest(last.node) if last else None
    if newest is None or newest.state is not State.FAILED:
        return None
    return newest.trouble or "trouble_other", newest.detail


async def _list(request: Request, view: View) -> Markup:
    """Return the list of chats; nothing while it cannot be read, so that the chat itself can be shown."""
    try:
        return await list_of(request, host_of(request), current=view.conversation)
    except StoreError:
        return Markup()


def _cards(request: Request, view: View) -> Mapping[str, Sequence[Markup]]:
    """Return the cards by the message behind which each stands."""
    folded, zone = request.cookies.get(FOLDED, "").split("."), request.cookies.get(ZONE)
    found: dict[str, list[Markup]] = {}
    for one in view.cards:
        html = card(request, one.kind, sign=one.sign, folded=one.sign in folded, closed=view.end is not None, zone=zone)
        found.setdefault(one.at, []).append(html)
    return found


@cache
def _script_words(language: str) -> Markup:
    """Return the words of the scripts, as JSON that no text can break out of."""
    found = {
        key.removeprefix(SCRIPT_WORDS): text
        for key, text in page_words(language).items()
        if key.startswith(SCRIPT_WORDS)
    }
    return Markup(json.dumps(found).replace("<", "\\u003c"))


def _mine(message: Message, said: Mapping[str, str]) -> Markup:
    """Return a person's message as HTML: their words as they are, and long pasted texts folded."""
    parts: Sequence[str] = FENCE.split(message.text)
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
