"""Field reports about walks whose end is not proven: what is in doubt is said, and nothing is certified."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from flicker_dagster.cli.dry_run import dry_run_all
from flicker_dagster.cli.once import poll_once
from flicker_dagster.errors import EndUnproven
from flicker_dagster.orchestration import names
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.conformance.harness import Clock, Scene
from flicker_dagster_tests.conformance.rows import cases, row
from flicker_dagster_tests.conformance.scripted import HOUR_S, Answer, events, paged, poll, settings_of
from flicker_dagster_tests.orchestration.built import job_of

cases(
    {
        "first_page_only": "a paging field that is misspelt, or has a dot in its name, ends each walk after its first page, "
        "and the window is certified",
    }
)


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


def _three_hours_ago(clock: Clock) -> float:
    """How old the middle of the hour is that ended two to three hours ago."""
    return clock.now_s - (clock.now_s // HOUR_S * HOUR_S - 2.5 * HOUR_S)


@row("case-first_page_only", behaviour="a full page without what names the next one is said, and nothing is certified")
def test_a_misspelt_paging_field_is_said_and_certifies_nothing(
    open_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(_misspelt(clock, "something", rows), clock, **paged("nextCursor"))
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
    scene.source = scene.source.model_copy(update=paged("something"))
    poll(scene)
    assert scene.received() == {r["id"]: 1 for r in rows}, "and what was not read is not lost"


@row("case-first_page_only", behaviour="")
@pytest.mark.parametrize("field", ["@odata.nextLink", "next.page.token"])
def test_a_paging_field_with_dots_in_its_name_is_found_as_it_is_written(
    open_scene: Callable[..., Scene], field: str
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(_misspelt(clock, field, rows), clock, **paged(field))
    assert poll(scene) is None
    assert scene.received() == {r["id"]: 1 for r in rows}
    assert scene.sweep(scene.key_of(parse_time_ms(rows[-1]["time"]) or 0)).tally.seen == 25


@row("case-first_page_only", behaviour="")
def test_events_without_a_time_that_can_be_read_certify_nothing(open_scene: Callable[..., Scene]) -> None:
    clock = Clock()
    rows = events(clock, 5, newest_age_s=_three_hours_ago(clock), step_s=10)
    scene = open_scene(lambda _query: {"value": rows}, clock, **paged("next") | {"timestamp_field": "published"})
    poll(scene)
    with pytest.raises(
        EndUnproven, match=r"5 of 5 events have no time that can be read: there is nothing in published"
    ):
        scene.sweep(scene.key_of(clock.now_ms - 3 * HOUR_S * 1000))
    scene.deliver()
    assert scene.received() == {r["id"]: 1 for r in rows}


@row("case-first_page_only", behaviour="")
@pytest.mark.parametrize("command", [poll_once, dry_run_all])
def test_once_and_dry_run_say_what_is_in_doubt_and_exit_with_1(
    open_scene: Callable[..., Scene], tmp_path: Path, capsys: Any, command: Callable[[Settings], int]
) -> None:
    clock = Clock()
    rows = events(clock, 25, newest_age_s=60)
    scene = open_scene(_misspelt(clock, "next_cursor", rows), clock, **paged("nextCursor"))
    assert command(settings_of(scene, tmp_path, "nextCursor")) == 1
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "no nextCursor (pagination.next_cursor_field), but it has 'next_cursor'" in shown
    assert command(settings_of(scene, tmp_path, "next_cursor")) == 0
