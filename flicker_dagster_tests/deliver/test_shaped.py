"""A lane that changes events, end to end: what arrives, what becomes a dead letter, what is counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.deliver.destination import Destination, DestinationBase, LaneContext, LotLimits, open_destination
from flicker_dagster.deliver.outcomes import Delivered, Outcome, PerItem, Rejected, Retry, Split
from flicker_dagster.deliver.shaped import ShapedDestination, shaped
from flicker_dagster.deliver.shaping import ShapeCounts
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lot_of

ENV = {"FLICKER_MASK_KEY": "0123456789abcdef"}


class Taking(DestinationBase):
    """Takes what it is sent, answering with each of `answers` first."""

    def __init__(self, *answers: Any) -> None:
        self.limits = LotLimits(events=100, bytes=100_000, in_flight=1)
        self.answers = list(answers)
        self.sent: list[tuple[str, bytes]] = []

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return {index: "too hot" for index, event in enumerate(lot.events) if b"hot" in event}

    def send(self, lot: Lot) -> Outcome:
        self.sent.append((lot.key("json"), lot.array))
        return self.answers.pop(0) if self.answers else Delivered("HTTP 200 OK")

    def describe(self) -> str:
        return "taking"


def behind(destination: Destination, *, env: Mapping[str, str] = ENV, **keys: Any) -> Any:
    record = DestinationRecord.model_validate({"type": "any"} | keys)
    return shaped(destination, record, LaneContext("okta", vendor="okta", env=env))


MASKED: dict[str, Any] = {"fields": {"mask": ["who"], "drop": ["x"]}}


def test_a_destination_whose_record_says_nothing_is_opened_bare() -> None:
    taking = Taking()
    assert behind(taking) is taking
    assert isinstance(behind(taking, **MASKED), ShapedDestination)


def test_what_cannot_be_masked_becomes_a_dead_letter_of_the_vendors_bytes_and_the_others_arrive() -> None:
    events = [b'{"who":"ana","x":1}', b'{"who":"bob"', b'{"who":"eve","y":"hot"}', b'{"n":1.10}']
    taking, queue = Taking(), MemoryQueue([lot_of(events)])
    lane = behind(taking, **MASKED)
    drained = drain(queue, lambda: lane, runs=1)
    assert drained.done
    assert [(letter.event, letter.reason) for letter in drained.letters.kept] == [
        (events[1], drained.letters.kept[0].reason),
        (events[2], "never sent: too hot"),
    ]
    assert drained.letters.kept[0].reason.startswith("never sent: it is no JSON object")
    assert b"ana" not in taking.sent[0][1]
    assert [sorted(event) for event in json.loads(taking.sent[0][1])] == [["who"], ["n"]]
    assert lane.counts == ShapeCounts(events=2, touched=1, dropped={"x": 1}, masked={"who": 1})


def test_every_attempt_at_a_part_makes_the_same_bytes_under_the_same_key() -> None:
    taking, queue = (
        Taking(Delivered("HTTP 200 OK"), Retry("HTTP 503")),
        MemoryQueue([lot_of([b'{"who":"ana"}'], seq=n) for n in (0, 1)]),
    )
    lane = behind(taking, **MASKED)
    assert drain(queue, lambda: lane, runs=1).done
    assert len(taking.sent) == 3
    assert taking.sent[1] == taking.sent[2]
    assert lane.counts == ShapeCounts(events=2, touched=2, masked={"who": 2})


def test_an_event_is_counted_when_it_is_taken() -> None:
    events = [b'{"who":"ana"}', b'{"who":"bob","x":1}', b'{"n":1}']
    answers = (Split("HTTP 413"), Delivered("ok"), PerItem((Delivered("ok"), Rejected("no"))))
    taking, queue = Taking(*answers), MemoryQueue([lot_of(events)])
    lane = behind(taking, **MASKED)
    drain(queue, lambda: lane, runs=1)
    assert lane.counts == ShapeCounts(events=2, touched=2, dropped={"x": 1}, masked={"who": 2})


def test_without_the_masks_key_nothing_is_sent_and_everything_waits() -> None:
    taking, queue = Taking(), MemoryQueue([lot_of([b'{"who":"ana"}'])])
    waiting = drain(queue, lambda: behind(taking, env={}, **MASKED), runs=2)
    assert "FLICKER_MASK_KEY" in waiting.last_words
    assert taking.sent == []
    assert waiting.dead == 0
    assert drain(queue, lambda: behind(taking, **MASKED), runs=1).done


@pytest.mark.parametrize("schema", ["ecs", "ocsf"])
def test_the_message_of_a_normalised_event_is_the_schemas(schema: str, tmp_path: Path) -> None:
    record = destination_adapter().validate_python(
        {"type": "file", "path": str(tmp_path / "out.ndjson"), "format": "envelope", "normalise": schema}
    )
    destination = open_destination(record, LaneContext("okta", vendor="okta", message_field="displayMessage"))
    destination.send(lot_of([b'{"eventType":"x","displayMessage":"User login"}']))
    destination.close()
    written = json.loads(next(tmp_path.glob("out*")).read_text())
    assert (written["message"], written["event"]["message"]) == ("User login", "User login")


def test_a_normalised_lane_sends_documents_and_keeps_the_vendors_bytes_for_its_dead_letters() -> None:
    events = [b'{"eventType":"user.session.start","actor":{"id":"00u1"}}', b'{"eventType":"x","hot":1}']
    taking, queue = Taking(), MemoryQueue([lot_of(events)])
    lane = behind(taking, normalise="ocsf")
    drained = drain(queue, lambda: lane, runs=1)
    assert [document["class_uid"] for document in json.loads(taking.sent[0][1])] == [3002]
    assert [letter.event for letter in drained.letters.kept] == [events[1]]
    assert lane.counts == ShapeCounts(events=1, normalised={"authentication.logon": 1})
