"""`flicker --dry-run`: one real look, nothing shipped, nothing written."""

from __future__ import annotations

import re

import pytest

from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.cli.scene import Scene

HOUR_MS = 3_600_000


def shown(output: str, source: str) -> dict[str, list[str]]:
    """The lines of a source's block, by their key."""
    rows: dict[str, list[str]] = {}
    [block] = [block for block in output.split("\n\n") if re.match(rf"source +{source}\n", block)]
    key = ""
    for line in block.splitlines():
        label, _, value = line.partition("  ")
        key = label or key
        rows.setdefault(key, []).append(value.strip())
    return rows


@pytest.mark.parametrize(("source", "vendor"), [("okta-audit-logs", "okta"), ("salesforce-audit", "salesforce")])
def test_it_shows_count_first_and_last_event_and_the_vendors_own_ids(scene: Scene, source: str, vendor: str) -> None:
    done = scene.invoke("--dry-run")
    assert done.exit_code == 0, done.output
    emitted = scene.world.vendor(vendor).emitter.emitted()
    rows = shown(done.stdout, source)
    assert rows["would ship"] == [f"{len(emitted)} events"]
    assert rows["first event"] == [rfc3339_ms(emitted[0].published_ms)]
    assert rows["last event"] == [rfc3339_ms(emitted[-1].published_ms)]
    assert rows["sample ids"] == [event.id for event in emitted[:2]]
    assert int(rows["requests"][0]) >= 1


def test_times_and_ids_are_whole_in_a_narrow_terminal(scene: Scene) -> None:
    scene.env["COLUMNS"] = "80"
    done = scene.invoke("--dry-run")
    first = scene.world.vendor("okta").emitter.emitted()[0]
    assert shown(done.stdout, "okta-audit-logs")["sample ids"][0] == first.id
    assert "…" not in done.stdout


def test_it_ships_nothing_and_moves_no_position(scene: Scene) -> None:
    done = scene.invoke("--dry-run", "--track", "--registry-file", str(scene.home / "registry.json"))
    assert done.exit_code == 0, done.output
    assert "Nothing was shipped and no position has moved." in done.stdout
    assert scene.world.siem.requests == 0
    assert not (scene.home / "registry.json").exists()
    assert not list((scene.home / "work").rglob("registry*.json"))


def test_a_look_between_two_runs_changes_nothing(scene: Scene) -> None:
    registry = scene.home / "work" / "registry.json"
    assert scene.run("--once", "--track").returncode == 0
    before = registry.read_bytes()
    scene.world.vendor("okta").emitter.emit(4)
    done = scene.invoke("--dry-run", "--track")
    assert shown(done.stdout, "okta-audit-logs")["would ship"] == ["4 events"]
    assert registry.read_bytes() == before
    assert scene.run("--once", "--track").returncode == 0
    assert all(row.missing == row.twice == 0 for row in scene.world.compare())


def test_a_first_start_from_now_looks_at_the_last_day(scene: Scene) -> None:
    scene.edit("okta-audit-logs", start_from="now")
    rows = shown(scene.invoke("--dry-run").stdout, "okta-audit-logs")
    assert rows["would ship"] == ["180 events"]


def test_it_stops_after_a_few_pages_and_says_there_is_more(scene: Scene) -> None:
    scene.world.vendor("github").emitter.emit(900)
    rows = shown(scene.invoke("--dry-run").stdout, "github-audit-log")
    assert rows["requests"] == ["5"]
    assert re.fullmatch(r"\d+\+ events", rows["would ship"][0])


def test_a_look_goes_on_to_the_slices_after_the_first(scene: Scene) -> None:
    scene.edit("okta-audit-logs", start_from="now", slice_ms=20 * HOUR_MS, time_filter_bounded_live=True)
    rows = shown(scene.invoke("--dry-run").stdout, "okta-audit-logs")
    assert rows["would ship"] == ["180 events"]


def test_slices_that_were_not_looked_at_are_more(scene: Scene) -> None:
    scene.edit("okta-audit-logs", start_from="now", slice_ms=HOUR_MS, time_filter_bounded_live=True)
    rows = shown(scene.invoke("--dry-run").stdout, "okta-audit-logs")
    assert rows["would ship"] == ["0+ events"]


def test_filters_are_applied(scene: Scene) -> None:
    scene.edit("okta-audit-logs", match_on=[{"field": "eventType", "pattern": "^user\\.session\\.start$"}])
    events = scene.world.vendor("okta").emitter.emitted()
    wanted = [event.id for event in events if b'"user.session.start"' in event.body]
    done = scene.invoke("--dry-run")
    rows = shown(done.stdout, "okta-audit-logs")
    assert rows["would ship"] == [f"{len(wanted)} events"], done.output
    assert rows["sample ids"] == wanted[:2]


def test_an_event_without_an_id_says_so(scene: Scene) -> None:
    scene.edit("okta-audit-logs", id_field="nothing.here")
    rows = shown(scene.invoke("--dry-run").stdout, "okta-audit-logs")
    assert rows["sample ids"] == ["(none: known by its content)"] * 2


def test_a_source_that_fails_says_why_beside_the_others_and_shows_no_secret(scene: Scene) -> None:
    scene.env["GITHUB_TOKEN"] = "wrong-token-of-ours"
    done = scene.invoke("--dry-run")
    assert done.exit_code == 1
    failed = " ".join(shown(done.stdout, "github-audit-log")["failed"])
    assert "HTTP 401" in failed
    assert "check the credentials" in failed
    assert shown(done.stdout, "okta-audit-logs")["would ship"] == ["180 events"]
    for secret in ("wrong-token-of-ours", "demo-okta-token", "demo-siem-key"):
        assert secret not in done.output


def test_brackets_in_a_vendors_answer_are_shown_as_they_are(scene: Scene) -> None:
    scene.edit("okta-audit-logs", results_field="[/red]", vendor="generic")
    done = scene.invoke("--dry-run")
    assert done.exit_code == 1
    assert "[/red]" in " ".join(shown(done.stdout, "okta-audit-logs")["failed"])
