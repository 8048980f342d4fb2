"""The simulated Admin API keeps the rules of https://duo.com/docs/adminapi#logs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from flicker_dagster.simulator.vendors.duo import HOST, Duo
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

EMPTY = hashlib.sha512(b"").hexdigest()

duo = served(Duo)


def ask(
    duo: Duo, path: str, *, version: int = 5, key: str = "", name: str = "", late_s: float = 0, **query: Any
) -> requests.Response:
    key, name = key or duo.params["secret_key"], name or duo.params["integration_key"]
    wire = urlencode(sorted((each, str(value)) for each, value in query.items()), quote_via=quote, safe="~")
    date = formatdate(duo.clock() - late_s, usegmt=False)
    lines = [date, "GET", HOST, path, wire, *([EMPTY] if version > 2 else []), *([EMPTY] if version > 4 else [])]
    signed = hmac.new(key.encode(), "\n".join(lines).encode(), "sha1" if version == 2 else "sha512").hexdigest()
    headers = {"Date": date, "Authorization": f"Basic {base64.b64encode(f'{name}:{signed}'.encode()).decode()}"}
    return call(duo, f"https://{HOST}{path}?{wire}", headers=headers)


def v2(duo: Duo, stream: str = "authentication", ago_s: float = 3600, **query: Any) -> requests.Response:
    now_ms = int(duo.clock() * 1000)
    usual: dict[str, Any] = {"mintime": now_ms - int(ago_s * 1000), "maxtime": now_ms}
    return ask(duo, f"/admin/v2/logs/{stream}", **(usual | query))


@pytest.mark.parametrize("version", [2, 4, 5])
def test_each_version_of_the_signature_is_taken_and_what_is_signed_otherwise_is_not(duo: Duo, version: int) -> None:
    assert v2(duo, version=version, users="a", limit=5).json()["code"] == 40002  # signed well, asked badly
    assert v2(duo, version=version).status_code == 200
    assert v2(duo, version=version, key="other").json()["code"] == 40103
    assert v2(duo, version=version, name="other").json()["code"] == 40102
    assert v2(duo, version=version, late_s=301).json()["code"] == 40105


@pytest.mark.parametrize(
    ("stream", "kind", "key"),
    [
        ("authentication", "authlogs", "txid"),
        ("activity", "items", "activity_id"),
        ("telephony", "items", "telephony_id"),
    ],
)
def test_a_walk_goes_from_offset_to_offset(duo: Duo, clock: Clock, stream: str, kind: str, key: str) -> None:
    events = duo.emitters[stream].emit(5)
    clock.move(120)
    following: dict[str, Any] = {}
    met: list[str] = []
    while True:
        response = v2(duo, stream, limit=2, sort="ts:asc", **following).json()["response"]
        met += [row[key] for row in response[kind]]
        offset = response["metadata"]["next_offset"]
        if offset is None:
            break
        assert isinstance(offset, list) == (stream == "authentication")
        following = {"next_offset": ",".join(offset) if isinstance(offset, list) else offset}
    assert met == sorted(ids(events))


def test_authentications_are_listed_after_two_minutes_newest_first(duo: Duo, clock: Clock) -> None:
    first = duo.emitter.emit(1)
    clock.move(1)
    second = duo.emitter.emit(1)
    clock.move(119)
    for expected in ([*ids(first)], ids([second[0], first[0]])):
        rows = v2(duo).json()["response"]["authlogs"]
        assert [row["txid"] for row in rows] == expected
        assert rows[-1]["timestamp"] == first[0].published_ms // 1000
        clock.move(1)


@pytest.mark.parametrize(
    "query", [{"mintime": 1772442847}, {"maxtime": 1}, {"limit": 1001}, {"sort": "asc"}, {"next_offset": "x"}]
)
def test_what_cannot_be_asked_is_refused(duo: Duo, query: dict[str, Any]) -> None:
    answer = v2(duo, **query)
    assert (answer.status_code, answer.json()["stat"], answer.json()["code"]) == (400, "FAIL", 40002)


@pytest.mark.parametrize("stream", ["administrator", "offline_enrollment"])
def test_logs_of_version_1_list_the_earliest_from_a_second_on(clock: Clock, stream: str) -> None:
    with serving(Duo(clock=clock, v1_most=2)) as duo:
        events = [duo.emitters[stream].emit(1, at_ms=clock.ago_ms(ago_s))[0] for ago_s in (30, 20, 10)]
        path, since = f"/admin/v1/logs/{stream}", int(clock.now_s) - 30
        for start, expected in ((since, events[:2]), (since + 10, events[1:])):
            rows = ask(duo, path, mintime=start).json()["response"]
            assert [duo.id_of(stream, row) for row in rows] == ids(expected)
        assert ask(duo, path, mintime=clock.now_ms).status_code == 400
        assert ask(duo, path, mintime=since, maxtime=since).status_code == 400


def test_one_request_too_many_is_told_without_a_time_and_rows_are_kept_for_180_days(clock: Clock) -> None:
    with serving(Duo(clock=clock, per_minute=1)) as duo:
        duo.emitters["activity"].emit(1)
        clock.move(181 * DAY_S)
        assert v2(duo, "activity", ago_s=182 * DAY_S).json()["response"]["items"] == []
        refused = v2(duo)
        assert (refused.status_code, refused.json()["code"], "Retry-After" in refused.headers) == (429, 42901, False)
