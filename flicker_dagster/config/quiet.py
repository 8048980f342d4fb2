"""Silence of libraries that log what they send and receive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _NotOurs(logging.Filter):
    """Lets pass what others do with urllib3 in the same process: their log lines are theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get()


_ours: ContextVar[bool] = ContextVar("flicker_exchange", default=False)
_not_ours = _NotOurs()


#: urllib3 writes whole request lines to its debug log and whole URLs to its warnings.
_TELLTALES = tuple(map(logging.getLogger, ("urllib3.connectionpool", "urllib3.connection", "urllib3.response")))


@contextmanager
def unlogged(*loggers: str) -> Iterator[None]:
    """Libraries that log what they send, secrets included, know no masks: urllib3's and the named loggers are silent about
    what this thread does meanwhile. What goes wrong in an exchange of ours is said by our own errors, masked."""
    for logger in (*_TELLTALES, *map(logging.getLogger, loggers)):
        logger.addFilter(_not_ours)
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)
