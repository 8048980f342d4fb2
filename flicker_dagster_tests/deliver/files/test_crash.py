"""A kill or a loss of power at every write, sync and rename of a file: each event in it once, in whole lines."""

from __future__ import annotations

import gzip
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.file import FileOfLines
from flicker_dagster.deliver.files import commit_log, disk, line_file, rotation
from flicker_dagster.deliver.outcomes import Delivered, Duplicate, PerItem
from flicker_dagster.lots import Lot
from flicker_dagster_tests.deliver.contract import FakeClock, lots_of
from flicker_dagster_tests.simulation.chaos import Killed, Power
from flicker_dagster_tests.simulation.disk import SimDisk

MODULES = (commit_log, disk, line_file, rotation)
LOTS = lots_of(60, size=10)
ALL = Counter(f"e{n:06d}" for n in range(60))


class Disk(SimDisk):
    """A loss of power may also take a rename back, as long as its directory was not synced."""

    def __init__(self, io: Callable[[str, str], None]) -> None:
        super().__init__(io)
        self._renames: list[tuple[str, str, bytes | None]] = []  # from, to, and what had the name before

    def replace(self, source: Any, target: Any) -> None:
        source, target = os.fspath(source), os.fspath(target)
        before = Path(target).read_bytes() if os.path.exists(target) else None
        new_name = self._unnamed.pop(source, ()) != ()
        super().replace(source, target)
        self._unnamed.pop(target, None)
        if new_name:  # a temporary file: it may be gone altogether
            self._unnamed[target] = before
        else:
            self._renames.append((source, target, before))

    def fsync(self, fd: int) -> None:
        path = self._open[fd]
        super().fsync(fd)
        if os.path.isdir(path):
            self._renames = [each for each in self._renames if os.path.dirname(each[1]) != path]

    def lose_power(self, chance: random.Random) -> None:
        for source, target, before in reversed(self._renames):
            if chance.random() < 0.5 and os.path.exists(target) and not os.path.exists(source):
                os.rename(target, source)
                if before is not None:
                    Path(target).write_bytes(before)
                if target in self._unsynced:
                    self._unsynced[source] = self._unsynced.pop(target)
        self._renames.clear()
        super().lose_power(chance)


class Host:
    """Runs the destination process by process, each of which may die at a given step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.power = Power()
        self.disk = Disk(lambda *_: self.power.spend())
        self.waiting: list[Lot] = list(LOTS)
        self.clock = FakeClock()

    def run(self, *, dies_after: int | None) -> bool:
        """One process: sends what waits, and dies after so many steps. Did it live?"""
        config = FileDestination(type="file", path=str(self.path), rotate_bytes=6_000, gzip=True)
        self.power.arm(dies_after)
        with ExitStack() as patched:
            for module in MODULES:
                patched.enter_context(patch.object(module, "os", self.disk))
            destination = FileOfLines(config, LaneContext("okta", clock=self.clock))
            self.waiting = self.waiting or LOTS[-1:]
            try:
                while self.waiting:
                    outcome = destination.send(self.waiting[0])
                    assert isinstance(outcome, Delivered | Duplicate | PerItem), outcome
                    self.waiting.pop(0)
                destination.close()
                return True
            except Killed:
                return False
            finally:
                self.power.restart()
                if destination._file is not None:
                    destination._file.close()  # as the kernel does
                self.clock.sleep(1.0)

    def events(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for path in self.path.parent.iterdir():
            if path.name.startswith("."):
                continue
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert data == b"" or data.endswith(b"\n"), path
            found.update(msgspec.json.decode(line)["id"] for line in data.splitlines())
        return found


def steps_of_a_whole_run(directory: Path) -> int:
    host = Host(directory / "whole" / "okta.ndjson")
    assert host.run(dies_after=None)
    assert host.events() == ALL
    return host.power.done


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    return steps_of_a_whole_run(tmp_path_factory.mktemp("steps"))


def test_a_kill_at_any_step_loses_and_repeats_nothing(tmp_path: Path, steps: int) -> None:
    assert steps > 60
    for step in range(steps):
        host = Host(tmp_path / str(step) / "okta.ndjson")
        assert not host.run(dies_after=step)
        host.disk.forget()
        assert host.run(dies_after=None)
        assert host.events() == ALL, f"killed at step {step}"


def test_nor_does_one_while_the_log_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_log, "MOST_BYTES", 800)  # four entries
    longer = steps_of_a_whole_run(tmp_path)
    chance = random.Random(1)
    for step in range(0, longer, 2):
        host = Host(tmp_path / str(step) / "okta.ndjson")
        assert not host.run(dies_after=step)
        if step % 4:
            host.disk.lose_power(chance)
        assert host.run(dies_after=None)
        assert host.events() == ALL, f"killed at step {step}"


def test_nor_does_an_answer_that_is_lost_with_the_process(tmp_path: Path, steps: int) -> None:
    """The request is sent again though it may have been written: its answer never came."""
    for step in range(0, steps, 3):
        host = Host(tmp_path / str(step) / "okta.ndjson")
        host.run(dies_after=step)
        host.disk.forget()
        host.waiting = list(LOTS)
        assert host.run(dies_after=None)
        assert host.events() == ALL, f"killed at step {step}"


@pytest.mark.parametrize("seed", range(4))
def test_losses_of_power_and_kills_at_any_steps(tmp_path: Path, steps: int, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(60):
        host = Host(tmp_path / str(number) / "okta.ndjson")
        told: list[int] = []
        for _ in range(chance.randint(1, 6)):
            told.append(chance.randrange(steps // 2))
            if host.run(dies_after=told[-1]):
                host.waiting = list(LOTS)
            if chance.random() < 0.5:
                host.disk.lose_power(chance)
            if chance.random() < 0.3:  # the journal of the lane is behind by a request
                host.waiting = LOTS[max(0, len(LOTS) - len(host.waiting) - 1) :]
        assert host.run(dies_after=None)
        assert host.events() == ALL, (seed, number, told)
