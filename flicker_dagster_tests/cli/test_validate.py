"""`flicker --validate`: faults with their lines, what the presets overruled and why, and what is unset."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flicker_dagster.cli.demo import TOKENS
from flicker_dagster.cli.main import cli

DOCUMENTED = Path(__file__).parents[1] / "data" / "documented-config.yaml"
VARIABLES = {**TOKENS, "SIEM_ENDPOINT": "https://siem.example"}


def validate(path: Path, env: dict[str, str]) -> Result:
    unset: dict[str, str | None] = dict.fromkeys(VARIABLES)
    return CliRunner().invoke(cli, ["-c", str(path), "--validate"], env=unset | env)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_the_documented_configuration_is_valid_when_its_variables_are_set() -> None:
    done = validate(DOCUMENTED, VARIABLES)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "valid, 3 API source(s): okta-audit-logs, github-audit-log, salesforce-audit" in done.stdout


@pytest.mark.parametrize(
    ("source", "key", "why"),
    [
        ("okta-audit-logs", "pagination.pagination_type", "Okta pages through the Link header"),
        ("okta-audit-logs", "pagination.next_cursor_field", "its answers hold no cursor field"),
        ("github-audit-log", "timestamp_field", "created_at is often older and absent from git events"),
        ("github-audit-log", "time_filter_param", "GitHub's `after` is a paging cursor, not a time"),
        ("github-audit-log", "pagination.page_param", "page numbers work on Enterprise Server only"),
        ("salesforce-audit", "pagination.offset_param", "OFFSET ends at 2,000 rows"),
    ],
)
def test_each_overruled_key_is_named_with_its_line_and_its_reason(source: str, key: str, why: str) -> None:
    lines = DOCUMENTED.read_text().splitlines()
    (said,) = [line for line in validate(DOCUMENTED, VARIABLES).stdout.splitlines() if f"{source}: {key} is" in line]
    place, _, _ = said.partition(f": {source}")
    path, _, number = place.rpartition(":")
    assert path == str(DOCUMENTED)
    assert key.rpartition(".")[2] in lines[int(number) - 1]
    assert why in said


def test_every_unset_variable_is_named() -> None:
    done = validate(DOCUMENTED, {})
    assert done.exit_code == 2
    for variable in VARIABLES:
        assert variable in done.stderr
    assert "unset reference(s)" in done.stderr


def test_only_what_is_unset_is_named() -> None:
    set_but_one = {name: value for name, value in VARIABLES.items() if name != "GITHUB_TOKEN"}
    done = validate(DOCUMENTED, set_but_one)
    assert done.exit_code == 2
    assert "GITHUB_TOKEN" in done.stderr
    assert "OKTA_API_TOKEN" not in done.stderr


def test_no_value_of_a_variable_is_shown() -> None:
    output = validate(DOCUMENTED, VARIABLES).output
    assert not any(token in output for token in TOKENS.values())


def test_every_fault_of_a_malformed_file_is_a_line_with_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "api_sources:\n"
        "  - name: one\n"
        "    endpoint: https://api.example/events\n"
        "    poling_frequency_ms: 30000\n"
        "    polling_frequency_ms: soon\n"
        "    timestamp_field: time\n"
        "    destination: {type: http, endpoint: 'https://siem.example'}\n",
    )
    done = validate(path, {})
    assert done.exit_code == 2
    assert done.stdout == ""
    faults = done.stderr.splitlines()
    assert any(line.startswith(f"{path}:4") and "polling_frequency_ms" in line for line in faults), faults
    assert any(line.startswith(f"{path}:5") for line in faults), faults
    assert faults[-1] == f"{path}: {len(faults) - 1} problem(s)"


@pytest.mark.parametrize("text", ["", "api_sources: [", "just words", "api_sources: []\n"])
def test_a_file_that_is_no_configuration_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    done = validate(path, {})
    assert done.exit_code == 2
    assert done.stderr.startswith(str(path))
    assert "Traceback" not in done.output


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    done = validate(tmp_path / "none.yaml", {})
    assert done.exit_code == 2
    assert "none.yaml" in done.stderr


def test_the_destinations_of_a_source_that_has_several_are_named(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """api_sources:
  - name: one
    endpoint: https://api.example.com/events
    polling_frequency_ms: 30000
    timestamp_field: time
    destination:
      - siem
      - {type: stdout, required: false}
      - {type: stdout, name: lines, required: false}
destinations:
  siem: {type: http, endpoint: 'https://siem.example.com'}
""",
    )
    done = validate(path, {})
    assert done.exit_code == 0, done.output
    assert (
        f"{path}:6: one has 3 destinations: siem (http), stdout (best effort), lines (stdout, best effort)"
        in done.stdout.splitlines()
    )


def test_a_destination_whose_package_is_not_installed_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("confluent_kafka", "pyarrow"):
        monkeypatch.setitem(sys.modules, package, None)
    lake = "type: s3, bucket: audit, region: us-east-1, prefix: p"
    path = written(
        tmp_path,
        f"""\
api_sources:
  - name: okta
    vendor: okta
    endpoint: https://example.okta.com/api/v1/logs
    api_key: abc
    destination:
      - type: kafka
        brokers: [kafka.example:9092]
        topic: audit
      - {{{lake}}}
      - {{{lake}, name: lake, format: parquet}}
""",
    )
    done = validate(path, {})
    assert done.exit_code == 2
    first, second, total = done.stderr.splitlines()
    assert first.startswith(f"{path}:7: okta: destination[0].type: kafka needs the package confluent_kafka")
    assert first.endswith("pip install 'flicker-dagster[kafka]'")
    assert second.startswith(f"{path}:11: okta: destination[2].type: s3 needs the package pyarrow")
    assert second.endswith("pip install 'flicker-dagster[parquet]'")
    assert total == f"{path}: 2 destination(s) cannot be opened: a package is missing"
