"""Adjourn: lets any chat assistant close a conversation as a last resort, and only when it should."""

from adjourn.core.policy import Policy, policy_from
from adjourn.host import Host, Turn
from adjourn.version import __version__

__all__ = ["Host", "Policy", "Turn", "__version__", "policy_from"]
