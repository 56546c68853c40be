"""The stage on every turn: told only where the operator allows it and the client asks."""

import pytest

from adjourn.web.headers import Names
from tests.gateway.rig import BAD, CALM, FAINT, rig
from tests.models import hostile

ASKS = {"Adjourn-Details": "1"}


async def test_a_client_that_asks_is_told_the_stage_on_every_turn_where_the_operator_allows_it() -> None:
    async with rig(hostile(), names=Names(details=True)) as served:
        for stream in (False, True):
            chat = served.chat(stream=stream, key=f"k{stream}", headers=ASKS)
            assert [reply.stage for reply in await chat.say(CALM, BAD, BAD, BAD)] == ["OPEN", "OPEN", "WARNED", "ENDED"]


@pytest.mark.parametrize(("names", "headers"), [(Names(), ASKS), (Names(details=True), {})])
async def test_nobody_is_told_who_does_not_ask_or_where_it_is_not_allowed(
    names: Names, headers: dict[str, str]
) -> None:
    async with rig(hostile(), names=names) as served:
        replies = await served.chat(headers=headers).say(CALM, BAD)
        assert [reply.adjourn for reply in replies] == [None, None]


async def test_a_quiet_hold_is_never_told() -> None:
    async with rig(hostile(), names=Names(details=True)) as served:
        replies = await served.chat(headers=ASKS).say(FAINT, CALM)
        assert [reply.stage for reply in replies] == [None, None]
        assert all(one.header("adjourn-details") is None for one in served.received)
