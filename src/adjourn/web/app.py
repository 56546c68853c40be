"""The server's routes, and the guard in front of all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.host import Host, Manner
from adjourn.host.words import DEFAULT
from adjourn.signals import Detectors
from adjourn.upstream.choice import Named, chosen
from adjourn.upstream.client import Upstream
from adjourn.web import chats, health
from adjourn.web.addresses import passes, wire_of
from adjourn.web.callers import Callers, admitted
from adjourn.web.chat.answers import Answers
from adjourn.web.chat.page import Chats
from adjourn.web.chat.routes import ROUTES
from adjourn.web.gateway import Gateway, refused
from adjourn.web.guard import Guard
from adjourn.web.headers import Names, fields
from adjourn.web.manners import differ, manner
from adjourn.web.pages.models import Models
from adjourn.web.pages.render import House
from adjourn.web.pages.routes import ROUTES as PAGES
from adjourn.web.safe import HERE
from adjourn.web.sign_in import sign_in_page, sign_out
from adjourn.web.stopping import Stopping, stoppable
from adjourn.web.watch import Watch, own_fault, watched
from adjourn.wire import anthropic, openai_chat

Opened = AbstractAsyncContextManager[tuple[Host | None, Mapping[Named, Upstream]]]

NOT_OFFERED = "this address is not offered: only /v1/chat/completions, /v1/messages and /v1/models are"
LATER = "this address comes with a later version; /v1/chat/completions and /v1/messages are there"
NO_MODEL: Mapping[str, str] = {
    openai_chat.NAME: "no model that speaks Chat Completions stands behind this server: it was started without"
    " --upstream",
    anthropic.NAME: "no model that speaks Anthropic Messages stands behind this server: it was started without"
    " --anthropic-upstream",
}
"""What is said on a wire that nobody behind this server speaks."""

JUDGED = frozenset({"/v1/chat/completions", "/v1/messages"})
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    opened: Callable[[], Opened],
    guard: Guard,
    *,
    model: str = "",
    demo: bool = False,
    country: str | None = None,
    language: str = DEFAULT,
    names: Names | None = None,
    watch: Watch | None = None,
    stopping: Stopping | None = None,
    pass_unkept: bool = False,
) -> ASGIApp:
    """Return the server.

    `opened` gives the host (none in mode off), and the upstreams in the operator's order, for as long as it runs.
    `model`, `demo`, `country`, `language`: what the pages say of the model and of where the people are.
    `names`: of the headers that tell of chats and side requests. `watch`: who is told what happens; `stopping`: by
    which it is told that it is to stop; `pass_unkept`: what the store cannot keep passes unjudged, and is not refused.
    """
    watching, stops = watch or Watch(), stopping or Stopping()
    unkept = watching.unkept if pass_unkept else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with opened() as (host, upstreams):
            seen = watching.host(host) if host else None
            for upstream in upstreams.values():
                watching.upstream(upstream)
            app.state.gateways = gateways(seen, upstreams, names or Names(), unkept)
            app.state.callers = Callers(seen.store if seen else None)
            models = Models({} if demo else upstreams, model)
            app.state.house = House(models=models, country=country, language=language, demo=demo)
            app.state.metrics, app.state.stopping = watching.metrics, stops
            async with _chatting(app, seen, upstreams, model=model, demo=demo):
                yield {"host": seen}
            await stops.left()
        await watching.close()

    async def chat(request: Request) -> Response:
        gateway = _asked(request)
        return await gateway.chat(request) if gateway else _no_model(request)

    async def models(request: Request) -> Response:
        gateway = _asked(request)
        return await gateway.through(request, "/models") if gateway else _no_model(request)

    async def sign_in(request: Request) -> Response:
        return await sign_in_page(request, request.app.state.callers)

    async def failed(request: Request, _: Exception) -> Response:
        return own_fault(request.scope)

    async def unmatched(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refused(wire_of(request.scope), error.status_code, error.detail, error.headers)

    async def later(_: Request) -> Response:
        return refused(openai_chat, 404, LATER)

    async def other(request: Request) -> Response:
        if not passes(request.scope["path"]):
            return refused(wire_of(request.scope), 404, NOT_OFFERED)
        gateway = _asked(request)
        path = request.scope["raw_path"].decode("latin-1").removeprefix("/v1")
        return await gateway.through(request, path) if gateway else _no_model(request)

    routes = [
        *ROUTES,
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        *chats.ROUTES,
        *PAGES,
        *health.ROUTES,
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/messages", chat, methods=["POST"]),
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/responses", later, methods=["POST"]),
        Route("/v1/{rest:path}", other, methods=METHODS),
        Route("/openapi.json", Api()),
        Route("/api/{rest:path}", Api()),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    served = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: unmatched, Exception: failed},
    )
    answered = admitted(_at_once(served, chat), served.state)
    return watched(stoppable(guarded(answered, guard), stops), watching)


@asynccontextmanager
async def _chatting(
    app: Starlette, host: Host | None, upstreams: Mapping[Named, Upstream], *, model: str, demo: bool
) -> AsyncIterator[None]:
    """Let people chat on the page. In mode off nothing is judged, and their chats are kept in memory alone."""
    async with AsyncExitStack() as stack:
        if host is None:
            rules = Policy(mode=Mode.OFF)
            host = await stack.enter_async_context(
                Host.open("memory:", rules, detectors=Detectors([], rules.thresholds))
            )
        answers = Answers(app, app.state.stopping, titled=not demo)
        app.state.chats = Chats(
            host=host,
            gateways=app.state.gateways,
            answers=answers,
            models=_models(model, upstreams),
            choice=app.state.house.models,
            secret=await host.store.secret("forms"),
            demo=demo,
        )
        yield
        await answers.close()


def _models(model: str, upstreams: Iterable[Named]) -> Mapping[str, str]:
    """Return the models that the page offers, each with its wire: the operator's choice, and those that are named."""
    all_of_them = list(upstreams)
    named = {name: one.wire for one in all_of_them for name in one.models if "*" not in name}
    first = next((one.wire for one in all_of_them if one.lists(model)), None) or next(
        (one.wire for one in all_of_them), openai_chat.NAME
    )
    return named if model == "" and named else {model: first, **named}


class Api:
    """The application of /api, loaded when somebody first asks for it: until then the server needs 17 MiB less."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        api = await asyncio.to_thread(import_module, "adjourn.web.api")
        await api.API(scope, receive, send)


def _at_once(app: Starlette, chat: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """Return the application, in which the vendors' wires are answered at once: they need none of its routing.

    What it does for all others (exceptions, unmatched methods) stands around this, or is not needed there.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in JUDGED and scope["method"] == "POST":
            scope["app"] = app
            response = await chat(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await app(scope, receive, send)

    return serve


def gateways(
    host: Host | None,
    upstreams: Mapping[Named, Upstream],
    names: Names,
    unkept: Callable[[str], None] | None = None,
) -> Mapping[str, Gateway]:
    """Return for each wire the gateway in front of its default upstream, which sends a request on to its model's."""
    by_name = {named: _gateway(host, named, upstream, names, unkept) for named, upstream in upstreams.items()}
    found: dict[str, Gateway] = {}
    for wire in dict.fromkeys(named.wire for named in upstreams):
        alike = [named for named in upstreams if named.wire == wire]
        found[wire] = by_name[chosen(alike, "")]
        if len(alike) > 1:
            found[wire].choose = partial(_chosen, by_name, alike)
    return found


def _chosen(by_name: Mapping[Named, Gateway], alike: Sequence[Named], model: str) -> Gateway:
    return by_name[chosen(alike, model)]


def _gateway(
    host: Host | None, named: Named, upstream: Upstream, names: Names, unkept: Callable[[str], None] | None
) -> Gateway:
    base = host.manner if host else Manner()
    manners = partial(manner, named, base=base) if differ(named) else None
    return Gateway(host, upstream, manner(named, "", base), manners, names=names, unkept=unkept)


def _asked(request: Request) -> Gateway | None:
    """Return the gateway of the wire that a request speaks, if there is a model behind it."""
    gateways: Mapping[str, Gateway] = request.app.state.gateways
    return gateways.get(wire_of(request.scope).NAME)


def _no_model(request: Request) -> Response:
    wire = wire_of(request.scope)
    return refused(wire, 404, NO_MODEL[wire.NAME])


def guarded(app: ASGIApp, guard: Guard) -> ASGIApp:
    """Return the application behind the guard, which also answers the questions of browsers before a request."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        sent = fields(scope)
        cors = guard.cors(sent)
        refusal = guard.refusal(scope["method"], scope["path"], sent)
        if refusal is not None:
            await refused(wire_of(scope), refusal.status, refusal.message)(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            allowed = {"Access-Control-Allow-Headers": "*, Authorization", "Access-Control-Allow-Methods": "GET, POST"}
            await Response(status_code=204, headers=cors | allowed if cors else None)(scope, receive, send)
        elif cors:
            await app(scope, receive, _adding(send, cors))
        else:
            await app(scope, receive, send)

    return serve


def _adding(send: Send, more: dict[str, str]) -> Send:
    async def sending(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            headers = message.setdefault("headers", [])
            assert isinstance(headers, list)
            headers.extend((name.lower().encode(), value.encode()) for name, value in more.items())
        await send(message)

    return sending  # type: ignore[return-value]
