"""Lanes of OTLP under faults: nothing lost, and only the guilty set aside."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.simulator.receivers.otlp import OtlpReceiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lots_of
from flicker_dagster_tests.deliver.destinations.otlp_lanes import encodings, opened


@encodings
def test_a_quarter_of_the_requests_committed_and_never_answered(otlp: OtlpReceiver, encoding: str) -> None:
    otlp.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(1_000, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(otlp.url, encoding=encoding), runs=50)
    assert drained.done
    assert drained.delivered == 1_000
    assert set(otlp.counts()) == {uid for lot in lots for uid in lot.uids}, "the same ids however often they come"
    repeated = sum(otlp.counts().values()) - 1_000
    assert 0 < repeated == 20 * (len(otlp.keys) - len(set(otlp.keys))), "whole requests under the same key only"


def test_a_wrong_token_keeps_everything_until_it_is_mended(otlp: OtlpReceiver) -> None:
    queue = MemoryQueue(lots_of(300))
    before = drain(queue, lambda: opened(otlp.url, token="old"), runs=3)
    assert queue.waiting == 300
    assert before.dead == 0
    assert "HTTP 401" in before.last_words
    assert drain(queue, lambda: opened(otlp.url)).done
    assert set(otlp.counts().values()) == {1}
    assert len(otlp.stored) == 300


@pytest.mark.parametrize("limit", [20_000, 60_000])
def test_too_large_is_halved_down_to_the_one_guilty_event(limit: int) -> None:
    collector = OtlpReceiver(token="t0ken-value", max_bytes=limit)
    guilty = 137
    lots = lots_of(200, make=lambda n: event_of(n, detail="x" * (limit if n == guilty else 10)))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url), runs=3)
        assert drained.done
        assert (drained.delivered, drained.dead) == (199, 1)
        assert json.loads(drained.letters.kept[0].event)["id"] == f"e{guilty:06d}"
        assert set(collector.counts().values()) == {1}
    finally:
        collector.close()


def test_ten_thousand_events_of_which_one_in_a_hundred_is_poison() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison")
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n, **({"bad": "p0ison"} if n % 100 == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url), runs=3)
        assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
        assert set(collector.counts().values()) == {1}
        assert len(collector.stored) == 9_900
    finally:
        collector.close()


@encodings
def test_a_partial_success_repeats_nothing_and_keeps_all_it_may_have_cost(encoding: str) -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison", poison_is_partial=True)
    lots = lots_of(300, make=lambda n: event_of(n, **({"bad": "p0ison"} if n == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url, encoding=encoding), runs=3)
        assert drained.done
        assert (drained.delivered, drained.dead) == (200, 100)
        assert set(collector.counts().values()) == {1}
        assert len(collector.stored) == 299
        assert "1 of 100 records were refused" in drained.letters.kept[0].reason
    finally:
        collector.close()


def test_a_partial_success_can_be_sent_again_until_the_guilty_stand_alone() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="p0ison", poison_is_partial=True)
    lots = lots_of(300, make=lambda n: event_of(n, **({"bad": "p0ison"} if n == 7 else {})))
    try:
        drained = drain(MemoryQueue(lots), lambda: opened(collector.url, partial_success="resend"), runs=3)
        assert (drained.delivered, drained.dead, drained.done) == (299, 1, True)
        assert len(collector.counts()) == 299
    finally:
        collector.close()


def test_a_backend_that_refuses_everything_costs_no_event() -> None:
    collector = OtlpReceiver(token="t0ken-value", poison="action")
    queue = MemoryQueue(lots_of(300))
    try:
        drained = drain(queue, lambda: opened(collector.url), runs=3)
        assert (drained.dead, queue.waiting) == (0, 300)
        assert "every event, in the same words" in drained.last_words
    finally:
        collector.close()
