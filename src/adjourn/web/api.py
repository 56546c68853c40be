"""JSON for applications that draw the closed state themselves; /openapi.json describes it (docs/api.md).

A conversation of somebody else is answered like one that does not exist. Nothing here says how near a conversation is
to an end, or that a quiet hold stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from adjourn.core.events import Answer, Claimed, Ended, Event, Held, UserReceived
from adjourn.core.machine import Hold, Mode, UserKind
from adjourn.core.reading import RiskKind
from adjourn.core.receipt import receipt
from adjourn.host import Host, lines
from adjourn.store import SIGNED_IN, Conversation, Cursor, Feedback, Owner
from adjourn.store.erase import erase
from adjourn.store.export import export, exported_time, markdown
from adjourn.version import __version__
from adjourn.web import headers, shapes
from adjourn.web.refusals import ANYWHERE, HANDLERS, NOT_FOUND, PRIVATE, WITH_A_BODY, BodyLimit, documented

DESCRIPTION = (
    "JSON for applications that draw the closed state of a chat themselves. Once this server has keys of its own, every"
    " request needs one, for this description too, and it says whose conversations are meant. Until then the key says"
    " it that a client sends with its requests to /v1 (Authorization, x-api-key or api-key); without one, the browser's"
    " cookie; clients with neither share what they see. A key sees the conversations of all its end users, but not"
    " those of browsers that signed in with it: each of these sees its own. Times are RFC 3339, in UTC. A POST needs"
    " the content type application/json. Every refusal has the same form."
)

SCHEMES: Mapping[str, Mapping[str, str]] = {
    "Adjourn-Key": {"type": "apiKey", "in": "header", "name": "Adjourn-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
}
"""How a key is sent, as OpenAPI describes it; the first of these that holds one counts."""

ALONE = ("browser:", "nobody:")
"""Callers who see their own conversations only, with a key or without; a key also sees those of its end users."""

CURSOR = r"^[0-9]{1,15}\..{1,200}$"


def owner(request: Request) -> str:
    """Return who asks, as the gateway would."""
    return headers.scope(request, None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and the host that keeps their conversations."""

    host: Host
    owner: Owner

    async def find(self, ident: str) -> str:
        """Return the conversation of theirs with this name; 404 if there is none."""
        found = await self.host.store.named(ident, self.owner)
        if not found:
            raise HTTPException(404, NOT_FOUND)
        return found[0]

    async def events(self, conversation: str) -> list[Event]:
        return [row.event for row in await self.host.store.read(conversation)]

    async def shown(self, conversation: str) -> bool:
        """Whether a hold is shown in this conversation; in mode shadow nothing is."""
        return await self.host.store.see(
            conversation, lambda tree: tree.held is Hold.SHOWN and self.host.mode(tree) >= Mode.WARN
        )


async def caller(request: Request) -> Caller:
    """Return who asks; 404 where nothing is kept."""
    host: Host | None = request.state.host
    if host is None:
        raise HTTPException(404, NOT_FOUND)
    scope = owner(request)
    return Caller(host, Owner(scope, users=not scope.rpartition("/")[2].startswith(ALONE)))


async def private(response: Response) -> None:
    """Keep answers out of every cache."""
    response.headers.update(PRIVATE)


Asking = Annotated[Caller, Depends(caller)]
Name = Annotated[
    str,
    Path(
        description="Adjourn's id of the conversation, the client's own (without a slash), or the number of a receipt"
    ),
]
router = APIRouter(prefix="/api", dependencies=[Depends(private)], responses=documented(*ANYWHERE))


@router.get("/conversations", summary="List conversations, the newest first")
async def list_conversations(
    asking: Asking,
    limit: Annotated[int, Query(ge=1, le=200, description="how many, 1 to 200")] = 50,
    before: Annotated[str | None, Query(pattern=CURSOR, description="`next` of the page before")] = None,
    user: Annotated[str | None, Query(description="only this end user's")] = None,
) -> shapes.Page:
    """A key sees the conversations of all its end users; a browser sees its own."""
    whose = asking.owner
    if user is not None:
        if not whose.users or f"/{user}".startswith(SIGNED_IN):
            return shapes.Page(conversations=[], next=None)
        whose = Owner(f"{whose.scope}/{user}")
    at, _, ident = (before or "").partition(".")
    found = await asking.host.store.page(whose, limit + 1, Cursor(int(at), ident) if before else None)
    shown = found[:limit]
    following = f"{shown[-1].last_at}.{shown[-1].id}" if len(found) > limit else None
    return shapes.Page(conversations=[await _line(asking, line) for line in shown], next=following)


@router.get("/conversations/{ident}", summary="Say whether a conversation is closed")
async def conversation_state(ident: Name, asking: Asking) -> shapes.State:
    """Its ends, each with the number of its receipt, and the help lines if they are shown in it."""
    conversation = await asking.find(ident)
    events = await asking.events(conversation)
    kept = await asking.host.store.line(conversation)
    assert kept is not None
    ends = [_end(end, stands) for end, stands in await _ends(asking, conversation, events)]
    held = [event for event in events if isinstance(event, Held) and event.level is Hold.SHOWN]
    support = asking.host.support(held[-1].kind) if held and await asking.shown(conversation) else None
    data = {**_described(asking, kept[0]), "ends": ends, "support": support}
    return shapes.State.model_validate(data)


@router.get("/conversations/{ident}/receipts", summary="Give the receipts of a conversation")
async def conversation_receipts(ident: Name, asking: Asking) -> shapes.Receipts:
    """Each with the messages that its end rests on; their texts, unless they were erased."""
    return shapes.Receipts(receipts=await _receipts(asking, await asking.find(ident)))


@router.get("/receipts/{number}", summary="Give one receipt")
async def one_receipt(
    number: Annotated[str, Path(description="the receipt's number, as a person copies it")], asking: Asking
) -> shapes.Receipt:
    """Found by its number alone."""
    found = await _receipts(asking, await asking.find(number))
    given = [one for one in found if one.number == number.upper()]
    if not given:
        raise HTTPException(404, NOT_FOUND)
    return given[0]


@router.get(
    "/conversations/{ident}/export",
    summary="Export a conversation",
    response_model=shapes.Exported,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
)
async def export_conversation(ident: Name, asking: Asking, format: Literal["json", "markdown"] = "json") -> Any:  # noqa: A002
    """All its branches and receipts, as data or to be read. What the detectors thought of a message is left out."""
    conversation = await asking.find(ident)
    texts = await asking.host.store.texts(conversation)
    exported = export(conversation, await asking.events(conversation), texts)
    if format == "markdown":
        return Response(markdown(exported), media_type="text/markdown", headers=PRIVATE)
    del exported["held"], exported["opinions"]
    for message in exported["messages"]:
        del message["kind"], message["stage"]
    return exported


@router.get("/conversations/{ident}/feedback", summary="Give the feedback on a conversation")
async def read_feedback(ident: Name, asking: Asking) -> shapes.AllSaid:
    """In the order in which it came."""
    found = await asking.host.store.feedback(await asking.find(ident))
    return shapes.AllSaid(feedback=[_kept(said) for said in found])


@router.post(
    "/conversations/{ident}/feedback",
    summary="Give feedback",
    status_code=201,
    responses=documented(*WITH_A_BODY),
)
async def give_feedback(ident: Name, said: shapes.Said, asking: Asking) -> shapes.Kept:
    """On a conversation, or one message or end of it. It changes nothing by itself: people read it."""
    conversation, host = await asking.find(ident), asking.host
    about = await _about(asking, conversation, said.about)
    if about is None and said.about is not None:
        raise HTTPException(422, "body.about: this conversation has no such message or receipt")
    feedback = Feedback(
        conversation=conversation,
        about=about,
        rating=said.rating,
        reasons=tuple(said.reasons),
        text=said.text,
        at=host.now(),
    )
    await host.store.comment(feedback)
    return _kept(feedback)


@router.post("/conversations/{ident}/erase", summary="Erase a conversation", responses=documented(*WITH_A_BODY))
async def erase_conversation(ident: Name, _: shapes.Nothing, asking: Asking) -> shapes.Erasure:
    """Its texts and the words of its feedback are gone; that it was, and its receipts, stay. Again: nothing changes."""
    conversation = await asking.find(ident)
    await erase(asking.host.store, conversation, asking.host.now())
    return shapes.Erasure(id=conversation)


@router.get("/support", summary="Give help lines")
async def support(
    request: Request,
    kind: Annotated[RiskKind, Query(description="who is at risk")] = RiskKind.SELF,
    country: Annotated[str | None, Query(description="two letters; by default where this server's people are")] = None,
) -> shapes.Support:
    """For a country, those who answer now first. Where the country is not known: a directory of all countries."""
    host: Host | None = request.state.host
    where = country or (host.country if host else None)
    return shapes.Support.model_validate(lines.support(kind, where, datetime.now(UTC)))


async def _line(asking: Caller, line: Conversation) -> shapes.Line:
    shown = line.held is Hold.SHOWN and await asking.shown(line.id)
    return shapes.Line.model_validate({**_described(asking, line), "support": shown})


def _described(asking: Caller, line: Conversation) -> dict[str, Any]:
    return {
        "id": line.id,
        "external_id": line.external,
        "user": line.scope.removeprefix(asking.owner.scope).removeprefix("/") or None,
        "opened_at": exported_time(line.opened_at),
        "last_at": exported_time(line.last_at),
        "messages": line.messages,
        "closed": line.ended,
    }


async def _ends(asking: Caller, conversation: str, events: Sequence[Event]) -> list[tuple[Ended, bool]]:
    """Return every end, and whether it stands."""
    standing = await asking.host.store.see(conversation, lambda tree: set(tree.ended))
    return [(event, event.answer in standing) for event in events if isinstance(event, Ended)]


def _end(end: Ended, stands: bool) -> dict[str, Any]:
    told = receipt("", end)
    return {
        "number": told.number,
        "answer": end.answer,
        "ground": told.ground,
        "sentence": told.sentence,
        "at": exported_time(told.at),
        "stands": stands,
    }


async def _receipts(asking: Caller, conversation: str) -> list[shapes.Receipt]:
    events = await asking.events(conversation)
    ends = await _ends(asking, conversation, events)
    texts, policies = await asking.host.store.texts(conversation), await asking.host.store.policies()
    roles = {
        event.node: "user" if isinstance(event.kind, UserKind) else "assistant"
        for event in events
        if isinstance(event, UserReceived | Claimed | Answer)
    }
    given = []
    for end, stands in ends:
        turns = [
            {"node": node, "role": roles[node], "text": texts[node].text if node in texts else None}
            for node in end.turns
        ]
        rules = {"digest": end.policy, "revision": policies[end.policy].revision if end.policy in policies else None}
        data = {**_end(end, stands), "conversation": conversation, "turns": turns, "policy": rules}
        given.append(shapes.Receipt.model_validate(data))
    return given


async def _about(asking: Caller, conversation: str, about: str | None) -> str | None:
    """Return the message of the conversation, or the number of a receipt of it, that is meant; else None."""
    if about is None or await asking.host.store.see(conversation, lambda tree: tree.nodes.get(about) is not None):
        return about
    numbers = [one.number for one in await _receipts(asking, conversation)]
    return about.upper() if about.upper() in numbers else None


def _kept(said: Feedback) -> shapes.Kept:
    data = {key: value for key, value in asdict(said).items() if key != "conversation"}
    return shapes.Kept.model_validate({**data, "reasons": list(said.reasons), "at": exported_time(said.at)})


class Described(FastAPI):
    """Says in its description how a key is sent, and that a server without keys needs none.

    (https://spec.openapis.org/oas/v3.1.0#security-requirement-object: an empty one makes the others optional.)
    """

    def openapi(self) -> dict[str, Any]:
        """Return the description."""
        described = super().openapi()
        components = {**described["components"], "securitySchemes": SCHEMES}
        return {**described, "components": components, "security": [*({name: []} for name in SCHEMES), {}]}


def create_api() -> FastAPI:
    """Return the application of /api and /openapi.json. FastAPI's own pages load scripts from elsewhere: left out."""
    api = Described(
        title="Adjourn",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.add_middleware(BodyLimit)
    api.include_router(router)
    return api


API = create_api()
