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

from flicker_dagster.simulator.comparison import Row
from flicker_dagster.simulator.receiver import Inbox, Receiver, Repeat
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.chaos.plan import draw
from flicker_dagster_tests.chaos.run import run_chaos
from flicker_dagster_tests.chaos.siems import Siems
from flicker_dagster_tests.chaos.surprises import unexpected
from flicker_dagster_tests.chaos.verdict import Line, line, lines
from flicker_dagster_tests.outages.gate import Gate
from flicker_dagster_tests.siems import Deaths, Sent, unexcused


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert draw(7, 300) == draw(7, 300)
    assert draw(7, 300).acts != draw(8, 300).acts


def test_a_plan_has_everything_in_it() -> None:
    acts = draw(3, 600).acts
    assert {act.what for act in acts} == {"kill", "vendor", "siem", "s3", "late"}
    assert {act.target for act in acts if act.what == "siem"} == {"http", "elasticsearch", "splunk_hec"}
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
        closing(Siems(world.siem, tmp_path / "lake", seed=1, clock=time.time)) as siems,
    ):

        def judged() -> dict[str, Line]:
            return {each.lane: each for each in lines(world, siems) if each.source == "okta"}

        path = siems.directory / "okta-audit-logs.ndjson"
        first, second = world.vendor("okta").emitter.emit(2)
        path.write_bytes(first.body + b"\n" + second.body[:5])
        found = judged()
        assert (found["file"].accepted, found["file"].lost, found["file"].twice) == (1, 1, 0)
        assert [found[lane].lost for lane in ("http", "elasticsearch", "splunk_hec")] == [2, 2, 2]
        path.write_bytes(b"\n".join([first.body, second.body, second.body, b""]))
        file = judged()["file"]
        assert (file.lost, file.otherwise, file.good) == (0, 1, False)


SENT = {"events": [("okta", "a")], "ack": ("channel", 0)}


@pytest.mark.parametrize(
    ("before", "again_s", "deaths_s", "excused"),
    [
        (Sent(100.0, 1, answered=False), 101.0, [], True),
        (Sent(100.0, 1, **SENT), 101.0, [], False),  # why should it expire so soon?
        (Sent(100.0, 1, **SENT), 116.0, [], True),
        (Sent(100.0, 1, **SENT), 101.0, [100.5], True),
        (Sent(100.0, 1, **SENT), 110.0, [106.0], False),
        (Sent(100.0, 1, **SENT, confirmed_at_s=102.0, confirmed_turn=2), 120.0, [], False),
        (Sent(100.0, 1, **SENT, confirmed_at_s=108.0, confirmed_turn=2), 120.0, [109.0], True),
    ],
)
def test_what_was_acknowledged_must_not_come_again(
    before: Sent, again_s: float, deaths_s: list[float], excused: bool
) -> None:
    again = Sent(again_s, 9)
    left = unexcused([(before, again)], deaths=Deaths(at_s=deaths_s, grace_s=4.0), expires_s=15.0, spoilt=set())
    assert (left == []) is excused
