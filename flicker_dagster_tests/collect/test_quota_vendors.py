"""Vendors on loopback that count, each telling its quota in its own way: the reserve is never touched, nothing is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from flicker_dagster.collect.account import Book
from flicker_dagster.collect.client import VendorClient
from flicker_dagster.config.models import Limits
from flicker_dagster.config.rate_limit import RateLimit
from flicker_dagster.errors import RateLimited
from flicker_dagster.simulator.server import Request as Asked
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.state.quota_book import LocalBook
from flicker_dagster.transport.exchange import Request
from flicker_dagster_tests.builders import a_source

LIMIT = 10
SPAN_S = 60

Tell = Callable[[int, int, float], dict[str, str]]  # remaining, limit, when it is filled again


class CountingVendor:
    """Allows LIMIT requests in each minute of its clock, and tells so in the way of `tell`."""

    def __init__(self, tell: Tell, refuse: Tell | None = None) -> None:
        self.now_s = 1_777_713_240.0
        self.by_minute: dict[int, int] = {}
        self.refused = 0
        self._tell, self._refuse = tell, refuse or tell
        self.server = Server(self._answer, clock=lambda: self.now_s)

    def _answer(self, _: Asked) -> Response:
        minute = int(self.now_s // SPAN_S)
        reset_s = (minute + 1) * SPAN_S
        if self.by_minute.get(minute, 0) >= LIMIT:
            self.refused += 1
            return Response.json({"error": "slow down"}, 429, list(self._refuse(0, LIMIT, reset_s).items()))
        used = self.by_minute[minute] = self.by_minute.get(minute, 0) + 1
        return Response.json([], 200, list(self._tell(LIMIT - used, LIMIT, reset_s).items()))

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    @contextmanager
    def client(self, book: Book | None = None, *, max_wait_ms: int = 120_000, **config: Any) -> Iterator[VendorClient]:
        source = a_source(rate_limit=RateLimit(**config), limits=Limits(max_wait_ms=max_wait_ms))
        clock = lambda: self.now_s  # noqa: E731
        with closing(VendorClient(source, env={}, clock=clock, sleep=self.sleep, quota_book=book)) as client:
            yield client

    def close(self) -> None:
        self.server.close()


def three(limit: str, remaining: str, reset: str, spell: Callable[[float], str]) -> Tell:
    return lambda left, of, at_s: {limit: str(of), remaining: str(left), reset: spell(at_s)}


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, timezone.utc).strftime("%Y-%m-%dT%H:%MZ")


def _wait(vendor: list[CountingVendor]) -> Callable[[float], str]:
    return lambda at_s: f"{at_s - vendor[0].now_s + 0.25:g}"


#: How each tells its quota. Those that tell seconds to wait know the vendor only when it is there.
VENDOR: list[CountingVendor] = []
CONVENTIONS: dict[str, Tell] = {
    "Okta": three("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", lambda at_s: str(int(at_s))),
    "GitLab": three("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", lambda at_s: str(int(at_s))),
    "GitLab's date": three("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-ResetTime", formatdate),
    "Datadog": three("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", _wait(VENDOR)),
    "Atlassian": three("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", _iso),
    "LaunchDarkly": lambda left, _, at_s: {
        "X-Ratelimit-Route-Remaining": str(left), "X-Ratelimit-Reset": str(int(at_s * 1000)),
    },
    "Snyk": lambda left, of, at_s: {
        "X-RateLimit-Limit": f"{of}, {of};w={SPAN_S};name=api", "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": _wait(VENDOR)(at_s),
    },
    "Zendesk": lambda left, of, at_s: {
        "Zendesk-RateLimit-audit": f"total={of}; remaining={left}; resets={_wait(VENDOR)(at_s)}",
    },
    "HubSpot": lambda left, of, at_s: {
        "X-HubSpot-RateLimit-Daily": "250000", "X-HubSpot-RateLimit-Daily-Remaining": "249000",
        "X-HubSpot-RateLimit-Max": str(of), "X-HubSpot-RateLimit-Remaining": str(left),
        "X-HubSpot-RateLimit-Interval-Milliseconds": str(SPAN_S * 1000),
    },
    "the draft": lambda left, of, at_s: {
        "RateLimit": f'"minute";r={left};t={math.ceil(at_s - VENDOR[0].now_s)}', "RateLimit-Policy": f'"minute";q={of};w=60',
    },
}  # fmt: skip

REFUSALS: dict[str, Tell] = {
    "whole seconds": lambda _, __, at_s: {"Retry-After": str(math.ceil(at_s - VENDOR[0].now_s))},
    "a fraction": lambda _, __, at_s: {"Retry-After": f"{at_s - VENDOR[0].now_s:.3f}"},
    "an HTTP date": lambda _, __, at_s: {"Retry-After": formatdate(at_s, usegmt=True)},
    "an ISO time": lambda _, __, at_s: {
        "Retry-After": datetime.fromtimestamp(at_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    },
    "only a reset": lambda _, __, at_s: {"X-RateLimit-Reset": _iso(at_s)},
}


@contextmanager
def counting(tell: Tell, refuse: Tell | None = None) -> Iterator[CountingVendor]:
    with closing(CountingVendor(tell, refuse)) as vendor:
        VENDOR[:] = [vendor]
        yield vendor


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_reserve_is_left_and_nothing_is_refused(convention: str) -> None:
    with counting(CONVENTIONS[convention]) as vendor, vendor.client() as client:
        for _ in range(3 * LIMIT):
            client.ask(Request("GET", f"{vendor.server.url}/events"))
        assert vendor.refused == 0
        assert max(vendor.by_minute.values()) == LIMIT * 0.8
        assert len(vendor.by_minute) == 4


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_one_run_holds_back_the_others_until_it_ends(refusal: str, tmp_path: Path) -> None:
    with counting(lambda *_: {}, REFUSALS[refusal]) as vendor:
        book = LocalBook(tmp_path / "book.json")
        with vendor.client(book) as first, vendor.client(book, max_wait_ms=0) as second, vendor.client(book) as third:
            request = Request("GET", f"{vendor.server.url}/events")
            for _ in range(LIMIT):
                first.ask(request)
            with pytest.raises(RateLimited, match="API returned 429"):
                first.ask(request)
            with pytest.raises(RateLimited, match="asked for a pause") as held:
                second.ask(request)
            assert held.value.retry_after_s == pytest.approx(SPAN_S, abs=1)
            assert vendor.refused == 1
            third.ask(request)
            assert vendor.refused == 1
            assert len(vendor.by_minute) == 2


def test_a_limit_that_no_header_tells_is_declared_and_kept_by_all_runs(tmp_path: Path) -> None:
    with counting(lambda *_: {}) as vendor:
        book = LocalBook(tmp_path / "book.json")
        declared = {"requests": LIMIT, "per_ms": SPAN_S * 1000}
        with vendor.client(book, **declared) as first, vendor.client(book, **declared) as second:
            for _ in range(LIMIT):
                first.ask(Request("GET", f"{vendor.server.url}/events"))
                second.ask(Request("GET", f"{vendor.server.url}/events"))
        assert vendor.refused == 0
        assert max(vendor.by_minute.values()) <= LIMIT * 0.8
