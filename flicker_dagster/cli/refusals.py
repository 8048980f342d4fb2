"""What is refused before anything starts: a second Flicker on one work directory, and a port that is taken."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from flicker_dagster.errors import StartRefused

LOCK_NAME = "flicker.lock"
_LISTENS = "0A"  # the state of a socket in /proc/net/tcp


class WorkDirLock:
    """Held for as long as a Flicker runs on a work directory; the kernel gives it back however that ends."""

    def __init__(self, work_dir: str) -> None:
        """Take it. Raises StartRefused, naming the holder."""
        path = Path(work_dir, LOCK_NAME)
        try:
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StartRefused(f"{path} cannot be opened: {error.strerror}; check the directory's owner") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(self._fd)
            self.release()
            raise StartRefused(
                f"another Flicker runs on {work_dir}: {who}; stop it first, or give this one a --work-dir of its own"
            ) from None
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        said = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, said.encode() + b"\n", 0)

    def release(self) -> None:
        """Harmless to call twice. The file stays: unlinking it would let two hold a lock of the same name."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> str:
    with suppress(ValueError, KeyError, TypeError, OSError):
        said = json.loads(os.pread(fd, 4096, 0))
        return f"process {int(said['pid'])} on {said['host']!s:.100}, since {said['since']!s:.40}"
    return "its process is unknown"


def refuse_taken_port(host: str, port: int) -> None:
    """Raises StartRefused if the web UI could not listen there. Every address that the host stands for is tried."""
    where = f"port {port} of {host}"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise StartRefused(f"--host {host}: no address can be had for it ({why})") from None
    for family, kind, protocol, _, address in dict.fromkeys(addresses):
        try:
            listener = socket.socket(family, kind, protocol)
        except OSError:  # no IPv6 here
            continue
        with listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                listener.bind(address)
                listener.listen(1)
            except OSError as error:
                raise StartRefused(f"{where} cannot be listened at: {_why(error, port)}") from None


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        who = ", ".join(sorted(set(listeners(port)))) or "a process of another user"
        return f"it is taken by {who}; name another with --port, or do without the web UI with --no-ui"
    if error.errno == errno.EACCES:
        return "this user may not; name a --port from 1024 on"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no network card of this machine has that address; correct --host"
    return f"{error.strerror}; name another --host or --port"


def listeners(port: int) -> Iterator[str]:
    """`process 12 (name)` for each process of this user that listens at a TCP port, where the system tells."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                held = (os.readlink(each.path) for each in os.scandir(f"/proc/{entry}/fd"))
                if any(each in inodes for each in held):
                    name = Path("/proc", entry, "comm").read_text("utf-8", "replace").strip()
                    yield f"process {entry} ({name})"
