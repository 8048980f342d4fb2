"""`flicker health`: for probes. Fresh heartbeats themselves are tested with a real daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flicker_dagster.cli.main import cli
from flicker_dagster.cli.supervise import prepare_home


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "work"


def health(work_dir: Path) -> Result:
    return CliRunner().invoke(cli, ["--work-dir", str(work_dir), "health"], env={"DAGSTER_HOME": None})


def test_without_a_dagster_home_it_is_ill_and_asks_for_the_right_directory(work_dir: Path) -> None:
    done = health(work_dir)
    assert done.exit_code == 1
    assert f"no Dagster home below {work_dir}" in done.stderr
    assert "--work-dir" in done.stderr
    assert not work_dir.exists()


@pytest.mark.parametrize("kept_in", ["", "untracked-abc"], ids=["with track", "without track"])
def test_a_home_whose_daemons_never_beat_is_ill_and_names_them(work_dir: Path, kept_in: str) -> None:
    home = work_dir / kept_in / "dagster"
    home.mkdir(parents=True)
    prepare_home(home)
    done = health(work_dir)
    assert done.exit_code == 1, done.output
    assert "no fresh heartbeat from:" in done.stderr
    assert "SENSOR" in done.stderr
