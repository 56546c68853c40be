"""What the host and the gateway ask of a vendor's wire. Each wire is a module of these functions."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from adjourn.wire.reply import Reply
from adjourn.wire.request import Request

Told = Mapping[str, Any]
"""Adjourn's object, which tells a client of a turn (WIRE)."""


class Wire(Protocol):
    """A vendor's wire: pure functions between bytes and what Adjourn reads of them and puts into them."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """What the wire is called in settings and metrics."""

    @property
    def PATH(self) -> str:  # noqa: N802
        """Where a request for an answer goes, below an upstream's address."""

    @property
    def PING(self) -> bytes:  # noqa: N802
        """What is sent on a stream that the host delays: every client leaves it out."""

    def parse(self, body: bytes) -> Request:
        """Return what a request says; raises ClientError, which says what is wrong and where."""

    # The fork: a side request.

    def side_request(
        self, viewed: bytes, *, replied: bytes | None, again: str, form: str, store: bool | None, tool: bool
    ) -> bytes:
        """Return the question whether to close. `viewed`: the view with the first question as its last note.

        `replied`: what the model said to that, every field of it; then it is asked `again`. `store`: what to say of
        keeping it, if anything. `tool`: the model answers with the tool `end_conversation` instead of a word.
        """

    def said(self, text: str) -> bytes:
        """Return an assistant's message with this text."""

    def message_of(self, body: bytes) -> bytes:
        """Return the assistant's message of a plain answer, every field of it, as a request holds it."""

    def bare(self, message: bytes) -> bytes:
        """Return an assistant's message with its role and text only."""

    # The answer.

    def read_reply(self, body: bytes) -> Reply:
        """Return what a plain answer says; one that cannot be read says nothing."""

    def read_event(self, reply: Reply, event: bytes) -> bool:
        """Add a streamed event to the reply; return whether the answer comes to its end with it."""

    def with_object(self, body: bytes, adjourn: Told | None, more: str = "") -> bytes:
        """Return a plain answer, or an error, with Adjourn's object in it, and `more` words behind the model's."""

    def last_events(self, reply: Reply, held: Sequence[bytes], adjourn: Told | None, more: str) -> bytes:
        """Return the events with which a stream ends, from the one on with which the answer came to its end.

        Adjourn's object stands on that one, `more` words before it. If there is none (it broke off): the object alone.
        `reply`: what the events before them said.
        """

    # Answers and errors of our own.

    def answer_of(self, words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
        """Return a plain answer with these words."""

    def stream_of(self, words: str, *, model: str, ident: str, created: int, adjourn: Told | None) -> bytes:
        """Return a streamed answer with these words, whole."""

    def error_of(self, message: str, status: int, *, code: str | None = None, adjourn: Told | None = None) -> bytes:
        """Return an error in the wire's own form, for an answer with this status."""

    def error_event(self, message: str, status: int, *, adjourn: Told | None = None) -> bytes:
        """Return the event with which a stream breaks off, for what would have been an answer with this status."""

    def way_out(self, sent: bytes, status: int, answer: bytes) -> tuple[bytes, Mapping[str, str]] | None:
        """Return what to send instead if the vendor refused it for a reason with a documented way out, else None.

        With the body come the headers to add to the client's.
        """
