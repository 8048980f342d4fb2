"""The collector's answers, row by row: what each stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Outcome,
    PerItem,
    Receipt,
    Rejected,
    Retry,
    Split,
)
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.receivers.hec_protocol import CODES
from flicker_dagster.simulator.server import Response
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.hec import Scripted, opened

Sent = Callable[..., Outcome | Receipt]

HTML = b"<html><head><title>502</title></head><body>nginx</body></html>"


def says(code: int, **more: Any) -> Response:
    status, text = CODES[code]
    return Response.json({"text": text, "code": code} | more, status)


@pytest.fixture(scope="module")
def siem() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def sent(siem: Scripted) -> Sent:
    """What becomes of a lot that gets this answer."""

    def send(answer: Response, events: int = 3, **keys: Any) -> Outcome | Receipt:
        siem.answers = [answer]
        destination = opened(siem.url, **keys)
        try:
            return destination.send(lot_of([event_of(n) for n in range(events)]))
        finally:
            destination.close()

    return send


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (0, Delivered, "HTTP 200 OK, received, not indexed"),
        (1, Blocked, "Token disabled"),
        (2, Blocked, "Token is required"),
        (3, Blocked, "Invalid authorization"),
        (4, Blocked, "Invalid token"),
        (5, Blocked, "compression: none"),
        (6, Rejected, "Invalid data format"),
        (7, Blocked, "change index"),
        (8, Retry, "Internal server error"),
        (9, Retry, "Server is busy"),
        (10, Blocked, "ack: auto or required"),
        (11, Blocked, "X-Splunk-Request-Channel"),
        (12, Rejected, "Event field is required"),
        (13, Rejected, "cannot be blank"),
        (14, Blocked, "Enable indexer acknowledgement"),
        (15, Blocked, "indexed_fields"),
        (16, Blocked, "remove the token from url"),
        (17, Blocked, "health endpoint"),
        (18, Retry, "queues are full"),
        (19, Retry, "ack service"),
        (20, Retry, "queues are full"),
        (21, Blocked, "Invalid token"),
        (22, Blocked, "Token disabled"),
        (23, Retry, "shutting down"),
        (24, Delivered, "received, not indexed"),
        (25, Delivered, "received, not indexed"),
        (26, Retry, "at capacity"),
        (27, Retry, "at capacity"),
    ],
)
def test_every_code_has_its_outcome(sent: Sent, code: int, kind: type, words: str) -> None:
    outcome = sent(says(code))
    assert isinstance(outcome, kind)
    told = outcome.status if isinstance(outcome, Delivered) else outcome.why
    assert words in told


@pytest.mark.parametrize("code", [1, 2, 3, 4, 16, 21, 22])
def test_refused_credentials_say_where_they_stand(sent: Sent, code: int) -> None:
    outcome = sent(says(code))
    assert isinstance(outcome, Blocked)
    assert "siem.yaml:7: token" in outcome.why


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response(200, b""), Ambiguous),
        (Response(200, HTML), Ambiguous),
        (Response(200, b'{"text":"Succ'), Ambiguous),
        (Response(200, b'["no object"]'), Ambiguous),
        (Response(200, b"{}"), Delivered),
        (Response.json({"text": "?", "code": 99}), Ambiguous),
        (Response.json({"text": "?", "code": "0"}), Delivered),
        (Response.json({"text": "?", "code": 6}), Rejected),
        (Response.json({"text": "?", "code": 7}), Blocked),
        (Response(204), Ambiguous),
        (Response(202, b"{}"), Ambiguous),
        (Response(302, b"", [("Location", "https://elsewhere.example/")]), Blocked),
        (Response.json({"text": "?", "code": 99}, 400), Rejected),
        (Response(400, HTML), Blocked),
        (Response(400, b""), Blocked),
        (Response(400, b"Request body too large"), Split),
        (Response.json({"text": "content length is larger than allowed", "code": 99}, 400), Split),
        (Response(401, HTML), Blocked),
        (Response(403, HTML), Blocked),
        (Response(404, HTML), Retry),
        (Response.json({"text": "The requested URL was not found on this server.", "code": 404}, 404), Retry),
        (Response(405, b""), Blocked),
        (Response(408, b""), Retry),
        (Response(413, HTML), Split),
        (Response(413, b""), Split),
        (Response.json({"text": "too large", "code": 6}, 413), Split),
        (Response(415, b""), Blocked),
        (Response(422, b""), Blocked),
        (Response(429, b""), Retry),
        (Response(500, HTML), Retry),
        (Response(501, b""), Blocked),
        (Response(502, HTML), Retry),
        (Response(503, b'{"text":"Serv'), Retry),
        (Response(504, b""), Retry),
        (Response(599, b""), Retry),
    ],
)
def test_answers_that_are_not_splunks_own_never_cost_an_event(sent: Sent, answer: Response, kind: type) -> None:
    assert isinstance(sent(answer), kind)


def test_where_no_acknowledgement_is_waited_for_a_200_counts_without_its_body(sent: Sent) -> None:
    cut = says(0)
    cut.fault = Fault("cut")
    assert isinstance(sent(cut), Ambiguous)
    assert isinstance(sent(cut, ack="off"), Delivered)
    assert isinstance(sent(Response(200, b""), ack="off"), Delivered)
    assert isinstance(sent(Response(200, HTML), ack="off"), Ambiguous)


def test_retry_after_is_heeded_and_bounded(sent: Sent) -> None:
    busy = says(26)
    busy.headers.append(("Retry-After", "7"))
    assert sent(busy) == Retry(sent(says(26)).why, 7.0)  # type: ignore[union-attr]
    busy.headers[-1] = ("Retry-After", "86400")
    outcome = sent(busy)
    assert isinstance(outcome, Retry)
    assert outcome.after_s == 900.0


@pytest.mark.parametrize("ack_id", ["5", -5, 1.0, True, None, [1], 10**18, 2**63, 2**64, 10**400])
def test_an_id_that_no_counter_gives_is_none(sent: Sent, ack_id: object) -> None:
    """Nothing could be asked about it, and the events would be sent again whenever its receipt expires."""
    assert sent(says(0, ackId=ack_id)) == Delivered("HTTP 200 OK, received, not indexed")
    assert isinstance(sent(says(0, ackId=ack_id), ack="required"), Blocked)


# -- a request of which one event is refused


@pytest.mark.parametrize("code", [6, 12, 13])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_event_that_is_named_is_refused_and_all_others_go_again(sent: Sent, code: int, index: int) -> None:
    outcome = sent(says(code, **{"invalid-event-number": index}))
    assert isinstance(outcome, PerItem)
    kinds = [type(item) for item in outcome.items]
    assert kinds == [Rejected if i == index else Retry for i in range(3)]


@pytest.mark.parametrize("number", [3, -1, "1", True, None, 1.5])
def test_a_number_that_names_no_event_leaves_it_to_halving(sent: Sent, number: Any) -> None:
    assert isinstance(sent(says(6, **{"invalid-event-number": number})), Rejected)


def test_a_lone_event_is_refused_by_itself(sent: Sent) -> None:
    assert isinstance(sent(says(6, **{"invalid-event-number": 0}), events=1), Rejected)


def test_a_wrong_index_costs_no_event_though_one_is_named(sent: Sent) -> None:
    assert isinstance(sent(says(7, **{"invalid-event-number": 1})), Blocked)


def test_a_reason_repeats_nothing_of_the_events(sent: Sent) -> None:
    echo = Response.json({"text": f"cannot index {event_of(1).decode()} at once", "code": 6}, 400)
    outcome = sent(echo)
    assert isinstance(outcome, Rejected)
    assert "cannot index" in outcome.why
    assert "203.0.113.7" not in outcome.why
