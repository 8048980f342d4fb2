"""The live sensor: every tick asks for a run or says why not, and the position moves only with a run's outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration import internals, names
from flicker_dagster.orchestration.cursor import parse_cursor
from flicker_dagster.orchestration.sensor import build_live_sensor, unless_edited
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.rewind import order_position
from flicker_dagster.types import Position
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.orchestration.built import definitions_of
from flicker_dagster_tests.orchestration.tails import Tail, a_tail

FAILED, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED
REWOUND = '{"last_timestamp": "2026-01-31T12:00:00.000Z", "cursor": null}'


@pytest.fixture
def tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tail]:
    with a_tail(tmp_path, monkeypatch) as tail:
        yield tail


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%H:%M:%S UTC")


def start_of(request: dg.RunRequest) -> str:
    return request.run_config["ops"]["plain"]["ops"]["fetch"]["config"]["last_timestamp"]


# -- asking


def test_the_first_tick_writes_the_position_to_the_registry_before_anything_is_fetched(tail: Tail) -> None:
    request = tail.asked()
    with tail.scene.work() as work:
        stands = work.registry.position("plain")
    assert stands is not None
    assert start_of(request) == stands.last_timestamp == json.loads(tail.cursor or "")["last_timestamp"]
    assert tail.scene.vendor.requests == 0


def test_a_new_instance_goes_on_from_the_registry(tail: Tail) -> None:
    tail.scene.emit(3)
    tail.scene.poll()
    stood = tail.scene.cursor
    assert stood is not None
    assert start_of(tail.asked()) == stood.last_timestamp


def test_a_request_says_whose_run_it_is_and_has_no_run_key(tail: Tail) -> None:
    request = tail.asked()
    assert request.run_key is None
    assert request.partition_key is None
    assert request.tags == {
        "flicker/source": "plain",
        "flicker/state": tail.scene.work().state_id,
        "flicker/mode": "live",
        "flicker/request": json.loads(tail.cursor or "")["awaiting"],
        "dagster/priority": "10",
    }


def test_a_request_that_became_no_run_is_made_again(tail: Tail) -> None:
    lost, again = tail.asked(), tail.asked()
    assert start_of(lost) == start_of(again)
    assert lost.tags[names.REQUEST_TAG] != again.tags[names.REQUEST_TAG]


def test_the_cursor_moves_with_the_outcome_of_a_run(tail: Tail) -> None:
    tail.scene.emit(3)
    request = tail.asked()
    before = json.loads(tail.cursor or "")["last_timestamp"]
    assert tail.run(request).success
    assert start_of(tail.asked()) > before
    tail.scene.assert_each_once()


def test_a_failed_run_does_not_move_the_cursor_and_is_asked_for_again(tail: Tail) -> None:
    tail.scene.emit(3)
    tail.scene.vendor.faults.plan("401")
    first = tail.asked()
    assert not tail.run(first).success
    tail.scene.clock.now_s += 6
    again = tail.asked()
    assert start_of(again) == start_of(first)
    assert tail.run(again).success
    tail.scene.assert_each_once()


# -- waiting


def test_a_run_in_flight_is_waited_for(tail: Tail) -> None:
    run = tail.recorded(STARTED)
    assert tail.skipped() == f"run {run.run_id[:8]} is in flight"


def test_a_sweep_or_another_source_in_flight_does_not_hold_the_tail(tail: Tail) -> None:
    tail.recorded(STARTED, flicker__mode=names.SWEEP)
    tail.recorded(STARTED, flicker__source="another")
    tail.asked()


@pytest.mark.parametrize(
    ("failures", "wait_s"), [(1, 5), (2, 10), (3, 20), (4, 40), (8, 640), (9, 900), (12, 900), (20, 900)]
)
def test_failures_in_a_row_are_waited_out_longer_and_longer(tail: Tail, failures: int, wait_s: int) -> None:
    for _ in range(failures):
        run = tail.recorded(FAILED, flicker__error="plain: the token is wrong")
    ended_s = tail.ended_s()
    tail.scene.clock.now_s = ended_s + wait_s - 0.1
    said = tail.skipped()
    assert said.startswith(f"waits until {clock(ended_s + wait_s)} after {min(failures, 12)} failed run(s) in a row: ")
    assert said.endswith(f"plain: the token is wrong (run {run.run_id[:8]})")
    tail.scene.clock.now_s = ended_s + wait_s + 0.1
    tail.asked()


def test_a_success_ends_the_row_of_failures(tail: Tail) -> None:
    for _ in range(6):
        tail.recorded(FAILED)
    tail.scene.clock.now_s = tail.ended_s() + 1_000
    tail.scene.emit(1)
    tail.run(tail.asked())
    tail.recorded(FAILED)
    ended_s = tail.ended_s()
    tail.scene.clock.now_s = ended_s + 1
    assert tail.skipped().startswith(f"waits until {clock(ended_s + 5)} after 1 failed run(s) in a row: see the run")


def test_a_vendor_that_asks_for_a_pause_gets_it(tail: Tail) -> None:
    tail.scene.vendor.faults.plan("429", retry_after="300")
    assert tail.run(tail.asked()).success  # with what it has, which is nothing
    ended_s = tail.ended_s()
    tail.scene.clock.now_s = ended_s + 290
    said = tail.skipped()
    assert said.startswith("waits until ")
    assert "API returned 429 Too Many Requests, asks to wait 300 s" in said
    assert tail.scene.vendor.requests == 1
    tail.scene.clock.now_s = ended_s + 301
    tail.asked()


# -- probing


def test_a_quiet_source_is_probed_and_costs_no_run(tail: Tail) -> None:
    assert tail.run(tail.asked()).success
    requests = tail.scene.vendor.requests
    assert tail.skipped().startswith("nothing new since ")
    assert tail.scene.vendor.requests == requests + 1
    tail.scene.emit(1)
    assert tail.run(tail.asked()).success
    tail.scene.assert_each_once()


def test_a_busy_source_is_not_probed(tail: Tail) -> None:
    tail.scene.emit(2)
    assert tail.run(tail.asked()).success
    requests = tail.scene.vendor.requests
    tail.asked()
    assert tail.scene.vendor.requests == requests


def test_a_probe_that_is_rate_limited_waits(tail: Tail) -> None:
    assert tail.run(tail.asked()).success
    tail.scene.vendor.faults.plan("429", retry_after="300")
    assert tail.skipped().startswith("probe: plain: GET ")


def test_a_probe_that_fails_leaves_it_to_a_run_to_show_why(tail: Tail) -> None:
    assert tail.run(tail.asked()).success
    tail.scene.vendor.faults.plan("401")
    tail.asked()


# -- by hand

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
cursor_like = st.dictionaries(
    st.sampled_from(["last_timestamp", "cursor", "redeliver", "awaiting", "rewind", "other"]),
    json_values | st.sampled_from(["2026-01-31T12:00:00Z", "2099-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]),
).map(json.dumps)


def test_a_cursor_edited_while_a_run_is_in_flight_wins(tail: Tail) -> None:
    tail.scene.emit(3)
    request = tail.asked()
    tail.cursor = REWOUND
    assert tail.run(request).success
    assert start_of(tail.asked()) == "2026-01-31T12:00:00.000Z"


def test_a_cursor_edited_during_a_tick_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internals, "stored_cursor", lambda _context: REWOUND)
    context = dg.build_sensor_context(cursor='{"last_timestamp": "2026-05-01T00:00:00.000Z", "cursor": null}')
    result = unless_edited(context, dg.SensorResult(run_requests=[dg.RunRequest()], cursor="another"))
    assert not result.run_requests
    assert result.cursor == REWOUND


NONSENSE = [
    ("yesterday", "the cursor is no JSON"),
    ("   ", "the cursor is no JSON"),
    ("[]", "the cursor is a list"),
    ("{}", "last_timestamp is None"),
    ("null", "the cursor is a NoneType"),
    ("NaN", "the cursor is a float"),
    ("[" * 100_000, "the cursor is no JSON"),
    ('{"last_timestamp": ' + "9" * 5_000 + "}", "the cursor is no JSON"),
    ('{"last_timestamp": NaN}', "last_timestamp is nan"),
    ('{"last_timestamp": 1767225600}', "last_timestamp is 1767225600"),
    ('{"since": "2026-01-31T12:00:00Z"}', "unknown keys ['since']"),
    ('{"last_timestamp": "yesterday", "cursor": null}', "last_timestamp is 'yesterday'; expected an RFC 3339 time"),
    ('{"last_timestamp": "57972-01-01T00:00:00Z"}', "last_timestamp is '57972"),
    ('{"last_timestamp": "2098-01-01T00:00:00Z"}', "is in the future"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z", "cursor": "\\ud800"}', "the cursor's cursor is"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z", "cursor": {"a": 1}}', "the cursor's cursor is"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z", "redeliver": "yes"}', "the cursor's redeliver is 'yes'"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z", "redeliver": 1}', "the cursor's redeliver is 1"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z", "awaiting": 7}', "the cursor's awaiting is 7"),
    ('{"last_timestamp": "2026-01-31T12:00:00Z\x1b[2J"}', "Invalid control character"),
    ("x" * 1_000_000, "the cursor has 1000000 characters"),
]


@pytest.mark.parametrize(("cursor", "words"), NONSENSE, ids=[text[:30] for text, _ in NONSENSE])
def test_a_cursor_edited_into_nonsense_is_told_once_and_the_last_good_position_goes_on(
    tail: Tail, cursor: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert tail.run(tail.asked()).success
    with tail.scene.work() as work:
        stands = work.registry.position("plain")
    tail.cursor = cursor
    for _ in range(3):
        tail.look()
    assert parse_cursor(tail.cursor or "").position == stands
    told = [r.getMessage() for r in caplog.records if "was edited and cannot be used" in r.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("plain: ")
    assert words in told[0]
    assert told[0].isprintable()
    assert len(told[0]) < 600
    [line] = tail.scene.layout.refused_edits().lines()
    assert words in line
    assert "flicker position set plain" in line


def test_an_order_wins_over_a_cursor_edited_into_nonsense_at_every_stage(tail: Tail) -> None:
    assert tail.run(tail.asked()).success
    for looks in (0, 1, 2):
        with tail.scene.work() as work:
            order_position(work, Position("2026-01-31T12:00:00.000Z", None), redeliver=False)
        for _ in range(looks):
            tail.look()
        tail.cursor = "nonsense"
        tail.look()
        assert parse_cursor(tail.cursor or "").position.last_timestamp == "2026-01-31T12:00:00.000Z"
        tail.cursor = None
    with tail.scene.work() as work:
        order_position(work, Position("2026-02-01T12:00:00.000Z", None), redeliver=False)
    assert tail.scene.layout.refused_edits().lines() == [], "an order is the answer to it"


@pytest.mark.fuzz
@given(text=st.one_of(st.text(), st.binary().map(lambda data: data.decode("latin-1")), cursor_like))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_cursor_a_tick_goes_on(tail: Tail, text: str) -> None:
    tail.cursor = text
    result = tail.look()
    assert result.run_requests
    saved = parse_cursor(tail.cursor or "")
    assert parse_cursor(saved.to_text()) == saved


def test_a_registry_that_cannot_be_read_fails_the_tick(tail: Tail) -> None:
    with tail.scene.work() as work:
        path = Path(work.registry.where)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    with pytest.raises(FlickerError, match="registry"):
        tail.look()
    assert tail.cursor is None


# -- the definition


@pytest.mark.parametrize(("polling_ms", "interval_s"), [(1_000, 5), (5_000, 5), (30_000, 30), (30_001, 31)])
def test_the_interval_is_the_polling_frequency_and_never_below_dagsters_floor(polling_ms: int, interval_s: int) -> None:
    sensor = build_live_sensor(a_source(polling_frequency_ms=polling_ms), Settings(), "job")
    assert sensor.minimum_interval_seconds == interval_s
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_ticks_in_the_code_server_open_the_instance_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster hands each tick a reference, fresh off the wire; opening it asks the database for its revision."""
    opened: list[object] = []
    from_ref = dg.DagsterInstance.from_ref
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        packed = internals.pack(instance.get_ref())
        monkeypatch.setattr(dg.DagsterInstance, "from_ref", lambda ref: opened.append(ref) or from_ref(ref))
        monkeypatch.setattr(internals, "_kept_instances", [])
        settings = Settings(state_dir=str(tmp_path / "state"), work_dir=str(tmp_path / "work"))
        repository = definitions_of(a_source(name="plain", start_from="2h"), settings).get_repository_def()
        sensor, schedule = repository.get_sensor_def("plain_live"), repository.get_schedule_def("plain_sweep")
        for _ in range(3):
            context = dg.SensorEvaluationContext(internals.ref_from(packed), sensor_name=sensor.name)
            assert sensor.evaluate_tick(context).run_requests
            with dg.ScheduleEvaluationContext(internals.ref_from(packed), None, repository_def=repository) as context:
                assert schedule.evaluate_tick(context).run_requests
    assert len(opened) == 1


def test_another_instance_is_opened_when_a_tick_comes_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internals, "_kept_instances", [])
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            context = dg.SensorEvaluationContext(instance.get_ref())
            internals.keep_instance(context)
            assert context.instance.root_directory == str(tmp_path / name)


def test_a_test_that_gives_its_own_instance_keeps_it(tail: Tail) -> None:
    context = dg.build_sensor_context(instance=tail.instance)
    internals.keep_instance(context)
    assert context.instance is tail.instance
