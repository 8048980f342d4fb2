"""What an operator does in the Dagster UI, in a real headless browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.browsers import a_browser
from flicker_dagster_tests.e2e.stack import Stack, a_stack

pytestmark = pytest.mark.timeout(600)

PATIENCE_MS = 30_000
HISTORY_HOURS = 9


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Collection starts now; the vendor has hours of history that only backfills and rewinds can bring."""
    home = tmp_path_factory.mktemp("ui")
    window = {"start": (_now_hour() - timedelta(hours=HISTORY_HOURS)).isoformat()}
    with (
        World(vendors=("okta", "github", "salesforce"), rate=1, history_s=HISTORY_HOURS * 3600) as world,
        a_stack(home, world, start_from="now", window=window, sweep={"enabled": False}) as stack,
    ):
        stack.wait(lambda: stack.world.siem.ids("/okta"), "live collection has begun")
        yield stack


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    with a_browser() as browser:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        yield page


def test_the_assets_page_shows_the_partition_grid(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url}/assets/okta_audit_logs?view=partitions")
    page.get_by_text("Missing (").first.wait_for()
    page.get_by_text(_hours_ago(2)).first.wait_for()


def test_a_run_shows_its_two_ops_and_its_metadata(stack: Stack, page: Page) -> None:
    run = stack.wait(lambda: _succeeded(stack), "a live run has finished")
    page.goto(f"{stack.url}/runs/{run}")
    page.get_by_text("okta_audit_logs.fetch").first.wait_for()
    page.get_by_text("okta_audit_logs.deliver").first.wait_for()
    page.goto(f"{stack.url}/assets/okta_audit_logs?view=overview")
    page.get_by_text("events seen").first.wait_for()
    page.get_by_text("collection lag s").first.wait_for()
    page.get_by_text("SIEM answers").first.wait_for()


def test_the_sensor_shows_a_readable_cursor_and_its_skip_reasons(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.url}/locations/flicker/sensors/okta_audit_logs_live")
    page.get_by_text('"last_timestamp"').first.wait_for()
    github = stack.world.vendor("github")
    github.emitter.stop()
    stack.wait(lambda: _skipped(stack, "github_audit_log_live", "nothing new since"), "a quiet source is probed")
    github.emitter.set_rate(1)


def test_a_backfill_of_six_past_hours_delivers_what_is_missing_and_nothing_twice(stack: Stack, page: Page) -> None:
    first, last = _hours_ago(8), _hours_ago(3)
    wanted = _emitted_between(stack, 8, 2)
    assert not wanted & set(stack.world.siem.ids("/okta"))
    page.goto(f"{stack.url}/assets/okta_audit_logs?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").last
    dialog.get_by_role("button", name="Custom").click()
    box = dialog.locator("input[type=text]").first
    box.fill(f"[{first}...{last}]")
    box.press("Enter")
    dialog.get_by_role("button", name="Launch backfill").click()
    stack.wait(lambda: wanted <= set(stack.world.siem.ids("/okta")), "the backfill delivers the six hours")
    stack.wait(lambda: len(_materialized(stack) & set(_keys(8, 3))) == 6, "six windows are green")
    assert stack.world.siem.inbox("/okta").twice == 0


def test_a_cursor_rewound_by_hand_collects_again_from_there(stack: Stack, page: Page) -> None:
    missing = _emitted_between(stack, 2, 0) - set(stack.world.siem.ids("/okta"))
    assert missing
    rewound = _now_hour() - timedelta(hours=2)
    text = json.dumps({"last_timestamp": rewound.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "cursor": None})
    for _ in range(3):  # an edit in the instant in which a tick is being saved is lost, as the README says: look again
        page.goto(f"{stack.url}/locations/flicker/sensors/okta_audit_logs_live")
        page.get_by_role("button", name="Edit").click()
        page.locator("textarea").fill(text)
        page.get_by_role("button", name="Set cursor value").click()
        if stack.comes_true(lambda: missing <= set(stack.world.siem.ids("/okta")), patience_s=30):
            break
    assert missing <= set(stack.world.siem.ids("/okta"))
    assert stack.world.siem.inbox("/okta").twice == 0


#: What a foreign page can try without asking; answers what came of that which it may know about.
ATTACK = """async ({ui, query}) => {
  const outcome = (promise) => promise.then(() => "answered", () => "refused");
  const url = ui + "/graphql", body = JSON.stringify({query});
  const found = {
    fetch: await outcome(fetch(url, {method: "POST", headers: {"Content-Type": "application/json"}, body})),
    socket: await outcome(new Promise((yes, no) => {
      const it = new WebSocket(url.replace("http", "ws"), "graphql-ws"); it.onopen = yes; it.onerror = no; })),
  };
  const byGet = url + "?query=" + encodeURIComponent(query);
  await new Promise((over) => { Object.assign(new Image(), {src: byGet}).onerror = over; });
  await fetch(byGet, {mode: "no-cors"}).catch(() => {});
  await fetch(url, {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body}).catch(() => {});
  await fetch(byGet, {method: "POST", mode: "no-cors"}).catch(() => {});
  navigator.sendBeacon(url, new Blob([body], {type: "text/plain"}));
  const frame = Object.assign(document.createElement("iframe"), {name: "hidden"});
  const form = Object.assign(document.createElement("form"), {action: url, method: "POST", target: "hidden"});
  form.enctype = "text/plain";
  form.append(Object.assign(document.createElement("input"), {name: body.slice(0, -1) + ', "x": "', value: '"}'}));
  document.body.append(frame, form);
  const answered = new Promise((yes) => { frame.onload = yes; });
  form.submit();
  await answered;
  return found;
}"""


@pytest.mark.parametrize("page_host", ["evil.example", "localhost"])
@pytest.mark.parametrize("ui_host", ["127.0.0.1", "localhost"])
def test_a_foreign_page_cannot_command_it(stack: Stack, page: Page, page_host: str, ui_host: str) -> None:
    query = 'mutation {setConcurrencyLimit(concurrencyKey: "stolen", limit: 1)}'
    with _foreign_site() as port:
        page.goto(f"http://{page_host}:{port}/")
        found = page.evaluate(ATTACK, {"ui": f"http://{ui_host}:{stack.port}", "query": query})
    assert found == {"fetch": "refused", "socket": "refused"}
    limits = stack.graphql("{ instance { concurrencyLimits { concurrencyKey } } }")
    assert "stolen" not in json.dumps(limits)


def test_a_name_that_leads_here_is_refused_and_a_link_to_the_ui_opens_it(stack: Stack, page: Page) -> None:
    refused = page.goto(f"http://evil.example:{stack.port}/")
    assert refused is not None
    assert refused.status == 403
    assert "--allow-host evil.example" in page.content()
    with _foreign_site() as port:
        page.goto(f"http://evil.example:{port}/")
        page.evaluate("url => { location.href = url; }", f"{stack.url}/assets/okta_audit_logs?view=overview")
        page.get_by_text("okta_audit_logs").first.wait_for()


@contextmanager
def _foreign_site() -> Iterator[int]:
    """A web site on another port, with an empty page."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title><body></body>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _now_hour() -> datetime:
    return datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)


def _hours_ago(hours: int) -> str:
    return (_now_hour() - timedelta(hours=hours)).strftime("%Y-%m-%d-%H:%M")


def _keys(first: int, last: int) -> list[str]:
    return [_hours_ago(hours) for hours in range(first, last - 1, -1)]


def _emitted_between(stack: Stack, first: int, last: int) -> set[str]:
    """Ids with a time from `first` hours ago up to `last` hours ago, counted from the begin of this hour."""
    start = (_now_hour() - timedelta(hours=first)).timestamp() * 1000
    end = (_now_hour() - timedelta(hours=last)).timestamp() * 1000
    return {e.id for e in stack.world.vendor("okta").emitter.emitted() if start <= e.published_ms < end}


def _succeeded(stack: Stack) -> str | None:
    runs = stack.runs(flicker__source="okta-audit-logs", flicker__mode="live")
    return next((run["runId"] for run in runs if run["status"] == "SUCCESS"), None)


def _skipped(stack: Stack, sensor: str, words: str) -> bool:
    query = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
        sensorState { ticks(limit: 10) { skipReason } } } } }"""
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "flicker", "sensorName": sensor}
    ticks = stack.graphql(query, sensor=selector)["sensorOrError"]["sensorState"]["ticks"]
    return any(words in (tick["skipReason"] or "") for tick in ticks)


def _materialized(stack: Stack) -> set[str]:
    query = """{ assetNodes(assetKeys: [{path: ["okta_audit_logs"]}]) { assetMaterializations { partition } } }"""
    nodes = stack.graphql(query)["assetNodes"]
    return {each["partition"] for node in nodes for each in node["assetMaterializations"] if each["partition"]}
