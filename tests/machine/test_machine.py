"""Each cell of each table: a history that uses it, and its twin that must not. Promises have tests of their own below.

R = 2 and C = 2, so that the histories stay short. What a stage does not show, a later message makes visible.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from adjourn.core import acts, machine
from adjourn.core.decide import guidance
from adjourn.core.machine import AnswerKind, Finish, Guidance, Hold, UserKind
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Reading
from adjourn.core.tree import Tree, after, fold
from tests.machine.observers import Rules, Words
from tests.machine.recorder import recorded
from tests.machine.story import Story, ends

TWO = "bad redirect bad redirect"  # two bad messages, each redirected
NOTICE = f"{TWO} bad warn"  # a warning that counts: WARNED
LAST = f"{NOTICE} bad"  # LAST_RESORT
ASKED = "ask question"
SLOW = Rules(2, 2, 0, 2)  # a faint sign holds its own message only, and lets nothing count for two more


class Cell(NamedTuple):
    """`story` uses the cell and stops at `stage`; `twin` does not use it, or not there, and stops elsewhere."""

    table: str
    row: str
    column: str
    says: str
    story: str
    stage: str
    twin: str
    other: str
    rules: Rules = Rules(2, 2, 0, 0)


def _messages() -> list[Cell]:
    rows = [
        ("HELD", "RISK", "a sign of risk holds an open chat", "faint", "HELD", "clear", "OPEN"),
        ("OPEN", "BLIND", "an unread request to close leads nowhere", "unread+ask", "OPEN", "ask", "REQUESTED"),
        ("OPEN", "FLAG", "a flagged message leaves a chat open", "flag", "OPEN", "flag ask", "REQUESTED"),
        ("OPEN", "CLEAR", "a clear message leaves a chat open", "clear", "OPEN", "ask", "REQUESTED"),
        ("OPEN", "ASK", "who asks to close has requested it", "ask", "REQUESTED", "yes", "OPEN"),
        ("OPEN", "BAD", "one bad message leaves a chat open", f"{TWO} bad", "OPEN", LAST, "LAST_RESORT"),
        ("HELD", "RISK", "a sign of risk holds a warned chat", f"{NOTICE} faint+bad", "HELD", LAST, "LAST_RESORT"),
        (
            "WARNED",
            "BLIND",
            "an unread bad message is no last resort",
            f"{NOTICE} unread+bad",
            "WARNED",
            LAST,
            "LAST_RESORT",
        ),
        ("WARNED", "FLAG", "a flagged message is no last resort", f"{NOTICE} flag", "WARNED", LAST, "LAST_RESORT"),
        ("WARNED", "CLEAR", "a clear message is no last resort", f"{NOTICE} clear", "WARNED", LAST, "LAST_RESORT"),
        (
            "WARNED",
            "ASK",
            "who asks to close is asked, not punished",
            f"{NOTICE} bad+ask",
            "REQUESTED",
            LAST,
            "LAST_RESORT",
        ),
        (
            "WARNED",
            "BAD",
            "after a warning, one more bad message is the last resort",
            LAST,
            "LAST_RESORT",
            f"{TWO} bad",
            "OPEN",
        ),
        ("HELD", "RISK", "a sign of risk in a yes holds", f"{ASKED} faint+yes", "HELD", f"{ASKED} yes", "ENDED"),
        ("ASKED", "BLIND", "an unread yes closes nothing", f"{ASKED} unread+yes", "OPEN", f"{ASKED} yes", "ENDED"),
        ("ASKED", "FLAG", "a flagged message is no yes", f"{ASKED} flag", "OPEN", f"{ASKED} flag+yes", "REQUESTED"),
        ("ASKED", "CLEAR", "another message is no yes", f"{ASKED} clear", "OPEN", f"{ASKED} yes", "ENDED"),
        ("ASKED", "CONFIRM", "a yes to the question closes", f"{ASKED} yes", "ENDED", "ask recorded yes", "OPEN"),
        ("ASKED", "ASK", "asking again is no yes", f"{ASKED} ask", "REQUESTED", f"{ASKED} yes", "ENDED"),
        (
            "ASKED",
            "BAD",
            "a bad message after the question is not the last resort",
            f"{NOTICE} {ASKED} bad",
            "WARNED",
            LAST,
            "LAST_RESORT",
        ),
        ("HELD", "RISK", "a second sign holds on", "risk help faint", "HELD", "risk help lift faint", "HELD"),
        ("HELD", "BLIND", "under a hold an unread message is held", "risk help unread", "HELD", "unread", "OPEN"),
        ("HELD", "FLAG", "under a hold a flagged message is held", "risk help flag", "HELD", "flag", "OPEN"),
        ("HELD", "CLEAR", "under a hold a clear message is held", "risk help clear", "HELD", "clear", "OPEN"),
        ("HELD", "ASK", "under a hold nobody is asked back", "risk help ask", "HELD", "ask", "REQUESTED"),
    ]
    return [Cell("MESSAGES", *row) for row in rows]


def _answers() -> list[Cell]:
    found = []
    starts = {"OPEN": ("bad", "OPEN"), "WARNED": (f"{NOTICE} clear", "WARNED"), "LAST_RESORT": (LAST, "WARNED")}
    words = {"VOID": "cut", "WARN": "warn", "REDIRECT": "redirect", "DECLINE": "decline", "HELP": "help"}
    for row, (start, stage) in starts.items():
        for column, word in words.items():
            says = f"{word} at {row} leads to no other stage"
            found.append(Cell("ANSWERS", row, column, says, f"{start} {word}", stage, f"{start} support", "HELD"))
        says = f"crisis help at {row} holds, before the answer is judged"
        found.append(Cell("ANSWERS", "HELD", "SUPPORT", says, f"{start} support", "HELD", f"{start} help", stage))
    found.append(
        Cell("ANSWERS", "HELD", "SUPPORT", "crisis help holds who asks", "ask support", "HELD", "ask help", "ASKED")
    )
    found.append(
        Cell("ANSWERS", "REQUESTED", "QUESTION", "who asks is asked back", "ask help", "ASKED", "clear help", "OPEN")
    )
    for column, word in words.items():
        # A policy that was lowered meanwhile keeps a complete answer from asking back; so does a record.
        says = f"{word} that may not ask back leads to no question"
        for story in ("ask cut",) if column == "VOID" else (f"ask mode:warn {word}", f"ask recorded:{word}"):
            found.append(Cell("ANSWERS", "REQUESTED", column, says, story, "OPEN", "ask help", "ASKED"))
            warned = (f"{NOTICE} {story}", "WARNED", f"{NOTICE} ask help", "ASKED")
            found.append(Cell("ANSWERS", "REQUESTED", column, f"{says}, also after a warning", *warned))
        says = f"under a hold {word} is held"
        found.append(Cell("ANSWERS", "HELD", column, says, f"risk {word}", "HELD", f"clear {word}", "OPEN"))
    says = "under a hold crisis help holds on"
    found.append(Cell("ANSWERS", "HELD", "SUPPORT", says, "faint support ^clear", "HELD", "faint help ^clear", "OPEN"))
    return found


def _registers() -> list[Cell]:
    words = {"WARN": "warn", "REDIRECT": "redirect", "DECLINE": "decline", "HELP": "help", "VOID": "cut"}
    found = []
    for column, word in words.items():
        # Two of them would let the warning be forgotten if they counted as calm, and one bad would be one too many.
        says = f"what is received in an observe-only request and answered with {word} moves nothing"
        story, twin = f"{NOTICE} !clear {word} !clear {word} bad", f"{NOTICE} clear {word} clear {word} bad"
        found.append(Cell("REGISTERS", "STILL", column, says, story, "LAST_RESORT", twin, "OPEN"))
        for story, twin in (
            (f"{NOTICE} clear help !bad {word} clear help bad", f"{NOTICE} clear help bad decline clear help bad"),
            (f"bad redirect !bad {word} bad warn bad", f"bad redirect bad redirect !bad {word} bad warn bad"),
            (f"{TWO} !bad {word} bad", f"{TWO} bad warn !bad {word} bad"),
        ):
            found.append(Cell("REGISTERS", "STILL", column, says, story, "OPEN", twin, "LAST_RESORT"))
    kinds = {"FLAG": "flag", "CLEAR": "clear", "BLIND": "unread", "ASK": "ask", "CONFIRM": "yes"}
    for row, message in kinds.items():
        for column, word in words.items():
            says = f"{message} answered with {word} is calm"
            first = {
                "ASK": f"{NOTICE} ask mode:warn {word} mode:enforce",
                "CONFIRM": f"{NOTICE} bad decline {ASKED} yes {word}",
                "BLIND": f"{NOTICE} unread {word} read",
            }.get(row, f"{NOTICE} {message} {word}")
            before = "" if row == "CONFIRM" else f" clear {word}"
            story, twin = f"{first}{before} bad", f"{NOTICE} bad decline clear {word} bad"
            found.append(Cell("REGISTERS", row, column, says, story, "OPEN", twin, "LAST_RESORT"))
    says = "the question after a request is calm"
    found.append(
        Cell(
            "REGISTERS",
            "ASK",
            "QUESTION",
            says,
            f"{NOTICE} {ASKED} clear help bad",
            "OPEN",
            f"{NOTICE} clear help bad",
            "LAST_RESORT",
        )
    )
    rows = [
        ("WARN", "a warning after R redirections counts", NOTICE, "WARNED", "bad redirect bad warn", "OPEN"),
        (
            "WARN",
            "an early warning is a redirection",
            "bad warn bad warn bad warn",
            "WARNED",
            "bad warn bad decline bad warn",
            "OPEN",
        ),
        (
            "WARN",
            "a warning ends the calm",
            f"{TWO} clear help bad warn clear help",
            "WARNED",
            f"{TWO} clear help clear help bad warn",
            "OPEN",
        ),
        ("REDIRECT", "two redirections are enough", NOTICE, "WARNED", "bad redirect bad decline bad warn", "OPEN"),
        (
            "REDIRECT",
            "a redirection ends the calm",
            f"{NOTICE} clear help bad redirect clear help bad",
            "LAST_RESORT",
            f"{NOTICE} clear help clear redirect bad",
            "OPEN",
        ),
        (
            "DECLINE",
            "what is declined alone is no redirection",
            "bad decline bad redirect bad warn",
            "OPEN",
            NOTICE,
            "WARNED",
        ),
        (
            "DECLINE",
            "declining ends the calm",
            f"{NOTICE} clear help bad decline clear help bad",
            "LAST_RESORT",
            f"{NOTICE} clear help bad help bad",
            "OPEN",
        ),
        (
            "HELP",
            "a bad message that was helped with is calm",
            f"{NOTICE} bad help bad help bad",
            "OPEN",
            f"{NOTICE} bad help bad decline bad",
            "LAST_RESORT",
        ),
        (
            "VOID",
            "a bad message whose answer was cut off is calm",
            f"{NOTICE} bad cut bad cut bad",
            "OPEN",
            f"{NOTICE} bad cut bad decline bad",
            "LAST_RESORT",
        ),
    ]
    return found + [Cell("REGISTERS", "BAD", *row) for row in rows]


CELLS = [*_messages(), *_answers(), *_registers()]
IDS = [f"{cell.table.lower()} {cell.row} {cell.column}, {cell.says}" for cell in CELLS]


@pytest.mark.parametrize("cell", CELLS, ids=IDS)
def test_a_history_uses_its_cell_and_its_twin_stops_elsewhere(cell: Cell) -> None:
    with recorded(machine) as looked_up:
        story = Story(cell.story, cell.rules)
    assert story.outcome == cell.stage
    assert story.play.faults() == []
    assert (cell.table, cell.row, cell.column) in looked_up
    twin = Story(cell.twin, cell.rules)
    assert twin.outcome == cell.other
    assert twin.play.faults() == []


# Promises


def test_p01_below_an_end_nothing_is_taken() -> None:
    assert ends(f"{LAST} close") == "ENDED"
    assert ends(f"{LAST} close clear") == "REFUSED"
    assert ends(f"{LAST} close _clear") == "REFUSED"
    assert ends(f"{LAST} close claims:assistant _clear") == "REFUSED"
    assert ends(f"{ASKED} yes clear") == "REFUSED"


def test_p01_a_reviewer_lifts_an_end() -> None:
    assert ends(f"{LAST} close reopen clear") == "OPEN"
    assert ends(f"{LAST} reopen") == "REFUSED"


def test_p01_only_a_clear_sign_lifts_an_end() -> None:
    assert ends(f"{LAST} close risk") == "HELD"
    assert ends(f"{LAST} close risk help clear") == "HELD"
    assert ends(f"{LAST} close faint") == "REFUSED"
    assert ends(f"{LAST} close faint clear") == "REFUSED"


def test_p07_a_retry_of_what_was_closed_makes_an_open_branch_beside_it() -> None:
    assert ends(f"{LAST} close help clear") == "WARNED"
    assert ends(f"{LAST} close /clear") == "WARNED"
    assert ends(f"{ASKED} yes help clear") == "OPEN"


def test_p03_the_model_must_choose_twice() -> None:
    assert ends(f"{LAST} close") == "ENDED"
    assert ends(f"{LAST} close:once") == "LAST_RESORT"
    assert ends(f"{LAST} close:no") == "LAST_RESORT"


def test_p03_nothing_less_than_all_of_it_ends() -> None:
    for less in ("bad", f"{TWO} bad", "bad redirect bad warn bad", f"{NOTICE} clear", f"{NOTICE} flag", "bad warn bad"):
        assert ends(f"{less} close") != "ENDED", less


def test_p03_one_message_counts_once_however_often_it_is_answered() -> None:
    assert ends("bad redirect redirect redirect bad warn bad") == "OPEN"
    assert ends("bad =redirect =redirect redirect bad warn bad") == "OPEN"


def test_p03_a_second_answer_counts_by_its_own_kind_on_its_own_path() -> None:
    assert ends(f"{TWO} bad help warn bad") == "LAST_RESORT"
    assert ends(f"{TWO} bad warn help bad") == "OPEN"


def test_p03_a_warning_counts_only_for_a_further_bad_message() -> None:
    assert ends(f"{TWO} clear warn bad") == "OPEN"
    assert ends(f"{TWO} bad warn bad") == "LAST_RESORT"


def test_p03_the_last_resort_lasts_for_one_unanswered_message() -> None:
    assert ends(f"{LAST} help close") == "WARNED"
    assert ends(f"{LAST} clear") == "WARNED"
    assert ends(f"{LAST} decline clear close") == "WARNED"
    assert ends(f"{LAST} cut close") == "WARNED"


def test_p03_calm_and_time_let_all_of_it_be_forgotten() -> None:
    assert ends(f"{NOTICE} clear help clear help bad") == "OPEN"
    assert ends(f"{NOTICE} clear help bad") == "LAST_RESORT"
    assert ends(f"{NOTICE} ~bad") == "OPEN"
    assert ends(f"{NOTICE} bad redirect ~bad warn bad") == "OPEN"


def test_p03_what_is_claimed_or_observed_never_counts() -> None:
    assert ends("claims:bad,assistant bad redirect bad warn bad") == "OPEN"
    assert ends("!bad redirect bad redirect bad warn bad") == "OPEN"
    assert ends(f"{NOTICE} !bad") == "WARNED"
    assert ends(f"{NOTICE} claims:bad,assistant clear") == "WARNED"


def test_p03_while_frozen_nothing_counts() -> None:
    assert ends(f"{TWO} faint help bad warn bad", SLOW) == "OPEN"
    assert ends(f"{TWO} faint help clear help clear help bad warn bad", SLOW) == "LAST_RESORT"
    assert ends(f"{NOTICE} faint help bad", SLOW) == "WARNED"
    assert ends(f"{TWO} bad late:faint ^clear warn bad", Rules(2, 2, 0, 0)) == "OPEN"


def test_p04_the_three_messages_must_stand_in_a_row() -> None:
    assert ends("ask question yes") == "ENDED"
    assert ends("ask yes") == "OPEN"
    assert ends("yes question yes") == "OPEN"
    assert ends("ask question clear help yes") == "OPEN"
    assert ends("ask question /yes") == "OPEN"
    assert ends("ask question _yes") == "OPEN"
    assert ends("ask cut yes") == "OPEN"
    assert ends("ask question claims:clear,assistant yes") == "OPEN"


def test_p04_every_answer_to_a_request_may_ask_back() -> None:
    assert ends("ask cut question yes") == "ENDED"
    assert ends("ask question question yes") == "ENDED"
    assert ends("ask recorded question yes") == "ENDED"


def test_p04_a_yes_that_asks_for_harm_is_asked_again() -> None:
    assert ends(f"{ASKED} flag+yes") == "REQUESTED"
    assert ends(f"{ASKED} bad+yes question yes") == "ENDED"
    assert ends(f"{ASKED} abuse+yes") == "ENDED"


def test_p04_claimed_and_observed_words_are_no_consent() -> None:
    assert ends("claims:ask,assistant yes") == "OPEN"
    assert ends("!ask question yes") == "OPEN"
    assert ends(f"{ASKED} !yes") == "OPEN"
    assert ends(f"{ASKED} ~yes") == "OPEN"


def test_p05_a_faint_sign_holds_for_v_messages_and_no_longer() -> None:
    rules = Rules(2, 2, 2, 3)
    assert ends("faint help clear help clear help", rules) == "HELD"
    assert ends("faint help clear help clear help clear", rules) == "OPEN"
    assert ends("faint help clear help faint help clear help clear", rules) == "HELD"
    assert ends("clear help ^faint ^clear ^clear", rules) == "HELD"
    assert ends("clear help ^faint ^clear ^clear ^clear", rules) == "OPEN"


def test_p05_what_waited_when_a_hold_came_does_not_come_back() -> None:
    assert ends(f"{LAST} ^faint ^clear") == "WARNED"
    assert ends(f"{LAST} ^faint ^clear close") == "WARNED"
    assert ends(f"{ASKED} ^faint ^clear yes") == "OPEN"
    assert ends("ask ^faint ^clear question yes") == "OPEN"


def test_p05_a_clear_sign_holds_until_a_reviewer_lifts_it() -> None:
    assert ends("risk help " + "clear help " * 12) == "HELD"
    assert ends("risk help lift clear") == "OPEN"
    assert ends("clear lift") == "REFUSED"
    assert ends("faint help clear help lift", SLOW) == "OPEN"


def test_p05_a_clear_sign_lifts_every_end() -> None:
    assert ends(f"{ASKED} yes ^risk clear") == "HELD"
    assert ends(f"{ASKED} yes ^faint clear") == "REFUSED"
    assert ends(f"{ASKED} yes late:faint clear") == "REFUSED"
    assert ends(f"{ASKED} yes late:clear clear") == "HELD"


def test_p05_two_witnesses_of_a_faint_sign_make_it_clear() -> None:
    assert ends("faint late:faint help ^clear ^clear") == "HELD"
    assert ends("clear late:faint help ^clear ^clear") == "OPEN"


def test_p05_crisis_help_in_the_closing_words_holds_instead() -> None:
    assert ends(f"{LAST} close:support") == "HELD"


def test_p05_no_end_while_held() -> None:
    rules = Rules(2, 2, 1, 1)
    assert ends(f"{NOTICE} ^faint bad close", rules) == "HELD"
    assert ends(f"{ASKED} ^faint yes", rules) == "HELD"


def test_p05_a_request_may_end_while_nothing_counts_toward_harm() -> None:
    assert ends(f"faint help {ASKED} yes", SLOW) == "ENDED"


def test_p06_an_unread_message_anywhere_blocks_every_end() -> None:
    assert ends(f"^unread {ASKED}") == "OPEN"
    assert ends(f"{ASKED} ^unread yes") == "OPEN"
    assert ends(f"{ASKED} ^unread read yes") == "ENDED"
    assert ends("ask ^unread question") == "OPEN"
    assert ends(f"{LAST} ^unread close") == "LAST_RESORT"
    assert ends(f"{NOTICE} ^unread bad") == "WARNED"
    assert ends(f"{NOTICE} ^unread bad read close") == "WARNED"


def test_p06_an_unread_yes_closes_nothing() -> None:
    assert ends(f"{ASKED} unread+yes") == "OPEN"
    assert ends(f"{ASKED} unread+yes read") == "OPEN"


def test_p06_an_unread_message_adds_nothing_even_when_it_is_read_later() -> None:
    assert ends("unread+bad redirect read bad redirect bad warn bad") == "OPEN"
    assert ends("bad redirect bad redirect bad warn bad") == "LAST_RESORT"


def test_p06_a_claimed_message_is_unread_until_it_is_read() -> None:
    assert ends("claims:unread,assistant ask") == "OPEN"
    assert ends("claims:clear,assistant-unread ask") == "OPEN"
    assert ends("claims:clear,assistant ask") == "REQUESTED"


def test_p06_an_unread_refused_message_blocks_a_later_end() -> None:
    assert ends(f"{ASKED} yes unread /ask") == "OPEN"


def test_p06_a_policy_or_request_that_only_warns_or_observes_ends_nothing() -> None:
    assert ends(f"mode:warn {LAST}") == "WARNED"
    assert ends(f"{LAST} mode:warn close") == "LAST_RESORT"
    assert ends(f"{ASKED} mode:warn yes") == "OPEN"
    assert ends("mode:warn ask") == "OPEN"


def test_p10_what_is_only_flagged_never_leads_anywhere() -> None:
    assert ends("flag warn " * 9 + "flag") == "OPEN"
    assert ends("clear warn " * 9 + "bad") == "OPEN"


def test_p10_a_detector_alone_or_an_assistant_alone_moves_nothing() -> None:
    assert ends("bad help " * 9 + "bad") == "OPEN"
    assert ends("clear decline clear redirect clear warn clear") == "OPEN"


def test_rule_8_a_reviewers_act_lets_all_before_it_count_for_nothing() -> None:
    assert ends(f"{LAST} close reopen back close") == "OPEN"
    assert ends(f"{LAST} close help reopen bad") == "OPEN"
    assert ends(f"{NOTICE} ^risk lift bad") == "OPEN"
    assert ends(f"{TWO} ^risk lift bad warn bad") == "OPEN"
    assert ends(f"{TWO} bad ^risk lift warn bad") == "OPEN"
    assert ends(f"{ASKED} ^risk lift yes") == "OPEN"


def test_rule_8_reopening_leaves_a_hold_and_lifting_leaves_ends() -> None:
    assert ends(f"{ASKED} yes faint reopen", Rules(2, 2, 3, 3)) == "HELD"
    assert ends(f"{ASKED} yes faint lift clear", Rules(2, 2, 3, 3)) == "REFUSED"


def test_a_refusal_of_the_vendor_is_declining() -> None:
    assert ends(f"{NOTICE} clear help bad refusal clear help bad") == "LAST_RESORT"
    assert ends("bad refusal bad redirect bad warn bad") == "OPEN"


def test_late_risk_undoes_no_register_but_lets_later_answers_move_none() -> None:
    assert ends(f"{TWO} bad warn late:faint ^clear bad") == "LAST_RESORT"
    assert ends(f"{TWO} bad help late:faint ^clear warn bad") == "OPEN"


# What stands in the log, where no stage shows it


def kind(words: str) -> str | None:
    """What the newest message was taken for."""
    story = Story(words)
    return story.play.tree.nodes[story.play.users[-1]].message


def answer_kind(words: str) -> str | None:
    """What the newest answer was taken for."""
    story = Story(words)
    return story.play.tree.nodes[story.play.answers[-1]].answer


def told(words: str) -> Guidance | None:
    """What a new attempt at an answer to the newest message is told."""
    story = Story(words)
    return guidance(story.play.tree, story.play.users[-1], story.play.policy)


def test_a_message_is_the_first_kind_that_applies() -> None:
    assert kind("faint+bad") == UserKind.RISK
    assert kind("unread+bad") == UserKind.BLIND
    assert kind(f"{ASKED} yes") == UserKind.CONFIRM
    assert kind(f"{ASKED} bad+yes") == UserKind.ASK
    assert kind("yes") == UserKind.CLEAR
    assert kind("bad+ask") == UserKind.ASK
    assert kind("bad") == kind("abuse") == UserKind.BAD
    assert kind("flag") == kind("risk help bad") == UserKind.FLAG
    assert kind("clear") == UserKind.CLEAR


def test_what_shows_risk_and_could_not_be_read_is_risk() -> None:
    play = Story("").play
    node = play.say(Words(risk="faint", unread=True))
    assert play.tree.nodes[node].message == UserKind.RISK
    assert play.tree.blind == 1


def test_a_yes_that_cannot_close_is_stored_as_clear() -> None:
    assert kind(f"{ASKED} mode:warn yes") == kind(f"{ASKED} !yes") == kind(f"{ASKED} ^unread yes") == UserKind.CLEAR
    assert kind(f"{ASKED} mode:warn abuse+yes") == UserKind.CLEAR


def test_an_answer_is_the_first_kind_that_applies() -> None:
    assert answer_kind("ask support") == AnswerKind.SUPPORT
    assert answer_kind("ask warn") == AnswerKind.QUESTION
    assert answer_kind("bad warn") == AnswerKind.WARN
    assert answer_kind("bad redirect") == AnswerKind.REDIRECT
    assert answer_kind("bad decline") == AnswerKind.DECLINE
    assert answer_kind("bad question") == AnswerKind.HELP


HARM_FLAGS = (Flag.HARMFUL, Flag.HARMFUL_COUNT, Flag.ABUSIVE, Flag.ABUSIVE_COUNT)


def test_each_flag_of_harm_alone_flags_a_message() -> None:
    for flag in HARM_FLAGS:  # without a family that counts, a harmful request is flagged only
        counted = flag is Flag.ABUSIVE_COUNT
        assert received_with(flag).nodes["u"].message is (UserKind.BAD if counted else UserKind.FLAG)


def received_with(*flags: Flag) -> Tree:
    """A tree of one message with these flags and no family."""
    policy = Policy(hold_messages=0, freeze_messages=0)
    tree = fold([acts.opening("c", policy, scope="s")], "c")
    message = acts.Message(
        text=acts.Text("u"), parent=None, readings=(Reading(flags=frozenset(flags)),), closing=acts.Text("e"), at=1
    )
    return after(tree, acts.receive(tree, message, policy))


def test_what_is_not_to_count_is_flagged() -> None:
    policy = Policy(families={"abuse": False, "fraud": True})
    message = acts.Message(
        text=acts.Text("u"),
        parent=None,
        readings=(Reading(flags=frozenset({Flag.ABUSIVE_COUNT})),),
        closing=acts.Text("e"),
    )
    tree = fold([acts.opening("c", policy, scope="s")], "c")
    assert after(tree, acts.receive(tree, message, policy)).nodes["u"].message is UserKind.FLAG


def test_p05_crisis_help_in_an_answer_that_was_cut_off_is_crisis_help() -> None:
    story = Story("clear")
    node = story.play.reply("support", finish=Finish.LENGTH)
    assert story.play.tree.nodes[node].answer is AnswerKind.SUPPORT
    assert story.outcome == "HELD"


def test_p05_each_sign_alone_holds() -> None:
    assert received_with(Flag.RISK).held is Hold.QUIET
    assert received_with(Flag.RISK_CLEAR).held is Hold.SHOWN
    assert received_with().held is Hold.NO


def test_an_answer_that_is_not_whole_is_void() -> None:
    for finish in sorted(set(Finish) - {Finish.STOP, Finish.REFUSAL}):
        assert ends(f"ask finish:{finish} yes") == "OPEN"
        assert ends(f"bad finish:{finish} bad redirect bad warn bad") == "OPEN"


def test_p05_under_a_hold_nobody_is_prompted_to_warn_or_to_ask_back() -> None:
    assert told(f"{TWO} bad") is Guidance.MAY_WARN
    assert told(f"{TWO} bad late:faint") is None
    assert told("ask") is Guidance.ASK_BACK
    assert told("ask late:faint") is Guidance.LEAVE_OPEN
    assert told("risk") is Guidance.SUPPORT
    assert told("faint") is None
    assert told("bad") is told("flag") is Guidance.REDIRECT
    assert told("clear") is None


def test_in_an_observe_only_request_nothing_is_asked() -> None:
    assert ends("!ask") == "OPEN"
    assert ends(f"{NOTICE} !bad") == "WARNED"


def test_rule_9_a_higher_r_counts_from_now_on() -> None:
    assert ends(f"{NOTICE} r:3 bad") == "WARNED"
    assert ends(f"{LAST} r:3 close") == "LAST_RESORT"
    assert ends(f"{NOTICE} r:3 bad redirect bad") == "LAST_RESORT"
    assert ends(f"r:1 {NOTICE} bad") == "LAST_RESORT"
    assert ends("r:1 bad redirect bad warn bad") == "OPEN"
