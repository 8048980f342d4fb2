"""`flicker backfill SOURCE FROM TO`: ask the running Flicker, through its web UI, to read past windows again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from flicker_dagster.config.grid import Grid
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import FlickerError, StateError
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.forecast import forecast
from flicker_dagster.pipeline.grid import grid_begin_ms
from flicker_dagster.pipeline.windows import closed_windows, window_of_key
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import StreamName

TIMEOUT_S = 30

#: https://docs.dagster.io/api/graphql: the mutation that the UI's own Materialize button uses.
LAUNCH = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""


def windows_between(grid: Grid, from_ms: int, to_ms: int, *, now_ms: int, layout: StateLayout) -> list[str]:
    """Keys of the closed windows that hold a part of `[from_ms, to_ms)`, oldest first. Raises FlickerError if none."""
    if from_ms >= to_ms:
        raise FlickerError(f"{grid.name}: FROM, {rfc3339_ms(from_ms)}, is not before TO, {rfc3339_ms(to_ms)}")
    begin_ms = grid_begin_ms(grid, layout, now_ms=now_ms)
    if from_ms < begin_ms:
        raise FlickerError(
            f"{grid.name}: windows begin at {rfc3339_ms(begin_ms)}, with which collection began; to reach further back "
            f'set window.start of this source, as in window: {{start: "{rfc3339_ms(from_ms)}"}}, and ask again'
        )
    keys = [w.key for w in closed_windows(grid.windows, from_ms, now_ms) if w.start_ms < to_ms]
    if not keys:
        raise FlickerError(f"{grid.name}: no {grid.windows.size} window in that span has closed yet")
    return keys[::-1]


def forecast_words(settings: Settings, source: SourceConfig, keys: list[str]) -> str:
    """How many requests reading these windows will take, and how long at the share of the quota that is ours."""
    try:
        with settings.work(source) as work:
            return forecast(work, [window_of_key(source.grid, key) for key in keys]).words
    except StateError as error:
        return f"nobody can tell how many requests that takes, {error}"


def launch_backfill(url: str, stream: StreamName, keys: list[str], *, redeliver: bool) -> str:
    """The id of the launched backfill. Raises FlickerError where the web UI cannot be reached or refuses."""
    tags = {**names.source_tags(stream), names.MODE_TAG: names.BACKFILL}
    if redeliver:
        tags[names.REDELIVER_TAG] = "true"
    params = {
        "assetSelection": [{"path": names.asset_path(stream)}],
        "partitionNames": keys,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    answer = _ask(url, LAUNCH, {"params": params})
    launched = (answer.get("data") or {}).get("launchPartitionBackfill") or {}
    if "backfillId" not in launched:
        why = launched.get("message") or launched.get("__typename") or answer.get("errors")
        raise FlickerError(f"{stream.name}: Dagster did not launch the backfill: {why}")
    return launched["backfillId"]


def _ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    address = f"{url.rstrip('/')}/graphql"
    request = urllib.request.Request(
        address,
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        raise FlickerError(
            f"{address} answers HTTP {error.code}: {error.read(500).decode('utf-8', 'replace')}"
        ) from None
    except (OSError, ValueError) as error:
        raise FlickerError(
            f"the web UI at {url} cannot be reached ({_why(error)}); a backfill needs a running Flicker with its web UI, so "
            "start it without --no-ui, or name its address with --url"
        ) from None


def _why(error: Exception) -> str:
    """What kept the request from being answered, without Python's names for it."""
    inner = getattr(error, "reason", None) or error
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return "no JSON in the answer" if isinstance(inner, json.JSONDecodeError) else str(inner)
