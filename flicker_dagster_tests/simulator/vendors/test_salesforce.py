"""Salesforce's tokens and event log files keep the rules of its REST API guide; queries are tested beside this directory."""

from __future__ import annotations

import csv
import io
from typing import Any

import jwt
import pytest
import requests

from flicker_dagster.simulator.grants import JWT_BEARER
from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors.salesforce import Salesforce
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served

INSTANCE = "https://acme.my.salesforce.com"
QUERY, TOKEN_URL = f"{INSTANCE}/services/data/v62.0/query", f"{INSTANCE}/services/oauth2/token"
CLIENT = {name: Salesforce.params[name] for name in ("client_id", "client_secret")}
GRANT = {"grant_type": "client_credentials", **CLIENT}
FIELDS = "Id, EventType, Interval, Sequence, CreatedDate, LogDate, LogFile"
HOUR_S = 3_600

salesforce = served(Salesforce)


def get(salesforce: Salesforce, url: str, **query: str) -> requests.Response:
    return call(salesforce, url, query, headers=bearer(salesforce.minting.mint()))


def files(salesforce: Salesforce, where: str = "Interval = 'Hourly'", fields: str = FIELDS) -> list[dict[str, Any]]:
    soql = f"SELECT {fields} FROM EventLogFile WHERE {where} ORDER BY CreatedDate ASC, Id ASC"
    answer = get(salesforce, QUERY, q=soql)
    assert answer.status_code == 200, answer.text
    return answer.json()["records"]


def downloaded(salesforce: Salesforce, file: dict[str, Any]) -> list[str]:
    answer = get(salesforce, INSTANCE + file["LogFile"])
    assert answer.headers["Content-Type"] == "text/csv"
    assert all(name.startswith('"') for name in answer.text.splitlines()[0].split(","))
    return [content_of(row) for row in csv.DictReader(io.StringIO(answer.text, newline=""))]


def test_hourly_files_appear_hours_later_and_hold_every_row_once(salesforce: Salesforce, clock: Clock) -> None:
    log = salesforce.emitters["event_log_files"]
    events = log.emit(20)
    clock.move(4 * HOUR_S - 1)
    assert files(salesforce) == []
    clock.move(1)
    listed = files(salesforce)
    assert {(file["EventType"], file["Sequence"]) for file in listed} == {("Login", 1), ("ReportExport", 1)}
    assert {file["CreatedDate"] for file in listed} == {"2026-03-02T13:00:00.000+0000"}
    rows = [row for file in listed for row in downloaded(salesforce, file)]
    assert sorted(rows) == sorted(ids(events))
    assert salesforce.fetched == {file["Id"]: 1 for file in listed}


def test_what_comes_late_is_in_a_new_file_of_a_higher_sequence(salesforce: Salesforce, clock: Clock) -> None:
    log = salesforce.emitters["event_log_files"]
    log.emit(10)
    clock.move(5 * HOUR_S)
    before = files(salesforce)
    (late,) = log.emit(1, at_ms=clock.ago_ms(5 * HOUR_S))
    clock.move(5 * HOUR_S)
    (new,) = (file for file in files(salesforce) if file["Id"] not in {file["Id"] for file in before})
    assert (new["Sequence"], new["LogDate"], downloaded(salesforce, new)) == (2, before[0]["LogDate"], [late.id])


def test_a_day_has_a_file_as_well_and_files_are_kept_for_30_days(salesforce: Salesforce, clock: Clock) -> None:
    salesforce.emitters["event_log_files"].emit(10)
    clock.move(DAY_S)
    daily = files(salesforce, "Interval = 'Daily'")
    assert {(file["Sequence"], file["LogDate"]) for file in daily} == {(0, "2026-03-02T00:00:00.000+0000")}
    assert len(files(salesforce, "Interval IN ('Daily', 'Hourly')")) == 2 * len(daily)
    clock.move(31 * DAY_S)
    assert files(salesforce, "Sequence >= 0") == []
    assert get(salesforce, INSTANCE + daily[0]["LogFile"]).status_code == 404


def test_files_are_found_by_keyset(salesforce: Salesforce, clock: Clock) -> None:
    for _ in range(3):
        salesforce.emitters["event_log_files"].emit(10)
        clock.move(HOUR_S)
    clock.move(DAY_S)
    listed = files(salesforce)
    assert len(listed) == 6
    for number, last in enumerate(listed):
        time = last["CreatedDate"].replace("+0000", "Z")
        keyset = f"(CreatedDate > {time} OR (CreatedDate = {time} AND Id > '{last['Id']}'))"
        assert files(salesforce, f"Interval='Hourly' AND {keyset}") == listed[number + 1 :]


@pytest.mark.parametrize(
    "where",
    [
        "Interval = Hourly", "CreatedDate > '2026-03-01T00:00:00Z'", "Sequence = '1'", "Interval = 'Hourly' AND",
        "Interval = 'Hourly' AND Sequence = 1 OR Sequence = 2", "(Sequence = 1", "LogFile = 'x'", "Sequence ~ 1",
    ],
)  # fmt: skip
def test_a_malformed_condition_is_refused(salesforce: Salesforce, where: str) -> None:
    answer = get(salesforce, QUERY, q=f"SELECT Id FROM EventLogFile WHERE {where}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "MALFORMED_QUERY")


def test_the_three_logs_are_apart(salesforce: Salesforce) -> None:
    events = {stream: emitter.emit(2) for stream, emitter in salesforce.emitters.items()}
    for stream, name in (("setup_audit_trail", "SetupAuditTrail"), ("login_history", "LoginHistory")):
        records = get(salesforce, QUERY, q=f"SELECT Id FROM {name}").json()["records"]
        assert [record["Id"] for record in records] == ids(events[stream])


def test_a_token_says_where_the_data_are_and_not_how_long_it_lives(salesforce: Salesforce, clock: Clock) -> None:
    answer = call(salesforce, TOKEN_URL, method="POST", data=GRANT).json()
    assert "expires_in" not in answer
    assert (answer["instance_url"], answer["issued_at"]) == (INSTANCE, str(clock.now_ms))
    soql, headers = {"q": "SELECT Id FROM LoginHistory"}, bearer(answer["access_token"])
    assert call(salesforce, QUERY, soql, headers=headers).status_code == 200
    assert call(salesforce, QUERY.replace("acme.my", "login"), soql, headers=headers).status_code == 404
    clock.move(7_200)
    assert call(salesforce, QUERY, soql, headers=headers).json()[0]["errorCode"] == "INVALID_SESSION_ID"


@pytest.mark.parametrize(
    ("changed", "host", "error"),
    [
        ({"client_id": "x"}, "acme.my", "invalid_client_id"),
        ({"client_secret": "x"}, "acme.my", "invalid_client"),
        ({"grant_type": "x"}, "acme.my", "unsupported_grant_type"),
        ({}, "login", "invalid_grant"),
    ],
)
def test_no_token_is_given_out(salesforce: Salesforce, changed: dict[str, str], host: str, error: str) -> None:
    answer = call(salesforce, TOKEN_URL.replace("acme.my", host), method="POST", data=GRANT | changed)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("changed", "status"), [({}, 200), ({"sub": "x"}, 400), ({"aud": "https://x"}, 400), ({"exp": 1}, 400)]
)
def test_an_assertion_is_taken_at_the_login_host(
    salesforce: Salesforce, clock: Clock, changed: dict[str, Any], status: int
) -> None:
    params = Salesforce.jwt_params()
    claims = {"iss": params["client_id"], "sub": params["username"], "aud": "https://login.salesforce.com"}
    signed = jwt.encode(claims | {"exp": int(clock()) + 180} | changed, params["private_key"], algorithm="RS256")
    url = f"https://{params['domain']}/services/oauth2/token"
    answer = call(salesforce, url, method="POST", data={"grant_type": JWT_BEARER, "assertion": signed})
    assert answer.status_code == status
    assert status == 400 or answer.json()["instance_url"] == INSTANCE
