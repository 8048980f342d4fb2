"""Where the sockets of one Dagster instance lie: a directory that only this user can enter.

Inside the instance's root where the path is short enough for a Unix socket, else a directory with a name nobody can
guess, which the root remembers. What is there already is used only if it is a real directory, ours, and closed to others.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flicker_dagster.errors import FlickerError

NAME = "sockets"
#: In the instance's root: the path of the directory, where it does not lie in the root itself.
REMEMBERED = "sockets.at"
#: `sun_path` takes 108 bytes on Linux and 104 on macOS, the closing zero included.
MAX_PATH_BYTES = 103
#: What the longest name of a socket takes, with its slash.
NAME_BYTES = 32


class NoSocketDir(FlickerError):
    """No directory can be had in which a socket would be ours alone."""


def socket_dir(instance_root: str) -> str:
    """The directory for this instance's sockets, made if need be. Raises NoSocketDir, OSError."""
    root = os.path.realpath(instance_root)
    os.makedirs(root, exist_ok=True)
    with _only_one(root):
        inside = os.path.join(root, NAME)
        if _made(inside) and _usable(inside):
            return inside
        remembered = Path(root, REMEMBERED)
        with suppress(OSError, UnicodeDecodeError):
            kept = remembered.read_text().strip()
            if os.path.isabs(kept) and _usable(kept):
                return kept
        for base in _bases():
            with suppress(OSError):
                found = tempfile.mkdtemp(prefix="flicker-", dir=base)  # 0700
                if _usable(found):
                    _write(remembered, found)
                    return found
                os.rmdir(found)
    raise NoSocketDir(
        f"no directory for sockets: {inside} is too long, not ours, or on a disk without sockets, and so are those in "
        f"{', '.join(_bases())}; set XDG_RUNTIME_DIR or TMPDIR to a short path of your own"
    )


def forget_socket_dir(instance_root: str) -> None:
    """Remove an instance's directory for sockets if nothing is left in it."""
    root = os.path.realpath(instance_root)
    with suppress(OSError), _only_one(root):
        remembered = Path(root, REMEMBERED)
        directory = remembered.read_text().strip() if remembered.is_file() else os.path.join(root, NAME)
        if is_ours_alone(directory):
            os.rmdir(directory)
            remembered.unlink(missing_ok=True)


def is_ours_alone(path: str) -> bool:
    """Is this a real directory (no symbolic link) of this user that nobody else may enter?"""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):  # a NUL in what was remembered is no path
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _made(path: str) -> bool:
    if len(os.fsencode(path)) + NAME_BYTES > MAX_PATH_BYTES:
        return False
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _usable(path: str) -> bool:
    """Ours alone, short enough, and on a disk that takes sockets: not every mounted one does."""
    if len(os.fsencode(path)) + NAME_BYTES > MAX_PATH_BYTES or not is_ours_alone(path):
        return False
    trial = os.path.join(path, f"trial-{os.getpid()}")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.bind(trial)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            os.unlink(trial)
    return True


def _bases() -> list[str]:
    bases = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/var/tmp"]
    return list(dict.fromkeys(base for base in bases if base and os.path.isabs(base)))


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    os.replace(new, path)


@contextmanager
def _only_one(root: str) -> Iterator[None]:
    """Threads and processes that ask for the same instance's directory do so one after the other."""
    fd = os.open(os.path.join(root, f"{NAME}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
