"""Events of one class of OCSF as a Parquet file, in the order of their times."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from flicker_dagster.deliver.encoders.arrow import parquet_of, pyarrow
from flicker_dagster.deliver.encoders.ocsf.columns import columns_of
from flicker_dagster.deliver.encoders.ocsf.fitting import table_of
from flicker_dagster.deliver.encoders.ocsf.objects import Type
from flicker_dagster.deliver.encoders.ocsf.rows import row_of
from flicker_dagster.json_text import read_json
from flicker_dagster.lots import Lot


class AnyObject(msgspec.Struct, gc=False):
    """A mapping, whatever it holds."""


class Head(msgspec.Struct, gc=False):
    """What every event of OCSF has, by which it belongs to a table; and what must be text."""

    class_uid: int
    category_uid: int
    activity_id: int
    type_uid: int
    severity_id: int
    metadata: AnyObject
    raw_data: str | None = None


#: Columns of which no row may be without a value.
REQUIRED = frozenset({"time", *Head.__struct_fields__} - {"raw_data"})

#: What queries select by.
SELECTED_BY = ["time", "class_uid", "activity_id", "type_uid", "severity_id", "status_id"]

#: Rows of Python's own objects are many times the size of columns: so many exist at a time.
ROWS_AT_A_TIME = 500

_head = msgspec.json.Decoder(Head)


class OcsfParquet:
    """The files of one version of OCSF. `time` is the event's own, or that of its collection where it has none."""

    content_type = "application/vnd.apache.parquet"

    def __init__(self, version: str) -> None:
        self._version = version
        self.encoding = f"ocsf parquet 2 {version}"

    def encode(self, lot: Lot) -> bytes:
        """The file. All events of the lot are of one class, and none of them is one that `unfit` names."""
        pa = pyarrow()
        class_uid = self.class_of(lot.events[0])
        columns, schema = columns_of(class_uid, self._version), _schema(class_uid, self._version)
        assert columns is not None
        by_time = sorted(range(len(lot)), key=lot.time_ms)
        tables = []
        for start in range(0, len(by_time), ROWS_AT_A_TIME):
            indices = by_time[start : start + ROWS_AT_A_TIME]
            events, times_ms = [lot.events[index] for index in indices], [lot.time_ms(index) for index in indices]
            found = table_of(events, times_ms, schema)
            if found is None:
                rows = [row_of(read_json(event) | {"time": ms}, columns) for event, ms in zip(events, times_ms)]
                found = pa.Table.from_pylist(rows, schema=schema)
            tables.append(found)
        return parquet_of(pa.concat_tables(tables), statistics=SELECTED_BY)

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        """Events that are no OCSF, or of a class without columns."""
        faults = ((index, self._fault(event)) for index, event in enumerate(lot.events))
        return {index: why for index, why in faults if why is not None}

    def class_of(self, event: bytes) -> int:
        """The class of an event that is not unfit."""
        try:
            return _head.decode(event).class_uid
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return msgspec.convert(read_json(event), Head).class_uid

    def _fault(self, event: bytes) -> str | None:
        try:
            head = _head.decode(event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            try:
                head = msgspec.convert(read_json(event), Head)
            except (ValueError, RecursionError) as error:
                return f"it is no event of OCSF: {error}"
        if columns_of(head.class_uid, self._version) is None:
            return f"it is of the class {head.class_uid}, which has no columns in OCSF {self._version}"
        if head.raw_data is not None and not _is_storable(head.raw_data):
            return "its raw data are not UTF-8, and so cannot be text in a file"
        return None


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _schema(class_uid: int, version: str) -> Any:
    pa = pyarrow()
    columns = columns_of(class_uid, version)
    assert columns is not None
    return pa.schema([pa.field(name, _type_of(kind), nullable=name not in REQUIRED) for name, kind in columns.items()])


def _type_of(kind: Type) -> Any:
    pa = pyarrow()
    if isinstance(kind, dict):
        return pa.struct([pa.field(name, _type_of(inner)) for name, inner in kind.items()])
    if isinstance(kind, list):
        return pa.list_(_type_of(kind[0]))
    scalars = {"str": pa.string(), "json": pa.string(), "int": pa.int32(), "long": pa.int64(), "bool": pa.bool_()}
    return pa.float64() if kind == "double" else scalars[kind]
