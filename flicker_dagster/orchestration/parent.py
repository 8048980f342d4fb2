"""A process that does not outlive the one it was started for."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None)


def end_with(parent: int, signum: int = signal.SIGTERM) -> None:
    """Have the kernel send us `signum` when `parent` (a process id) dies, even by SIGKILL; end here if it has died already.

    The kernel means the thread that started us, so that must live as long as its process. Elsewhere than on Linux only
    the second half holds.
    """
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent:
        os._exit(128 + signum)
