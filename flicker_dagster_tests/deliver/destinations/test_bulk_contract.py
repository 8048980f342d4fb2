"""`type: elasticsearch` and `type: opensearch` through whole deliveries: nothing lost, nothing twice, only the guilty set
aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.bulk_api import BulkReceiver, basic
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lots_of
from flicker_dagster_tests.deliver.destinations.clusters import TARGET, opened

POISON = b"poison"
UNPARSABLE = ItemRefusal(400, "mapper_parsing_exception", "failed to parse field [poison] of type [long]")


def opening(cluster: BulkReceiver, **keys: Any) -> Callable[[], Destination]:
    return lambda: opened(cluster, **keys)


def uids_of(lots: Sequence[Lot]) -> list[str]:
    return [uid for lot in lots for uid in lot.uids]


def sometimes_poison(number: int) -> bytes:
    return event_of(number, poison=True) if number % 100 == 50 else event_of(number)


@pytest.mark.parametrize("keys", [{}, {"index": "audit-%Y.%m.%d"}], ids=["data stream", "dated index"])
def test_commits_without_an_answer_end_exactly_once(cluster: BulkReceiver, keys: dict[str, Any]) -> None:
    cluster.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)

    drained = drain(MemoryQueue(lots), opening(cluster, **keys), runs=100)

    assert drained.done
    assert cluster.counts() == dict.fromkeys(uids_of(lots), 1)
    assert drained.delivered == 2_000
    assert any(settled.duplicate for _, settled in drained.queue.history)


@pytest.mark.parametrize("fault", ["cut", "truncated", "cut_before_commit", "503", "429", "html"])
def test_faults_of_every_kind_end_exactly_once(cluster: BulkReceiver, fault: str) -> None:
    cluster.faults.plan(fault, count=None, share=0.25)
    lots = lots_of(600, size=50)

    drained = drain(MemoryQueue(lots), opening(cluster), runs=100)

    assert drained.done
    assert not drained.dead
    assert cluster.counts() == dict.fromkeys(uids_of(lots), 1)


def test_wrong_credentials_keep_everything_until_they_are_right(cluster: BulkReceiver) -> None:
    cluster.authorizations = (basic("flicker", "right"),)
    lots = lots_of(300)
    queue = MemoryQueue(lots)

    def auth(password: str) -> dict[str, Any]:
        return {"auth": {"type": "basic", "username": "flicker", "password": password}}

    refused = drain(queue, opening(cluster, **auth("wrong")), runs=3)
    assert queue.waiting == 300
    assert not refused.dead
    assert "HTTP 401" in refused.last_words

    drained = drain(queue, opening(cluster, **auth("right")))
    assert drained.done
    assert cluster.counts() == dict.fromkeys(uids_of(lots), 1)


def test_a_cluster_that_takes_little_gets_everything_but_what_it_can_never_take(cluster: BulkReceiver) -> None:
    cluster.max_content_bytes = 20_000
    lots = lots_of(400, size=200, make=lambda n: event_of(n, detail="x" * 30_000) if n == 123 else event_of(n))

    drained = drain(MemoryQueue(lots), opening(cluster))

    assert drained.done
    assert [letter.event for letter in drained.letters.kept] == [lots[0].events[123]]
    assert cluster.counts() == {uid: 1 for uid in uids_of(lots) if uid != lots[0].uids[123]}
    refused = drained.reports[0].statuses["HTTP 413 Request Entity Too Large"]
    assert 0 < refused < 20, "what it carries is learned, not found anew with each lot"


def test_a_small_cluster_that_fails_one_request_in_five_gets_everything_once(cluster: BulkReceiver) -> None:
    cluster.max_content_bytes = 20_000
    cluster.faults.plan("500", count=None, share=0.2)
    lots = lots_of(1_000, size=200)

    drained = drain(MemoryQueue(lots), opening(cluster), runs=100)

    assert drained.done
    assert not drained.dead
    assert cluster.counts() == dict.fromkeys(uids_of(lots), 1)


def test_of_ten_thousand_events_a_hundred_poisoned_ones_are_set_aside_alone(cluster: BulkReceiver) -> None:
    cluster.refuse_items(UNPARSABLE, holding=POISON)
    lots = lots_of(10_000, size=500, make=sometimes_poison)

    drained = drain(MemoryQueue(lots), opening(cluster))

    assert drained.done
    assert (drained.delivered, drained.dead) == (9_900, 100)
    assert all(POISON in letter.event for letter in drained.letters.kept)
    assert set(cluster.counts().values()) == {1}
    assert len(cluster.asked) == len(lots), "an answer per item: nothing is sent twice to find the guilty one"


def test_a_full_queue_costs_only_what_it_could_not_hold(cluster: BulkReceiver) -> None:
    cluster.refuse_items(ItemRefusal(429, "rejected_execution_exception", "queue full"), share=0.3, count=300)
    lots = lots_of(1_000)

    drained = drain(MemoryQueue(lots), opening(cluster), runs=50)

    assert drained.done
    assert cluster.counts() == dict.fromkeys(uids_of(lots), 1)
    assert not cluster.items[409], "what was taken is not sent again"


def test_a_full_disk_is_waited_out_and_said(cluster: BulkReceiver) -> None:
    cluster.refuse_items(ItemRefusal(429, "cluster_block_exception", "flood stage"))
    queue = MemoryQueue(lots_of(200))

    waiting = drain(queue, opening(cluster), runs=2)
    assert queue.waiting == 200
    assert "free disk space" in waiting.last_words

    cluster.item_faults.clear()
    assert drain(queue, opening(cluster)).done


def test_a_missing_pipeline_costs_no_event(cluster: BulkReceiver) -> None:
    queue = MemoryQueue(lots_of(200))

    blocked = drain(queue, opening(cluster, pipeline="geo"), runs=2)
    assert queue.waiting == 200
    assert not blocked.dead
    assert "pipeline with id [geo] does not exist" in blocked.last_words

    cluster.state.pipelines.add("geo")
    assert drain(queue, opening(cluster, pipeline="geo")).done
    assert len(cluster.documents(TARGET)) == 200


def test_a_cluster_that_refuses_every_document_gets_no_backlog_of_dead_letters(cluster: BulkReceiver) -> None:
    cluster.refuse_items(UNPARSABLE)
    queue = MemoryQueue(lots_of(300))

    drained = drain(queue, opening(cluster), runs=3)

    assert not drained.dead
    assert queue.waiting == 300
    assert "every event" in drained.last_words
