"""The command line, as a person or a script uses it: real processes, real files."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from adjourn.cli import main
from adjourn.cli.server import start_lines
from adjourn.core.acts import Closing, Message, Reply, Text, answer, close, opening, receive
from adjourn.core.events import Verdict
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, Reading, RiskKind
from adjourn.settings import retention_ms
from adjourn.store import Feedback, Rating, open_store, sealed
from adjourn.upstream.client import Timeouts
from adjourn.version import __version__
from adjourn.web.serve import Serving

GOOD = {"id": "one", "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]}


def run(
    *arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "adjourn", *arguments]
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})}
    return subprocess.run(command, input=given, capture_output=True, env=clean, timeout=60, check=False)


def lines(output: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def jsonl(*conversations: object) -> bytes:
    return b"".join(json.dumps(conversation).encode() + b"\n" for conversation in conversations)


def test_version_says_the_version() -> None:
    assert run("--version").stdout.decode().split() == ["adjourn,", "version", __version__]


def test_commands_start_without_what_only_a_server_needs() -> None:
    said = "import sys, adjourn.cli; print([name for name in ('fastapi', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"[]\n"


def test_replay_writes_a_line_for_each_conversation_and_a_summary_to_standard_error() -> None:
    done = run("replay", "-", given=jsonl(GOOD, {**GOOD, "id": "two"}))
    assert [line["id"] for line in lines(done.stdout)] == ["one", "two"]
    assert set(lines(done.stdout)[0]) == {"id", "messages", "stage", "first", "ground", "why"}
    assert done.stderr.decode().splitlines()[0].split() == ["conversations", "2"]
    assert "95 % interval 0.00% to 65.76%" in done.stderr.decode()
    assert done.returncode == 0


def test_signals_writes_a_line_for_each_message() -> None:
    messages = [{"role": "system", "content": "x"}, {"role": "user", "content": "please close this chat for good"}]
    done = run("signals", given=jsonl({"id": "a", "messages": messages}))
    system, user = lines(done.stdout)
    assert (system["id"], system["index"], system["role"], system["flags"], system["scores"]) == (
        "a",
        0,
        "system",
        [],
        {},
    )
    assert (user["index"], user["role"]) == (1, "user")
    assert "asks_end" in str(user["flags"])
    assert {"family", "risk_kind"} <= set(user)
    assert [(line["language"], line["unknown_language"]) for line in (system, user)] == [(None, False), ("en", False)]


@pytest.mark.parametrize("command", ["replay", "signals"])
def test_a_bad_line_is_reported_with_file_and_number_and_the_rest_is_done(command: str, tmp_path: Path) -> None:
    bad = [
        b"not json",
        b'{"id": 1}',
        b'{"messages": [{"role": "wizard", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": 7}]}',
        b'{"messages": ["hello"]}',
        b"[" * 100_000,
    ]
    path = tmp_path / "talk.jsonl"
    path.write_bytes(b"\n".join([*bad, b"", json.dumps(GOOD).encode()]))
    done = run(command, str(path))
    said = done.stderr.decode()
    for number in range(1, len(bad) + 1):
        assert f"talk.jsonl, line {number}: " in said
    assert "unknown role 'wizard'" in said
    assert "7 lines could not be read" in said
    assert {line["id"] for line in lines(done.stdout)} == {"one"}
    assert done.returncode == 1


def test_output_can_be_piped_into_a_program_that_stops_reading(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_bytes(jsonl(*[GOOD] * 5000))
    shell = f"{sys.executable} -m adjourn replay {path} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=60, check=False)
    assert len(lines(done.stdout)) == 1
    assert b"Traceback" not in done.stderr


def test_a_policy_is_shown_checked_and_refused_by_name(tmp_path: Path) -> None:
    shown = run("policy", "show")
    path = tmp_path / "rules.toml"
    path.write_bytes(shown.stdout)
    assert Policy().digest in shown.stdout.decode()
    assert Policy().digest in run("policy", "check", str(path)).stdout.decode()
    path.write_text("calm = 0\n")
    refused = run("policy", "check", str(path))
    assert refused.returncode == 1
    assert "rules.toml: policy: calm = 0" in refused.stderr.decode()
    path.write_text("calm = \n")
    assert "rules.toml: " in run("replay", "--policy", str(path)).stderr.decode()


def test_an_option_wins_over_its_environment_variable_and_that_over_the_settings_file(tmp_path: Path) -> None:
    settings = tmp_path / "adjourn.toml"
    settings.write_text('mode = "shadow"\n')
    of_file = run("--settings", str(settings), "replay", given=jsonl(GOOD))
    assert of_file.returncode == 0
    cases: list[tuple[str, tuple[str, ...], dict[str, str]]] = [
        ("shadow", (), {}),
        ("warn", (), {"ADJOURN_MODE": "warn"}),
        ("off", ("--mode", "off"), {"ADJOURN_MODE": "warn"}),
    ]
    for expected, arguments, environment in cases:
        done = run("policy", "show", *arguments, environment={"ADJOURN_SETTINGS": str(settings), **environment})
        assert f'mode = "{expected}"' in done.stdout.decode()


def test_a_setting_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    settings = tmp_path / "adjourn.toml"
    settings.write_text('databse = "x"\n')
    refused = run("--settings", str(settings), "list")
    assert (refused.returncode, b"databse" in refused.stderr) == (1, True)


async def closed_conversation(db: str) -> None:
    """Write a conversation that was closed for persistent harm, and one that is held."""
    policy = Policy()
    bad = (Reading(flags=frozenset({Flag.HARMFUL, Flag.HARMFUL_COUNT}), family="weapons"),)
    warns = (Reading(flags=frozenset({Flag.DECLINED, Flag.REDIRECTED, Flag.WARNED})),)
    store = open_store(db)
    await store.keep(policy)
    await store.commit("c_harm", lambda _: (opening("c_harm", policy, scope="user-7", at=1),))
    parent: str | None = None
    for turn in range(5):
        text, reply = sealed(f"u{turn}", f"bad request {turn}"), sealed(f"a{turn}", f"no, thank you {turn}")
        message = Message(text=text.reference, parent=parent, readings=bad, closing=Text("x"), at=turn + 2)
        await store.commit("c_harm", lambda tree, message=message: receive(tree, message, policy), [text])  # type: ignore[misc]
        if turn < 4:
            given = Reply(text=reply.reference, parent=text.node, readings=warns, at=turn + 2)
            await store.commit("c_harm", lambda tree, given=given: answer(tree, given, policy), [reply])  # type: ignore[misc]
            parent = reply.node
    twice = (Verdict.END, Verdict.END)
    words = sealed("bye", "I'm closing this chat now.")
    end = Closing(words=words.reference, parent="u4", attempt="t", verdicts=twice, readings=(), at=9)
    await store.commit("c_harm", lambda tree: close(tree, end, policy), [words])
    risk = (Reading(flags=frozenset({Flag.RISK, Flag.RISK_CLEAR}), risk_kind=RiskKind.SELF),)
    held = Message(text=Text("r"), parent=None, readings=risk, closing=Text("x"), at=5)
    await store.commit("c_held", lambda _: (opening("c_held", policy, scope="user-8", at=4),))
    await store.commit("c_held", lambda tree: receive(tree, held, policy))
    await store.close()


@pytest.fixture
async def db(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    await closed_conversation(url)
    return url


def output(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_list_shows_conversations_the_newest_first(db: str) -> None:
    listed = lines(output("list", "--db", db).encode())
    assert [(line["id"], line["ended"], line["held"], line["messages"]) for line in listed] == [
        ("c_harm", True, 0, 10),
        ("c_held", False, 2, 1),
    ]


def test_explain_says_what_happened_and_why_in_plain_words(db: str) -> None:
    said = output("explain", "c_harm", "--db", db)
    assert "Message 7 is a harmful request (weapons)." in said
    assert "Message 8 gives notice that the chat may be closed." in said
    assert "Closed with message 10 (persistent_harm, receipt AJ-" in said
    assert "bad request 4" in said


def test_p11_verify_decides_everything_again(db: str) -> None:
    said = output("verify", "--db", db)
    assert "2 conversations" in said
    assert "0 faults" in said


def test_reopen_and_lift_are_recorded_with_their_reason_and_refused_where_there_is_nothing(db: str) -> None:
    assert "reopened" in output("reopen", "c_harm", "--db", db, "--reason", "it was fiction")
    assert "A reviewer reopened the conversation: it was fiction" in output("explain", "c_harm", "--db", db)
    assert "is lifted" in output("lift", "c_held", "--db", db, "--reason", "spoke to them")
    assert "0 faults" in output("verify", "--db", db)
    for act, conversation in [("reopen", "c_harm"), ("lift", "c_held")]:
        again = run(act, conversation, "--db", db, "--reason", "once more")
        assert again.returncode == 1
        assert b"there is nothing to" in again.stderr
    assert run("lift", "c_held", "--db", db).returncode == 2


def test_export_writes_the_whole_conversation_as_data_or_as_markdown(db: str) -> None:
    exported = json.loads(output("export", "c_harm", "--db", db))
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant"] * 5
    assert exported["messages"][8]["text"] == "bad request 4"
    assert exported["messages"][9]["stage"] == "ENDED"
    assert exported["receipts"][0]["ground"] == "persistent_harm"
    shown = output("export", "c_harm", "--db", db, "--format", "markdown")
    assert shown.startswith("# Conversation c_harm")
    assert exported["receipts"][0]["number"] in shown


@pytest.mark.parametrize("command", [("explain",), ("export",), ("reopen", "--reason", "x"), ("erase",)])
def test_the_number_of_a_receipt_names_its_conversation(command: Sequence[str], db: str) -> None:
    number = json.loads(output("export", "c_harm", "--db", db))["receipts"][0]["number"]
    for name in (number.lower(), "c_harm"):
        done = run(command[0], name, "--db", db, *command[1:])
        assert done.returncode == 0 or b"there is nothing to reopen" in done.stderr
    assert run(command[0], "AJ-0000-00", "--db", db, *command[1:]).returncode == 1


def test_the_number_of_receipts_of_several_conversations_is_refused_by_naming_them(db: str) -> None:
    number = json.loads(output("export", "c_harm", "--db", db))["receipts"][0]["number"]
    with closing(sqlite3.connect(db.removeprefix("sqlite:///"))) as database:
        database.execute("INSERT INTO receipts VALUES (?, 'c_held')", (number,))
        database.commit()
    refused = run("erase", number, "--db", db)
    assert refused.returncode == 1
    assert refused.stderr.decode().rstrip().endswith("several receipts; name the conversation: c_harm, c_held")


async def test_feedback_export_writes_a_line_for_each_and_since_only_what_is_newer(db: str) -> None:
    store = open_store(db)
    day = 24 * 3600 * 1000
    for number, at in enumerate((day - 1000, day, 2 * day)):
        said = Feedback(conversation="c_harm", about=None, rating=Rating.WRONG_END, text=f"è {number}", at=at)
        await store.comment(said)
    await store.close()
    exported = lines(output("feedback", "export", "--db", db).encode())
    assert [line["text"] for line in exported] == ["è 0", "è 1", "è 2"]
    assert exported[1] == {
        "conversation": "c_harm",
        "about": None,
        "rating": "wrong_end",
        "reasons": [],
        "text": "è 1",
        "at": "1970-01-02T00:00:00+00:00",
    }
    since = lines(output("feedback", "export", "--db", db, "--since", "1970-01-02").encode())
    assert [line["text"] for line in since] == ["è 1", "è 2"]
    output("erase", "c_harm", "--db", db)
    assert {line["text"] for line in lines(output("feedback", "export", "--db", db).encode())} == {None}


@pytest.mark.parametrize("value", ["30", "0d", "-1d", "1.5h", "30 d", "d", "30D", "100000d", "", "forever"])
def test_a_retention_that_is_none_is_refused_in_a_sentence(value: str) -> None:
    refused = run("serve", "--retention", value)
    assert refused.returncode == 1
    said = f"Error: --retention {value}: hours or days are needed, like 12h or 30d, or never\n"
    assert refused.stderr.decode() == said


def test_what_is_erased_by_itself_is_said_at_the_start() -> None:
    kept = Serving(db="sqlite:////tmp/a.db", policy=Policy())
    said = [" ".join(start_lines(serving, "http://here")) for serving in (kept, replace(kept, keep_ms=43_200_000))]
    assert ["It erases them by itself 12 hours after the newest message." in lines for lines in said] == [False, True]


def test_a_retention_is_hours_days_or_never() -> None:
    assert [retention_ms(text) for text in ("12h", "30d", "never")] == [43_200_000, 2_592_000_000, None]


def test_db_upgrade_and_rebuild_leave_a_good_database(db: str) -> None:
    before = output("list", "--db", db)
    assert "up to date" in output("db", "upgrade", "--db", db)
    assert "2 conversations" in output("db", "rebuild", "--db", db)
    assert output("list", "--db", db) == before


# Keys


@pytest.fixture
def new(tmp_path: Path) -> str:
    """The address of a database that is not there yet."""
    return f"sqlite:///{tmp_path / 'new.db'}"


def test_a_key_is_written_alone_to_standard_output_once_and_a_sentence_beside_it(new: str) -> None:
    made = run("keys", "create", "laptop", "--db", new)
    assert made.returncode == 0
    assert re.fullmatch(rb"adj_[\w-]{43}\n", made.stdout)
    assert b"this is the only time that the key is shown" in made.stderr
    assert made.stdout.strip() not in made.stderr + output("keys", "list", "--db", new).encode()


def test_keys_are_listed_with_name_and_times_until_and_after_they_are_revoked(new: str) -> None:
    for name in ("laptop", "[red]server"):
        run("keys", "create", name, "--db", new)
    laptop, server = lines(output("keys", "list", "--db", new).encode())
    assert set(laptop) == {"id", "name", "created_at", "revoked_at"}
    assert [key["name"] for key in (laptop, server)] == ["laptop", "[red]server"]
    assert "(laptop): revoked" in output("keys", "revoke", str(laptop["id"]), "--db", new)
    again = lines(output("keys", "list", "--db", new).encode())
    assert [key["revoked_at"] is None for key in again] == [False, True]
    assert again[1] == server


def test_on_a_terminal_keys_are_a_table(new: str) -> None:
    secret = run("keys", "create", "[red]laptop", "--db", new).stdout.decode().strip()
    here, there = pty.openpty()
    command = [sys.executable, "-m", "adjourn", "keys", "list", "--db", new]
    subprocess.run(command, stdout=there, timeout=60, check=True)
    os.close(there)
    said = os.read(here, 65536).decode()
    os.close(here)
    assert all(part in said for part in ("created", "revoked", "k_", "[red]laptop"))
    assert secret not in said


def test_a_key_that_is_none_or_was_revoked_cannot_be_revoked(new: str) -> None:
    run("keys", "create", "laptop", "--db", new)
    (key,) = lines(output("keys", "list", "--db", new).encode())
    output("keys", "revoke", str(key["id"]), "--db", new)
    for ident, says in [(str(key["id"]), f"the key {key['id']} was revoked already"), ("k_x", "there is no key k_x")]:
        failed = run("keys", "revoke", ident, "--db", new)
        assert (failed.returncode, failed.stderr.decode()) == (1, f"Error: {says}\n")


def test_a_key_without_a_name_is_refused_and_no_database_is_made(new: str) -> None:
    failed = run("keys", "create", " ", "--db", new)
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert "1 to 100 characters" in failed.stderr.decode()
    assert b"there is no such file" in run("keys", "list", "--db", new).stderr


@pytest.mark.parametrize("command", [("explain",), ("export",), ("reopen", "--reason", "x"), ("lift", "--reason", "x")])
def test_an_unknown_conversation_is_said_in_a_sentence(command: Sequence[str], db: str) -> None:
    failed = run(command[0], "c_none", "--db", db, *command[1:])
    assert failed.returncode == 1
    assert failed.stderr.decode() == "Error: there is no conversation c_none\n"


@pytest.mark.parametrize("url", ["postgresql://localhost/x", "mysql://x", "a.db", "sqlite:///"])
def test_a_database_that_cannot_be_used_is_refused_with_a_sentence(url: str) -> None:
    failed = run("list", "--db", url)
    assert failed.returncode == 1
    assert failed.stderr.decode().startswith(f"Error: --db {url}: ")


@pytest.mark.parametrize("name", ["connect", "read", "fork", "busy", "stop"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "86401", "soon", ""])
def test_a_time_out_that_is_no_time_is_refused_in_a_sentence(name: str, value: str) -> None:
    refused = CliRunner().invoke(main, ["serve", f"--{name}-timeout={value}"], env={"HOME": "/nonexistent"})
    assert refused.exit_code == 2
    assert f"'--{name}-timeout'" in refused.output
    assert f"{value!r}: a number of seconds above 0 is needed, at most 86400 (a day)" in refused.output


def test_a_time_out_of_the_settings_file_is_refused_in_the_same_sentence(tmp_path: Path) -> None:
    settings = tmp_path / "adjourn.toml"
    for value, said in [("0.0", "0.0"), ("true", "True"), ("[1]", "[1]")]:
        settings.write_text(f"stop-timeout = {value}\n")
        refused = CliRunner().invoke(main, ["--settings", str(settings), "serve"])
        assert refused.exit_code == 2
        assert f"{said}: a number of seconds above 0 is needed" in refused.output


def test_time_outs_of_all_places_reach_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Serving] = []
    monkeypatch.setattr("adjourn.cli.server.serve", lambda serving, _: given.append(serving))
    settings = tmp_path / "adjourn.toml"
    settings.write_text('read-timeout = 0.5\nstop-timeout = 7\nlog-level = "debug"\n')
    command = ["--settings", str(settings), "serve", "--fork-timeout", "3", "--db", "memory:"]
    done = CliRunner().invoke(main, command, env={"ADJOURN_BUSY_TIMEOUT": "0.25"})
    assert done.exit_code == 0, done.output
    assert given[0].timeouts == Timeouts(connect=10, read=0.5, fork=3)
    assert (given[0].busy_seconds, given[0].stop_seconds, given[0].log_level) == (0.25, 7, "debug")
