"""Batches: cut by count and bytes, the same bytes and the same id every time."""

from __future__ import annotations

from flicker_dagster.deliver.batching import Batcher, batch_id_of, pack
from flicker_dagster.deliver.formats import Envelope, Format, JsonArray, NdJson
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip

from flicker_dagster.types import Batch

TIME_MS = 1_777_713_247_221


def a_batcher(
    form: Format | None = None, *, max_events: int = 100, max_bytes: int = 10_000, name: str = "s"
) -> Batcher:
    form = form or JsonArray()
    return Batcher(
        source_name=name,
        encode=lambda events, digests, times: form.join(form.records(events, digests, times, now_ms=TIME_MS)),
        content_type=form.content_type,
        max_events=max_events,
        max_bytes=max_bytes,
    )


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def body_of(batch: Batch) -> bytes:
    return igzip.decompress(batch.body)


Piece = tuple[str, int]  # window, size of the event

pieces = st.lists(st.tuples(st.sampled_from(["h1", "h2", "untimed"]), st.integers(1, 120)), max_size=40)
formats = st.sampled_from([JsonArray(), NdJson(), Envelope("a source", None)])


def batches_of(
    batcher: Batcher, drawn: list[Piece], chunk: int, average_bytes: int | None = None
) -> tuple[list[Batch], list[bytes]]:
    """Add events in chunks of one window each, as pages do; gives batches and the events as they went in."""
    made: list[Batch] = []
    events = [b'{"n":%d,"x":"%b"}' % (number, b"x" * size) for number, (_, size) in enumerate(drawn)]
    at = 0
    while at < len(drawn):
        upto = at + 1
        while upto < len(drawn) and upto - at < chunk and drawn[upto][0] == drawn[at][0]:
            upto += 1
        times = [TIME_MS + number if drawn[at][0] != "untimed" else None for number in range(at, upto)]
        names = [digest(n) for n in range(at, upto)]
        made += batcher.add(events[at:upto], names, drawn[at][0], times, average_bytes=average_bytes)
        at = upto
    return made + batcher.flush(), events


@given(pieces, formats, st.integers(1, 8), st.integers(20, 600), st.integers(1, 10), st.none() | st.integers(1, 200))
def test_no_batch_is_over_a_limit_and_nothing_is_lost_or_moved(
    drawn: list[Piece], form: Format, max_events: int, max_bytes: int, chunk: int, average_bytes: int | None
) -> None:
    batcher = a_batcher(form, max_events=max_events, max_bytes=max_bytes)
    made, events = batches_of(batcher, drawn, chunk, average_bytes)
    assert batcher.pending_events == 0
    taken: list[bytes] = []
    ids: list[bytes] = []
    for batch in made:
        body = body_of(batch)
        records = form.split(body)
        joined = b"".join(batch.digests.values())
        assert len(records) == batch.count <= max_events
        assert len(body) == batch.body_bytes
        assert batch.body_bytes <= max_bytes or batch.count == 1
        assert len(joined) == 16 * batch.count
        assert batch.batch_id == batch_id_of("s", joined)
        for window, those in batch.digests.items():
            assert {drawn[int.from_bytes(those[i : i + 16], "big")][0] for i in range(0, len(those), 16)} == {window}
        taken += [form.event_of(record) for record in records]
        ids += [joined[i : i + 16] for i in range(0, len(joined), 16)]
    assert taken == events
    assert ids == [digest(number) for number in range(len(events))]


@given(pieces, formats, st.integers(1, 8), st.integers(20, 600), st.integers(1, 10))
def test_the_same_events_make_the_same_batches_bit_by_bit(
    drawn: list[Piece], form: Format, max_events: int, max_bytes: int, chunk: int
) -> None:
    one, _ = batches_of(a_batcher(form, max_events=max_events, max_bytes=max_bytes), drawn, chunk)
    two, _ = batches_of(a_batcher(form, max_events=max_events, max_bytes=max_bytes), drawn, chunk)
    assert one == two


def test_a_lone_event_over_the_limit_is_a_batch_of_its_own_between_its_neighbours() -> None:
    made = a_batcher(max_bytes=60).add(
        [b"1", b'"%b"' % (b"x" * 90), b"2"], [digest(n) for n in range(3)], "h", [None] * 3
    )
    batcher = a_batcher(max_bytes=60)
    made = batcher.add([b"1", b'"%b"' % (b"x" * 90), b"2"], [digest(n) for n in range(3)], "h", [None] * 3)
    made += batcher.flush()
    assert [batch.count for batch in made] == [1, 1, 1]
    assert body_of(made[1]) == b'["%b"]' % (b"x" * 90)


def test_a_batch_knows_its_first_and_last_time() -> None:
    batcher = a_batcher()
    batcher.add([b"1", b"2", b"3"], [digest(n) for n in range(3)], "h", [TIME_MS + 5, None, TIME_MS])
    (batch,) = batcher.flush()
    assert (batch.first_ms, batch.last_ms) == (TIME_MS, TIME_MS + 5)
    batcher.add([b"1"], [digest(1)], "untimed", [None])
    (batch,) = batcher.flush()
    assert (batch.first_ms, batch.last_ms) == (None, None)


def test_nothing_waiting_is_no_batch() -> None:
    batcher = a_batcher()
    assert batcher.add([], [], "h", []) == []
    assert batcher.flush() == []


def test_batch_ids_belong_to_their_source() -> None:
    assert batch_id_of("a", digest(1)) != batch_id_of("b", digest(1))
    assert batch_id_of("a", digest(1) + digest(2)) != batch_id_of("a", digest(2) + digest(1))


@given(st.binary(max_size=2_000))
def test_packing_is_deterministic_and_loses_nothing(body: bytes) -> None:
    assert pack(body) == pack(body)
    assert igzip.decompress(pack(body)) == body
    assert pack(body)[4:8] == b"\0\0\0\0"  # no time stamp
