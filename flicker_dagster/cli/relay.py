"""What the children print: Flicker's own lines always, Dagster's only what they do not say, and all of it at debug.

Dagster logs a failed run several times over and an outage with a stack for each source. Our own line has told the
cause of a run or tick already; what remains is a defect, which keeps its stack, or an outage, which is one line.
"""

from __future__ import annotations

import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from flicker_dagster.orchestration.logs import level
from flicker_dagster.printable import visible

#: The logger of what a run records; everything else of Dagster's has a longer name.
RUNS = "dagster"
#: A line of `orchestration.logs`: time, level, message.
OWN_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (DEBUG|INFO|WARNING|ERROR|CRITICAL)")
#: The first line of a record of Dagster's: time, logger, level, message.
RECORD = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} - (?P<logger>[\w.-]+) - (?P<level>[A-Z]+) - (?P<said>.*)"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

TROUBLE = re.compile(r"ERROR|CRITICAL|Traceback|Error:|Fatal")
STACK = re.compile(r"^(Traceback \(most recent call last\):|Stack Trace:)$", re.MULTILINE)
CRASH = re.compile(r"^(Traceback \(most recent call last\):|Fatal Python error)", re.MULTILINE)

#: The line of a stack that names an error, where the name's last word is one of an error.
RAISED = re.compile(r"^(?:\w+\.)*(?P<name>\w+)(?:: (?P<said>.*))?$", re.MULTILINE)
ERRORS = ("Error", "Exception", "Failure", "Interrupt", "Exit")
#: Errors that no change of our code would prevent: something is away, busy or full.
OUTAGE = re.compile(
    r"(DagsterUserCodeUnreachable|DagsterUserCodeUnreachableTimeout|DagsterCodeLocationNotFound|DagsterCodeLocationLoad"
    r"|Operational|_InactiveRpc|Connection|ConnectionRefused|ConnectionReset|ConnectionAborted|BrokenPipe|Timeout)Error"
)
FULL = re.compile(r"\[Errno (28|122|5)\]")  # no space, quota, input/output

#: A run that somebody ended outside of its steps: no defect, and nothing lost by it.
INTERRUPTED = re.compile(r"(DagsterExecutionInterruptedError|KeyboardInterrupt)")

#: The end of a run whose steps failed.
STEPS_FAILED = re.compile(r" - RUN_FAILURE - .* Steps failed: ")
#: Raised in the daemon for what a tick raised in the code server, which has told it there.
TOLD = re.compile(r"^[\w.]*DagsterUserCodeProcessError: ", re.MULTILINE)
#: A tick of what an edited configuration no longer has, before the daemon has seen that: the last one it had.
REMOVED = re.compile(r"DagsterInvariantViolationError: Could not find (sensor|schedule) '[^']*'\. Found:")

IDLE_S = 0.1
MOST_LINES = 500
CHUNK_BYTES = 65_536

#: An outage is told again after so long, not with every tick of every source.
REMIND_S = 60.0


def relay_output(name: str, process: subprocess.Popen[bytes]) -> threading.Thread:
    """Copy a child's output to our standard error until it ends."""
    thread = threading.Thread(target=_relay, args=(name, process), name=f"output of {name}", daemon=True)
    thread.start()
    return thread


def _relay(name: str, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    everything = level() <= logging.DEBUG
    reminders = Reminders()
    for block in blocks(process.stdout.fileno()):
        told = Told(block) if everything else worth_telling(block)
        if told.outage is None or reminders.due(told.outage.split(":")[0]):  # it names each tick in its words
            for line in told.lines:
                shown = "\t".join(map(visible, line.split("\t")))
                print(shown if OWN_LINE.match(line) else f"{name}: {shown}", file=sys.stderr, flush=True)


def blocks(descriptor: int) -> Iterator[list[str]]:
    """A record with the lines that belong to it, as soon as the next one begins or nothing more comes."""
    block: list[str] = []
    rest = b""
    ended = False
    while not ended:
        ready, _, _ = select.select([descriptor], [], [], IDLE_S if block else None)
        chunk = os.read(descriptor, CHUNK_BYTES) if ready else b""
        ended = bool(ready) and not chunk
        *lines, rest = (rest + chunk + (b"\n" if ended and rest + chunk else b"")).split(b"\n")
        for raw in lines:
            line = COLOUR.sub("", raw.decode("utf-8", "replace")).rstrip("\r")
            if block and (OWN_LINE.match(line) or RECORD.match(line) or len(block) >= MOST_LINES):
                yield block
                block = []
            block.append(line)
        if block and (not ready or ended):
            yield block
            block = []


class Told(NamedTuple):
    lines: list[str]
    outage: str | None = None  # what is away, busy or full, where that is all there is to say


def worth_telling(block: list[str]) -> Told:
    """What of a record an operator should see: nothing where our own line says it, one line of an outage."""
    head, *rest = block
    after = "\n".join(rest)
    if OWN_LINE.match(head):
        return Told(block if STACK.search(after) else [head])
    record = RECORD.match(head)
    if record is None:
        return _crash(block) if TROUBLE.search("\n".join(block)) else Told([])
    if record["level"] not in ("ERROR", "CRITICAL"):
        return _crash(rest) if CRASH.search(after) else Told([])  # of another process, written in between
    if record["logger"] == RUNS and STEPS_FAILED.search(head):
        return Told([])  # each of the steps has told why
    if not STACK.search(after):
        return Told([] if record["logger"] == RUNS else [record["said"]])
    if TOLD.search(after) and ("\nStack Trace:" not in after or REMOVED.search(after)):
        return Told([])
    raised = _raised(after)
    if raised and all(INTERRUPTED.fullmatch(each["name"]) for each in raised):
        return Told([record["said"]])
    outage = _outage(after)
    return Told(block) if outage is None else Told([f"{record['said']}: {outage}"], outage)


def _crash(block: list[str]) -> Told:
    outage = _outage("\n".join(block))
    return Told([line for line in block if line]) if outage is None else Told([outage], outage)


def _outage(text: str) -> str | None:
    """The last error of a stack, if every error in it is one of an outage."""
    raised = _raised(text)
    if not raised or not all(OUTAGE.fullmatch(each["name"]) or FULL.match(each["said"] or "") for each in raised):
        return None
    return f"{raised[-1]['name']}: {raised[-1]['said'] or ''}".rstrip(": ")


def _raised(text: str) -> list[re.Match[str]]:
    """The lines of a stack that name an error."""
    return [found for found in RAISED.finditer(text) if found["name"].endswith(ERRORS)]


class Reminders:
    """Each kind of outage once a minute, whatever source's tick it is told for."""

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}

    def due(self, outage: str) -> bool:
        now_s = time.monotonic()
        self._told_s = {told: at_s for told, at_s in self._told_s.items() if now_s - at_s < REMIND_S}
        return self._told_s.setdefault(outage, now_s) == now_s
