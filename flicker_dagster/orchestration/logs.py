"""Flicker's own log lines on standard error, where `docker logs` and `kubectl logs` find them."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from flicker_dagster.printable import visible

LEVEL_VAR = "FLICKER_LOG"
ROOT = "flicker"
FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class OneLine(logging.Formatter):
    """A message is one line whatever stands in it, and no line of a stack can be taken for a message."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = visible(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    """Line by line: the first as it is, by which a stack is known."""
    first, *lines = text.split("\n")
    return "\n".join([visible(first), *(f"  {visible(line)}" for line in lines)])


def log_to_console() -> None:
    """Attach one handler to the `flicker` logger; calling it again changes nothing. `FLICKER_LOG=debug` says more."""
    logger = logging.getLogger(ROOT)
    logger.setLevel(level())
    for handler in logger.handlers:
        if getattr(handler, "flicker_console", False):
            handler.setLevel(level())
            return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S%z"))
    handler.setLevel(level())  # in a run Dagster sets the logger's own, for the run's page
    handler.flicker_console = True  # type: ignore[attr-defined]
    logger.addHandler(handler)
    logger.propagate = False


def level() -> int:
    """The level that FLICKER_LOG asks for; RUST_LOG is read too, for command lines of the original Flicker."""
    asked = (os.environ.get(LEVEL_VAR) or os.environ.get("RUST_LOG") or "info").split(",")[0].upper()
    return {"TRACE": logging.DEBUG}.get(asked, getattr(logging, asked, logging.INFO))
