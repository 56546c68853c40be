"""How each model behind the server is spoken to: as the settings say, else as is known of its vendor."""

from dataclasses import replace
from urllib.parse import urlsplit

from adjourn.host import Manner
from adjourn.upstream.choice import WIRES, Named
from adjourn.wire import anthropic

OPENAI = "api.openai.com"
"""The address where a developer message is taken behind a user's, and what is said to side questions is not kept."""


def manner(named: Named, model: str, base: Manner) -> Manner:
    """Return how this model of an upstream is spoken to; `base`: where neither settings nor vendor say otherwise."""
    tool = base.tool or named.closes_with_tool(model)
    if named.wire == anthropic.NAME:
        form, store = anthropic.form_of(model), None
    elif is_openai(named):
        form, store = "developer", False
    else:
        form, store = base.form, base.store
    return replace(base, wire=WIRES[named.wire], form=named.guidance or form, store=store, tool=tool)


def is_openai(named: Named) -> bool:
    """Whether this is the vendor's own address."""
    return urlsplit(named.url).hostname == OPENAI


def differ(named: Named) -> bool:
    """Whether the models of an upstream are not all spoken to alike."""
    return bool(named.fork_tool) or (named.wire == anthropic.NAME and named.guidance is None)
