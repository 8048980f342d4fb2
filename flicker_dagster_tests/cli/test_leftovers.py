"""State that no configured source owns: named wherever one looks, and dropped by `flicker forget`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flicker_dagster.cli.check_config import check
from flicker_dagster.cli.main import cli
from flicker_dagster.errors import ConfigError
from flicker_dagster.orchestration.applied import AppliedConfig
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.owners import Owner, others, write_down
from flicker_dagster_tests.config.builders import SOURCE, entry, load

CONFIG = """api_sources:
  - name: NAME
    endpoint: VENDOR/events
    polling_frequency_ms: 5000
    results_field: data.events
    id_field: id
    timestamp_field: time
    time_filter_param: since
    pagination: {pagination_type: none}
    start_from: 1h
    retry: {max_retries: 0}
    destination: {type: http, endpoint: SIEM}
"""


class Place:
    """A directory with a vendor that has five events, and a SIEM that can be away."""

    def __init__(self, home: Path, vendor: Plain, siem: Receiver) -> None:
        self.home, self.vendor, self.siem = home, vendor, siem
        self.vendor.emitter.emit(5)

    def flicker(self, *arguments: str, name: str = "okta-logs", siem_up: bool = True, **keys: str) -> Result:
        siem = f"{self.siem.url}/siem" if siem_up else "http://127.0.0.1:9/siem"
        text = CONFIG.replace("NAME", name).replace("VENDOR", self.vendor.url).replace("SIEM", siem)
        text += "".join(f"    {key}: {value}\n" for key, value in keys.items())
        (self.home / "config.yaml").write_text(text)
        given = ["-c", str(self.home / "config.yaml"), "--work-dir", str(self.home / "work"), *arguments]
        return CliRunner().invoke(cli, given, env={"COLUMNS": "250"})

    def layout(self) -> StateLayout:
        return StateLayout.of(None, self.home / "work", self.home / "work")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    vendor, siem = Plain(per_minute=10**6), Receiver()
    yield Place(tmp_path, vendor, siem)
    vendor.close()
    siem.close()


def waits(place: Place) -> None:
    done = place.flicker("--track", "--once", siem_up=False)
    assert done.exit_code == 1, done.output


SAID = "okta-logs: no longer configured, and its state is kept: 5 events that wait for the SIEM in "


def test_it_is_named_at_the_start_by_validate_and_by_status(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(place)
    for arguments in (["status"], ["--validate"]):
        said = place.flicker(*arguments, name="okta-system-log").output
        [line] = [line for line in said.splitlines() if line.startswith("okta-logs")]
        assert line.startswith(SAID)
        assert line.endswith(
            "write `renamed_from: okta-logs` into that source; to drop it for good: flicker forget okta-logs"
        )
    monkeypatch.setattr(logging.getLogger("flicker.leftovers"), "handlers", [caplog.handler])
    place.flicker("--track", "--once", name="okta-system-log")
    assert SAID in caplog.text


def test_what_waits_arrives_under_the_new_name(place: Place) -> None:
    waits(place)
    status = place.flicker("status", name="okta-system-log", renamed_from="okta-logs").output
    assert "okta-logs: its state goes on under okta-system-log with the next poll" in status
    assert place.flicker("--track", "--once", name="okta-system-log", renamed_from="okta-logs").exit_code == 0
    assert set(place.siem.ids("/siem").values()) == {1}
    assert len(place.siem.ids("/siem")) == 5
    assert "okta-logs" not in place.flicker("status", name="okta-system-log", renamed_from="okta-logs").output


def test_forget_asks_and_drops_all(place: Place) -> None:
    waits(place)
    asked = place.flicker("forget", "okta-logs", name="other")
    assert asked.exit_code == 1
    assert "okta-logs: 5 events that wait for the SIEM, 0 dead letters, position " in asked.output
    assert place.layout().registry().position("okta-logs") is not None, "nobody said yes"
    assert place.flicker("forget", "okta-logs", "--yes", name="other").output.endswith("okta-logs: forgotten\n")
    assert "okta-logs" not in place.flicker("status", name="other").output
    left = [path for path in (place.home / "work").rglob("*okta-logs*/**/*") if path.is_file() and path.name[0] != "."]
    assert left == []
    assert place.flicker("forget", "okta-logs", "--yes", name="other").output == "okta-logs: nothing is kept of it\n"


def test_forget_refuses_a_configured_source_and_one_that_goes_on_elsewhere(place: Place) -> None:
    waits(place)
    configured = place.flicker("forget", "okta-logs", "--yes")
    assert "okta-logs is configured in" in configured.output
    heir = place.flicker("forget", "okta-logs", "--yes", name="new", renamed_from="okta-logs")
    assert "okta-logs: its state goes on under new" in heir.output
    assert place.layout().registry().position("okta-logs") is not None


def test_what_another_configuration_collects_into_the_same_place_is_not_taken_for_a_leftover(place: Place) -> None:
    waits(place)
    write_down(place.layout().store, Owner("/etc/theirs.yaml", ["okta-logs"]))
    said = place.flicker("status", name="ours").output
    assert "okta-logs: kept in the same place for /etc/theirs.yaml" in said
    assert "forget" not in said


def test_a_configuration_stands_for_what_it_was_before_an_edit_and_under_another_path(tmp_path: Path) -> None:
    store = StateLayout.of(None, tmp_path, tmp_path).store
    theirs = Owner("/their.yaml", ["theirs"])
    for owner in (theirs, Owner("/a.yaml", ["x"]), Owner("/a.yaml", ["y"]), Owner("/b.yaml", ["y", "z"])):
        write_down(store, owner)
    assert others(store, Owner("/b.yaml", ["z"])) == [theirs]


def test_an_edit_while_flicker_runs_is_written_down_and_what_it_leaves_is_named(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(place)
    monkeypatch.setattr(logging.getLogger("flicker"), "propagate", True)
    settings = Settings(
        str(place.home / "config.yaml"), state_dir=str(place.home / "work"), work_dir=str(place.home / "work")
    )
    applied = AppliedConfig(settings.work_dir, settings.config_path)
    applied.put_in_force(applied.keep(Path(settings.config_path).read_text()))
    place.flicker("sources", name="other")
    text = "namespace: team_a\n" + Path(settings.config_path).read_text()
    Path(settings.config_path).write_text(text)
    assert check(settings) == 0
    assert "okta-logs: no longer configured, and its state is kept" in caplog.text
    assert others(place.layout().store, Owner("/theirs.yaml", ["theirs"])) == [
        Owner(settings.config_path, ["other"], "team_a")
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            SOURCE + "    renamed_from: two\n" + entry("two"),
            "9: api_sources[0].renamed_from: 'two' is still the name of the source on line 10, expected one that is no "
            "longer configured",
        ),
        (
            SOURCE + "    renamed_from: old\n" + entry("two") + "    renamed_from: old\n",
            "17: api_sources[1].renamed_from: 'old' is taken along by the source on line 9 already, expected it once",
        ),
        (
            SOURCE + "    renamed_from: one\n",
            "9: api_sources[0].renamed_from: 'one' is still the name of the source on line 2, expected one that is no "
            "longer configured",
        ),
        (
            "namespace: a__b\n" + SOURCE,
            "1: namespace: found 'a__b', expected letters, digits and single underscores, such as prod or team_a; 40 "
            "characters at most, a letter first",
        ),
    ],
)
def test_a_name_that_cannot_be_is_told_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as fault:
        load(tmp_path, text)
    assert [problem.partition("config.yaml:")[2] for problem in fault.value.problems] == [line]
