"""`flicker position`: where collection stands, and moving it by hand, whether Flicker runs or not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from flicker_dagster.config.load import load_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.cursor import parse_cursor
from flicker_dagster.orchestration.sensor import tick
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import parse_time_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.cli.scene import Scene
from flicker_dagster_tests.orchestration.built import definitions_of

OKTA = "okta-audit-logs"
HOUR_MS = 3_600_000


class Tail:
    """The live tail of Okta as the daemon drives it: ticks whose cursor is saved, and runs."""

    def __init__(self, scene: Scene, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in scene.env.items():
            monkeypatch.setenv(name, value)
        work = str(scene.home / "work")
        settings = Settings(str(scene.config_path), state_dir=work, work_dir=work)
        self.scene, self.instance = scene, instance
        self.source: SourceConfig = load_config(str(scene.config_path)).sources[0]
        definitions = definitions_of(self.source, settings)
        self.job = definitions.resolve_job_def(names.job_name(self.source.full_name))
        self.cursor: str | None = None
        self.requests: list[dg.RunRequest] = []

    def work(self) -> SourceWork:
        return SourceWork(self.source, self.scene.layout())

    def tick(self, *, saved: bool = True) -> dg.SensorResult:
        """One evaluation; `saved` false: the daemon was killed before it saved the cursor and launched anything."""
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context, self.work() as work:
            result = tick(context, work)
        if saved:
            self.cursor = result.cursor or self.cursor
            self.requests = list(result.run_requests or [])
        return result

    def run(self, request: dg.RunRequest) -> None:
        done = self.job.execute_in_process(
            instance=self.instance, run_config=dict(request.run_config), tags=dict(request.tags)
        )
        assert done.success

    def poll(self) -> None:
        """Tick, and run what it asks for."""
        self.tick()
        for request in self.requests:
            self.run(request)

    @property
    def position(self) -> Position:
        assert self.cursor is not None
        return parse_cursor(self.cursor).position

    @property
    def stands(self) -> Position | None:
        return self.work().registry.position(OKTA)

    def restart_without_disk(self, instance: dg.DagsterInstance) -> None:
        """A new container: Dagster's storage is gone, the state lives on."""
        self.instance, self.cursor, self.requests = instance, None, []


@pytest.fixture
def tail(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tail]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Tail(scene, instance, monkeypatch)


def order(scene: Scene, *arguments: str) -> str:
    done = scene.invoke("position", *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def ms_of(position: Position | None) -> int:
    assert position is not None
    ms = parse_time_ms(position.last_timestamp)
    assert ms is not None
    return ms


def copies(scene: Scene) -> set[int]:
    """How often events of Okta arrived."""
    return set(scene.world.siem.ids("/okta").values())


def test_a_rewind_is_taken_by_the_next_tick_and_delivers_nothing_twice(scene: Scene, tail: Tail) -> None:
    tail.poll()
    stood = tail.stands
    assert "goes on from" in order(scene, "rewind", "2h", OKTA)
    tail.poll()
    assert ms_of(tail.position) == ms_of(stood) - 2 * HOUR_MS
    tail.tick()
    assert copies(scene) == {1}
    assert ms_of(tail.position) >= ms_of(stood)
    tail.tick()
    assert "goes on from" not in order(scene, "show")


def test_with_redeliver_everything_is_shipped_again_once(scene: Scene, tail: Tail) -> None:
    tail.poll()
    order(scene, "rewind", "2h", OKTA, "--redeliver")
    for _ in range(3):
        tail.poll()
    assert copies(scene) == {2}


def test_a_run_in_flight_does_not_overwrite_a_rewind(scene: Scene, tail: Tail) -> None:
    tail.poll()
    tail.tick()
    scene.world.vendor("okta").emitter.emit(1)
    tail.tick()
    [in_flight] = tail.requests
    stood = tail.stands
    order(scene, "rewind", "2h", OKTA)
    tail.run(in_flight)
    tail.tick()
    assert ms_of(tail.position) == ms_of(stood) - 2 * HOUR_MS
    for request in tail.requests:
        assert request.run_config["ops"]["okta_audit_logs"]["ops"]["fetch"]["config"]["last_timestamp"] == (
            tail.position.last_timestamp
        )


def test_a_rewind_whose_tick_was_lost_is_taken_by_the_next_one(scene: Scene, tail: Tail) -> None:
    tail.poll()
    tail.tick()
    stood = tail.position
    order(scene, "rewind", "2h", OKTA)
    tail.tick(saved=False)
    assert tail.position == stood
    tail.tick()
    assert ms_of(tail.position) < ms_of(stood)


@pytest.mark.parametrize("ticks", [0, 1, 2])
def test_a_rewind_survives_the_loss_of_dagsters_storage_until_its_run_was_committed(
    scene: Scene, tail: Tail, ticks: int
) -> None:
    tail.poll()
    tail.tick()
    stood = tail.position
    order(scene, "rewind", "2h", OKTA, "--redeliver")
    for _ in range(ticks):
        tail.tick()
    with dg.DagsterInstance.ephemeral() as fresh:
        tail.restart_without_disk(fresh)
        tail.tick()
        assert ms_of(tail.position) == ms_of(stood) - 2 * HOUR_MS
        for _ in range(3):
            for request in tail.requests:
                tail.run(request)
            tail.tick()
    assert copies(scene) == {2}


def test_a_cursor_edited_by_hand_after_a_rewind_was_taken_stands(scene: Scene, tail: Tail) -> None:
    tail.poll()
    order(scene, "rewind", "2h", OKTA)
    tail.tick()
    tail.tick()
    edited = Position("2026-01-31T12:00:00.000Z", None)
    tail.cursor = '{"last_timestamp": "2026-01-31T12:00:00.000Z", "cursor": null}'
    tail.tick()
    assert tail.position == edited


def test_while_flicker_is_stopped_the_order_waits_and_once_takes_it(scene: Scene) -> None:
    assert scene.run("--once", "--track").returncode == 0
    order(scene, "rewind", "2h", OKTA, "--redeliver")
    assert "goes on from" in order(scene, "show", OKTA)
    assert scene.run("--once", "--track").returncode == 0
    assert copies(scene) == {2}
    assert "goes on from" not in order(scene, "show", OKTA)
    assert scene.run("--once", "--track").returncode == 0
    assert copies(scene) == {2}


def test_the_position_left_by_a_rewind_can_be_restored_even_after_many_polls(scene: Scene, tail: Tail) -> None:
    tail.poll()
    stood = tail.stands
    said = order(scene, "rewind", "2h", OKTA)
    number = said.rsplit(maxsplit=1)[-1]
    assert f"--from-history {number}" in said
    registry = tail.work().registry
    for step in range(60):
        seen = registry.position(OKTA)
        registry.commit(OKTA, Position(f"2026-01-01T00:{step:02}:00.000Z", None), seen=seen)
    assert "left by hand" in order(scene, "show", OKTA)
    order(scene, "set", OKTA, "--from-history", number)
    tail.tick()
    tail.tick()
    assert tail.position == stood


def test_set_takes_a_time_or_an_age(scene: Scene, tail: Tail) -> None:
    tail.poll()
    order(scene, "set", OKTA, "2026-01-02T03:04:05Z")
    tail.tick()
    assert tail.position == Position("2026-01-02T03:04:05.000Z", None)
    order(scene, "set", OKTA, "1h")
    tail.tick()
    assert abs(ms_of(tail.position) - (time.time() * 1000 - HOUR_MS)) < HOUR_MS / 2


def test_of_a_source_with_streams_one_is_to_be_named(scene: Scene) -> None:
    scene.edit(OKTA, streams={"web": {}, "api": {"lookback_ms": 1}})
    done = scene.invoke("position", "set", OKTA, "1h")
    assert done.exit_code == 2
    assert f"'{OKTA}' has streams with a position each; expected {OKTA}/web or {OKTA}/api" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", OKTA), "give either TIME or --from-history N"),
        (("set", OKTA, "1h", "--from-history", "1"), "give either TIME or --from-history N"),
        (("rewind", "2h", "okta-audit-lgos"), "did you mean okta-audit-logs?"),
        (("rewind", "2h", "x"), "; expected one of okta-audit-logs, github-audit-log or salesforce-audit"),
    ],
)
def test_a_mistake_in_a_command_is_told_as_such(scene: Scene, arguments: tuple[str, ...], words: str) -> None:
    done = scene.invoke("position", *arguments)
    assert done.exit_code == 2
    assert words in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("set", OKTA, "2099-01-01T00:00:00Z"), 1, "is in the future"),
        (("set", OKTA, "soon"), 2, "expected now, an age such as 24h or 7d, or an ISO time"),
        (("set", OKTA, "--from-history", "77"), 1, "no position 77 in the history"),
        (("rewind", "2 fortnights", OKTA), 2, "is no span of time"),
        (("rewind", "2h", OKTA), 1, "nothing was collected yet"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(
    scene: Scene, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = scene.run("position", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
