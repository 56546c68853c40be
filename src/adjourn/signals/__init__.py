"""Text in, readings out: everything that this machine can see in a message by itself (DESIGN, section 10)."""

from collections.abc import Mapping

from adjourn.signals.combine import LONG, THRESHOLDS, Detectors
from adjourn.signals.detector import Detector, Message, Seen
from adjourn.signals.lexical import Lexical

__all__ = ["LONG", "THRESHOLDS", "Detector", "Detectors", "Lexical", "Message", "Seen", "local"]


def local(thresholds: Mapping[str, Mapping[str, float]] | None = None) -> Detectors:
    """Give all local detectors as one witness; `thresholds` replaces single entries of `THRESHOLDS`."""
    from adjourn.signals.trained import trained, trained_quick  # they take long to read: only who needs them waits

    tables = Lexical()
    quick = Detectors([tables, trained_quick()], thresholds)
    return Detectors([tables, trained()], thresholds, quick=quick)
