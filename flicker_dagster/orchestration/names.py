"""Names that Dagster shows and that its tags carry, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the supervisor reads names, and stays small
    from flicker_dagster.config.models import SourceConfig

LOCATION = "flicker"
GROUP = "audit_logs"

SOURCE_TAG = "flicker/source"
MODE_TAG = "flicker/mode"
REQUEST_TAG = "flicker/request"  # ties a live run to the sensor cursor that asked for it
REDELIVER_TAG = "flicker/redeliver"
ERROR_TAG = "flicker/error"
RESUME_TAG = "flicker/resume_at"
PAUSE_TAG = "flicker/paused"  # why a run that succeeded asks for a pause
PRIORITY_TAG = "dagster/priority"
PARTITION_TAG = "dagster/partition"

#: Where a start without --track keeps what it forgets in the end.
UNTRACKED = "untracked-"

LIVE, SWEEP, BACKFILL = "live", "sweep", "backfill"

#: Live before sweep before backfill. Runs from the UI carry no priority, which is 0: that is why a sweep has 1.
PRIORITIES = {LIVE: 10, SWEEP: 1, BACKFILL: 0}

FROM_KEY, TO_KEY = "flicker/from", "flicker/to"
COMPLETE_KEY, RESUME_KEY = "flicker/complete", "flicker/resume_at"
NEW_KEY = "events new"
SEEN_KEY = "events seen"
VERIFIED_KEY = "verified at"
LATENESS_KEY = "lateness max s"
REDELIVERED_KEY = "redelivered"

CHECK_COMPLETE, CHECK_DELIVERED = "complete", "delivered"


def job_name(source: SourceConfig) -> str:
    return f"{source.asset_name}_job"


def sensor_name(source: SourceConfig) -> str:
    return f"{source.asset_name}_live"


def schedule_name(source: SourceConfig) -> str:
    return f"{source.asset_name}_sweep"


def pool_name(source: SourceConfig) -> str:
    return f"flicker_{source.asset_name}"
