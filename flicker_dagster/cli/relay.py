"""What the children print: Flicker's own lines always, Dagster's only when something is wrong or when asked for."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading

from flicker_dagster.orchestration.logs import level

#: A line of `orchestration.logs`: time, level, message.
OWN_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (DEBUG|INFO|WARNING|ERROR|CRITICAL)")
TROUBLE = re.compile(r"ERROR|CRITICAL|Traceback|Error:")


def relay_output(name: str, process: subprocess.Popen[bytes]) -> threading.Thread:
    """Copy a child's output to our standard error, line by line, until it ends."""
    thread = threading.Thread(target=_relay, args=(name, process), name=f"output of {name}", daemon=True)
    thread.start()
    return thread


def _relay(name: str, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    everything = level() <= logging.DEBUG
    in_trouble = False
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if OWN_LINE.match(line):
            in_trouble = False
            print(line, file=sys.stderr, flush=True)
        elif everything or TROUBLE.search(line) or (in_trouble and line.startswith((" ", "\t"))):
            in_trouble = True
            print(f"{name}: {line}", file=sys.stderr, flush=True)
        else:
            in_trouble = False
