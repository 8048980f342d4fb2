"""`destination` as one mapping, a name, or a list of either: what is accepted, and how each fault is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from flicker_dagster.config.destinations import records
from flicker_dagster.config.explain import one_of
from flicker_dagster.config.masking import MASK, Masker
from flicker_dagster.config.schema import json_schema
from flicker_dagster.config.secrets import unset_variables
from flicker_dagster.config.written import siem_credentials
from flicker_dagster_tests.config.builders import HEAD, faults, load

#: Lines 6 to 11, behind the five of HEAD.
TWO = """    destination:
      - siem
      - type: file
        path: /var/log/lake.ndjson
        required: false
"""
NAMED = """destinations:
  siem:
    type: http
    endpoint: https://siem.example.com
"""


def lanes(folder: Path, text: str, **env: str) -> dict[str, Any]:
    (source,) = load(folder, HEAD + text, **env).sources
    return {name: record.type for name, record in source.lanes.items()}


ONE_HTTP = "{type: http, endpoint: 'https://siem.example.com'}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"    destination: {ONE_HTTP}\n", {"": "http"}),
        (f"    destination: siem\n{NAMED}", {"": "http"}),
        (TWO + NAMED, {"siem": "http", "file": "file"}),
        (f"    destination: [siem]\n{NAMED}", {"siem": "http"}),
        (f"    destination: [{ONE_HTTP}, {{type: stdout, name: lines}}]\n", {"http": "http", "lines": "stdout"}),
        (f"    destination: [{ONE_HTTP}, siem]\n{NAMED}", {"http": "http", "siem": "http"}),
        (f"    destination: [siem]\n{NAMED}    name: splunk\n", {"splunk": "http"}),
    ],
)
def test_destinations_become_lanes_in_their_order(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    found = lanes(tmp_path, text)
    assert found == expected
    assert list(found) == list(expected)
    assert list(Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(HEAD + text))) == []


AT = "config.yaml:{}: api_sources[0].destination"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    destination: []\n", [AT.format(6) + ": found a list, expected one entry or more"]),
        (
            f"    destination:\n      - siem\n      - siem\n{NAMED}",
            [AT.format(8) + "[1]: is called 'siem' like the one on line 7, expected a name of its own: name: …"],
        ),
        (
            f"    destination:\n      - {ONE_HTTP}\n      - {ONE_HTTP}\n",
            [AT.format(8) + "[1]: is called 'http' like the one on line 7, expected a name of its own: name: …"],
        ),
        (
            f"    destination:\n      - siem\n      - {{type: stdout, name: SIEM}}\n{NAMED}",
            [AT.format(8) + "[1]: is called 'SIEM' like the one on line 7, expected a name of its own: name: …"],
        ),
        (
            f"    destination:\n      - siem\n      - type: stdout\n        name: a/b\n{NAMED}",
            [AT.format(9) + "[1].name: found 'a/b', expected letters, digits, - and _, 40 at most"],
        ),
        (
            f"    destination:\n      - siem\n      - type: stdout\n        name: {'x' * 41}\n{NAMED}",
            [AT.format(9) + f"[1].name: found '{'x' * 41}', expected letters, digits, - and _, 40 at most"],
        ),
        (
            f"    destination:\n      - siem\n      - seim\n{NAMED}",
            [AT.format(8) + "[1]: found the name 'seim', expected one under destinations (siem) (did you mean siem?)"],
        ),
        (
            f"    destination:\n      - {{type: stdout, required: false}}\n      - siem\n{NAMED}    required: false\n",
            [AT.format(6) + ": all have required: false, expected one that the position waits for"],
        ),
        (
            "    destination: {type: stdout, required: false}\n",
            [AT.format(6) + ".required: is false for the only destination, expected one that the position waits for"],
        ),
        (
            f"    destination:\n      - siem\n      - type: http\n        endpoint: siem.example.com\n{NAMED}",
            [
                AT.format(9)
                + "[1].endpoint: found 'siem.example.com', expected a URL that begins with https:// or http://"
            ],
        ),
        (
            f"    destination:\n      - siem\n      - type: stdout\n        max_batch_bytes: many\n{NAMED}",
            [AT.format(9) + "[1].max_batch_bytes: found 'many', expected a whole number"],
        ),
        (
            f"    destination:\n      - siem\n      - type: stdout\n        fromat: ndjson\n{NAMED}",
            [AT.format(9) + "[1].fromat: unknown key, expected a key of destination (did you mean format?)"],
        ),
        (
            f"    destination:\n      - siem\n      - type: kafak\n        topic: t\n{NAMED}",
            [AT.format(8) + f"[1].type: found 'kafak', expected {one_of(records())} (did you mean kafka?)"],
        ),
        (f"    destination:\n      - siem\n      - 7\n{NAMED}", [AT.format(8) + "[1]: found 7, expected a mapping"]),
        (
            f"    destination:\n      - siem\n      - type: stdout\n        max_batch_bytes: ${{BYTES}}\n{NAMED}",
            [
                AT.format(9)
                + "[1].max_batch_bytes: ${BYTES} is not set; set the environment variable BYTES, or give a default: ${NAME:-5}"
            ],
        ),
    ],
)
def test_a_fault_is_told_where_it_stands(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, HEAD + text) == expected


SECOND = """    destination:
      - siem
      - type: kafka
        brokers: [b:9092]
        topic: audit
        max_batch_bytes: ${BYTES:-5000}
        required: ${REQUIRED:-true}
        sasl: {type: plain, username: flicker, password: "${KAFKA_PASSWORD}"}
      - type: http
        name: lake
        endpoint: https://lake.example.com
        max_in_flight: ${LANES}
        api_key: written-out-in-the-file
"""


def test_numbers_and_switches_in_a_list_may_come_from_the_environment(tmp_path: Path) -> None:
    (source,) = load(tmp_path, HEAD + SECOND + NAMED, LANES="2", REQUIRED="no").sources
    kafka, lake = source.lanes["kafka"], source.lanes["lake"]
    assert (kafka.max_batch_bytes, kafka.required, lake.max_in_flight) == (5000, False, 2)  # type: ignore[attr-defined]


def test_the_schema_marks_what_is_wrong_with_the_second_of_a_list() -> None:
    validator = Draft202012Validator(json_schema())
    assert not list(validator.iter_errors(yaml.safe_load(HEAD + SECOND + NAMED)))
    (error,) = validator.iter_errors(yaml.safe_load(HEAD + SECOND.replace("topic: audit", "topic: 5") + NAMED))
    assert error.json_path == "$.api_sources[0].destination"
    assert list(validator.iter_errors(yaml.safe_load(HEAD + "    destination: []\n")))


def test_secrets_of_every_lane_are_masked(tmp_path: Path) -> None:
    env = {"KAFKA_PASSWORD": "of-the-second-lane", "LANES": "1"}
    (source,) = load(tmp_path, HEAD + SECOND + f"{NAMED}    api_key: ${{SIEM_KEY}}\n", **env).sources
    masker = Masker.for_source(source, env | {"SIEM_KEY": "of-the-first-lane"})
    for secret in ("of-the-first-lane", "of-the-second-lane", "written-out-in-the-file"):
        assert masker.mask(f"refused: {secret}.") == f"refused: {MASK}."
        assert masker.seal(secret) == secret  # no request to the vendor ever holds it
    for word in ("flicker", "audit", "lake", "b:9092"):
        assert masker.mask(word) == word


def test_unset_variables_are_listed_with_the_line_of_their_lane(tmp_path: Path) -> None:
    config = load(tmp_path, HEAD + SECOND + f"{NAMED}    api_key: ${{SIEM_KEY}}\n", LANES="1")
    assert unset_variables(config, {}) == [
        f"{config.path}:23: one: destination[0].api_key: ${{SIEM_KEY}} is not set; set the environment variable SIEM_KEY",
        f"{config.path}:13: one: destination[1].sasl.password: ${{KAFKA_PASSWORD}} is not set; set the environment variable "
        "KAFKA_PASSWORD",
    ]


def test_a_refusal_names_the_credentials_of_its_lane_alone(tmp_path: Path) -> None:
    (source,) = load(tmp_path, HEAD + SECOND + NAMED, LANES="1").sources
    at = f"{tmp_path}/config.yaml"
    assert siem_credentials(source, "lake") == f"destination[2].api_key ({at}:18)"
    assert siem_credentials(source, "kafka") == (f"destination[1].sasl.password, from ${{KAFKA_PASSWORD}} ({at}:13)")
    assert siem_credentials(source, "siem") == "none are configured: add destination.auth"
