"""`flicker status`, `sources` and the parts of `backfill` that need no daemon."""

from __future__ import annotations

import json

import pytest

from flicker_dagster.cli.supervise import free_port
from flicker_dagster_tests.cli.scene import Scene

OKTA = "okta-audit-logs"


def row_of(text: str, source: str) -> list[str]:
    [line] = [line for line in text.partition("Destinations")[0].splitlines() if source in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def status(scene: Scene) -> list[str]:
    done = scene.invoke("status")
    assert done.exit_code == 0, done.output
    return row_of(done.output, OKTA)


def test_status_before_anything_was_collected(scene: Scene) -> None:
    assert status(scene)[1] == "nothing collected yet"
    assert "Dagster has not run here yet" in scene.invoke("status").output


def test_status_counts_dead_letters_and_waiting_events(scene: Scene) -> None:
    scene.world.siem.poison = scene.world.vendor("okta").emitter.emit(1)[0].id
    assert scene.run("--once", "--track").returncode == 0
    assert status(scene)[4:6] == ["0", "1"]
    scene.world.vendor("okta").emitter.emit(3)
    scene.world.siem.faults.plan("503", count=None)
    assert scene.run("--once", "--track").returncode == 1
    assert status(scene)[4:6] == ["3", "1"]


def test_status_tells_what_the_vendors_told_of_their_quotas(scene: Scene) -> None:
    assert "Quotas" not in scene.invoke("status").output
    assert scene.run("--once", "--track").returncode == 0
    shown = scene.invoke("status").output.partition("Quotas")[2]
    [row] = [line.strip("│ ").split("│") for line in shown.splitlines() if OKTA in line]
    assert [cell.strip() for cell in row][2::3] == ["6000", "ok"]
    [quota] = [
        each for each in json.loads(scene.invoke("status", "--json").output)["quotas"] if each["account"] == OKTA
    ]
    assert 5_900 < quota["remaining"] < 6_000
    assert (quota["limit"], quota["paused_until"]) == (6_000, None)
    assert quota["resets_at"] > quota["told_at"]


def test_status_tells_until_when_a_vendor_asked_to_wait(scene: Scene) -> None:
    scene.world.vendor("okta").faults.plan("429", retry_after="600")
    scene.run("--once", "--track")
    assert "nobody asks before" in scene.invoke("status").output
    [quota] = [
        each for each in json.loads(scene.invoke("status", "--json").output)["quotas"] if each["account"] == OKTA
    ]
    assert quota["paused_until"] is not None


def test_a_backfill_says_first_what_it_will_take(scene: Scene) -> None:
    scene.edit(OKTA, window={"start": "2026-01-01"})
    done = scene.run("backfill", OKTA, "5h", "now", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.stdout.startswith(
        f"{OKTA}: 5 windows to read: 5 requests, about 2 s; the vendor's quota is not known ("
    )


def test_status_with_a_registry_that_cannot_be_read_fails_and_names_it(scene: Scene) -> None:
    registry = scene.home / "work" / "registry.json"
    registry.parent.mkdir()
    registry.write_text("{")
    done = scene.invoke("status")
    assert done.exit_code == 1
    assert "cannot be read" in done.output


def test_sources_shows_what_the_preset_overruled(scene: Scene) -> None:
    done = scene.invoke("sources")
    assert done.exit_code == 0, done.output
    vendor = row_of(done.output, OKTA)[1]
    assert vendor == "okta"
    assert "flicker --validate" in done.output


def test_a_backfill_without_the_web_ui_says_so(scene: Scene) -> None:
    done = scene.run("backfill", OKTA, "3h", "now", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "cannot be reached (Connection refused); a backfill needs a running Flicker with its web UI" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (("now", "3h"), ", is not before TO, "),
        (("2001-01-01", "2001-01-02"), "to reach further back set window.start"),
        (("2099-01-01", "2099-01-02"), "window in that span has closed yet"),
    ],
)
def test_a_span_that_cannot_be_backfilled_is_refused(scene: Scene, span: tuple[str, str], words: str) -> None:
    done = scene.run("backfill", OKTA, *span)
    assert done.returncode == 1
    assert words in done.stderr
