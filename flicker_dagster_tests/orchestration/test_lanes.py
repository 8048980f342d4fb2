"""A source with several destinations through Dagster: what a failing or a slow one does to runs, position, checks and polls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from flicker_dagster.config.groups import Limits
from flicker_dagster.config.load import load_config
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.orchestration.tails import Tail


def http(receiver: Receiver, name: str, **keys: Any) -> dict[str, Any]:
    return {"type": "http", "name": name, "endpoint": f"{receiver.url}/siem", **keys}


@contextmanager
def tail_of(scene: Scene, monkeypatch: pytest.MonkeyPatch, *destinations: dict[str, Any]) -> Iterator[Tail]:
    """The scene's source with these destinations, as a file of the configuration says it."""
    fields = scene.source.model_dump(mode="json", exclude_unset=True, exclude={"destination"})
    fields |= {"destination": list(destinations), "retry": {"max_retries": 0}}
    path = scene.directory / "config.yaml"
    path.write_text(yaml.safe_dump({"api_sources": [fields]}))
    scene.source = load_config(str(path)).source("plain")
    monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
    with dg.DagsterInstance.ephemeral() as instance:
        yield Tail(scene, instance)


class Lanes:
    """A SIEM and a lake behind one source. The scene's receiver is the SIEM."""

    def __init__(self, tail: Tail, lake: Receiver) -> None:
        self.tail, self.scene, self.siem, self.lake = tail, tail.scene, tail.scene.siem, lake

    def poll(self) -> dg.ExecuteInProcessResult:
        return self.tail.run(self.tail.asked())

    def received(self) -> tuple[int, int]:
        """How many events each has; each of them once."""
        found = [self.siem.ids("/siem"), self.lake.ids("/siem")]
        assert all(times == 1 for ids in found for times in ids.values())
        return len(found[0]), len(found[1])


@pytest.fixture
def lake() -> Iterator[Receiver]:
    with closing(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Receiver) -> Iterator[Lanes]:
    with (
        plain_scene(tmp_path) as scene,
        tail_of(scene, monkeypatch, http(scene.siem, "siem"), http(lake, "lake")) as tail,
    ):
        yield Lanes(tail, lake)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(e for e in result.get_asset_check_evaluations() if e.check_name == names.CHECK_DELIVERED)


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def moved(result: dg.ExecuteInProcessResult) -> bool:
    metadata = metadata_of(result)
    return metadata[names.FROM_KEY] != metadata[names.TO_KEY]


def test_a_run_speaks_of_each_lane(lanes: Lanes) -> None:
    lanes.scene.emit(5)
    result = lanes.poll()
    said = metadata_of(result)
    for lane in ("siem", "lake"):
        assert said[f"events delivered @{lane}"] == 5
        assert said[f"events dead-lettered @{lane}"] == 0
        assert said[f"SIEM answers @{lane}"] == "HTTP 200 OK × 1"
    assert moved(result)
    assert check_of(result).passed
    assert check_of(result).metadata["dead letters @lake"].value == 0


def test_one_of_two_that_fails_keeps_the_position_and_slows_nobody(lanes: Lanes) -> None:
    lanes.scene.emit(5)
    lanes.lake.faults.plan("503", count=None)
    for number in range(1, 5):
        result = lanes.poll()  # asked for at once: nothing is waited out
        assert result.success
        assert not moved(result)
        assert lanes.received() == (5 * number, 0)
        assert metadata_of(result)[names.NEW_KEY] == metadata_of(result)["dagster/row_count"] == 5
        check = check_of(result)
        assert not check.passed
        assert check.severity == dg.AssetCheckSeverity.ERROR
        assert "@lake: " in (check.description or "")
        assert "HTTP 503" in (check.description or "")
        assert "@siem" not in (check.description or "")
        assert metadata_of(result)["events waiting @lake"] == 5 * number
        lanes.scene.emit(5)
    lanes.lake.faults.clear()
    lanes.scene.clock.now_s += 600  # its rest is over
    result = lanes.poll()
    assert result.success
    assert moved(result)
    assert check_of(result).passed
    assert lanes.received() == (25, 25)


def test_a_lane_that_rests_is_not_asked_and_the_run_says_until_when(lanes: Lanes) -> None:
    lanes.scene.emit(5)
    lanes.lake.faults.plan("503", count=None)
    lanes.poll()
    again = lanes.poll()
    assert again.success
    assert "rests until" in (check_of(again).description or "")
    assert metadata_of(again)["requests @lake"] == 0


def test_a_run_fails_where_both_fail_and_the_next_one_waits(lanes: Lanes) -> None:
    lanes.scene.emit(5)
    lanes.siem.faults.plan("503", count=None)
    lanes.lake.faults.plan("401", count=None)
    assert not lanes.poll().success
    assert "after 1 failed run(s) in a row" in lanes.tail.skipped()
    for receiver in (lanes.siem, lanes.lake):
        receiver.faults.clear()
    lanes.scene.clock.now_s += 600
    assert lanes.poll().success
    assert lanes.received() == (5, 5)


def test_a_lane_that_is_not_required_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Receiver
) -> None:
    with (
        plain_scene(tmp_path) as scene,
        tail_of(scene, monkeypatch, http(scene.siem, "siem"), http(lake, "lake", required=False)) as tail,
    ):
        lanes = Lanes(tail, lake)
        scene.emit(5)
        lake.faults.plan("503", count=None)
        result = lanes.poll()
        assert result.success
        assert moved(result)
        assert check_of(result).severity == dg.AssetCheckSeverity.WARN
        assert not check_of(result).passed
        lake.faults.clear()
        scene.clock.now_s += 600
        scene.emit(1)
        assert check_of(lanes.poll()).passed
        assert lanes.received() == (6, 6)


def test_what_a_lane_that_is_not_required_gives_up_is_counted_and_not_missed_by_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Receiver
) -> None:
    with (
        plain_scene(tmp_path, limits=Limits(spool_bytes=2_000)) as scene,
        tail_of(scene, monkeypatch, http(scene.siem, "siem"), http(lake, "lake", required=False)) as tail,
    ):
        key = scene.key_of(scene.clock.now_ms - 3_000_000)
        ids = scene.emit(30, seconds_ago=3_000)
        lake.faults.plan("503", count=None)
        result = tail.run(tail.asked())
        assert metadata_of(result)["events dropped @lake"] == len(ids)
        assert "events waiting @lake" not in metadata_of(result)
        lake.faults.clear()
        scene.clock.now_s += 2 * 3_600
        swept = scene.sweep(key)
        assert (swept.tally.seen, swept.tally.new, swept.tally.late) == (30, 0, 0)
        assert lake.ids("/siem") == {}


# -- confirmed later

WAITS = {"ack_ask_after_ms": 60_000, "ack_expires_ms": 3_600_000}


def splunk_at(receiver: SplunkHecReceiver, **keys: Any) -> dict[str, Any]:
    return {"type": "splunk_hec", "url": receiver.url, "token": "t", "ack": "required", **WAITS, **keys}


@contextmanager
def splunk_of(scene: Scene) -> Iterator[SplunkHecReceiver]:
    with closing(SplunkHecReceiver(tokens={"t": HecToken(ack=True)}, clock=scene.clock)) as splunk:
        yield splunk


def test_runs_that_await_confirmations_follow_each_other_at_the_normal_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        plain_scene(tmp_path) as scene,
        splunk_of(scene) as splunk,
        tail_of(scene, monkeypatch, splunk_at(splunk, name="splunk")) as tail,
    ):
        scene.emit(5)
        for _ in range(4):  # more than it takes for a resume point to be given up
            result = tail.run(tail.asked())
            assert result.success
            assert not moved(result)
            assert not check_of(result).passed
            assert "5 events were taken and are not confirmed yet" in (check_of(result).description or "")
            assert metadata_of(result)["events awaiting confirmation @splunk"] == 5
        scene.clock.now_s += 61
        result = tail.run(tail.asked())
        assert moved(result)
        assert check_of(result).passed
        assert metadata_of(result)["events delivered @splunk"] == 5
        assert "started again by time" not in metadata_of(result)


def test_a_lane_that_only_awaits_confirmation_is_not_slowed_by_another_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lake: Receiver
) -> None:
    with (
        plain_scene(tmp_path) as scene,
        splunk_of(scene) as splunk,
        tail_of(scene, monkeypatch, splunk_at(splunk, name="splunk"), http(lake, "lake")) as tail,
    ):
        scene.emit(5)
        lake.faults.plan("503", count=None)
        for _ in range(3):
            result = tail.run(tail.asked())
            assert result.success
            assert not moved(result)
        words = check_of(result).description or ""
        assert "@splunk: 5 events were taken and are not confirmed yet" in words
        assert "@lake: 5 events wait" in words
