"""Lanes at the same time: whoever waits for them goes only once all have ended."""

from __future__ import annotations

import signal
import threading

import pytest

from flicker_dagster.pipeline.deliver_lanes import run_all


def test_an_interrupt_ends_every_lane_before_it_goes_out() -> None:
    """Else the source's lock would be given back while one of them still sends and writes."""
    stop, ended = threading.Event(), []

    def interrupts() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def sends() -> None:
        assert stop.wait(30)
        ended.append(True)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_all([sends, sends, interrupts], stop)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True, True]


def test_a_lane_runs_while_another_waits() -> None:
    met = threading.Barrier(2, timeout=30)
    run_all([lambda: met.wait() and None, lambda: met.wait() and None], threading.Event())
