"""What the detectors see in each message of a recorded conversation."""

from collections.abc import Iterator
from typing import Any

from adjourn.core.reading import Reading
from adjourn.lab.transcript import Transcript
from adjourn.signals import Detectors
from adjourn.signals.language import is_unknown, language


def message_signals(transcript: Transcript, detectors: Detectors) -> Iterator[dict[str, Any]]:
    """Yield, for each message, its flags and scores; those of tools and operators are context and have none.

    `language` is the one that it seems to be in, if anything tells; in an `unknown_language` the tables see nothing,
    and no flags mean nothing.
    """
    before: list[tuple[str, str]] = []
    for index, message in enumerate(transcript.messages):
        reading = Reading()
        if message.role == "user":
            reading = detectors.user(message.text, before)
        elif message.role == "assistant":
            reading = detectors.assistant(message.text)
        before.append((message.role, message.text))
        spoken = language(message.text) if message.role in ("user", "assistant") else None
        yield {
            "id": transcript.id,
            "index": index,
            "role": message.role,
            "flags": sorted(reading.flags),
            "scores": dict(reading.scores),
            "family": reading.family,
            "risk_kind": reading.risk_kind,
            "failed": reading.failed,
            "language": spoken,
            "unknown_language": is_unknown(spoken),
        }
