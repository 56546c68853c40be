"""The addresses of the page, and what a person does there. Each works as a plain form, and leads back to the page."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from adjourn.core.errors import ClientError, StoreError
from adjourn.host import Turn
from adjourn.store import TEMPORARY
from adjourn.web import headers
from adjourn.web.chat.answers import Running
from adjourn.web.chat.changes import changes
from adjourn.web.chat.forms import Form, form_of, is_ours
from adjourn.web.chat.page import Chats, chat_page
from adjourn.web.chat.view import View
from adjourn.web.pages.render import IDENT, looking
from adjourn.web.safe import SAFE
from adjourn.web.streaming import Stream
from adjourn.wire.request import USER
from adjourn.wire.sse import event_of

STOP_SECONDS = 2.0
"""How long it is waited until a stopped answer is on record, before the page is shown again."""
EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

NOT_HERE = "There is no such chat in this browser."
NOT_OURS = "This form was not sent by a page of this browser, or its cookie is gone. Load the page again."

Acts = Callable[[Request, Chats, Form, str], Awaitable[Response]]


async def show(request: Request) -> Response:
    """Answer `GET /` and `GET /c/ID`: a browser sees its own conversations only."""
    chats: Chats = request.app.state.chats
    wanted = request.path_params.get("conversation", "")
    conversation = await chats.conversation(headers.scope(request, None), wanted)
    begins = wanted if conversation is None and wanted.startswith(TEMPORARY) and IDENT.fullmatch(wanted) else ""
    if wanted and conversation is None and not begins:
        return PlainTextResponse(NOT_HERE, 404, SAFE)
    asked = request.query_params
    view = await chats.view(conversation, asked.get("at") or asked.get("edit"), whole="all" in asked)
    return await chat_page(request, chats, view, begins=begins)


def act(does: Acts) -> Callable[[Request], Awaitable[Response]]:
    """Return the answer to a form: it is looked whose it is, and trouble shows on the page with what was typed."""

    @wraps(does)
    async def answer(request: Request) -> Response:
        chats: Chats = request.app.state.chats
        scope = headers.scope(request, None)
        try:
            form = await form_of(request)
        except ClientError:
            return PlainTextResponse(NOT_OURS, 413, SAFE)
        if not is_ours(chats.secret, request, form):
            return PlainTextResponse(NOT_OURS, 403, SAFE)
        try:
            return await does(request, chats, form, scope)
        except StoreError:
            conversation = None
            with suppress(StoreError):
                conversation = await chats.conversation(scope, form["conversation"])
            view = await chats.view(conversation) if conversation else View()
            return await chat_page(request, chats, view, status=503, typed=form.text, trouble="trouble_store")

    return answer


async def _found(chats: Chats, form: Form, scope: str) -> tuple[str | None, View]:
    """Return the conversation that a form is about, and all of it."""
    conversation = await chats.conversation(scope, form["conversation"])
    return conversation, await chats.view(conversation, whole=True)


async def send(request: Request, chats: Chats, form: Form, scope: str) -> Response:
    """Answer `POST /chat/send`: take a message below `parent`, and begin its answer.

    The same message sent twice is one: by its key, and at its place by its words.
    """
    key = form["key"] or secrets.token_urlsafe(16)
    begins = form["begins"] if form["begins"].startswith(TEMPORARY) and IDENT.fullmatch(form["begins"]) else ""
    external = begins or f"page-{key}"
    conversation = await chats.conversation(scope, form["conversation"] or external)
    view = await chats.view(conversation, whole=True)
    parent = view.named(form["parent"])
    if (form["conversation"] and conversation is None) or (form["parent"] and parent is None):
        return PlainTextResponse(NOT_HERE, 404, SAFE)
    if parent is not None and view.messages[parent].coming is not None:
        shown = await chats.view(conversation, parent)
        return await chat_page(request, chats, shown, status=409, typed=form.text, trouble="trouble_wait")
    if not form.text:
        return _to(conversation, parent or "")
    if parent is not None and not form["edit"]:
        shown = await chats.view(conversation, parent)
        if shown.end is not None:  # closed meanwhile, in another tab: who writes on there meant this chat, not a branch
            return await chat_page(request, chats, shown, status=409, kept=form.text)
    already = view.said(parent, form.text)
    if already is not None and conversation is not None:
        return _to(conversation, already.node)
    model, gateway = await chats.model(form["model"], looking(request).model)
    messages = [*view.history(parent), {"role": USER, "content": form.text}]

    async def begin() -> Running | Turn:
        return await chats.answers.begin(
            chats.host,
            gateway,
            scope=scope,
            model=model,
            messages=messages,
            conversation=conversation or external,
        )

    return await _begun(request, chats, await chats.answers.once(scope, key, begin), kept=form.text)


async def retry(request: Request, chats: Chats, form: Form, scope: str) -> Response:
    """Answer `POST /chat/retry`: have the message `node` answered again, by another model if one is named."""
    return await _again(request, chats, form, scope, lambda message: message.mine)


async def go_on(request: Request, chats: Chats, form: Form, scope: str) -> Response:
    """Answer `POST /chat/continue`: have an answer that broke off go on where it stopped."""
    return await _again(request, chats, form, scope, lambda message: message.broken)


async def _again(request: Request, chats: Chats, form: Form, scope: str, fits: Callable[[Any], bool]) -> Response:
    conversation, view = await _found(chats, form, scope)
    message = view.messages.get(view.named(form["node"]) or "")
    if conversation is None or message is None or not fits(message):
        return PlainTextResponse(NOT_HERE, 404, SAFE)
    model, gateway = await chats.model(form["model"], looking(request).model)

    async def begin() -> Running | Turn:
        return await chats.answers.begin(
            chats.host,
            gateway,
            scope=scope,
            model=model,
            messages=view.history(message.node),
            conversation=conversation,
        )

    return await _begun(
        request, chats, await chats.answers.once(scope, form["key"] or secrets.token_urlsafe(16), begin)
    )


async def _begun(request: Request, chats: Chats, begun: Running | Turn, kept: str = "") -> Response:
    """Return the way to the answer; a chat that was closed meanwhile says so, and gives back what was typed."""
    if isinstance(begun, Running):
        return _to(begun.turn.conversation, begun.turn.node)
    view = await chats.view(begun.conversation, begun.closed_by)
    return await chat_page(request, chats, view, status=409, kept=kept)


async def stop(request: Request, chats: Chats, form: Form, scope: str) -> Response:
    """Answer `POST /chat/stop`: the answer stops, and what has come of it is kept."""
    running = chats.answers.get(scope, form["answer"])
    if running is None:
        return _to(await chats.conversation(scope, form["conversation"]))
    running.stopped.set()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await running.over.wait()
    return _to(running.turn.conversation, running.turn.node)


def _to(conversation: str | None, at: str = "") -> Response:
    """Lead to a message of a conversation."""
    where = f"?{urlencode({'at': at})}" if conversation and at else ""
    return RedirectResponse(f"/c/{quote(conversation)}{where}" if conversation else "/", 303)


async def answer(request: Request) -> Response:
    """Answer `GET /chat/answer/ID`: what is written, from the event on that was seen last, until it is over."""
    chats: Chats = request.app.state.chats
    running = chats.answers.get(headers.scope(request, None), request.path_params["answer"])
    await request.body()  # then what is received next is that the reader went away
    last = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    written = _written(running, int(last) if last.isdecimal() else 0)
    return Stream(written, 200, EVENTS, written.aclose)


async def _written(running: Running | None, number: int) -> AsyncGenerator[bytes, None]:
    """Yield what is newer than this number; an answer that this process does not know is over here."""
    if running is not None:
        async for at, blocks in running.news(number):
            yield f"id: {at}\n".encode() + event_of(msgspec.json.encode(blocks))
    yield event_of(msgspec.json.encode(running.state if running else ""), "over")


async def events(request: Request) -> Response:
    """Answer `GET /chat/events`: what changes in this browser's conversations, in whatever process."""
    chats: Chats = request.app.state.chats
    await request.body()  # then what is received next is that the browser went away
    told = changes(chats.host.store, headers.scope(request, None), chats.answers.stopping)
    return Stream(told, 200, EVENTS, told.aclose)


ROUTES = [
    Route("/", show),
    Route("/c/{conversation}", show),
    Route("/chat/send", act(send), methods=["POST"]),
    Route("/chat/retry", act(retry), methods=["POST"]),
    Route("/chat/continue", act(go_on), methods=["POST"]),
    Route("/chat/stop", act(stop), methods=["POST"]),
    Route("/chat/answer/{answer}", answer),
    Route("/chat/events", events),
]
