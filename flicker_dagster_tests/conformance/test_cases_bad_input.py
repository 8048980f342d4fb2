"""Field reports: what the operator gives and Flicker took without a look: a text, a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster_tests.config.builders import SOURCE
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.state.object_store import object_store

cases(
    {
        "yaml_bombs": "half a kilobyte of aliases of aliases, or 5,000 nested lists, and --validate never ends",
        "store_ignores_conditions": "an S3-compatible store ignores If-Match: sources overwrite each other, unnoticed",
    }
)


def _laughs() -> str:
    lines = ["x-a: &a [l,l,l,l,l,l,l,l,l]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"x-{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("bomb", "line"),
    [
        (_laughs(), ":6: not valid YAML: with aliases expanded more than 250,000 values, expected less"),
        ("x-a: " + "[" * 5000 + "]" * 5000 + "\n", ":1: not valid YAML: nested deeper than 64 levels, expected less"),
    ],
    ids=["aliases", "lists"],
)
@row("case-yaml_bombs", behaviour="what aliases expand to is counted before it is expanded: one line, exit 2")
def test_a_file_that_expands_without_end_is_one_line(tmp_path: Path, bomb: str, line: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(bomb + SOURCE)
    done = CliRunner().invoke(cli, ["-c", str(config), "--validate"])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0] == f"{config}{line}"


def test_ordinary_aliases_are_no_bomb(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("x-limits: &limits {run_seconds: 60}\n" + SOURCE + "    limits: *limits\n")
    done = CliRunner().invoke(cli, ["-c", str(config), "--validate"])
    assert done.exit_code == 0, done.output


@row(
    "case-store_ignores_conditions", behaviour="one probe at the start tells, and the store is refused by name: exit 2"
)
def test_a_store_that_ignores_conditions_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SOURCE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    command = [
        "-c",
        str(config),
        "--work-dir",
        str(tmp_path / "work"),
        "--track",
        "--registry-file",
        "s3://logs/r.json",
    ]
    with object_store() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        server.faults = {"no If-None-Match", "no If-Match"}
        for mode in (["--once"], []):
            done = CliRunner().invoke(cli, [*command, *mode])
            assert done.exit_code == 2
            [line] = done.stderr.splitlines()
            assert line.startswith(
                f"flicker: s3://logs/r at {server.url} ignores conditional writes: it made one object"
            )
            assert "use AWS S3 or another store that honours If-Match and If-None-Match" in line
        assert server.objects == {}
