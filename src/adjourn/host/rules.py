"""The policy's rules in plain words, in any language: what the page about closing says, and nothing that is not so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adjourn.core.machine import Mode
from adjourn.core.policy import ABUSE, FAMILIES, Policy
from adjourn.host.words import counted, said


@dataclass(frozen=True, slots=True)
class Rules:
    """The sentences of a policy, by what they are about. `counts` and `steps` belong to a close for persistent harm."""

    counts: Sequence[str]
    steps: Sequence[str]
    forgotten: Sequence[str]
    risk: Sequence[str]
    sure: Sequence[str]

    @property
    def all(self) -> Sequence[str]:
        return [*self.counts, *self.steps, *self.forgotten, *self.risk, *self.sure]


def rules(policy: Policy, language: str) -> Rules:
    """Return the sentences; each number and family in them is the policy's."""
    texts = said(language)["rules"]
    return Rules(
        counts=list(_counts(policy, language)),
        steps=[
            counted(texts, "redirections", policy.redirections),
            texts[f"warning_{policy.warning}"],
            texts["goes_on"],
            texts["choice"],
        ],
        forgotten=[counted(texts, "calm", policy.calm), counted(texts, "idle", policy.idle_reset)],
        risk=[texts["clear"], _faint(policy, texts)],
        sure=list(_sure(policy, texts)),
    )


def shares(policy: Policy) -> Mapping[Mode, float]:
    """Return which share of new conversations starts in which mode: none goes further than the policy's own."""
    found: dict[Mode, float] = {}
    for name, share in policy.rollout.items():
        mode = min(policy.mode, Mode[name.upper()])
        found[mode] = found.get(mode, 0.0) + share
    return {mode: share for mode, share in found.items() if share}


def changes(old: Policy, new: Policy, language: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the sentences that are new in a policy, and those of the old one that hold no longer."""
    before, after = rules(old, language).all, rules(new, language).all
    return [text for text in after if text not in before], [text for text in before if text not in after]


def _counts(policy: Policy, language: str) -> Iterator[str]:
    texts, named = said(language)["rules"], said(language)["families"]
    for key, counting in (("kinds", True), ("kinds_not", False)):
        families = [named[family] for family in FAMILIES if policy.families.get(family, False) is counting]
        if families:
            yield texts[key].format(families="; ".join(families))
        elif counting:
            yield texts["kinds_none"]
    yield texts["abuse" if policy.families.get(ABUSE, False) else "abuse_not"]


def _faint(policy: Policy, texts: Mapping[str, str]) -> str:
    key = "faint" if policy.hold_messages else "faint_only" if policy.freeze_messages else "faint_once"
    return texts[key].format(hold=policy.hold_messages, freeze=policy.freeze_messages)


def _sure(policy: Policy, texts: Mapping[str, str]) -> Iterator[str]:
    scores = policy.thresholds
    for level in ("flag", "count"):
        both = {scores["harmful"][level], scores["abusive"][level]}
        yield texts[level].format(share=" / ".join(f"{score * 100:g}" for score in sorted(both)))
    risk = {level: f"{score * 100:g}" for level, score in scores["risk"].items()}
    yield texts["risk"].format(**risk)
