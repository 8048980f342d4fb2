"""Which entries a Loki refused, read out of its words: believed only where they account for every one."""

from __future__ import annotations

import pytest

from flicker_dagster.deliver.loki_answers import Refusal, refused_entries
from flicker_dagster.times import parse_time_ms

STREAM = '{job="flicker", source="okta"}'


def ms(text: str) -> int:
    found = parse_time_ms(text)
    assert found is not None
    return found


TIMES_MS = [ms(f"2026-11-23T20:{minute:02d}:00.5Z") for minute in range(20)]


def ignored(minute: int, why: str, fraction: str = ".5") -> str:
    return f"entry with timestamp 2026-11-23 20:{minute:02d}:00{fraction} +0000 UTC ignored, reason: '{why}',"


def total(count: int, of: int = 20) -> str:
    return f"user 'fake', total ignored: {count} out of {of} for stream: {STREAM}"


def behind(minute: int, oldest: str = "2026-11-23T20:12:00Z") -> str:
    return f"entry too far behind, entry timestamp is: 2026-11-23T20:{minute:02d}:00Z, oldest acceptable timestamp is: {oldest}"


RATE = f"Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{STREAM}' totaling 38B"


def too_old(minute: int) -> str:
    return (
        f"entry for stream '{STREAM}' has timestamp too old: 2026-11-23T20:{minute:02d}:00Z, "
        "oldest acceptable timestamp is: 2026-11-23T21:00:00Z"
    )


def too_new(minute: int) -> str:
    return f"entry for stream '{STREAM}' has timestamp too new: 2026-11-23T20:{minute:02d}:00Z"


def read(text: str, times_ms: list[int] = TIMES_MS) -> list[int] | None:
    found = refused_entries(text, times_ms)
    return None if found is None else sorted(found)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("\n".join([ignored(3, behind(3)), total(1)]), [3]),
        ("\n".join([ignored(3, behind(3)), ignored(5, behind(5)), total(2)]) + "\n", [3, 5]),
        (f"{ignored(3, RATE)}\ntotal ignored: 1 out of 20", [3]),
        (
            f"entry with timestamp 2026-11-23 20:03:00.5 +0000 UTC ignored, reason: 'x' for stream: {STREAM},\n{total(1)}",
            [3],
        ),
        # Ten are named, and there are twelve: all that lie before the oldest acceptable time.
        ("\n".join([*(ignored(minute, behind(minute)) for minute in range(10)), total(12)]), [*range(12)]),
        (too_old(4), [4]),
        (too_new(19), [19]),
        (f"2 errors: {too_old(4)}; {too_new(19)}", [4, 19]),
    ],
)
def test_words_that_account_for_every_refused_entry_are_believed(text: str, refused: list[int]) -> None:
    assert read(text) == refused


@pytest.mark.parametrize(
    "text",
    [
        "",
        "an error that nobody has seen",
        "<html>",
        ignored(3, behind(3)),  # and how many are ignored in all?
        "\n".join([ignored(3, behind(3)), total(2)]),
        "\n".join([ignored(3, behind(3)), total(1, of=10)]),  # half of the stream went to another ingester
        "\n".join([ignored(3, behind(3), fraction=".4"), total(1)]),  # none of ours
        "\n".join([ignored(3, behind(3)), "and something else", total(1)]),
        "\n".join(["entry with timestamp yesterday ignored, reason: 'x',", total(1)]),
        # Fifteen are ignored, and the oldest acceptable time leaves twelve.
        "\n".join([*(ignored(minute, behind(minute)) for minute in range(10)), total(15)]),
        # Two oldest times: the stream went on meanwhile.
        "\n".join([ignored(1, behind(1)), ignored(2, behind(2, "2026-11-23T20:11:00Z")), total(12)]),
        "\n".join([*(ignored(minute, RATE) for minute in range(10)), total(12)]),
        f"3 errors like: {too_old(4)}",
        f"{too_old(4)}; max entry size '262144' bytes exceeded for stream '{STREAM}'",
        too_old(45),
    ],
)
def test_words_that_leave_anything_open_are_not(text: str) -> None:
    assert read(text) is None


def test_entries_of_one_second_are_refused_together_if_the_number_says_so() -> None:
    times_ms = [TIMES_MS[4], TIMES_MS[4] + 100, TIMES_MS[5]]
    assert read(f"2 errors like: {too_old(4)}", times_ms) == [0, 1]
    assert read(too_old(4), times_ms) is None


def test_entries_of_one_time_share_its_fate_but_not_a_rate_limits() -> None:
    times_ms = [TIMES_MS[3], TIMES_MS[3], TIMES_MS[5]]
    assert read("\n".join([ignored(3, behind(3)), ignored(3, behind(3)), total(2, 3)]), times_ms) == [0, 1]
    assert read("\n".join([ignored(3, behind(3)), total(2, 3)]), times_ms) == [0, 1]
    assert read("\n".join([ignored(3, RATE), ignored(3, RATE), total(2, 3)]), times_ms) == [0, 1]
    assert read("\n".join([ignored(3, RATE), total(1, 3)]), times_ms) is None


def test_a_rate_limit_passes_and_a_time_does_not() -> None:
    text = "\n".join([ignored(3, behind(3)), ignored(5, RATE), total(2)])
    assert refused_entries(text, TIMES_MS) == {3: Refusal(behind(3), passing=False), 5: Refusal(RATE, passing=True)}
