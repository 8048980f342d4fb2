"""Delivery: batches that the original drops, repeats or sends as one, and what is sent of an event."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.errors import DestinationBlocked, DestinationUnavailable, VendorUnavailable
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.config.builders import SOURCE, load
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.twists import accepted, each_event

rows(
    "flicker",
    {
        16: "a batch is dropped after about a minute, or when 100 of them wait",
        17: "what is refused for good is retried like an outage and then dropped with its whole batch",
        18: "the whole buffer goes out as one request: 10,100 rows, 413, dropped",
        22: "no time-out towards the SIEM: one that never answers freezes the source for ever",
        23: "with message_field only that text is shipped: actor, address and id are lost",
        24: "filters look at the extracted text, so a filter on the event's type drops everything",
        37: "after an ambiguous failure the batch is sent again without anything to recognise it by",
        38: "one bad document in a hundred: the 99 good ones are sent again, up to six times",
        40: "a newline in a message splits it: forged log lines",
        44: "retries and flushes happen on poll ticks only; a poll that fails leaves the buffer unsent",
    },
)
rows(
    "helr",
    {
        1: "state is saved when a line is accepted by a queue; the sink drops its batch after 1.4 s or any 4xx",
        2: "a failed write to the sink is logged, and the line is gone",
        12: "no filtering, masking or normalisation of events, and one output for all sources",
    },
)


@row(
    "flicker-16",
    "helr-1",
    "helr-2",
    behaviour="batches wait in the spool until they are acknowledged; none is ever dropped",
)
@pytest.mark.parametrize("how", ["503", "429", "500", "cut_before_commit"])
def test_no_outage_is_long_enough_to_drop_a_batch(tmp_path: Path, how: str) -> None:
    with plain_scene(tmp_path, buffer_size=5) as scene:
        scene.emit(40)
        scene.fetch()
        scene.siem.faults.plan(how, count=None)
        for _ in range(12):
            with pytest.raises(DestinationUnavailable):
                scene.deliver()
            scene.clock.now_s += 60
        scene.siem.faults.clear()
        scene.poll()
        scene.assert_each_once()


@row(
    "flicker-17",
    "flicker-38",
    behaviour="halved until the guilty event is found; it becomes a dead letter, the others arrive once",
)
@pytest.mark.parametrize("siem", [{"poison": '"number":41,'}, {"max_bytes": 3_000}])
def test_one_bad_event_costs_itself_only(tmp_path: Path, siem: dict[str, Any]) -> None:
    with plain_scene(tmp_path, buffer_size=100, siem_options=siem) as scene:
        if "max_bytes" in siem:
            each_event(scene, lambda event: event | ({"text": "x" * 5_000} if event["number"] == 41 else {}))
        scene.emit(100)
        report = scene.poll()
        assert report.drained.dead == 1
        assert [json.loads(letter.event)["number"] for letter in scene.dead_letters()] == [41]
        scene.poll()
        scene.assert_each_once(but=1)


@row(
    "flicker-17",
    behaviour="halved until the guilty event is found; it becomes a dead letter, the others arrive once",
)
@pytest.mark.parametrize("how", ["401", "403", "404"])
def test_a_refusal_that_somebody_can_mend_costs_no_event(tmp_path: Path, how: str) -> None:
    with plain_scene(tmp_path, buffer_size=5) as scene:
        scene.emit(20)
        scene.siem.faults.plan(how, count=None)
        with pytest.raises(DestinationBlocked, match=f"(?s){how}.*everything waits in the spool"):
            scene.poll()
        scene.siem.faults.clear()
        scene.poll()
        assert scene.dead_letters() == []
        scene.assert_each_once()


@row("helr-1", behaviour="batches wait in the spool until they are acknowledged; none is ever dropped")
def test_a_siem_that_is_not_there_loses_nothing(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=5) as scene:
        scene.emit(20)
        there = scene.source
        with closed_port() as url:
            scene.source = there.model_copy(
                update={"destination": there.destination.model_copy(update={"endpoint": url})}
            )
            for _ in range(3):
                with pytest.raises(DestinationUnavailable, match="cannot connect"):
                    scene.poll()
                scene.clock.now_s += 60
        scene.source = there
        scene.poll()
        scene.assert_each_once()


@contextmanager
def closed_port() -> Iterator[str]:
    """An address that refuses connections: bound, so that nobody else takes it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/siem"


@row("flicker-18", behaviour="cut by buffer_size and by bytes, whichever comes first")
@pytest.mark.parametrize(
    ("limits", "most"), [({"buffer_size": 10}, 10), ({"destination": {"max_batch_bytes": 1_000}}, 8)]
)
def test_batches_are_cut_by_count_and_by_bytes(tmp_path: Path, limits: dict[str, Any], most: int) -> None:
    with plain_scene(tmp_path, **limits) as scene:
        bodies = accepted(scene)
        scene.emit(95)
        scene.poll()
        assert all(1 <= len(json.loads(body)) <= most for _, body in bodies)
        assert all(len(body) <= 1_000 for _, body in bodies if "destination" in limits)
        scene.assert_each_once()


@row("flicker-22", behaviour="every request has a time-out; collecting goes on into the spool meanwhile")
def test_a_siem_that_does_not_answer_holds_nothing_up(tmp_path: Path) -> None:
    with plain_scene(tmp_path, destination={"timeout_ms": 300}, siem_options={"dedupe_by_key": True}) as scene:
        scene.emit(5)
        scene.siem.faults.plan("slow", seconds=2)
        with pytest.raises(DestinationUnavailable, match="no answer after sending"):
            scene.poll()
        scene.emit(5)
        assert scene.fetch().tally.new == 10
        scene.poll()
        scene.assert_each_once()


@row("flicker-23", behaviour="the whole event is delivered; message_field only adds a message in `format: envelope`")
@pytest.mark.parametrize("form", ["json", "ndjson", "envelope"])
def test_a_message_field_never_cuts_the_event_down(tmp_path: Path, form: str) -> None:
    with plain_scene(tmp_path, message_field="type", destination={"format": form}) as scene:
        bodies = accepted(scene)
        scene.emit(3)
        scene.poll()
        sent = [event.body for event in scene.vendor.emitter.emitted()]
        assert all(event in bodies[0][1] for event in sent)
        scene.assert_each_once()


@row("flicker-24", behaviour="filters name fields of the event, whatever message_field says")
@row(
    "helr-12",
    behaviour="filters by field, and as many destinations per source as wanted, each with its own masking and normalisation",
)
def test_filters_look_at_the_events_fields(tmp_path: Path) -> None:
    filters = {
        "match_on": [{"field": "type", "pattern": "^login$"}],
        "exclude_on": [{"field": "number", "pattern": "^0$"}],
    }
    source = SOURCE + "    message_field: mark\n"
    config = load(tmp_path, source + "    match_on: [{field: type, pattern: ^login$}]\n").sources[0]
    with plain_scene(tmp_path, message_field="mark", match_on=config.match_on) as scene:
        scene.emit(5)
        assert scene.poll().tally.filtered == 0
        scene.assert_each_once()
    excluding = load(tmp_path, source + f"    exclude_on: {json.dumps(filters['exclude_on'])}\n").sources[0]
    (tmp_path / "second").mkdir()
    with plain_scene(tmp_path / "second", exclude_on=excluding.exclude_on) as scene:
        scene.emit(5)
        assert scene.poll().tally.filtered == 1
        scene.assert_each_once(but=1)


@row("flicker-37", behaviour="the same bytes under the same Idempotency-Key, so that a SIEM can recognise them")
def test_an_ambiguous_failure_is_repeated_recognisably(tmp_path: Path) -> None:
    with plain_scene(tmp_path, siem_options={"dedupe_by_key": True}) as scene:
        scene.emit(10)
        scene.siem.faults.plan("commit_then_cut")
        with pytest.raises(DestinationUnavailable):
            scene.poll()
        scene.poll()
        inbox = scene.siem.inbox("/siem")
        assert (inbox.repeated_batches, inbox.repeated_otherwise) == (1, 0)
        scene.assert_each_once()


@row("flicker-38", behaviour="")
def test_one_bad_document_of_a_bulk_request_costs_itself_only(tmp_path: Path) -> None:
    cluster = ElasticsearchReceiver()
    with closing(cluster), plain_scene(tmp_path, buffer_size=100) as scene:
        sent_to(scene, [{"type": "elasticsearch", "endpoint": cluster.url, "compression": "none"}])
        emitted = scene.emit(100)
        guilty = emitted[41].encode()
        cluster.refuse_items(ItemRefusal(400, "document_parsing_exception", "failed to parse"), holding=guilty)
        report = scene.poll()
        assert (report.drained.delivered, report.drained.dead, report.drained.requests) == (99, 1, 1)
        assert [json.loads(letter.event)["id"] for letter in scene.dead_letters()] == [emitted[41]]
        assert sorted(cluster.counts().values()) == [1] * 99


@row("flicker-40", behaviour="an event is one message or one line, its newlines escaped as the vendor escaped them")
@pytest.mark.parametrize("framing", ["octet_counting", "lf"])
def test_a_newline_in_an_event_makes_no_second_syslog_message(tmp_path: Path, framing: str) -> None:
    receiver = SyslogReceiver()
    with closing(receiver), plain_scene(tmp_path, message_field="text") as scene:
        sent_to(scene, [{"type": "syslog", "endpoint": receiver.address, "framing": framing}])
        each_event(scene, lambda event: event | {"text": 'bye\n<34>1 - - - - - - {"id": "forged"}'})
        emitted = scene.emit(3)
        scene.poll()
        assert len(receiver.messages) == 3
        assert all(id_.encode() in message.text for id_, message in zip(emitted, receiver.messages, strict=True))
        assert set(receiver.counts().values()) == {1}


@row("flicker-40", behaviour="")
def test_a_newline_in_an_event_makes_no_second_line(tmp_path: Path) -> None:
    with plain_scene(tmp_path, destination={"format": "ndjson"}) as scene:
        bodies = accepted(scene)
        each_event(scene, lambda event: event | {"text": 'bye\n{"id": "forged"}'})
        scene.emit(3)
        scene.poll()
        assert [len(body.splitlines()) for _, body in bodies] == [3]
        scene.assert_each_once()


@row("flicker-44", behaviour="the end of a walk closes the batch, and a failed poll delivers what was read before")
def test_a_partial_batch_waits_for_nobody(tmp_path: Path) -> None:
    with plain_scene(tmp_path, buffer_size=100) as scene:
        scene.emit(3)
        scene.poll()
        scene.assert_each_once()
        scene.emit(25)
        scene.vendor.faults.plan("500", after=2)
        with pytest.raises(VendorUnavailable):
            scene.fetch()
        scene.deliver()
        assert len(scene.received()) >= 3 + 17, "two pages were read before the failure"
        scene.poll()
        scene.assert_each_once()


@row("flicker-17", behaviour="a wrong token or address blames no event: the batches wait until it is put right")
@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refused_token_is_no_dead_letter(tmp_path: Path, status: str) -> None:
    with plain_scene(tmp_path, buffer_size=5) as scene:
        scene.emit(12)
        scene.fetch()
        scene.siem.faults.plan(status, count=None)
        for _ in range(3):
            with pytest.raises(DestinationBlocked):
                scene.deliver()
            scene.clock.now_s += 600
        assert scene.dead_letters() == []
        scene.siem.faults.clear()
        scene.poll()
        scene.assert_each_once()


@row(
    "helr-12",
    behaviour="filters by field, and as many destinations per source as wanted, each with its own masking and normalisation",
)
def test_every_source_has_its_own_destination(tmp_path: Path) -> None:
    with plain_scene(tmp_path) as scene:
        scene.emit(12)
        scene.poll()
        other = scene.source.destination.model_copy(update={"endpoint": f"{scene.siem.url}/other"})
        scene.source = scene.source.model_copy(update={"name": "other", "destination": other})
        scene.cursor = None
        scene.poll()
        scene.assert_each_once()
        assert scene.siem.ids("/other") == scene.received()


@row("helr-12", behaviour="")
def test_one_source_has_several_destinations_each_with_its_own_view_of_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLICKER_MASK_KEY", "a key of sixteen or more")
    with plain_scene(tmp_path) as scene:
        other = f"{scene.siem.url}/other"
        sent_to(
            scene,
            [
                {"type": "http", "name": "whole", "endpoint": f"{scene.siem.url}/siem"},
                {"type": "http", "name": "masked", "endpoint": other, "fields": {"mask": ["type"], "drop": ["number"]}},
                {"type": "http", "name": "ecs", "endpoint": f"{scene.siem.url}/ecs", "normalise": "ecs"},
            ],
        )
        bodies = accepted(scene)
        scene.emit(3)
        scene.poll()
        seen = {request.path: json.loads(body) for request, body in bodies}
        assert all({"type", "number"} <= event.keys() for event in seen["/siem"])
        assert all(event["type"].startswith("***") and "number" not in event for event in seen["/other"])
        assert all("ecs" in event and event["event"]["original"] for event in seen["/ecs"])
        scene.assert_each_once()
        assert scene.siem.ids("/other") == scene.received()


def sent_to(scene: Scene, destinations: list[dict[str, Any]]) -> None:
    """The source's destinations, as the configuration would have them."""
    records = [destination_adapter().validate_python(destination) for destination in destinations]
    changes = {"destination": records[0] if len(records) == 1 else records}
    scene.source = scene.source.model_copy(update=changes)
