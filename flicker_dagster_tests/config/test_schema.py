"""The schema for editors accepts what the loader accepts, and marks the faults that types can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.schema import json_schema
from flicker_dagster.config.vendors import presets
from flicker_dagster_tests.config.builders import HEAD, SOURCE, load, without

DATA = Path(__file__).parents[1] / "data"
OKTA = "https://company.okta.com/api/v1/logs"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def marks(validator: Draft202012Validator, text: str) -> list[str]:
    """The paths the schema marks in a file."""
    return [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_documented_configuration_is_accepted(validator: Draft202012Validator) -> None:
    assert marks(validator, (DATA / "documented-config.yaml").read_text()) == []


ACCEPTED = {
    "a plain source": SOURCE,
    "own keys": SOURCE + "x-owner: secops\n",
    "one id and one time": SOURCE + "    id_field: id\n",
    "several ids": SOURCE + "    id_field: [id, seq]\n",
    "patterns": SOURCE + "    match_on: [login, {field: a, pattern: b}]\n    exclude_on: [debug]\n",
    "a destination by name": HEAD
    + "    destination: siem\ndestinations: {siem: {type: http, endpoint: 'https://a.b'}}\n",
    "a number from the environment": SOURCE + "    buffer_size: ${SIZE:-5}\n",
    "a nullable number from the environment": SOURCE + "    slice_ms: ${SLICE:-5}\n",
    "a nested number from the environment": SOURCE + "    limits:\n      page_bytes: ${BYTES:-5}\n",
    "a share from the environment": SOURCE + "    rate_limit:\n      reserve: ${SHARE:-0.5}\n",
    "a switch from the environment": SOURCE + "    live: ${LIVE:-true}\n",
    "compression from the environment": SOURCE + "      compression: ${COMPRESSION:-gzip}\n",
    "compression as a switch": SOURCE + "      compression: true\n",
    "a shared retry": SOURCE + "retry:\n  max_retries: ${RETRIES:-5}\n",
    "a time from the preset": without("timestamp_field").replace("https://api.example.com/events", OKTA),
    "a frequency from the preset": without("polling_frequency_ms").replace("https://api.example.com/events", OKTA),
    "an auth": SOURCE + "      auth: {type: header, name: X, value: y}\n",
    "a vendor": SOURCE + "    vendor: generic\n",
    "streams by name": without("endpoint")
    + "    vendor: zoom\n    params: {account_id: a, client_id: b, client_secret: c}\n    streams: [operation_logs]\n",
    "streams with keys": SOURCE + "    streams: {one: {lookback_ms: 5}, two: }\n",
    "an endpoint from the preset": without("endpoint") + "    vendor: slack\n    params: {token: t}\n",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_loader_accepts_the_schema_accepts(tmp_path: Path, validator: Draft202012Validator, text: str) -> None:
    load(tmp_path, text)
    assert marks(validator, text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (SOURCE + "    buffer_sizes: 5\n", "$.api_sources[0]"),
        (SOURCE + "    buffer_size: many\n", "$.api_sources[0].buffer_size"),
        (SOURCE + "    live: 1\n", "$.api_sources[0].live"),
        (SOURCE + "    vendor: oktaa\n", "$.api_sources[0].vendor"),
        (SOURCE + "    pagination: {pagination_type: curser}\n", "$.api_sources[0].pagination.pagination_type"),
        (SOURCE + "      compression: zip\n", "$.api_sources[0].destination"),
        (SOURCE + "      auth: {type: bearer}\n", "$.api_sources[0].destination"),
        (HEAD, "$.api_sources[0]"),
        (without("endpoint"), "$.api_sources[0]"),
        ("api_sources: []\n", "$.api_sources"),
        (SOURCE + "log_files: []\n", "$"),
        (SOURCE + "destinations: {siem: {type: http}}\n", "$.destinations.siem"),
        (SOURCE + "retry: {max_retrys: 1}\n", "$.retry"),
    ],
)
def test_faults_that_types_show_are_marked(validator: Draft202012Validator, text: str, path: str) -> None:
    assert marks(validator, text) == [path]


def test_every_key_of_a_source_and_every_vendor_is_offered() -> None:
    source: dict[str, Any] = json_schema()["$defs"]["SourceConfig"]
    assert set(source["properties"]) == {*SourceConfig.model_fields, "params", "streams"}
    assert set(source["properties"]["vendor"]["enum"]) == {"generic", *presets()}
    assert source["required"] == ["name", "destination"]
