"""The Loki receiver does as a Loki does: it stores what is good of a push, and refuses all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flicker_dagster.simulator.receivers.loki import PATH, LokiReceiver
from flicker_dagster_tests.deliver.contract import NOW_MS
from flicker_dagster_tests.deliver.destinations.scenes import now_s
from flicker_dagster_tests.simulator.receivers.asking import post

DAY_MS = 86_400_000


@pytest.fixture
def siem() -> Iterator[LokiReceiver]:
    receiver = LokiReceiver(clock=now_s, authorization="Bearer t", tenant="acme")
    yield receiver
    receiver.close()


def at(age_ms: int = 0) -> str:
    return str((NOW_MS - age_ms) * 1_000_000)


def push(siem: LokiReceiver, values: Any, *, labels: Any = None, **headers: str) -> tuple[int, str]:
    body = {"streams": [{"stream": {"job": "j"} if labels is None else labels, "values": values}]}
    asked = {"Authorization": "Bearer t", "X_Scope_OrgID": "acme", **headers}
    status, answer = post(siem.url + PATH, body, **asked)
    return status, answer.decode()


def entry(uid: str, age_ms: int = 0, line: str = "x") -> list[Any]:
    return [at(age_ms), line, {"event_uid": uid}]


def test_entries_are_taken_with_204(siem: LokiReceiver) -> None:
    assert push(siem, [entry("1"), [at(), '{"event_uid":"2"}']]) == (204, "")
    assert siem.counts() == {"1": 1, "2": 1}


@pytest.mark.parametrize(
    ("values", "labels", "status"),
    [
        ([[NOW_MS * 1_000_000, "x"]], None, 400),  # a number, not a text
        ([["now", "x"]], None, 400),
        ([[at()]], None, 400),
        ([[at(), "x", {"a": 1}]], None, 400),
        ([entry("1")], {}, 400),
        ([entry("1")], {"a-b": "x"}, 400),
        ([entry("1")], {f"l{number}": "x" for number in range(16)}, 400),
    ],
)
def test_what_is_no_push_is_refused_whole(siem: LokiReceiver, values: Any, labels: Any, status: int) -> None:
    assert push(siem, values, labels=labels)[0] == status
    assert siem.stored == []


def test_who_may_not_is_refused(siem: LokiReceiver) -> None:
    assert push(siem, [], Authorization="Bearer no")[0] == 401
    assert push(siem, [], X_Scope_OrgID="other") == (401, "no org id\n")
    assert post(siem.url + PATH, {"streams": []}, Authorization="Bearer t", X_Scope_OrgID="acme")[0] == 422
    assert post(siem.url + "/push", {})[0] == 404


def test_what_is_out_of_time_or_too_long_is_refused_and_the_rest_is_stored(siem: LokiReceiver) -> None:
    values = [
        entry("old", 8 * DAY_MS),
        entry("old2", 8 * DAY_MS + 1),
        entry("new", -660_000),
        entry("long", 0, "x" * 262_145),
        entry("good"),
    ]
    status, text = push(siem, values)
    assert status == 400
    assert siem.counts() == {"good": 1}
    assert text.startswith("4 errors: ")
    assert "has timestamp too old: 2026-11-15T20:00:00Z, oldest acceptable timestamp is: 2026-11-16T20:00:00Z" in text
    assert "has timestamp too new: 2026-11-23T20:11:00Z" in text
    assert "max entry size '262144' bytes exceeded" in text


def test_what_is_far_behind_its_stream_is_named_ten_times_at_most(siem: LokiReceiver) -> None:
    values = [
        entry("newest"),
        *(entry(f"late{number}", 3_600_001 + number) for number in range(12)),
        entry("near", 3_600_000),
    ]
    status, text = push(siem, values)
    assert status == 400
    assert siem.counts() == {"newest": 1, "near": 1}
    assert text.count("ignored, reason: 'entry too far behind") == 10
    assert text.splitlines()[0].startswith("entry with timestamp 2026-11-23 18:59:59.999 +0000 UTC ignored")
    assert text.splitlines()[-1] == """user 'acme', total ignored: 12 out of 14 for stream: {job="j"}"""


def test_too_much_for_a_stream_is_429_and_what_fits_is_stored(siem: LokiReceiver) -> None:
    siem.stream_burst_bytes = 10
    status, text = push(siem, [entry("1", 2, "x" * 6), entry("2", 1, "x" * 6), entry("3", 0, "x" * 4)])
    assert (status, siem.counts()) == (429, {"1": 1, "3": 1})
    assert "Per stream rate limit exceeded" in text


def test_the_same_entry_again_is_left_out_where_it_was_the_last(siem: LokiReceiver) -> None:
    for _ in range(2):
        push(siem, [entry("1", 1), entry("2")])
        push(siem, [entry("2")])
    assert siem.counts() == {"1": 2, "2": 2}


@pytest.mark.parametrize("status", [260, 200])
def test_blocked_ingestion_stores_nothing(siem: LokiReceiver, status: int) -> None:
    siem.blocked = status
    assert push(siem, [entry("1")])[0] == status
    assert siem.stored == []
