"""The commands a newcomer types."""

from __future__ import annotations

import shutil
from pathlib import Path

from flicker_dagster_tests.deploy.builders import ROOT, run


def a_checkout(folder: Path, *, set_up: bool) -> Path:
    """The Makefile and what its set-up depends on, alone in a folder."""
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, folder)
    if set_up:
        (folder / ".venv").mkdir()
        (folder / ".venv" / ".set-up").touch()
    return folder


def test_a_demo_can_be_given_a_duration_and_vendors(tmp_path: Path) -> None:
    folder = a_checkout(tmp_path, set_up=True)
    assert run("make", "-n", "demo", "DURATION=60", cwd=folder).stdout.split() == [
        ".venv/bin/flicker",
        "demo",
        "--duration",
        "60",
    ]
    assert run("make", "-n", "demo", cwd=folder).stdout.split() == [".venv/bin/flicker", "demo"]
    chosen = run("make", "-n", "demo", "VENDORS=okta,zoom", cwd=folder).stdout.split()
    assert chosen == [".venv/bin/flicker", "demo", "--vendor", "okta,zoom"]


def test_set_up_does_nothing_when_nothing_has_changed(tmp_path: Path) -> None:
    folder = a_checkout(tmp_path, set_up=True)
    assert "Nothing to be done" in run("make", "setup", cwd=folder).stdout


def test_an_old_python_is_refused_with_the_way_out(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18\nexit 1\n')
    old.chmod(0o755)
    made = run("make", "setup", f"PYTHON={old}", cwd=a_checkout(tmp_path, set_up=False))
    assert made.returncode != 0
    assert "Python 3.9.18" in made.stderr
    assert "make PYTHON=python3.12" in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_alone_tells_what_there_is() -> None:
    listed = run("make").stdout
    for target in ("setup", "test", "demo", "lint", "types"):
        assert f"make {target}" in listed
