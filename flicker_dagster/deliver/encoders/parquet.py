"""Events in Parquet: the same columns in every object, the event itself as text in one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from flicker_dagster.deliver.encoders.arrow import parquet_of, pyarrow
from flicker_dagster.deliver.encoders.message import MessageField
from flicker_dagster.deliver.encoders.utf8 import not_utf8
from flicker_dagster.lots import Lot


class Parquet:
    """Columns `event_uid`, `time`, `source`, `collected`, `message` and `raw`.

    `time` and `collected` are milliseconds in UTC; `time` is that of collection where the event has none; `message` is null
    where the event has none.
    """

    content_type = "application/vnd.apache.parquet"

    def __init__(self, message_field: str | None = None) -> None:
        self._message = MessageField(message_field) if message_field else None
        self.encoding = "parquet 1" + (f" {json.dumps(message_field)}" if message_field else "")

    def encode(self, lot: Lot) -> bytes:
        pa, message, count = pyarrow(), self._message, len(lot)
        texts = [None] * count if message is None else [_storable(message.text_of(event)) for event in lot.events]
        columns = [
            pa.array(lot.uids, pa.string()),
            pa.array([lot.time_ms(index) for index in range(count)], pa.int64()),
            pa.array([lot.source] * count, pa.string()),
            pa.array([lot.collected_ms] * count, pa.int64()),
            pa.array(texts, pa.string()),
            pa.array(lot.events, pa.binary()).cast(pa.string()),  # refuses what is no UTF-8
        ]
        schema = _schema()
        table = pa.table([column.cast(field.type) for column, field in zip(columns, schema)], schema=schema)
        return parquet_of(table, statistics=["event_uid", "time"])

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return not_utf8(lot)


@cache
def _schema() -> Any:
    pa = pyarrow()
    moment = pa.timestamp("ms", tz="UTC")
    return pa.schema(
        [
            pa.field("event_uid", pa.string(), nullable=False),
            pa.field("time", moment, nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("collected", moment, nullable=False),
            pa.field("message", pa.string()),
            pa.field("raw", pa.string(), nullable=False),
        ]
    )


def _storable(text: str | None) -> str | None:
    """Half a surrogate pair, as user agents cut off have one, is no UTF-8; `raw` keeps it as it came."""
    return None if text is None else text.encode("utf-8", "replace").decode()
