"""Field reports about walks, resume points, spans and verdicts: a small vendor each, and what Flicker does now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.cli.dry_run import dry_run_all
from flicker_dagster.cli.once import poll_once
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.config.groups import Limits, Pagination, RetryConfig
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.errors import CollectError, EndUnproven
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.server import Request, Response
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.orchestration.built import job_of

cases(
    {
        "kept_walk_new_config": "a kept page number outlives the setting that made it, and the source is stuck after the "
        "remedy; what was read waits for ever",
        "refused_resume_422": "a kept cursor that is refused with an unforeseen status is asked with for ever",
        "slice_exceeded": "the lookback is added to slice_ms, so that a vendor with a longest span refuses every poll",
        "day_granular_upper_bound": "an upper bound in days is rounded up to tomorrow, and refused",
        "first_page_only": "a paging field that is misspelt, or has a dot in its name, ends each walk after its first page, "
        "and the window is certified",
    }
)

HOUR_S = 3600
Answer = Callable[[dict[str, str]], Any]


class Scripted(Vendor):
    """A vendor whose answer to a query is a body, or a body and a status. `rows` are its events."""

    name = "scripted"

    def __init__(self, clock: Clock, answer: Answer) -> None:
        self.script = answer
        self.queries: list[dict[str, str]] = []
        super().__init__(clock=clock)

    def answer(self, request: Request, *, expired: bool) -> Response:
        self.queries.append(request.query)
        found = self.script(request.query)
        return Response.json(*found) if isinstance(found, tuple) else Response.json(found)


def events(clock: Clock, count: int, *, newest_age_s: float, step_s: float = 1) -> list[dict[str, str]]:
    """Oldest first; the last is `newest_age_s` old."""
    first_s = clock.now_s - newest_age_s - (count - 1) * step_s
    return [{"id": f"e{i:04d}", "time": rfc3339_ms(int((first_s + i * step_s) * 1000))} for i in range(count)]


@pytest.fixture
def open_scene(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    opened: list[Scene] = []

    def open_scene(answer: Answer, clock: Clock, **source: Any) -> Scene:
        vendor, siem = Scripted(clock, answer), Receiver(clock=clock)
        fields: dict[str, Any] = {
            "name": "audit",
            "endpoint": f"{vendor.url}/logs",
            "polling_frequency_ms": 5_000,
            "id_field": "id",
            "timestamp_field": "time",
            "retry": RetryConfig(max_retries=0),
            "destination": HttpDestination(type="http", endpoint=f"{siem.url}/siem"),
        }
        scene = Scene(vendor, siem, SourceConfig(**fields | source), tmp_path, clock)
        opened.append(scene)
        return scene

    yield open_scene
    for scene in opened:
        scene.close()


def poll(scene: Scene) -> str | None:
    """One poll as `--once` does it; what it failed with."""
    failed = None
    try:
        scene.fetch()
    except CollectError as error:
        failed = str(error)
    scene.deliver()
    return failed


def queries(scene: Scene) -> list[dict[str, str]]:
    assert isinstance(scene.vendor, Scripted)
    return scene.vendor.queries


@row("case-kept_walk_new_config", behaviour="a resume point carries what shaped it; what was read is delivered")
def test_the_remedy_for_a_capped_search_takes_effect(open_scene: Callable[..., Scene]) -> None:
    clock = Clock()
    rows = events(clock, 260, newest_age_s=300, step_s=10)

    def answer(query: dict[str, str]) -> Any:
        since, until = (parse_time_ms(text) or 0 for text in re.findall(r"[\d-]+T[\d:.]+Z", query["q"]))
        page, size = int(query["page"]), int(query["per_page"])
        if (page + 1) * size > 100:
            return {"error": "beyond the maximum of 100 records"}, 400
        return [r for r in rows if since <= (parse_time_ms(r["time"]) or 0) <= until][page * size : (page + 1) * size]

    paging = Pagination(pagination_type="page", page_param="page", first_page=0, limit_param="per_page", page_size=10)
    scene = open_scene(
        answer, clock, query_params={"q": "[{start} TO {end}]"}, pagination=paging, slice_ms=86_400_000, start_from="1h"
    )
    said = poll(scene)
    assert said is not None
    assert "beyond the maximum" in said
    assert len(scene.received()) == 100, "what was read before the failed page"
    scene.source = scene.source.model_copy(update={"slice_ms": 600_000})
    assert poll(scene) is None
    assert scene.received() == {r["id"]: 1 for r in rows}


@row("case-refused_resume_422", behaviour="after three refusals of one resume point collection starts again by time")
def test_a_cursor_refused_for_ever_is_left(open_scene: Callable[..., Scene], caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    rows = events(clock, 4, newest_age_s=60)
    walks: list[int] = []

    def answer(query: dict[str, str]) -> Any:
        after = query.get("after")
        if after is None:
            walks.append(1)
            return {"rows": rows[:2], "next": f"walk{len(walks)}"}
        return ({"error": "cannot be processed"}, 422) if after == "walk1" else {"rows": rows[2:], "next": None}

    paging = Pagination(pagination_type="cursor", cursor_param="after", next_cursor_field="next", page_size=2)
    scene = open_scene(
        answer, clock, results_field="rows", time_filter_param="since", pagination=paging, limits=Limits(run_pages=1),
        start_from="1h",
    )  # fmt: skip
    polls = 0
    while len(scene.received()) < 4:
        poll(scene)
        polls += 1
        assert polls < 8
    assert sum(query.get("after") == "walk1" for query in queries(scene)) == 3
    assert scene.received() == {r["id"]: 1 for r in rows}
    told = [r.getMessage() for r in caplog.records if "started again by time" in r.getMessage()]
    assert len(told) == 1
    assert "HTTP 422" in told[0]


@row(
    "case-slice_exceeded", behaviour="slice_ms bounds every request, lookback included; the polls advance all the same"
)
@pytest.mark.parametrize("lookback_ms", [0, 120_000, 1_800_000, 3_600_000, 9_000_000])
@pytest.mark.parametrize("run_pages", [1, 10_000])
def test_no_request_asks_for_more_than_a_slice(
    open_scene: Callable[..., Scene], lookback_ms: int, run_pages: int
) -> None:
    clock = Clock()
    rows = events(clock, 100, newest_age_s=60, step_s=60)

    def answer(query: dict[str, str]) -> Any:
        since, until = (parse_time_ms(text) or 0 for text in query["interval"].split("/"))
        if until - since > HOUR_S * 1000:
            return f"the interval is too long: {(until - since) / 1000:.0f} s", 400
        return {"items": [r for r in rows if since <= (parse_time_ms(r["time"]) or 0) < until]}

    scene = open_scene(
        answer,
        clock,
        query_params={"interval": "{start}/{end}"},
        results_field="items",
        slice_ms=HOUR_S * 1000,
        lookback_ms=lookback_ms,
        pagination=Pagination(pagination_type="none"),
        limits=Limits(run_pages=run_pages),
        start_from="2h",
    )
    for _ in range(40):
        assert poll(scene) is None
        if len(scene.received()) == 100:
            break
        clock.now_s += 5
    assert scene.received() == {r["id"]: 1 for r in rows}
    sweep = scene.sweep(scene.key_of(clock.now_ms - HOUR_S * 1000))
    assert sweep.tally.seen > 0


@row(
    "case-day_granular_upper_bound",
    behaviour="a bound in a coarse format lies in the future only where that is allowed",
)
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("slice_ms", [None, 3 * 86_400_000, 3_600_000])
def test_a_vendor_that_takes_days_is_never_asked_for_tomorrow(
    open_scene: Callable[..., Scene], inclusive: bool, slice_ms: int | None
) -> None:
    """Whether `to` includes its day or not, every event arrives once; at the day's turn as well."""
    clock = Clock()
    clock.now_s = clock.now_s // 86_400 * 86_400 + 23 * HOUR_S  # an hour before midnight
    rows = events(clock, 40, newest_age_s=120, step_s=12 * HOUR_S)

    def answer(query: dict[str, str]) -> Any:
        since, until = (date.fromisoformat(query[name]) for name in ("from", "to"))
        today = date.fromisoformat(rfc3339_ms(clock.now_ms)[:10])
        if until > today:
            return {"message": "to must not be in the future"}, 400
        there = [r for r in rows if (parse_time_ms(r["time"]) or 0) <= clock.now_ms]
        days = [(r, date.fromisoformat(r["time"][:10])) for r in there]
        return {"items": [r for r, day in days if since <= day and (day <= until if inclusive else day < until)]}

    scene = open_scene(
        answer, clock, results_field="items", time_filter_param="from", time_filter_until_param="to",
        time_filter_format="%Y-%m-%d", pagination=Pagination(pagination_type="none"), start_from="25d", slice_ms=slice_ms,
    )  # fmt: skip
    for _ in range(2):
        assert poll(scene) is None
    assert len(scene.received()) == (40 if inclusive else 38)
    rows += [{"id": "late", "time": rfc3339_ms(clock.now_ms + 59 * 60_000)}]
    rows += [{"id": "new", "time": rfc3339_ms(clock.now_ms + 61 * 60_000)}]
    for _ in range(30):
        clock.now_s += HOUR_S
        assert poll(scene) is None
    assert scene.received() == {r["id"]: 1 for r in rows}


@row("case-day_granular_upper_bound", behaviour="")
def test_an_hour_is_certified_in_days_only_when_its_day_is_over(open_scene: Callable[..., Scene]) -> None:
    clock = Clock()
    clock.now_s = clock.now_s // 86_400 * 86_400 + 12 * HOUR_S
    scene = open_scene(
        lambda _query: {"items": []}, clock, results_field="items", time_filter_param="from",
        time_filter_until_param="to", time_filter_format="%Y-%m-%d", pagination=Pagination(pagination_type="none"),
        start_from="24h",
    )  # fmt: skip
    poll(scene)
    with dg.DagsterInstance.ephemeral() as instance:
        due = due_windows(instance, scene.source, scene.work())
    assert due
    assert max(window.end_ms for window in due) <= clock.now_s // 86_400 * 86_400_000
    with pytest.raises(CollectError, match="can be read from"):
        scene.sweep(scene.key_of(clock.now_ms - 2 * HOUR_S * 1000))


def _misspelt(clock: Clock, field: str, rows: list[dict[str, str]]) -> Answer:
    """Pages of 10, the next one named by `field`."""

    def answer(query: dict[str, str]) -> Any:
        spans = [parse_time_ms(text) or 0 for text in re.findall(r"[\d-]+T[\d:.]+Z", str(query))] or [0, 10**15]
        found = [r for r in rows if spans[0] <= (parse_time_ms(r["time"]) or 0) <= spans[1]]
        at = int(query.get("skip", 0))
        body: dict[str, Any] = {"value": found[at : at + 10]}
        if at + 10 < len(found):
            body[field] = str(at + 10)
        return body

    return answer


def _paged(field: str) -> dict[str, Any]:
    paging = Pagination(pagination_type="cursor", cursor_param="skip", next_cursor_field=field, page_size=10)
    return {
        "query_params": {"range": "{start} {end}"},
        "results_field": "value",
        "pagination": paging,
        "start_from": "6h",
    }


def _three_hours_ago(clock: Clock) -> float:
    """How old the middle of the hour is that ended two to three hours ago."""
    return clock.now_s - (clock.now_s // HOUR_S * HOUR_S - 2.5 * HOUR_S)


@row("case-first_page_only", behaviour="a full page without what names the next one is said, and nothing is certified")
def test_a_misspelt_paging_field_is_said_and_certifies_nothing(
    open_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(_misspelt(clock, "something", rows), clock, **_paged("nextCursor"))
    monkeypatch.setattr(Settings, "work", lambda _self, _source: scene.work())
    with dg.DagsterInstance.ephemeral() as instance:
        live = job_of(scene).execute_in_process(instance=instance)
        checks = {found.check_name: found for found in live.get_asset_check_evaluations()}
        assert not checks[names.CHECK_COMPLETE].passed
        assert "no nextCursor (pagination.next_cursor_field)" in (checks[names.CHECK_COMPLETE].description or "")
        [event] = live.get_asset_materialization_events()
        assert "there may be more" in str(event.materialization.metadata[names.DOUBT_KEY].value)
        with scene.work() as work:
            stands = work.registry.position("audit")
        key = scene.key_of(parse_time_ms(rows[-1]["time"]) or 0)
        swept = job_of(scene).execute_in_process(instance=instance, partition_key=key, raise_on_error=False)
        assert not swept.success
        assert not instance.get_materialized_partitions(dg.AssetKey("audit"))
    assert len(scene.received()) == 10, "what was read is delivered"
    assert stands is not None
    assert parse_time_ms(stands.last_timestamp) < parse_time_ms(rows[0]["time"])  # type: ignore[operator]
    scene.source = scene.source.model_copy(update=_paged("something"))
    poll(scene)
    assert scene.received() == {r["id"]: 1 for r in rows}, "and what was not read is not lost"


@row("case-first_page_only", behaviour="")
@pytest.mark.parametrize("field", ["@odata.nextLink", "next.page.token"])
def test_a_paging_field_with_dots_in_its_name_is_found_as_it_is_written(
    open_scene: Callable[..., Scene], field: str
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(_misspelt(clock, field, rows), clock, **_paged(field))
    assert poll(scene) is None
    assert scene.received() == {r["id"]: 1 for r in rows}
    assert scene.sweep(scene.key_of(parse_time_ms(rows[-1]["time"]) or 0)).tally.seen == 25


@row("case-first_page_only", behaviour="")
def test_events_without_a_time_that_can_be_read_certify_nothing(open_scene: Callable[..., Scene]) -> None:
    clock = Clock()
    rows = events(clock, 5, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(lambda _query: {"value": rows}, clock, **_paged("next") | {"timestamp_field": "published"})
    poll(scene)
    with pytest.raises(
        EndUnproven, match=r"5 of 5 events have no time that can be read: there is nothing in published"
    ):
        scene.sweep(scene.key_of(clock.now_ms - 3 * HOUR_S * 1000))
    scene.deliver()
    assert scene.received() == {r["id"]: 1 for r in rows}


def _settings(scene: Scene, tmp_path: Path, field: str) -> Settings:
    """A configuration of the scene's vendor with pages of 10, as a file."""
    file = tmp_path / "config.yaml"
    file.write_text(
        f"""api_sources:
  - name: audit
    endpoint: "{scene.source.endpoint}"
    polling_frequency_ms: 5000
    results_field: value
    id_field: id
    timestamp_field: time
    pagination: {{pagination_type: cursor, cursor_param: skip, next_cursor_field: {field}, page_size: 10}}
    start_from: 6h
    destination: {{type: http, endpoint: "{scene.siem.url}/siem"}}
"""
    )
    return Settings(config_path=str(file), state_dir=str(tmp_path / "state"), work_dir=str(tmp_path / "work"))


@row("case-first_page_only", behaviour="")
@pytest.mark.parametrize("command", [poll_once, dry_run_all])
def test_once_and_dry_run_say_what_is_in_doubt_and_exit_with_1(
    open_scene: Callable[..., Scene], tmp_path: Path, capsys: Any, command: Callable[[Settings], int]
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=60)
    scene = open_scene(_misspelt(clock, "next_cursor", rows), clock, **_paged("nextCursor"))
    assert command(_settings(scene, tmp_path, "nextCursor")) == 1
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "no nextCursor (pagination.next_cursor_field), but it has 'next_cursor'" in shown
    assert command(_settings(scene, tmp_path, "next_cursor")) == 0


@row("case-kept_walk_new_config", behaviour="")
def test_once_delivers_what_was_read_before_a_failed_page_and_fails(
    open_scene: Callable[..., Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    clock = Clock()
    rows = events(clock, 30, newest_age_s=60)

    def answer(query: dict[str, str]) -> Any:
        at = int(query.get("skip", 0))
        if at == 20:
            return {"message": "no further"}, 400
        return {"value": rows[at : at + 10], "next": str(at + 10)}

    scene = open_scene(answer, clock, **_paged("next"))
    settings = _settings(scene, tmp_path, "next")
    assert poll_once(settings) == 1
    assert len(scene.received()) == 20
    shown = " ".join(capsys.readouterr().out.split())
    assert "HTTP 400" in shown
    assert poll_once(settings) == 1
    assert set(scene.received().values()) == {1}
