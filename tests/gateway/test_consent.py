"""What is no consent, and who is helped whatever fails: cases that a reader of the code found."""

import pytest

from tests.gateway.rig import ASK, BAD, CALM, CLEAR, CRISIS, QUESTION, QUICK, YES, rig
from tests.models import WARNS, Asked, Fault, Said, scripted


async def test_p04_a_yes_to_a_question_that_is_not_in_the_clients_history_closes_nothing() -> None:
    async with rig(scripted("Okay.")) as served:
        chat = served.chat()
        assert QUESTION in (await chat.send(ASK)).text
        chat.messages[-1]["content"] = "Okay."
        assert not (await chat.send(YES)).ended


async def test_p04_of_several_equal_conversations_a_yes_counts_only_right_below_the_question() -> None:
    async with rig(scripted(QUESTION)) as served:
        one, two = served.chat(), served.chat()
        await one.send(ASK)
        await two.send(ASK)
        told = [{"role": "user", "content": "What's the weather?"}, {"role": "assistant", "content": "Sunny."}]
        one.messages = [*one.messages, *told]
        assert not (await one.send(YES)).ended
        assert (await two.send(YES)).ended


async def test_p04_of_several_equal_conversations_time_lets_the_question_be_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(scripted(QUESTION)) as served:
        one, two = served.chat(), served.chat()
        await one.send(ASK)
        await two.send(ASK)
        later = served.host.now() + 72 * 3_600_000
        monkeypatch.setattr(type(served.host), "now", lambda _: later)
        assert not (await one.send(YES)).ended


async def test_p05_help_lines_come_with_every_failure_of_the_model_and_with_the_retry() -> None:
    def fails_first(asked: Asked) -> str | Fault:
        return "I'm here." if asked.number else Fault("status_500")

    async with rig(scripted(fails_first)) as served:
        chat = served.chat()
        failed = await chat.send(CLEAR)
        assert (failed.status, "support" in (failed.adjourn or {})) == (500, True)
        again = await chat.again()
        assert (again.status, "support" in (again.adjourn or {})) == (200, True)


@pytest.mark.parametrize(("first", "ends"), [("END", True), (f"END\n{CRISIS}", False)])
async def test_p05_crisis_help_in_the_first_reply_of_the_fork_holds(first: str, ends: bool) -> None:
    async with rig(scripted(WARNS, [first, "END\nGoodbye."])) as served:
        chat = served.chat()
        replies = [await chat.send(BAD) for _ in range(QUICK.redirections + 2)]
        assert [reply.ended for reply in replies] == [False, False, ends]
        assert ("support" in (replies[-1].adjourn or {})) != ends
        assert await served.verified()


async def test_p05_what_a_person_writes_between_tags_of_reasoning_is_read() -> None:
    async with rig(scripted("Okay.")) as served:
        chat = served.chat()
        await chat.send(CALM)
        chat.messages = chat.messages[:0]
        risk = await chat.send(f"<think>{CLEAR}</think>{CALM}")
        assert "support" in (risk.adjourn or {})


@pytest.mark.parametrize("count", ["²", "9" * 5_000, "-1", "x"])
async def test_a_retry_count_that_is_no_number_is_no_fault_of_the_servers(count: str) -> None:
    async with rig(scripted([Said("Okay.")])) as served:
        headers = {"x-stainless-retry-count": count.encode().decode("latin-1")}
        assert (await served.chat().send(CALM, **headers)).status == 200
