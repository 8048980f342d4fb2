"""The SIEM that remembers: what it took, how often, and how it refuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.worlds import Clock


@pytest.fixture
def siem() -> Iterator[Receiver]:
    with_receiver = Receiver()
    yield with_receiver
    with_receiver.close()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def send(
    siem: Receiver, body: Any, *, key: str | None = None, path: str = "/okta", **headers: str
) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key is not None:
        headers["Idempotency-Key"] = key
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(siem.url + path, data=data, headers=named, timeout=5)


def events(*ids: str) -> list[dict[str, Any]]:
    return [{"uuid": event_id} for event_id in ids]


def lines(*ids: str) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events(*ids)) + b"\n"


def envelopes(*ids: str) -> list[dict[str, Any]]:
    return [{"source": "okta", "time": "2026-03-01T00:00:00Z", "event": event} for event in events(*ids)]


@pytest.mark.parametrize(
    "body",
    [
        events("a", "b"),
        lines("a", "b"),
        envelopes("a", "b"),
        b"\n".join(json.dumps(e).encode() for e in envelopes("a", "b")),
    ],
    ids=["array", "ndjson", "array of envelopes", "ndjson of envelopes"],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_every_form_of_body_is_understood(siem: Receiver, body: Any, zipped: bool) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = send(siem, gzip.compress(data), Content_Encoding="gzip") if zipped else send(siem, data)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "accepted": 2})
    assert siem.ids("/okta") == {"a": 1, "b": 1}


@pytest.mark.parametrize("field", ["uuid", "_document_id", "Id", "id", "event_id"])
def test_ids_of_all_vendors_are_known(siem: Receiver, field: str) -> None:
    send(siem, [{field: "x"}])
    assert siem.ids("/okta") == {"x": 1}


def test_an_event_without_an_id_is_known_by_its_content(siem: Receiver) -> None:
    send(siem, [{"what": 1}, {"what": 2}, {"what": 1}])
    assert sorted(siem.ids("/okta").values()) == [1, 2]


def test_an_own_field_named_event_is_not_an_envelope(siem: Receiver) -> None:
    send(siem, [{"id": "outer", "event": {"id": "inner"}}])
    assert siem.ids("/okta") == {"outer": 1}


def test_paths_are_counted_apart(siem: Receiver) -> None:
    send(siem, events("a"), path="/okta")
    send(siem, events("a", "b"), path="/github")
    assert (siem.ids("/okta"), siem.ids("/github"), siem.ids("/none")) == ({"a": 1}, {"a": 1, "b": 1}, {})


def test_what_comes_in_envelopes_may_be_kept_by_its_source_with_the_time_and_words_that_they_tell() -> None:
    with_receiver = Receiver(by_source=True)
    try:
        envelope = {"source": "google/login", "time": "2026-03-01T00:00:00Z", "message": "in", "event": {"id": "a"}}
        send(with_receiver, [envelope], path="/events")
        send(with_receiver, [{"id": "b", "source": "google/login"}], path="/events")
        assert with_receiver.ids("/google/login") == {"a": 1}
        assert with_receiver.ids("/events") == {"b": 1}
        shown = with_receiver.stats()["/google/login"]["last"]
        assert shown == [{"id": "a", "time_ms": 1_772_323_200_000, "what": "in"}]
    finally:
        with_receiver.close()


def test_every_extra_copy_counts_as_twice(siem: Receiver) -> None:
    send(siem, events("a", "b"))
    send(siem, events("a", "a", "c"))
    stats = siem.stats()["/okta"]
    assert (stats["accepted"], stats["unique"], stats["twice"], stats["batches"]) == (5, 3, 2, 2)


def test_a_repeated_batch_is_known_by_its_key_and_must_have_the_same_bytes(siem: Receiver) -> None:
    send(siem, events("a"), key="k1")
    send(siem, events("a"), key="k1")
    assert (siem.inbox("/okta").repeated_batches, siem.inbox("/okta").repeated_otherwise) == (1, 0)
    send(siem, events("b"), key="k1")
    assert (siem.inbox("/okta").repeated_batches, siem.inbox("/okta").repeated_otherwise) == (2, 1)
    send(siem, events("c"), key="k2")
    send(siem, events("d"))
    send(siem, events("d"))
    assert siem.inbox("/okta").repeated_batches == 2


def test_compression_does_not_make_other_bytes(siem: Receiver) -> None:
    body = json.dumps(events("a")).encode()
    send(siem, body, key="k")
    send(siem, gzip.compress(body), key="k", Content_Encoding="gzip")
    assert siem.inbox("/okta").repeated_otherwise == 0


def test_a_siem_that_honours_keys_stores_a_repeated_batch_once() -> None:
    siem = Receiver(dedupe_by_key=True)
    try:
        assert [send(siem, events("a", "b"), key="k").status_code for _ in range(3)] == [200, 200, 200]
        assert siem.ids("/okta") == {"a": 1, "b": 1}
        assert siem.stats()["/okta"]["repeated_batches"] == 2
        send(siem, events("a"), key="other")
        assert siem.inbox("/okta").twice == 1
    finally:
        siem.close()


def test_a_wrong_token_or_none_is_refused_and_nothing_stored() -> None:
    siem = Receiver(token="good")
    try:
        assert send(siem, events("a")).status_code == 401
        assert send(siem, events("a"), Authorization="Bearer bad").status_code == 401
        assert siem.ids("/okta") == {}
        assert send(siem, events("a"), Authorization="Bearer good").status_code == 200
        assert send(siem, events("b"), Authorization="Splunk good").status_code == 200
    finally:
        siem.close()


def test_a_body_over_the_cap_is_413_and_nothing_stored() -> None:
    siem = Receiver(max_bytes=100)
    try:
        assert send(siem, events(*(str(n) for n in range(50)))).status_code == 413
        assert siem.ids("/okta") == {}
        assert send(siem, events("a")).status_code == 200
    finally:
        siem.close()


def test_one_poisonous_event_makes_its_whole_batch_400() -> None:
    siem = Receiver(poison="skull")
    try:
        assert send(siem, events("a", "skull", "b")).status_code == 400
        assert send(siem, gzip.compress(lines("skull")), Content_Encoding="gzip").status_code == 400
        assert siem.ids("/okta") == {}
        assert send(siem, events("a", "b")).status_code == 200
    finally:
        siem.close()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no json", ""),
        (b'[{"id": 1}', ""),
        (b"3", ""),
        (b"[1, 2]", ""),
        (b"not gzip", "gzip"),
        (gzip.compress(b"[]", mtime=0)[:-6], "gzip"),
        (gzip.compress(b"[]", mtime=0)[:10] + b"\xff" * 12, "gzip"),
    ],
)
def test_what_cannot_be_read_is_400(siem: Receiver, body: bytes, encoding: str) -> None:
    answer = send(siem, body, Content_Encoding=encoding)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("cannot be read")


@pytest.mark.parametrize("status", ["429", "500", "503", "401", "403", "404", "413"])
def test_a_planned_status_is_answered_and_nothing_stored(siem: Receiver, status: str) -> None:
    siem.faults.plan(status)
    assert send(siem, events("a")).status_code == int(status)
    assert siem.ids("/okta") == {}
    assert send(siem, events("a")).status_code == 200


def test_a_refusal_says_when_to_come_back_if_planned_so(siem: Receiver) -> None:
    siem.faults.plan("429", retry_after="9")
    siem.faults.plan("503", retry_after="date", seconds=60)
    siem.faults.plan("429", retry_after="none")
    siem.faults.plan("429")
    told = [send(siem, events("a")).headers.get("Retry-After") for _ in range(4)]
    assert told[0] == "9"
    assert told[1] is not None
    assert told[1].endswith("GMT")
    assert told[2:] == [None, None]


def test_commit_then_cut_stores_the_batch_and_answers_nothing(siem: Receiver) -> None:
    siem.faults.plan("commit_then_cut")
    with pytest.raises(requests.exceptions.ConnectionError):
        send(siem, events("a"), key="k")
    assert siem.ids("/okta") == {"a": 1}
    send(siem, events("a"), key="k")
    assert (siem.ids("/okta"), siem.inbox("/okta").repeated_batches) == ({"a": 2}, 1)


def test_cut_before_commit_stores_nothing(siem: Receiver) -> None:
    siem.faults.plan("cut_before_commit")
    with pytest.raises(requests.exceptions.ConnectionError):
        send(siem, events("a"))
    assert siem.ids("/okta") == {}


def test_a_slow_answer_is_stored_and_answered(siem: Receiver) -> None:
    siem.faults.plan("slow", seconds=0.05)
    assert send(siem, events("a")).status_code == 200
    assert siem.ids("/okta") == {"a": 1}


def test_a_journal_makes_a_restarted_siem_remember(journal: Path) -> None:
    first = Receiver(journal=journal)
    send(first, events("a", "b"), key="k1")
    send(first, events("b"))
    send(first, events("b"))
    send(first, events("c"), key="k2", path="/github")
    before = {
        path: (inbox["accepted"], inbox["unique"], inbox["twice"], inbox["batches"])
        for path, inbox in first.stats().items()
    }
    first.close()

    second = Receiver(journal=journal)
    try:
        after = {
            path: (inbox["accepted"], inbox["unique"], inbox["twice"], inbox["batches"])
            for path, inbox in second.stats().items()
        }
        assert after == before
        assert second.inbox("/okta").repeated_batches == 0
        send(second, events("a", "b"), key="k1")
        assert (second.inbox("/okta").repeated_batches, second.inbox("/okta").repeated_otherwise) == (1, 0)
    finally:
        second.close()


def test_a_siem_that_honours_keys_does_so_after_a_restart(journal: Path) -> None:
    for _ in range(2):
        siem = Receiver(journal=journal, dedupe_by_key=True)
        send(siem, events("a"), key="k")
        assert siem.ids("/okta") == {"a": 1}
        siem.close()


def test_lag_and_arrivals_are_told_by_the_siems_own_clock() -> None:
    clock = Clock()
    siem = Receiver(clock=clock)
    try:
        clock.move(10)
        send(siem, [{"uuid": "a", "published": rfc3339_ms(clock.ago_ms(7)), "displayMessage": "hello"}])
        stats = siem.stats()["/okta"]
        assert stats["lag_s"] == 7
        assert stats["arrivals"][-1] == 1
        assert stats["last"] == [{"id": "a", "time_ms": clock.ago_ms(7), "what": "hello"}]
    finally:
        siem.close()


def test_what_happened_before_the_siem_began_counts_as_no_lag_and_no_arrival() -> None:
    clock = Clock()
    siem = Receiver(clock=clock)
    try:
        clock.move(10)
        for seconds in (3_600, 11, 4):
            send(siem, [{"uuid": f"{seconds}", "published": rfc3339_ms(clock.ago_ms(seconds))}])
        stats = siem.stats()["/okta"]
        assert (stats["accepted"], stats["lag_s"], sum(stats["arrivals"])) == (3, 4, 1)
        assert [event["id"] for event in stats["last"]] == ["4", "11", "3600"]
    finally:
        siem.close()


def test_its_own_pages_tell_and_clear(siem: Receiver) -> None:
    send(siem, events("a"))
    assert requests.get(f"{siem.url}/_siem/stats", timeout=5).json()["/okta"]["accepted"] == 1
    assert requests.get(f"{siem.url}/_siem/ids", params={"path": "/okta"}, timeout=5).json() == {"a": 1}
    requests.post(f"{siem.url}/_siem/clear", timeout=5)
    assert requests.get(f"{siem.url}/_siem/stats", timeout=5).json() == {}
    assert requests.get(f"{siem.url}/_siem/else", timeout=5).status_code == 404
    assert siem.requests == 1


def test_faults_are_planned_and_cleared_over_http(siem: Receiver) -> None:
    url = f"{siem.url}/_siem/faults"
    assert requests.post(url, json={"kind": "503", "count": None}, timeout=5).status_code == 200
    assert send(siem, events("a")).status_code == 503
    requests.get(url, timeout=5)
    assert send(siem, events("a")).status_code == 200
    assert requests.post(url, json={"kind": "bogus"}, timeout=5).status_code == 400
    assert requests.post(url, data=b"no json", timeout=5).status_code == 400
