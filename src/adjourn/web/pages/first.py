"""The first minutes: what an empty chat offers while the demo answers. A model is offered, and never used unasked."""

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from markupsafe import Markup
from starlette.requests import Request

from adjourn.core.errors import UpstreamError
from adjourn.upstream.client import Timeouts, Upstream
from adjourn.web.pages.models import listed
from adjourn.web.pages.render import fragment, house, looking
from adjourn.wire import openai_chat

OLLAMA = "http://127.0.0.1:11434/v1"
"""Where an Ollama listens if nobody told it otherwise (https://github.com/ollama/ollama/blob/main/docs/openai.md)."""
OLLAMA_SECONDS = 0.5

OPENAI = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that could be connected: why it is offered (a key of the words), and the command that does it."""

    why: str
    command: str


async def first_minutes(
    request: Request,
    action: str,
    environment: Mapping[str, str] = os.environ,
    ollama: str = OLLAMA,
    *,
    fields: Mapping[str, str] | None = None,
) -> Markup:
    """Return the cards of an empty chat, or nothing where no demo answers.

    `action`: where a card's form is sent, with `fields` and the words in the field `text`. A script finds
    them in the button's `data-say`.
    """
    if not house(request).demo:
        return Markup()
    return fragment(
        "first.html", looking(request), action=action, fields=fields or {}, offers=await offers(environment, ollama)
    )


async def offers(environment: Mapping[str, str], ollama: str = OLLAMA) -> Sequence[Offer]:
    """Return what could be connected: nothing is sent but the question which models an Ollama has."""
    found = []
    if environment.get(OPENAI_KEY, "").strip():
        command = f'ADJOURN_UPSTREAM_KEY="${OPENAI_KEY}" adjourn serve --upstream {OPENAI} --model MODEL'
        found.append(Offer("connect_openai", command))
    models = await _models(ollama)
    if models is not None:
        model = shlex.quote(models[0]) if models else "MODEL"
        found.append(Offer("connect_ollama", f"adjourn serve --upstream {ollama} --model {model}"))
    return found or [Offer("connect_text", "adjourn serve --upstream URL --model MODEL")]


async def _models(address: str) -> Sequence[str] | None:
    """Return the models of an Ollama; None if there is none."""
    upstream = Upstream(address, timeouts=Timeouts(connect=OLLAMA_SECONDS, read=OLLAMA_SECONDS))
    try:
        async with asyncio.timeout(OLLAMA_SECONDS):
            return await listed(openai_chat.NAME, upstream)
    except (TimeoutError, UpstreamError, msgspec.MsgspecError):
        return None
    finally:
        await upstream.close()
