"""kill -9 at every place of the state floor: what follows finds everything, delivers it, and nothing twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import flicker_dagster
from flicker_dagster import failpoints
from flicker_dagster.errors import FlickerError
from flicker_dagster.state.layout import StateLayout
from flicker_dagster_tests.state.builders import at, state
from flicker_dagster_tests.state.crash_child import WINDOW, work

#: Places that the pipeline and lanes reach, and not what this floor does by itself: they are tried in `crash`.
ABOVE = ("fetch.", "deliver.", "commit.", "replay.", "lane.", "give_up.")
OURS = [name for name in failpoints.NAMES if not name.startswith(ABOVE)]
TWICE = ["spool.append.before_state", "spool.append.after_state", "spool.ack.before_journal", "spool.ack.after_journal"]


def die_at(place: str, directory: Path) -> None:
    env = {**os.environ, failpoints.VARIABLE: place}
    child = [sys.executable, "-m", "flicker_dagster_tests.state.crash_child", str(directory)]
    died = subprocess.run(child, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL, f"{place} was not reached: {died.stderr}"


@pytest.mark.parametrize("place", [*OURS, *(f"{name}:2" for name in TWICE)])
def test_after_a_crash_the_work_is_finished_without_loss_or_repetition(place: str, tmp_path: Path) -> None:
    die_at(place, tmp_path)
    work(tmp_path)
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    assert layout.registry().read() == {"okta": at(9)}
    assert layout.ledger("okta").count(WINDOW) == 6
    assert layout.dead_letters("okta").count() == 1
    unit = layout.spool("okta").unit("live")
    assert unit.waiting.lots == 0
    siem = (tmp_path / "siem").read_text().split()
    # Between the SIEM's answer and the journal's line lies the one arrow that cannot be closed: there, and only there,
    # the same batch is sent again.
    between = ("spool.ack.before_journal", "dead_letters.")
    again = place.startswith(between) or place.startswith("store.write")  # the first object written is a dead letter
    assert sorted(siem) in ((["a", "b"], ["a", "a", "b"], ["a", "b", "b"]) if again else (["a", "b"],))


def test_a_crash_behind_the_new_generation_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    die_at("spool.clear.before_unlink", tmp_path)
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    spool = layout.spool("okta")
    with spool.lock():
        unit = spool.unit("live")
        assert (tmp_path / "work/spool/okta/live/lots.0").exists()
        assert (unit.state, unit.digests(), unit.lane("").entries()) == (state(9), {}, [])
        unit.append([], state(10))
        assert sorted(p.name for p in unit.directory.iterdir()) == ["unit.json"]


def test_a_unit_whose_removal_was_interrupted_is_swept_up(tmp_path: Path) -> None:
    die_at("spool.remove.after_rename", tmp_path)
    spool = StateLayout.of(None, tmp_path / "state", tmp_path / "work").spool("okta")
    assert spool.units() == ["live"]
    with spool.lock():
        assert [p.name for p in spool.directory.iterdir() if p.name.startswith(".removed")] == []


def test_a_dead_process_holds_no_lock(tmp_path: Path) -> None:
    die_at("spool.append.before_state", tmp_path)
    with StateLayout.of(None, tmp_path / "state", tmp_path / "work").spool("okta").lock():
        pass


def test_every_failpoint_of_the_package_is_listed() -> None:
    root = Path(flicker_dagster.__file__).parent
    used = {name for path in root.rglob("*.py") for name in re.findall(r"\breach\(\"([^\"]+)\"\)", path.read_text())}
    assert used <= set(failpoints.NAMES)
    assert set(OURS) <= used


def test_failpoints_do_nothing_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_ARMED", None)
    failpoints.reach("no such place")


@pytest.mark.parametrize("text", ["no.such.place", "spool.ack.before_journal:x"])
def test_a_failpoint_that_does_not_exist_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, text)
    with pytest.raises(FlickerError, match="expected name or name:n"):
        failpoints._armed()


def test_an_unlisted_place_is_refused_while_a_test_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "_ARMED", ["fetch.after_page", 1])
    with pytest.raises(FlickerError, match="not listed"):
        failpoints.reach("fetch.somewhere")
