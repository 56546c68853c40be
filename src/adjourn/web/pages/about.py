"""`GET /about/closing`: when a chat is closed and when never, in words that come from the policy in force."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from starlette.requests import Request
from starlette.responses import Response

from adjourn.core.errors import StoreError
from adjourn.core.machine import Mode
from adjourn.core.policy import Policy
from adjourn.host import Host
from adjourn.host.rules import changes, rules, shares
from adjourn.host.words import said
from adjourn.web.pages.render import host_of, looking, page


@dataclass(frozen=True, slots=True)
class Change:
    """Rules that came into use: when, as far as it is known, and what is new and what is gone."""

    revision: str
    since: date | None
    new: Sequence[str] = ()
    gone: Sequence[str] = ()


async def about_closing(request: Request) -> Response:
    """Answer with the page. It is open to everybody, with a key or without."""
    who, host = looking(request), host_of(request)
    policy = host.policy if host else None
    return page(
        request,
        "about.html",
        who,
        modes=modes(policy, who.language),
        rules=rules(policy, who.language) if policy and policy.mode is Mode.ENFORCE else None,
        revision=policy.revision if policy else "",
        history=await _history(host, who.language) if host else [],
    )


def modes(policy: Policy | None, language: str) -> Sequence[str]:
    """Return what the mode lets the assistant do, a sentence for each share of the conversations if they differ."""
    texts = said(language)["about"]
    if policy is None:
        return [texts["mode_off"]]
    found = shares(policy)
    if len(found) == 1:
        return [texts[f"mode_{mode.name.lower()}"] for mode in found]
    return [texts[f"share_{mode.name.lower()}"].format(share=f"{share * 100:g}") for mode, share in found.items()]


async def _history(host: Host, language: str) -> Sequence[Change]:
    """Return the rules that this server has had, the newest first; nothing where they cannot be read just now."""
    try:
        kept = await host.store.rules()
    except StoreError:
        return []
    return list(_changes(kept, language))[::-1]


def _changes(kept: Sequence[tuple[Policy, int | None]], language: str) -> Iterator[Change]:
    before: Policy | None = None
    for policy, at in kept:
        since = datetime.fromtimestamp(at / 1000, UTC).date() if at is not None else None
        if before is None:
            yield Change(policy.revision, since)
        else:
            old, new = modes(before, language), modes(policy, language)
            added, gone = changes(before, policy, language)
            yield Change(
                policy.revision,
                since,
                [*(text for text in new if text not in old), *added],
                [*(text for text in old if text not in new), *gone],
            )
        before = policy
