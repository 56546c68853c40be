"""What goes wrong between client and model, on both vendors' wires: the state it leaves, and what reaches whom."""

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adjourn.core.events import Answer, AttemptEnded, Ended, Event, ForkReplied, Outcome, UserReceived
from adjourn.core.machine import Finish
from adjourn.upstream.client import Timeouts
from adjourn.web import gateway
from adjourn.web.streaming import ClientGone, while_there
from adjourn.wire import sse
from tests.gateway.rig import BAD, CALM, Chat, Recording, Reply, Rig, rig, until
from tests.models import FORK, WARNS, WRITERS, Asked, Fault, Said, scripted

PATHS: Mapping[str, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}


@pytest.fixture(params=list(PATHS))
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["plain", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "streamed")


NAMED = {"Adjourn-Conversation": "mine"}
"""So that a first message that is sent again is the same message."""


def person(served: Rig, wire: str, *, stream: bool) -> Chat:
    chat = served.claude if wire == "messages" else served.chat
    return chat(stream=stream, headers=NAMED)


def told(wire: str, text: str) -> list[bytes]:
    """The events of an answer with these words."""
    return WRITERS[PATHS[wire]](Asked({}, 0, []), 1, False).events(Said(text))


def whole(wire: str, text: str) -> bytes:
    return WRITERS[PATHS[wire]](Asked({}, 0, []), 1, False).whole(Said(text))


def error_of(wire: str, reply: Reply) -> Any:
    """The error with which a stream broke off."""
    return reply.chunks[-1]["error"]["type"]


UPSTREAM_ERROR = {"chat": "upstream_error", "messages": "api_error"}


class Hang:
    """A place at which the model says nothing more, until the other side goes away."""


HANG = Hang()
Played = Sequence[bytes | Hang] | Response


class Plays:
    """A model that plays what it is told, one answer after the other, the last for ever; a fork gets `fork`."""

    def __init__(self, *plays: Played, fork: Played = ()) -> None:
        self._plays, self._fork = plays, fork
        self._count = 0
        self.gone = asyncio.Event()
        self.begun = asyncio.Event()
        self.sent = 0
        routes = [Route("/v1/{path:path}", self._answer, methods=["POST"])]
        self.app = Recording(Starlette(routes=routes))

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        is_fork = FORK in body.decode()
        play = self._fork if is_fork else self._plays[min(self._count, len(self._plays) - 1)]
        self._count += not is_fork
        self.begun.set()
        streamed = json.loads(body).get("stream") is True
        return play if isinstance(play, Response) else _Playing(self, play, streamed)


class _Playing(Response):
    def __init__(self, model: Plays, pieces: Sequence[bytes | Hang], streamed: bool) -> None:
        super().__init__(media_type="text/event-stream" if streamed else "application/json")
        del self.headers["content-length"]
        self._model, self._pieces = model, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        for piece in self._pieces:
            if isinstance(piece, Hang):
                while (await receive())["type"] != "http.disconnect":
                    pass
                self._model.gone.set()
                return
            if not begun:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                begun = True
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._model.sent += len(piece)
        if not begun:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def found(served: Rig, kind: type[Event]) -> list[Any]:
    return [event for event in await served.every_event() if isinstance(event, kind)]


async def outcomes(served: Rig) -> list[Outcome]:
    return [event.outcome for event in await found(served, AttemptEnded)]


async def kept_of_attempts(served: Rig) -> list[str]:
    """What is kept of attempts that brought no answer."""
    kept = []
    for line in await served.store.conversations():
        texts = await served.store.texts(line.id)
        ended = [event for event in await served.events(line.id) if isinstance(event, AttemptEnded)]
        kept += [texts[event.attempt].text if event.digest else "" for event in ended]
    return kept


async def sound(served: Rig, chat: Chat) -> None:
    """The person's message can be retried, and is kept once; what is on record is sound."""
    texts = [message for message in chat.messages if message["role"] == "user"]
    reply = await chat.again()
    assert reply.status == 200
    assert reply.whole
    assert "nine" in reply.text
    assert len(await found(served, UserReceived)) == len(texts)
    assert await served.verified() == 1


async def tried(chat: Chat, text: str = CALM, **headers: str) -> Reply:
    """Say something, and keep no answer: as a client does after an error."""
    chat.messages.append({"role": "user", "content": text})
    return await chat.post(chat.messages, **headers)


# The model is away, late, or says that it cannot.


async def test_a_refused_connection_is_a_502_and_the_attempt_has_failed(wire: str, stream: bool) -> None:
    with socket.socket() as taken:  # its port is nobody else's, and nobody listens
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with rig(scripted("Okay."), model_url=nobody) as served:
            reply = await tried(person(served, wire, stream=stream))
            assert (reply.status, reply.json["error"]["type"]) == (502, UPSTREAM_ERROR[wire])
            assert await outcomes(served) == [Outcome.FAILED]
            assert await served.verified() == 1


async def test_a_connection_that_is_not_taken_in_time_is_a_504(wire: str, stream: bool) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        times = Timeouts(connect=0.05)
        async with rig(scripted("Okay."), model_url=f"http://127.0.0.1:{port}", timeouts=times) as served:
            reply = await tried(person(served, wire, stream=stream))
            assert reply.status == 504
            assert await outcomes(served) == [Outcome.FAILED]
        for one in waiting:
            one.close()


async def test_a_model_that_says_nothing_in_time_is_a_504_and_is_let_go(wire: str, stream: bool) -> None:
    answer = told(wire, "It is nine.") if stream else [whole(wire, "It is nine.")]
    model = Plays([HANG], answer)
    async with rig(model.app, timeouts=Timeouts(read=0.05)) as served:
        chat = person(served, wire, stream=stream)
        assert (await tried(chat)).status == 504
        await until(model.gone.is_set)
        assert await outcomes(served) == [Outcome.FAILED]
        await sound(served, chat)


async def test_a_model_that_falls_silent_in_mid_stream_is_interrupted_with_what_came_of_it(wire: str) -> None:
    events = told(wire, "It is nine.")
    model = Plays([*events[:-4], HANG], events)
    async with rig(model.app, timeouts=Timeouts(read=0.05)) as served:
        chat = person(served, wire, stream=True)
        reply = await tried(chat)
        assert reply.body.startswith(b"".join(events[:-4]))
        assert error_of(wire, reply) == UPSTREAM_ERROR[wire]
        assert not reply.whole
        await until(model.gone.is_set)
        assert await outcomes(served) == [Outcome.INTERRUPTED]
        (kept,) = await kept_of_attempts(served)
        assert kept
        assert "It is nine.".startswith(kept.strip())
        await sound(served, chat)


async def test_a_refusal_for_now_passes_with_its_body_and_when_to_come_back(wire: str, stream: bool) -> None:
    later = JSONResponse({"error": {"message": "Slow down."}}, 429, {"Retry-After": "7", "Retry-After-Ms": "6500"})
    answer = told(wire, "It is nine.") if stream else [whole(wire, "It is nine.")]
    async with rig(Plays(later, answer).app) as served:
        chat = person(served, wire, stream=stream)
        reply = await tried(chat)
        assert (reply.status, reply.body) == (429, b'{"error":{"message":"Slow down."}}')
        assert (reply.headers["Retry-After"], reply.headers["Retry-After-Ms"]) == ("7", "6500")
        assert await outcomes(served) == [Outcome.FAILED]
        await sound(served, chat)


# The model breaks off, or talks rubbish.


@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        *((fault, False) for fault in ("cut", "not_json", "no_choices", "status_500")),
        *((fault, True) for fault in ("cut", "not_json", "no_choices", "status_500", "short", "error_in_stream")),
    ],
)
async def test_after_any_fault_the_message_can_be_retried(wire: str, stream: bool, fault: str) -> None:
    async with rig(scripted([Fault(fault), "It is nine."])) as served:
        chat = person(served, wire, stream=stream)
        await tried(chat)
        assert {answer.finish for answer in await found(served, Answer)} <= {Finish.UNREADABLE}
        await sound(served, chat)


async def test_what_came_before_the_model_broke_off_is_kept_and_the_client_is_told_in_its_own_form(wire: str) -> None:
    events = told(wire, "It is nine.")
    async with rig(scripted([Fault("cut"), "It is nine."])) as served:
        chat = person(served, wire, stream=True)
        reply = await tried(chat)
        assert error_of(wire, reply) == UPSTREAM_ERROR[wire]
        assert not reply.whole
        assert len(reply.chunks) < len(events)
        assert await served.count(Answer) == 0
        await sound(served, chat)


async def test_an_error_event_passes_as_it_is_and_the_attempt_brought_no_answer(wire: str) -> None:
    async with rig(scripted([Fault("error_in_stream"), "It is nine."])) as served:
        chat = person(served, wire, stream=True)
        reply = await tried(chat)
        assert reply.chunks[-1]["error"]["message"] == "It broke."
        assert len(await outcomes(served)) == 1
        assert await served.count(Answer) == 0
        await sound(served, chat)


async def test_an_answer_of_no_bytes_leaves_the_message_to_be_retried(wire: str, stream: bool) -> None:
    answer = told(wire, "It is nine.") if stream else [whole(wire, "It is nine.")]
    async with rig(Plays([], answer).app) as served:
        chat = person(served, wire, stream=stream)
        reply = await tried(chat)
        assert (reply.status, reply.body) == (200, b"")
        await sound(served, chat)


async def test_an_answer_without_words_is_whole_and_the_chat_goes_on(wire: str, stream: bool) -> None:
    async with rig(scripted([Said(""), "It is nine."])) as served:
        chat = person(served, wire, stream=stream)
        reply = await tried(chat)
        assert (reply.status, reply.whole, reply.text) == (200, True, "")
        await sound(served, chat)


async def test_an_answer_whose_end_is_said_is_kept_although_the_model_keeps_the_connection(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "ENDING_SECONDS", 0.05)
    events = told(wire, "It is nine.")
    model = Plays([*events[:-1], HANG])
    async with rig(model.app) as served:
        reply = await tried(person(served, wire, stream=True))
        assert reply.body == b"".join(events[:-1])
        await until(model.gone.is_set)
        (answer,) = await found(served, Answer)
        assert answer.finish is Finish.STOP
        assert await outcomes(served) == []


async def test_what_comes_behind_an_end_without_end_is_not_held_for_ever(wire: str) -> None:
    events, noise = told(wire, "It is nine."), b": " + b"-" * 65_534 + b"\n\n"
    model = Plays([*events[:-1], *[noise] * 64, events[-1]])
    async with rig(model.app) as served:
        reply = await tried(person(served, wire, stream=True))
        assert reply.body == b"".join([*events[:-1], *[noise] * 64, events[-1]])
        assert await served.count(Answer) == 1


# The same in a question whether to close.


@pytest.mark.parametrize(
    "fork",
    [
        [HANG],
        [b'{"half'],
        [],
        JSONResponse({"error": "UNSEEN"}, 429, {"Retry-After": "7"}),
        JSONResponse({"error": "UNSEEN"}, 500),
        [b'data: {"error": {"message": "UNSEEN"}}\n\n'],
        [b'{"UNSEEN": "' + b"x" * 2_000_000 + b'"}'],
    ],
    ids=["late", "broken", "empty", "429", "500", "error event", "long"],
)
async def test_p06_a_fork_that_goes_wrong_is_a_continue_and_nothing_of_it_is_seen(
    wire: str, stream: bool, fork: Played
) -> None:
    answer = told(wire, WARNS) if stream else [whole(wire, WARNS)]
    async with rig(Plays(answer, fork=fork).app, timeouts=Timeouts(fork=0.05)) as served:
        chat = person(served, wire, stream=stream)
        await chat.say(BAD, BAD)
        reply = await chat.send(BAD)
        assert (reply.status, reply.text) == (200, WARNS)
        assert b"UNSEEN" not in reply.body
        assert "Retry-After" not in reply.headers
        assert [event.verdict for event in await found(served, ForkReplied)] == ["CONTINUE"]
        assert await served.count(Ended) == 0
        assert await served.verified() == 1


# The client goes away, or asks twice.


async def leaves(served: Rig, chat: Chat, model: Plays, *, after: bytes | None = None) -> None:
    """Ask, and go away: after these bytes have come, or before any."""
    asking = asyncio.create_task(tried(chat))
    if after is None:
        await until(model.begun.is_set)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return
    asking.cancel()
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": CALM}]}
    url = served.url + (PATHS["messages"] if hasattr(chat, "model") else PATHS["chat"])
    key = {"x-api-key": "sk-test"} if hasattr(chat, "model") else {"Authorization": "Bearer sk-test"}
    sent = {"Content-Type": "application/json", **key, **NAMED}
    async with served.session.post(url, data=json.dumps(body).encode(), headers=sent) as answer:
        come = b""
        while after not in come:
            come += await answer.content.readany()


async def test_a_client_that_goes_away_in_mid_stream_stops_the_model_and_what_came_is_kept(wire: str) -> None:
    events = told(wire, "It is nine.")
    model = Plays([*events[:-4], HANG], events)
    async with rig(model.app) as served:
        chat = person(served, wire, stream=True)
        await leaves(served, chat, model, after=events[-5])
        await until(model.gone.is_set)
        await until(lambda: _is_there(served, AttemptEnded))
        assert await outcomes(served) == [Outcome.INTERRUPTED]
        (ended,) = await found(served, AttemptEnded)
        assert ended.digest
        (kept,) = await kept_of_attempts(served)
        assert kept.strip()
        assert "It is nine.".startswith(kept.strip())
        chat.messages = [{"role": "user", "content": CALM}]
        assert (await chat.again()).text == "It is nine."
        assert await served.verified()


async def test_a_client_that_goes_away_before_the_first_byte_stops_the_model(wire: str, stream: bool) -> None:
    answer = told(wire, "It is nine.") if stream else [whole(wire, "It is nine.")]
    model = Plays([HANG], answer)
    async with rig(model.app) as served:
        chat = person(served, wire, stream=stream)
        await leaves(served, chat, model)
        await until(model.gone.is_set)
        await until(lambda: _is_there(served, AttemptEnded))
        assert await outcomes(served) == [Outcome.CANCELLED]
        assert (await chat.again()).text == "It is nine."
        assert await served.verified()


async def test_a_client_that_goes_away_from_what_is_not_judged_stops_the_model_too() -> None:
    model = Plays([HANG])
    async with rig(model.app) as served:
        asking = asyncio.create_task(served.post(b"{}", path="/v1/embeddings"))
        await until(model.begun.is_set)
        asking.cancel()
        await until(model.gone.is_set)


async def test_while_the_answer_is_being_kept_a_client_that_goes_away_changes_nothing(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "PING_SECONDS", 0.01)
    events, goes_on = told(wire, "It is nine."), asyncio.Event()
    async with rig(Plays(events).app) as served:
        committed, commits = served.store._store.commit, [0]

        async def slow(*arguments: Any, **named: Any) -> Any:
            commits[0] += 1
            if commits[0] == 2:
                await goes_on.wait()
            return await committed(*arguments, **named)

        monkeypatch.setattr(served.store._store, "commit", slow)
        chat = person(served, wire, stream=True)
        await leaves(served, chat, Plays([]), after=b": " if wire == "chat" else b'"ping"}\n\n')
        goes_on.set()
        await until(lambda: _is_there(served, Answer))
        assert await outcomes(served) == []
        assert await served.verified()


async def _is_there(served: Rig, kind: type[Event]) -> bool:
    return await served.count(kind) > 0


async def test_the_same_request_twice_at_once_is_one_message_with_two_answers(wire: str, stream: bool) -> None:
    async with rig(scripted("It is nine.")) as served:
        chat = person(served, wire, stream=stream)
        await chat.send(CALM)
        chat.messages.append({"role": "user", "content": CALM})
        replies = await asyncio.gather(*(chat.post(chat.messages) for _ in range(2)))
        assert [reply.text for reply in replies] == ["It is nine."] * 2
        assert len(await found(served, UserReceived)) == 2
        assert await served.count(Answer) == 3
        assert await served.verified() == 1


@pytest.mark.parametrize(
    ("stream", "begun"),
    [(False, False), (True, False), (True, True)],
    ids=["plain", "before the first byte of a stream", "in mid-stream"],
)
async def test_a_librarys_retry_stops_the_attempt_before_it(wire: str, stream: bool, begun: bool) -> None:
    events = told(wire, "It is nine.")
    answer = events if stream else [whole(wire, "It is nine.")]
    model = Plays(answer, [*(events[:-4] if begun else []), HANG], answer)
    async with rig(model.app) as served:
        chat = person(served, wire, stream=stream)
        await chat.send(CALM)
        model.begun.clear()
        first = asyncio.create_task(tried(chat))
        await until(lambda: model._count == 2)
        if begun:
            size = sum(map(len, events[:-4]))
            await until(lambda: model.sent >= 2 * size)
        second = await chat.post(chat.messages, **{"x-stainless-retry-count": "1"})
        assert second.text == "It is nine."
        given_up = await first
        await until(model.gone.is_set)
        if begun:
            assert error_of(wire, given_up)
            assert "sent again" in given_up.chunks[-1]["error"]["message"]
            assert await outcomes(served) == [Outcome.INTERRUPTED]
        else:
            assert (given_up.status, given_up.headers["x-should-retry"]) == (503, "false")
            assert await outcomes(served) == [Outcome.CANCELLED]
        assert len(await found(served, UserReceived)) == 2
        assert await served.verified() == 1


@pytest.mark.parametrize("late", [False, True])
async def test_a_client_that_gives_up_just_when_its_answer_is_there_cancels_nothing_else(late: bool) -> None:
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async with while_there(receive, given_up):
        if not late:
            given_up.set_result(None)
    if late:
        given_up.set_result(None)
    for _ in range(3):
        await asyncio.sleep(0)
    with pytest.raises(ClientGone):
        async with while_there(receive, given_up):
            await asyncio.Event().wait()


# Much, long, and slow.


def long_event(wire: str, size: int) -> bytes:
    return told(wire, "x")[1 if wire == "chat" else 3].replace(b'"x"', b'"' + b"x" * size + b'"')


async def test_one_event_of_8_mb_passes_as_it_is_and_the_answer_counts_as_unread(wire: str) -> None:
    events = told(wire, "It is nine.")
    events.insert(3, long_event(wire, 8 * 1024 * 1024))
    async with rig(Plays(events).app) as served:
        chat = person(served, wire, stream=True)
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": CALM}]}
        reply = await served.post(json.dumps(body).encode(), path=PATHS[wire])
        assert reply.body == b"".join(events)
        (answer,) = await found(served, Answer)
        assert answer.finish is Finish.UNREADABLE
        assert chat.messages == []
        assert await served.verified() == 1


async def test_a_thousand_small_pieces_are_the_same_answer(wire: str) -> None:
    together = b"".join(told(wire, "It is nine. " * 20))
    async with rig(Plays([bytes([byte]) for byte in together]).app) as served:
        reply = await tried(person(served, wire, stream=True))
        assert reply.body == together
        (answer,) = await found(served, Answer)
        assert answer.finish is Finish.STOP


async def test_a_plain_answer_of_64_mb_passes_as_it_is_and_counts_as_unread(wire: str) -> None:
    body = whole(wire, "x" * (64 * 1024 * 1024))
    async with rig(Plays([body[at : at + 1048576] for at in range(0, len(body), 1048576)]).app) as served:
        reply = await tried(person(served, wire, stream=False))
        assert reply.body == body
        (answer,) = await found(served, Answer)
        assert answer.finish is Finish.UNREADABLE


async def test_a_streamed_answer_of_more_than_is_read_passes_and_counts_as_unread(
    wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "STREAM_BYTES", 4_000)
    for words, finish in ((5, Finish.STOP), (50, Finish.UNREADABLE)):
        events = told(wire, "word " * words)
        async with rig(Plays(events).app) as served:
            reply = await tried(person(served, wire, stream=True))
            assert reply.body == b"".join(events)
            (answer,) = await found(served, Answer)
            assert answer.finish is finish


async def test_a_reader_that_does_not_read_holds_the_model_up_and_no_more_than_that(wire: str) -> None:
    (begins, *_), event = told(wire, "x"), long_event(wire, 60_000)
    events = [begins, *[event] * 800, *told(wire, "")[-2:]]
    model = Plays(events)
    async with rig(model.app) as served:
        reading = await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]), limit=65_536)
        reader, writer = reading
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": CALM}]}
        sent = json.dumps(body).encode()
        writer.write(
            f"POST {PATHS[wire]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        await until(lambda: model.sent > 0)
        seen = [0, 0]

        def stands() -> bool:
            seen[0], seen[1] = (seen[0] + 1, model.sent) if model.sent == seen[1] else (0, model.sent)
            return seen[0] > 50

        await until(stands)
        assert model.sent < sum(map(len, events)) / 2
        size = 0
        while piece := await reader.read(1_000_000):
            size += len(piece)
        assert size >= sum(map(len, events))
        writer.close()
        assert await served.count(Answer) == 1


def test_a_long_event_is_cut_into_pieces_that_are_the_same_bytes_and_what_follows_is_read() -> None:
    long = b"data: " + b"x" * (sse.EVENT_BYTES + 5) + b"\r\n\r\n"
    together = b"data: a\n\n" + long + b"data: b\n\n" + long + b"data: c"
    for size in (1 << 22, 100_003, 4_099):
        events = sse.Events()
        cut = [one for at in range(0, len(together), size) for one in events.feed(together[at : at + size])]
        assert b"".join(cut) + events.rest() == together
        assert [one for one in cut if not isinstance(one, sse.Piece)] == [b"data: a\n\n", b"data: b\n\n"]
        assert events.rest() == b"data: c"
        assert max(map(len, cut)) <= max(len(long), size)


def test_an_event_of_the_greatest_length_is_read_whole() -> None:
    event = b"data: " + b"x" * (sse.EVENT_BYTES - 8) + b"\n\n"
    assert len(event) == sse.EVENT_BYTES
    events = sse.Events()
    cut = [one for at in range(0, len(event), 4_096) for one in events.feed(event[at : at + 4_096])]
    assert cut == [event]
    assert not isinstance(cut[0], sse.Piece)
