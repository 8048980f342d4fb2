"""A SOQL query is completed with what collecting needs, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.config.soql import complete

BOUNDS = "CreatedDate >= {start} AND CreatedDate <= {end}"
ORDER = "CreatedDate ASC, Id ASC"


def completed(query: str, **changes: Any) -> str:
    raw = {"timestamp_field": "CreatedDate", "query_params": {"q": query}} | changes
    assert complete(raw) is None
    return raw["query_params"]["q"]


@pytest.mark.parametrize(
    ("query", "result"),
    [
        (
            "SELECT Id,CreatedDate,Action FROM SetupAuditTrail",
            f"SELECT Id, CreatedDate, Action FROM SetupAuditTrail WHERE {BOUNDS} ORDER BY {ORDER}",
        ),
        (
            "select action from SetupAuditTrail",
            f"SELECT action, Id, CreatedDate FROM SetupAuditTrail WHERE {BOUNDS} ORDER BY {ORDER}",
        ),
        (
            "SELECT id, createddate FROM SetupAuditTrail LIMIT 200",
            f"SELECT id, createddate FROM SetupAuditTrail WHERE {BOUNDS} ORDER BY {ORDER}",
        ),
        (
            "SELECT Id, CreatedDate FROM SetupAuditTrail\n  WHERE Section = 'Users' AND CreatedDate > {start}\n",
            "SELECT Id, CreatedDate FROM SetupAuditTrail WHERE Section = 'Users' AND CreatedDate > {start} "
            f"ORDER BY {ORDER}",
        ),
        (
            "SELECT Id, CreatedDate FROM SetupAuditTrail ORDER BY createddate",
            f"SELECT Id, CreatedDate FROM SetupAuditTrail WHERE {BOUNDS} ORDER BY createddate",
        ),
    ],
)
def test_a_query_is_completed(query: str, result: str) -> None:
    assert completed(query) == result


def test_a_completed_query_is_complete() -> None:
    once = completed("SELECT Action FROM SetupAuditTrail")
    assert completed(once) == once


def test_the_time_is_the_sources_timestamp_field() -> None:
    query = completed("SELECT Id FROM LoginHistory", timestamp_field=["LoginTime", "CreatedDate"])
    assert query == (
        "SELECT Id, LoginTime FROM LoginHistory WHERE LoginTime >= {start} AND LoginTime <= {end} "
        "ORDER BY LoginTime ASC, Id ASC"
    )


def test_a_query_in_the_endpoint_moves_to_the_parameters_and_the_rest_stays() -> None:
    raw: dict[str, Any] = {
        "endpoint": "${ORG}/query?tenant=${TENANT}&q=SELECT+Id%2CAction FROM SetupAuditTrail&explain=a%20b",
        "query_params": {"x": "y", "q": "SELECT Id FROM Other"},
    }
    assert complete(raw) is None
    assert raw["endpoint"] == "${ORG}/query?tenant=${TENANT}&explain=a%20b"
    assert raw["query_params"]["q"].startswith("SELECT Id, Action, CreatedDate FROM SetupAuditTrail")
    assert raw["query_params"]["x"] == "y"


def test_an_endpoint_of_the_query_alone_ends_before_it() -> None:
    raw: dict[str, Any] = {"endpoint": "https://a.my.salesforce.com/query?q=SELECT Id FROM SetupAuditTrail"}
    assert complete(raw) is None
    assert raw["endpoint"] == "https://a.my.salesforce.com/query"


@pytest.mark.parametrize("raw", [{}, {"endpoint": 5}, {"query_params": "q"}, {"query_params": {"q": 5}}])
def test_without_a_query_nothing_is_done(raw: dict[str, Any]) -> None:
    before = dict(raw)
    assert complete(raw) is None
    assert raw == before


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("SELECT Id FROM SetupAuditTrail WHERE Action = 'x'", f"has a WHERE without bounds; add: AND {BOUNDS}"),
        ("SELECT Id FROM SetupAuditTrail ORDER BY CreatedDate DESC", "is ordered by CreatedDate DESC, expected"),
        ("SELECT Id FROM SetupAuditTrail ORDER BY Id", "is ordered by Id, expected"),
        ("DELETE everything", "is no SOQL query of the form SELECT"),
    ],
)
def test_a_query_that_cannot_be_completed_says_why(query: str, wrong: str) -> None:
    told = complete({"timestamp_field": "CreatedDate", "query_params": {"q": query}})
    assert told is not None
    assert wrong in told
