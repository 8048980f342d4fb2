"""Answers around rows that are kept as the exact bytes in which the vendor serves them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from flicker_dagster.simulator.server import Response

#: Stands in an answer where the array of rows belongs.
ROWS = "<rows>"
_PLACE = json.dumps(ROWS)


def with_rows(answer: Any, bodies: Iterable[bytes], headers: list[tuple[str, str]] | None = None) -> Response:
    """An answer of JSON with the rows at the place of `ROWS`."""
    before, _, after = json.dumps(answer).partition(_PLACE)
    body = b"".join((before.encode(), b"[", b",".join(bodies), b"]", after.encode()))
    return Response(200, body, [("Content-Type", "application/json"), *(headers or [])])


def compact(event: Any) -> bytes:
    """An event as a row of the log."""
    return json.dumps(event, separators=(",", ":")).encode()
