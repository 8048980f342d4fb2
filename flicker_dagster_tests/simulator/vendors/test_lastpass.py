"""The simulated reporting keeps the rules of LastPass's event reporting by its enterprise API."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.lastpass import LastPass
from flicker_dagster.times import parse_time_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

URL = "https://lastpass.com/enterpriseapi.php"
DAY = {"from": "2026-03-02 00:00:00", "to": "2026-03-02 23:59:59", "user": "allusers"}

lastpass = served(LastPass, rows_per_page=10)


def ask(lastpass: LastPass, data: dict[str, Any], **more: Any) -> requests.Response:
    return call(lastpass, URL, method="POST", json=lastpass.params | {"cmd": "reporting", "data": data} | more)


def events_of(answer: requests.Response) -> list[dict[str, str]]:
    found = answer.json()
    assert found["status"] == "OK", found
    assert list(found["data"]) == [f"Event{number}" for number in range(1, len(found["data"]) + 1)]
    return list(found["data"].values())


def test_a_walk_begins_each_page_with_the_row_the_last_one_ended_with(lastpass: LastPass, clock: Clock) -> None:
    emitted = []
    for _ in range(25):
        clock.move(0.3)
        emitted += lastpass.emitter.emit(1)
    answer = ask(lastpass, DAY)
    pages = [events_of(answer)]
    while answer.json()["next"] is not None:
        answer = ask(lastpass, DAY | {"next": answer.json()["next"]})
        pages.append(events_of(answer))
        assert pages[-1][0] == pages[-2][-1]
    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages] == [10, 10, 7]
    assert rows[0]["Time"] > rows[-1]["Time"]
    met = Counter(lastpass.id_of("", row) for row in pages[0] + pages[1][1:] + pages[2][1:])
    assert met == Counter(ids(emitted))
    assert max(met.values()) > 1  # equal rows


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-03-02T09:14:07Z", "2026-03-02 04:14:07"),
        ("2026-07-02T09:14:07Z", "2026-07-02 05:14:07"),
        ("2025-11-02T05:30:00Z", "2025-11-02 01:30:00"),
        ("2025-11-02T06:30:00Z", "2025-11-02 01:30:00"),
    ],
)
def test_times_are_those_of_new_york(at: str, shown: str) -> None:
    clock = Clock((parse_time_ms(at) or 0) / 1000)
    with serving(LastPass(clock=clock)) as lastpass:
        lastpass.emitter.emit(1)
        (row,) = events_of(ask(lastpass, DAY | {"from": shown, "to": shown}))
        assert row["Time"] == shown


@pytest.mark.parametrize(
    "data",
    [
        DAY | {"from": "2026-03-02T00:00:00Z"},
        DAY | {"from": "2026-03-03 00:00:00"},
        DAY | {"user": "ana"},
        DAY | {"limit": 10},
        DAY | {"next": "made-up"},
        {},
    ],
)
def test_what_cannot_be_asked_is_refused_with_status_200(lastpass: LastPass, data: dict[str, str]) -> None:
    answer = ask(lastpass, data)
    assert (answer.status_code, answer.json()["status"]) == (200, "FAIL")


def test_a_wrong_hash_is_refused_with_status_200_too(lastpass: LastPass) -> None:
    answer = ask(lastpass, DAY, provhash="wrong")
    assert (answer.status_code, answer.json()) == (200, {"status": "FAIL", "errors": ["Authorization Error"]})
    assert ask(lastpass, DAY, cmd="getuserdata").json()["status"] == "FAIL"
    assert call(lastpass, "https://lastpass.com/api", method="POST", json=lastpass.params).status_code == 404
