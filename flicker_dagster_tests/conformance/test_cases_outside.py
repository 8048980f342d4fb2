"""Field reports about text from outside: what a vendor or SIEM sends is data, bounded, and never a command."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.config.auth.fixed import BearerAuth
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import Limits, Pagination, RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, CollectError, VendorRefused, VendorUnavailable
from flicker_dagster.orchestration.logs import FORMAT, OneLine
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import deliver_live
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.collect.raw_server import RawServer
from flicker_dagster_tests.conformance.rows import cases, row

cases(
    {
        "cursor_reads_secrets": "a vendor's cursor that is spelt like a sealed secret is filled in with the SIEM's token",
        "link_backslash": "a kept link whose host two parsers read differently sends the credentials elsewhere",
        "length_lie": "an answer that announces five bytes is read without counting, gigabytes of it",
        "trickle_vendor": "a vendor that sends a byte now and then holds its run for ever",
        "link_header_quadratic": "a Link header of `<` costs CPU that grows with the square of its length",
        "long_cursors": "a vendor's next links of 4 MB each are all kept in memory",
        "masks": "secrets come out cut, in base64 of a header, in hex, in other capitals, inside addresses",
        "log_forging": "line breaks and terminal sequences of a vendor or SIEM reach logs, tables and dead letters",
    }
)

SECRET, SIEM_KEY = "CANARYtoken0123456789abcdefXYZ", "siem-token-8d3e6b5a1c"
CURSOR = Pagination(pagination_type="cursor", cursor_param="after", next_cursor_field="next")
NEXT_URL = Pagination(pagination_type="next_url", next_url_field="next")
LINK = Pagination(pagination_type="link_header")


def events(count: int) -> list[dict[str, str]]:
    now_ms = int(time.time() * 1000)
    return [{"id": f"e{number}", "time": rfc3339_ms(now_ms - 60_000 + number)} for number in range(count)]


class Siem:
    """Takes everything, unless `says` has another answer."""

    def __init__(self, says: Response | None = None) -> None:
        self.ids: list[str] = []
        self.says = says
        self.server = Server(self._take)

    def _take(self, request: Request) -> Response:
        if self.says is not None:
            return self.says
        self.ids += [event["id"] for event in json.loads(request.body)]
        return Response.json({})


@contextmanager
def collecting(
    directory: Path, answer: Callable[[Request], Response], *, siem: Siem | None = None, **source: Any
) -> Iterator[tuple[SourceConfig, Siem, list[Request]]]:
    asked: list[Request] = []

    def noted(request: Request) -> Response:
        asked.append(request)
        return answer(request)

    siem = siem or Siem()
    with closing(Server(noted)) as vendor, closing(siem.server):
        fields: dict[str, Any] = {
            "endpoint": f"{vendor.url}/logs",
            "start_from": "1h",
            "results_field": "rows",
            "headers": {"Authorization": "Bearer ${VENDOR_TOKEN}"},
            "retry": RetryConfig(max_retries=0),
            "destination": HttpDestination(
                type="http", endpoint=f"{siem.server.url}/in", auth=BearerAuth(type="bearer", token="${SIEM_KEY}")
            ),
        }
        yield a_source(**fields | source), siem, asked


def poll(source: SourceConfig, directory: Path, env: dict[str, str] | None = None) -> CollectError | None:
    """One poll and delivery, as a run does them; the vendor's error."""
    layout = StateLayout.of(None, directory / "state", directory / "work")
    known = {"VENDOR_TOKEN": SECRET, "SIEM_KEY": SIEM_KEY} | (env or {})
    with SourceWork(source, layout, env=known) as work, work.spool.lock():
        error = None
        try:
            fetch_live(work, starting_position(work))
        except CollectError as caught:
            error = caught
        if work.live.state is not None:
            deliver_live(work)
        return error


@row(
    "case-cursor_reads_secrets",
    behaviour="text from outside goes back as it came; only the vendor's own secrets are filled in",
)
@pytest.mark.parametrize("name", ["SIEM_KEY", "VENDOR_TOKEN"])
@pytest.mark.parametrize("form", ["plain", "quoted", "plus"])
def test_a_cursor_that_looks_like_a_sealed_secret_stays_text(tmp_path: Path, name: str, form: str) -> None:
    steered = f"${{secret:{form}:{name}}}"

    def answer(request: Request) -> Response:
        return Response.json({"rows": []} if "after" in request.query else {"rows": events(3), "next": steered})

    with collecting(tmp_path, answer, pagination=CURSOR) as (source, siem, asked):
        assert poll(source, tmp_path) is None
    assert siem.ids == ["e0", "e1", "e2"]
    assert asked[1].query["after"] == steered
    assert not any(secret in str(request.query) for request in asked for secret in (SECRET, SIEM_KEY))


@row("case-link_backslash", behaviour="a link adds a path to the endpoint's origin, or is refused in words")
@pytest.mark.parametrize("place", ["{other}\\@{own}", "{own}@{other}", "{other}#@{own}", "{other}\t@{own}"])
def test_a_kept_link_leads_nowhere_else(tmp_path: Path, place: str) -> None:
    elsewhere: list[Request] = []

    def answer(request: Request) -> Response:
        host = place.format(other=other.url.removeprefix("http://"), own=request.headers["host"])
        return Response.json(events(3), headers=[("Link", f'<http://{host}/logs?after=x>; rel="next"')])

    with closing(Server(lambda request: (elsewhere.append(request), Response.json([]))[1])) as other:
        limits = Limits(run_pages=1)
        with collecting(tmp_path, answer, pagination=LINK, results_field="", limits=limits) as (source, siem, asked):
            told = [poll(source, tmp_path) for _ in range(3)]
    assert elsewhere == []
    assert siem.ids == ["e0", "e1", "e2"]
    assert all("after" not in request.query for request in asked)
    assert all(error is None or "the next link" in str(error) for error in told)


@row("case-length_lie", behaviour="what arrives is counted, and an answer that contradicts itself is refused")
@pytest.mark.parametrize(
    "headers", [b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked", b"X: y"]
)
def test_no_more_of_an_answer_is_taken_than_its_limit_allows(tmp_path: Path, headers: bytes) -> None:
    sent: list[int] = []
    megabyte = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"

    def endless(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n")
        for _ in range(200):
            connection.sendall(megabyte)
            sent.append(len(megabyte))

    with closing(RawServer(endless)) as server:
        source = a_source(endpoint=server.url, start_from="1h", limits=Limits(page_bytes=1_000_000))
        with pytest.raises(BadAnswer, match=r"limits\.page_bytes|both Content-Length and Transfer-Encoding"):
            raise poll(source, tmp_path) or AssertionError("it was taken")
    assert len(sent) < 32


@row(
    "case-trickle_vendor",
    behaviour="one deadline over header and body together, whatever trickles; the run's own holds too",
)
@pytest.mark.parametrize("limits", [{"total_timeout_ms": 400}, {"run_seconds": 1}])
def test_a_vendor_that_trickles_ends_with_its_limit(tmp_path: Path, limits: dict[str, int]) -> None:
    def drops(connection: Any) -> None:
        server.trickle(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", iter(lambda: b" ", b""))

    with closing(RawServer(drops)) as server:
        source = a_source(endpoint=server.url, start_from="1h", limits=Limits(read_timeout_ms=5_000, **limits))
        began_s = time.monotonic()
        error = poll(source, tmp_path)
    assert time.monotonic() - began_s < 5
    assert isinstance(error, VendorUnavailable)
    assert f"limits.{next(iter(limits))}" in str(error)


@row("case-link_header_quadratic", behaviour="Link headers are read in linear time")
def test_a_link_header_of_nothing_but_brackets_costs_nothing(tmp_path: Path) -> None:
    headers = [("Link", "<" * 60_000)] * 3
    with collecting(tmp_path, lambda _: Response.json({"rows": events(3)}, headers=headers), pagination=LINK) as (
        source,
        siem,
        _,
    ):
        began_s = time.process_time()
        assert poll(source, tmp_path) is None
    assert time.process_time() - began_s < 2
    assert siem.ids == ["e0", "e1", "e2"]


@row(
    "case-long_cursors",
    behaviour="a cursor or link beyond 64 KB is refused in words; those of a walk are kept as digests",
)
@pytest.mark.parametrize("paging", [CURSOR, NEXT_URL])
def test_a_cursor_of_megabytes_is_refused_and_its_page_delivered(tmp_path: Path, paging: Pagination) -> None:
    body = {"rows": events(3), "next": "/logs?n=1#" + "x" * 4_000_000}
    with collecting(tmp_path, lambda _: Response.json(body), pagination=paging) as (source, siem, asked):
        error = poll(source, tmp_path)
    assert isinstance(error, BadAnswer | VendorRefused)
    assert "4000010 characters long" in str(error)
    assert siem.ids == ["e0", "e1", "e2"]
    assert len(asked) == 1


HEADER = f"Bearer {SECRET}"
AGAIN = (SECRET + " ") * 100  # wherever a message is cut, it is in the midst of one
LEAKS: dict[str, Response] = {
    "cut": Response(401, AGAIN.encode()),
    "html": Response(200, f"<html>{AGAIN}".encode()),
    "half": Response(401, f"the token {SECRET[:12]}… is unknown".encode()),
    "capitals": Response(401, SECRET.lower().encode()),
    "base64": Response(401, base64.b64encode(HEADER.encode())),
    "base64 in base64": Response(500, base64.b64encode(base64.b64encode(HEADER.encode()))),
    "hex": Response(401, HEADER.encode().hex().encode()),
    "percent": Response(401, "".join(f"%{ord(each):02x}" for each in HEADER).encode()),
    "json": Response(401, ('{"error": "' + "".join(f"\\u{ord(each):04x}" for each in HEADER) + '"}').encode()),
    "redirect": Response(302, b"", [("Location", f"http://user:{SECRET}@elsewhere.example/")]),
    "redirect host": Response(302, b"", [("Location", f"http://{SECRET}.example/")]),
    "port": Response.json({"rows": [], "next": f"http://127.0.0.1:{SECRET}/x"}),
    "object": Response.json({"rows": [], "next": {"token": SECRET}}),
    "wrapped": Response.json(json.dumps({"rows": [{"secret": SECRET}]})),
    "length": Response(200, b"", [("Transfer-Encoding", SECRET)]),
}


def pieces(secret: str) -> set[str]:
    """Eight characters in a row, in the spellings that the servers above use."""
    forms = [secret, secret.lower(), secret.encode().hex(), base64.b64encode(HEADER.encode()).decode()[12:-4]]
    return {form[at : at + 8] for form in forms for at in range(len(form) - 7)}


@row(
    "case-masks",
    behaviour="masked first and cut afterwards; a text is decoded, and eight characters in a row are a secret",
)
@pytest.mark.parametrize("form", LEAKS)
def test_no_eight_characters_of_a_secret_come_out(tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = LEAKS[form]
    with collecting(tmp_path, lambda _: answer, pagination=NEXT_URL if form == "port" else CURSOR) as (
        source,
        _,
        _asked,
    ):
        error = poll(source, tmp_path)
    said = f"{error}{caplog.text}"
    assert "test-source: " in str(error) or form in (
        "port",
        "object",
    )  # an empty page names no next one: nothing is followed
    assert not {piece for piece in pieces(SECRET) if piece in said}


def test_of_an_address_from_the_environment_only_the_server_is_shown(tmp_path: Path) -> None:
    with collecting(tmp_path, lambda _: Response(500, b"no")) as (source, _, _asked):
        server = source.endpoint.removesuffix("/logs")
        source = source.model_copy(update={"endpoint": "${ADDRESS}"})
        error = poll(source, tmp_path, {"ADDRESS": f"{server}/services/T0/XyZ12345abc?api_key=QUERYcanary0123456789"})
    assert str(error) == f"test-source: GET {server}/…: HTTP 500: no"


FORGED = "no\n2026-01-01T00:00:00+0000 INFO    Shipped 999 events to SIEM (HTTP 200 OK)\r\n\x1b]0;owned\x07\x1b[2J\u202e\u2028"


@row("case-log_forging", behaviour="what comes from outside stays on its line, with its control characters written out")
def test_text_from_outside_stays_on_its_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    siem = Siem(Response(400, FORGED.encode()))

    def answer(_request: Request) -> Response:
        return Response.json({"rows": events(1)}) if len(asked) == 1 else Response(401, FORGED.encode())

    with collecting(tmp_path, answer, siem=siem) as (source, _, asked):
        assert poll(source, tmp_path) is None
        error = poll(source, tmp_path)
    layout = StateLayout.of(None, tmp_path / "state", tmp_path / "work")
    letters = layout.dead_letters(source.name)
    reasons = [letter.reason for letter_id in letters.list() for letter in letters.read(letter_id)]
    lines = [OneLine(FORMAT).format(record) for record in caplog.records]
    assert len(reasons) == 1
    assert "HTTP 401: no\\n2026-01-01T00:00:00+0000 INFO" in str(error)
    for text in [str(error), *reasons, *lines]:
        assert text.isprintable(), text
