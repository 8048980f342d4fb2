"""The plan is a seed's own, the verdict is strict, and a short night of chaos loses and repeats nothing."""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from dagster_shared.error import SerializableErrorInfo

from flicker_dagster.simulator.receiver import Inbox, Receiver, Repeat
from flicker_dagster.simulator.world import Row, World
from flicker_dagster_tests.chaos.beside import Beside
from flicker_dagster_tests.chaos.plan import draw
from flicker_dagster_tests.chaos.run import run_chaos
from flicker_dagster_tests.chaos.surprises import unexpected
from flicker_dagster_tests.chaos.verdict import line
from flicker_dagster_tests.outages.gate import Gate


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert draw(7, 300) == draw(7, 300)
    assert draw(7, 300).acts != draw(8, 300).acts


def test_a_plan_has_everything_in_it() -> None:
    acts = draw(3, 600).acts
    assert {act.what for act in acts} == {"kill", "vendor", "siem", "s3", "late"}
    assert {act.target for act in acts if act.what == "kill"} == {"run", "daemon", "code server", "run server"}
    assert all(earlier.at_s < later.at_s for earlier, later in pairwise(acts))


def _inbox(*repeats: Repeat, repeated_otherwise: int = 0) -> Inbox:
    inbox = Inbox()
    inbox.repeats, inbox.repeated_otherwise = list(repeats), repeated_otherwise
    return inbox


CUT_OFF = Repeat(events=5, before_s=100.0, answered=False)
ANSWERED = Repeat(events=5, before_s=100.0, answered=True)


@pytest.mark.parametrize(
    ("missing", "twice", "inbox", "kills_s", "good"),
    [
        (0, 0, _inbox(), [], True),
        (1, 0, _inbox(), [], False),
        (0, 5, _inbox(), [100.1], False),
        (0, 5, _inbox(CUT_OFF), [], True),
        (0, 6, _inbox(CUT_OFF), [100.1], False),
        (0, 5, _inbox(ANSWERED), [], False),
        (0, 5, _inbox(ANSWERED), [100.1], True),
        (0, 5, _inbox(ANSWERED), [99.9, 120.0], False),
        (0, 0, _inbox(repeated_otherwise=1), [100.1], False),
    ],
)
def test_only_the_open_arrow_is_forgiven(
    missing: int, twice: int, inbox: Inbox, kills_s: list[float], good: bool
) -> None:
    row = Row(source="okta", emitted=10, in_siem=10 - missing, in_flight=0, missing=missing, twice=twice, unknown=0)
    assert line(row, inbox, kills_s).good is good


def test_the_receiver_remembers_whether_it_answered_what_comes_again() -> None:
    siem = Receiver()
    try:
        for fault, told in ((None, []), ("commit_then_cut", [True]), (None, [True, False])):
            if fault is not None:
                siem.faults.plan(fault)
            with suppress(requests.ConnectionError):
                requests.post(f"{siem.url}/x", json=[{"id": "a"}], headers={"Idempotency-Key": "k"}, timeout=10)
            assert [repeat.answered for repeat in siem.inbox("/x").repeats] == told
    finally:
        siem.close()


def _error(name: str, cause: SerializableErrorInfo | None = None) -> SerializableErrorInfo:
    return SerializableErrorInfo(message=f"{name}: what it says\n", stack=[], cls_name=name, cause=cause)


def test_errors_of_ours_and_kills_are_expected_and_nothing_else_is() -> None:
    outage = _error("SensorExecutionError", _error("StateError", _error("ClientError")))
    kill = _error("DagsterUserCodeUnreachableError", _error("_InactiveRpcError"))
    defect = _error("ScheduleExecutionError", _error("CheckError"))
    assert unexpected([outage, kill, defect]) == ["CheckError: what it says"]


def test_a_gate_that_refuses_takes_no_connection_until_it_opens() -> None:
    behind = Gate("127.0.0.1", 9)
    gate = Gate(*behind.address)
    try:
        behind.shut(".", how="500")
        assert requests.get(gate.url, timeout=10).status_code == 500
        gate.shut(".", how="refused")
        with pytest.raises(requests.ConnectionError):
            requests.get(gate.url, timeout=10)
        gate.open()
        assert requests.get(gate.url, timeout=10).status_code == 500
    finally:
        gate.close()
        behind.close()


@pytest.mark.timeout(600)
def test_a_short_night_of_chaos(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")  # what the night sets goes with the test
    assert run_chaos(draw(seed=11, duration_s=30))


def test_the_lanes_beside_the_siem_are_judged_without_mercy(tmp_path: Path) -> None:
    with (
        World(vendors=("okta", "github", "salesforce")) as world,
        closing(Beside(tmp_path / "lake", clock=time.time)) as beside,
    ):
        first, second = world.vendor("okta").emitter.emit(2)
        (beside.directory / "okta-audit-logs.ndjson").write_bytes(first.body + b"\n" + second.body[:5])
        by_name = {each.source: each for each in beside.lines(world)}
        file, index = by_name["okta file"], by_name["okta index"]
        assert (file.accepted, file.lost, file.twice) == (1, 1, 0)
        assert (index.accepted, index.lost) == (0, 2)
        lines = [first.body, second.body, second.body, b""]
        (beside.directory / "okta-audit-logs.ndjson").write_bytes(b"\n".join(lines))
        (file,) = [each for each in beside.lines(world) if each.source == "okta file"]
        assert (file.lost, file.otherwise, file.good) == (0, 1, False)
