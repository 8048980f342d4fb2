"""Places where a crash test kills the process. Costs one comparison of a module constant when no test is on.

`FLICKER_FAILPOINT=name` kills the process (SIGKILL, as `kill -9` or the kernel would) the first time it reaches
`name`; `FLICKER_FAILPOINT=name:3` the third time.
"""

from __future__ import annotations

import os
import signal

from flicker_dagster.errors import FlickerError

VARIABLE = "FLICKER_FAILPOINT"

#: Every place, in the order in which an event passes them. `reach` accepts no other name while a test is on.
NAMES = (
    # fetch: a page goes into the spool
    "spool.append.before_frames",
    "spool.append.before_state",  # frames are written, the resume point is not
    "spool.append.after_state",
    "spool.sync.before_state",  # frames are on the disk, unit.json does not say so yet
    "fetch.after_page",
    # deliver: a part of a lot goes to the destination
    "deliver.before_send",
    "deliver.after_send",  # the SIEM acknowledged, the journal does not know: the one arrow that cannot be closed
    "dead_letters.before_write",
    "dead_letters.after_write",
    "spool.ack.before_journal",
    "spool.ack.after_journal",
    # deliver: what only some answers lead to
    "lane.cut.before",  # it was too large; nobody knows yet that it goes in halves
    "lane.cut.after",
    "lane.whole.before",  # nobody answered; nobody knows yet that it goes whole again
    "lane.whole.after",
    "lane.between_items",  # some events of a request are settled, what the others were answered is not written down
    "lane.receipt.before",  # taken under a receipt that nobody knows: the open arrow as well
    "lane.receipt.after",
    "lane.confirmed",  # told what became of receipts, and nobody knows: some destinations tell it once
    "lane.expiry.before",
    "lane.expiry.after",
    "lane.health.before_write",
    "lane.health.after_write",
    "lane.ended",  # one lane; others may be at work
    "give_up.before_journal",  # what an optional lane is not to get any more
    "give_up.after_journal",
    # commit: all acknowledged
    "commit.before_ledger",
    "ledger.before_write",
    "ledger.after_write",
    "commit.after_ledger",
    "registry.before_write",
    "registry.after_write",
    "commit.after_registry",
    "spool.clear.before_state",
    "spool.clear.before_unlink",  # the new generation counts, the old one's files still lie there
    "spool.clear.after_unlink",
    "spool.remove.before_rename",
    "spool.remove.after_rename",
    "commit.after_clear",
    # replay: dead letters were sent again
    "replay.before_ledger",
    "replay.after_ledger",
    "replay.before_drop",
    "replay.after_drop",
    # an object of the store is written
    "store.write.before",
    "store.write.after",
)


def _armed() -> list | None:
    """`[name, passes left]` as the environment asks, or None."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    name, _, times = text.partition(":")
    if name not in NAMES or not (times or "1").isdigit():
        raise FlickerError(f"{VARIABLE}={text}: expected name or name:n, name one of failpoints.NAMES")
    return [name, int(times or "1")]


_ARMED = _armed()


def reach(name: str) -> None:
    """Die here if the environment asked for it. Raises FlickerError for an unlisted name while a test is on."""
    if _ARMED is None:
        return
    if name not in NAMES:
        raise FlickerError(f"{name} is not listed in flicker_dagster.failpoints.NAMES")
    if name == _ARMED[0]:
        _ARMED[1] -= 1
        if _ARMED[1] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
