"""What every end has: one of two grounds, and a receipt."""

from adjourn.core.events import Answer, Ended
from adjourn.core.machine import ANSWERS, MESSAGES, AnswerKind, Ground, Stage, UserKind
from adjourn.core.receipt import receipt
from adjourn.store import open_store
from tests import support


def test_p02_an_end_has_one_of_two_grounds_and_one_way_to_each() -> None:
    assert [cell for cell, stage in MESSAGES.items() if stage == Stage.ENDED] == [(Stage.ASKED, UserKind.CONFIRM)]
    assert [cell for cell, stage in ANSWERS.items() if stage == Stage.ENDED] == [(Stage.LAST_RESORT, AnswerKind.END)]
    assert set(Ground) == {"persistent_harm", "user_request"}


async def test_p09_every_end_has_a_receipt_that_names_the_turns_it_rests_on() -> None:
    store = open_store("memory:")
    await support.commit_turns(store, [*support.to_last_resort(), support.closing("e1", "u3")])
    events = [row.event for row in await store.read("c")]
    (ended,) = [event for event in events if isinstance(event, Ended)]
    told = receipt("c", ended)
    assert told.ground is Ground.PERSISTENT_HARM
    assert told.sentence == "Requests that the assistant had declined (fraud) went on after a notice."
    assert told.turns == ("u1", "u2", "a2", "u3")
    assert told.number.startswith("AJ-")
    assert told.policy == support.QUICK.digest
    assert [event.node for event in events if isinstance(event, Answer) and event.kind is AnswerKind.END] == ["e1"]
    await store.close()
