"""What is inferred of simulated vendors behind hosts that nobody knows is true, and collects every event."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from flicker_dagster.collect.client import VendorClient
from flicker_dagster.collect.walk import walk
from flicker_dagster.config.load import parse_config
from flicker_dagster.infer.asking import Asker
from flicker_dagster.infer.block import block_of
from flicker_dagster.infer.inquiry import Found, Inquiry
from flicker_dagster.infer.question import Question, question_of
from flicker_dagster.simulator.dialects import dialect
from flicker_dagster.simulator.vendor import Vendor
from flicker_dagster.types import WalkState
from flicker_dagster_tests.infer.dialects import DIALECTS, Dialect

EVENTS = 23
NOW_MS = int(time.time() * 1000)
START_MS = NOW_MS - 7_200_000


@dataclass
class Inferred:
    each: Dialect
    vendor: Vendor
    asked: Question
    found: Found


@pytest.fixture(scope="module", params=DIALECTS, ids=lambda each: each.vendor)
def inferred(request: pytest.FixtureRequest) -> Iterator[Inferred]:
    each: Dialect = request.param
    vendor = dialect(each.vendor)(**each.options)
    for number in range(EVENTS):
        at_ms = START_MS + 60_000 + number * 137_000
        vendor.emitter.emit(1, at_ms=at_ms, visible_ms=at_ms)
    asked = question_of(f"{vendor.url}{each.question(START_MS, NOW_MS)}", headers=each.asked_headers(), body=each.body)
    found = Inquiry(asked, Asker(env={**os.environ, **asked.secrets}), now_ms=NOW_MS).run()
    yield Inferred(each, vendor, asked, found)
    vendor.close()


def test_array_id_time_order_and_paging_are_found(inferred: Inferred) -> None:
    raw = inferred.found.findings.raw()
    paging = raw.pop("paging")
    true = dict(inferred.each.true)
    wanted = true.pop("paging")
    assert {key: raw.get(key) for key in true} == true
    assert {key: value for key, value in paging.items() if key != "page_size"} == wanted


def test_a_second_page_has_made_sure_of_it(inferred: Inferred) -> None:
    assert inferred.found.page_two
    assert inferred.found.requests <= 5
    for key in ("results_field", "timestamp_format", "id_field", "order", "paging.following"):
        finding = inferred.found.findings.get(key)
        assert finding is not None
        assert finding.sure == "sure", finding


def test_the_span_is_understood(inferred: Inferred) -> None:
    finding = inferred.found.findings.get("time_filter_format")
    assert finding is not None
    if inferred.each.vendor != "okta":  # it lists by arrival, which the events do not tell
        assert finding.sure == "sure"


def test_its_block_collects_every_event(inferred: Inferred) -> None:
    block = block_of(inferred.found.findings, name="inferred", destination="{type: stdout}")
    env = {**os.environ, **inferred.asked.secrets}
    [source] = parse_config(block, path="block", env=env).sources
    client = VendorClient(source, env=env)
    seen: list[bytes] = []
    state = WalkState(start_ms=START_MS, end_ms=NOW_MS, began_ms=NOW_MS)
    for page in walk(source.listing, client, state, seen_before=lambda: True):
        seen += page.decoded.digests
        assert page.unproven is None
    client.close()
    vendor = inferred.vendor
    listed = sum(vendor.is_listed(vendor.streams[0], event.body) for event in vendor.emitter.emitted())
    assert (len(seen), len(set(seen))) == (listed, listed)


def test_no_secret_is_in_its_block(inferred: Inferred) -> None:
    block = block_of(inferred.found.findings, name="inferred", destination="NAME")
    secrets: list[Any] = list(inferred.asked.secrets.values())
    assert secrets
    assert not any(secret in block for secret in secrets)
