"""Vendors, SIEM and page together: what is missing, what came twice, what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
import requests

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.comparison import Row
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.world import CATCH_UP_S, IN_FLIGHT_S, World
from flicker_dagster_tests.simulator.worlds import Clock


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    with World(clock=clock) as world:
        yield world


def ship(world: World, name: str, bodies: list[bytes]) -> None:
    answer = requests.post(f"{world.siem.url}/{name}", data=b"[" + b",".join(bodies) + b"]", timeout=5)
    assert answer.status_code == 200


def row(world: World, name: str) -> Row:
    return next(row for row in world.compare() if row.source == name)


@pytest.mark.parametrize("name", ["okta", "salesforce"])
def test_what_was_emitted_and_is_in_the_siem_is_neither_missing_nor_twice(world: World, name: str) -> None:
    ship(world, name, [event.body for event in world.vendor(name).emitter.emit(3)])
    assert row(world, name) == Row(name, emitted=3, in_siem=3, in_flight=0, missing=0, twice=0, unknown=0)


def test_what_is_not_in_the_siem_is_missing_and_on_its_way_only_while_young(world: World, clock: Clock) -> None:
    first, *_ = world.vendor("okta").emitter.emit(3)
    ship(world, "okta", [first.body])
    clock.move(IN_FLIGHT_S - 1)
    assert row(world, "okta") == Row("okta", emitted=3, in_siem=1, in_flight=2, missing=2, twice=0, unknown=0)
    clock.move(2)
    assert row(world, "okta") == Row("okta", emitted=3, in_siem=1, in_flight=0, missing=2, twice=0, unknown=0)


def test_history_is_caught_up_with_before_it_is_missing(clock: Clock) -> None:
    with World(vendors=("okta",), history_s=3_600, history_rate=0.01, clock=clock) as world:
        history = [event.body for event in world.vendor("okta").emitter.emitted()]
        clock.move(IN_FLIGHT_S + 1)
        seen = row(world, "okta")
        assert (seen.missing, seen.backlog, seen.in_flight, seen.overdue) == (36, 36, 0, 0)
        ship(world, "okta", history[:30])
        world.vendor("okta").emitter.emit(2)
        seen = row(world, "okta")
        assert (seen.missing, seen.backlog, seen.in_flight, seen.overdue) == (8, 6, 2, 0)
        clock.move(CATCH_UP_S)
        seen = row(world, "okta")
        assert (seen.missing, seen.backlog, seen.in_flight, seen.overdue) == (8, 0, 0, 8)


def test_what_arrives_again_is_twice(world: World) -> None:
    bodies = [event.body for event in world.vendor("okta").emitter.emit(2)]
    for _ in range(3):
        ship(world, "okta", bodies)
    assert row(world, "okta").twice == 4


def test_what_no_vendor_emitted_is_unknown(world: World) -> None:
    ship(world, "okta", [b'{"uuid": "from nowhere"}'])
    assert row(world, "okta") == Row("okta", emitted=0, in_siem=1, in_flight=0, missing=0, twice=0, unknown=1)


def test_an_event_at_the_wrong_path_is_missing_here_and_unknown_there(world: World) -> None:
    (event,) = world.vendor("okta").emitter.emit(1)
    ship(world, "salesforce", [event.body])
    assert row(world, "okta").missing == 1
    assert row(world, "salesforce").unknown == 1


def test_an_event_that_is_not_visible_yet_is_held_against_nobody(world: World, clock: Clock) -> None:
    world.vendor("okta").emitter.emit(1, visible_ms=clock.now_ms + 60_000)
    assert row(world, "okta").emitted == 0
    clock.move(60)
    assert row(world, "okta").emitted == 1


def test_git_events_do_not_count_for_github(world: World) -> None:
    events = world.vendor("github").emitter.emit(50)
    web = [event.body for event in events if b'"action":"git.' not in event.body]
    assert 0 < len(web) < 50
    ship(world, "github", web)
    assert row(world, "github") == Row(
        "github", emitted=len(web), in_siem=len(web), in_flight=0, missing=0, twice=0, unknown=0
    )


def test_vendors_differ_in_their_events_and_stop_together(clock: Clock) -> None:
    with World(rate=1.0, clock=clock, seed=3) as world:
        clock.move(10)
        emitted = [world.vendor(name).emitter.emitted() for name in ("okta", "github", "salesforce")]
        assert [len(events) for events in emitted] == [10, 10, 10]
        assert len({event.id for events in emitted for event in events}) == 30
        world.stop_emitting()
        clock.move(60)
        assert len(world.vendor("okta").emitter.emitted()) == 10


def test_only_the_vendors_asked_for_are_there(clock: Clock) -> None:
    with World(vendors=("okta",), clock=clock) as world:
        assert [row.source for row in world.compare()] == ["okta"]
        with pytest.raises(FlickerError, match="no simulated vendor 'github'; there are okta"):
            world.vendor("github")


def test_each_vendor_has_its_own_token(clock: Clock) -> None:
    with World(tokens={"okta": "secret"}, clock=clock) as world:
        url = f"{world.vendor('okta').url}/api/v1/logs"
        assert requests.get(url, timeout=5).status_code == 401
        assert requests.get(url, headers={"Authorization": "SSWS secret"}, timeout=5).status_code == 200


def test_the_page_is_served_with_its_figures_as_json(world: World, clock: Clock) -> None:
    (event,) = world.vendor("okta").emitter.emit(1)
    ship(world, "okta", [event.body])
    page = requests.get(world.page.url, timeout=5)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert requests.get(f"{world.page.url}/favicon.ico", timeout=5).status_code == 404
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/api/status" in page.text
    status = requests.get(f"{world.page.url}/api/status", timeout=5).json()
    assert status["now_ms"] == clock.now_ms
    assert [source["source"] for source in status["sources"]] == ["okta", "github", "salesforce"]
    okta, github = islice(status["sources"], 2)
    assert (okta["emitted"], okta["in_siem"], okta["siem"]["accepted"]) == (1, 1, 1)
    assert github["siem"] is None


def test_streams_are_compared_one_by_one_and_shown_by_source(clock: Clock) -> None:
    streams, names = {"google_workspace": ("login", "drive")}, {"google_workspace": "google"}
    with World(
        vendors=("google_workspace", "okta"),
        streams=streams,
        names=names,
        assets=names,
        rate=2.0,
        siem=Receiver(clock=clock, by_source=True),
        clock=clock,
    ) as world:
        clock.move(10)
        vendor = world.vendor("google_workspace")
        assert not vendor.emitters["admin"].emitted(), "what nobody collects does not happen"
        bodies = [event.body for event in vendor.emitters["login"].emitted()]
        assert len(bodies) == 10
        envelopes = b",".join(b'{"source":"google/login","event":%b}' % body for body in bodies)
        requests.post(f"{world.siem.url}/events", data=b"[%b]" % envelopes, timeout=5)
        rows = {row.name: (row.emitted, row.missing, row.unknown) for row in world.compare()}
        assert rows == {
            "google_workspace/login": (10, 0, 0),
            "google_workspace/drive": (10, 10, 0),
            "okta": (20, 20, 0),
        }
        google, okta = world.status()["sources"]
        assert (google["name"], google["emitted"], google["siem"]["accepted"]) == ("google", 20, 10)
        assert [(each["stream"], each["asset"]) for each in google["streams"]] == [
            ("login", "google/login"),
            ("drive", "google/drive"),
        ]
        assert okta["streams"] == []
        world.stop_emitting()
        clock.move(10)
        assert sum(row.emitted for row in world.compare()) == 40


def test_rows_of_log_files_are_due_once_their_file_is_there(clock: Clock) -> None:
    with World(
        vendors=("salesforce",),
        streams={"salesforce": ("event_log_files",)},
        options={"salesforce": {"file_delay_s": 0.0}},
        clock=clock,
    ) as world:
        world.vendor("salesforce").emitters["event_log_files"].emit(3)
        assert row(world, "salesforce").emitted == 0
        clock.move(3_600)
        assert row(world, "salesforce").emitted == 3


def test_what_cannot_be_an_event_of_a_stream_is_unknown(clock: Clock) -> None:
    with World(vendors=("google_workspace",), streams={"google_workspace": ("login",)}, clock=clock) as world:
        ship(world, "google_workspace/login", [b'{"uuid": "from nowhere"}'])
        assert row(world, "google_workspace").unknown == 1


def test_a_closed_world_answers_no_more(clock: Clock) -> None:
    with World(clock=clock) as world:
        urls = [world.page.url, f"{world.siem.url}/_siem/stats", f"{world.vendor('okta').url}/_sim/stats"]
        with requests.Session() as kept_alive:
            assert [kept_alive.get(url, timeout=5).status_code for url in urls] == [200, 200, 200]
            world.close()
            for url in urls:
                with pytest.raises(requests.exceptions.ConnectionError):
                    kept_alive.get(url, timeout=5)
