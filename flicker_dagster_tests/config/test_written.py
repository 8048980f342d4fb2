"""Errors about credentials name the line and the variable they come from, and never a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.written import siem_credentials, told, vendor_credentials
from flicker_dagster.errors import SecretUnset, SpoolFull
from flicker_dagster_tests.config.builders import SOURCE, load

HEADERS = """    headers:
      Accept: application/json
      Authorization: "Bearer ${TOKEN}${MORE:-}"
"""
SHARED = """api_sources:
  - name: one
    endpoint: https://api.example.com
    polling_frequency_ms: 1000
    timestamp_field: time
    destination: siem
destinations:
  siem:
    type: http
    endpoint: https://siem.example.com
    auth: {type: basic, username: me, password: "written out"}
"""


def only(tmp_path: Path, text: str) -> SourceConfig:
    [source] = load(tmp_path, text).sources
    return source


def test_a_vendors_credentials_are_named_by_key_variable_and_line(tmp_path: Path) -> None:
    source = only(tmp_path, SOURCE + HEADERS)
    line = 1 + (SOURCE + HEADERS).splitlines().index('      Authorization: "Bearer ${TOKEN}${MORE:-}"')
    assert vendor_credentials(source) == (
        f"headers.Authorization, from ${{TOKEN}}, ${{MORE}} ({tmp_path}/config.yaml:{line})"
    )


def test_a_key_in_the_query_and_a_password_count_too(tmp_path: Path) -> None:
    text = SOURCE + "    query_params: {page: all, api_token: abc}\n    basic: {username: me, password: p}\n"
    found = vendor_credentials(only(tmp_path, text))
    assert "query_params.api_token" in found
    assert "basic.password" in found
    assert "query_params.page" not in found
    assert "abc" not in found


def test_no_credentials_are_said_to_be_none(tmp_path: Path) -> None:
    source = only(tmp_path, SOURCE)
    assert vendor_credentials(source) == "none are configured: add auth, headers, api_key or basic"
    assert siem_credentials(source) == "none are configured: add destination.auth"


def test_a_shared_destinations_credentials_are_where_they_are_written(tmp_path: Path) -> None:
    found = siem_credentials(only(tmp_path, SHARED))
    assert found == f"destination.auth.password ({tmp_path}/config.yaml:11)"


@pytest.mark.parametrize("reference", ["${TOKEN}", "${file:/nowhere/token}"])
def test_what_is_unset_is_told_with_its_place(tmp_path: Path, reference: str) -> None:
    source = only(tmp_path, SOURCE + f"    api_key: {reference}\n")
    line = len(SOURCE.splitlines()) + 1
    error = SecretUnset(f"{reference} has no value", reference=reference)
    assert told(error, source) == f"one: {tmp_path}/config.yaml:{line}: api_key: {reference} has no value"


def test_any_other_error_is_told_with_its_sources_name_once(tmp_path: Path) -> None:
    source = only(tmp_path, SOURCE)
    assert told(SpoolFull("full"), source) == told(SpoolFull("one: full"), source) == "one: full"


def test_a_source_that_was_not_read_from_a_file_has_no_lines() -> None:
    source = SourceConfig.model_validate(
        {
            "name": "one", "endpoint": "https://a.invalid", "polling_frequency_ms": 1, "timestamp_field": "t",
            "api_key": "${TOKEN}", "destination": {"type": "http", "endpoint": "https://b.invalid"},
        }
    )  # fmt: skip
    assert vendor_credentials(source) == "api_key, from ${TOKEN}"
