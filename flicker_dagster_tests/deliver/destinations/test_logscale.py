"""LogScale as a destination: what it is sent, what its answers stand for, and how lots drain into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flicker_dagster.config.destinations.logscale import LogScaleDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.logscale import LogScale, ingest_url
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Outcome, Rejected, Retry, Split
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.receivers.logscale import LogScaleReceiver
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import (
    NOW_MS,
    FakeClock,
    MemoryQueue,
    assert_nothing_is_lost_at_cuts,
    assert_splits_unsent,
    drain,
    event_of,
    lot_of,
    lots_of,
)
from flicker_dagster_tests.deliver.destinations.hec import Scripted

TOKEN = "ingest-token"
HTML = b"<html><body>nginx</body></html>"


def opened(url: str, *, token: str = TOKEN, message_field: str | None = None, **keys: Any) -> LogScale:
    config = LogScaleDestination(type="logscale", url=url, token="${TOKEN}", **({"max_in_flight": 1} | keys))
    return LogScale(
        config,
        LaneContext(
            stream="okta",
            message_field=message_field,
            credentials=lambda: "siem.yaml:7: token",
            clock=FakeClock(),
            env={"TOKEN": token, "TEAM": "secops"},
        ),
    )


Open = Callable[..., LogScaleReceiver]


@pytest.fixture
def repository() -> Iterator[Open]:
    opened_ones: list[LogScaleReceiver] = []

    def open_one(**keys: Any) -> LogScaleReceiver:
        opened_ones.append(LogScaleReceiver(**{"clock": FakeClock()} | keys))
        return opened_ones[-1]

    yield open_one
    for siem in opened_ones:
        siem.close()


def test_each_event_goes_byte_for_byte_with_its_id_its_time_and_its_tags(repository: Open) -> None:
    siem = repository()
    odd = [b'{"a":1,"a":2}', b'{"a":"\\ud83d"}', b'{"a":NaN}', '{"a":"Zoë 🦊 \\n"}'.encode(), b"[1]", b'{\n "a": 1}']
    lot = lot_of([event_of(0), *odd], times_ms=[NOW_MS - 993] + [None] * len(odd))
    destination = opened(siem.url, message_field="actor.name", attributes={"team": "${TEAM}"})
    assert destination.send(lot) == Delivered("HTTP 200 OK")
    destination.close()
    assert [each.event.encode() for each in siem.stored] == lot.events
    assert [each.uid for each in siem.stored] == lot.uids
    assert [each.beside["time_ms"] for each in siem.stored] == [NOW_MS - 993] + [NOW_MS] * len(odd)
    assert siem.stored[0].beside["tags"] == {"source": "okta"}
    assert siem.stored[0].beside["attributes"] == {"event_uid": lot.uids[0], "message": "Zoë Ünal", "team": "secops"}
    assert siem.stored[1].beside["attributes"] == {"event_uid": lot.uids[1], "team": "secops"}


def test_bytes_that_are_no_text_are_written_out(repository: Open) -> None:
    siem = repository()
    destination = opened(siem.url)
    destination.send(lot_of([b'{"a":"\xff"}']))
    destination.close()
    assert siem.stored[0].event == '{"a":"\\xff"}'


def test_half_an_emoji_in_the_message_does_not_cost_the_request(repository: Open) -> None:
    siem = repository()
    destination = opened(siem.url, message_field="m")
    assert isinstance(destination.send(lot_of([b'{"m":"cut \\ud83d"}', b'{"m":17}'])), Delivered)
    destination.close()
    assert [each.beside["attributes"]["message"] for each in siem.stored] == ["cut \\ud83d", "17"]


def test_the_fields_of_an_event_are_attributes_where_that_is_asked_for_and_it_is_json(repository: Open) -> None:
    siem = repository()
    destination = opened(siem.url, event_attributes=True, tags={"vendor": "okta", "env": "${TEAM}"})
    assert isinstance(destination.send(lot_of([event_of(0), b'{"a":NaN}', b'{"a":1},"b":{}'])), Delivered)
    destination.close()
    assert siem.stored[0].beside["attributes"]["event"] == json.loads(event_of(0))
    assert [list(each.beside["attributes"]) for each in siem.stored[1:]] == [["event_uid"]] * 2
    assert siem.stored[0].beside["tags"] == {"vendor": "okta", "env": "secops"}


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_same_part_of_a_lot_always_makes_the_same_bytes(compression: str) -> None:
    siem = Scripted(Response.json({}))
    lot = lot_of([event_of(n) for n in range(50)])
    for _ in range(2):
        destination = opened(siem.url, compression=compression)
        destination.send(lot.part(range(10, 20)))
        destination.close()
    siem.close()
    assert siem.requests[0].body == siem.requests[1].body
    assert (siem.requests[0].headers.get("content-encoding") == "gzip") is (compression == "gzip")
    assert siem.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://cloud.us.humio.com", "https://cloud.us.humio.com/api/v1/ingest/humio-structured"),
        ("https://cloud.us.humio.com/", "https://cloud.us.humio.com/api/v1/ingest/humio-structured"),
        ("https://h/humio/api/v1", "https://h/humio/api/v1/ingest/humio-structured"),
        ("https://h/api/v1/ingest/humio-structured", "https://h/api/v1/ingest/humio-structured"),
    ],
)
def test_the_address_may_be_the_servers_or_the_apis(url: str, address: str) -> None:
    assert ingest_url(url) == address


@pytest.mark.parametrize("name", ["event_uid", "message", "event"])
def test_attributes_that_are_set_for_every_event_are_not_for_the_configuration(name: str) -> None:
    config = LogScaleDestination(type="logscale", url="https://h", token="t", attributes={name: "x"})
    assert [key for key, _ in config.faults()] == ["attributes"]


# -- answers


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


Sent = Callable[[Response], Outcome]


@pytest.fixture
def sent(scripted: Scripted) -> Sent:
    def send(answer: Response) -> Outcome:
        scripted.answers = [answer]
        destination = opened(scripted.url)
        try:
            return destination.send(lot_of([event_of(n) for n in range(3)]))
        finally:
            destination.close()

    return send


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response(200, b"{}"), Delivered),
        (Response(200, b""), Delivered),
        (Response(200, b'{"o', fault=Fault("cut")), Delivered),
        (Response(200, b"{}", fault=Fault("endless")), Delivered),
        (Response(200, HTML), Ambiguous),
        (Response(201, b"{}"), Retry),
        (Response(204), Retry),
        (Response(207, b"{}"), Retry),
        (Response(302, b"", [("Location", "https://elsewhere.example/")]), Retry),
        (Response(399), Retry),
        (Response(400, b"Could not parse JSON"), Rejected),
        (Response(400, b""), Rejected),
        (Response(400, HTML), Blocked),
        (Response(401, b"The supplied authentication is invalid"), Blocked),
        (Response(403, b""), Blocked),
        (Response(404, b""), Blocked),
        (Response(405, b""), Blocked),
        (Response(408, b""), Retry),
        (Response(413, HTML), Split),
        (Response(415, b""), Blocked),
        (Response(422, b"no"), Rejected),
        (Response(429, b""), Retry),
        (Response(500, HTML), Retry),
        (Response(501, b""), Blocked),
        (Response(502, HTML), Retry),
        (Response(503, b""), Retry),
        (Response(599, b""), Retry),
        (Response(fault=Fault("commit_then_cut")), Ambiguous),
    ],
)
def test_every_answer_has_its_outcome(sent: Sent, answer: Response, kind: type) -> None:
    assert isinstance(sent(answer), kind)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_say_where_they_stand(sent: Sent, status: int) -> None:
    outcome = sent(Response(status))
    assert isinstance(outcome, Blocked)
    assert "siem.yaml:7: token" in outcome.why


def test_nobody_there_is_a_retry() -> None:
    assert isinstance(opened("http://127.0.0.1:1").send(lot_of([event_of(0)])), Retry)


# -- sizes


def test_what_logscale_would_cut_is_unfit() -> None:
    lot = lot_of([event_of(0), event_of(1, detail="x" * 5_000)])
    (reason,) = opened("http://127.0.0.1:1", max_event_bytes=5_000).unfit(lot).values()
    assert "max_event_bytes is 5000" in reason
    assert opened("http://127.0.0.1:1").unfit(lot) == {}


def test_a_body_above_the_limit_is_split_unsent_and_a_lone_event_above_it_is_tried(repository: Open) -> None:
    siem = repository()
    assert_splits_unsent(siem, opened(siem.url, max_batch_bytes=1_000))


def test_lots_within_the_limits_make_bodies_within_the_limit(repository: Open) -> None:
    siem = repository(max_request_bytes=100_000)
    queue = MemoryQueue(lots_of(2_000, size=1_000))
    drained = drain(queue, lambda: opened(siem.url, compression="none", max_batch_bytes=100_000, max_batch_events=200))
    assert drained.done
    assert list(drained.reports[0].statuses) == ["HTTP 200 OK"], "none was split or refused"
    assert siem.inflated_bytes / siem.requests > 50_000


# -- whole deliveries


def test_a_quarter_of_the_requests_is_taken_and_cut_off_and_no_event_is_lost(repository: Open) -> None:
    siem = repository()
    assert_nothing_is_lost_at_cuts(siem, lambda: opened(siem.url))


def test_a_refused_token_keeps_everything_until_it_is_right(repository: Open) -> None:
    siem = repository(token="new-token")
    queue = MemoryQueue(lots_of(200))
    blocked = drain(queue, lambda: opened(siem.url), runs=2)
    assert (blocked.done, blocked.dead, siem.stored) == (False, 0, [])
    assert "siem.yaml:7: token" in blocked.last_words
    drained = drain(queue, lambda: opened(siem.url, token="new-token"))
    assert (drained.done, drained.delivered) == (True, 200)
    assert set(siem.counts().values()) == {1}


def test_one_event_that_is_too_large_for_the_server_costs_only_itself(repository: Open) -> None:
    siem = repository(max_request_bytes=20_000)
    queue = MemoryQueue(lots_of(100, make=lambda n: event_of(n, detail="x" * (30_000 if n == 42 else 100))))
    drained = drain(queue, lambda: opened(siem.url))
    assert (drained.done, drained.delivered, drained.dead) == (True, 99, 1)
    assert json.loads(drained.letters.kept[0].event)["id"] == "e000042"
    assert set(siem.counts().values()) == {1}


def test_of_ten_thousand_events_each_hundredth_is_poison(repository: Open) -> None:
    siem = repository(poison="venom")
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n, action="venom" if n % 100 == 7 else "login"))
    drained = drain(MemoryQueue(lots), lambda: opened(siem.url), runs=3)
    assert (drained.done, drained.delivered, drained.dead) == (True, 9_900, 100)
    assert len(siem.counts()) == 9_900
    assert set(siem.counts().values()) == {1}
