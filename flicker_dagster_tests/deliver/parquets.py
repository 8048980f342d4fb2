"""Parquet files read by DuckDB: what wrote them has no part in judging them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb


class Parquets:
    """Files in a folder, asked by SQL."""

    def __init__(self, folder: Path, bodies: Iterable[bytes]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, body in enumerate(bodies):
            (folder / f"{number:04d}.parquet").write_bytes(body)
        self._files = f"read_parquet('{folder}/*.parquet')"
        self._folder = folder

    def rows(self, columns: str = "*", behind: str = "") -> list[tuple[Any, ...]]:
        return duckdb.sql(f"SET TimeZone='UTC'; SELECT {columns} FROM {self._files} {behind}").fetchall()

    def types(self) -> dict[str, str]:
        """Each column's type, in DuckDB's words."""
        return {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE SELECT * FROM {self._files}").fetchall()}

    def schemas(self) -> set[tuple[tuple[Any, ...], ...]]:
        """The schemas of the files as they are written there; one, where all are the same."""
        query = "SELECT name, type, converted_type, repetition_type, num_children FROM parquet_schema('{}')"
        return {tuple(duckdb.sql(query.format(file)).fetchall()) for file in sorted(self._folder.glob("*.parquet"))}

    def compressions(self) -> set[str]:
        query = f"SELECT DISTINCT compression FROM parquet_metadata('{self._folder}/*.parquet')"
        return {row[0] for row in duckdb.sql(query).fetchall()}
