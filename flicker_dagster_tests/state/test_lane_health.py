"""How long a destination is left alone after failures, and what is remembered of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.lane_health import ANSWERS_FOR_MS, FIRST_REST_MS, LONGEST_REST_MS, LaneHealth, LaneHealthFile

NOW_MS = 1_800_000_000_000


def failed(times: int, *, after_s: float | None = None) -> LaneHealth:
    health = LaneHealth()
    for _ in range(times):
        health = health.after_failure("HTTP 503", now_ms=NOW_MS, after_s=after_s)
    return health


@pytest.mark.parametrize(("times", "rest_ms"), [(1, FIRST_REST_MS), (2, 2 * FIRST_REST_MS), (50, LONGEST_REST_MS)])
def test_a_rest_doubles_with_each_failure_up_to_a_bound(times: int, rest_ms: int) -> None:
    health = failed(times)
    assert health.failures == times
    assert health.rests(NOW_MS)
    assert health.rests(NOW_MS + rest_ms - 1)
    assert not health.rests(NOW_MS + rest_ms)


@pytest.mark.parametrize("after_s", [1.0, 900.0])
def test_a_rest_that_the_destination_named_is_kept_to(after_s: float) -> None:
    health = failed(3, after_s=after_s)
    assert health.rests(NOW_MS)
    assert health.rests(NOW_MS + int(after_s * 1000) - 1)
    assert not health.rests(NOW_MS + int(after_s * 1000))


def test_a_clock_that_was_set_back_makes_no_rest_longer() -> None:
    assert not failed(1).rests(NOW_MS - 3_600_000)


def test_what_was_taken_ends_a_rest_and_keeps_what_was_learned_and_answered() -> None:
    health = LaneHealth(refused=[(1, 2, 3)]).after_answer("HTTP 200 OK", now_ms=NOW_MS)
    health = health.after_failure("HTTP 503", now_ms=NOW_MS, after_s=None).after_success(
        now_ms=NOW_MS, configured_as="c"
    )
    assert (health.failures, health.why, health.rests(NOW_MS)) == (0, None, False)
    assert (health.refused, health.last_answer, health.last_answer_at_ms) == ([(1, 2, 3)], "HTTP 200 OK", NOW_MS)


def test_an_answer_speaks_for_a_while_and_for_its_own_configuration() -> None:
    health = LaneHealth().after_success(now_ms=NOW_MS, configured_as="a")
    assert health.answers("a", now_ms=NOW_MS + ANSWERS_FOR_MS)
    assert not health.answers("a", now_ms=NOW_MS + ANSWERS_FOR_MS + 1)
    assert not health.answers("a", now_ms=NOW_MS - 1)
    assert not health.answers("b", now_ms=NOW_MS)


def test_it_outlives_the_process_and_what_cannot_be_read_counts_as_not_known(tmp_path: Path) -> None:
    LaneHealthFile(tmp_path, "lake").write(failed(2))
    assert LaneHealthFile(tmp_path, "lake").read() == failed(2)
    assert LaneHealthFile(tmp_path, "other").read() == LaneHealth()
    (tmp_path / ".lane@lake.json").write_text("{")
    assert LaneHealthFile(tmp_path, "lake").read() == LaneHealth()
    LaneHealthFile(tmp_path, "lake").forget()
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    file = LaneHealthFile(tmp_path, "lake")
    file.write(failed(1))
    (path,) = tmp_path.iterdir()
    path.unlink()
    file.write(failed(1))
    assert list(tmp_path.iterdir()) == []
    file.write(failed(2))
    assert LaneHealthFile(tmp_path, "lake").read() == failed(2)


@pytest.mark.parametrize("data", [b"", b'{"failures": "many"}', b"\x00\xff"])
def test_damaged_bytes_count_as_not_known(tmp_path: Path, data: bytes) -> None:
    LaneHealthFile(tmp_path, "lake").write(failed(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(data)
    assert LaneHealthFile(tmp_path, "lake").read() == LaneHealth()


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "okta").write_text("a file where a folder belongs")
    with pytest.raises(StateError, match=r"cannot write .*lake"):
        LaneHealthFile(tmp_path / "okta", "lake").write(failed(1))
