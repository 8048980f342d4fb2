"""The operator's commands beside a Flicker that runs: a rewind reaches the live sensor, a backfill its daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from flicker_dagster.cli.main import cli
from flicker_dagster.simulator.world import World
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.e2e.stack import Stack, a_stack

pytestmark = pytest.mark.timeout(600)

OKTA = "okta-audit-logs"
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("operating")
    with World(rate=1, history_s=3 * 3600) as world, a_stack(home, world) as stack:
        stack.wait_delivered("everything is delivered")
        yield stack


def flicker(stack: Stack, *arguments: str) -> str:
    where = ["-c", str(stack.config_path), "--state-dir", str(stack.home), "--work-dir", str(stack.settings.work_dir)]
    done = CliRunner().invoke(cli, [*where, *arguments], env={"COLUMNS": "300", "DAGSTER_HOME": None})
    assert done.exit_code == 0, done.output
    return done.output


def copies(stack: Stack, source: str) -> dict[str, int]:
    return stack.world.siem.ids(f"/{source}")


def test_status_tells_of_runs(stack: Stack) -> None:
    told = ("live success", "live started", "sweep success")
    stack.wait(lambda: any(words in flicker(stack, "status") for words in told), "status tells of a run")


def test_a_backfill_with_redeliver_ships_its_windows_again_and_no_others(stack: Stack) -> None:
    hour_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS - HOUR_MS
    inside, before = _events(stack, "github", hour_ms, hour_ms + HOUR_MS), _events(stack, "github", 0, hour_ms)
    assert inside
    assert before
    span = (rfc3339_ms(hour_ms), rfc3339_ms(hour_ms + HOUR_MS))
    said = flicker(stack, "backfill", "github-audit-log", *span, "--redeliver", "--url", stack.url)
    assert "of 1 windows" in said
    stack.wait(lambda: all(copies(stack, "github")[i] == 2 for i in inside), "the hour was shipped again")
    assert {copies(stack, "github")[i] for i in before} == {1}


def test_a_rewind_with_redeliver_reaches_the_live_sensor(stack: Stack) -> None:
    known = list(copies(stack, "okta"))
    flicker(stack, "position", "rewind", "4h", OKTA, "--redeliver")
    stack.wait(lambda: all(copies(stack, "okta")[i] == 2 for i in known), "everything was shipped again")
    stack.wait(lambda: "goes on from" not in flicker(stack, "position", "show", OKTA), "the order is done")
    stack.wait_delivered()
    assert max(copies(stack, "okta").values()) == 2
    assert "left by hand" in flicker(stack, "position", "show", OKTA)


def _events(stack: Stack, vendor: str, start_ms: int, end_ms: int) -> list[str]:
    emitted = stack.world.vendor(vendor).emitter.emitted()
    received = copies(stack, vendor)
    return [e.id for e in emitted if start_ms <= e.published_ms < end_ms and e.id in received]
