"""Work of ticks, bounded in time and number: whoever hangs costs nobody else a thread of the code server for long.

Dagster gives a tick up after 60 s and leaves its thread behind. Here each tick's work has a thread of its own, and the
tick goes on without it when its time is over: a store that does not answer costs a skip that says so.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Well within half of the time that Dagster gives a tick.
TICK_S = 25.0
#: Threads that may still be at work for ticks that are over. More than the daemon asks for at the same time.
MOST = 16


class NotDone(Exception):
    """The work is not done; the message says why, for the tick's reason to skip."""


class Bounded:
    """Runs work in threads: at most `most` at a time, at most one for each key, each waited for at most `wait_s`."""

    def __init__(self, *, most: int = MOST, wait_s: float = TICK_S) -> None:
        self._most, self._wait_s = most, wait_s
        self._at_work: set[str] = set()
        self._lock = threading.Lock()

    def call(self, key: str, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises NotDone where it takes too long, or earlier work still does."""
        with self._lock:
            if key in self._at_work:
                raise NotDone("an earlier tick of it still waits for state or vendor")
            if len(self._at_work) >= self._most:
                raise NotDone(f"{len(self._at_work)} ticks of other sources still wait for state or vendor")
            self._at_work.add(key)
        task = _Task(work, lambda: self._done(key))
        task.start()
        if not task.ended.wait(self._wait_s):
            raise NotDone(f"state or vendor did not answer within {self._wait_s:g} s")
        if task.error is not None:
            raise task.error
        return task.result  # type: ignore[return-value]

    def _done(self, key: str) -> None:
        with self._lock:
            self._at_work.discard(key)


class _Task(Generic[T]):
    def __init__(self, work: Callable[[], T], done: Callable[[], None]) -> None:
        self.result: T | None = None
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self._work, self._done, self._context = work, done, contextvars.copy_context()

    def start(self) -> None:
        threading.Thread(target=self._run, name="tick", daemon=True).start()

    def _run(self) -> Any:
        try:
            self.result = self._context.run(self._work)
        except BaseException as error:
            self.error = error
        finally:
            self._done()
            self.ended.set()


#: Of this process: a code server has one lot of threads, however many sources it serves.
ticks = Bounded()
