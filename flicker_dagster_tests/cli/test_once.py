"""`flicker --once` as a process of its own: every source polled once, delivered, and told by the exit code."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.cli.scene import Scene
from flicker_dagster_tests.modes import open_to_others

#: The log lines of the original command's documentation.
DOCUMENTED = (
    r"Now tailing API source: {name}$",
    r"Fetched {count} new events from {name}$",
    r"Shipped {count} events to SIEM \(HTTP 200 OK\)$",
)
SOURCES = {"okta-audit-logs": "okta", "github-audit-log": "github", "salesforce-audit": "salesforce"}


def everything_arrived_once(world: World) -> bool:
    return all(row.missing == row.twice == row.unknown == 0 and row.emitted for row in world.compare())


def in_siem(world: World) -> dict[str, int]:
    return {row.source: row.in_siem for row in world.compare()}


def test_everything_arrives_once_and_standard_error_says_so_in_the_documented_words(scene: Scene) -> None:
    done = scene.run("--once", "--track")
    assert done.returncode == 0, done.stderr
    assert everything_arrived_once(scene.world)
    for name, vendor in SOURCES.items():
        for pattern in DOCUMENTED:
            line = pattern.format(name=name, count=in_siem(scene.world)[vendor])
            assert re.search(line, done.stderr, re.MULTILINE), line
        assert re.search(rf"{name} .* ok ", done.stdout)
    assert f"Registry saved to {scene.home / 'work' / 'registry.json'}" in done.stderr
    assert open_to_others(scene.home / "work") == []


def test_a_second_run_delivers_only_what_is_new(scene: Scene) -> None:
    assert scene.run("--once", "--track").returncode == 0
    before = in_siem(scene.world)
    scene.world.vendor("okta").emitter.emit(3)
    done = scene.run("--once", "--track")
    assert done.returncode == 0
    assert "Fetched 3 new events from okta-audit-logs" in done.stderr
    assert "Fetched 0 new events from salesforce-audit" in done.stderr
    assert in_siem(scene.world) == before | {"okta": before["okta"] + 3}
    assert everything_arrived_once(scene.world)


def test_the_registry_file_is_where_it_was_asked_for(scene: Scene) -> None:
    registry = scene.home / "elsewhere" / "registry.json"
    done = scene.run("--once", "--track", "--registry-file", str(registry))
    assert done.returncode == 0, done.stderr
    assert f"Registry saved to {registry}" in done.stderr
    assert registry.is_file()


def test_without_track_nothing_is_kept(scene: Scene) -> None:
    done = scene.run("--once")
    assert done.returncode == 0
    assert "Without --track nothing is kept" in done.stderr
    assert os.listdir(scene.home / "work") == []
    assert "is dropped" not in done.stdout
    scene.world.siem.faults.plan("503", count=None)
    done = scene.run("--once")
    assert "Without --track what was not delivered is dropped here" in done.stdout


def test_while_the_siem_is_down_it_fails_and_afterwards_nothing_is_lost(scene: Scene) -> None:
    scene.world.siem.faults.plan("503", count=None)
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    assert "503" in done.stderr
    assert re.search(r"okta-audit-logs +│ [1-9]", done.stdout)  # what was read is told, delivered or not
    assert "is dropped" not in done.stdout
    assert set(in_siem(scene.world).values()) == {0}
    scene.world.siem.faults.clear()
    assert scene.run("--once", "--track").returncode == 0
    assert everything_arrived_once(scene.world)


def test_a_batch_whose_answer_was_lost_is_sent_again_under_the_same_key(scene: Scene) -> None:
    scene.world.siem.faults.plan("commit_then_cut")
    scene.run("--once", "--track")
    assert scene.run("--once", "--track").returncode == 0
    inboxes = [scene.world.siem.inbox(f"/{row.source}") for row in scene.world.compare()]
    assert sum(inbox.repeated_batches for inbox in inboxes) == 1
    assert sum(inbox.repeated_otherwise for inbox in inboxes) == 0
    assert all(row.missing == 0 for row in scene.world.compare())


def test_a_refused_token_fails_with_advice_and_the_other_sources_are_delivered(scene: Scene) -> None:
    scene.env["GITHUB_TOKEN"] = "wrong-token-of-ours"
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if " ERROR " in line]
    assert "HTTP 401" in error
    assert "check the credentials" in error
    assert f"headers.Authorization, from ${{GITHUB_TOKEN}} ({scene.config_path}:" in error
    assert error.count("github-audit-log: ") == 1
    assert "wrong-token-of-ours" not in done.stdout + done.stderr
    arrived = in_siem(scene.world)
    assert arrived.pop("github") == 0
    assert min(arrived.values()) > 100


def test_a_refusing_siem_is_told_with_the_credentials_that_it_was_sent(scene: Scene) -> None:
    scene.world.siem.token = "another"
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " ERROR " in line]
    assert len(errors) == len(SOURCES)
    for error in errors:
        assert "the SIEM refuses: HTTP 401" in error
        assert "destination.auth.token, from ${SIEM_API_KEY} (" in error
        assert "fix the destination's credentials" in error
    assert "demo-siem-key" not in done.stdout + done.stderr


def test_a_rate_limit_fails_with_its_advice(scene: Scene) -> None:
    scene.world.vendor("okta").faults.plan("429", retry_after="120", count=None)
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    assert "API returned 429 Too Many Requests, asks to wait 120 s" in done.stderr
    assert "Increase polling_frequency_ms" in done.stderr
    assert in_siem(scene.world)["salesforce"] > 100
    scene.world.vendor("okta").faults.clear()


def test_an_unset_variable_fails_its_own_source_only(scene: Scene) -> None:
    scene.env["OKTA_API_TOKEN"] = ""
    del scene.env["OKTA_API_TOKEN"]
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if " ERROR " in line]
    place = rf"{scene.config_path}:\d+: headers.Authorization"
    assert re.search(
        rf"okta-audit-logs: {place}: \$\{{OKTA_API_TOKEN\}} is not set; set the environment variable", error
    )
    assert in_siem(scene.world)["okta"] == 0
    assert in_siem(scene.world)["github"] > 0


@pytest.mark.parametrize("vendor", ["okta", "github", "salesforce"])
def test_no_secret_shows_anywhere(scene: Scene, vendor: str, tmp_path: Path) -> None:
    scene.world.vendor(vendor).faults.plan("500", count=None)
    done = scene.run("--once", "--track")
    assert done.returncode == 1
    written = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    for secret in ("demo-okta-token", "demo-github-token", "demo-salesforce-token", "demo-siem-key"):
        assert secret not in done.stdout + done.stderr
        assert not any(secret in text for text in written)
