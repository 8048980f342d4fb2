"""Destinations that are called otherwise after an edit go on with what they had: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flicker_dagster.failpoints import VARIABLE
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.state.lane_health import LaneHealthFile
from flicker_dagster_tests.cli.test_lanes import NAME, Place, place

__all__ = ["place"]


def unnamed(receiver: Receiver) -> dict[str, object]:
    return {"type": "http", "endpoint": f"{receiver.url}/events"}


def times_taken(receiver: Receiver) -> list[int]:
    """How often each of the events arrived."""
    return sorted(receiver.ids("/events").values())


@pytest.mark.parametrize("named", [True, False])
def test_the_second_of_two_that_stays_alone_gets_what_waited_for_it(place: Place, named: bool) -> None:
    place.once()  # it has shown that it is configured so
    place.new_events(3)
    place.lake.faults.plan("503", count=None)
    place.once()
    place.lake.faults.clear()
    place.destination = place.to("lake", place.lake) if named else unnamed(place.lake)
    result = place.once()
    assert result.exit_code == 0, result.output
    assert times_taken(place.lake) == [1] * 8
    assert f"{NAME}@lake: this destination is no longer configured" not in result.output
    assert f"{NAME}@siem: this destination is no longer configured" in place.flicker("status").output


@pytest.mark.parametrize("named", [True, False])
def test_the_second_of_two_that_stays_alone_does_not_get_again_what_waits_for_the_first(
    place: Place, named: bool
) -> None:
    place.siem.faults.plan("503", count=None)
    place.once()
    place.destination = place.to("lake", place.lake) if named else unnamed(place.lake)
    assert place.once().exit_code == 0
    assert times_taken(place.lake) == [1] * 5
    place.siem.faults.clear()
    LaneHealthFile(place.layout().spool(NAME).directory, "siem").forget()  # or it rests
    place.destination = [place.to("siem", place.siem), place.to("lake", place.lake)]
    place.new_events(2)
    assert place.once().exit_code == 0
    assert (times_taken(place.siem), times_taken(place.lake)) == ([1] * 7, [1] * 7)


def test_a_destination_is_known_again_wherever_in_a_list_it_is_put(place: Place) -> None:
    place.destination = unnamed(place.siem)
    place.once()
    place.new_events(2)
    place.destination = [place.to("lake", place.lake), place.to("siem", place.siem, required=False)]
    assert place.once().exit_code == 0
    assert times_taken(place.siem) == [1] * 7
    assert place.lanes().keys() == {"lake", "siem"}
    assert place.layout().lane_book(NAME).read()["siem"].storage == ""


def test_what_was_settled_before_a_crash_is_known_under_another_name(place: Place, tmp_path: Path) -> None:
    place.destination = unnamed(place.siem)
    place.flicker("--validate")  # writes the configuration
    arguments = ["-c", str(tmp_path / "config.yaml"), "--work-dir", str(tmp_path / "work"), "--once", "--track"]
    command = [sys.executable, "-c", "from flicker_dagster.cli.main import main; main()", *arguments]
    killed = subprocess.run(command, env=os.environ | {VARIABLE: "commit.before_ledger"}, capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    assert times_taken(place.siem) == [1] * 5
    place.destination = [place.to("siem", place.siem), place.to("lake", place.lake)]
    assert place.once().exit_code == 0
    assert (times_taken(place.siem), times_taken(place.lake)) == ([1] * 5, [1] * 5)


def test_the_lane_that_a_single_destination_goes_on_with_is_not_forgotten(place: Place) -> None:
    place.once()
    place.destination = place.to("lake", place.lake)
    kept = place.flicker("forget", f"{NAME}@lake", "--yes")
    assert "nothing is kept of it" in kept.output
    assert "forgotten" in place.flicker("forget", f"{NAME}@siem", "--yes").output
    place.once()
    assert times_taken(place.lake) == [1] * 5
