"""The simulated query resource keeps the rules of Salesforce's REST API guide (query, query more, query options)."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.salesforce import Salesforce
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

QUERY = "/services/data/v58.0/query"
FIELDS = "Id, Action, Section, CreatedDate, CreatedBy.Username, DelegateUser, Display"

salesforce = served(Salesforce, token="good")


def ask(
    salesforce: Salesforce,
    q: str | None = None,
    *,
    path: str = "/services/data/v58.0/query",
    token: str = "good",
    **headers: str,
) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(
        salesforce.url + path,
        params={} if q is None else {"q": q},
        headers={"Authorization": f"Bearer {token}", **named},
        timeout=5,
    )


def select(salesforce: Salesforce, rest: str = "", *, fields: str = "Id") -> dict[str, Any]:
    answer = ask(salesforce, f"SELECT {fields} FROM SetupAuditTrail {rest}".strip())
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(answer: dict[str, Any]) -> list[str]:
    return [record["Id"] for record in answer["records"]]


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()[0]["errorCode"]


def at(clock: Clock, ago_s: float) -> str:
    return rfc3339_ms(clock.ago_ms(ago_s))


def test_a_record_has_its_attributes_and_the_fields_asked_for(salesforce: Salesforce) -> None:
    (event,) = salesforce.emitter.emit(1)
    (record,) = select(salesforce, fields=FIELDS)["records"]
    assert list(record) == [
        "attributes", "Id", "Action", "Section", "CreatedDate", "CreatedBy", "DelegateUser", "Display"
    ]  # fmt: skip
    assert record["attributes"]["type"] == "SetupAuditTrail"
    assert record["attributes"]["url"].endswith(f"/sobjects/SetupAuditTrail/{event.id}")
    assert record["CreatedBy"]["Username"] == "ana@acme.test"
    (record,) = select(salesforce, fields="id, display")["records"]
    assert list(record) == ["attributes", "Id", "Display"]


def test_an_id_has_18_characters(salesforce: Salesforce) -> None:
    salesforce.emitter.emit(20)
    assert {len(record_id) for record_id in found(select(salesforce))} == {18}


def test_times_have_an_offset_without_colon(salesforce: Salesforce) -> None:
    salesforce.emitter.emit(1, at_ms=1772366401042)
    (record,) = select(salesforce, fields="CreatedDate")["records"]
    assert record["CreatedDate"] == "2026-03-01T12:00:01.042+0000"


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("CreatedDate >= {30}", [2, 3, 4]),
        ("CreatedDate > {30}", [3, 4]),
        ("CreatedDate <= {30}", [0, 1, 2]),
        ("CreatedDate < {30}", [0, 1]),
        ("CreatedDate = {30}", [2]),
        ("createddate >= {40} and CreatedDate <= {20}", [1, 2, 3]),
        ("CreatedDate >= {40} AND CreatedDate < {20}", [1, 2]),
    ],
)
def test_where_bounds_the_time(salesforce: Salesforce, clock: Clock, where: str, numbers: list[int]) -> None:
    events = [salesforce.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (50, 40, 30, 20, 10)]
    where = re.sub(r"\{(\d+)\}", lambda match: at(clock, int(match[1])), where)
    assert found(select(salesforce, f"WHERE {where} ORDER BY CreatedDate")) == ids([events[n] for n in numbers])


def test_order_limit_and_offset(salesforce: Salesforce, clock: Clock) -> None:
    events = ids([salesforce.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10)])
    assert found(select(salesforce, "ORDER BY CreatedDate ASC, Id ASC")) == events
    assert found(select(salesforce, "ORDER BY CreatedDate DESC")) == events[::-1]
    assert found(select(salesforce, "ORDER BY CreatedDate LIMIT 2")) == events[:2]
    assert found(select(salesforce, "ORDER BY CreatedDate LIMIT 2 OFFSET 2")) == events[2:]


def test_login_history_is_asked_by_login_time(salesforce: Salesforce, clock: Clock) -> None:
    logins = salesforce.emitters["login_history"]
    logins.emit(1, at_ms=clock.ago_ms(50))
    (event,) = logins.emit(1, at_ms=clock.ago_ms(10))
    answer = ask(salesforce, f"SELECT Id, LoginTime FROM LoginHistory WHERE LoginTime > {at(clock, 30)}").json()
    (record,) = answer["records"]
    assert record["Id"] == event.id
    assert record["LoginTime"].endswith("+0000")
    assert record["attributes"]["type"] == "LoginHistory"
    assert code(ask(salesforce, f"SELECT Id FROM LoginHistory WHERE CreatedDate > {at(clock, 30)}")) == (
        400,
        "MALFORMED_QUERY",
    )


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ("batchSize=200", [200, 200, 50]),
        ("batchSize=50", [200, 200, 50]),
        ("batchSize=300", [300, 150]),
        ("batchSize=9000", [450]),
        ("", [450]),
    ],
)
def test_batches_are_as_large_as_the_header_asks_between_200_and_2000(
    salesforce: Salesforce, options: str, sizes: list[int]
) -> None:
    events = salesforce.emitter.emit(450)
    answer = ask(salesforce, "SELECT Id FROM SetupAuditTrail", Sforce_Query_Options=options).json()
    batches = [found(answer)]
    while not answer["done"]:
        assert answer["totalSize"] == 450
        assert answer["nextRecordsUrl"].startswith("/services/data/v58.0/query/01g")
        answer = ask(salesforce, path=answer["nextRecordsUrl"]).json()
        batches.append(found(answer))
    assert "nextRecordsUrl" not in answer
    assert [len(batch) for batch in batches] == sizes
    assert list(chain(*batches)) == ids(events)


def test_a_batch_never_holds_more_than_2000(salesforce: Salesforce) -> None:
    salesforce.emitter.emit(2001)
    answer = select(salesforce)
    assert (len(answer["records"]), answer["done"]) == (2000, False)


def first_of_two_batches(salesforce: Salesforce) -> str:
    """The path of the second batch."""
    salesforce.emitter.emit(250)
    return ask(salesforce, "SELECT Id FROM SetupAuditTrail", Sforce_Query_Options="batchSize=200").json()[
        "nextRecordsUrl"
    ]


def test_a_result_stays_as_it_was_asked_for(salesforce: Salesforce, clock: Clock) -> None:
    path = first_of_two_batches(salesforce)
    clock.move(1)
    salesforce.emitter.emit(100)
    answer = ask(salesforce, path=path).json()
    assert (len(answer["records"]), answer["totalSize"], answer["done"]) == (50, 250, True)
    assert found(ask(salesforce, path=path).json()) == found(answer)  # asking again is no harm


def test_a_locator_lives_two_days(salesforce: Salesforce, clock: Clock) -> None:
    path = first_of_two_batches(salesforce)
    clock.move(2 * DAY_S - 60)
    assert ask(salesforce, path=path).status_code == 200
    clock.move(120)
    assert code(ask(salesforce, path=path)) == (400, "INVALID_QUERY_LOCATOR")


def test_an_unknown_locator_and_one_that_a_fault_expires_are_refused(salesforce: Salesforce) -> None:
    assert code(ask(salesforce, path="/services/data/v58.0/query/01gUNKNOWN-200")) == (400, "INVALID_QUERY_LOCATOR")
    path = first_of_two_batches(salesforce)
    salesforce.faults.plan("expired")
    assert code(ask(salesforce, path=path)) == (400, "INVALID_QUERY_LOCATOR")


def test_an_offset_beyond_2000_is_refused(salesforce: Salesforce) -> None:
    assert select(salesforce, "OFFSET 2000")["done"] is True
    assert code(ask(salesforce, "SELECT Id FROM SetupAuditTrail OFFSET 2001")) == (400, "NUMBER_OUTSIDE_VALID_RANGE")


@pytest.mark.parametrize(
    "q",
    [
        None,
        "",
        "SELECT FROM SetupAuditTrail",
        "SELECT Id FROM Account",
        "DELETE Id FROM SetupAuditTrail",
        "SELECT Id FROM SetupAuditTrail WHERE nonsense",
        "SELECT Id FROM SetupAuditTrail WHERE CreatedDate >= yesterday",
        "SELECT Id FROM SetupAuditTrail WHERE CreatedDate >= '2026-03-01T00:00:00Z'",
        "SELECT Id FROM SetupAuditTrail WHERE CreatedDate >= 2026-03-01T00:00:00Z OR Id = 'x'",
        "SELECT Id FROM SetupAuditTrail LIMIT many",
    ],
)
def test_a_malformed_query_or_none_is_refused(salesforce: Salesforce, q: str | None) -> None:
    assert code(ask(salesforce, q)) == (400, "MALFORMED_QUERY")


def test_a_field_that_does_not_exist_is_refused(salesforce: Salesforce) -> None:
    assert code(ask(salesforce, "SELECT Id, Colour FROM SetupAuditTrail")) == (400, "INVALID_FIELD")


def test_a_wrong_session_is_refused(salesforce: Salesforce) -> None:
    assert code(ask(salesforce, "SELECT Id FROM SetupAuditTrail", token="bad")) == (401, "INVALID_SESSION_ID")


def test_another_path_is_not_found(salesforce: Salesforce) -> None:
    assert code(ask(salesforce, path="/services/data/v58.0/sobjects")) == (404, "NOT_FOUND")


def test_the_limit_is_told_and_refuses_with_its_own_error(clock: Clock) -> None:
    with serving(Salesforce(per_minute=1, clock=clock)) as salesforce:
        answer = ask(salesforce, "SELECT Id FROM SetupAuditTrail")
        assert answer.headers["Sforce-Limit-Info"] == "api-usage=1/1"
        assert code(ask(salesforce, "SELECT Id FROM SetupAuditTrail")) == (403, "REQUEST_LIMIT_EXCEEDED")
