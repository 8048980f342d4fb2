"""Names that Dagster shows and that its tags carry, in one place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the supervisor reads names, and stays small
    import dagster as dg

    from flicker_dagster.types import StreamName

LOCATION = "flicker"
GROUP = "audit_logs"
MAINTENANCE = "flicker_maintenance"
LONGEST_STEM = 40

SOURCE_TAG = "flicker/source"
#: On runs and check evaluations: which state they are about (`StateLayout.state_id`).
STATE_TAG = "flicker/state"
MODE_TAG = "flicker/mode"
REQUEST_TAG = "flicker/request"  # ties a live run to the sensor cursor that asked for it
REDELIVER_TAG = "flicker/redeliver"
ERROR_TAG = "flicker/error"
RESUME_TAG = "flicker/resume_at"
PAUSE_TAG = "flicker/paused"  # why a run that succeeded asks for a pause
PRIORITY_TAG = "dagster/priority"
PARTITION_TAG = "dagster/partition"

#: On materialisations it says the same, and which run made them: of all their tags, Dagster finds them by this one only.
DATA_VERSION_TAG = "dagster/data_version"

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
DOUBT_KEY = "may be incomplete"
WINDOWS_KEY = "windows"

CHECK_COMPLETE, CHECK_DELIVERED = "complete", "delivered"


def asset_path(stream: StreamName) -> list[str]:
    """The parts of the asset's key: namespace, source, stream; of these what there is."""
    from flicker_dagster.config.models import asset_name  # whoever has a stream has loaded it already

    own = [asset_name(part) for part in (stream.source, stream.stream) if part]
    return [stream.namespace, *own] if stream.namespace else own


def asset_key(stream: StreamName) -> dg.AssetKey:
    import dagster as dg

    return dg.AssetKey(asset_path(stream))


def graph_name(stream: StreamName) -> str:
    """The stream in names that take letters, digits and underscores only. Dagster names the asset's graph like this."""
    return "__".join(asset_path(stream))


def prefixed(namespace: str, name: str) -> str:
    return f"{namespace}__{name}" if namespace else name


def job_name(stream: StreamName) -> str:
    return f"{graph_name(stream)}_job"


def sensor_name(stream: StreamName) -> str:
    return f"{graph_name(stream)}_live"


def schedule_name(stream: StreamName) -> str:
    return f"{graph_name(stream)}_sweep"


def group_name(stream: StreamName) -> str:
    return prefixed(stream.namespace, GROUP)


def pool_name(stream: StreamName, place: str) -> str:
    """A run holds its source's pool. `place` tells sources of one name apart that keep their state elsewhere."""
    return f"flicker_{graph_name(stream)}_{place}"


def source_tag(namespace: str, name: str) -> str:
    """What SOURCE_TAG says of a source."""
    return f"{namespace}/{name}" if namespace else name


def source_tags(stream: StreamName) -> dict[str, str]:
    return {SOURCE_TAG: source_tag(stream.namespace, stream.name)}


def run_tags(stream: StreamName, state_id: str, mode: str) -> dict[str, str]:
    """The tags by which a run of a source is found again. Another location may have a source of the same name on the
    same instance; its state is another one."""
    return {**source_tags(stream), STATE_TAG: state_id, MODE_TAG: mode}


def data_version(state_id: str, run_id: str, *, settled: bool = True) -> str:
    """What a run makes of an asset; another with each run, so that assets downstream see that there is something new."""
    return f"{state_id}-{run_id}{'' if settled else UNSETTLED}"


#: Ends the data version of windows that were read before they had settled: they are green and not verified.
UNSETTLED = "-unsettled"


def is_made_from(state_id: str, tags: Mapping[str, str] | None) -> bool:
    """Whether a materialisation with these tags is one of a run of this state."""
    return (tags or {}).get(DATA_VERSION_TAG, "").startswith(data_version(state_id, ""))


def maintenance_name(namespace: str, config_path: str, *, configured_by_env: str) -> str:
    """The maintenance job. Two configurations without a namespace may share a code location, so only the one that the
    environment names has the plain name; a working directory must not decide it, so paths are compared as they are."""
    if namespace:
        return prefixed(namespace, MAINTENANCE)
    if config_path == configured_by_env:
        return MAINTENANCE
    stem = re.sub(r"[^A-Za-z0-9]+", "_", PurePath(config_path).stem)[:LONGEST_STEM]
    return f"{MAINTENANCE}_{stem}_{hashlib.blake2b(config_path.encode(), digest_size=3).hexdigest()}"
