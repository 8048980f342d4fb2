"""One run at a time for a stream, on whatever machine: a lease, one object of a remote state store.

Taking, renewing and giving back are conditional writes, so of two that try at once one succeeds. A holder that is not heard
of loses it. No two clocks are compared for that: whoever waits measures by its own how long the object has not changed, and
the holder trusts its lease a little shorter than that, by its own clock, from before it wrote.

It costs one read and one write to take, one write to give back, and one write every 20 seconds in between.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

import msgspec

from flicker_dagster.errors import LeaseLost, SourceBusy, StateError, StoreAway, WriteConflict
from flicker_dagster.readers import reader
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.run_lock import utc
from flicker_dagster.state.stores import Store

log = logging.getLogger("flicker.state")

FOLDER = "leases/"

#: A lease that was not renewed for so long belongs to nobody any more.
TTL_S = 60.0
#: Its holder renews it so often, and sooner where that failed.
RENEWED_EVERY_S = 20.0
RENEWED_AGAIN_S = 5.0
#: So long after the last renewal began the holder is sure of it: clocks may run a sixth too slow or too fast.
TRUSTED_S = 50.0
#: How often whoever waits looks.
LOOKS_EVERY_S = 1.0

#: A renewal whose answer got lost makes the next one fail once.
_TRIES = 4


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lease as it is written down. `fence` grows with every taking; `lock` is the spool's lock that the holder holds
    (`run_lock.identity`); times are the holder's, for people. Without `until_ms` it was given back."""

    fence: int
    id: str
    host: str
    process: int
    since_ms: int
    until_ms: int | None = None
    lock: str | None = None
    version: int = 1

    def words(self) -> str:
        until = "" if self.until_ms is None else f", until {utc(self.until_ms / 1000)} unless it is renewed"
        return f"process {self.process} on {self.host}, since {utc(self.since_ms / 1000)}{until}"


_read_holder = reader(Holder)


def lease_key(stream: str) -> str:
    return f"{FOLDER}{file_safe(stream)}"


def since_boot_s() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Lease:
    """One taking of a stream's lease, from `take` to `give_back`. Thread-safe after `take`.

    `lock` identifies the spool's lock that the caller holds; `clock` gives seconds since the epoch (shown to people),
    `elapsed` seconds by a clock that nobody sets, `sleep` waits.
    """

    def __init__(
        self,
        store: Store,
        stream: str,
        *,
        lock: str | None = None,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = since_boot_s,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._key = lease_key(stream)
        self._stream = stream
        self._lock = lock
        self._clock, self._elapsed, self._sleep = clock, elapsed, sleep
        self._mutex = threading.Lock()
        self._mine: Holder | None = None
        self._version: str | None = None
        self._trusted_until_s = 0.0
        self.lost: str | None = None  # why, once it is

    @property
    def fence(self) -> int:
        """The number of this taking: larger than that of every earlier one."""
        assert self._mine is not None
        return self._mine.fence

    def take(self, *, wait_s: float = 0) -> None:
        """Become the holder. Raises SourceBusy where a living one keeps it for longer than `wait_s`, and StateError.

        One that is not heard of is waited out, in all at most `wait_s` and the TTL. Without a wait it counts as living
        until the time that it wrote down, where that makes sense by this machine's clock.
        """
        began_s = self._elapsed()
        seen, seen_s, changes, told = None, began_s, 0, False
        while True:
            held, version = self._load()
            now_s = self._elapsed()
            if changes == 0 or version != seen:
                seen, seen_s, changes = version, now_s, changes + 1
            if self._is_free(held) or now_s - seen_s >= TTL_S:
                if self._written(held, version):
                    return
                continue
            assert held is not None
            if now_s - began_s >= wait_s and (changes > 1 or (wait_s <= 0 and self._may_live(held))):
                raise SourceBusy(
                    f"{self._stream}: another run is at work ({held.words()}; lease "
                    f"{self._store.describe(self._key)}); this one goes on when it has finished"
                )
            if not told:
                log.info("%s: waits for another run (%s)", self._stream, held.words())
                told = True
            self._sleep(LOOKS_EVERY_S)

    def assure(self) -> None:
        """Be sure to hold it now. Costs nothing for as long as the last renewal is trusted.

        Raises LeaseLost where another run has taken it, StateError where the store cannot be asked and the lease is too
        old to be sure of.
        """
        if self.lost is None and self._elapsed() < self._trusted_until_s:
            return
        with self._mutex:
            for _ in range(_TRIES):  # an answer may take longer than what it says is worth
                if self.lost is not None:
                    raise LeaseLost(self.lost)
                if self._elapsed() < self._trusted_until_s:
                    return
                self._renew()
            if self.lost is not None:
                raise LeaseLost(self.lost)
            if self._elapsed() >= self._trusted_until_s:
                raise StoreAway(
                    f"{self._store.describe(self._key)}: the store takes longer than {TRUSTED_S:.0f} s to answer; nothing is "
                    "written that long after this run was sure to be the only one"
                )

    def renew(self) -> None:
        """Hold it for longer. Raises LeaseLost, StateError."""
        with self._mutex:
            if self.lost is None:
                self._renew()
            if self.lost is not None:
                raise LeaseLost(self.lost)

    def give_back(self) -> None:
        """Let the next one begin at once. What cannot be written ends by itself, after the TTL."""
        with self._mutex:
            if self.lost is not None:
                return
            try:
                self._put(None)
            except StateError as error:
                log.warning("%s: %s; its lease ends by itself in %.0f s", self._stream, error, TTL_S)
            self.lost = self.lost or f"{self._stream}: its lease was given back"

    def remove(self) -> None:
        """Give it back for good: the stream is known no more. Raises LeaseLost, StateError."""
        self.assure()
        with self._mutex:
            self._store.delete(self._key)
            self.lost = f"{self._stream}: its lease was removed"

    # -- inside

    def _is_free(self, held: Holder | None) -> bool:
        """Was it given back, or can its holder be no more? Who holds a lock knows that nobody else does."""
        return held is None or held.until_ms is None or (self._lock is not None and held.lock == self._lock)

    def _may_live(self, held: Holder) -> bool:
        """By the clocks of two machines: a hint, that only saves waiting."""
        left_s = (held.until_ms or 0) / 1000 - self._clock()
        return 0 < left_s <= TTL_S

    def _written(self, held: Holder | None, version: str | None) -> bool:
        """Take it from `held`; False where another was faster."""
        now_ms = int(self._clock() * 1000)
        mine = Holder(
            fence=1 if held is None else held.fence + 1,
            id=uuid.uuid4().hex,
            host=socket.gethostname(),
            process=os.getpid(),
            since_ms=now_ms,
            until_ms=now_ms + int(TTL_S * 1000),
            lock=self._lock,
        )
        began_s = self._elapsed()
        try:
            found = self._store.write(self._key, msgspec.json.encode(mine), expected=version)
        except WriteConflict:  # the SDK may have written it and asked again
            there, found = self._load()
            if there != mine or found is None:
                return False
        if held is not None and not self._is_free(held):
            log.warning(
                "%s: the run of %s was not heard of for %.0f s; this one goes on", self._stream, held.words(), TTL_S
            )
        self._mine, self._version = mine, found
        self._trusted_until_s = began_s + TRUSTED_S
        return True

    def _renew(self) -> None:
        began_s = self._elapsed()
        self._put(int((self._clock() + TTL_S) * 1000))
        if self.lost is None:
            self._trusted_until_s = began_s + TRUSTED_S

    def _put(self, until_ms: int | None) -> None:
        """Write it anew, or find that it is lost. Raises StateError."""
        assert self._mine is not None
        mine = msgspec.structs.replace(self._mine, until_ms=until_ms)
        for _ in range(_TRIES):
            try:
                self._version = self._store.write(self._key, msgspec.json.encode(mine), expected=self._version)
            except WriteConflict:
                there, version = self._load()
                if there == mine and version is not None:
                    self._version = version
                elif there is not None and there.id == mine.id:
                    self._version = version
                    continue
                else:
                    by = "somebody removed it" if there is None else f"it went to {there.words()}"
                    self.lost = (
                        f"{self._stream}: this run was not heard of for too long and lost its lease: {by}. It ends here and "
                        "writes nothing more; what it has not written down is done by the next one"
                    )
                    return
            self._mine = mine
            return
        raise WriteConflict(f"{self._store.describe(self._key)} changes faster than it can be written")

    def _load(self) -> tuple[Holder | None, str | None]:
        """Who holds it. What cannot be read is held by somebody unknown, who is waited out."""
        stored = self._store.read(self._key)
        if stored is None:
            return None, None
        try:
            found = _read_holder(stored.data)
        except msgspec.DecodeError:
            found = Holder(fence=0, id="", host="an unknown machine", process=0, since_ms=0, until_ms=0)
        if found.version != 1:
            raise StateError(
                f"{self._store.describe(self._key)} has version {found.version}, written by a newer Flicker; 1 is the newest "
                "known here"
            )
        return found, stored.version


class Renewal:
    """The thread that renews a lease until it is told to end."""

    def __init__(self, lease: Lease, stream: str) -> None:
        self._lease = lease
        self._stream = stream
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease_{stream}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Returns once no renewal is under way."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        wait_s = RENEWED_EVERY_S
        while not self._ended.wait(wait_s):
            try:
                self._lease.renew()
                wait_s = RENEWED_EVERY_S
            except LeaseLost as error:
                log.warning("%s", error)
                return
            except StateError as error:
                log.warning("%s; its lease is renewed again in %.0f s", error.one_line(self._stream), RENEWED_AGAIN_S)
                wait_s = RENEWED_AGAIN_S
