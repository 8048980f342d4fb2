"""Rows of outcome tables: what a server answers, and what it stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest

from flicker_dagster.deliver.outcomes import Blocked, Outcome, PerItem, Rejected, Retry, Split
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.scenes import Answering, Scene, now_s

PAGE = b"<!doctype html><html><body>Sign in to continue</body></html>"


@dataclass(frozen=True)
class Row:
    """An answer, the kind of its outcome, what its words have to match, and after how many seconds to come again."""

    status: int
    outcome: type
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    says: str = ""
    after_s: float | None = None

    @property
    def id(self) -> str:
        body = self.body if isinstance(self.body, str) else self.body.decode()
        extra = re.sub(r"\W+", "-", f"{body[:40]} {' '.join(self.headers.values())}").strip("-")
        return f"{self.status} {self.outcome.__name__} {extra}".strip()


def table(*rows: Row) -> Any:
    """The rows as a parameter of a test."""
    return pytest.mark.parametrize("row", rows, ids=[row.id for row in rows])


def without(status: int) -> list[Row]:
    """The common rows, for an API that means something else by one of them."""
    return [row for row in COMMON if row.status != status]


#: What holds for every destination, whatever its API is.
COMMON = [
    Row(301, Blocked, headers={"Location": "https://elsewhere.example/"}),
    Row(302, Blocked, headers={"Location": "https://elsewhere.example/"}),
    Row(307, Blocked),
    Row(401, Blocked, says="credentials"),
    Row(402, Blocked),
    Row(404, Blocked, PAGE),
    Row(405, Blocked),
    Row(407, Blocked),
    Row(408, Retry),
    Row(410, Blocked),
    Row(413, Split),
    Row(413, Split, PAGE),
    Row(415, Blocked),
    Row(418, Blocked, "short and stout"),
    Row(422, Rejected),
    Row(425, Retry),
    Row(429, Retry),
    Row(429, Retry, headers={"Retry-After": "7"}, after_s=7.0),
    Row(429, Retry, headers={"Retry-After": formatdate(now_s() + 30, usegmt=True)}, after_s=30.0),
    Row(429, Retry, headers={"Retry-After": "86400"}, after_s=900.0),
    Row(429, Retry, headers={"Retry-After": "soon"}),
    Row(500, Retry),
    Row(500, Retry, PAGE),
    Row(501, Blocked),
    Row(502, Retry, b'{"err'),
    Row(503, Retry, headers={"Retry-After": "2"}, after_s=2.0),
    Row(504, Retry),
    Row(505, Blocked),
    Row(520, Retry),
]


def check(scene: Scene, siem: Answering, row: Row, *, events: int = 3, **keys: Any) -> Any:
    """The outcome that a destination of the scene makes of a row's answer, checked."""
    siem.says(row.status, row.body, **row.headers)
    lot = lot_of([event_of(number) for number in range(events)])
    destination = scene.open(endpoint=siem.url, **keys)
    try:
        outcome = destination.send(lot)
    finally:
        destination.close()
    assert type(outcome) is row.outcome, outcome
    assert re.search(row.says, getattr(outcome, "why", "")), outcome
    if isinstance(outcome, Retry):
        assert outcome.after_s == row.after_s
    return outcome


def words_of(outcome: Outcome) -> str:
    """What an outcome says of itself; of a whole request, what all its events share."""
    if isinstance(outcome, PerItem):
        assert len(set(outcome.items)) == 1
        return words_of(outcome.items[0])
    return getattr(outcome, "why", "") or outcome.status  # type: ignore[union-attr]
