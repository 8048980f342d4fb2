"""Faults as a client meets them: over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.faults import KINDS, Fault, Faults
from flicker_dagster.simulator.server import Response, Server
from flicker_dagster.simulator.vendors.github import GitHub
from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.simulator.vendors.salesforce import Salesforce
from flicker_dagster.times import parse_http_date_ms
from flicker_dagster_tests.simulator.worlds import Clock, serving


@pytest.fixture
def okta() -> Iterator[Okta]:
    with serving(Okta(clock=Clock())) as vendor:
        vendor.emitter.emit(5)
        yield vendor


def ask(okta: Okta, **query: Any) -> requests.Response:
    return requests.get(f"{okta.url}/api/v1/logs", params=query, timeout=5)


def statuses(okta: Okta, count: int) -> list[int]:
    with requests.Session() as session:
        return [session.get(f"{okta.url}/api/v1/logs", timeout=5).status_code for _ in range(count)]


@pytest.mark.parametrize("status", ["400", "403", "404", "413", "500", "503", "401", "429"])
def test_a_status_is_answered_instead_of_events_and_only_once(okta: Okta, status: str) -> None:
    okta.faults.plan(status)
    answer = ask(okta)
    assert answer.status_code == int(status)
    assert isinstance(answer.json(), dict)
    assert len(ask(okta).json()) == 5


def test_a_rate_limit_says_when_to_come_back_in_whole_seconds(okta: Okta) -> None:
    okta.faults.plan("429", retry_after="17")
    okta.faults.plan("429", seconds=2.5)
    assert ask(okta).headers["Retry-After"] == "17"
    assert ask(okta).headers["Retry-After"] == "3"


def test_a_dialect_that_raises_is_answered_with_a_500_and_told_by_name(
    okta: Okta, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(okta, "emitters", {})
        answer = ask(okta)
    assert (answer.status_code, "simulated okta failed" in answer.text, okta.raised) == (500, True, 1)
    [record] = caplog.records
    assert "the dialect okta raised while answering GET '/api/v1/logs'" in record.message
    assert record.exc_info
    assert ask(okta).status_code == 200


def test_a_rate_limit_says_when_to_come_back_as_a_date_of_the_vendors_clock(okta: Okta) -> None:
    okta.faults.plan("429", retry_after="date", seconds=30)
    answer = ask(okta)
    at_ms, now_ms = parse_http_date_ms(answer.headers["Retry-After"]), parse_http_date_ms(answer.headers["Date"])
    assert at_ms is not None
    assert now_ms is not None
    assert at_ms - now_ms == 30_000


def test_a_rate_limit_without_retry_after_has_the_vendors_reset_header_once(okta: Okta) -> None:
    okta.faults.plan("429", retry_after="none")
    answer = ask(okta)
    assert "Retry-After" not in answer.headers
    assert answer.headers["X-Rate-Limit-Remaining"] == "0"
    assert answer.headers["X-Rate-Limit-Reset"].isdigit()


def test_github_without_retry_after_says_403_with_nothing_remaining() -> None:
    with serving(GitHub(clock=Clock())) as github:
        github.faults.plan("429", retry_after="none")
        answer = requests.get(f"{github.url}/orgs/acme/audit-log", timeout=5)
        assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (403, "0")


def test_503_may_say_when_to_come_back_and_500_does_not(okta: Okta) -> None:
    okta.faults.plan("503", retry_after="3")
    okta.faults.plan("500", retry_after="3")
    assert ask(okta).headers["Retry-After"] == "3"
    assert "Retry-After" not in ask(okta).headers


def test_a_cut_answer_breaks_off_in_its_body(okta: Okta) -> None:
    okta.faults.plan("cut")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        ask(okta)
    assert len(ask(okta).json()) == 5


def test_a_truncated_answer_is_complete_http_and_broken_json(okta: Okta) -> None:
    okta.faults.plan("truncated")
    answer = ask(okta)
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_login_page_comes_with_status_200(okta: Okta) -> None:
    okta.faults.plan("html")
    answer = ask(okta)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.content.startswith(b"<!doctype html>")


def test_a_slow_answer_is_late_and_whole(okta: Okta) -> None:
    okta.faults.plan("slow", seconds=0.3)
    began_s = time.monotonic()
    assert len(ask(okta).json()) == 5
    assert time.monotonic() - began_s >= 0.3


def test_an_expired_cursor_is_refused_and_the_same_cursor_is_good_again(okta: Okta) -> None:
    url = ask(okta, limit=2).links["next"]["url"]
    okta.faults.plan("expired")
    assert requests.get(url, timeout=5).status_code == 400
    assert len(requests.get(url, timeout=5).json()) == 2


def test_an_expired_cursor_is_422_at_github() -> None:
    with serving(GitHub(clock=Clock())) as github:
        github.emitter.emit(3)
        url = f"{github.url}/orgs/acme/audit-log"
        following = requests.get(url, params={"per_page": 1, "include": "all"}, timeout=5).links["next"]["url"]
        github.faults.plan("expired")
        assert requests.get(following, timeout=5).status_code == 422


def test_a_next_link_leads_to_another_host(okta: Okta) -> None:
    okta.faults.plan("wrong_host")
    assert ask(okta).links["next"]["url"].startswith("http://evil.invalid/api/v1/logs?")
    assert ask(okta).links["next"]["url"].startswith(okta.url)


def test_a_next_link_in_the_body_leads_to_another_host() -> None:
    with serving(Salesforce(clock=Clock())) as salesforce:
        salesforce.emitter.emit(2001)
        salesforce.faults.plan("wrong_host")
        url = f"{salesforce.url}/services/data/v58.0/query"
        answer = requests.get(url, params={"q": "SELECT Id FROM SetupAuditTrail"}, timeout=5).json()
        assert answer["nextRecordsUrl"].startswith("http://evil.invalid/services/data/v58.0/query/")


@pytest.mark.parametrize("kind", ["cut_before_commit", "commit_then_cut"])
def test_a_vendor_may_hang_up_without_an_answer(okta: Okta, kind: str) -> None:
    okta.faults.plan(kind)
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(okta)
    assert len(ask(okta).json()) == 5


def test_a_fault_holds_for_its_count_and_lets_others_through_first(okta: Okta) -> None:
    okta.faults.plan("500", count=2, after=3)
    assert statuses(okta, 7) == [200, 200, 200, 500, 500, 200, 200]


def test_faults_come_in_the_order_in_which_they_were_planned(okta: Okta) -> None:
    okta.faults.plan("500", count=2)
    okta.faults.plan("404")
    assert statuses(okta, 4) == [500, 500, 404, 200]


def test_without_a_count_a_fault_lasts_until_it_is_cleared(okta: Okta) -> None:
    okta.faults.plan("503", count=None)
    assert statuses(okta, 4) == [503] * 4
    okta.faults.clear()
    assert statuses(okta, 1) == [200]


def test_a_share_of_the_requests_fails_and_the_seed_says_which() -> None:
    def taken(seed: int) -> list[bool]:
        faults = Faults(seed=seed)
        faults.plan("500", count=None, share=0.25)
        return [faults.take() is not None for _ in range(2000)]

    assert 400 < sum(taken(1)) < 600
    assert taken(1) == taken(1)
    assert taken(1) != taken(2)


def test_what_is_no_fault_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        FlickerError, match=r"'bogus' is no fault; expected a status or one of 429, .*cut_before_commit"
    ):
        Faults().plan("bogus")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_planned_by_name(kind: str) -> None:
    faults = Faults()
    faults.plan(kind)
    taken = faults.take()
    assert taken is not None
    assert taken.kind == kind
    assert faults.take() is None


def test_faults_are_planned_and_cleared_over_http_without_counting_as_requests(okta: Okta) -> None:
    url = f"{okta.url}/_sim/faults"
    plans = [{"kind": "500"}, {"kind": "404", "count": None}]
    assert requests.post(url, json=plans, timeout=5).json() == {"ok": True}
    assert statuses(okta, 3) == [500, 404, 404]
    assert requests.get(url, timeout=5).json() == {"ok": True}
    assert statuses(okta, 1) == [200]
    assert requests.get(f"{okta.url}/_sim/stats", timeout=5).json() == {"vendor": "okta", "emitted": 5, "requests": 4}


@pytest.mark.parametrize("plan", [{"kind": "bogus"}, {"colour": "red"}, {"kind": 429}])
def test_a_plan_that_cannot_be_read_is_refused_in_words(okta: Okta, plan: dict[str, Any]) -> None:
    answer = requests.post(f"{okta.url}/_sim/faults", json=plan, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_any_status_can_be_planned_with_the_service_s_own_code() -> None:
    faults = Faults()
    faults.plan("409", says="ConditionalRequestConflict")
    taken = faults.take()
    assert taken is not None
    assert (taken.kind, taken.says) == ("409", "ConditionalRequestConflict")


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "GET"])
def test_a_server_takes_every_method_and_answers_a_head_without_a_body(method: str) -> None:
    server = Server(lambda request: Response.json({"method": request.method}))
    try:
        answer = requests.request(method, server.url, data=b"x", timeout=5)
    finally:
        server.close()
    assert answer.status_code == 200
    assert answer.content == (b"" if method == "HEAD" else b'{"method": "%b"}' % method.encode())


def test_an_endless_answer_goes_on_until_the_client_has_enough() -> None:
    server = Server(lambda request: Response(200, b"", [], Fault("endless")))
    try:
        with requests.get(server.url, stream=True, timeout=5) as answer:
            assert answer.status_code == 200
            read = sum(len(chunk) for chunk, _ in zip(answer.iter_content(4096), range(8)))
        assert read >= 8 * 4096
    finally:
        server.close()
