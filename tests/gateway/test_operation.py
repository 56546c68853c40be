"""What whoever looks after the server sees of it: health, numbers, ids, the log; and how it stops."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette

from adjourn.core.errors import Impossible
from adjourn.core.events import AttemptEnded, Ended, Outcome, Verdict
from adjourn.core.machine import Guidance
from adjourn.store import open_store
from adjourn.store.verify import verify
from adjourn.upstream.client import Timeouts
from adjourn.web.addresses import address_of, wire_name
from adjourn.web.log import JsonLines
from adjourn.web.metrics import FAULTS, OUTCOMES, QUESTIONS, TABLE
from adjourn.web.stopping import Stopping
from adjourn.web.watch import Watch
from tests.bound import bound
from tests.gateway.rig import ASK, BAD, CALM, CLEAR, FAINT, YES, Recording, Rig, close, here, rig, until
from tests.gateway.test_faults import Slow, chunk
from tests.models import WARNS, Fault, scripted

SECRET = "My grandmother's name is Ermintrude."


async def get(served: Rig, path: str, **headers: str) -> tuple[int, Mapping[str, str], str]:
    async with served.session.get(served.url + path, headers=headers) as answer:
        return answer.status, answer.headers, await answer.text()


class Numbers:
    """What the metrics say more than when they were last looked at."""

    def __init__(self, watch: Watch) -> None:
        self._registry = watch.metrics.registry
        self._before = self._all()

    def _all(self) -> dict[tuple[str, frozenset[str]], float]:
        samples = [sample for metric in self._registry.collect() for sample in metric.samples]
        return {
            (sample.name, frozenset(sample.labels.values())): sample.value
            for sample in samples
            if sample.name.startswith("adjourn_") and not sample.name.endswith(("_created", "_bucket", "_sum"))
        }

    def more(self, name: str) -> dict[frozenset[str], float]:
        now = self._all()
        return {
            labels: value - self._before.get((metric, labels), 0)
            for (metric, labels), value in now.items()
            if metric == f"adjourn_{name}" and value != self._before.get((metric, labels), 0)
        }

    def counted(self, name: str) -> dict[str, float]:
        """What has one label: its values."""
        return {"".join(labels): value for labels, value in self.more(name).items()}


# Health.


async def test_a_server_whose_store_can_write_is_ready() -> None:
    async with rig(scripted("Okay.")) as served:
        assert (await get(served, "/healthz"))[::2] == (200, '{"status":"ok"}')
        assert (await get(served, "/readyz"))[::2] == (200, '{"status":"ready"}')


async def test_a_server_whose_store_cannot_write_lives_but_is_not_ready_and_says_so(tmp_path: Path) -> None:
    async with rig(scripted("Okay."), db=f"sqlite:///{tmp_path / 'a.db'}") as served:
        assert (await get(served, "/readyz"))[0] == 200
        await served.store.close()
        status, _, body = await get(served, "/readyz")
        assert (status, json.loads(body)["message"]) == (503, "the store cannot write just now")
        assert str(tmp_path) not in body
        assert (await get(served, "/healthz"))[0] == 200


async def test_the_pages_of_the_operation_answer_to_no_other_name() -> None:
    async with rig(scripted("Okay.")) as served:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await get(served, path, Host="elsewhere.example"))[0] == 421


# Stopping.


async def test_while_it_stops_what_is_new_is_refused_in_the_wires_form_and_what_runs_is_finished() -> None:
    model, stopping = Slow(), Stopping(timeout=60)
    async with rig(model.app, stopping=stopping) as served:
        body = json.dumps({"messages": [{"role": "user", "content": CALM}], "stream": True}).encode()
        headers = {"Content-Type": "application/json"}
        async with served.session.post(f"{served.url}/v1/chat/completions", data=body, headers=headers) as answer:
            assert await answer.content.readany() == chunk({"role": "assistant", "content": "It is"})
            stopping.begin()
            assert not stopping.over
            late = await served.chat().send(CALM)
            assert (late.status, late.headers["Retry-After"], late.headers["Connection"]) == (503, "1", "close")
            assert late.json["error"]["type"] == "server_stopping"
            assert "x-should-retry" not in late.headers
            other = await served.post(body, path="/v1/messages")
            assert other.json["type"] == "error"
            assert other.json["error"]["type"] == "overloaded_error"
            assert (await get(served, "/healthz"))[0] == 200
            status, _, said = await get(served, "/readyz")
            assert (status, json.loads(said)["status"]) == (503, "stopping")
            assert not stopping.over
            model.go_on.set()
            assert b"[DONE]" in await answer.content.read()
        await until(lambda: stopping.over)
        assert await served.count(AttemptEnded) == 0


class Running:
    """`adjourn serve` as a process of its own, in front of this model."""

    def __init__(self, url: str, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.process = process
        self.session = session

    def asked(self) -> Any:
        body = json.dumps({"messages": [{"role": "user", "content": SECRET}], "stream": True}).encode()
        headers = {"Content-Type": "application/json"}
        return self.session.post(f"{self.url}/v1/chat/completions", data=body, headers=headers)

    async def ready(self) -> str:
        async with self.session.get(f"{self.url}/readyz") as answer:
            return str((await answer.json())["status"])

    async def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Wait until it has ended; return its exit status and its log."""
        _, log = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@asynccontextmanager
async def process(folder: Path, model: Starlette | Recording, *options: str) -> AsyncIterator[Running]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ADJOURN_", "OTEL_"))}
    environment |= {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(here(model))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        command = ["-m", "adjourn", "serve", "--port", "0", "--db", f"sqlite:///{folder / 'kept.db'}"]
        served = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--upstream",
            f"{address}/v1",
            *options,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert served.stdout is not None
            yield Running((await served.stdout.readline()).decode().split()[-1], served, session)
        finally:
            if served.returncode is None:
                served.kill()
                await served.communicate()


async def test_a_server_that_is_told_to_stop_finishes_what_runs_refuses_what_is_new_and_ends_well(
    tmp_path: Path,
) -> None:
    model = Slow()
    async with process(tmp_path, model.app) as served:
        async with served.asked() as answer:
            assert b"It is" in await answer.content.readany()
            served.process.send_signal(signal.SIGTERM)
            await until(lambda: _is(served, "stopping"))
            async with served.asked() as refused:
                assert refused.status == 503
                assert refused.headers["Connection"] == "close"
            model.go_on.set()
            assert b"[DONE]" in await answer.content.read()
        status, log = await served.ended()
        assert status == 0
        assert [line["event"] for line in log] == ["started", "stopping", "stopped"]
    store = open_store(f"sqlite:///{tmp_path / 'kept.db'}")
    (line,) = await store.conversations()
    assert line.messages == 2
    assert (await verify(store, line.id, await store.policies())).faults == []
    await store.close()
    assert not (tmp_path / "kept.db-wal").exists()


async def _is(served: Running, status: str) -> bool:
    return await served.ready() == status


async def test_what_runs_is_waited_for_no_longer_than_the_time_out_and_is_interrupted(tmp_path: Path) -> None:
    model = Slow()
    async with process(tmp_path, model.app, "--stop-timeout", "0.05") as served:
        async with served.asked() as answer:
            assert b"It is" in await answer.content.readany()
            served.process.send_signal(signal.SIGINT)
            status, log = await served.ended()
            assert status == 0
            events = [line["event"] for line in log]
            assert (events[:3], events[-1]) == (["started", "stopping", "cut_off"], "stopped")
            assert log[2]["requests"] == 1
        await until(model.gone.is_set)
    store = open_store(f"sqlite:///{tmp_path / 'kept.db'}")
    (line,) = await store.conversations()
    last = (await store.read(line.id))[-1].event
    assert isinstance(last, AttemptEnded)
    assert last.outcome is Outcome.INTERRUPTED
    await store.close()


async def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    model = Slow()
    async with process(tmp_path, model.app, "--stop-timeout", "600") as served:
        async with served.asked() as answer:
            assert b"It is" in await answer.content.readany()
            served.process.send_signal(signal.SIGTERM)
            await until(lambda: _is(served, "stopping"))
            served.process.send_signal(signal.SIGTERM)
            status, log = await asyncio.wait_for(served.ended(), 10)
            assert status == 0
            assert "cut_off" in [line["event"] for line in log]
        await until(model.gone.is_set)


# Numbers.


async def test_turns_are_counted_by_what_came_of_them() -> None:
    watch = Watch()
    async with rig(scripted(WARNS, ["END", "END\nGoodbye."]), watch=watch) as served:
        numbers, chat = Numbers(watch), served.chat()
        await close(chat)
        assert (await chat.send(CALM)).refused
        assert numbers.counted("turns_total") == {"answered": 2, "closed_persistent_harm": 1, "refused": 1}
        assert numbers.counted("forks_total") == {Verdict.END: 2}
        assert numbers.counted("guidance_total") == {Guidance.REDIRECT: 1, Guidance.MAY_WARN: 1}
        assert numbers.more("requests_total") == {
            frozenset({"openai_chat", "/v1/chat/completions", "200"}): 3,
            frozenset({"openai_chat", "/v1/chat/completions", "400"}): 1,
        }
        assert numbers.counted("gateway_seconds_count") == {"before": 3, "after": 2}
        assert numbers.counted("upstream_first_byte_seconds_count") == {"answer": 2, "fork": 2}


async def test_turns_on_anthropics_wire_are_counted_as_well_and_under_its_name() -> None:
    watch = Watch()
    async with rig(scripted(WARNS, ["END", "END\nGoodbye."]), watch=watch) as served:
        numbers, chat = Numbers(watch), served.claude()
        await close(chat)
        assert (await chat.send(CALM)).refused
        await served.post(b"{}", path="/v1/messages/count_tokens?beta=true")
        assert numbers.counted("turns_total") == {"answered": 2, "closed_persistent_harm": 1, "refused": 1}
        assert numbers.more("requests_total") == {
            frozenset({"anthropic_messages", "/v1/messages", "200"}): 3,
            frozenset({"anthropic_messages", "/v1/messages", "400"}): 1,
            frozenset({"anthropic_messages", "/v1/...", "200"}): 1,
        }
        assert numbers.counted("upstream_first_byte_seconds_count") == {"answer": 2, "fork": 2, "other": 1}


@pytest.mark.parametrize("path", ["/v1/chat/completions?version=1", "/v1/messages?beta=true"])
async def test_a_question_whose_address_has_a_query_is_counted_as_what_it_is(path: str) -> None:
    watch = Watch()
    body = json.dumps({"model": "stub", "messages": [{"role": "user", "content": CALM}]}).encode()
    async with rig(scripted("Okay."), watch=watch) as served:
        numbers = Numbers(watch)
        assert (await served.post(body, path=path)).status == 200
        assert numbers.counted("upstream_first_byte_seconds_count") == {"answer": 1}


@pytest.mark.parametrize("altered", [False, True])
async def test_a_request_that_is_asked_once_more_without_bound_thinking_is_counted(altered: bool) -> None:
    watch = Watch()
    async with rig(bound("Okay."), watch=watch) as served:
        numbers, chat = Numbers(watch), served.claude()
        await chat.send(CALM)
        if altered:
            chat.also = {"system": "Be brief."}
        assert (await chat.send(CALM)).status == 200
        assert numbers.counted("upstream_unbound_retries_total") == ({"": 1} if altered else {})
        assert numbers.more("upstream_faults_total") == ({frozenset({"answer", "status_4xx"}): 1} if altered else {})


async def test_an_end_by_consent_and_signs_of_risk_are_counted() -> None:
    watch = Watch()
    question = "Close this chat for good? It is final."
    async with rig(scripted(question), watch=watch) as served:
        numbers = Numbers(watch)
        await served.chat().say(ASK, YES)
        await served.chat().say(FAINT)
        await served.chat().say(CLEAR)
        assert numbers.counted("turns_total") == {"answered": 3, "closed_user_request": 1}
        assert numbers.counted("holds_total") == {"quiet": 1, "shown": 1}


async def test_what_goes_wrong_with_the_model_is_counted_by_what_was_asked_and_how() -> None:
    async def counted(fault: str, *, stream: bool = False) -> tuple[Any, Any]:
        watch = Watch()
        async with rig(scripted(Fault(fault)), watch=watch) as served:
            numbers = Numbers(watch)
            await served.chat(stream=stream).send(CALM)
            return numbers.more("upstream_faults_total"), numbers.counted("turns_total")

    assert await counted("status_500") == ({frozenset({"answer", "status_5xx"}): 1}, {Outcome.FAILED: 1})
    assert await counted("cut") == ({frozenset({"answer", "broke_off"}): 1}, {Outcome.FAILED: 1})
    assert await counted("cut", stream=True) == ({frozenset({"answer", "broke_off"}): 1}, {Outcome.INTERRUPTED: 1})


async def test_a_question_whether_to_close_that_comes_too_late_goes_on_and_is_counted() -> None:
    watch, hanging = Watch(), asyncio.Event()

    async def never(_: object) -> str:
        await hanging.wait()
        return "END"

    async with rig(scripted(WARNS, never), watch=watch, timeouts=Timeouts(fork=0.02)) as served:
        numbers, chat = Numbers(watch), served.chat()
        await chat.say(BAD, BAD)
        assert (await chat.send(BAD)).text == WARNS
        assert numbers.more("upstream_faults_total") == {frozenset({"fork", "late"}): 1}
        assert numbers.counted("forks_total") == {Verdict.CONTINUE: 1}
        assert await served.count(Ended) == 0
        hanging.set()


async def test_a_model_that_says_nothing_is_a_504() -> None:
    watch, hanging = Watch(), asyncio.Event()

    async def never(_: object) -> str:
        await hanging.wait()
        return "Okay."

    async with rig(scripted(never), watch=watch, timeouts=Timeouts(read=0.02)) as served:
        numbers = Numbers(watch)
        assert (await served.chat().send(CALM)).status == 504
        assert numbers.more("upstream_faults_total") == {frozenset({"answer", "late"}): 1}
        hanging.set()


async def test_commits_that_fail_are_counted() -> None:
    watch = Watch()
    async with rig(scripted("Okay."), watch=watch) as served:
        numbers = Numbers(watch)
        served.store.fails = lambda: True
        assert (await served.chat().send(CALM)).status == 503
        assert numbers.counted("store_commit_failures_total") == {"": 1}


async def test_the_page_of_metrics_is_what_prometheus_reads_and_no_label_holds_what_a_client_wrote() -> None:
    watch = Watch()
    async with rig(scripted("Okay."), watch=watch) as served:
        await served.chat(also={"model": "a-model-of-theirs"}).send(SECRET)
        for path in ("/v1/theirs/x", "/c/c_theirs", "/theirs", "/api/theirs?theirs=1", "/theirs/"):
            await get(served, path)
        watch.metrics.unbound_retried()
        status, headers, page = await get(served, "/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain; version=")
        assert 'adjourn_turns_total{outcome="answered"} 1.0' in page
        assert "adjourn_upstream_unbound_retries_total 1.0" in page
        assert "process_resident_memory_bytes" in page or not sys.platform.startswith("linux")
        assert "theirs" not in page
        assert "grandmother" not in page
        assert all(name.endswith(("_total", "_seconds")) for name in TABLE)
        assert {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE adjourn")} >= set(TABLE)


def test_addresses_are_counted_as_few() -> None:
    assert address_of("/v1/chat/completions") == "/v1/chat/completions"
    assert {address_of(path) for path in ("/v1/x", "/v1/x/y", "/v1/")} == {"/v1/..."}
    assert {address_of(path) for path in ("/x", "//", "", "*", "/metrics/x")} == {"other"}
    assert [
        wire_name(path) for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/responses", "/v1/x", "/")
    ] == [
        "anthropic_messages",
        "anthropic_messages",
        "openai_responses",
        "none",
        "none",
    ]


def test_a_servers_numbers_are_its_own_and_all_there_at_nought() -> None:
    first, second = Watch(), Watch()
    first.metrics.refused()
    read = second.metrics.registry.get_sample_value
    assert [read("adjourn_turns_total", {"outcome": outcome}) for outcome in OUTCOMES] == [0] * len(OUTCOMES)
    pairs = [(asked, kind) for asked in QUESTIONS for kind in FAULTS]
    assert {read("adjourn_upstream_faults_total", {"question": asked, "kind": kind}) for asked, kind in pairs} == {0}


# Ids.


@pytest.mark.parametrize(("given", "kept"), [("req-7.a_B", True), ("x" * 65, False), ("a b", False), ("", False)])
async def test_every_answer_has_the_requests_id_which_is_the_clients_if_it_is_short_and_plain(
    given: str, kept: bool
) -> None:
    async with rig(scripted("Okay.")) as served:
        for name in ("X-Request-Id", "Adjourn-Request"):
            for path, host in (("/healthz", "localhost"), ("/v1/none", "localhost"), ("/healthz", "elsewhere")):
                _, headers, _ = await get(served, path, **{name: given, "Host": host})
                assert (headers["Adjourn-Request"] == given) is kept
                assert headers["Adjourn-Request"]


async def test_the_models_own_request_id_comes_back_under_its_own_name_and_ours_does_not_go_up() -> None:
    async with rig(scripted("Okay.")) as served:
        reply = await served.chat().send(CALM, X_Request_Id="mine", Adjourn_Request="ours")
        assert reply.headers["x-request-id"] == "req-1"
        assert reply.headers["Adjourn-Request"] == "ours"
        assert served.received[0].header("x-request-id") == "mine"
        assert served.received[0].header("adjourn-request") is None


# The log.


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator["Lines"]:
    lines = Lines()
    logger = logging.getLogger("adjourn")
    logger.addHandler(lines)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.setLevel(before)
    logger.removeHandler(lines)


class Lines(logging.Handler):
    """The log as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.raw: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.raw.append(self.format(record))

    def of(self, event: str) -> list[Mapping[str, Any]]:
        return [line for line in map(json.loads, self.raw) if line["event"] == event]


async def test_each_end_and_each_shown_hold_stands_in_the_log_under_its_request_and_no_words_do(log: Lines) -> None:
    async with rig(scripted(WARNS, ["END", f"END\n{SECRET}"])) as served:
        chat = served.chat()
        await chat.say(f"{SECRET} {BAD}", f"{SECRET} {BAD}")
        closed = await chat.send(f"{SECRET} {BAD}")
        assert closed.ended
        held = await served.chat().send(f"{SECRET} {CLEAR}", X_Request_Id="mine")
        assert held.status == 200
        (ended,) = log.of("ended")
        assert (ended["level"], ended["ground"], ended["conversation"]) == (
            "info",
            "persistent_harm",
            closed.conversation,
        )
        assert ended["request"] == closed.headers["Adjourn-Request"]
        (shown,) = log.of("hold_shown")
        assert (shown["conversation"], shown["request"]) == (held.conversation, "mine")
        request = log.of("request")[-1]
        assert request["level"] == "debug"
        assert (request["wire"], request["status"], request["stage"]) == ("openai_chat", 200, "HELD")
        assert request["ms"] >= 0
        assert "Ermintrude" not in "".join(log.raw)


async def test_faults_of_the_model_and_of_the_store_stand_in_the_log(log: Lines) -> None:
    async with rig(scripted(Fault("status_500"))) as served:
        failed = await served.chat().send(SECRET)
        (fault,) = log.of("upstream_fault")
        assert (fault["level"], fault["kind"], fault["status"]) == ("warning", "status_5xx", 500)
        assert (fault["conversation"], fault["request"]) == (failed.conversation, failed.headers["Adjourn-Request"])
        served.store.fails = lambda: True
        await served.chat().send(SECRET)
        (fault,) = log.of("store_fault")
        assert (fault["level"], fault["message"]) == ("error", "the disk is full")
        assert "Ermintrude" not in "".join(log.raw)


async def test_a_commit_that_takes_long_stands_in_the_log_and_one_that_does_not_does_not(log: Lines) -> None:
    watch = Watch()
    watch.committed("c_quick", (), 0.9)
    watch.committed("c_slow", (), 1.1)
    assert [(line["conversation"], line["ms"]) for line in log.of("slow_commit")] == [("c_slow", 1100)]


def test_of_a_packages_exception_the_log_has_its_places_and_not_its_text() -> None:
    lines, other = Lines(), logging.getLogger("somebody.elses")
    other.addHandler(lines)
    try:
        raise ValueError(SECRET)
    except ValueError:
        other.exception("it failed with %s", SECRET)
    other.warning("%s left", "a connection")
    other.removeHandler(lines)
    failed, said = lines.of("log")
    assert failed["traceback"].endswith("ValueError")
    assert "Ermintrude" not in lines.raw[0]
    assert (said["logger"], said["message"]) == ("somebody.elses", "a connection left")


@pytest.mark.parametrize(
    "faulty", [lambda: ValueError(SECRET), lambda: Impossible("the machine has no cell for HELP at ENDED")]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/"])
async def test_our_own_fault_is_a_500_with_the_requests_id_and_its_places_stand_in_the_log_without_words(
    faulty: Callable[[], Exception], path: str, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(scripted("Okay.")) as served:
        fault = faulty()

        async def breaks(*_: Any, **__: Any) -> None:
            try:
                raise KeyError(SECRET)
            except KeyError:
                raise fault from None

        target = "adjourn.host.Host.begin" if path != "/" else "adjourn.web.chat.routes.chat_page"
        monkeypatch.setattr(target, breaks)
        if path == "/":
            status, headers, said = await get(served, path)
        else:
            reply = await (served.claude() if path == "/v1/messages" else served.chat()).send(SECRET)
            status, headers, said = reply.status, reply.headers, reply.body.decode()
        assert status == 500
        assert json.loads(said)["error"]["type"] == ("api_error" if path == "/v1/messages" else "server_error")
        assert headers["Adjourn-Request"] in said
        assert "Traceback" not in said
        assert "line" not in said
        (failed,) = log.of("failed")
        assert failed["request"] == headers["Adjourn-Request"]
        assert "in breaks" in failed["traceback"]
        assert ("no cell for HELP" in failed["traceback"]) is isinstance(fault, Impossible)
        assert "Ermintrude" not in "".join(log.raw)


async def test_a_fault_of_our_own_in_the_middle_of_a_stream_breaks_it_off_and_stands_in_the_log(
    log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any, **__: Any) -> None:
        raise ValueError(SECRET)

    async with rig(scripted("Okay.")) as served:
        with monkeypatch.context() as patched:
            patched.setattr("adjourn.host.Turn.answer", breaks)
            with pytest.raises(aiohttp.ClientPayloadError):
                await served.chat(stream=True).send(CALM)
        assert len(log.of("failed")) == 1
        assert (await served.chat(stream=True).send(CALM)).text == "Okay."
        assert "Ermintrude" not in "".join(log.raw)
