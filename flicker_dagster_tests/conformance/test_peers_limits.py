"""The peers' most telling complaints, 19 to 25: quotas, clocks, loops, memory and secrets."""

from __future__ import annotations

import base64
import logging
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flicker_dagster.collect.circles import STALE_PAGES
from flicker_dagster.config.destinations.http import HttpDestination
from flicker_dagster.errors import BadAnswer, FlickerError, RateLimited, VendorUnavailable
from flicker_dagster.simulator.plain import Shape
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster_tests.conformance.harness import Clock, Scene, plain_scene
from flicker_dagster_tests.conformance.rows import row, rows
from flicker_dagster_tests.conformance.test_grove_faults import okta_source
from flicker_dagster_tests.conformance.twists import twist

CANARY = "canary/7+secret words=="

rows(
    "peers",
    {
        19: "a clock past the reset time gives a negative wait: for ever, or a panic",
        20: "limits are ignored while paging, and the whole organisation's quota is used up",
        21: "at the live edge the vendor always offers a next link, and ever smaller pages burn the quota",
        22: "no time-out, no guard against repeated tokens or pages without anything new",
        23: "an unbounded body is buffered, and memory grows with the pages of a run",
        24: "the ids known for de-duplication bloat the position's record without bound",
        25: "tokens in debug logs, traces and error messages",
    },
)


@row("peers-19", behaviour="waits count by the vendor's clock and are clamped to 1 s … 15 min")
@pytest.mark.parametrize(("reset_in_s", "wait_s"), [(-3_600, 1.0), (10**6, 900.0)])
def test_a_wait_is_never_negative_and_never_endless(tmp_path: Path, reset_in_s: int, wait_s: float) -> None:
    with plain_scene(tmp_path, limits={"max_wait_ms": 10**6, "run_seconds": 3_600}) as scene:
        scene.emit(5)
        scene.vendor.reset_s = lambda: int(scene.clock.now_s) + reset_in_s  # type: ignore[method-assign]
        scene.vendor.per_minute = 0
        with pytest.raises(RateLimited) as raised:
            scene.poll()
        assert raised.value.retry_after_s == wait_s


@row("peers-20", behaviour="stops at the reserve, keeps what it has, and says when to go on")
def test_a_share_of_the_quota_is_left_to_others(tmp_path: Path) -> None:
    options = {"rate_limit": {"reserve": 0.5}, "limits": {"max_wait_ms": 0}}
    with plain_scene(tmp_path, **options) as scene:
        scene.emit(300)
        scene.vendor.per_minute = 20
        report = scene.fetch()
        assert report.resume_at_ms is not None
        assert scene.vendor.requests == 10
        scene.vendor.per_minute = 10**6
        scene.clock.now_s += 60
        scene.poll()
        scene.assert_each_once()


@row("peers-21", behaviour="a short page ends the poll; its link is kept for the next one")
def test_the_live_edge_costs_one_request_a_poll(tmp_path: Path) -> None:
    clock = Clock()
    vendor, siem = Okta(clock=clock, per_minute=10**6), Receiver(clock=clock)
    destination = HttpDestination(type="http", endpoint=f"{siem.url}/siem")
    scene = Scene(vendor, siem, okta_source(vendor, destination, page_size=10), tmp_path, clock)
    try:
        for polls in range(1, 8):
            scene.emit(polls, seconds_ago=0)
            clock.now_s += 30
            scene.poll()
            assert vendor.requests == polls
        scene.assert_each_once()
    finally:
        scene.close()


@row("peers-22", behaviour="time-outs on every request; a page seen before ends the walk; budgets end every run")
def test_an_api_that_ignores_its_page_number_ends(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(paging="page")) as scene:
        answer = scene.vendor.answer

        def same_page(request: Any, *, expired: bool) -> Any:
            request.query["page"] = "1"
            return answer(request, expired=expired)

        scene.vendor.answer = same_page  # type: ignore[method-assign]
        scene.emit(10)
        scene.poll()
        assert scene.vendor.requests == 1 + STALE_PAGES
        scene.assert_each_once()


@row("peers-22", behaviour="")
def test_a_vendor_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with plain_scene(tmp_path, limits={"read_timeout_ms": 100}) as scene:
        scene.emit(10)
        scene.vendor.faults.plan("slow", seconds=1.0)
        with pytest.raises(VendorUnavailable):
            scene.poll()
        scene.poll()
        scene.assert_each_once()


@row("peers-23", behaviour="a body over limits.page_bytes is refused; pages go to the spool on disk, not to memory")
def test_a_body_over_the_cap_is_refused(tmp_path: Path) -> None:
    with plain_scene(tmp_path, limits={"page_bytes": 1_000}) as scene:
        scene.emit(10)
        with pytest.raises(BadAnswer, match="page_bytes"):
            scene.poll()
        assert scene.received() == {}


@row("peers-23", behaviour="")
def test_memory_does_not_grow_with_the_pages(tmp_path: Path) -> None:
    def peak_bytes(directory: Path, pages: int) -> int:
        with plain_scene(directory) as scene:
            twist(scene, padded)
            scene.emit(10 * pages)
            scene.poll()  # imports and pools are warm before anything is measured, below
            scene.assert_each_once()
            scene.emit(10 * pages, seconds_ago=0.5)
            tracemalloc.start()
            scene.fetch()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

    def padded(_request: Any, answer: dict[str, Any]) -> dict[str, Any]:
        for event in answer["data"]["events"]:
            event["padding"] = "x" * 20_000
        return answer

    assert peak_bytes(tmp_path / "long", 40) < 8_000_000  # of 16 MB that pass


@row("peers-24", behaviour="the ledger lies beside the position, in hourly shards of 16 bytes an id")
def test_known_ids_do_not_bloat_the_position(tmp_path: Path) -> None:
    with plain_scene(tmp_path, shape=Shape(page_size=1_000)) as scene:
        scene.emit(2_000, seconds_ago=60)
        scene.poll()
        assert (tmp_path / "state" / "registry.json").stat().st_size < 1_000
        shards = [path for path in (tmp_path / "state" / "ledger").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in shards) < 2_000 * 20
        scene.assert_each_once()


@row(
    "peers-25",
    behaviour="masked by value in every spelling before a text leaves the HTTP layer; sealed in kept cursors",
)
def test_a_canary_secret_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    destination = {"auth": {"type": "bearer", "token": "${CANARY}"}}
    with plain_scene(
        tmp_path,
        shape=Shape(paging="link"),
        api_key="${CANARY}",
        api_key_header="X-Key",
        query_params={"key": "${CANARY}"},
        buffer_size=10,
        limits={"run_pages": 2},
        siem_options={"poison": '"number":3,'},
        destination=destination,
    ) as scene:
        answer = scene.vendor.answer

        def echoing(request: Any, *, expired: bool) -> Any:
            response = answer(request, expired=expired)
            response.headers = [
                (name, value.replace("?cursor", f"?key={quote(CANARY, safe='')}&cursor") if name == "Link" else value)
                for name, value in response.headers
            ]
            return response

        scene.vendor.answer = echoing  # type: ignore[method-assign]
        scene.emit(50)
        for vendor_fault, siem_fault in (("401", None), ("html", None), ("cut", None), (None, "401"), (None, None)):
            if vendor_fault:
                scene.vendor.faults.plan(vendor_fault)
            if siem_fault:
                scene.siem.faults.plan(siem_fault)
            try:
                said.append(repr(scene.poll()))
            except FlickerError as error:
                said.append(f"{error!r} {error}")
        with scene.work() as work:
            said.append(repr(work.live.state))
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        text = kept.decode("utf-8", "replace") + caplog.text + "".join(said)
        assert "DestinationBlocked" in "".join(said)
        assert "CredentialsRefused" in "".join(said)
        assert list((tmp_path / "state" / "dead-letters").rglob("*.jsonl"))
        for spelling in (CANARY, quote(CANARY), quote(CANARY, safe=""), base64.b64encode(CANARY.encode()).decode()):
            assert spelling not in text
