"""The simulated System Log keeps the rules of https://developer.okta.com/docs/reference/system-log-query/."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import urllib3

from flicker_dagster.simulator.vendors.okta import Okta
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

okta = served(Okta, token="good")


def ask(okta: Okta, *, token: str = "good", url: str | None = None, **query: Any) -> requests.Response:
    return requests.get(
        url or f"{okta.url}/api/v1/logs", params=query, headers={"Authorization": f"SSWS {token}"}, timeout=5
    )


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["uuid"] for event in answer.json()]


def walked(okta: Okta, **query: Any) -> list[list[str]]:
    """Every page of a bounded listing."""
    answer = ask(okta, **query)
    pages = [listed(answer)]
    while "next" in answer.links:
        answer = ask(okta, url=answer.links["next"]["url"])
        pages.append(listed(answer))
    return pages


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errorCode"]


def test_an_event_has_the_documented_fields(okta: Okta, clock: Clock) -> None:
    okta.emitter.emit(1)
    (event,) = ask(okta).json()
    assert event["published"] == rfc3339_ms(clock.now_ms)
    assert event["displayMessage"]
    assert {"uuid", "eventType", "severity", "actor", "client", "outcome", "target", "transaction"} <= event.keys()


def test_polling_lists_by_the_time_of_storing_so_that_late_events_come_last(okta: Okta, clock: Clock) -> None:
    (late,) = okta.emitter.emit(1, at_ms=clock.ago_ms(300), visible_ms=clock.now_ms + 10_000)
    (early,) = okta.emitter.emit(1)
    clock.move(20)
    (last,) = okta.emitter.emit(1)
    assert listed(ask(okta, since=rfc3339_ms(clock.ago_ms(600)))) == ids([early, late, last])


def test_polling_filters_by_the_time_of_storing_too(okta: Okta, clock: Clock) -> None:
    (late,) = okta.emitter.emit(1, at_ms=clock.ago_ms(300), visible_ms=clock.now_ms + 10_000)
    clock.move(60)
    assert listed(ask(okta, since=rfc3339_ms(clock.ago_ms(55)))) == [late.id]
    assert listed(ask(okta, since=rfc3339_ms(clock.ago_ms(45)))) == []


def test_following_the_next_link_meets_every_event_once_although_some_are_late(clock: Clock) -> None:
    with serving(Okta(rate=2.0, clock=clock)) as okta:
        okta.emitter.habits.late_share = 0.3
        url, met = None, []
        for _ in range(40):
            clock.move(5)
            answer = ask(okta, url=url, **({} if url else {"limit": 100}))
            met += listed(answer)
            url = answer.links["next"]["url"]
        assert met == ids(okta.emitter.emitted())


def test_polling_never_ends_even_an_empty_page_has_a_next_link_and_it_finds_what_comes(okta: Okta) -> None:
    answer = ask(okta)
    assert listed(answer) == []
    again = ask(okta, url=answer.links["next"]["url"])
    assert listed(again) == []
    new = okta.emitter.emit(2)
    assert listed(ask(okta, url=again.links["next"]["url"])) == ids(new)


def test_self_and_next_are_two_header_lines_and_next_repeats_the_parameters(okta: Okta) -> None:
    response = urllib3.PoolManager().request(
        "GET", f"{okta.url}/api/v1/logs?limit=7&sortOrder=ASCENDING", headers={"Authorization": "SSWS good"}
    )
    self_line, next_line = response.headers.getlist("Link")
    assert self_line.endswith('rel="self"')
    assert next_line.endswith('rel="next"')
    assert "limit=7" in next_line
    assert "sortOrder=ASCENDING" in next_line
    assert "after=" in next_line
    assert "after=" not in self_line


def test_bounded_mode_is_ordered_by_published_and_ends(okta: Okta, clock: Clock) -> None:
    events = [okta.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (10, 50, 30, 40, 20)]
    by_time = ids(sorted(events))
    span = {"since": rfc3339_ms(clock.ago_ms(60)), "until": rfc3339_ms(clock.now_ms)}
    assert walked(okta, limit=2, **span) == [by_time[:2], by_time[2:4], by_time[4:]]
    assert walked(okta, limit=5, **span) == [by_time]


def test_bounded_mode_lacks_events_that_are_not_stored_yet(okta: Okta, clock: Clock) -> None:
    okta.emitter.emit(1, at_ms=clock.ago_ms(30), visible_ms=clock.now_ms + 60_000)
    span = {"since": rfc3339_ms(clock.ago_ms(60)), "until": rfc3339_ms(clock.now_ms)}
    assert walked(okta, **span) == [[]]
    clock.move(60)
    assert len(walked(okta, **span)[0]) == 1


def test_descending_is_bounded_and_newest_first(okta: Okta, clock: Clock) -> None:
    events = [okta.emitter.emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (40, 30, 20)]
    assert walked(okta, sortOrder="DESCENDING", limit=2) == [ids([events[2], events[1]]), ids([events[0]])]


def test_without_since_the_last_seven_days_are_listed(okta: Okta, clock: Clock) -> None:
    okta.emitter.emit(1, at_ms=clock.ago_ms(8 * DAY_S))
    (recent,) = okta.emitter.emit(1, at_ms=clock.ago_ms(6 * DAY_S))
    assert walked(okta, until=rfc3339_ms(clock.now_ms)) == [[recent.id]]


def test_a_page_holds_100_events_unless_asked_otherwise_and_1000_at_most(okta: Okta) -> None:
    okta.emitter.emit(1100)
    assert len(listed(ask(okta))) == 100
    assert len(listed(ask(okta, limit=1000))) == 1000
    assert len(listed(ask(okta, limit=0))) == 0


@pytest.mark.parametrize("limit", ["1001", "-1", "many"])
def test_another_limit_is_refused(okta: Okta, limit: str) -> None:
    assert code(ask(okta, limit=limit)) == (400, "E0000001")


def test_more_than_180_days_back_is_refused_and_180_days_are_not(okta: Okta, clock: Clock) -> None:
    assert code(ask(okta, since=rfc3339_ms(clock.ago_ms(181 * DAY_S)))) == (400, "E0000053")
    assert listed(ask(okta, since=rfc3339_ms(clock.ago_ms(179 * DAY_S)))) == []


@pytest.mark.parametrize("since", ["yesterday", "1772442847", ""])
def test_a_time_that_is_not_iso_8601_is_refused(okta: Okta, since: str) -> None:
    assert code(ask(okta, since=since)) == (400, "E0000001")


def test_a_wrong_token_is_refused(okta: Okta) -> None:
    assert code(ask(okta, token="bad")) == (401, "E0000011")


@pytest.mark.parametrize("after", ["2026-03-02T09:00:00Z", "1772442847", "", "zzzz"])
def test_an_after_of_our_own_making_is_refused(okta: Okta, after: str) -> None:
    assert code(ask(okta, after=after)) == (400, "E0000031")


def test_a_cursor_of_one_mode_is_refused_in_the_other(okta: Okta, clock: Clock) -> None:
    url = ask(okta).links["next"]["url"]
    assert code(ask(okta, url=url, until=rfc3339_ms(clock.now_ms))) == (400, "E0000031")


def test_another_path_is_not_found(okta: Okta) -> None:
    assert code(ask(okta, url=f"{okta.url}/api/v1/users")) == (404, "E0000007")


def test_the_quota_is_told_and_ends_in_429_until_the_next_minute(clock: Clock) -> None:
    with serving(Okta(per_minute=2, clock=clock)) as okta:
        assert [ask(okta).headers["X-Rate-Limit-Remaining"] for _ in range(2)] == ["1", "0"]
        answer = ask(okta)
        assert code(answer) == (429, "E0000047")
        assert answer.headers["X-Rate-Limit-Limit"] == "2"
        assert answer.headers["X-Rate-Limit-Remaining"] == "0"
        reset_s = int(answer.headers["X-Rate-Limit-Reset"])
        assert clock.now_s < reset_s <= clock.now_s + 60
        clock.move(reset_s - clock.now_s)
        assert ask(okta).status_code == 200


def test_a_duplicate_is_listed_twice_on_its_page(okta: Okta) -> None:
    (event,) = okta.emitter.emit(1, copies=2)
    assert listed(ask(okta)) == [event.id, event.id]


def test_links_lead_to_the_server_that_was_asked(okta: Okta) -> None:
    headers = {"Authorization": "SSWS good", "Host": "acme.okta.com"}
    answer = requests.get(f"{okta.url}/api/v1/logs", headers=headers, timeout=5)
    assert answer.links["next"]["url"].startswith("https://acme.okta.com/api/v1/logs?")


def test_an_empty_page_leads_to_what_it_left_out(okta: Okta) -> None:
    (event,) = okta.emitter.emit(1)
    okta.faults.plan("empty")
    answer = ask(okta)
    assert listed(answer) == []
    assert listed(ask(okta, url=answer.links["next"]["url"])) == [event.id]
