"""A vendor whose answers are nonsense in one place costs what is in that place, and behaves again when it does."""

from __future__ import annotations

import json
import time
import tracemalloc
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.cli import once
from flicker_dagster.collect.ends import lookalike
from flicker_dagster.collect.paging import Seen
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.errors import BadAnswer
from flicker_dagster.simulator.server import Response
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import parse_http_date_ms, parse_retry_after_s, parse_time_ms
from flicker_dagster.types import Position
from flicker_dagster_tests.builders import a_decoder, a_source
from flicker_dagster_tests.collect.raw_server import RawServer
from flicker_dagster_tests.conformance.test_cases_outside import CURSOR, Siem, collecting, events, poll

HOUR_MS = 3_600_000


def position(directory: Path, source: Any) -> Position:
    found = StateLayout.of(None, directory / "state", directory / "work").registry().position(source.name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Thu, 01 Jan 2099 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 99999999999999999999 Dec 2026 23:59:59 GMT",
        pytest.param(formatdate(time.time() - 3 * 86_400, usegmt=True), id="three days ago"),
        pytest.param(formatdate(time.time() + 3 * 86_400, usegmt=True), id="in three days"),
    ],
)
def test_a_date_header_that_is_days_away_moves_collection_to_no_other_time(tmp_path: Path, date: str) -> None:
    says = {"date": date, "rows": events(3)}

    def answer(connection: Any) -> None:
        body = json.dumps({"rows": says["rows"], "next": None}).encode()
        head = f"HTTP/1.1 200 OK\r\nDate: {says['date']}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    siem = Siem()
    with closing(RawServer(answer)) as vendor, closing(siem.server):
        source = a_source(
            endpoint=vendor.url,
            start_from="1h",
            results_field="rows",
            pagination=CURSOR,
            destination=HttpDestination(type="http", endpoint=f"{siem.server.url}/in"),
        )
        for _ in range(3):
            assert poll(source, tmp_path) is None
            reached_ms = parse_time_ms(position(tmp_path, source).last_timestamp)
            assert reached_ms is not None
            assert abs(time.time() * 1000 - reached_ms) < 2 * HOUR_MS
        says["date"], says["rows"] = formatdate(usegmt=True), events(5)
        assert poll(source, tmp_path) is None
        reached_ms = parse_time_ms(position(tmp_path, source).last_timestamp)
        assert reached_ms == parse_time_ms(says["rows"][-1]["time"])
    assert sorted(siem.ids) == ["e0", "e1", "e2", "e3", "e4"]


@pytest.mark.parametrize("cursor", [rb'"\ud800"', b'"\xff\xfe"', b'"' + b"x" * 100_000 + b'"', b"[1]"])
def test_a_cursor_that_no_request_can_hold_is_refused_in_words_and_its_page_delivered(
    tmp_path: Path, cursor: bytes
) -> None:
    body = json.dumps({"rows": events(3)}).encode()[:-1] + b', "next": ' + cursor + b"}"
    with collecting(tmp_path, lambda _: Response(200, body), pagination=CURSOR) as (source, siem, _):
        error = poll(source, tmp_path)
    assert isinstance(error, BadAnswer)
    assert siem.ids == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    "said",
    [
        {"error": "expired"},
        {"errors": [{"detail": "quota"}]},
        {"ok": False},
        {"success": "false"},
        {"status": "error", "message": "quota"},
        {"errorCode": 17},
    ],
)
def test_an_error_beside_an_empty_list_is_not_the_end_of_the_data(tmp_path: Path, said: dict[str, Any]) -> None:
    def answer(request: Any) -> Response:
        first = "after" not in request.query
        return Response.json({"rows": events(3), "next": "p2"} if first else {"rows": [], **said})

    with collecting(tmp_path, answer, pagination=CURSOR) as (source, siem, _):
        error = poll(source, tmp_path)
    assert isinstance(error, BadAnswer)
    assert "reports an error" in str(error)
    assert siem.ids == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    "said", [{"error": None}, {"errors": []}, {"ok": True}, {"errorCount": 3}, {"lastErrorTime": "x"}, {"status": "ok"}]
)
def test_an_empty_list_is_a_quiet_vendor_where_nothing_speaks_of_an_error(said: dict[str, Any]) -> None:
    page, _ = a_decoder(a_source(results_field="rows")).decode(json.dumps({"rows": [], **said}).encode())
    assert len(page) == 0


@pytest.mark.parametrize("place", ["next", "id", "other"])
def test_a_large_object_in_an_answer_is_not_taken_apart(place: str) -> None:
    large = b"[" + b"[]," * 200_000 + b"0]"
    source = a_source(results_field="rows", pagination=CURSOR)
    parts = {"next": b"null", "id": b'"a"', "other": b"0"} | {place: large}
    body = b'{"rows": [{"id": %(id)b, "time": "2026-01-01T00:00:00Z"}], "next": %(next)b, "other": %(other)b}'
    body %= {name.encode(): value for name, value in parts.items()}
    tracemalloc.start()
    try:
        page, fields = a_decoder(source).decode(body)
        lookalike(source.listing.paging, Seen(len(page), [], fields, "http://x"), body)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(page) == 1
    assert peak_bytes < 12 * len(body)  # taken apart, each `[]` takes 64 bytes


DATES = st.from_regex(
    r"(Mon, )?[0-9]{1,25} (Jan|Dec|x) [0-9]{1,25} [0-9]{1,25}:[0-9]{2}(:[0-9]{1,25})? ?(GMT|[+-][0-9]{1,25})?",
    fullmatch=True,
)


@pytest.mark.fuzz
@given(st.one_of(DATES, st.text(max_size=60)))
def test_any_text_is_a_time_or_none(text: str) -> None:
    for value in (parse_time_ms(text), parse_http_date_ms(text), parse_retry_after_s(text, now_ms=0)):
        assert value is None or value == value


def test_a_defect_met_by_one_source_costs_no_other_its_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = a_source()

    class Broken:
        def work(self, _source: Any) -> Any:
            raise ZeroDivisionError("secret-of-somebody")

    polled = once._poll(source, Broken())  # type: ignore[arg-type]
    assert polled.error is not None
    assert "internal error, please report it: ZeroDivisionError" in polled.error
    assert "secret" not in polled.error
