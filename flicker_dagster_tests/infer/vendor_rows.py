"""Rows that a vendor answers with."""

from __future__ import annotations

from flicker_dagster.times import parse_time_ms, rfc3339_ms

FIRST_MS = parse_time_ms("2026-05-02T09:00:00Z") or 0
ROWS = [
    {"id": f"e{number:03d}", "actor": "ana", "time": rfc3339_ms(FIRST_MS + number * 61_000), "seq": number}
    for number in range(17)
]
