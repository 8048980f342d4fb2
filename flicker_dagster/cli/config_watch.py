"""Has the configuration's file changed? Asked several times a second, so it only looks at the file's state, not into it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from flicker_dagster.cli.children import Child

#: An editor writes in several steps, or puts a new file in the place of the old one: the file is judged once it has been
#: left alone for so long. One that is gone is given longer.
QUIET_S, GONE_S = 0.4, 2.0

Verdict = Literal["valid", "fault"]


class ConfigWatch:
    """Finds that the file has changed, and has it checked in a process of its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._judged = self._seen = _state_of(path)
        self._seen_s = 0.0
        self._checking: Child | None = None

    def look(self, *, env: Mapping[str, str], cwd: Path) -> Verdict | None:
        """The verdict on a change, once for each; None while there is nothing to tell."""
        now_s = time.monotonic()
        state = _state_of(self.path)
        if state != self._seen:
            self._seen, self._seen_s = state, now_s
        if self._checking is not None:
            if self._checking.runs:
                return None
            code = self._checking.process.returncode if self._checking.process is not None else None
            self._checking = None
            return "valid" if code == 0 else "fault"
        if state != self._judged and now_s - self._seen_s >= (QUIET_S if state else GONE_S):
            self._judged = state
            command = [sys.executable, "-W", "ignore", "-m", "flicker_dagster.cli.check_config"]
            self._checking = Child("configuration", command)
            self._checking.spawn(env=env, cwd=cwd)
        return None

    def stop(self) -> None:
        if self._checking is not None:
            self._checking.kill()
            self._checking = None


def _state_of(path: str) -> tuple[int, ...]:
    """What differs when a file was written or replaced, a link's target included; empty where there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
