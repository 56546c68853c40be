"""Help lines: every entry is whole, hours are those of the country, and no number crosses a border."""

import json
import tomllib
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tomli_w
from click.testing import CliRunner, Result

from adjourn.cli import main
from adjourn.core.errors import CallerError
from adjourn.host import lines
from adjourn.host.check_lines import check
from adjourn.host.lines import Line, load, support

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")
KINDS = ["self", "other", "danger", "emergency"]
COUNTRIES = sorted({line.country for line in load()})
AMICO = next(line for line in load() if line.name == "Telefono Amico Italia")


def names(shown: dict[str, Any]) -> list[str]:
    return [line["name"] for line in shown["lines"]]


# The entries.


@pytest.mark.parametrize("line", load(), ids=lambda line: f"{line.country} {line.dial or line.text}")
def test_every_entry_is_whole(line: Line) -> None:
    assert line.name == line.name.strip()
    assert line.official.startswith("https://")
    assert line.checked_on <= date.today()
    assert len(line.checked_how) > 20
    if line.tel:
        # What a telephone dials is what a person reads, if need be in its international form.
        digits = "".join(filter(str.isdigit, line.dial))
        assert line.tel == digits or line.tel.startswith("+")
        assert line.tel.endswith(digits.removeprefix("0"))
    if line.time_zone:
        ZoneInfo(line.time_zone)


def test_every_country_of_the_table_is_there_with_its_emergency_number() -> None:
    assert set(COUNTRIES) == {"US", "CA", "GB", "IE", "IT", "ES", "FR", "DE", "PT", "BR", "AU", "IN"}
    numbers = {country: support("self", country, NOON)["emergency"] for country in COUNTRIES}
    assert numbers == {
        "US": "911",
        "CA": "911",
        "GB": "999",
        "IE": "112",
        "IT": "112",
        "ES": "112",
        "FR": "112",
        "DE": "112",
        "PT": "112",
        "BR": "192",
        "AU": "000",
        "IN": "112",
    }


def test_the_file_is_read_once() -> None:
    assert load() is load()
    assert len(load()) == files(lines.__package__).joinpath("lines.toml").read_text(encoding="utf-8").count("[[line]]")


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "Italy"},
        {"kind": "sadness"},
        {"name": ""},
        {"dial": "", "tel": ""},
        {"tel": ""},
        {"tel": "02 2327"},
        {"official": "http://www.telefonoamico.it"},
        {"chat": "javascript:alert(1)"},
        {"languages": ()},
        {"cost": ""},
        {"checked_how": ""},
        {"time_zone": ""},
        {"hours": "9-24"},
        {"hours": "22:00-06:00"},
        {"hours": "09:00-24:30"},
    ],
    ids=str,
)
def test_an_entry_that_could_mislead_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(CallerError):
        replace(AMICO, **wrong)


@pytest.mark.parametrize("entry", [{}, {"more": ""}])
def test_an_entry_with_other_fields_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises(CallerError, match="missing or unknown"):
        lines.read_line(entry)


# Hours.


@pytest.mark.parametrize(
    ("hour", "minute", "opened"),
    [(9, 0, True), (12, 0, True), (23, 59, True), (0, 0, False), (3, 0, False), (8, 59, False)],
)
def test_italy_is_open_from_nine_to_midnight(hour: int, minute: int, opened: bool) -> None:
    shown = support("self", "IT", datetime(2026, 11, 24, hour, minute, tzinfo=ROME))
    (line,) = shown["lines"]
    assert (line["open"], line["opens_at"]) == (opened, None if opened else "9:00")


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        (datetime(2026, 1, 15, 7, 59, tzinfo=UTC), False),  # winter: 8:59 in Rome
        (datetime(2026, 1, 15, 8, 0, tzinfo=UTC), True),
        (datetime(2026, 7, 15, 6, 59, tzinfo=UTC), False),  # summer: 8:59 in Rome
        (datetime(2026, 7, 15, 7, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 28, 7, 30, tzinfo=UTC), False),  # the day before the clocks go forward
        (datetime(2026, 3, 29, 7, 30, tzinfo=UTC), True),
        (datetime(2026, 10, 24, 7, 30, tzinfo=UTC), True),  # the day before they go back
        (datetime(2026, 10, 25, 7, 30, tzinfo=UTC), False),
        (datetime(2026, 7, 15, 21, 59, tzinfo=UTC), True),
        (datetime(2026, 7, 15, 22, 0, tzinfo=UTC), False),
        (datetime(2026, 1, 15, 17, 0, tzinfo=timezone(timedelta(hours=9))), True),
    ],
    ids=str,
)
def test_hours_follow_the_clocks_of_the_country(now: datetime, opened: bool) -> None:
    assert AMICO.is_open(now) is opened


def test_who_never_closes_is_always_open() -> None:
    for hour in range(24):
        (line,) = support("self", "FR", NOON + timedelta(hours=hour))["lines"]
        assert (line["hours"], line["open"], line["opens_at"]) == ("24/7", True, None)


def test_without_the_time_zone_hours_stand_alone() -> None:
    assert replace(AMICO, time_zone="Nowhere/Land").is_open(NOON) is None


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(CallerError, match="time zone"):
        support("self", "IT", NOON.replace(tzinfo=None))


# What is shown.


def test_nothing_said_counts_as_oneself() -> None:
    assert support(None, "IT", NOON) == support("self", "IT", NOON)


def test_violence_in_italy_has_its_own_line() -> None:
    assert names(support("danger", "IT", NOON)) == ["Telefono Amico Italia", "1522 Antiviolenza e stalking"]
    assert "1522 Antiviolenza e stalking" not in names(support("self", "IT", NOON))


def test_whoever_answers_now_comes_first() -> None:
    night = datetime(2026, 11, 24, 3, tzinfo=ROME)
    assert names(support("danger", "IT", night)) == ["1522 Antiviolenza e stalking", "Telefono Amico Italia"]


def test_danger_in_brazil_is_for_the_police() -> None:
    assert support("danger", "BR", NOON)["emergency"] == "190"
    assert support("emergency", "BR", NOON)["emergency"] == "192"


def test_ways_to_write_are_shown_where_there_are_any() -> None:
    (us,) = support("self", "US", NOON)["lines"]
    assert (us["text"], us["chat"]) == ("988", "https://988lifeline.org")
    (gb,) = support("self", "GB", NOON)["lines"]
    assert (gb["text"], gb["chat"]) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("country", COUNTRIES)
def test_no_number_crosses_a_border(country: str, kind: str) -> None:
    own = {line.name for line in load() if line.country == country}
    shown = support(kind, country, NOON)
    assert shown["kind"] == kind
    assert set(names(shown)) <= own
    assert shown["lines"]
    json.dumps(shown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("country", [None, "", "JP", "ZZ", "I", "Italy", "IT'"])
def test_an_unknown_country_gets_a_directory_and_no_number(country: str | None, kind: str) -> None:
    shown = support(kind, country, NOON)
    (line,) = shown["lines"]
    assert line["url"] == "https://findahelpline.com"
    assert not any(character.isdigit() for character in json.dumps(shown))


def test_a_country_of_the_union_without_a_line_keeps_its_emergency_number() -> None:
    shown = support("self", "NL", NOON)
    assert (shown["emergency"], names(shown)) == ("112", ["Find A Helpline"])


@pytest.mark.parametrize(("written", "meant"), [("it", "IT"), (" IT ", "IT"), ("UK", "GB"), ("uk", "GB")])
def test_countries_are_read_as_people_write_them(written: str, meant: str) -> None:
    assert support("self", written, NOON) == support("self", meant, NOON)


# The check.

TODAY = date(2026, 11, 24)


def written(change: dict[str, Any] | None = None, *more: dict[str, Any], **tables: Any) -> dict[str, Any]:
    """A small file of help lines: one good entry, changed, and others."""
    entry = {**asdict(AMICO), "languages": ["it"], "checked_on": TODAY}
    lines = [{**entry, **(change or {})}, *({**entry, **other} for other in more)]
    return {"emergency": {"IT": "112"}, "emergency_danger": {}, "line": lines, **tables}


def found(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(finding.weight, finding.about, finding.says) for finding in check(data, TODAY)]


def test_the_lines_that_come_with_adjourn_are_without_errors() -> None:
    data = tomllib.loads(lines.file().read_text(encoding="utf-8"))
    newest = max(entry["checked_on"] for entry in data["line"])
    assert [finding for finding in check(data, newest) if finding.weight == "error"] == []


def test_a_good_file_has_nothing_to_say() -> None:
    assert found(written()) == []


OTHER = {"name": "Other", "dial": "1522", "tel": "1522"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (written({"hours": "09:00-24:00", "time_zone": ""}), "hours of the day need a time zone"),
        (written({"official": "http://www.telefonoamico.it"}), "official: an https address is needed"),
        (written({"official": "http://a.it", "name": ""}), "name: it is empty; official: an https address is needed"),
        (written({"more": "x"}), "missing or unknown: more"),
        (written({"tel": 112}), "not of the right type: tel"),
        (written({"languages": "it"}), "not of the right type: languages"),
        (written({"checked_on": "today"}), "not of the right type: checked_on"),
        (written({"time_zone": "Nowhere/Land"}), "this machine knows no Nowhere/Land"),
        (written({"tel": "+39022327"}), "dial and tel are different numbers"),
        (written({"checked_on": date(2026, 11, 25)}), "is still to come"),
        (written(None, {"name": "Other"}), "tel: +390223272327 stands in the entry Telefono Amico Italia already"),
        (written(None, {"name": "Other", "dial": "0223272327", "tel": "0223272327"}), "stands in the entry"),
        (written({"text": "50808"}, {**OTHER, "text": "50808"}), "text: 50808 stands in the entry"),
        (written(emergency={}), "there is no emergency number"),
        (written(emergency={"IT": 112}), "112: a number in quotes is needed"),
        (written(emergency={"IT": "112", "Italy": "112"}), "two capital letters are needed"),
        (written(emergency_danger={"BR": "190"}), "there is no emergency number"),
        (written(emergency_danger=None), "there is no such table"),
        (written(line=[]) | {"line": "none"}, "there are no entries"),
        ({}, "there are no entries"),
    ],
)
def test_what_could_mislead_somebody_is_an_error(data: dict[str, Any], says: str) -> None:
    assert any(weight == "error" and says in said for weight, _, said in found(data)), found(data)


@pytest.mark.parametrize(
    "data",
    [
        written({"hours": "24/7", "time_zone": ""}),
        written(None, OTHER),
        written(None, {"name": "Other", "country": "SM"}, emergency={"IT": "112", "SM": "112"}),
        written(None, {**OTHER, "tel": "", "dial": "", "text": "50808"}),
        written({"checked_on": date(2025, 11, 24)}),
    ],
)
def test_what_only_looks_wrong_is_none(data: dict[str, Any]) -> None:
    assert found(data) == []


def test_what_was_checked_more_than_a_year_ago_is_old_and_no_error() -> None:
    assert found(written({"checked_on": date(2025, 11, 23)})) == [
        ("old", "IT Telefono Amico Italia", "last checked on 2025-11-23: read its page again")
    ]


def test_a_country_without_a_line_is_a_note() -> None:
    ((weight, about, _),) = found(written(emergency={"IT": "112", "NL": "112"}))
    assert (weight, about) == ("note", "NL")


# The commands.


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["lines", *arguments])


def test_check_says_what_is_wrong_with_a_file_and_fails(tmp_path: Path) -> None:
    assert run("check").exit_code == 0
    assert f"{len(load())} lines: 0 errors" in run("check").output
    path = tmp_path / "lines.toml"
    written_again = tomli_w.dumps(written({"official": "http://a.it"}))
    path.write_text(written_again, encoding="utf-8")
    wrong = run("check", str(path))
    assert "error  IT Telefono Amico Italia: official: an https address is needed" in wrong.output
    assert "1 lines: 1 errors, 0 old." in wrong.output
    assert wrong.exit_code == 1
    path.write_text("[[line", encoding="utf-8")
    assert "lines.toml: " in run("check", str(path)).output
    assert run("check", str(tmp_path / "none.toml")).exit_code == 1


def test_a_country_is_looked_up_by_kind_and_hour() -> None:
    night = run("show", "IT", "--kind", "danger", "--at", "2026-11-24T03:00+01:00").output.splitlines()
    assert night[0].split() == ["emergency", "112"]
    assert [line.split()[0] for line in night[1:]] == ["open", "closed"]
    assert "opens at 9:00" in night[2]
    noon = run("show", "it", "--at", "2026-11-24T12:00+01:00").output.splitlines()
    assert [line.split()[0] for line in noon] == ["emergency", "open"]
    assert json.loads(run("show", "IT", "--at", "2026-11-24T12:00Z", "--json").output) == support("self", "IT", NOON)


def test_of_a_country_that_is_not_known_only_the_directory_is_shown() -> None:
    assert run("show", "JP").output.split()[:5] == ["emergency", "no", "number", "is", "known"]
    assert "findahelpline.com" in run("show", "JP").output


@pytest.mark.parametrize(("at", "says"), [("noon", "a time like"), ("2026-11-24T03:00", "a time with its time zone")])
def test_a_time_that_nobody_can_place_is_refused(at: str, says: str) -> None:
    refused = run("show", "IT", "--at", at)
    assert (refused.exit_code, says in refused.output) == (1, True)
