"""What an empty chat offers to connect: what is there, as a command, and nothing that was not asked for."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adjourn.web.pages.first import offers
from tests.models import serving


def ollama(models: list[str]) -> Starlette:
    async def listed(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": model} for model in models]})

    return Starlette(routes=[Route("/v1/models", listed)])


async def test_a_key_and_an_ollama_are_offered_as_commands_and_nothing_more() -> None:
    with serving(ollama(["far away; rm"])) as address:
        key, local = await offers({"OPENAI_API_KEY": "sk-secret"}, f"{address}/v1")
    assert (key.why, local.why) == ("connect_openai", "connect_ollama")
    assert "sk-secret" not in key.command
    assert local.command == f"adjourn serve --upstream {address}/v1 --model 'far away; rm'"


async def test_where_there_is_neither_a_command_is_shown_to_be_filled_in() -> None:
    (only,) = await offers({"OPENAI_API_KEY": " "}, "http://127.0.0.1:9/v1")
    assert only.why == "connect_text"
