"""What a refusal says is told; what an event holds is not, in whatever it is wrapped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.transport.reasons import said_in, shape_of, without_echo

EVENT = {"id": "e1", "time": "2026-01-31T12:00:00Z", "message": "alice.smith logged in", "detail": "from 10.11.12.13"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": "invalid_token"}, "error: invalid_token"),
        (
            {"errorCode": "E0000011", "errorSummary": "Invalid token provided"},
            "errorCode: E0000011, errorSummary: Invalid token provided",
        ),
        (
            [{"message": "Session expired", "errorCode": "INVALID_SESSION_ID"}],
            "message: Session expired, errorCode: INVALID_SESSION_ID",
        ),
        (
            {"error": {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}},
            "code: 401, message: Invalid Credentials, reason: authError",
        ),
        ({"text": "Invalid token", "code": 4}, "text: Invalid token, code: 4"),
        ({"errors": ["no such index", "closed"]}, "no such index, closed"),
        (json.dumps({"message": "wrapped"}), "message: wrapped"),
        ("no such index", "no such index"),
    ],
)
def test_a_reason_in_json_is_told(body: Any, told: str) -> None:
    assert said_in(json.dumps(body).encode()) == told


@pytest.mark.parametrize("body", [b"Bad credentials", b"\xef\xbb\xbfBad credentials", b"  Bad credentials\n"])
def test_a_reason_in_plain_words_is_told(body: bytes) -> None:
    assert said_in(body) == "Bad credentials"


WRAPPED = [
    EVENT,
    [EVENT],
    {"error": "rejected", "event": EVENT},
    {"error": f"cannot parse {json.dumps(EVENT)}"},
    {"error": f"cannot parse {EVENT!r} at 5"},
    {"error": [EVENT]},
    {"errors": {"0": EVENT}},
    {"data": [EVENT], "status": 206},
    json.dumps(EVENT),
    json.dumps(json.dumps([EVENT])),
]


@pytest.mark.parametrize("body", WRAPPED, ids=range(len(WRAPPED)))
def test_an_event_in_a_refusal_is_not_told(body: Any) -> None:
    told = said_in(json.dumps(body).encode(), event_fields=["id", "time"])
    assert "alice" not in told
    assert "10.11.12.13" not in told


@pytest.mark.parametrize(
    "body",
    [
        b"<html><title>alice</title><body>alice.smith",
        json.dumps(EVENT).encode()[:60],  # cut off
        b"[" * 5_000 + json.dumps(EVENT).encode(),
        b'"alice.smith',
    ],
)
def test_what_cannot_be_read_is_told_by_its_shape(body: bytes) -> None:
    told = said_in(body)
    assert told.startswith(f"{len(body)} bytes of")
    assert "alice" not in told


def test_a_shape_names_fields_and_size() -> None:
    assert shape_of(b'{"rows": [{"user": "alice"}]}') == "29 bytes of JSON with the names rows, user"
    assert shape_of(b"") == "an empty answer"


def test_what_a_siem_repeats_of_the_values_it_was_sent_is_left_out_and_names_of_fields_stay() -> None:
    sent = json.dumps(
        [{"timestamp": "2026-01-31", "user": "alice.smith@example.com", "note": 'a "quoted" caf\u00e9 au lait'}]
    ).encode()
    said = 'field timestamp: user alice.smith@example.com says a "quoted" caf\u00e9 au lait'
    assert without_echo(said, sent) == "field timestamp: user … says …"
    assert without_echo("no such index", sent) == "no such index"


@pytest.mark.fuzz
@given(st.text(min_size=8, max_size=30), st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_eight_characters_of_an_event_never_come_back(value: str, before: str, after: str, escaped: bool) -> None:
    sent = json.dumps([{"name": value}], ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    said = without_echo(before + value + after, sent)
    values = json.dumps(value, ensure_ascii=escaped)[1:-1]
    assert not any(value[at : at + 8] in said for at in range(len(value) - 7) if value[at : at + 8] in values)


@pytest.mark.fuzz
@given(
    st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.text(max_size=5),
            lambda inner: st.dictionaries(st.sampled_from(["error", "message", "x"]), inner) | st.lists(inner),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_has_a_reason_or_a_shape(body: bytes) -> None:
    assert isinstance(said_in(body), str)
    assert isinstance(shape_of(body), str)
