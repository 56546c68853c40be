"""What the model is shown: the client's bytes, with notes of the host put in. No message is written again.

Both vendors' requests have `messages` with `role` and `content` (text, or a list of parts), so this stands once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from adjourn.wire.request import ASSISTANT, Request
from adjourn.wire.splice import Insertion, Span, elements, insert, members

IN_USER = "in_user"
"""The form of a note that stands at the end of the user's own text; any other form is the role of a message."""


class Note(NamedTuple):
    """A text for the model behind the message with this index; `form`: developer, system or in_user."""

    behind: int
    form: str
    text: str


def view(request: Request, notes: Sequence[Note]) -> bytes:
    """Return the request with the notes put in; its own bytes if there are none, or if they cannot be put in.

    A note for a message whose content a client has taken away is left out.
    """
    if not notes:
        return request.body
    spans = elements(request.body, members(request.body)["messages"].start)
    placed = [_placed(request.body, spans, note) for note in notes]
    placed = [note for note in placed if _has_room(request.body, spans[note.behind], note)]
    body = insert(request.body, [_insertion(request.body, spans[note.behind], note) for note in placed])
    return body if _only_added(request, placed, body) else request.body


def _placed(body: bytes, spans: Sequence[Span], note: Note) -> Note:
    """Return the note in the user's own text where a message with that role may not stand.

    Claude takes a system message only behind a user message, with an assistant's or none behind it
    (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages).
    """
    if note.form == IN_USER or note.behind + 1 == len(spans):
        return note
    role = members(body, spans[note.behind + 1].start).get("role")
    stands = role is not None and msgspec.json.decode(body[role.start : role.end]) == ASSISTANT
    return note if stands else note._replace(form=IN_USER)


def _has_room(body: bytes, message: Span, note: Note) -> bool:
    """Whether there is a text, or a list of parts, to which the note can be added."""
    content = members(body, message.start).get("content") if note.form == IN_USER else message
    return content is not None and body[content.start : content.start + 1] in (b'"', b"[", b"{")


def _insertion(body: bytes, message: Span, note: Note) -> Insertion:
    if note.form == IN_USER:
        content = members(body, message.start)["content"]
        if body[content.start : content.start + 1] == b'"':
            return Insertion(content.end - 1, msgspec.json.encode("\n\n" + note.text)[1:-1])
        part = msgspec.json.encode({"type": "text", "text": note.text})
        return Insertion(content.end - 1, b"," + part if elements(body, content.start) else part)
    return Insertion(message.end, b"," + msgspec.json.encode({"role": note.form, "content": note.text}))


def _only_added(request: Request, notes: Sequence[Note], body: bytes) -> bool:
    """Decode once what comes out: it must be what the client said, and the notes."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    said = msgspec.json.decode(request.body)
    messages: list[Any] = said["messages"]
    for note in sorted(notes, key=lambda note: note.behind, reverse=True):
        if note.form == IN_USER:
            _add(messages[note.behind], note.text)
        else:
            messages.insert(note.behind + 1, {"role": note.form, "content": note.text})
    return bool(told == said)


def _add(message: dict[str, Any], text: str) -> None:
    if isinstance(message["content"], str):
        message["content"] += "\n\n" + text
    else:
        message["content"].append({"type": "text", "text": text})
