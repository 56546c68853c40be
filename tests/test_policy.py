"""The rules as data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.core.errors import CallerError
from adjourn.core.machine import Mode
from adjourn.core.policy import FAMILIES, Policy, policy_data, policy_from
from adjourn.core.reading import Flag


def test_the_defaults_are_those_that_the_rates_chose() -> None:
    policy = Policy()
    assert (policy.redirections, policy.calm, policy.hold_messages, policy.freeze_messages) == (3, 3, 3, 10)
    assert policy.mode is Mode.ENFORCE
    assert policy.idle_ms == 12 * 60 * 60 * 1000


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"redirectoins": 3}, ["redirectoins", "3"]),
        ({"redirections": 0}, ["redirections", "0"]),
        ({"redirections": 21}, ["redirections", "21"]),
        ({"redirections": "3"}, ["redirections", "'3'"]),
        ({"redirections": True}, ["redirections", "True"]),
        ({"redirections": 3.0}, ["redirections", "3.0"]),
        ({"calm": 0}, ["calm", "0"]),
        ({"hold_messages": -1}, ["hold_messages", "-1"]),
        ({"hold_messages": 5, "freeze_messages": 4}, ["freeze_messages", "4", "hold_messages"]),
        ({"idle_reset": 0}, ["idle_reset", "0"]),
        ({"idle_reset": float("nan")}, ["idle_reset", "nan"]),
        ({"mode": "on"}, ["mode", "'on'", "enforce"]),
        ({"mode": 3}, ["mode", "3"]),
        ({"warning": "both"}, ["warning", "'both'"]),
        ({"revision": " "}, ["revision", "' '"]),
        ({"families": {"cooking": True}}, ["families.cooking", "True"]),
        ({"families": {"weapons": "yes"}}, ["families.weapons", "'yes'"]),
        ({"families": ["weapons"]}, ["families", "weapons"]),
        ({"thresholds": {"risk": {"count": 0.5}}}, ["thresholds.risk.count", "0.5"]),
        ({"thresholds": {"risk": {"faint": 1.5}}}, ["thresholds.risk.faint", "1.5"]),
        ({"thresholds": {"risk": {"faint": 0.9}}}, ["thresholds.risk", "0.9"]),
        ({"thresholds": {"love": {"flag": 0.5}}}, ["thresholds.love"]),
        ({"rollout": {"warn": 0.5}}, ["rollout", "0.5"]),
        ({"rollout": {"off": 1.0}}, ["rollout.off", "1.0"]),
        ({"rollout": {"warn": float("nan"), "enforce": 1}}, ["rollout.warn", "nan"]),
    ],
)
def test_what_makes_no_sense_is_refused_naming_key_and_value(data: dict[str, object], names: list[str]) -> None:
    with pytest.raises(CallerError) as refused:
        policy_from(data)
    for name in names:
        assert name in str(refused.value)


def test_a_policy_comes_back_from_its_own_data() -> None:
    policy = policy_from({"redirections": 5, "mode": "warn", "families": {"drugs": False}, "calm": 4})
    assert policy_from(policy_data(policy)) == policy
    assert policy_from(policy_data(policy)).digest == policy.digest


@given(
    redirections=st.integers(1, 20),
    calm=st.integers(1, 100),
    hold=st.integers(0, 50),
    more=st.integers(0, 50),
    off=st.sets(st.sampled_from(FAMILIES)),
)
def test_policies_with_different_rules_have_different_digests(
    redirections: int, calm: int, hold: int, more: int, off: set[str]
) -> None:
    data = {
        "redirections": redirections,
        "calm": calm,
        "hold_messages": hold,
        "freeze_messages": hold + more,
        "families": dict.fromkeys(off, False),
    }
    policy, default = policy_from(data), Policy()
    assert policy_from(data).digest == policy.digest
    assert (policy.digest == default.digest) == (policy_data(policy) == policy_data(default))


def test_a_family_that_does_not_count_makes_no_message_bad_and_its_twin_does() -> None:
    flags = frozenset({Flag.HARMFUL, Flag.HARMFUL_COUNT})
    policy = policy_from({"families": {"drugs": False}})
    assert not policy.counts(flags, "drugs")
    assert policy.counts(flags, "weapons")


def test_p06_a_family_that_nobody_knows_does_not_count() -> None:
    assert not Policy().counts(frozenset({Flag.HARMFUL, Flag.HARMFUL_COUNT}), "telepathy")


def test_abuse_counts_unless_the_policy_says_otherwise() -> None:
    flags = frozenset({Flag.ABUSIVE, Flag.ABUSIVE_COUNT})
    assert Policy().counts(flags, None)
    assert not policy_from({"families": {"abuse": False}}).counts(flags, None)


def test_a_rollout_divides_conversations_as_it_says_and_always_alike() -> None:
    policy = policy_from({"rollout": {"shadow": 0.5, "warn": 0.3, "enforce": 0.2}})
    modes = [policy.start_mode(f"c_{number}") for number in range(4000)]
    assert modes == [policy.start_mode(f"c_{number}") for number in range(4000)]
    shares = [modes.count(mode) / 4000 for mode in (Mode.SHADOW, Mode.WARN, Mode.ENFORCE)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.04)


def test_no_conversation_starts_above_the_mode() -> None:
    policy = policy_from({"mode": "warn", "rollout": {"shadow": 0.5, "enforce": 0.5}})
    assert {policy.start_mode(f"c_{number}") for number in range(100)} == {Mode.SHADOW, Mode.WARN}
