"""The main job through a real daemon and code server: everything emitted is in the SIEM, once, whatever fails."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.e2e.stack import Stack, a_stack
from flicker_dagster_tests.modes import open_to_others

pytestmark = pytest.mark.timeout(600)

QUICK_RETRY = {"max_retries": 1, "initial_delay_ms": 200, "max_delay_ms": 400}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("daemon")
    with World(rate=2, history_s=3600) as world, a_stack(home, world, retry=QUICK_RETRY) as stack:
        yield stack


def test_every_source_is_complete_through_daemon_runs(stack: Stack) -> None:
    stack.wait_delivered("everything is delivered")
    assert stack.twice() == [0, 0, 0]
    for source in ("okta-audit-logs", "github-audit-log", "salesforce-audit"):
        stack.wait(lambda source=source: _finished(stack, source), f"a live run of {source} has finished")


def test_nothing_that_it_and_dagster_write_is_open_to_others(stack: Stack) -> None:
    stack.wait(lambda: _finished(stack, "okta-audit-logs"), "a live run has finished")
    for folder in (stack.home / "work", stack.home / "ledger"):
        assert open_to_others(folder) == []


def test_it_is_ready_when_code_server_and_daemons_answer(stack: Stack) -> None:
    stack.wait(lambda: _probe(stack) == (200, "ready\n"), "it is ready")
    child = stack.supervisor.child("code server")
    assert child.process is not None
    child.process.send_signal(signal.SIGSTOP)
    try:
        stack.wait(lambda: _probe(stack) == (503, "not ready\n"), "a code server that does not answer is seen")
        assert requests.get(f"{stack.url}/healthz", timeout=10).text == "ok\n"
    finally:
        child.process.send_signal(signal.SIGCONT)
    stack.wait(lambda: _probe(stack) == (200, "ready\n"), "it is ready again")


def test_runs_are_forked_by_the_warm_launcher(stack: Stack) -> None:
    runs = stack.wait(lambda: _finished(stack, "okta-audit-logs"), "a live run has finished")
    tags = {tag["key"] for tag in runs[0]["tags"]}
    assert "flicker/run_pid" in tags


def test_a_failing_vendor_shows_as_a_failed_fetch_and_recovers_by_itself(stack: Stack) -> None:
    okta = stack.world.vendor("okta")
    okta.faults.plan("500", count=None)
    failed = stack.wait(lambda: _failed(stack, "okta-audit-logs"), "a run fails")
    steps = _steps(stack, failed["runId"])
    assert steps["okta_audit_logs.fetch"] == "FAILURE"
    assert "HTTP 500" in _error(failed)
    reason = stack.wait(lambda: _skip_reason(stack, "okta_audit_logs_live", "waits until"), "the sensor says it waits")
    assert "HTTP 500" in reason
    okta.faults.clear()
    stack.wait_delivered("the source recovers")
    assert stack.twice() == [0, 0, 0]


def test_a_failing_siem_shows_as_a_failed_delivery_and_nothing_is_lost_or_repeated(stack: Stack) -> None:
    stack.world.siem.faults.plan("503", count=None)
    failed = stack.wait(lambda: _failed(stack, "github-audit-log"), "a run fails")
    assert _steps(stack, failed["runId"])["github_audit_log.deliver"] == "FAILURE"
    assert "HTTP 503" in _error(failed)
    assert "wait in the spool" in _error(failed)
    stack.world.siem.faults.clear()
    stack.wait_delivered("the spool is drained")
    assert stack.twice() == [0, 0, 0]


def test_a_dead_code_server_is_started_again_and_collection_goes_on(stack: Stack) -> None:
    killed = stack.supervisor.child("code server")
    assert killed.process is not None
    killed.process.kill()
    stack.wait(
        lambda: (child := stack.supervisor.child("code server")) is not killed and child.runs,
        "the code server is back",
    )
    before = stack.world.siem.ids("/okta")
    stack.wait(lambda: len(stack.world.siem.ids("/okta")) > len(before), "collection goes on")
    assert stack.twice() == [0, 0, 0]


def test_sigterm_drains_and_nothing_is_lost_over_a_restart(stack: Stack, tmp_path: Path) -> None:
    stack.stop()
    stack.world.vendor("okta").emitter.emit(5)
    stack.supervisor.stopping.clear()
    stack.start()
    stack.wait_delivered("what was emitted meanwhile is delivered")
    assert stack.twice() == [0, 0, 0]


def _probe(stack: Stack) -> tuple[int, str]:
    answer = requests.get(f"{stack.url}/readyz", headers={"Host": "10.0.0.7:3000"}, timeout=20)
    return answer.status_code, answer.text


def _finished(stack: Stack, source: str) -> list[dict[str, Any]]:
    return [run for run in stack.runs(flicker__source=source) if run["status"] == "SUCCESS"]


def _failed(stack: Stack, source: str) -> dict[str, Any] | None:
    return next((run for run in stack.runs(flicker__source=source) if run["status"] == "FAILURE"), None)


def _error(run: dict[str, Any]) -> str:
    return next(tag["value"] for tag in run["tags"] if tag["key"] == "flicker/error")


def _steps(stack: Stack, run_id: str) -> dict[str, str]:
    query = """query($id: ID!) { runOrError(runId: $id) { ... on Run { stepStats { stepKey status } } } }"""
    stats = stack.graphql(query, id=run_id)["runOrError"]["stepStats"]
    return {step["stepKey"]: step["status"] for step in stats}


def _skip_reason(stack: Stack, sensor: str, words: str) -> str | None:
    query = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
        sensorState { ticks(limit: 10) { skipReason } } } } }"""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "flicker", "sensorName": sensor}
    ticks = stack.graphql(query, sensor=selector)["sensorOrError"]["sensorState"]["ticks"]
    return next((tick["skipReason"] for tick in ticks if words in (tick["skipReason"] or "")), None)
