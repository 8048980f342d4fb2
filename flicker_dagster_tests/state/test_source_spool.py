from __future__ import annotations

import os
from pathlib import Path

import pytest

from flicker_dagster.errors import SourceBusy, SpoolFull
from flicker_dagster.state.spool import SourceSpool
from flicker_dagster_tests.state.builders import lot, state
from flicker_dagster_tests.state.units import ids, live, settle_all, spool_of


def test_units_are_kept_apart_and_counted_together(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    spool.unit("live").append([lot("a")], state())
    spool.unit("2025-12-17").append([lot("b"), lot("c")], state())
    assert spool.units() == ["2025-12-17", "live"]
    assert spool.unit("live") is spool.unit("live")
    assert spool.waiting_bytes() == spool.used_bytes() > 0
    assert SourceSpool(tmp_path, "github").units() == []


def test_the_cap_covers_all_units_and_refuses_before_anything_is_written(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, cap_bytes=3000)
    spool.unit("live").append([lot("a", array=b"x" * 2000)], state(1))
    other = spool.unit("2025-12-17")
    with pytest.raises(SpoolFull, match=r"okta: the spool holds .* limits\.spool_bytes \(3000\)"):
        other.append([lot("b", array=b"x" * 2000)], state(2))
    assert other.state is None
    other.append([], state(3))
    settle_all(spool.unit("live"))
    spool.unit("live").clear(None)
    other.append([lot("b", array=b"x" * 2000)], state(4))


def test_an_empty_spool_takes_a_page_of_any_size(tmp_path: Path) -> None:
    live(tmp_path, cap_bytes=10).append([lot("a", array=b"x" * 2000)], state())
    assert ids(live(tmp_path)) == ["a"]


def test_only_one_run_holds_a_source(tmp_path: Path) -> None:
    with spool_of(tmp_path).lock():
        with pytest.raises(SourceBusy, match=f"okta: another run is at work .process {os.getpid()}, since 2025-12-17"):
            spool_of(tmp_path).lock(wait_s=0.01).__enter__()
        with SourceSpool(tmp_path, "github").lock():
            pass
    with spool_of(tmp_path).lock():
        pass


def test_an_error_inside_of_a_lock_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="mine"), spool_of(tmp_path).lock():
        raise BlockingIOError("mine")


def test_whoever_takes_the_lock_sees_what_the_last_holder_wrote(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    unit = spool.unit("live")
    assert unit.waiting.lots == 0
    with spool_of(tmp_path).lock():
        live(tmp_path).append([lot("a")], state())
    assert unit.waiting.lots == 0
    with spool.lock():
        assert unit.waiting.lots == 1
