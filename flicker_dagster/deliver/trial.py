"""One marked event, sent to see whether a destination takes it, and what it answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from flicker_dagster.config.destination_answers import NOT_ACKNOWLEDGED
from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.lane import ASK_EVERY_S
from flicker_dagster.deliver.outcomes import Delivered, Duplicate, Outcome, PerItem, Receipt
from flicker_dagster.lots import Lot
from flicker_dagster.times import rfc3339_ms

DIGEST_BYTES = 16

NEVER_SENT, UNACKNOWLEDGED = "never_sent", "unacknowledged"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What came of it: `kind` is the outcome's name in lower case, `never_sent` or `unacknowledged`; `said` are the
    destination's words, masked."""

    taken: bool
    kind: str
    said: str


def new_mark() -> str:
    """What tells a test event from any other."""
    return f"flicker-test-{uuid.uuid4()}"


def marked_event(mark: str, *, source: str, destination: str, now_ms: int) -> Lot:
    """A lot of one audit event that says of itself that it is a test."""
    event = {
        "flicker_test": True,
        "id": mark,
        "time": rfc3339_ms(now_ms),
        "eventType": "flicker.test",
        "message": "A test of Flicker's way to this destination. Nothing has happened.",
        "source": source,
        "destination": destination,
    }
    digest = blake2b(mark.encode(), digest_size=DIGEST_BYTES).digest()
    return Lot.of([msgspec.json.encode(event)], digests=[digest], times_ms=[now_ms], source=source, collected_ms=now_ms)


def attempt(
    destination: Destination,
    lot: Lot,
    *,
    wait_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Tell,
) -> Verdict:
    """Send one event once, and wait up to `wait_s` for its acknowledgement where there is one. Raises SecretUnset,
    DestinationBlocked."""
    unfit = destination.unfit(lot)
    if unfit:
        return Verdict(False, NEVER_SENT, f"never sent: {unfit[0]}")
    answer = destination.send(lot)
    if isinstance(answer, Receipt):
        return _acknowledged(destination, answer, wait_s=wait_s, clock=clock, sleep=sleep, tell=tell)
    return _verdict(answer)


def _acknowledged(
    destination: Destination,
    receipt: Receipt,
    *,
    wait_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    tell: Tell,
) -> Verdict:
    status = receipt.status or "taken"
    tell(f"{status}; waiting up to {wait_s:g} s for the acknowledgement")
    began_s, pause_s = clock(), min(receipt.ask_after_s, wait_s)
    while True:
        sleep(pause_s)
        outcome = destination.confirm([receipt]).get(receipt.token)
        if outcome is not None:
            return _verdict(outcome)
        pause_s = min(ASK_EVERY_S, began_s + wait_s - clock())
        if pause_s <= 0:
            return Verdict(False, UNACKNOWLEDGED, f"{status}: {NOT_ACKNOWLEDGED} within {wait_s:g} s")


def _verdict(outcome: Outcome) -> Verdict:
    if isinstance(outcome, PerItem):
        return _verdict(outcome.items[0])
    kind = type(outcome).__name__.lower()
    if isinstance(outcome, Delivered | Duplicate):
        return Verdict(True, kind, outcome.status)
    return Verdict(False, kind, outcome.why)
