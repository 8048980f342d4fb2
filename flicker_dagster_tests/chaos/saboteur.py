"""Does what the plan says, to real processes and real servers, and counts it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from flicker_dagster.orchestration.run_socket import run_servers
from flicker_dagster_tests.chaos.plan import SIEM_FAULTS, Act, Plan
from flicker_dagster_tests.chaos.siems import Siems
from flicker_dagster_tests.e2e.stack import Stack
from flicker_dagster_tests.outages.gate import Gate

#: A fault of a vendor hits this share of its requests: some walks get through, some break in the middle.
SHARE = 0.5
LATE_EVENTS = 3
#: How long to look for a run to kill: they are short.
HUNT_S = 5.0


class Saboteur:
    """A thread that carries out a plan. `kills` and `outages` count by process and by kind."""

    def __init__(self, plan: Plan, stack: Stack, gate: Gate, siems: Siems) -> None:
        self.plan, self.stack, self.gate, self.siems = plan, stack, gate, siems
        self.kills: Counter[str] = Counter()
        self.kills_s: list[float] = []  # monotonic
        self.outages: Counter[str] = Counter()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._carry_out, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop, and mend everything that is still broken."""
        self.over.set()
        self._thread.join()
        self._mend()

    def _carry_out(self) -> None:
        began_s = time.monotonic()
        endings: list[tuple[float, Act]] = []
        for act in self.plan.acts:
            while (left_s := began_s + act.at_s - time.monotonic()) > 0 and not self.over.is_set():
                for ending in [each for each in endings if each[0] <= time.monotonic()]:
                    self._undo(ending[1])
                    endings.remove(ending)
                self.over.wait(min(left_s, 0.1))
            if self.over.is_set():
                return
            self._do(act)
            if act.seconds and act.what != "late":
                endings.append((time.monotonic() + act.seconds, act))
        for at_s, act in endings:
            self.over.wait(max(0.0, at_s - time.monotonic()))
            self._undo(act)

    def _do(self, act: Act) -> None:
        world = self.stack.world
        if act.what == "kill":
            self._kill(act.target)
            return
        self.outages[f"{act.target if act.what == 'siem' else act.what} {act.kind}".strip()] += 1
        if act.what == "vendor":
            count = 1 if act.kind in ("slow", "expired") else None
            world.vendor(act.target).faults.plan(act.kind, count=count, share=SHARE, seconds=1.5, retry_after="1")
        elif act.what == "siem":
            self.siems.harm(act.target, act.kind)
        elif act.what == "s3":
            self.gate.open()  # one spell may overtake another
            self.gate.shut(".", how=act.kind)
        else:
            emitter = world.vendor(act.target).emitter
            emitter.emit(LATE_EVENTS, at_ms=emitter.now_ms() - int(act.seconds * 1000), visible_ms=emitter.now_ms())

    def _undo(self, act: Act) -> None:
        if act.what == "vendor":
            self.stack.world.vendor(act.target).faults.clear()
        elif act.what == "siem":
            self.siems.mend(act.target)
        elif act.what == "s3":
            self.gate.open()

    def _mend(self) -> None:
        self.gate.open()
        for siem in SIEM_FAULTS:
            self.siems.mend(siem)
        for vendor in self.stack.world.vendors.values():
            vendor.faults.clear()

    def _kill(self, target: str) -> None:
        deadline_s = time.monotonic() + HUNT_S
        while time.monotonic() < deadline_s and not self.over.is_set():
            pid = self._pid(target)
            if pid is not None:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:  # it was quicker
                    continue
                self.kills[target] += 1
                self.kills_s.append(time.monotonic())
                return
            self.over.wait(0.01)

    def _pid(self, target: str) -> int | None:
        if target in ("daemon", "code server"):
            process = self.stack.supervisor.child(target).process
            return None if process is None or process.poll() is not None else process.pid
        server = next(iter(run_servers(str(self.stack.supervisor.home)).values()), None)
        if server is None:
            return None
        if target == "run server":
            return server
        children = Path(f"/proc/{server}/task/{server}/children")
        try:
            found = children.read_text().split()
        except OSError:
            return None
        return int(found[-1]) if found else None
