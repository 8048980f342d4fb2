"""kill -9 at every arrow of three lanes of different kinds: each lane loses nothing, and repeats nothing but what its own
open arrow explains, whatever the others were doing when the process died.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster import failpoints
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.bulk import DataStream
from flicker_dagster.config.destinations.elasticsearch import ElasticsearchDestination
from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.destinations.splunk_hec import SplunkHecDestination
from flicker_dagster.config.groups import Limits
from flicker_dagster.config.layers import lay_beneath
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.types import Position
from flicker_dagster_tests.crash.worker import Task, Workers
from flicker_dagster_tests.siems import API_KEY, TOKEN, Deaths, Elastic, Splunk, doubles, unexcused, vendor_id

pytestmark = pytest.mark.timeout(120)

PER_LOT = 7
ASK_AFTER_MS, EXPIRES_MS = 50, 700
#: A window ends and a position moves once everything is confirmed; each run waits some seconds for that by itself.
MOST_RUNS = 6

LANES = {name for name in failpoints.NAMES if name.startswith(("lane.", "deliver.", "spool.ack.", "dead_letters."))}
COMMIT = {name for name in failpoints.NAMES if name.startswith(("commit.", "ledger.", "registry.", "spool.clear"))}
GIVE_UP = {name for name in failpoints.NAMES if name.startswith("give_up.")}

#: Passed once in a run; at the others, the second time is another lane's or another request's.
ONCE = {name for name in COMMIT if name.startswith(("registry.", "spool.clear"))}
ONCE |= {"commit.after_registry", "commit.after_clear"}
#: Receipts are asked after once a second at most: whether a run is told twice is chance.
BY_CHANCE = {"lane.confirmed"}
LIVE = sorted({(name, 1) for name in LANES | COMMIT} | {(name, 2) for name in (LANES | COMMIT) - ONCE - BY_CHANCE})
WINDOW = [*sorted((LANES | COMMIT) - ONCE), "commit.after_clear"]


class Scene:
    """A vendor and three SIEMs in bad weather: too large bodies, throttled items, a poisoned event, answers that come
    late, are lost or never come."""

    def __init__(self, tmp_path: Path, workers: Workers, *, second: str, optional: bool = False) -> None:
        self.vendor = GitHub(per_minute=10**6)
        self.http, self.elastic, self.splunk = Receiver(), Elastic(), Splunk(ack_delay_s=0.03)
        self.file = tmp_path / "out.ndjson"
        self.second, self.optional = second, optional
        self.workers = workers
        self.state, self.work_dir = str(tmp_path / "state"), str(tmp_path / "work")
        self.source = self._source()
        self.cursor: Position | None = None
        self.poison: bytes | None = None
        self.kills = 0
        self.turns: set[int] = set()
        self._died = False

    def bad_weather(self) -> None:
        """Each of it hits a request behind the first: a lane that has taken nothing is left alone for a while."""
        self.http.poison = self.vendor.emitter.emitted()[-5].id
        self.poison = self.http.poison.encode()
        self.http.max_bytes = 1_500
        self.http.faults.plan("commit_then_cut", after=1)
        self.elastic.refuse_items(ItemRefusal(429, "es_rejected_execution_exception", "queue is full"), count=3)
        self.elastic.refuse_items(ItemRefusal(400, "document_parsing_exception", "no"), holding=self.poison, count=None)
        self.elastic.faults.plan("commit_then_cut", after=1)
        self.splunk.faults.plan("commit_then_cut", after=1)
        self.splunk.unacknowledged = 1
        self.splunk.ack_faults.plan("commit_then_cut", after=1)

    def emit(self, count: int, *, at_ms: int | None = None) -> None:
        at_ms = int(time.time() * 1000) - 5_000 if at_ms is None else at_ms
        for number in range(count):
            self.vendor.emitter.emit(1, at_ms=at_ms + number)

    def poll(self, *, die_at: str | None = None, die_at_pass: int = 1) -> None:
        """Live polls until everything is settled, or one has died."""
        self._until_settled(die_at, die_at_pass)

    def sweep(self, key: str, *, die_at: str | None = None) -> None:
        self._until_settled(die_at, 1, window=key)

    def check(self) -> None:
        assert self.kills, "no process was killed: this test proves nothing"
        emitted = {event.id: event.body for event in self.vendor.emitter.emitted()}
        guilty = {event_id for event_id, body in emitted.items() if self.poison is not None and self.poison in body}
        self._check_http(emitted.keys() - guilty)
        if self.optional:
            assert doubles(self.elastic.events("github")) == 0, "elasticsearch, of which nothing is required"
        elif self.second == "file":
            written = Counter(vendor_id(json.loads(line)) for line in self.file.read_bytes().splitlines())
            assert written == Counter(dict.fromkeys(emitted, 1)), "the file"
        else:
            assert self.elastic.events("github") == Counter(dict.fromkeys(emitted.keys() - guilty, 1)), "elasticsearch"
            self._check_dead(self.second, guilty)
        self._check_splunk(set(emitted))
        self._check_dead("http", guilty)

    def close(self) -> None:
        for each in (self.vendor, self.http, self.elastic, self.splunk):
            each.close()

    # -- inside

    def _check_http(self, wanted: set[str]) -> None:
        inbox = self.http.inbox("/siem")
        assert wanted - inbox.counts.keys() == set(), "http: lost"
        assert inbox.repeated_otherwise == 0, "http: the same key came with other bytes"
        assert inbox.twice == sum(each.events for each in inbox.repeats), "http: repeated under another key"
        assert sum(each.answered for each in inbox.repeats) <= self.kills, "http: repeated what was answered"

    def _check_splunk(self, wanted: set[str]) -> None:
        assert wanted - self.splunk.events("github").keys() == set(), "splunk_hec: lost"
        left = unexcused(
            self.splunk.repeats("github"),
            deaths=Deaths(turns=frozenset(self.turns)),
            expires_s=EXPIRES_MS / 1000,
            spoilt=self.splunk.spoilt(),
        )
        assert left == [], "splunk_hec: repeated what was confirmed, or is still to be"

    def _check_dead(self, lane: str, guilty: set[str]) -> None:
        layout = StateLayout.of(registry_file=None, state_dir=self.state, work_dir=self.work_dir)
        place = layout.lane_book(self.source.name).read()[lane]
        letters = layout.dead_letters(self.source.name, place.storage)
        kept = [vendor_id(json.loads(letter.event)) for each in letters.list() for letter in letters.read(each)]
        assert sorted(kept) == sorted(guilty), f"dead letters of {lane}"

    def _until_settled(self, die_at: str | None, die_at_pass: int, window: str | None = None) -> None:
        for _ in range(MOST_RUNS):
            if self._died:  # a request that the process had sent may have been dealt with after its death
                self.turns.add(self.splunk.turn)
            task = Task(
                self.source, self.state, self.work_dir, die_at=die_at, die_at_pass=die_at_pass, may_wait=True,
                position=self.cursor, window=window,
            )  # fmt: skip
            code, end, settled = self.workers.run(task)
            assert code in (0, -9)
            self._died = code == -9
            self.kills += self._died
            self.cursor = end or self.cursor
            if settled or self._died:
                return
        pytest.fail(f"not settled within {MOST_RUNS} runs")

    def _source(self) -> SourceConfig:
        own: dict[str, Any] = {
            "name": "github",
            "endpoint": f"{self.vendor.url}/orgs/company/audit-log",
            "start_from": "2h",
            "buffer_size": PER_LOT,
            "destination": self._destinations(),
        }
        raw, _ = lay_beneath(presets()["github"], own, name="github")
        raw["pagination"] = raw["pagination"] | {"page_size": 10}
        raw["query_params"] = raw["query_params"] | {"include": "all"}
        if self.optional:
            raw["limits"] = Limits(spool_bytes=3_000)
        return SourceConfig.model_validate(raw)

    def _destinations(self) -> list[DestinationRecord]:
        second: DestinationRecord = (
            FileDestination(type="file", path=str(self.file))
            if self.second == "file"
            else ElasticsearchDestination(
                type="elasticsearch",
                endpoint=self.elastic.url,
                api_key=API_KEY,
                data_stream=DataStream(dataset="github"),
                max_in_flight=1,
                required=not self.optional,
            )
        )
        return [
            HttpDestination(type="http", endpoint=f"{self.http.url}/siem", max_in_flight=1),
            second,
            SplunkHecDestination(
                type="splunk_hec", url=self.splunk.url, token=TOKEN, ack="required", max_in_flight=1,
                ack_ask_after_ms=ASK_AFTER_MS, ack_expires_ms=EXPIRES_MS,
            ),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def workers() -> Workers:
    return Workers()


@pytest.fixture
def scene_of(tmp_path: Path, workers: Workers) -> Iterator[Any]:
    scenes: list[Scene] = []

    def build(**how: Any) -> Scene:
        scenes.append(Scene(tmp_path, workers, **how))
        return scenes[-1]

    yield build
    for scene in scenes:
        scene.close()


@pytest.mark.parametrize(("arrow", "passes"), LIVE, ids=lambda value: str(value))
def test_a_kill_at_any_arrow_of_three_lanes_of_a_live_poll(scene_of: Any, arrow: str, passes: int) -> None:
    scene = scene_of(second="elasticsearch")
    scene.emit(40)
    scene.bad_weather()
    scene.poll(die_at=arrow, die_at_pass=passes)
    scene.emit(8)
    scene.poll()
    scene.check()


@pytest.mark.parametrize("arrow", WINDOW)
def test_a_kill_at_any_arrow_of_three_lanes_of_a_window_run(scene_of: Any, arrow: str) -> None:
    scene = scene_of(second="elasticsearch")
    window = window_at(scene.source.window, int(time.time() * 1000) - HOUR_MS)
    scene.poll()  # collection begins; then events of the past hour turn up late
    scene.emit(40, at_ms=window.start_ms + 60_000)
    scene.bad_weather()
    scene.sweep(window.key, die_at=arrow)
    scene.sweep(window.key)
    scene.poll()
    scene.check()


#: A file answers no event by itself, so nothing lies between two answers there.
@pytest.mark.parametrize("arrow", sorted(set(LANES) - {"lane.between_items"}))
def test_a_file_among_the_lanes_holds_each_event_once(scene_of: Any, arrow: str) -> None:
    scene = scene_of(second="file")
    scene.emit(40)
    scene.bad_weather()
    scene.poll(die_at=arrow)
    scene.emit(8)
    scene.poll()
    scene.check()


@pytest.mark.parametrize("arrow", sorted(GIVE_UP))
def test_a_kill_while_an_optional_lane_is_given_up(scene_of: Any, arrow: str) -> None:
    scene = scene_of(second="elasticsearch", optional=True)
    scene.elastic.faults.plan("503", count=None)
    scene.emit(40)
    scene.poll(die_at=arrow)
    scene.elastic.faults.clear()
    scene.emit(8)
    for _ in range(3):  # fetching pauses while the spool is full
        scene.poll()
    scene.check()
