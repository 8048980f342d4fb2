"""The benchmark measures what it says: a small run of it ends with every event in the SIEM once."""

from __future__ import annotations

from bench.hot import hot, idle


def test_the_hot_path_and_the_sweep_are_measured_and_each_event_arrives_once() -> None:
    rows = list(hot(2_000))
    assert [row.case for row in rows] == ["collect and deliver", "sweep", "collect and deliver", "collect and deliver"]
    assert all(row.figures["missing/twice"] == "0/0" for row in rows if row.case == "collect and deliver")


def test_idle_looks_are_measured() -> None:
    assert [row.who for row in idle(0)] == ["a poll that finds nothing", "the sensor's probe"]
