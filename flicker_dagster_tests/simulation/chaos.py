"""The simulated machine's death, and the places where it may come: every write to a disk, a store or a network."""

from __future__ import annotations


class Killed(BaseException):
    """The process is gone. Nothing in the product catches it, and until the machine starts again nothing it does counts."""


class Power:
    """Counts the I/O of one machine, and ends it where the script says so.

    `dies_at` is the number of the I/O (from now on) that is not done any more; None lets the machine live.
    """

    def __init__(self) -> None:
        self.dead = False
        self.done = 0
        self._dies_at: int | None = None

    def arm(self, dies_after: int | None) -> None:
        self._dies_at = None if dies_after is None else self.done + dies_after

    def spend(self) -> None:
        """One I/O is about to happen. Raises Killed where the machine ends first, or has ended already."""
        if self.dead:
            raise Killed
        if self._dies_at is not None and self.done >= self._dies_at:
            self.dead = True
            raise Killed
        self.done += 1

    def restart(self) -> None:
        self.dead, self._dies_at = False, None
