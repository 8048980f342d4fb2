"""A run or tick that fails for a reason we know is told in one line; a defect of ours keeps its stack."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import SensorExecutionError, user_code_error_boundary
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

from flicker_dagster.config.groups import RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import ConfigError, FlickerError, SpoolFull
from flicker_dagster.orchestration import names, ops, retries
from flicker_dagster.orchestration.retries import as_tick
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.orchestration.built import job_of

PLAIN = SourceConfig.model_validate(
    {
        "name": "plain",
        "endpoint": "https://plain.invalid",
        "polling_frequency_ms": 5_000,
        "timestamp_field": "time",
        "destination": {"type": "http", "endpoint": "https://siem.invalid"},
    }
)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    retry = RetryConfig(max_retries=1, initial_delay_ms=1)
    with plain_scene(tmp_path, start_from="1h", retry=retry) as scene:
        monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
        yield scene


class Told:
    """What a run of the scene's source left behind."""

    def __init__(self, scene: Scene) -> None:
        with dg.DagsterInstance.ephemeral() as instance:
            done = job_of(scene).execute_in_process(instance=instance, raise_on_error=False)
            events = [entry.dagster_event for entry in instance.all_logs(done.run_id) if entry.dagster_event]
            run = instance.get_run_by_id(done.run_id)
        assert run is not None
        self.tag = run.tags.get(names.ERROR_TAG)
        self.failures = [e.step_failure_data.error for e in events if e.is_step_failure]
        self.retries = [e.step_retry_data.error for e in events if e.is_step_up_for_retry]


def assert_one_line(error: SerializableErrorInfo | None) -> str:
    assert error is not None
    assert (list(error.stack), error.cause, error.context) == ([], None, None)
    assert error.to_string() == error.message
    assert len(error.message.splitlines()) == 1
    return error.message


def lines_of(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("flicker"), "propagate", True)
    caplog.set_level(logging.INFO, "flicker")


def test_what_nobody_can_mend_by_waiting_is_one_line_in_run_tag_and_log(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.vendor.faults.plan("401", count=None)
    told = Told(scene)
    [error] = told.failures
    message = assert_one_line(error)
    assert error.cls_name == "CredentialsRefused"
    assert message.startswith(f"plain: GET {scene.vendor.url}/events")
    assert "HTTP 401" in message
    assert "check the credentials" in message
    assert message in lines_of(caplog, logging.ERROR)
    assert told.tag == message
    assert told.retries == []
    assert not [line for line in caplog.messages if line.startswith("Fetched")]


def test_what_is_tried_again_says_so_in_one_line_each_time(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.siem.faults.plan("503", count=None)
    scene.emit(2)
    told = Told(scene)
    [retried], [failed] = told.retries, told.failures
    assert assert_one_line(retried) == assert_one_line(failed)
    assert "the SIEM does not take events" in failed.message
    [warning] = [line for line in lines_of(caplog, logging.WARNING) if "retry 1" in line]
    assert warning.startswith(failed.message)
    assert failed.message in lines_of(caplog, logging.ERROR)


def test_a_defect_keeps_its_stack_and_is_told_in_one_line_beside(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_options: object) -> None:
        raise KeyError("what nobody\nthought of")

    monkeypatch.setattr(ops, "fetch_live", broken)
    told = Told(scene)
    [error] = told.failures
    assert error is not None
    assert "in broken" in error.to_string()
    assert "KeyError" in error.to_string()
    [line] = set(lines_of(caplog, logging.ERROR))
    assert line.startswith("plain: a defect in Flicker: KeyError: 'what nobody\\nthought of' at ops.py:")
    assert told.tag == line


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SpoolFull("the disk is full"), "plain: the disk is full"),
        (SpoolFull("plain: the disk is full"), "plain: the disk is full"),
        (ConfigError(["config.yaml:1: one", "config.yaml:2: two"]), "plain: config.yaml:1: one; config.yaml:2: two"),
    ],
)
def test_a_tick_that_cannot_be_evaluated_fails_with_one_line(
    error: FlickerError, message: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_told_s", {})
    recorded = None
    try:  # as Dagster's code server evaluates a tick
        with user_code_error_boundary(SensorExecutionError, lambda: "an error during the tick"), as_tick(PLAIN):
            raise error
    except Exception:
        recorded = serializable_error_info_from_exc_info(sys.exc_info())
    assert assert_one_line(recorded) == message
    assert lines_of(caplog, logging.ERROR) == [message]


def test_the_log_is_told_of_a_failing_tick_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_told_s", {})

    def fail(words: str) -> None:
        with pytest.raises(dg.DagsterError, match=words), as_tick(PLAIN):
            raise SpoolFull(words)

    for words in ("full", "full", "damaged", "full"):
        fail(words)
    assert lines_of(caplog, logging.ERROR) == ["plain: full", "plain: damaged"]
    monkeypatch.setattr(retries, "REMIND_S", 0.0)
    fail("full")
    assert lines_of(caplog, logging.ERROR) == ["plain: full", "plain: damaged", "plain: full"]


def test_a_long_address_does_not_cut_the_cause_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    long = scene.source.model_copy(update={"query_params": {"q": "SELECT " + "x" * 5_000}})
    monkeypatch.setattr(Settings, "work", lambda _self, _source: SourceWork(long, scene.layout, clock=scene.clock))
    scene.vendor.faults.plan("401", count=None)
    told = Told(scene)
    assert told.tag is not None
    assert len(told.tag) == retries.MAX_ERROR_TAG
    assert told.tag.startswith(f"{scene.source.name}: GET http://")
    assert "…" in told.tag
    assert told.tag.endswith(lines_of(caplog, logging.ERROR)[0][-200:])
