"""Field reports: what vendors write that no decoder reads, and what was made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flicker_dagster.config.groups import Pagination
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import BadAnswer, VendorRefused
from flicker_dagster.pipeline.begin import starting_position
from flicker_dagster.pipeline.deliver import LiveReport, deliver_live
from flicker_dagster.pipeline.fetch import fetch_live
from flicker_dagster.pipeline.replay import replay
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import datetime_of, rfc3339_ms
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.conformance.harness import Clock
from flicker_dagster_tests.conformance.rows import cases, row

cases(
    {
        "deep_event": "one event nested 1,500 levels deep, and its page is refused at every poll",
        "status_204_quiet": "a vendor that answers 204 where there is nothing cannot be polled while it is quiet",
        "local_zone": "times in the account's own zone are taken for UTC: events come hours late, or from the future",
        "error_in_200_told": "the vendor's reason in a 200 is hidden behind a results_field that is missing because of it",
        "filter_redos": "one value of 46 characters, and a filter freezes every source",
        "replay_bad_bytes": "dead letters with bytes that are no UTF-8 end the replay of all",
    }
)


class Vendor:
    """Answers with what a test says."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        self._server = Server(lambda request: self.answer(request))
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()


class Siem:
    """Keeps bodies as they came, but refuses those in which `refuses` is found."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.refuses: bytes | None = None
        self._server = Server(self._take)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _take(self, request: Request) -> Response:
        if self.refuses is not None and self.refuses in request.body:
            return Response(400, b"no")
        self.bodies.append(request.body)
        return Response(200, b"")


class Installation:
    def __init__(self, vendor: Vendor, siem: Siem, source: SourceConfig, directory: Path) -> None:
        self.vendor, self.siem, self.source, self.directory = vendor, siem, source, directory
        self.clock = Clock()

    def work(self) -> SourceWork:
        layout = StateLayout.of(None, self.directory / "state", self.directory / "work")
        return SourceWork(self.source, layout, clock=self.clock)

    def poll(self) -> LiveReport:
        with self.work() as work, work.spool.lock():
            fetch_live(work, starting_position(work))
            return deliver_live(work)

    def letters(self) -> list[bytes]:
        with self.work() as work:
            kept = work.lanes[0].dead_letters
            return [letter.event for id_ in kept.list() for letter in kept.read(id_)]

    def reasons(self) -> list[str]:
        with self.work() as work:
            kept = work.lanes[0].dead_letters
            return [letter.reason for id_ in kept.list() for letter in kept.read(id_)]

    def replay(self) -> tuple[int, int]:
        """Events taken and kept."""
        with self.work() as work, work.spool.lock():
            lane = work.lanes[0]
            done = [replay(work, lane, letter_id) for letter_id in lane.dead_letters.list()]
        return sum(each.accepted for each in done), sum(each.refused for each in done)


@contextmanager
def installation(
    directory: Path, answer: Callable[[Request], Response], *, destination: str = "json", **source: Any
) -> Iterator[Installation]:
    vendor, siem = Vendor(answer), Siem()
    made = a_source(
        **{
            "endpoint": f"{vendor.url}/logs",
            "start_from": "1h",
            "pagination": Pagination(pagination_type="none"),
            "destination": {"type": "http", "endpoint": f"{siem.url}/in", "format": destination},
        }
        | source
    )
    try:
        yield Installation(vendor, siem, made, directory)
    finally:
        vendor.close()
        siem.close()


def an_event(name: str, extra: bytes = b"", *, at_ms: int | None = None) -> bytes:
    at = rfc3339_ms(Clock().now_ms - 60_000 if at_ms is None else at_ms)
    return b'{"id":"%s","time":"%s"%s}' % (name.encode(), at.encode(), extra)


def page(*events: bytes) -> Callable[[Request], Response]:
    return lambda _request: Response(200, b"[" + b",".join(events) + b"]")


DEEP = b',"x":' + b"[" * 1_500 + b"]" * 1_500


@row(
    "case-deep_event",
    behaviour="one dead letter that says so; its neighbours are delivered, and it is asked about once",
)
@pytest.mark.parametrize("destination", ["json", "ndjson", "envelope"])
def test_an_event_too_deep_is_one_dead_letter(tmp_path: Path, destination: str) -> None:
    deep, plain = an_event("deep", DEEP), [an_event("one"), an_event("two")]
    with installation(tmp_path, page(plain[0], deep, plain[1]), destination=destination) as here:
        first, second = here.poll(), here.poll()
        assert (first.tally.new, first.tally.set_aside, first.tally.seen) == (2, 1, 3)
        assert (second.tally.new, second.tally.set_aside, second.tally.known) == (0, 0, 3)
        assert here.letters() == [deep]
        assert "nested 1501 levels deep" in here.reasons()[0]
        assert len(here.siem.bodies) == 1
        assert all(event in here.siem.bodies[0] for event in plain)
        assert here.replay() == (1, 0)  # on its own, as it came
        assert deep in here.siem.bodies[1]


ODD = {
    "NaN": b',"x":NaN,"y":-Infinity',
    "beyond a double": b',"x":1e400',
    "a raw control character": b',"x":"a\x01b\tc"',
    "a bad escape": rb',"x":"C:\users"',
    "bytes that are no UTF-8": b',"x":"\xff\xfe"',
    "half an emoji": rb',"x":"\ud83d"',
    "a key twice": b',"x":1,"x":2',
    "nested 900 levels": b',"x":' + b"[" * 900 + b"]" * 900,
    "a bare word": b',"x":undefined',
    "an absurd time": b',"time":"9999-99-99"',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("destination", ["json", "ndjson", "envelope"])
def test_an_odd_event_arrives_as_it_came(tmp_path: Path, odd: bytes, destination: str) -> None:
    events = [an_event("one"), an_event("odd", odd), an_event("two")]
    with installation(tmp_path, page(*events), destination=destination, message_field="x") as here:
        assert here.poll().tally.new == 3
        assert here.poll().tally.known == 3
        (body,) = here.siem.bodies
        assert [body.count(event) for event in events] == [1, 1, 1]
        if destination != "envelope":
            assert len(body) == sum(map(len, events)) + (4 if destination == "json" else 3)


@pytest.mark.parametrize("destination", ["json", "ndjson", "envelope"])
def test_a_damaged_event_is_one_dead_letter(tmp_path: Path, destination: str) -> None:
    damaged = an_event("damaged", b',"x":"he said "no" to it"')
    with installation(tmp_path, page(an_event("one"), damaged, an_event("two")), destination=destination) as here:
        tally = here.poll().tally
        assert (tally.new, tally.set_aside) == (2, 1)
        assert here.letters() == [damaged]
        assert "it is not JSON" in here.reasons()[0]


def test_a_line_break_in_an_event_makes_no_second_line(tmp_path: Path) -> None:
    broken = an_event("broken", b',"x":"a\nb"')
    with installation(tmp_path, page(an_event("one"), broken), destination="ndjson") as here:
        here.poll()
        assert len(here.siem.bodies[0].splitlines()) == 1
        assert here.letters() == [broken]
        assert here.replay() == (0, 1)
        assert len(here.siem.bodies) == 1
        here.source = a_source(
            **here.source.model_dump() | {"destination": here.source.destination.model_dump() | {"format": "json"}}
        )
        assert here.replay() == (1, 0)
        assert here.siem.bodies[1] == b"[" + broken + b"]"


@row(
    "case-replay_bad_bytes", behaviour="sent again byte for byte; one that nobody reads keeps no other from being sent"
)
@pytest.mark.parametrize("destination", ["json", "ndjson", "envelope"])
def test_dead_letters_are_sent_again_whatever_is_in_them(tmp_path: Path, destination: str) -> None:
    events = [
        an_event(f"e{number}", b',"evil":1' + odd) for number, odd in enumerate([*ODD.values(), DEEP, b',"x":"a"b"'])
    ]
    with installation(tmp_path, page(an_event("good"), *events), destination=destination) as here:
        here.siem.refuses = b"evil"
        here.poll()
        assert sorted(here.letters()) == sorted(events)
        here.siem.refuses, here.siem.bodies = None, []
        assert here.replay() == (len(events), 0)
        sent = b"".join(here.siem.bodies)
        assert [sent.count(event) for event in events] == [1] * len(events)
        assert here.letters() == []
        assert here.poll().tally.known == len(events) + 1


def test_what_the_siem_refuses_again_stays_and_the_rest_goes(tmp_path: Path) -> None:
    events = [an_event(f"e{number}", b',"evil":1' + odd) for number, odd in enumerate(ODD.values())]
    with installation(tmp_path, page(an_event("good"), *events)) as here:
        here.siem.refuses = b"evil"
        here.poll()
        here.siem.refuses = b"NaN"
        assert here.replay() == (len(events) - 1, 1)
        assert here.letters() == [events[0]]


@row("case-status_204_quiet", behaviour="a page without events; so are an empty body and null with results_optional")
def test_a_vendor_may_say_nothing_in_several_ways(tmp_path: Path) -> None:
    said = [
        Response(204, b""),
        Response(200, b""),
        Response(200, b" \n"),
        Response(200, b"null"),
        Response(200, b'{"items":null}'),
    ]
    with installation(
        tmp_path, lambda _request: said.pop(0), results_field="items", results_optional=True, time_filter_param="since"
    ) as here:
        for _ in range(5):
            report = here.poll()
            assert report.complete
            assert report.tally.seen == 0
    with installation(tmp_path / "other", lambda _request: Response(204, b""), results_field="items") as here:
        assert here.poll().complete
    for nothing in (b"", b"null"):
        with installation(tmp_path / "third", page(nothing)) as here:
            here.vendor.answer = lambda _request, nothing=nothing: Response(200, nothing)
            with pytest.raises(BadAnswer, match=r"empty|expected"):
                here.poll()


@pytest.mark.parametrize("kind", ["cursor", "page", "offset", "next_url"])
def test_a_walk_may_end_with_204(tmp_path: Path, kind: str) -> None:
    paging = Pagination(
        pagination_type=kind,  # type: ignore[arg-type]
        page_size=2,
        cursor_param="after",
        next_cursor_field="next",
        page_param="page",
        offset_param="offset",
        next_url_field="url",
    )
    pages = [{"items": [json.loads(an_event("a")), json.loads(an_event("b"))], "next": "x", "url": "/logs?page=2"}]

    def answer(_request: Request) -> Response:
        return Response.json(pages.pop()) if pages else Response(204, b"")

    with installation(tmp_path, answer, results_field="items", pagination=paging) as here:
        report = here.poll()
        assert report.complete
        assert report.tally.new == 2


@pytest.mark.parametrize("status", [202, 206])
def test_a_success_that_is_no_whole_answer_is_an_error_and_shows_no_event(tmp_path: Path, status: int) -> None:
    with installation(tmp_path, lambda _request: Response(status, b'[{"id":"secret-event"}]')) as here:
        with pytest.raises(VendorRefused, match=f"HTTP {status}") as caught:
            here.poll()
        assert "secret-event" not in str(caught.value)


@row("case-local_zone", behaviour="time_zone names the zone, for the event's time and for the time filter")
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "+09:00", "America/St_Johns"])
def test_times_in_the_accounts_own_zone(tmp_path: Path, zone: str) -> None:
    clock = Clock()
    tz = ZoneInfo(zone) if "/" in zone else datetime_of(0).strptime(zone, "%z").tzinfo
    rows_ms = [clock.now_ms // 1000 * 1000 - 60_000 * minutes for minutes in range(1, 180)]
    asked: list[str] = []

    def local(ms: int) -> str:
        return datetime_of(ms).astimezone(tz).strftime("%Y-%m-%d %H:%M:%S")

    def answer(request: Request) -> Response:
        since, until = request.query["since"], request.query["until"]
        asked.append(since)
        found = [{"id": str(ms), "time": local(ms)} for ms in rows_ms if since <= local(ms) <= until]
        return Response.json(found)

    with installation(
        tmp_path,
        answer,
        time_zone=zone,
        time_filter_param="since",
        time_filter_until_param="until",
        time_filter_format="%Y-%m-%d %H:%M:%S",
    ) as here:
        report = here.poll()
        assert 59 <= report.tally.new <= 63  # an hour and the lookback
        assert report.tally.last_ms == rows_ms[0]
        assert here.poll().tally.new == 0
        assert asked[0] <= local(clock.now_ms - 3_600_000)


@row("case-error_in_200_told", behaviour="error_field is looked at first; without one, what speaks of an error is told")
@pytest.mark.parametrize("keys", [{"error_field": "error"}, {}, {"results_optional": True}])
@pytest.mark.parametrize("results", [{}, {"entries": None}, {"entries": {}}])
def test_the_vendors_reason_is_told(tmp_path: Path, keys: dict[str, Any], results: dict[str, Any]) -> None:
    said = {"ok": False, "error": "invalid_auth", **results}
    with installation(tmp_path, lambda _request: Response.json(said), results_field="entries", **keys) as here:
        with pytest.raises(BadAnswer) as caught:
            here.poll()
        assert "invalid_auth" in str(caught.value)
        assert "results_optional" not in str(caught.value)


@row(
    "case-filter_redos", behaviour="filters run on an engine that takes linear time; a pattern it cannot do is refused"
)
def test_no_value_makes_a_filter_slow(tmp_path: Path) -> None:
    hostile = an_event("x", b',"who":"' + b"a" * 500_000 + b'!"')
    filters = [{"field": "who", "pattern": r"^([a-zA-Z0-9_.-]+)+@example\.com$"}]
    with installation(tmp_path, page(hostile, an_event("y", b',"who":"me@example.com"')), match_on=filters) as here:
        tally = here.poll().tally
        assert (tally.new, tally.filtered) == (1, 1)
