"""What Flicker and the Dagster beneath it write is readable by their user only."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator

log = logging.getLogger("flicker.state")

#: For every process of ours, and by inheritance for every run: files 0600, directories 0700.
UMASK = 0o077
_OTHERS = 0o077


def tighten(folder: str | os.PathLike[str]) -> None:
    """Close a folder of ours to others, with all that an earlier version left below it, and say so.

    Costs one look where the folder is closed already. It is closed first: files below it are then out of reach,
    whatever interrupts the rest. Links below it are not followed.
    """
    try:
        found = os.stat(folder)
        if not stat.S_ISDIR(found.st_mode) or not found.st_mode & _OTHERS:
            return
        os.chmod(folder, stat.S_IMODE(found.st_mode) & ~_OTHERS)
        closed = sum(_close(entry) for entry in _below(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s can be read by others, and cannot be closed to them: %s", folder, error.strerror)
        return
    log.info("%s was open to others and is closed to them now, with %d files and directories in it", folder, closed)


def _below(folder: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)


def _close(entry: os.DirEntry[str]) -> bool:
    mode = entry.stat(follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode) or not mode & _OTHERS:
        return False
    os.chmod(entry.path, stat.S_IMODE(mode) & ~_OTHERS)
    return True
