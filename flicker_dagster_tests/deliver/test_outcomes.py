"""What an HTTP answer of the SIEM means for the events."""

from __future__ import annotations

import pytest

from flicker_dagster.deliver.outcomes import (
    Ambiguous,
    Blocked,
    Delivered,
    Outcome,
    Rejected,
    Retry,
    Split,
    classify_http,
)

SUCCESS = [200, 201, 202, 204]
NOW_MS = 1_777_713_247_000  # Sat, 02 May 2026 09:14:07 GMT


def outcome(status: int, headers: dict[str, str] | None = None, said: str = "") -> Outcome:
    return classify_http(status, headers or {}, said, success_status=SUCCESS, now_ms=NOW_MS)


KINDS: list[tuple[type, list[int]]] = [
    (Delivered, [200, 201, 202, 204]),
    (Ambiguous, [203, 206, 207, 299, 100]),
    (Blocked, [301, 302, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407, 409, 410, 415, 418, 451, 499]),
    (Retry, [408, 425, 429, 500, 502, 503, 504, 507, 520, 599]),
    (Split, [413]),
    (Rejected, [400, 422]),
]
#: 501 and 505 say that this address will never do it.
KINDS.append((Blocked, [501, 505]))


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, those in KINDS for status in those])
def test_every_status_has_its_outcome(kind: type, status: int) -> None:
    assert type(outcome(status)) is kind


def test_only_the_configured_statuses_are_a_success() -> None:
    assert type(classify_http(200, {}, "", success_status=[202], now_ms=NOW_MS)) is Ambiguous
    assert type(classify_http(409, {}, "", success_status=[200, 409], now_ms=NOW_MS)) is Delivered


@pytest.mark.parametrize(
    ("told", "after_s"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Sat, 02 May 2026 09:15:07 GMT", 60.0),
        ("86400", 900.0),
        ("9" * 400, 900.0),
        ("soon", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_waits_as_long_as_told_within_reason(status: int, told: str | None, after_s: float | None) -> None:
    found = outcome(status, {} if told is None else {"Retry-After": told})
    assert isinstance(found, Retry)
    assert found.after_s == after_s


def test_words_hold_the_status_and_what_was_said() -> None:
    assert outcome(400, said="bad index") == Rejected("HTTP 400 Bad Request: bad index", "HTTP 400 Bad Request")
    assert outcome(599) == Retry("HTTP 599", status="HTTP 599")
    assert outcome(200) == Delivered("HTTP 200 OK")
