"""Adjourn: lets any chat assistant close a conversation as a last resort, and only when it should."""

from adjourn.version import __version__

__all__ = ["__version__"]
