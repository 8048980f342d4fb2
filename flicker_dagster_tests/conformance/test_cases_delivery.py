"""Field reports about delivery: what was acknowledged, what waits, and who knows of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.errors import DestinationUnavailable
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.simulator.plain import Plain
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.conformance.location import Location
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.conformance.twists import each_event

cases(
    {
        "half_batch_repeated": "half of a batch is acknowledged, then the SIEM is down for a moment: both events come again",
        "format_changed_while_waiting": "the destination's format changes while events wait: they count as delivered, and "
        "are nowhere",
        "surrogate_refused": "half an emoji in an event that the SIEM refuses ends every delivery in a traceback",
        "two_machines": "runs alternate between two machines: what each had delivered or fetched, the other sends again",
        "step_on_another_machine": "fetched on one machine, delivered on another: green, and nothing sent",
    }
)

Rule = Callable[[Request, list[str]], Response | None]


@contextmanager
def siem_with(scene: Scene, rule: Rule) -> Iterator[None]:
    """Before the SIEM stands a rule of requests and the ids in them: its answer counts, or None for the SIEM's own."""

    def answer(request: Request) -> Response:
        said = rule(request, ids_in(request.body))
        return scene.siem.handle(request) if said is None else said

    server = Server(answer)
    configured(scene, endpoint=f"{server.url}/siem")
    try:
        yield
    finally:
        server.close()


def configured(scene: Scene, **destination: Any) -> None:
    """Somebody edits the destination."""
    record = scene.source.lanes[""].model_dump() | destination
    scene.source = scene.source.model_copy(update={"destination": destination_adapter().validate_python(record)})


def ids_in(body: bytes) -> list[str]:
    """Ids in an array, in lines or in envelopes."""
    text = body.strip()
    events = json.loads(text) if text.startswith(b"[") else [json.loads(line) for line in text.splitlines()]
    return [event["id"] for event in events]


# -- half_batch_repeated


@row("case-half_batch_repeated", behaviour="each answer is written down when it comes, also of a part of what was sent")
@pytest.mark.parametrize("too_large", [413, 400])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_half_that_was_acknowledged_is_not_sent_again(tmp_path: Path, too_large: int, in_flight: int) -> None:
    with plain_scene(tmp_path, destination={"max_in_flight": in_flight}) as scene:
        emitted = scene.emit(4)
        down = [True]

        def rule(request: Request, ids: list[str]) -> Response | None:
            if len(ids) > 3:
                return Response(too_large)
            return Response(503) if emitted[3] in ids and down and down.pop() else None

        with siem_with(scene, rule):
            with suppress(DestinationUnavailable):  # as long as nothing was taken, the run's own retries have to do
                scene.poll()
            scene.poll()
        assert not down
        scene.assert_each_once()
        assert scene.dead_letters() == []


@pytest.mark.parametrize("too_large", [413, 400])
def test_a_half_that_was_acknowledged_stays_so_where_the_run_fails(tmp_path: Path, too_large: int) -> None:
    with plain_scene(tmp_path, destination={"max_in_flight": 1}) as scene:
        emitted = scene.emit(4)
        down = [True]

        def rule(request: Request, ids: list[str]) -> Response | None:
            if len(ids) > 3:
                return Response(too_large)
            return Response(503) if emitted[3] in ids and down else None

        with siem_with(scene, rule):
            for _ in range(2):
                with pytest.raises(DestinationUnavailable):
                    scene.poll()
            down.clear()
            scene.poll()
        scene.assert_each_once()


# -- format_changed_while_waiting


@row(
    "case-format_changed_while_waiting",
    behaviour="what waits is the vendor's events in no format: a changed one counts when they are sent, and none is lost",
)
@pytest.mark.parametrize("before", ["json", "ndjson", "envelope"])
@pytest.mark.parametrize("after", ["json", "ndjson", "envelope"])
def test_events_that_wait_are_sent_in_todays_format(tmp_path: Path, before: str, after: str) -> None:
    with plain_scene(tmp_path, destination={"format": before}) as scene:
        emitted = scene.emit(3)
        scene.siem.faults.plan("503", count=None)
        with pytest.raises(DestinationUnavailable):
            scene.poll()
        scene.siem.faults.clear()
        scene.siem.poison = emitted[1]
        configured(scene, format=after)
        for _ in range(2):
            scene.poll()
        assert [json.loads(letter.event)["id"] for letter in scene.dead_letters()] == [emitted[1]]
        scene.assert_each_once(but=1)
        scene.siem.poison = None


# -- surrogate_refused


@row("case-surrogate_refused", behaviour="one dead letter; its neighbours are delivered, and nothing behind it waits")
@pytest.mark.parametrize("form", ["json", "ndjson", "envelope"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_half_an_emoji_beside_a_refusal_costs_one_event(tmp_path: Path, form: str, compression: str) -> None:
    with plain_scene(tmp_path, destination={"format": form, "compression": compression}) as scene:
        each_event(scene, lambda event: event | ({"text": "Party \ud83d"} if event["number"] == 1 else {}))
        emitted = scene.emit(3)
        scene.siem.poison = "Party"
        scene.poll()
        (letter,) = scene.dead_letters()
        assert json.loads(letter.event)["id"] == emitted[1]
        assert b"Party \\ud83d" in letter.event, "the event's own bytes are kept"
        scene.emit(3)
        scene.poll()
        scene.assert_each_once(but=1)


# -- two_machines


@contextmanager
def two_machines(directory: Path, **options: Any) -> Iterator[tuple[Scene, Scene]]:
    """One state, one vendor, one SIEM; each machine has a disk of its own, and a run begins where the registry stands."""
    with plain_scene(directory, **options) as one:
        other = Scene(one.vendor, one.siem, one.source, directory / "other", one.clock)
        other.state = one.state = directory / "shared"
        yield one, other


@row(
    "case-two_machines",
    behaviour="what was acknowledged is in the shared ledger however a delivery ends, and what waits is compared with the "
    "ledger before it is sent",
)
@pytest.mark.parametrize("taken", [0, 1, 2])
def test_runs_that_alternate_between_machines_send_nothing_twice(tmp_path: Path, taken: int) -> None:
    with two_machines(tmp_path, buffer_size=2, destination={"max_in_flight": 1}) as (one, other):
        one.emit(6)
        one.siem.faults.plan("503", count=None, after=taken)
        with pytest.raises(DestinationUnavailable):
            one.poll()
        one.siem.faults.clear()
        for each in (other, one):
            each.cursor = None
            each.poll()
        one.assert_each_once()
        with one.work() as work:
            assert waiting_events(work) == 0


# -- step_on_another_machine


@row(
    "case-step_on_another_machine", behaviour="the delivery makes sure that its own run wrote the spool; else it is red"
)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_delivery_on_another_machine_is_refused(tmp_path: Path, elsewhere: bool) -> None:
    vendor, siem = Plain(per_minute=10**6), Receiver()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        location = Location(tmp_path, "prod", vendor, siem)
        spool = Path(location.settings.work_dir) / "spool"
        try:
            vendor.emitter.emit(3)
            assert location.run(instance).success
            shutil.copytree(spool, tmp_path / "other")  # the other machine, which has run before
            vendor.emitter.emit(3)
            siem.faults.plan("503", count=None)
            failed = location.run(instance)
            assert not failed.success
            siem.faults.clear()
            if elsewhere:
                spool.rename(tmp_path / "away")
                (tmp_path / "other").rename(spool)
            again = location.deliver_again(instance, failed.run_id)
            assert again.success is not elsewhere
            if elsewhere:
                (failure,) = [event for event in again.all_node_events if event.is_step_failure]
                assert "is not the one that this run's fetch wrote" in str(failure.step_failure_data.error)
            assert len(siem.ids("/siem")) == (3 if elsewhere else 6)
            assert location.run(instance).success
            assert sorted(siem.ids("/siem").values()) == ([1] * 6), "a run that fetches as well delivers all the same"
        finally:
            vendor.close()
            siem.close()
