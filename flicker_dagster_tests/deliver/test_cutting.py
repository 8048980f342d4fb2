"""Lots: cut by count and bytes, the same bytes and the same id every time."""

from __future__ import annotations

import itertools
from array import array

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from flicker_dagster.deliver.cutting import LotCutter
from flicker_dagster.lots import lot_id_of
from flicker_dagster.types import NO_TIME, FrozenLot

TIME_MS = 1_777_713_247_221


def a_cutter(*, max_events: int = 100, max_bytes: int = 10_000, name: str = "s") -> LotCutter:
    return LotCutter(source_name=name, max_events=max_events, max_bytes=max_bytes, now_ms=lambda: TIME_MS)


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def names_in(blob: bytes) -> list[int]:
    return [int.from_bytes(blob[at : at + 16], "big") for at in range(0, len(blob), 16)]


def events_of(lot: FrozenLot) -> list[bytes]:
    """A lot's events, told apart by its column of lengths."""
    text, events, at = igzip.decompress(lot.array), [], 1
    for length in array("I", lot.lengths):
        events.append(text[at : at + length])
        at += length + 1
    assert text == b"[%b]" % b",".join(events)
    return events


def times_of(lot: FrozenLot) -> list[int | None]:
    return [None if ms == NO_TIME else ms for ms in array("q", lot.times_ms)]


Piece = tuple[str, int]  # shard, size of the event

pieces = st.lists(st.tuples(st.sampled_from(["h1", "h2", "untimed"]), st.integers(1, 120)), max_size=40)


def lots_of(
    cutter: LotCutter, drawn: list[Piece], chunk: int, average_bytes: int | None = None, *, raw: bool = False
) -> tuple[list[FrozenLot], list[bytes], list[int | None]]:
    """Add events in chunks of one shard each, as pages do; gives lots, and events with their times as they went in."""
    made: list[FrozenLot] = []
    events = [b'{"n":%d,"x":"%b"}' % (number, b"x" * size) for number, (_, size) in enumerate(drawn)]
    times = [None if shard == "untimed" else TIME_MS + number for number, (shard, _) in enumerate(drawn)]
    at = 0
    while at < len(drawn):
        upto = at + 1
        while upto < len(drawn) and upto - at < chunk and drawn[upto][0] == drawn[at][0]:
            upto += 1
        portion = [msgspec.Raw(event) for event in events[at:upto]] if raw else events[at:upto]
        names = [digest(n) for n in range(at, upto)]
        made += cutter.add(portion, names, drawn[at][0], times[at:upto], average_bytes=average_bytes)
        at = upto
    return made + cutter.flush(), events, times


@given(
    pieces,
    st.integers(1, 8),
    st.integers(20, 600),
    st.integers(1, 10),
    st.none() | st.integers(1, 200),
    st.booleans(),
)
def test_no_lot_is_over_a_limit_and_nothing_is_lost_or_moved(
    drawn: list[Piece], max_events: int, max_bytes: int, chunk: int, average_bytes: int | None, raw: bool
) -> None:
    cutter = a_cutter(max_events=max_events, max_bytes=max_bytes)
    made, events, times = lots_of(cutter, drawn, chunk, average_bytes, raw=raw)
    assert cutter.pending_events == 0
    for lot in made:
        joined = b"".join(lot.digests.values())
        assert len(events_of(lot)) == len(times_of(lot)) == lot.count <= max_events
        assert len(igzip.decompress(lot.array)) == lot.array_bytes
        assert lot.array_bytes <= max_bytes or lot.count == 1
        assert len(joined) == 16 * lot.count
        assert (lot.source, lot.lot_id, lot.collected_ms) == ("s", lot_id_of("s", joined), TIME_MS)
        for shard, blob in lot.digests.items():
            assert {drawn[name][0] for name in names_in(blob)} == {shard}
    assert [event for lot in made for event in events_of(lot)] == events
    assert [ms for lot in made for ms in times_of(lot)] == times
    ids = [name for lot in made for blob in lot.digests.values() for name in names_in(blob)]
    assert ids == list(range(len(events)))


@given(pieces, st.integers(1, 8), st.integers(20, 600), st.integers(1, 10))
def test_the_same_events_make_the_same_lots_bit_by_bit(
    drawn: list[Piece], max_events: int, max_bytes: int, chunk: int
) -> None:
    one, *_ = lots_of(a_cutter(max_events=max_events, max_bytes=max_bytes), drawn, chunk)
    two, *_ = lots_of(a_cutter(max_events=max_events, max_bytes=max_bytes), drawn, chunk)
    assert one == two


def test_a_lone_event_over_the_limit_is_a_lot_of_its_own_between_its_neighbours() -> None:
    large = b'"%b"' % (b"x" * 90)
    cutter = a_cutter(max_bytes=60)
    made = cutter.add([b"1", large, b"2"], [digest(n) for n in range(3)], "h", [None] * 3)
    made += cutter.flush()
    assert [events_of(lot) for lot in made] == [[b"1"], [large], [b"2"]]


def test_a_lot_is_given_as_soon_as_it_is_full_and_the_rest_waits() -> None:
    cutter = a_cutter(max_events=2)
    made = cutter.add([b"1", b"2", b"3"], [digest(n) for n in range(3)], "h", [None] * 3)
    assert [events_of(lot) for lot in made] == [[b"1", b"2"]]
    assert cutter.pending_events == 1
    assert [events_of(lot) for lot in cutter.flush()] == [[b"3"]]


def test_a_shard_that_comes_again_begins_a_new_lot() -> None:
    cutter = a_cutter()
    made = []
    for number, shard in enumerate(["h1", "h2", "h1"]):
        made += cutter.add([b"%d" % number], [digest(number)], shard, [None])
    made += cutter.flush()
    assert [list(lot.digests) for lot in made] == [["h1", "h2"], ["h1"]]


def test_an_average_that_misled_halves_the_lot() -> None:
    """Most pages are of one kind, and nobody measures each event; where one is not, no lot is over the limit all the same."""
    cutter = a_cutter(max_bytes=1_000)
    events = [b'"%b"' % (b"x" * size) for size in (400, 400, 400, 10)]
    shards = ["h1", "h1", "h2", "h2"]
    made = []
    for number, (event, shard) in enumerate(zip(events, shards, strict=True)):
        made += cutter.add([event], [digest(number)], shard, [None], average_bytes=20)
    made += cutter.flush()
    assert all(lot.array_bytes <= 1_000 for lot in made)
    assert list(itertools.chain.from_iterable(map(events_of, made))) == events
    assert [{shard: names_in(blob) for shard, blob in lot.digests.items()} for lot in made] == [
        {"h1": [0, 1]},
        {"h2": [2, 3]},
    ]


def test_nothing_waiting_is_no_lot() -> None:
    cutter = a_cutter()
    assert cutter.add([], [], "h", []) == []
    assert cutter.flush() == []


def test_lot_ids_belong_to_their_source() -> None:
    assert lot_id_of("a", digest(1)) != lot_id_of("b", digest(1))
    assert lot_id_of("a", digest(1) + digest(2)) != lot_id_of("a", digest(2) + digest(1))
    assert lot_id_of("a", [digest(1), digest(2)]) == lot_id_of("a", digest(1) + digest(2))


@given(pieces)
def test_packed_events_hold_no_time_stamp(drawn: list[Piece]) -> None:
    made, *_ = lots_of(a_cutter(), drawn, 10)
    assert all(lot.array[4:8] == b"\0\0\0\0" for lot in made)
