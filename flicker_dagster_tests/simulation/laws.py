"""What must hold in every world, whatever its script did."""

from __future__ import annotations

from collections import defaultdict

from flicker_dagster.errors import FlickerError
from flicker_dagster_tests.simulation.siem import Arrival, Siem
from flicker_dagster_tests.simulation.streams import Stream
from flicker_dagster_tests.simulation.world import World


def broken(world: World) -> str | None:
    """The first law that does not hold, in words, or None."""
    for stream in world.streams:
        for law in (_nothing_lost, _nothing_twice, _state_agrees):
            found = law(world, stream)
            if found is not None:
                return f"{law.__name__.strip('_')}: {stream.name}: {found}"
    return None


def _nothing_lost(world: World, stream: Stream) -> str | None:
    """Everything the vendor shows is in the SIEM or among the dead letters."""
    emitted = {event.id for event in stream.vendor.emitter.emitted()}
    for name, siem in world.lanes(stream).items():
        there = {mark for arrival in siem.arrivals for mark in arrival.ids}
        missing = emitted - there - set(world.dead_letters(stream, name))
        if missing:
            return f"{name}: {len(missing)} of {len(emitted)} events are neither in the SIEM nor set aside"
    return None


def _nothing_twice(world: World, stream: Stream) -> str | None:
    """No event comes again, but across the one open arrow: then in the same bytes under the same key, unless its format was
    changed in between: bodies are made when they are sent, and no key is used for two.

    Across machines the arrow is as long as the ledger is behind: what a machine sent that then died, was cut off from the
    store, heard no answer or lost its lease before it could tell the ledger, and what a destination has not confirmed yet (or
    so that nobody heard it), another one cannot know. It cuts its own lots, so its key is another; and where it delivered
    some, the first one sends the rest of what nobody answered without them. Once the ledger was told, nobody sends it again,
    but who was paused with a request on the way: it had made sure of its lease, and no destination asks for that.
    """
    for name, siem in world.lanes(stream).items():
        found = _came_again(siem, stream)
        if found is not None:
            return f"{name}: {found}" if name else found
    return None


def _came_again(siem: Siem, stream: Stream) -> str | None:
    came: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in siem.arrivals:
        for mark in arrival.ids:
            came[mark].append(arrival)
    for mark, arrivals in came.items():
        for number, again in enumerate(arrivals[1:], start=1):
            if mark in again.handed_over:
                continue
            elsewhere = {m for a in siem.arrivals if a.machine != again.machine for m in a.ids}
            opened = [a for a in arrivals[:number] if a.open and _is_one(a, again, stream, elsewhere)]
            if not opened and mark not in stream.excused:
                keys = ", ".join(f"{a.key}/{a.digest} in step {a.step}" for a in arrivals[: number + 1])
                return f"an event came again without need ({keys})"
    return None


def _is_one(before: Arrival, again: Arrival, stream: Stream, elsewhere: set[str]) -> bool:
    """Is this the same request again, as far as the format stayed what it was, without what came from elsewhere meanwhile?"""
    if any(before.step < step <= again.step for step in stream.reformatted):
        return True
    left_out = set(before.ids) - set(again.ids)
    smaller = left_out and left_out <= elsewhere and set(again.ids) <= set(before.ids)
    return bool(smaller) or (before.key, before.digest) == (again.key, again.digest)


def _state_agrees(world: World, stream: Stream) -> str | None:
    """Registry and sensor stand at one place, nothing waits, and the ledger knows what was delivered."""
    for machine in world.machines:
        with machine.at_work():
            try:
                with machine.work(stream.source) as work:
                    registry = work.registry.position(stream.name)
                    waiting = work.live.waiting.events
            except FlickerError as error:
                return f"the state cannot be read: {error}"
        if waiting:
            return f"{waiting} events wait on {machine.name} though all is calm"
        if stream.cursor is None or registry != stream.cursor.position:
            return f"the registry stands at {registry}, the sensor at {stream.cursor and stream.cursor.position}"
    return None
