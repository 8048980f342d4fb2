"""Which files others on the machine could open."""

from __future__ import annotations

import stat
from pathlib import Path


def open_to_others(folder: Path) -> list[str]:
    """Everything below a folder, and the folder itself, that its group or others may read, write or enter."""
    everything = [folder, *folder.rglob("*")]
    return [f"{path} {path.lstat().st_mode:o}" for path in everything if _is_open(path.lstat().st_mode)]


def _is_open(mode: int) -> bool:
    return not stat.S_ISLNK(mode) and bool(mode & 0o077)
