"""The peers' most telling complaints, 1 to 12: late events, and the same event twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.pipeline.windows import window_at
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.test_grove_faults import okta_source
from flicker_dagster_tests.conformance.twists import twist

rows(
    "peers",
    {
        1: "an API that reveals events out of order, newest first: 1 % of them missed behind the newest time seen",
        2: "gaps of minutes at every edge of a polling window, found only by comparing with another copy",
        3: "completeness is bought with a lag of hours, and detections are late",
        4: "a comparison over a quiet weekend lost a fifth of the logs with one time as pointer",
        5: "an eventually consistent API loses events to polling by time",
        6: "a short look-back misses events, a long one duplicates everything",
        7: "rows stored after the run with an earlier time are never read; the look-back was applied to the start date",
        8: "neighbours of the pointer's time in the overlap are sent again",
        9: "84.6 % of 702,553 rows were duplicates",
        10: "a burst too deep for one run never completed; the same pages came again for six days",
        11: "a wrong path to the last id loops over old data",
        12: "fingerprints differ between deliveries of one event, and collide for distinct events",
    },
)


@row("peers-1", behaviour="an overlap is read at each poll and compared by id, whatever the order of the listing")
def test_out_of_order_arrives(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(newest_first=True)) as scene:
        for hidden_s in (0, 5, 30):
            scene.emit(15, seconds_ago=50, visible_in_s=hidden_s)
        for _ in range(4):
            scene.poll()
            scene.clock.now_s += 15
        scene.assert_each_once()


@row(
    "peers-2", "peers-3", behaviour="a live tail for speed and a settled re-read of each closed window for completeness"
)
def test_a_sweep_finds_what_the_tail_could_not(tmp_path: Path) -> None:
    clock = Clock()
    clock.now_s = clock.now_s // 3600 * 3600 + 1800
    with plain_scene(tmp_path, clock=clock) as scene:
        scene.emit(20)
        scene.emit(3, seconds_ago=20 * 60, visible_in_s=25 * 60)
        scene.poll()
        assert len(scene.received()) == 20  # at once
        key = window_at(scene.source.window, clock.now_ms).key
        clock.now_s += 3600
        scene.emit(5)
        scene.poll()
        scene.sweep(key)
        scene.assert_each_once()


@row("peers-4", behaviour="quiet polls keep the overlap behind the last event, and late events are counted")
def test_a_quiet_weekend_loses_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        late = 0
        for hour in range(48):
            scene.emit(1, seconds_ago=1)
            scene.emit(1, seconds_ago=20, visible_in_s=60 + hour)
            scene.poll()
            scene.clock.now_s += 120
            late += scene.poll().tally.late
            scene.clock.now_s += 3480
        scene.poll()
        assert late > 0
        scene.assert_each_once()


@row("peers-5", behaviour="the vendor's own cursor is followed and kept between polls where there is one")
def test_an_eventually_consistent_api_is_read_by_its_cursor(tmp_path: Path) -> None:
    clock = Clock()
    vendor, siem = Okta(clock=clock, per_minute=10**6), Receiver(clock=clock)
    destination = HttpDestination(type="http", endpoint=f"{siem.url}/siem")
    scene = Scene(vendor, siem, okta_source(vendor, destination, page_size=10), tmp_path, clock)
    try:
        scene.emit(15, seconds_ago=0)
        scene.emit(5, seconds_ago=40 * 60, visible_in_s=20)  # far behind any lookback
        for _ in range(3):
            clock.now_s += 15
            scene.poll()
        scene.assert_each_once()
    finally:
        scene.close()


@row(
    "peers-6", "peers-8", "peers-9", behaviour="a poll without new ids asks the SIEM nothing, however long the overlap"
)
@pytest.mark.parametrize("lookback_ms", [0, 1_000, 3_600_000])
def test_a_poll_without_news_ships_nothing(tmp_path: Path, lookback_ms: int) -> None:
    with plain_scene(tmp_path, lookback_ms=lookback_ms) as scene:
        scene.emit(60, seconds_ago=30)
        scene.poll()
        shipped = scene.siem.requests
        for _ in range(3):
            scene.clock.now_s += 5
            assert scene.poll().tally.new == 0
        assert scene.siem.requests == shipped
        scene.assert_each_once()


@row("peers-7", behaviour="the lookback counts from the position, at every poll")
def test_the_lookback_counts_from_the_position(tmp_path: Path) -> None:
    with plain_scene(tmp_path, lookback_ms=30_000) as scene:
        asked: list[int] = []
        twist(scene, lambda request, _: asked.append(parse_time_ms(request.query["since"]) or 0))
        scene.emit(1, seconds_ago=10)
        scene.poll()
        position_ms = parse_time_ms(scene.cursor.last_timestamp) if scene.cursor else None
        scene.emit(1, seconds_ago=25)
        report = scene.poll()
        assert asked[-1] == (position_ms or 0) - 30_000
        assert report.tally.late == 1
        scene.assert_each_once()


@row("peers-10", behaviour="a run's budget keeps a resume point inside the burst; each page is asked for once")
def test_a_deep_burst_completes_page_by_page(tmp_path: Path) -> None:
    with plain_scene(tmp_path, limits={"run_pages": 3}) as scene:
        scene.emit(100)
        ends = [scene.poll().complete for _ in range(4)]
        assert ends == [False, False, False, True]
        assert scene.vendor.requests == 10
        scene.assert_each_once()


@row("peers-11", behaviour="an event whose id cannot be found is known by its content")
def test_a_wrong_path_to_the_id_repeats_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path, id_field="meta.nowhere") as scene:
        scene.emit(25)
        scene.poll()
        scene.poll()
        scene.assert_each_once()


@row("peers-12", behaviour="the declared id decides; without one the whole content, with its keys in order")
def test_identity_is_the_id_and_not_its_neighbours(tmp_path: Path) -> None:
    with plain_scene(tmp_path / "ids") as scene:
        turn = iter(range(100))

        def restamp(_request: object, answer: dict) -> dict:
            number = next(turn)
            for event in answer["data"]["events"]:
                event["ingested"] = number
            return answer

        twist(scene, restamp)
        scene.emit(25)
        scene.poll()
        scene.poll()
        scene.assert_each_once()
    with plain_scene(tmp_path / "content", shape=Shape(with_ids=False)) as scene:
        scene.vendor.emitter.emit(25, at_ms=scene.clock.now_ms - 1_000)
        twist(
            scene,
            lambda _, answer: answer | {"data": {"events": [e | {"type": "x"} for e in answer["data"]["events"]]}},
        )
        scene.poll()
        scene.poll()
        assert sorted(scene.received().values()) == [1] * 25
