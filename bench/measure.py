"""CPU seconds and memory of processes, from /proc; and one row of a result."""

from __future__ import annotations

import os
import resource
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Row:
    """One line of the table. `figures` are shown in order, by name; `target` is what the product wants to reach."""

    case: str
    who: str
    figures: dict[str, float | int | str] = field(default_factory=dict)
    target: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def own_cpu_s() -> float:
    """User and system seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_mb(pid: int | str = "self") -> float:
    """Most that was ever resident of a process; 0 once it is gone.

    `ru_maxrss` would not do: Linux begins it at what the parent had when it started the process.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def cpu_s(pid: int) -> float:
    """The same of another process; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and proportional set size: what several processes share counts in full in the one, in parts in the other."""
    rss_kb = pss_kb = 0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Rss":
                rss_kb = int(value.split()[0])
            elif name == "Pss":
                pss_kb = int(value.split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    return rss_kb / 1024, pss_kb / 1024


def descendants(pid: int) -> list[int]:
    """Process ids below `pid`, at any depth."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we looked
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, look = [], [pid]
    while look:
        children = parents.get(look.pop(), [])
        found += children
        look += children
    return found
