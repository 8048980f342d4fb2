"""What a sweep found late, as an operator sees it in the Dagster UI, in a real headless browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, TimeoutError

from flicker_dagster.cli.backfill import launch_backfill
from flicker_dagster.pipeline.windows import HOUR_MS, window_at
from flicker_dagster.simulator.world import World
from flicker_dagster_tests.builders import a_source
from flicker_dagster_tests.e2e import test_ui
from flicker_dagster_tests.e2e.stack import Stack, a_stack

pytestmark = pytest.mark.timeout(600)

GITHUB = a_source(name="github-audit-log")
page = test_ui.page  # the browser of the other UI tests, on the stack below


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Live collection covers the past hours; then events of a past hour turn up, too late for its lookback."""
    home = tmp_path_factory.mktemp("lateness")
    with (
        World(vendors=("okta", "github", "salesforce"), rate=0.5, history_s=3 * 3600, history_rate=0.01) as world,
        a_stack(home, world, start_from="4h", sweep={"enabled": False}) as stack,
    ):
        stack.wait_delivered("live collection has covered the past hours")
        yield stack


def test_the_asset_page_shows_how_late_events_were_found_and_which_lookback_would_do(stack: Stack, page: Page) -> None:
    github = stack.world.vendor("github")
    emitter = github.emitter
    window = window_at(GITHUB.window, emitter.now_ms() - 2 * HOUR_MS)
    late = [e.id for e in emitter.emit(20, at_ms=window.start_ms + 60_000) if github.is_listed("", e.body)]
    newer = emitter.now_ms()
    stack.wait(lambda: _delivered_since(stack, newer), "live collection has looked again")
    assert not set(late) & set(stack.world.siem.ids("/github"))  # live collection has passed that hour

    launch_backfill(stack.url, GITHUB.full_name, [window.key], redeliver=False)
    stack.wait(lambda: set(late) <= set(stack.world.siem.ids("/github")), "the window's run delivers them")
    stack.wait(lambda: _checked(stack), "the check was evaluated")
    newer = emitter.now_ms()
    stack.wait(lambda: _delivered_since(stack, newer), "a live run has come after it")

    page.goto(f"{stack.url}/assets/github_audit_log?view=partitions&partition={window.key}")
    for number in ("lateness p50 s", "lateness p95 s", "lateness max s"):
        page.get_by_text(number).first.wait_for()
    words = page.get_by_text(f"{len(late)} were missing and have now been delivered; lookback_ms").first
    stack.wait(
        lambda: _shows(page, f"{stack.url}/assets/github_audit_log?view=checks&checkDetail=complete", words), "words"
    )
    assert stack.world.siem.inbox("/github").twice == 0


def _shows(page: Page, url: str, words: Locator) -> bool:
    """Open the page afresh and give it a while: what it fetched too early it may not fetch again."""
    page.goto(url)
    try:
        words.wait_for(timeout=20_000)
    except TimeoutError:
        return False
    return True


def _delivered_since(stack: Stack, since_ms: int) -> bool:
    received = stack.world.siem.ids("/github")
    return any(e.published_ms >= since_ms and e.id in received for e in stack.world.vendor("github").emitter.emitted())


def _checked(stack: Stack) -> bool:
    query = """{ assetCheckExecutions(assetKey: {path: ["github_audit_log"]}, checkName: "complete", limit: 1)
        { status } }"""
    return any(execution["status"] == "FAILED" for execution in stack.graphql(query)["assetCheckExecutions"])
