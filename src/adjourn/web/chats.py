"""The list of chats of a browser, and what a person does with them: title, pin, put away, delete, save.

Every form works without scripts; scripts send JSON and are answered in it. A chat of somebody else's is answered like
one that does not exist.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from adjourn.core.errors import StoreError
from adjourn.host import Host
from adjourn.store import TEMPORARY, Chat, Titled, has_list
from adjourn.store.chats import UNDO_MS
from adjourn.store.export import export, for_person, markdown
from adjourn.web import headers
from adjourn.web.chat.forms import know_again
from adjourn.web.gateway import NOT_KEPT, RETRY_AFTER
from adjourn.web.guard import FORM
from adjourn.web.listing import line_of, listing, rendered
from adjourn.web.pages.render import looking, page
from adjourn.web.safe import SAFE
from adjourn.web.titles import PERSONS_LENGTH, cleaned

BODY_BYTES = 16 * 1024
PRIVATE = {**SAFE, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
ELSEWHERE = "only a page of this server may change a chat"
NOT_FOUND = "there is no such chat in this browser"
UNREADABLE = "a JSON object, or a form, is needed"
SEARCH_LENGTH = 200

Fields = Mapping[str, Any]
Act = Callable[[Chat, Fields, int], Chat]
"""What a person does with a chat, given the fields of the form and the time: returns the chat as it is then."""


def give_title(chat: Chat, sent: Fields, _: int) -> Chat:
    """Give a chat this title; with an empty one it is called by its beginning again."""
    title = cleaned(str(sent.get("title", "")), PERSONS_LENGTH)
    return replace(chat, title=title or None, titled_by=Titled.PERSON if title else None)


def delete(chat: Chat, _: Fields, now: int) -> Chat:
    """Take a chat off the list; it is erased once this can no longer be undone."""
    return replace(chat, deleted_at=now if chat.deleted_at is None else chat.deleted_at)


def undo(chat: Chat, _: Fields, now: int) -> Chat:
    """Put a chat back on the list, unless it was deleted too long ago."""
    late = chat.erased or (chat.deleted_at is not None and now - chat.deleted_at > UNDO_MS)
    return chat if late else replace(chat, deleted_at=None, away=False)


ACTS: Mapping[str, Act] = {
    "title": give_title,
    "pin": lambda chat, *_: replace(chat, pinned=True),
    "unpin": lambda chat, *_: replace(chat, pinned=False),
    "away": lambda chat, *_: replace(chat, away=True, pinned=False),
    "delete": delete,
    "undo": undo,
}
"""What a person does with a chat, by the last part of the address."""


def answered(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler, whose answers no cache keeps, and which says when the store cannot be used."""

    async def handler(request: Request) -> Response:
        try:
            answer = await handle(request)
        except StoreError:
            raise HTTPException(503, NOT_KEPT, RETRY_AFTER) from None
        answer.headers.update(PRIVATE)
        return answer

    return handler


async def show(request: Request) -> Response:
    """Answer `GET /chats` and `GET /chats/search?q=…`: as JSON, as HTML to include (`as=list`), or as a page."""
    search = request.query_params.get("q", "")[:SEARCH_LENGTH].strip() if request.url.path != "/chats" else ""
    who, shown = looking(request), await listing(request, request.state.host, search=search)
    if request.query_params.get("as") == "list":
        html = rendered(
            shown, who, current=request.query_params.get("current"), back=_back(request.query_params.get("back"))
        )
        return HTMLResponse(html)
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(shown.data())
    answer = page(request, "chats.html", who, list=rendered(shown, who), scripts=["list"])
    know_again(answer, request)
    return answer


def change(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `POST /chats/ID/NAME`, where NAME is one of `ACTS`."""

    async def handle(request: Request) -> Response:
        host, chat = await _mine(request)
        sent, at = await _sent(request), host.now()
        kept = await host.store.mark(chat.id, lambda now: ACTS[name](now, sent, at))
        assert kept is not None
        if name == "undo" and kept.deleted_at is not None:
            raise HTTPException(409, looking(request).words["list_too_late"])
        if not _is_form(request):
            return JSONResponse(asdict(line_of(kept, looking(request).words)))
        gone = f"/chats?{urlencode({'deleted': chat.id})}"
        return RedirectResponse(gone if name == "delete" else _back(sent.get("back")), 303)

    return handle


async def begin_temporary(request: Request) -> Response:
    """Answer `POST /chats/temporary` with a new id: the chat that is begun with it is a temporary one."""
    await _sent(request)
    ident = f"{TEMPORARY}{secrets.token_hex(16)}"
    return RedirectResponse(f"/c/{ident}", 303) if _is_form(request) else JSONResponse({"id": ident})


def save(form: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `GET /chats/ID/export.FORM` with the chat as a file: all its branches and receipts."""

    async def handle(request: Request) -> Response:
        host, chat = await _mine(request)
        events = [row.event for row in await host.store.read(chat.id)]
        exported = for_person(export(chat.id, events, await host.store.texts(chat.id)))
        attachment = {"Content-Disposition": f'attachment; filename="chat-{chat.id}.{form}"'}
        if form == "md":
            return Response(markdown(exported), media_type="text/markdown", headers=attachment)
        return JSONResponse(exported, headers=attachment)

    return handle


async def _mine(request: Request) -> tuple[Host, Chat]:
    """Return the host and the chat that is meant, if whoever asks has it in their list; else 404."""
    host: Host | None = request.state.host
    scope = headers.scope(request, None)
    if host is None or not has_list(scope):
        raise HTTPException(404, NOT_FOUND)
    conversation = await host.store.external(scope, request.path_params["chat"])
    chat = await host.store.chat(conversation) if conversation is not None else None
    if chat is None or chat.line.scope != scope:
        raise HTTPException(404, NOT_FOUND)
    return host, chat


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == FORM


async def _sent(request: Request) -> Fields:
    """Return the fields that a page of ours sent; 403 for another's, which the guard may not have known for one."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    own = origin in (f"http://{host}", f"https://{host}")
    if not own and (origin is not None or request.headers.get("sec-fetch-site") != "same-origin"):
        raise HTTPException(403, ELSEWHERE)
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > BODY_BYTES:
                raise HTTPException(413, "the body is larger than 16 KB")
        if _is_form(request):
            return {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (ClientDisconnect, UnicodeDecodeError, ValueError):
        raise HTTPException(422, UNREADABLE) from None


def _back(wanted: Any) -> str:
    """Return the address of ours to which a form leads back; never one elsewhere."""
    path = wanted if isinstance(wanted, str) else ""
    here = path == "/" or (path.startswith(("/c/", "/chats")) and path.isascii() and path.isprintable())
    return path if here and "\\" not in path else "/chats"


ROUTES = [
    Route("/chats", answered(show)),
    Route("/chats/search", answered(show)),
    Route("/chats/temporary", answered(begin_temporary), methods=["POST"]),
    *(Route(f"/chats/{{chat}}/{name}", answered(change(name)), methods=["POST"]) for name in ACTS),
    *(Route(f"/chats/{{chat}}/export.{form}", answered(save(form))) for form in ("json", "md")),
]
