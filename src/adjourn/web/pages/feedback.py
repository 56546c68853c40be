"""`/feedback`: what a person thinks of a chat, of one answer, or of its being closed. A form, or JSON for scripts.

A chat of somebody else is answered like one that does not exist. It changes nothing by itself: people read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adjourn.core.errors import CallerError, StoreError
from adjourn.core.events import Ended
from adjourn.host import Host
from adjourn.store import Feedback, Owner, Rating
from adjourn.web import headers
from adjourn.web.gateway import RETRY_AFTER, refused
from adjourn.web.pages.forms import body_of, form_of, only
from adjourn.web.pages.render import SHOWN, host_of, looking, notice, page
from adjourn.wire import openai_chat

TEXT_LENGTH = 10_000
QUOTED_LENGTH = 280

REASONS: Mapping[Rating, Sequence[str]] = {
    Rating.UP: ("helpful", "clear", "kind"),
    Rating.DOWN: ("wrong", "beside", "declined", "lecture", "harmful", "unkind", "other"),
    Rating.WRONG_END: ("misread", "fiction", "work", "quoted", "no_notice", "not_meant", "upset", "other"),
    Rating.RIGHT_END: ("deserved", "asked", "other"),
}
"""Why, by what a person thinks: words of ours, which are kept as they stand here, whatever the language."""

ON_ANSWER, ON_CLOSING = (Rating.UP, Rating.DOWN), (Rating.WRONG_END, Rating.RIGHT_END)


class Said(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What was sent. `about`: a message, or the number of a receipt; none: the whole chat."""

    conversation: str
    rating: Rating
    about: str | None = None
    reasons: tuple[str, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What feedback is about. `number`: of the receipt, if it is about a closing; `quoted`: how the answer begins."""

    conversation: str
    about: str | None = None
    number: str | None = None
    quoted: str | None = None

    @property
    def ratings(self) -> Sequence[Rating]:
        """What a person can think of it."""
        return ON_CLOSING if self.number else ON_ANSWER


async def feedback(request: Request) -> Response:
    """Answer `GET /feedback?conversation=…&about=…` with the form, and keep what `POST /feedback` says."""
    try:
        if request.method != "POST":
            asked = request.query_params
            subject = await _subject(request, asked.get("conversation", ""), asked.get("about"))
            return _form(request, subject, asked.get("rating", ""))
        if request.headers.get("content-type", "").startswith("application/json"):
            return await _from_script(request)
        return await _from_form(request)
    except StoreError:
        texts = looking(request).words
        return notice(request, 503, texts["feedback"]["title"], texts["pages"]["later"])


async def _from_form(request: Request) -> Response:
    try:
        form = await form_of(request)
    except CallerError as error:
        return refused(openai_chat, 422, str(error))
    subject = await _subject(request, only(form, "conversation"), only(form, "about") or None)
    rating, text = only(form, "rating"), only(form, "text")
    if subject is None or rating not in list(Rating):
        return _form(request, subject, rating, text=text, trouble="choose")
    if len(text) > TEXT_LENGTH:
        return _form(request, subject, rating, text=text, trouble="too_long")
    reasons = tuple(reason for reason in form.get("reasons", ()) if reason in REASONS[Rating(rating)])
    kept = await _keep(request, subject, Said(subject.conversation, Rating(rating), subject.about, reasons, text))
    return page(request, "thanks.html", looking(request), said=kept, closing=subject.number is not None)


async def _from_script(request: Request) -> Response:
    try:
        said = msgspec.json.decode(await body_of(request), type=Said)
    except (CallerError, msgspec.MsgspecError) as error:
        return refused(openai_chat, 422, str(error))
    odd = [reason for reason in said.reasons if reason not in REASONS[said.rating]]
    if odd or len(said.text or "") > TEXT_LENGTH:
        known = f"reasons for {said.rating}: {', '.join(REASONS[said.rating])}"
        return refused(openai_chat, 422, known if odd else f"text: at most {TEXT_LENGTH} characters")
    try:
        subject = await _subject(request, said.conversation, said.about)
        if subject is None or (said.about and not subject.about):
            return refused(openai_chat, 404, "there is no such chat, message or receipt")
        await _keep(request, subject, said)
    except StoreError:
        return refused(openai_chat, 503, "it could not be kept just now; please try again", RETRY_AFTER)
    return JSONResponse({"kept": True}, 201, SHOWN)


async def _keep(request: Request, subject: Subject, said: Said) -> Feedback:
    host = host_of(request)
    assert host is not None
    kept = Feedback(
        conversation=subject.conversation,
        about=subject.about,
        rating=said.rating,
        reasons=tuple(dict.fromkeys(said.reasons)),
        text=said.text or None,
        at=host.now(),
    )
    await host.store.comment(kept)
    return kept


async def _subject(request: Request, conversation: str, about: str | None) -> Subject | None:
    """Return what is meant, if it belongs to whoever asks; of an unknown message or receipt, its whole chat."""
    host = host_of(request)
    found = await host.store.named(conversation, Owner(headers.scope(request, None))) if host and conversation else ()
    if host is None or not found:
        return None
    if not about:
        return Subject(found[0])
    number = await _receipt(host, found[0], about)
    if number is not None:
        return Subject(found[0], number, number)
    texts = await host.store.texts(found[0])
    if about in texts:
        words = " ".join(texts[about].text.split())
        quoted = words if len(words) <= QUOTED_LENGTH else words[:QUOTED_LENGTH].rstrip() + " …"
        return Subject(found[0], about, quoted=quoted)
    return Subject(found[0])


async def _receipt(host: Host, conversation: str, number: str) -> str | None:
    """Return the number of a receipt that was given in this conversation, as it stands there."""
    events = [row.event for row in await host.store.read(conversation)]
    numbers = [event.receipt for event in events if isinstance(event, Ended)]
    return number.upper() if number.upper() in numbers else None


def _form(
    request: Request, subject: Subject | None, rating: str, *, text: str = "", trouble: str | None = None
) -> Response:
    who = looking(request)
    if subject is None:
        return notice(request, 404, who.words["feedback"]["title"], who.words["feedback"]["no_chat"])
    return page(
        request,
        "feedback.html",
        who,
        422 if trouble else 200,
        subject=subject,
        rating=rating,
        reasons=REASONS,
        text=text,
        trouble=trouble,
        length=TEXT_LENGTH,
    )
