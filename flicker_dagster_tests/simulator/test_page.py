"""The live page in a real browser: whole times and ids, links, and what vendors wrote as text and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.browsers import a_browser

ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
HOSTILE = [
    "<img src=x onerror=\"document.title='broken in'\">",
    "</td></table><script>document.title='broken in'</script>",
    "' onmouseover='document.title=1' \u202egnp.exe",
    "x" * 5_000,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    names = {"okta": "okta-audit-logs", "github": HOSTILE[0], "salesforce": "salesforce-audit"}
    with World(history_s=600, names=names, assets={"okta": "okta_audit_logs"}, ui_port=3000) as world:
        events = [{"uuid": ID, "published": "2026-03-02T09:00:00.123Z", "displayMessage": "User login to Okta"}]
        events += [{"uuid": text, "published": "2026-03-02T09:00:01Z", "displayMessage": text} for text in HOSTILE[:3]]
        requests.post(f"{world.siem.url}/okta", data=json.dumps(events), timeout=5)
        requests.post(f"{world.siem.url}/github", data=json.dumps([{"id": HOSTILE[3]}]), timeout=5)
        yield world


def opened(browser: Browser, world: World, width: int = 1280) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(world.page.url)
    page.get_by_role("heading", name="salesforce-audit").wait_for()
    return page


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_times_and_ids_are_whole_at_every_width(browser: Browser, world: World, width: int) -> None:
    page = opened(browser, world, width)
    for text in ("2026-03-02 09:00:00.123Z", "User login to Okta", ID):
        cell = page.get_by_role("cell", name=text, exact=True)
        cell.wait_for()
        assert cell.evaluate("e => e.scrollWidth <= e.clientWidth && e.getBoundingClientRect().right <= innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is pushed aside"
    page.close()


def test_what_vendors_wrote_is_text(browser: Browser, world: World) -> None:
    page = opened(browser, world)
    page.get_by_role("cell", name=HOSTILE[1], exact=True).first.wait_for()
    assert page.get_by_role("heading", name=HOSTILE[0], exact=True).count() == 1
    assert page.title() == "Flicker: emitted and delivered"
    assert page.locator("#sources img, #sources script").count() == 0
    page.close()


def test_sources_have_their_configured_names_and_link_to_their_assets_on_the_host_that_was_asked(
    browser: Browser, world: World
) -> None:
    page = browser.new_page()
    page.goto(world.page.url.replace("127.0.0.1", "localhost"))
    link = page.get_by_role("link", name="okta-audit-logs")
    link.wait_for()
    assert link.get_attribute("href") == "http://localhost:3000/assets/okta_audit_logs"
    assert page.get_by_role("link").count() == 1, "what is no asset of a UI is no link"
    page.close()


def test_history_is_caught_up_with_and_nothing_flickers_meanwhile(browser: Browser, world: World) -> None:
    page = opened(browser, world)
    assert page.get_by_text("catching up with history").count() >= 1
    assert page.locator("dd.wrong").count() == 0
    page.evaluate("document.querySelectorAll('section').forEach(s => { s.marked = s.querySelector('tbody tr') })")
    before = page.locator("#now").text_content()
    page.wait_for_function("before => document.getElementById('now').textContent !== before", arg=before)
    assert page.evaluate("[...document.querySelectorAll('section')].every(s => s.marked.isConnected)")
    page.close()


def test_it_asks_nobody_but_its_own_server(browser: Browser, world: World) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(world.page.url)
    page.get_by_role("heading", name="salesforce-audit").wait_for()
    assert {url for url in asked if not url.startswith(("data:", world.page.url))} == set()
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_streams_stand_below_their_source_with_figures_and_links_of_their_own(browser: Browser, width: int) -> None:
    names = {"google_workspace": "google"}
    with World(
        vendors=("google_workspace", "okta"),
        streams={"google_workspace": ("login", "drive")},
        history_s=600,
        names=names,
        assets=names,
        ui_port=3000,
    ) as world:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(world.page.url)
        link = page.get_by_role("link", name="login")
        link.wait_for()
        assert (link.get_attribute("href") or "").endswith(":3000/assets/google/login")
        table = page.get_by_role("table", name="Its streams")
        assert table.count() == 1, "a source that is its only stream has no such table"
        assert [row.split()[0] for row in table.locator("tbody tr").all_inner_texts()] == ["login", "drive"]
        table.get_by_role("cell", name="15").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is pushed aside"
        page.close()
