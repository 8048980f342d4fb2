"""What holds for every dialect, whichever there are: it loads, says how to read it, and its events are told apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.dialects import dialect, dialect_names
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster_tests.simulator.worlds import Clock, serving

#: The first ones let anybody in who gives no token, so that a source needs no parameters.
OPEN = {"okta", "salesforce", "github"}


@pytest.fixture(params=dialect_names())
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    kind = dialect(request.param)
    with serving(kind(clock=Clock(), history_s=60, history_rate=4 * len(kind.streams))) as served:
        yield served


def test_it_is_named_as_its_file_and_says_with_what_it_is_read(vendor: Vendor) -> None:
    assert dialect(vendor.name) is type(vendor)
    assert vendor.params or vendor.name in OPEN
    assert all(isinstance(value, str) for value in vendor.params.values())
    assert len(set(vendor.streams)) == len(vendor.streams)


def test_its_events_are_found_again_and_equal_ones_are_declared(vendor: Vendor) -> None:
    for stream, emitter in vendor.emitters.items():
        events = emitter.emitted()
        assert len(events) == 240
        equal = len(events) - len({event.id for event in events})
        assert bool(equal) == vendor.equal_rows, f"{stream}: {equal} are equal"


def test_an_unknown_one_is_refused_by_name() -> None:
    with pytest.raises(FlickerError, match="did you mean slack"):
        dialect("slak")


def test_rows_are_json_and_hold_what_identifies_them(vendor: Vendor) -> None:
    for stream, emitter in vendor.emitters.items():
        for event in emitter.emitted()[:20]:
            assert vendor.id_of(stream, vendor.delivered(event)) == event.id, stream


def test_the_streams_in_which_something_happens_share_the_rate_and_the_history() -> None:
    clock, kind = Clock(), dialect("google_workspace")
    with serving(kind(clock=clock, rate=2.0, history_s=100, history_rate=0.5, busy=("login", "drive"))) as vendor:
        clock.move(30)
        emitted = {stream: len(emitter.emitted()) for stream, emitter in vendor.emitters.items()}
        assert {stream: count for stream, count in emitted.items() if count} == {"login": 55, "drive": 55}
        vendor.set_rate(0)
        clock.move(30)
        assert sum(len(emitter.emitted()) for emitter in vendor.emitters.values()) == 110
