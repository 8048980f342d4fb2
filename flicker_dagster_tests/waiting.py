"""Awaiting a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Generous: the machine may be busy, and waiting ends as soon as the condition holds.
PATIENCE_S = 60.0


def until(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Return when the condition holds. Fails with the words of what was waited for."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {patience_s:g} s: {what}"
        time.sleep(0.02)
