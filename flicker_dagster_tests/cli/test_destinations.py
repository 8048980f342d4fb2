"""`flicker destinations` and `test-destination NAME`: what is printed, in which width, and which destination is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.cells import cell_len

from flicker_dagster.cli.main import cli
from flicker_dagster.config.destinations import records
from flicker_dagster_tests.cli.siem_scene import source

every_type = pytest.mark.parametrize("kind", records())


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), env={"COLUMNS": "80", **(env or {})})


def test_all_are_listed_within_80_columns_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("destinations")
    assert done.exit_code == 0
    assert all(cell_len(line) <= 80 for line in done.stdout.splitlines())
    for kind, record in records().items():
        [line] = [line for line in done.stdout.splitlines() if line.split() and line.split()[0] == kind]
        assert record.GUIDE.guarantee in line


def test_all_as_json() -> None:
    found = json.loads(run("destinations", "--json").stdout)["destinations"]
    assert [each["type"] for each in found] == list(records())
    assert found[0]["documented"] == "docs/destinations/datadog.md"


@every_type
def test_one_is_shown_within_80_columns_and_its_block_can_be_pasted(kind: str) -> None:
    done = run("destinations", "show", kind)
    assert done.exit_code == 0, done.output
    text = done.stdout
    begin = text.index("destinations:\n")
    block = text[begin : text.index("\n\n", begin)]
    assert yaml.safe_load(block)["destinations"] == yaml.safe_load(records()[kind].GUIDE.block)
    for line in text.replace(block, "").splitlines():
        assert cell_len(line) <= 80 or len(line.split()) <= 3 or "`" in line or "find" in line, line
    for words in ("What to create there", "Least rights", "Guarantee", "Its own keys", "`required` (default `true`)"):
        assert words in text


@every_type
def test_one_as_json(kind: str) -> None:
    found = json.loads(run("destinations", "show", kind, "--json").stdout)
    assert (found["type"], found["block"]) == (kind, records()[kind].GUIDE.block)
    assert {key["key"] for key in found["keys"]} >= set(records()[kind].model_fields)


@pytest.mark.parametrize(
    ("name", "said"), [("splunk", "did you mean splunk_hec?"), ("zzz", "there are datadog, elasticsearch, file")]
)
def test_an_unknown_type_is_one_line(name: str, said: str) -> None:
    done = run("destinations", "show", name)
    assert done.exit_code == 2
    assert said in done.output
    assert len(done.output.splitlines()) == 1


def configured(folder: Path, config: dict[str, Any]) -> str:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path)


def a_file(path: str, **keys: Any) -> dict[str, Any]:
    return {"type": "file", "path": path, **keys}


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Two sources: one with a list of a named destination and one of its own, one with its own only; one is not used."""
    return configured(
        tmp_path,
        {
            "destinations": {
                "lake": a_file(f"{tmp_path}/lake"),
                "unused": {"type": "http", "endpoint": "http://127.0.0.1:9"},
            },
            "api_sources": [
                source("okta", destination=["lake", a_file(f"{tmp_path}/own", name="own")]),
                source("github", destination=a_file(f"{tmp_path}/github")),
            ],
        },
    )


@pytest.mark.parametrize(
    ("name", "source_name", "lane"),
    [
        ("lake", "okta", "lake"),
        ("okta@lake", "okta", "lake"),
        ("okta@own", "okta", "own"),
        ("own", "okta", "own"),
        ("github", "github", None),
        ("unused", None, None),
        ("http", None, None),
    ],
)
def test_a_destination_is_known_by_its_names(config: str, name: str, source_name: str | None, lane: str | None) -> None:
    said = json.loads(run("-c", config, "test-destination", name, "--json").stdout)
    assert (said["source"], said["lane"]) == (source_name, lane)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (["file"], "may be several destinations of"),
        (["okta"], "lake, okta@own"),
        (["okta@lak"], "did you mean okta@lake?"),
        (["zounds"], "there are lake, unused, okta@lake, okta@own, github"),
        ([], "name a destination of"),
    ],
)
def test_where_it_is_not_clear_which_one_is_meant_the_choices_are_listed(
    config: str, name: list[str], words: str
) -> None:
    done = run("-c", config, "test-destination", *name)
    assert done.exit_code == 2
    assert words in done.output


def test_a_configuration_with_a_fault_is_told_as_elsewhere(tmp_path: Path) -> None:
    done = run("-c", configured(tmp_path, {"api_sources": []}), "test-destination", "x")
    assert done.exit_code == 2
    assert "config.yaml:1: api_sources" in done.output
