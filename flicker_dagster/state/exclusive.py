"""The one place where a run becomes the only one of its stream: the spool's lock against this machine's others, the lease
(on a local state a lock beside it) against those of other machines and work directories."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from flicker_dagster.state import leases
from flicker_dagster.state.fencing import Fence
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.leases import FOLDER, Lease, since_boot_s
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.run_lock import run_lock
from flicker_dagster.state.spool import SourceSpool
from flicker_dagster.state.stores import LocalStore


class Clocks(NamedTuple):
    """`now` gives seconds since the epoch, `elapsed` those of a clock that nobody sets, `sleep` waits."""

    now: Callable[[], float] = time.time
    elapsed: Callable[[], float] = since_boot_s
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def exclusive_run(
    layout: StateLayout,
    spool: SourceSpool,
    *,
    fence: Fence,
    wait_s: float = 0,
    clocks: Clocks | None = None,
) -> Iterator[Lease | None]:
    """Be the only run of a stream, wherever others may be; yields the lease, None where the state is local.

    `layout` is the one without a fence. What `fence` guards can be written only for as long as the lease is held. Raises
    SourceBusy, in words that say who is at work, where that takes longer than `wait_s`; StateError.
    """
    clocks = clocks or Clocks()
    with spool.lock(wait_s=wait_s) as lock:
        store = layout.store
        if isinstance(store, LocalStore):
            path = store.root / FOLDER / f".{file_safe(spool.source)}"
            with run_lock(path, spool.source, wait_s=wait_s, clock_s=clocks.now()):
                yield None
            return
        lease = Lease(store, spool.source, lock=lock, clock=clocks.now, elapsed=clocks.elapsed, sleep=clocks.sleep)
        lease.take(wait_s=wait_s)
        renewal = leases.Renewal(lease, spool.source)
        try:
            with fence.behind(lease):
                yield lease
        finally:
            renewal.end()
            lease.give_back()
