"""Field reports: input of the operator's that ended in no answer, or in a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster_tests.config.builders import SOURCE
from flicker_dagster_tests.conformance.rows import cases, row

cases({"yaml_bombs": "half a kilobyte of aliases of aliases, or 5,000 nested lists, and --validate never ends"})


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
