"""Every event becomes a valid document of every version, with its original."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster_tests.deliver.normalise.documents import TYPES, VERSIONS, ecs, event, ocsf
from flicker_dagster_tests.deliver.normalise.schemas import ecs_problems, ocsf_problems


@pytest.mark.parametrize(("vendor", "event_type"), TYPES)
def test_every_type_of_event_is_valid_in_every_schema(vendor: str, event_type: str) -> None:
    text = event(vendor, event_type)
    for version in VERSIONS:
        assert ocsf_problems(ocsf(text, vendor, version), version) == []
    assert ecs_problems(ecs(text, vendor)) == []


KEYS = st.sampled_from(
    [
        "eventType",
        "actor",
        "id",
        "alternateId",
        "target",
        "type",
        "client",
        "ipAddress",
        "uuid",
        "severity",
        "outcome",
        "result",
        "geographicalContext",
        "geolocation",
        "lat",
        "country",
        "x",
        "displayMessage",
        "securityContext",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["User", "INFO", "SUCCESS", "", "user.lifecycle.create", "203.0.113.9", "a@b.c", "\ud800", "é" * 300]
    )
)
EVENTS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner), max_leaves=8)
)


@given(EVENTS, st.sampled_from(["okta", "github", None]), st.sampled_from(VERSIONS))
def test_whatever_an_event_holds_it_becomes_a_valid_document_with_its_original(
    drawn: dict[str, Any], vendor: str | None, version: str
) -> None:
    text = json.dumps(drawn).encode()
    document, original = ocsf(text, vendor, version), ecs(text, vendor)
    assert ocsf_problems(document, version) == []
    assert ecs_problems(original) == []
    assert document["raw_data"].encode() == original["event"]["original"].encode() == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[1]",
        b'{"eventType":"user.session.start"',
        b'{"eventType":"user.session.start","n":1e400}',
        b'{"eventType":"user.session.start","n":NaN,"b":"\xff"}',
        b'{"eventType":"user.session.start","displayMessage":"\\ud800 \xff"}',
        b'{"eventType":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"x":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"eventType":"' + b"x" * 10_000 + b'"}',
        b'{"actor":{"id":' + b"9" * 5_000 + b"}}",
    ],
)
def test_what_no_strict_decoder_reads_is_sent_with_its_bytes(text: bytes) -> None:
    document, original = ocsf(text), ecs(text)
    assert ocsf_problems(document, "1.8.0") == []
    assert ecs_problems(original) == []
    for kept in (document["raw_data"], original["event"]["original"]):
        assert kept.encode("utf-8", "surrogateescape") == text
    expected = "user.session.start" if text.startswith(b'{"eventType":"user.session.start",') else None
    assert expected in (None, document["metadata"]["event_code"])
