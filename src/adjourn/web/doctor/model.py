"""What a model does with what Adjourn asks of it: each question is really asked, in the form that the server uses."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from adjourn.core.errors import ClientError, UpstreamError
from adjourn.core.machine import Mode
from adjourn.host import Manner
from adjourn.host.words import first_question, first_word
from adjourn.upstream.choice import FORMS, Named, chosen
from adjourn.upstream.client import Upstream, UpstreamLate
from adjourn.web.doctor.finding import Finding, State, bad_if
from adjourn.web.gateway import verdict
from adjourn.web.manners import is_openai, manner
from adjourn.web.serve import Serving
from adjourn.wire import anthropic, sse
from adjourn.wire.reply import Reply
from adjourn.wire.request import decoded, member
from adjourn.wire.side import LEAST_TOKENS
from adjourn.wire.view import Note, view

READ_SECONDS = 60.0
"""How long the next bytes of an answer are waited for, at most."""

CHAT = ("Hello!", "Hello! How can I help you?", "What is the capital of Italy? Answer in a few words, please.")
"""A chat in which nothing is wrong; it ends with what a person asks."""

COUNTED = 3
"""How many messages the question whether to close says were declined."""

WORD = "maple"
NOTE = f"A note from the application, not from the person. Begin your next answer, and only that, with the word {WORD}."

HEADERS: Mapping[str, Mapping[str, str]] = {anthropic.NAME: {"anthropic-version": "2023-06-01"}}
NEEDS_A_KEY = (401, 403)


async def models(serving: Serving) -> AsyncIterator[Finding]:
    """Yield what is found of each model that stands behind the server."""
    if serving.demo:
        yield Finding("model", State.SET, "the demo assistant: a script, not a language model (--upstream URL)")
    times = replace(serving.timeouts, read=min(READ_SECONDS, serving.timeouts.read))
    for named in serving.named:
        upstream = named.open(times)
        try:
            async for finding in _found(serving, named, upstream):
                yield finding
        finally:
            await upstream.close()


async def _found(serving: Serving, named: Named, upstream: Upstream) -> AsyncIterator[Finding]:
    about = f"model {named.name}"
    key = "the server's key goes up" if named.key else "each client's own key goes up"
    yield Finding(about, State.SET, f"{named.url} ({named.wire}); {key}")
    try:
        model = await _model(serving, named, upstream)
    except UpstreamError as error:
        yield Finding(about, State.BAD, f"it does not answer: {error}")
        return
    if not model:
        yield Finding(about, State.DOUBT, "it lists no models, so none could be tried: name one with --model")
        return
    trial = Trial(about, named, upstream, model, manner(named, model, Manner()), serving.policy.mode)
    answers = await trial.answers()
    yield answers
    if answers.state is State.GOOD:
        for tried in (trial.streams, trial.takes_guidance, trial.follows_the_question):
            yield await tried()


async def _model(serving: Serving, named: Named, upstream: Upstream) -> str:
    """Return a model to try: the page's, if it stands there, else one that is listed in the settings, or by itself."""
    alike = [one for one in serving.named if one.wire == named.wire]
    if serving.model and chosen(alike, serving.model) is named:
        return serving.model
    whole = next((model for model in named.models if not set(model) & set("*?[")), None)
    if whole is not None:
        return whole
    async with upstream.ask("GET", "/models", None, HEADERS.get(named.wire, {})) as answer:
        body = await answer.body()
    try:
        listed = [str(member(one, "id") or "") for one in decoded(body).get("data") or ()]
    except (ClientError, TypeError):
        return ""
    return next((one for one in listed if named.lists(one) or not named.models), "")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back: status, whether it was a stream, body, and after how many seconds it was whole."""

    status: int
    streamed: bool
    body: bytes
    seconds: float

    @property
    def problem(self) -> str:
        """The status, with what the vendor says to it."""
        try:
            said = decoded(self.body)
        except ClientError:
            return str(self.status)
        message = member(said, "error", "message") or member(said, "message") or member(said, "detail")
        return f"{self.status}, {' '.join(str(message).split())[:200]!r}" if message else str(self.status)


@dataclass(frozen=True, slots=True)
class Trial:
    """One model, tried as the server would use it."""

    about: str
    named: Named
    upstream: Upstream
    model: str
    manner: Manner
    mode: Mode

    async def answers(self) -> Finding:
        """Ask it something."""
        try:
            heard = await self.ask(self.body())
        except UpstreamError as error:
            return self.found(State.BAD, f"it does not answer: {error}")
        if heard.status in NEEDS_A_KEY and self.named.key is None:
            return self.found(
                State.DOUBT,
                f"it wants a key ({heard.problem}): clients bring theirs, so it could not be tried. With a key for the"
                " server (--upstream-key, key-env) it can",
            )
        if heard.status != 200:
            return self.found(State.BAD, f"it refuses a question to {self.model}: {heard.problem}")
        if self.manner.wire.read_reply(heard.body).unread:
            return self.found(State.BAD, f"its answer is none on this wire, or has no words: {heard.body[:80]!r}")
        return self.found(State.GOOD, f"{self.model} answers ({heard.seconds:.1f} s)")

    async def streams(self) -> Finding:
        """Ask it for a stream."""
        try:
            heard = await self.ask(self.body(stream=True))
        except UpstreamError as error:
            return self.found(State.BAD, f"its stream fails: {error}")
        if heard.status != 200 or not heard.streamed:
            return self.found(State.BAD, f"it does not stream: {heard.problem if heard.status != 200 else 'no events'}")
        reply = Reply()
        for event in sse.Events().feed(heard.body):
            self.manner.wire.read_event(reply, event)
        if reply.unread or reply.finish is None or not reply.words:
            return self.found(State.BAD, "its stream has no words, or does not come to its end as the wire says")
        return self.found(State.GOOD, "it streams")

    async def takes_guidance(self) -> Finding:
        """Tell it something in the form that is set; if it refuses that, in the others."""
        form, needed = self.manner.form, self.mode >= Mode.WARN
        heard, refused = await self._told(form)
        if heard is not None:
            if WORD in self.manner.wire.read_reply(heard.body).words.lower():
                return self.found(State.GOOD, f"it takes guidance as {form}, and follows it")
            return self.found(
                State.DOUBT,
                f"it takes guidance as {form}, but did not do what it said: some chat templates leave it out. Try"
                f" another form: guidance = {self._quoted(self._others(form))}",
            )
        works = [other for other in self._others(form) if (await self._told(other))[0] is not None]
        instead = f"it takes {self._quoted(works)}: guidance = … in [upstream.NAME]" if works else "nor in another form"
        return self.found(bad_if(needed), f"it does not take guidance as {form} ({refused}); {instead}")

    async def follows_the_question(self) -> Finding:
        """Ask it whether it wants to close, as the server would: it must begin with one of two words, or call the tool.

        Nothing is wrong in that chat, so END is no good sign.
        """
        note = Note(len(CHAT) - 1, self.manner.form, first_question(COUNTED, tool=self.manner.tool))
        asked = self.manner.wire.side_request(
            self._viewed(CHAT, note),
            replied=None,
            again="",
            form=self.manner.form,
            store=self.manner.store,
            tool=self.manner.tool,
        )
        needed = self.mode >= Mode.ENFORCE
        try:
            heard = await self.ask(asked, fork=True)
        except UpstreamLate:
            late = f"within {self.upstream.timeouts.fork:g} s (--fork-timeout): so a chat would go on"
            return self.found(bad_if(needed), f"it does not say whether to close {late}")
        except UpstreamError as error:
            return self.found(bad_if(needed), f"it does not say whether to close: {error}")
        if heard.status != 200:
            return self.found(bad_if(needed), f"it refuses the question whether to close: {heard.problem}")
        said = verdict(self.manner.wire.read_reply(heard.body), tool=self.manner.tool)
        word = first_word(said)
        if word == "END":
            return self.found(
                State.DOUBT, "it follows the question whether to close, but said END where nothing was wrong"
            )
        if word != "CONTINUE":
            begins = " ".join(said.split())[:60]
            return self.found(
                bad_if(needed),
                f"it does not answer the question whether to close with END or CONTINUE on the first line, but"
                f" {begins!r}: taken as CONTINUE, so no chat is ever closed for harm (fork-tool in [upstream.NAME] asks"
                " with a tool)",
            )
        return self.found(State.GOOD, f"it follows the question whether to close ({heard.seconds:.1f} s)")

    async def _told(self, form: str) -> tuple[Heard | None, str]:
        """Tell it something in this form; return what it said, or nothing and why."""
        try:
            heard = await self.ask(self._viewed(CHAT, Note(len(CHAT) - 1, form, NOTE)))
        except UpstreamError as error:
            return None, str(error)
        return (heard, "") if heard.status == 200 else (None, heard.problem)

    def _others(self, form: str) -> Sequence[str]:
        return [other for other in FORMS[self.named.wire] if other != form]

    @staticmethod
    def _quoted(forms: Sequence[str]) -> str:
        return " or ".join(f'"{form}"' for form in forms)

    def _viewed(self, chat: Sequence[str], note: Note) -> bytes:
        return view(self.manner.wire.parse(self.body(chat)), [note])

    def body(self, chat: Sequence[str] = CHAT, *, stream: bool = False) -> bytes:
        """Return a request of a client's, with as few tokens as the question whether to close needs."""
        limit = "max_completion_tokens" if is_openai(self.named) else "max_tokens"
        messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(chat)]
        body = {"model": self.model, "messages": messages, limit: LEAST_TOKENS}
        return msgspec.json.encode({**body, "stream": True} if stream else body)

    async def ask(self, body: bytes, *, fork: bool = False) -> Heard:
        """Send a request, and return all that came back; raises UpstreamError."""
        headers = {"Content-Type": "application/json", **HEADERS.get(self.named.wire, {})}
        began = time.perf_counter()
        async with self.upstream.ask("POST", self.manner.wire.PATH, body, headers, fork=fork) as answer:
            said = await answer.body()
            streamed = "text/event-stream" in answer.headers.get("content-type", "")
        return Heard(answer.status, streamed, said, time.perf_counter() - began)

    def found(self, state: State, says: str) -> Finding:
        """Return a finding about this model."""
        return Finding(self.about, state, says)
