"""A source with several destinations, as its operator sees it: each one is spoken of by itself."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.deliver.lane import ASKED_WITHIN_S
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster.state.layout import StateLayout

NAME = "okta-logs"
NARROW = "80"


class Place:
    """A source of five events, a SIEM and a lake beside it."""

    def __init__(self, home: Path, vendor: Plain, siem: Receiver, lake: Receiver) -> None:
        self.home, self.vendor, self.siem, self.lake = home, vendor, siem, lake
        self.destination: Any = [self.to("siem", siem), self.to("lake", lake)]
        self.new_events(5)

    def new_events(self, count: int) -> None:
        for number in range(count):
            self.vendor.emitter.emit(1, at_ms=int(time.time() * 1000) - 60_000 + number)

    @staticmethod
    def to(name: str, receiver: Receiver, **keys: Any) -> dict[str, Any]:
        return {"type": "http", "name": name, "endpoint": f"{receiver.url}/events", **keys}

    def flicker(self, *arguments: str, columns: str = "250") -> Result:
        source = {
            "name": NAME,
            "endpoint": f"{self.vendor.url}/events",
            "polling_frequency_ms": 5000,
            "results_field": "data.events",
            "id_field": "id",
            "timestamp_field": "time",
            "time_filter_param": "since",
            "pagination": {"pagination_type": "none"},
            "start_from": "1h",
            "destination": self.destination,
        }
        (self.home / "config.yaml").write_text(yaml.safe_dump({"api_sources": [source]}))
        given = ["-c", str(self.home / "config.yaml"), "--work-dir", str(self.home / "work"), *arguments]
        return CliRunner().invoke(cli, given, env={"COLUMNS": columns})

    def once(self) -> Result:
        return self.flicker("--once", "--track")

    def lanes(self) -> dict[str, dict[str, Any]]:
        """What `status --json` says of each lane."""
        (source,) = json.loads(self.flicker("status", "--json").stdout)["sources"]
        return {lane["lane"]: lane for lane in source["lanes"]}

    def layout(self) -> StateLayout:
        return StateLayout.of(None, self.home / "work", self.home / "work")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    vendor, siem, lake = Plain(per_minute=10**6), Receiver(), Receiver()
    yield Place(tmp_path, vendor, siem, lake)
    for server in (vendor, siem, lake):
        server.close()


def destinations_of(text: str) -> str:
    """The table of destinations that `status` shows."""
    return text.partition("Destinations")[2].partition("Quotas")[0]


def row_of(text: str, first: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.strip("│ ").startswith(f"{first} ")]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def received(receiver: Receiver) -> list[int]:
    return sorted(receiver.ids("/events").values())


# -- --once


def test_once_has_a_row_and_a_line_for_each_lane(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flicker.deliver"), "handlers", [caplog.handler])
    done = place.once()
    for lane in ("siem", "lake"):
        assert f"Shipped 5 events to SIEM @{lane} (HTTP 200 OK)" in caplog.messages
    assert done.exit_code == 0, done.output
    assert row_of(done.stdout, NAME)[1:] == ["5", "5", "", "", "ok"]
    assert row_of(done.stdout, f"{NAME}@siem")[1:] == ["", "", "5", "0", "ok"]
    assert row_of(done.stdout, f"{NAME}@lake")[1:] == ["", "", "5", "0", "ok"]
    assert received(place.siem) == received(place.lake) == [1] * 5


def test_once_fails_by_the_lane_that_fails_and_delivers_the_other(place: Place) -> None:
    place.lake.faults.plan("503", count=None)
    done = place.once()
    assert done.exit_code == 1
    assert row_of(done.stdout, f"{NAME}@siem")[3:] == ["5", "0", "ok"]
    delivered, dead, result = row_of(done.stdout, f"{NAME}@lake")[3:]
    assert (delivered, dead) == ("0", "0")
    assert "HTTP 503" in result
    assert result.endswith("5 events wait")
    assert received(place.siem) == [1] * 5
    place.lake.faults.clear()
    place.vendor.emitter.emit(2)
    (place.home / "work" / "spool" / NAME / ".lane@lake.json").unlink()  # its rest is over
    assert place.once().exit_code == 0
    assert received(place.siem) == received(place.lake) == [1] * 7


def test_a_lane_whose_secret_is_not_set_is_told_by_its_name(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.destination[1]["auth"] = {"type": "bearer", "token": "${TOKEN_OF_THE_LAKE}"}
    assert place.once().exit_code == 1
    assert received(place.siem) == [1] * 5
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert error.startswith(f"{NAME}@lake: ${{TOKEN_OF_THE_LAKE}} is not set")
    lake = place.lanes()["lake"]
    assert lake["failures_in_a_row"] == 1
    assert "TOKEN_OF_THE_LAKE" in lake["failing_because"]
    monkeypatch.setenv("TOKEN_OF_THE_LAKE", "0123456789abcdef")
    assert place.once().exit_code == 0, "it waited although nobody had been asked"
    assert place.lanes()["lake"]["failures_in_a_row"] == 0


def test_once_does_not_fail_for_a_lane_that_is_not_required_and_tells_it(place: Place) -> None:
    place.destination[1]["required"] = False
    place.lake.faults.plan("503", count=None)
    done = place.once()
    assert done.exit_code == 0, done.output
    assert "HTTP 503" in done.stdout
    assert "5 events wait (best effort)" in done.stdout


def test_once_with_all_lanes_down_fails_and_keeps_everything(place: Place) -> None:
    place.siem.faults.plan("503", count=None)
    place.lake.faults.plan("401", count=None)
    done = place.once()
    assert done.exit_code == 1
    assert {name: lane["waiting_events"] for name, lane in place.lanes().items()} == {"siem": 5, "lake": 5}


# -- status


def test_status_says_how_each_lane_stands(place: Place) -> None:
    place.lake.faults.plan("503", count=None)
    place.once()
    shown = place.flicker("status").stdout
    siem, lake = row_of(shown, f"{NAME}@siem"), row_of(shown, f"{NAME}@lake")
    assert siem[1:4] == ["0", "0", "0"]
    assert siem[4].startswith("HTTP 200 OK, ")
    assert siem[5] == "ok"
    assert lake[1:4] == ["5", "0", "0"]
    assert lake[4].startswith("HTTP 503 Service Unavailable, ")
    assert lake[5].startswith("failed, rests until 20")
    (why,) = [line for line in shown.splitlines() if line.startswith(f"{NAME}@lake: ")]
    assert "the SIEM does not take events: HTTP 503" in why
    found = place.lanes()
    assert found["siem"] | {"last_answer_at": None} == {
        "lane": "siem",
        "type": "http",
        "required": True,
        "waiting_events": 0,
        "unconfirmed_events": 0,
        "dead_letters": 0,
        "failures_in_a_row": 0,
        "failed_at": None,
        "failing_because": None,
        "rests_until": None,
        "last_answer": "HTTP 200 OK",
        "last_answer_at": None,
    }
    assert (found["lake"]["failures_in_a_row"], found["lake"]["waiting_events"]) == (1, 5)
    assert found["lake"]["rests_until"] > found["lake"]["failed_at"]


def test_status_of_a_single_destination_is_named_by_its_source_once_it_was_used(place: Place) -> None:
    place.destination = place.to("siem", place.siem)
    assert "Destinations" not in place.flicker("status").stdout
    place.once()
    assert row_of(destinations_of(place.flicker("status").stdout), NAME)[1:4] == ["0", "0", "0"]
    assert list(place.lanes()) == [None]
    assert place.lanes()[None]["last_answer"] == "HTTP 200 OK"  # type: ignore[index]


def test_status_writes_nothing_down(place: Place) -> None:
    place.flicker("status")
    assert place.layout().lane_book(NAME).read() == {}


def test_status_fits_eighty_columns(place: Place) -> None:
    place.lake.faults.plan("503", count=None)
    place.once()
    shown = place.flicker("status", columns=NARROW).stdout
    for word in ("@siem", "@lake", "unconfirmed", "rests until"):
        assert word in shown
    tables, why, _ = shown.partition(f"{NAME}@lake: http")
    assert why
    assert max(map(len, tables.splitlines())) <= int(NARROW)


@pytest.mark.parametrize(("ack", "answer"), [(True, "HTTP 200 OK"), (False, "HTTP 200 OK, received, not indexed")])
def test_what_was_taken_and_what_was_only_received_is_seen(place: Place, ack: bool, answer: str) -> None:
    with closing(SplunkHecReceiver(tokens={"t": HecToken(ack=ack)})) as splunk:
        place.destination = {"type": "splunk_hec", "url": splunk.url, "token": "t"}
        place.destination |= {"ack_ask_after_ms": 600_000, "ack_expires_ms": 6_000_000}
        done = place.once()
        assert done.exit_code == int(ack)
        result = row_of(done.stdout, NAME)[5]
        assert result == ("5 events were taken and are not confirmed yet" if ack else "ok")
        shown = row_of(destinations_of(place.flicker("status").stdout), NAME)
        assert shown[1:4] == ["0", "5" if ack else "0", "0"]
        assert shown[4].startswith(f"{answer}, ")
        lane = place.lanes()[None]  # type: ignore[index]
        assert (lane["unconfirmed_events"], lane["last_answer"]) == (5 if ack else 0, answer)


def test_once_waits_for_a_confirmation_longer_than_a_run_does(place: Place) -> None:
    with closing(SplunkHecReceiver(tokens={"t": HecToken(ack=True)})) as splunk:
        place.destination = {"type": "splunk_hec", "url": splunk.url, "token": "t"}
        place.destination |= {"ack_ask_after_ms": int(ASKED_WITHIN_S * 1000) + 500, "ack_expires_ms": 600_000}
        done = place.once()
        assert done.exit_code == 0, done.output
        assert row_of(done.stdout, NAME)[3:] == ["5", "0", "ok"]
        assert place.lanes()[None]["last_answer"] == "HTTP 200 OK, indexed"  # type: ignore[index]


# -- dead letters


def test_dead_letters_are_those_of_their_lane(place: Place) -> None:
    place.lake.poison = place.vendor.emitter.emitted()[0].id
    assert place.once().exit_code == 0
    listed = place.flicker("dead-letters", "list").stdout
    assert f"{NAME}@lake" in listed
    assert f"{NAME}@siem" not in listed
    (letter,) = json.loads(place.flicker("dead-letters", "list", "--json").stdout)["dead_letters"]
    assert (letter["source"], letter["lane"], letter["events"]) == (NAME, "lake", 1)
    assert place.flicker("dead-letters", "list", f"{NAME}@siem").stdout == "no dead letters\n"
    assert json.loads(place.flicker("dead-letters", "show", letter["id"], "--json").stdout)["lane"] == "lake"
    assert row_of(place.flicker("status").stdout, f"{NAME}@lake")[3] == "1"
    place.lake.poison = None
    replayed = place.flicker("dead-letters", "replay", f"{NAME}@lake")
    assert replayed.exit_code == 0, replayed.output
    assert f"{NAME}@lake: 1 events accepted and removed" in replayed.output
    assert received(place.siem) == received(place.lake) == [1] * 5


# -- adding and removing


def test_a_lane_added_later_begins_where_collection_stands(place: Place) -> None:
    both, place.destination = place.destination, place.to("siem", place.siem)
    assert place.once().exit_code == 0
    place.destination = both
    place.vendor.emitter.emit(2)
    done = place.once()
    assert done.exit_code == 0, done.output
    assert received(place.siem) == [1] * 7
    assert received(place.lake) == [1] * 3  # the two, and the one at the very position


def test_a_lane_that_is_removed_is_named_until_it_is_forgotten(place: Place) -> None:
    place.lake.poison = place.vendor.emitter.emitted()[0].id
    place.once()
    place.destination = place.destination[:1]
    said = f"{NAME}@lake: this destination is no longer configured, and 1 dead letters and which events were delivered"
    for arguments in (["status"], ["--validate"]):
        assert said in place.flicker(*arguments).output
    asked = place.flicker("forget", f"{NAME}@lake")
    assert asked.exit_code == 1
    assert f"{NAME}@lake: 1 dead letters, and which events were delivered to it" in asked.output
    assert said in place.flicker("status").output, "nobody said yes"
    assert place.flicker("forget", f"{NAME}@lake", "--yes").output.endswith(f"{NAME}@lake: forgotten\n")
    assert f"{NAME}@lake" not in place.flicker("status").output
    assert list(place.layout().lane_book(NAME).read()) == ["siem"]
    assert place.layout().dead_letters(NAME, "lake").list() == []
    assert list(place.layout().ledger(NAME, "lake").windows()) == []
    assert list(place.layout().ledger(NAME).windows()) != []
    assert (
        place.flicker("forget", f"{NAME}@lake", "--yes").output
        == f"{NAME}@lake: nothing is kept of it; {NAME} has siem\n"
    )


def test_a_lane_that_is_configured_is_not_forgotten(place: Place) -> None:
    place.once()
    refused = place.flicker("forget", f"{NAME}@lake", "--yes")
    assert refused.exit_code == 1
    assert f"{NAME}@lake is configured in" in refused.output
    assert "lake" in place.layout().lane_book(NAME).read()


def test_the_single_destination_that_is_left_goes_on_with_the_first_lanes_state(place: Place) -> None:
    place.once()
    place.destination = place.to("siem", place.siem)
    shown = place.flicker("status").output
    assert f"{NAME}@lake: this destination is no longer configured" in shown
    assert f"{NAME}@siem" not in shown
    place.vendor.emitter.emit(1)
    assert place.once().exit_code == 0
    assert received(place.siem) == [1] * 6


def test_a_lane_that_was_forgotten_and_comes_back_gets_what_still_waits(place: Place) -> None:
    both = place.destination
    place.siem.faults.plan("503", count=None)
    assert place.once().exit_code == 1  # the lake has all, the position waits for the SIEM
    place.destination = both[:1]
    assert place.flicker("forget", f"{NAME}@lake", "--yes").exit_code == 0
    place.siem.faults.clear()
    place.destination = both
    (place.home / "work" / "spool" / NAME / ".lane@siem.json").unlink()
    assert place.once().exit_code == 0
    assert received(place.siem) == [1] * 5
    assert set(received(place.lake)) <= {1, 2}
    assert all(lane["waiting_events"] == 0 for lane in place.lanes().values())
