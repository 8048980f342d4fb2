"""What vendors told last of their quotas, for `flicker status`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from flicker_dagster.cli.lags import span
from flicker_dagster.collect.account import AccountNotes
from flicker_dagster.errors import StateError
from flicker_dagster.pipeline.forecast import account_notes
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.times import rfc3339_ms

COLUMNS = ("account", "left", "limit", "filled again", "told", "state")


class QuotaStatus(msgspec.Struct, frozen=True):
    """The quota of one account at a vendor."""

    account: str
    notes: AccountNotes
    now_ms: int

    @property
    def paused_until_ms(self) -> int | None:
        """Until when nobody asks, if that lies ahead."""
        until_ms = int(max(self.notes.asked_until_ms, self.notes.reserve_until_ms))
        return until_ms if until_ms > self.now_ms else None

    def row(self) -> tuple[object, ...]:
        told, until_ms = self.notes.told, self.paused_until_ms
        state = "ok" if until_ms is None else f"nobody asks before {rfc3339_ms(until_ms)}"
        if told is None:
            return (self.account, "", "", "", "nothing yet", state)
        limit = "" if told.limit is None else f"{told.limit:g}"
        reset = "" if told.reset_ms is None else rfc3339_ms(told.reset_ms)
        return (self.account, f"{told.remaining:g}", limit, reset, f"{span(self.now_ms - told.at_ms)} ago", state)

    def as_json(self) -> dict[str, Any]:
        told, until_ms = self.notes.told, self.paused_until_ms
        return {
            "account": self.account,
            "remaining": None if told is None else told.remaining,
            "limit": None if told is None else told.limit,
            "resets_at": None if told is None or told.reset_ms is None else rfc3339_ms(told.reset_ms),
            "told_at": None if told is None else rfc3339_ms(told.at_ms),
            "paused_until": None if until_ms is None else rfc3339_ms(until_ms),
        }


def quotas_of(works: Sequence[SourceWork]) -> list[QuotaStatus]:
    """Those of all accounts of which anything is known, in their order; one read for each. Whose notes cannot be read is not
    known."""
    found: dict[str, QuotaStatus] = {}
    for work in works:
        account = work.source.vendor_key
        if account not in found:
            with suppress(StateError):
                found[account] = QuotaStatus(account, account_notes(work), work.now_ms())
    return [status for status in found.values() if status.notes.told is not None or status.paused_until_ms is not None]
