"""The rows and files in which Dagster keeps what runs recorded, in SQLite or in PostgreSQL.

Dagster deletes a run with its materialisations, and has no call that deletes a run and leaves those; nor one that tells
whose materialisation made a partition green. Everything here goes by the data version that our materialisations bear
(`names.data_version`), which is the one tag of theirs that Dagster indexes: others' is another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db

from flicker_dagster.orchestration.names import DATA_VERSION_TAG, UNSETTLED, data_version
from flicker_dagster.state.files import replace_file

_MATERIALIZED = "ASSET_MATERIALIZATION"
_EVALUATED = ("SUCCEEDED", "FAILED")


class Recorded:
    """What runs of one state have recorded."""

    def __init__(self, instance: dg.DagsterInstance, state_id: str) -> None:
        from dagster._core.storage.event_log import schema

        self._connect: Any = instance.event_log_storage.index_connection  # type: ignore[attr-defined]
        self._events = schema.SqlEventLogStorageTable
        self._tags = schema.AssetEventTagsTable
        self._checks = schema.AssetCheckExecutionsTable
        self._is_ours = self._tags.c.value.like(f"{data_version(state_id, '')}%")

    def partitions(self, asset_key: dg.AssetKey) -> set[str]:
        """The partitions that we materialised once they had settled."""
        events = self._events
        settled = self._tags.c.value.notlike(f"%{UNSETTLED}")
        wanted = [events.c.asset_key == asset_key.to_string(), events.c.partition.isnot(None), settled]
        with self._connect() as connection:
            query = db.select(events.c.partition).select_from(self._ours()).where(*wanted).distinct()
            return {row[0] for row in connection.execute(query)}

    def runs(self, *, but: Collection[dg.AssetKey] = ()) -> set[str]:
        """Ids of all runs of ours that have left materialisations, other than of the assets in `but`."""
        foreign = [key.to_string() for key in but]
        query = db.select(self._events.c.run_id).select_from(self._ours()).distinct()
        with self._connect() as connection:
            return {
                row[0] for row in connection.execute(query.where(self._events.c.asset_key.notin_(foreign))) if row[0]
            }

    def forget(self, run_ids: list[str]) -> int:
        """Delete what these runs of ours recorded, but not our latest materialisation of any asset or partition, nor our
        latest evaluation of any check. Gives the number of rows deleted."""
        events, checks = self._events, self._checks
        with self._connect() as connection:
            gone = _ids(connection, db.select(events.c.id).where(events.c.run_id.in_(run_ids)))
            gone -= self._latest_materialisations(connection, run_ids)
            old = _ids(connection, db.select(checks.c.id).where(checks.c.run_id.in_(run_ids)))
            old -= self._latest_evaluations(connection, run_ids)
            for some in _portions(sorted(gone)):
                connection.execute(self._tags.delete().where(self._tags.c.event_id.in_(some)))
                connection.execute(events.delete().where(events.c.id.in_(some)))
            for some in _portions(sorted(old)):
                connection.execute(checks.delete().where(checks.c.id.in_(some)))
        return len(gone) + len(old)

    def _ours(self) -> Any:
        """Materialisations that are ours, joined with their data version."""
        return self._events.join(self._tags, db.and_(self._versioned(), self._is_ours))

    def _versioned(self) -> Any:
        return db.and_(self._tags.c.event_id == self._events.c.id, self._tags.c.key == DATA_VERSION_TAG)

    def _latest_materialisations(self, connection: Any, run_ids: list[str]) -> set[int]:
        """Of each asset and partition that these runs touched, our newest row and that of others: another location may
        have an asset of the same key, and what it records replaces nothing of ours."""
        events = self._events
        kind = events.c.dagster_event_type == _MATERIALIZED
        touched = db.select(events.c.asset_key).where(events.c.run_id.in_(run_ids), kind).distinct()
        keys = {row[0] for row in connection.execute(touched)}
        joined = events.outerjoin(self._tags, self._versioned())
        whose = db.case((self._is_ours, 1), else_=0)
        query = db.select(db.func.max(events.c.id)).select_from(joined).where(events.c.asset_key.in_(keys), kind)
        return _ids(connection, query.group_by(events.c.asset_key, events.c.partition, whose))

    def _latest_evaluations(self, connection: Any, run_ids: list[str]) -> set[int]:
        """Of each check that these runs evaluated, our newest row. A planned evaluation is none: every run plans all
        checks of its asset, and evaluates those it has an answer to."""
        checks = self._checks
        touched = db.select(checks.c.asset_key).where(checks.c.run_id.in_(run_ids)).distinct()
        keys = {row[0] for row in connection.execute(touched)}
        runs_of_ours = db.select(self._events.c.run_id).select_from(self._ours())
        by_us = db.or_(checks.c.run_id.in_(run_ids), checks.c.run_id.in_(runs_of_ours))
        wanted = [checks.c.asset_key.in_(keys), checks.c.execution_status.in_(_EVALUATED), by_us]
        query = db.select(db.func.max(checks.c.id)).where(*wanted)
        return _ids(connection, query.group_by(checks.c.asset_key, checks.c.partition, checks.c.check_name))


def delete_run_row(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its tags, and nothing that it recorded."""
    instance.run_storage.delete_run(run_id)


def history_folder(instance: dg.DagsterInstance) -> Path | None:
    """The folder of SQLite's file per run; None with another storage."""
    path_of = getattr(instance.event_log_storage, "path_for_shard", None)
    return None if path_of is None else Path(path_of("index")).parent


class RunsMade:
    """Ids of the runs that were made here, one a line: when a run was deleted by hand in the UI, nothing in Dagster tells
    any more whose file it left behind."""

    def __init__(self, work_dir: Path) -> None:
        self._path = work_dir / "runs-made"

    def add(self, run_id: str) -> None:
        with suppress(OSError):  # a full disk costs a file that stays, and no run
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(f"{run_id}\n")

    def read(self) -> set[str]:
        try:
            return set(self._path.read_text().split())
        except FileNotFoundError:
            return set()

    def drop(self, run_ids: Collection[str]) -> None:
        """Forget some. What another run adds at the same moment may be forgotten with them; its file then stays."""
        kept = sorted(self.read().difference(run_ids))
        if self._path.exists():
            replace_file(self._path, "".join(f"{run_id}\n" for run_id in kept).encode(), durable=False)


def _ids(connection: Any, query: Any) -> set[int]:
    return {row[0] for row in connection.execute(query)}


def _portions(ids: list[int], size: int = 500) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
