"""Field reports about resume points and spans: a small vendor each, and what Flicker does now."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.cli.once import poll_once
from flicker_dagster.config.groups import Limits, Pagination
from flicker_dagster.errors import CollectError
from flicker_dagster.orchestration.verified import due_windows
from flicker_dagster.times import parse_time_ms, rfc3339_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.conformance.scripted import HOUR_S, events, paged, poll, queries, settings_of

cases(
    {
        "kept_walk_new_config": "a kept page number outlives the setting that made it, and the source is stuck after the "
        "remedy; what was read waits for ever",
        "refused_resume_422": "a kept cursor that is refused with an unforeseen status is asked with for ever",
        "slice_exceeded": "the lookback is added to slice_ms, so that a vendor with a longest span refuses every poll",
        "day_granular_upper_bound": "an upper bound in days is rounded up to tomorrow, and refused",
    }
)


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
        due = due_windows(instance, scene.work())
    assert due
    assert max(window.end_ms for window in due) <= clock.now_s // 86_400 * 86_400_000
    with pytest.raises(CollectError, match="can be read from"):
        scene.sweep(scene.key_of(clock.now_ms - 2 * HOUR_S * 1000))


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

    scene = open_scene(answer, clock, **paged("next"))
    settings = settings_of(scene, tmp_path, "next")
    assert poll_once(settings) == 1
    assert len(scene.received()) == 20
    shown = " ".join(capsys.readouterr().out.split())
    assert "HTTP 400" in shown
    assert poll_once(settings) == 1
    assert set(scene.received().values()) == {1}
