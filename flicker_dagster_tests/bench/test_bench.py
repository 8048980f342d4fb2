"""The benchmark measures what it says: a small run of it ends with every event in the SIEM once."""

from __future__ import annotations

from bench.hot import hot, idle, sweep


def test_the_hot_path_and_the_sweep_are_measured_and_each_event_arrives_once() -> None:
    rows = [*hot(2_000), *sweep(2_000)]
    assert [row.case for row in rows] == ["collect and deliver"] * 3 + ["sweep"]
    assert all(row.figures["missing/twice"] == "0/0" for row in rows)


def test_idle_looks_are_measured() -> None:
    assert [row.who for row in idle(0)] == ["a poll that finds nothing", "the sensor's probe"]
