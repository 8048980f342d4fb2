"""Parquet files by pyarrow, which is an extra: imported when the first file is written."""

from __future__ import annotations

from typing import Any

from flicker_dagster.errors import DestinationBlocked

#: What one page of a column holds before the next begins, in bytes before compression, and after how many rows that is
#: looked at: Security Lake asks for pages of 1 MB at most.
PAGE_BYTES, PAGE_ROWS = 256 * 1024, 64
ZSTD_LEVEL = 3


def pyarrow() -> Any:
    """The library. Raises DestinationBlocked where it is not installed."""
    try:
        import pyarrow
        import pyarrow.json
        import pyarrow.parquet
    except ImportError as error:
        raise DestinationBlocked(f"Parquet needs pyarrow ({error}): pip install 'flicker-dagster[parquet]'") from None
    return pyarrow


def parquet_of(table: Any, *, statistics: list[str]) -> bytes:
    """A table as a Parquet file in one row group: zstd, and nothing in it of the time at which it is written.

    `statistics` are the columns that readers select by. Without those of all others, and without dictionaries, which zstd
    makes up for, files with hundreds of columns are a quarter to a half smaller (measured), and quicker to write.
    """
    pa = pyarrow()
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(
        table,
        sink,
        row_group_size=max(1, table.num_rows),
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        data_page_size=PAGE_BYTES,
        write_batch_size=PAGE_ROWS,
        use_dictionary=False,
        write_statistics=statistics,
        version="2.6",
        store_schema=False,
    )
    return sink.getvalue().to_pybytes()
