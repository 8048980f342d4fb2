"""Salesforce's event log files, made of the rows of a log: one for each type of event and hour, and for what comes late
another one with a higher sequence; beside them one for each day."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flicker_dagster.simulator.emitter import Event
from flicker_dagster.simulator.making import an_address
from flicker_dagster.simulator.pages import compact
from flicker_dagster.simulator.vendor import content_of
from flicker_dagster.simulator.vendors._salesforce_objects import spelled
from flicker_dagster.times import datetime_of, rfc3339_ms

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEPT_MS = 30 * DAY_MS
#: Columns beside those that rows of every type have: they differ from type to type.
COLUMNS = {
    "Login": ("USER_NAME", "CLIENT_IP", "LOGIN_STATUS", "SOURCE_IP"),
    "ReportExport": ("CLIENT_IP", "REPORT_DESCRIPTION", "URI"),
}


@dataclass(frozen=True)
class LogFile:
    id: str
    event_type: str
    interval: str
    sequence: int
    log_ms: int  # the beginning of its hour or day
    created_ms: int
    rows: tuple[Event, ...]

    def content(self) -> bytes:
        """CSV with a header, every field quoted."""
        rows = [json.loads(event.body) for event in self.rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()


def make_row(number: int, published_ms: int, chance: random.Random) -> tuple[str, bytes]:
    """Two rows after one another share a request: no column names a row."""
    kind = chance.choice(tuple(COLUMNS))
    address = an_address(chance)
    values = {
        "USER_NAME": "ana@acme.test",
        "CLIENT_IP": address,
        "LOGIN_STATUS": chance.choice(("LOGIN_NO_ERROR", "LOGIN_ERROR_INVALID_PASSWORD")),
        "SOURCE_IP": address,
        "REPORT_DESCRIPTION": f'Pipeline, "open" deals,\nsheet {number}',
        "URI": f"/00O{number:012d}",
    }
    row = {
        "EVENT_TYPE": kind,
        "TIMESTAMP": f"{datetime_of(published_ms):%Y%m%d%H%M%S}.{published_ms % 1000:03d}",
        "REQUEST_ID": f"4abcDEF-{number // 2}",
        "ORGANIZATION_ID": "00D000000000001",
        "USER_ID": f"005{number:012d}",
        **{column: values[column] for column in COLUMNS[kind]},
        "TIMESTAMP_DERIVED": rfc3339_ms(published_ms),
    }
    return content_of(row), compact(row)


def files_of(stored: Iterable[Event], *, now_ms: int, delay_ms: int) -> list[LogFile]:
    """The files there are now, by creation and id. A file is made `delay_ms` after the full hour at which nothing more can
    come into it, and never changes; a day has no file for what came after its own was made."""
    parts: dict[tuple[str, str, int, int], list[Event]] = defaultdict(list)
    for event in stored:
        kind = json.loads(event.body)["EVENT_TYPE"]
        hour_ms = event.published_ms // HOUR_MS * HOUR_MS
        day_ms = event.published_ms // DAY_MS * DAY_MS
        closed_ms = (max(hour_ms, event.visible_ms) // HOUR_MS + 1) * HOUR_MS
        parts[kind, "Hourly", hour_ms, closed_ms + delay_ms].append(event)
        if closed_ms <= day_ms + DAY_MS:
            parts[kind, "Daily", day_ms, day_ms + DAY_MS + delay_ms].append(event)
    counts: Counter[tuple[str, str, int]] = Counter()
    files: list[LogFile] = []
    for (kind, interval, log_ms, created_ms), events in sorted(parts.items()):
        counts[kind, interval, log_ms] += 1
        sequence = counts[kind, interval, log_ms] if interval == "Hourly" else 0
        file_id = _id_of(kind, interval, log_ms, created_ms)
        if created_ms <= now_ms < created_ms + KEPT_MS:
            files.append(LogFile(file_id, kind, interval, sequence, log_ms, created_ms, tuple(events)))
    return sorted(files, key=lambda file: (file.created_ms, file.id))


def values_of(file: LogFile) -> dict[str, Any]:
    """What conditions see of a file."""
    return {
        "id": file.id,
        "eventtype": file.event_type,
        "interval": file.interval,
        "sequence": file.sequence,
        "createddate": file.created_ms,
        "logdate": file.log_ms,
    }


def listed(file: LogFile, api: str) -> Event:
    """A file as a row of its listing."""
    record = {
        "Id": file.id,
        "EventType": file.event_type,
        "Interval": file.interval,
        "Sequence": file.sequence,
        "CreatedDate": spelled(file.created_ms),
        "LogDate": spelled(file.log_ms),
        "LogFile": f"{api}/sobjects/EventLogFile/{file.id}/LogFile",
        "LogFileLength": float(len(file.content())),
    }
    return Event(file.created_ms, 0, file.created_ms, file.id, json.dumps(record).encode())


def _id_of(*key: Any) -> str:
    return f"0AT{hashlib.sha256(repr(key).encode()).hexdigest()[:15]}"
