"""kill -9 at every arrow of an event's path, then restart: nothing lost, and nothing twice but at one arrow.

That arrow lies between the SIEM's acknowledgement and the journal's write. There the repeated batch must carry the same
Idempotency-Key and the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flicker_dagster import failpoints
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.layers import lay_beneath
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import presets
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.simulator.plain import Plain, Shape
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.state.dead_letters import DeadLetters
from flicker_dagster.state.stores import open_store
from flicker_dagster.types import Position
from flicker_dagster_tests.crash.worker import Task, Workers

pytestmark = pytest.mark.timeout(120)

#: The one arrow that cannot be closed from outside, at its two ends.
OPEN_ARROW = {"deliver.after_send", "spool.ack.before_journal"}

#: Only a batch that the SIEM refuses passes here: `test_dead_letters_survive`, and the tests of replays.
REFUSAL = {name for name in failpoints.NAMES if name.startswith(("dead_letters.", "replay."))}

#: What only some answers of some destinations lead to: see `test_lanes.py`.
LANES = {name for name in failpoints.NAMES if name.startswith(("lane.", "give_up."))}

LIVE = {name for name in failpoints.NAMES if not name.startswith("spool.remove")} - REFUSAL - LANES
WINDOW = {name for name in failpoints.NAMES if not name.startswith(("registry", "spool.clear"))} - REFUSAL - LANES
WINDOW -= {"commit.after_registry"}
ON_S3 = LIVE - {"store.write.before", "store.write.after"}


def _okta(siem: str) -> tuple[Vendor, SourceConfig]:
    vendor = Okta(per_minute=10**6)
    return vendor, _with_preset("okta", f"{vendor.url}/api/v1/logs", siem, page_size=10)


def _github(siem: str) -> tuple[Vendor, SourceConfig]:
    vendor = GitHub(per_minute=10**6)
    source = _with_preset("github", f"{vendor.url}/orgs/company/audit-log", siem, page_size=10)
    params = source.query_params | {"include": "all"}
    return vendor, source.model_copy(update={"query_params": params})


def _newest_first(siem: str) -> tuple[Vendor, SourceConfig]:
    vendor = Plain(shape=Shape(newest_first=True), per_minute=10**6)
    return vendor, SourceConfig(
        name="plain",
        endpoint=f"{vendor.url}/events",
        polling_frequency_ms=5_000,
        results_field="data.events",
        id_field="id",
        timestamp_field="time",
        time_filter_param="since",
        time_filter_until_param="until",
        order="descending",
        pagination=Pagination(
            pagination_type="cursor",
            cursor_param="cursor",
            next_cursor_field="meta.next_cursor",
            limit_param="limit",
            page_size=10,
        ),
        start_from="2h",
        buffer_size=7,
        destination=HttpDestination(type="http", endpoint=siem, max_in_flight=1),
    )


def _with_preset(vendor: str, endpoint: str, siem: str, *, page_size: int) -> SourceConfig:
    own: dict[str, Any] = {
        "name": vendor,
        "endpoint": endpoint,
        "start_from": "2h",
        "buffer_size": 7,
        "destination": {"type": "http", "endpoint": siem, "max_in_flight": 1},
    }
    raw, _ = lay_beneath(presets()[vendor], own, name=vendor)
    raw["pagination"] = raw["pagination"] | {"page_size": page_size}
    return SourceConfig.model_validate(raw)


KINDS = {"durable cursor": _okta, "time-based": _github, "newest first": _newest_first}


@pytest.fixture(scope="module")
def workers() -> Workers:
    return Workers()


class Scene:
    """A vendor, a SIEM, and the sensor's cursor between polls."""

    def __init__(self, kind: str, state: str, work_dir: Path, workers: Workers, env: dict[str, str]) -> None:
        self.siem = Receiver()
        self.vendor, self.source = KINDS[kind](f"{self.siem.url}/siem")
        self.state, self.work_dir, self.workers, self.env = state, str(work_dir), workers, env
        self.cursor: Position | None = None
        self.kills = 0

    def emit(self, count: int, *, seconds_ago: float = 5.0) -> None:
        now_ms = int(time.time() * 1000)
        for number in range(count):
            self.vendor.emitter.emit(1, at_ms=now_ms - int(seconds_ago * 1000) + number)

    def poll(self, *, die_at: str | None = None, die_at_pass: int = 1) -> int | None:
        """A live poll from where the sensor stands; the sensor learns of it only if it ends."""
        code, end = self._run(die_at, die_at_pass, position=self.cursor)
        self.cursor = end or self.cursor
        return code

    def sweep(self, key: str, *, die_at: str | None = None, die_at_pass: int = 1) -> int | None:
        code, _ = self._run(die_at, die_at_pass, window=key)
        return code

    def check(self, *, open_arrow: bool) -> None:
        emitted = {event.id for event in self.vendor.emitter.emitted()}
        received = self.siem.ids("/siem")
        inbox = self.siem.inbox("/siem")
        assert self.kills, "no process was killed: this test proves nothing"
        assert emitted - received.keys() == set(), "lost"
        assert inbox.repeated_otherwise == 0, "the same key came with other bytes"
        if open_arrow:
            assert inbox.repeated_batches <= self.kills
            assert inbox.twice <= self.kills * self.source.buffer_size
            assert (inbox.twice > 0) == (inbox.repeated_batches > 0), "repeated under another key"
        else:
            assert inbox.twice == 0, "twice"

    def close(self) -> None:
        self.vendor.close()
        self.siem.close()

    def _run(self, die_at: str | None, die_at_pass: int, **what: Any) -> tuple[int | None, Position | None]:
        task = Task(
            self.source, self.state, self.work_dir, die_at=die_at, die_at_pass=die_at_pass, env=self.env, **what
        )
        code, end, _ = self.workers.run(task)
        assert code in (0, -9)
        self.kills += code == -9
        return code, end


@pytest.fixture
def scene_of(tmp_path: Path, workers: Workers) -> Iterator[Any]:
    scenes: list[Scene] = []

    def build(kind: str, *, state: str | None = None, env: dict[str, str] | None = None) -> Scene:
        scenes.append(Scene(kind, state or str(tmp_path / "state"), tmp_path / "work", workers, env or {}))
        return scenes[-1]

    yield build
    for scene in scenes:
        scene.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arrow", sorted(LIVE))
def test_a_kill_at_any_arrow_of_a_live_poll_loses_and_repeats_nothing(scene_of: Any, kind: str, arrow: str) -> None:
    scene = scene_of(kind)
    scene.emit(25)
    scene.poll(die_at=arrow)
    scene.emit(8)
    scene.poll(die_at=arrow, die_at_pass=2)
    scene.emit(3)
    assert scene.poll() == 0
    assert scene.poll() == 0
    scene.check(open_arrow=arrow in OPEN_ARROW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arrow", sorted(WINDOW))
def test_a_kill_at_any_arrow_of_a_window_run_loses_and_repeats_nothing(scene_of: Any, kind: str, arrow: str) -> None:
    scene = scene_of(kind)
    window = window_at(scene.source.window, int(time.time() * 1000) - HOUR_MS)
    scene.poll()  # collection begins; then events of the past hour turn up late
    for number in range(24):
        scene.vendor.emitter.emit(1, at_ms=window.start_ms + 60_000 * number)
    scene.sweep(window.key, die_at=arrow)
    assert scene.sweep(window.key) == 0
    assert scene.poll() == 0
    scene.check(open_arrow=arrow in OPEN_ARROW)


@pytest.mark.parametrize("arrow", sorted(ON_S3))
def test_a_kill_at_any_arrow_with_state_on_s3(scene_of: Any, s3_env: dict[str, str], arrow: str) -> None:
    scene = scene_of("time-based", state=f"s3://audit/{arrow}", env=s3_env)
    scene.emit(25)
    scene.poll(die_at=arrow)
    scene.emit(8)
    assert scene.poll() == 0
    scene.check(open_arrow=arrow in OPEN_ARROW)


@pytest.mark.parametrize("arrow", sorted({*REFUSAL, *OPEN_ARROW}))
def test_dead_letters_survive_a_kill_and_are_kept_once(scene_of: Any, arrow: str) -> None:
    scene = scene_of("time-based")
    scene.siem.poison = "octo-13"
    while not any(b"octo-13" in event.body for event in scene.vendor.emitter.emitted()):
        scene.emit(10)
    scene.poll(die_at=arrow)
    assert scene.poll() == 0
    guilty = {e.id for e in scene.vendor.emitter.emitted() if b"octo-13" in e.body}
    received = scene.siem.ids("/siem").keys()
    assert {event.id for event in scene.vendor.emitter.emitted()} - received == guilty
    letters = DeadLetters(open_store(scene.state), scene.source.name)
    kept = [letter.event for each in letters.list() for letter in letters.read(each)]
    assert sorted(kept) == sorted(e.body for e in scene.vendor.emitter.emitted() if e.id in guilty)


@pytest.fixture(scope="module")
def s3_env() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ).create_bucket(Bucket="audit")
    yield env
    server.stop()
