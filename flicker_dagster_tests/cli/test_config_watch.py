"""A change of the file is seen once it has been left alone, however it was written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flicker_dagster.cli import config_watch
from flicker_dagster.cli.children import Child
from flicker_dagster.cli.config_watch import ConfigWatch, Verdict
from flicker_dagster_tests.waiting import until

#: Stands for the check: is `good` in the file?
CHECK = "import os; raise SystemExit(0 if 'good' in open(os.environ['WATCHED']).read() else 2)"


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.watch = ConfigWatch(str(path))

    def look(self) -> Verdict | None:
        return self.watch.look(env=os.environ | {"WATCHED": str(self.path)}, cwd=self.path.parent)

    def verdict(self) -> Verdict:
        found: list[Verdict] = []

        def told() -> bool:
            verdict = self.look()
            if verdict is not None:
                found.append(verdict)
            return bool(found)

        until(told, "a verdict on the change")
        return found[0]

    def assert_quiet(self) -> None:
        for _ in range(3):
            assert self.look() is None
        assert self.watch._checking is None


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(config_watch, "QUIET_S", 0.0)
    monkeypatch.setattr(config_watch, "GONE_S", 0.0)

    def cheap(name: str, _command: list[str]) -> Child:
        return Child(name, [sys.executable, "-S", "-c", CHECK])

    monkeypatch.setattr(config_watch, "Child", cheap)
    path = tmp_path / "config.yaml"
    path.write_text("good")
    return Watched(path)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def replaced(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    os.replace(new, path)


@pytest.mark.parametrize("write", [in_place, replaced])
def test_each_change_has_one_verdict(watched: Watched, write: Callable[[Path, str], None]) -> None:
    watched.assert_quiet()
    write(watched.path, "good, and more")
    assert watched.verdict() == "valid"
    watched.assert_quiet()
    write(watched.path, "not so")
    assert watched.verdict() == "fault"
    watched.assert_quiet()
    write(watched.path, "good")
    assert watched.verdict() == "valid"


def test_a_link_to_another_directory_is_followed_as_kubernetes_swaps_it(watched: Watched, tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text(f"good {version}")
    data = tmp_path / "..data"
    data.symlink_to("1")
    link = tmp_path / "mounted.yaml"
    link.symlink_to("..data/config.yaml")
    mounted = Watched(link)
    mounted.assert_quiet()
    (tmp_path / "..new").symlink_to("2")
    os.replace(tmp_path / "..new", data)
    assert mounted.verdict() == "valid"


def test_a_file_that_is_gone_is_a_fault_and_comes_back(watched: Watched) -> None:
    watched.path.unlink()
    assert watched.verdict() == "fault"
    watched.assert_quiet()
    watched.path.write_text("good")
    assert watched.verdict() == "valid"


def test_a_file_that_is_still_being_written_is_left_alone(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_watch, "QUIET_S", 3600.0)
    watched.path.write_text("half of")
    watched.assert_quiet()


def test_a_change_during_the_check_is_checked_as_well(watched: Watched) -> None:
    watched.path.write_text("not so")
    watched.look()
    watched.path.write_text("good after all")
    watched.verdict()
    assert watched.verdict() == "valid"
