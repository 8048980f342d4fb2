"""Lanes into an HTTP endpoint: every event is there once, whatever happens on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.outcomes import Ambiguous, Delivered
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lots_of
from flicker_dagster_tests.deliver.destinations.http_endpoints import send, siem_at


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_an_answer_that_never_comes_is_ambiguous_and_the_same_bytes_go_again(receiver: Receiver) -> None:
    receiver.dedupe_by_key = True
    receiver.faults.plan("commit_then_cut")
    assert isinstance(send(f"{receiver.url}/siem"), Ambiguous)
    assert isinstance(send(f"{receiver.url}/siem"), Delivered)
    assert receiver.ids("/siem") == {"a": 1, "b": 1}
    assert receiver.inbox("/siem").repeated_otherwise == 0


def ids(count: int) -> dict[str, int]:
    return {f"e{number:06d}": 1 for number in range(count)}


@pytest.mark.parametrize("keys", [{}, {"format": "ndjson"}, {"compression": "gzip"}])
def test_answers_that_are_lost_cost_nothing_where_the_key_is_heeded(receiver: Receiver, keys: dict[str, Any]) -> None:
    receiver.dedupe_by_key = True
    receiver.faults.plan("commit_then_cut", count=None, share=0.25)
    drained = drain(MemoryQueue(lots_of(600, size=20)), lambda: siem_at(f"{receiver.url}/siem", **keys), runs=200)
    assert (drained.done, drained.delivered, drained.dead) == (True, 600, 0)
    assert receiver.ids("/siem") == ids(600)
    inbox = receiver.inbox("/siem")
    assert inbox.repeated_batches > 0
    assert inbox.repeated_otherwise == 0


def test_credentials_that_are_refused_keep_everything_until_they_are_put_right(receiver: Receiver) -> None:
    receiver.token = "the-new-token"
    env = {"T": "the-old-token"}

    def open_one() -> Destination:
        return siem_at(f"{receiver.url}/siem", env=dict(env), auth={"type": "bearer", "token": "${T}"})

    queue = MemoryQueue(lots_of(300))
    drained = drain(queue, open_one, runs=3)
    assert (queue.waiting, drained.dead, receiver.ids("/siem")) == (300, 0, {})
    assert re.search(r"the SIEM refuses: HTTP 401.*everything waits in the spool", drained.last_words)
    assert "the-old-token" not in drained.last_words
    env["T"] = "the-new-token"
    assert drain(queue, open_one).done
    assert receiver.ids("/siem") == ids(300)


def test_what_is_too_large_is_cut_down_to_the_one_event_that_is(receiver: Receiver) -> None:
    receiver.max_bytes = 20_000

    def make(number: int) -> bytes:
        return event_of(number, detail="x" * 30_000) if number == 61 else event_of(number)

    drained = drain(MemoryQueue(lots_of(150, size=50, make=make)), lambda: siem_at(f"{receiver.url}/siem"))
    assert (drained.done, drained.delivered, drained.dead) == (True, 149, 1)
    assert drained.letters.kept[0].event == make(61)
    assert receiver.ids("/siem") == {id_: 1 for id_ in ids(150) if id_ != "e000061"}


@pytest.mark.parametrize("form", ["json", "ndjson", "envelope"])
def test_one_event_in_a_hundred_that_is_refused_costs_itself_alone(receiver: Receiver, form: str) -> None:
    receiver.poison = "poison"

    def make(number: int) -> bytes:
        return event_of(number, what="poison") if number % 1_000 in range(500, 510) else event_of(number)

    lots = lots_of(10_000, size=400, make=make)
    drained = drain(MemoryQueue(lots), lambda: siem_at(f"{receiver.url}/siem", format=form))
    assert (drained.done, drained.delivered, drained.dead) == (True, 9_900, 100)
    assert all(b"poison" in letter.event for letter in drained.letters.kept)
    assert len(receiver.ids("/siem")) == sum(receiver.ids("/siem").values()) == 9_900


def test_requests_are_cut_to_the_configured_size(receiver: Receiver) -> None:
    receiver.max_bytes = 5_000
    drained = drain(MemoryQueue(lots_of(200, size=100)), lambda: siem_at(f"{receiver.url}/siem", max_batch_bytes=5_000))
    assert (drained.done, drained.delivered) == (True, 200)
    assert drained.reports[0].statuses.keys() == {"HTTP 200 OK"}, "nothing was sent to be refused"
    assert receiver.ids("/siem") == ids(200)


def test_a_server_that_takes_little_and_fails_often_gets_each_event_once(receiver: Receiver) -> None:
    receiver.max_bytes = 20_000
    receiver.faults.plan("500", count=None, share=0.2)
    drained = drain(MemoryQueue(lots_of(600, size=150)), lambda: siem_at(f"{receiver.url}/siem"), runs=100)
    assert (drained.done, drained.delivered, drained.dead) == (True, 600, 0)
    assert receiver.ids("/siem") == ids(600)


def test_an_answer_that_says_no_in_a_200_is_waited_out() -> None:
    taken: list[str] = []
    asked = [0]

    def handle(request: Request) -> Response:
        asked[0] += 1
        busy = asked[0] % 3 == 1
        if not busy:
            taken.extend(event["id"] for event in json.loads(request.body))
        return Response.json({"success": not busy, "reason": "busy"})

    with closing(Server(handle)) as server:
        queue = MemoryQueue(lots_of(100, size=10))
        one_by_one = {"accepted_when": {"field": "success"}, "max_in_flight": 1}
        drained = drain(queue, lambda: siem_at(server.url, **one_by_one), runs=20)
    assert (drained.done, drained.delivered) == (True, 100)
    assert sorted(taken) == sorted(ids(100))
