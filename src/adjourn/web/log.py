"""The log: a line of JSON an event, on standard error. No line holds words of a conversation.

Of an exception that is not ours only the places and its type are written: its text may quote what somebody wrote.
"""

import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

from adjourn.core.errors import AdjournError, ClientError

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""The id of the request that is being answered."""

_LOG = logging.getLogger("adjourn")


def debugs() -> bool:
    """Return whether lines are written that only who looks for something wants to read."""
    return _LOG.isEnabledFor(logging.DEBUG)


def debug(event: str, **fields: Any) -> None:
    """Write such a line."""
    _LOG.debug(event, extra={"fields": fields})


def info(event: str, **fields: Any) -> None:
    """Write a line about what an operator wants to know."""
    _LOG.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """Write a line about what is not as it should be."""
    _LOG.warning(event, extra={"fields": fields})


def error(event: str, fault: BaseException | None = None, **fields: Any) -> None:
    """Write a line about what failed, with the places where it did."""
    _LOG.error(event, exc_info=fault, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A record as a line of JSON; lines of the packages that we use have the event `log` and their message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its newline."""
        fields: dict[str, Any] | None = getattr(record, "fields", None)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        line |= {"event": record.msg} if fields is not None else {"event": "log", "logger": record.name}
        if fields is None and record.exc_info is None:
            line["message"] = record.getMessage()
        request = REQUEST.get()
        line |= {"request": request} if request else {}
        line |= {name: value for name, value in (fields or {}).items() if value is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = places(record.exc_info[1])
        return msgspec.json.encode(line).decode()


def places(fault: BaseException) -> str:
    """Return the places and types of an exception and of those behind it; only of our own what they say."""
    ours = isinstance(fault, AdjournError) and not isinstance(fault, ClientError)
    said = f"{type(fault).__qualname__}: {fault}" if ours else type(fault).__qualname__
    here = "".join(traceback.format_tb(fault.__traceback__)) + said
    behind = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return f"{places(behind)}\n\n{here}" if behind is not None else here


def configure(level: str) -> None:
    """Write from this level on, and what the packages that we use have to warn of, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    _LOG.setLevel(LEVELS[level])
    logging.getLogger().handlers[:] = [handler]
