from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flicker_dagster.state.digests import DigestSet, DigestShards, split
from flicker_dagster_tests.state.builders import digest, digests

SMALL, COMPACT = 10_000, 0


@pytest.mark.parametrize("compact_above", [SMALL, COMPACT, 50])
@settings(max_examples=40, deadline=None)
@given(first=st.lists(st.integers(0, 80)), second=st.lists(st.integers(0, 80)), asked=st.lists(st.integers(0, 120)))
def test_it_answers_like_a_set(compact_above: int, first: list[int], second: list[int], asked: list[int]) -> None:
    known = DigestSet(digests(first), compact_above=compact_above)
    known.add_many(digests(second))
    plain = set(first) | set(second)
    assert len(known) == len(plain)
    assert known.unknown([digest(n) for n in asked]) == [i for i, n in enumerate(asked) if n not in plain]
    assert [digest(n) in known for n in asked] == [n in plain for n in asked]
    assert sorted(split(known.blob())) == sorted(digest(n) for n in plain)


@pytest.mark.parametrize("compact_above", [SMALL, COMPACT, 50])
@settings(max_examples=40, deadline=None)
@given(pages=st.lists(st.lists(st.integers(0, 200), max_size=60), max_size=6))
def test_what_a_set_has_just_called_unknown_may_be_added_without_a_look(
    compact_above: int, pages: list[list[int]]
) -> None:
    known = DigestSet(compact_above=compact_above)
    plain: set[int] = set()
    for page in pages:
        once = [digest(n) for n in dict.fromkeys(page)]
        known.add_new([once[i] for i in known.unknown(once)])
        plain |= set(page)
        assert len(known) == len(plain)
    assert sorted(split(known.blob())) == sorted(digest(n) for n in plain)


def test_a_set_that_outgrows_the_plain_form_keeps_every_member() -> None:
    names = range(3000)
    known = DigestSet(compact_above=1000)
    for start in range(0, 3000, 100):
        known.add_many(digests(names[start : start + 100]))
    assert len(known) == 3000
    assert known.unknown([digest(n) for n in names]) == []


@pytest.mark.parametrize("add", [DigestSet.add, DigestSet.add_new])
def test_a_compact_set_keeps_every_member_while_it_grows(add: Callable[[DigestSet, list[bytes]], None]) -> None:
    names = [digest(n) for n in range(50_000)]
    known = DigestSet(compact_above=1000)
    for start in range(0, 50_000, 5_000):
        add(known, names[start : start + 5_000])
        assert len(known) == start + 5_000
    assert known.unknown([*names, digest("another")]) == [50_000]
    assert sorted(split(known.blob())) == sorted(names)


@settings(max_examples=100, deadline=None)
@given(
    kept=st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 60), max_size=20))),
    pages=st.lists(st.tuples(st.sampled_from("abcd"), st.lists(st.integers(0, 99), max_size=30)), max_size=25),
    plain_upto=st.integers(0, 60),
)
def test_shards_answer_like_sets_whichever_are_asked_for_in_turns(
    kept: list[tuple[str, list[int]]], pages: list[tuple[str, list[int]]], plain_upto: int
) -> None:
    shards = DigestShards(((shard, digests(names)) for shard, names in kept), plain_upto=plain_upto)
    plain: dict[str, set[int]] = {shard: set() for shard in "abcd"}
    for shard, names in kept:
        plain[shard] |= set(names)
    for shard, page in pages:
        once = list(dict.fromkeys(page))
        new = [once[i] for i in shards.unknown(shard, [digest(n) for n in once])]
        assert new == [n for n in once if n not in plain[shard]]
        shards.add_new(shard, [digest(n) for n in new])
        plain[shard] |= set(new)


@pytest.mark.parametrize("in_turns", [False, True])
def test_shards_that_are_not_used_take_little_room(in_turns: bool) -> None:
    each, count = 1_000, 200
    tracemalloc.start()
    shards = DigestShards(plain_upto=10_000)
    for page in range(each * count // 500):
        shard = str(page % count if in_turns else page // (each // 500))
        shards.add_new(shard, split(os.urandom(16 * 500)))
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes / (each * count) < (60 if in_turns else 25)


def test_a_digest_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number"):
        DigestSet(b"x" * 17)


def test_large_sets_take_less_than_forty_bytes_per_digest() -> None:
    count = 300_000
    blob = os.urandom(16 * count)
    tracemalloc.start()
    known = DigestSet(blob)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(known) == count
    assert held_bytes / count < 40
