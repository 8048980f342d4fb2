"""The simulated audit events keep the rules of Mimecast's API 2.0, and of 1.0 where that is asked for."""

from __future__ import annotations

import base64
import hmac
import uuid
from email.utils import formatdate
from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.mimecast import Mimecast
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import Clock, ids, served, serving

API, API_1 = "https://api.services.mimecast.com", "https://eu-api.mimecast.com"
PATH = "/api/audit/get-audit-events"
SPAN = {"startDateTime": "2026-03-01T00:00:00+0000", "endDateTime": "2026-03-03T00:00:00+0000"}

mimecast = served(Mimecast)


def token(mimecast: Mimecast, **form: str) -> requests.Response:
    client = {"grant_type": "client_credentials", **mimecast.params}
    return call(mimecast, f"{API}/oauth/token", method="POST", data=client | form)


def signed(mimecast: Mimecast, **other: str) -> dict[str, str]:
    said = mimecast.signing | other
    date, number = formatdate(mimecast.clock(), usegmt=True), str(uuid.uuid4())
    text = f"{date}:{number}:{PATH}:{said['app_key']}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(said["secret_key"]), text, "sha1")).decode()
    return {
        "x-mc-app-id": said["app_id"],
        "x-mc-date": date,
        "x-mc-req-id": number,
        "Authorization": f"MC {said['access_key']}:{signature}",
    }


def ask(
    mimecast: Mimecast, page: str | None = None, size: Any = 2, headers: Any = None, data: Any = SPAN
) -> requests.Response:
    api = API if mimecast.version == "2.0" else API_1
    if headers is None and api == API:
        headers = bearer(token(mimecast).json()["access_token"])
    pagination = {"pageSize": size} | ({} if page is None else {"pageToken": page})
    body = {"meta": {"pagination": pagination}} | ({} if data is None else {"data": [data]})
    return call(mimecast, api + PATH, method="POST", json=body, headers=headers or signed(mimecast))


def found(answer: requests.Response) -> list[str]:
    assert (answer.status_code, answer.json()["fail"]) == (200, []), answer.text
    return [row["id"] for row in answer.json()["data"]]


def following(answer: requests.Response) -> str | None:
    return answer.json()["meta"]["pagination"].get("next")


@pytest.mark.parametrize("version", ["2.0", "1.0"])
@pytest.mark.parametrize("ends_empty", [True, False])
def test_tokens_lead_through_everything_newest_first(clock: Clock, version: str, ends_empty: bool) -> None:
    with serving(Mimecast(clock=clock, version=version, ends_empty=ends_empty)) as mimecast:
        events = ids(mimecast.emitter.emit(3))
        again = SPAN if version == "2.0" else None
        first = ask(mimecast)
        second = ask(mimecast, following(first), data=again)
        assert found(first) + found(second) == events[::-1]
        assert (following(second) is not None) == ends_empty
        if ends_empty:
            third = ask(mimecast, following(second), data=again)
            assert found(third) == []
            assert following(third) == following(second)


def test_times_are_whole_seconds_with_an_offset_without_colon(mimecast: Mimecast, clock: Clock) -> None:
    mimecast.emitter.emit(1, at_ms=clock.now_ms + 999)
    clock.move(1)
    second = {"startDateTime": "2026-03-02T09:00:00+0000", "endDateTime": "2026-03-02T10:00:00+0100"}
    (row,) = ask(mimecast, data=second).json()["data"]
    assert row["eventTime"] == "2026-03-02T09:00:00+0000"


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": SPAN | {"startDateTime": "2026-03-01T00:00:00Z"}},
        {"data": SPAN | {"startDateTime": "2026-03-01T00:00:00+00:00"}},
        {"data": SPAN | {"startDateTime": "2026-03-04T00:00:00+0000"}},
        {"data": SPAN | {"view": "all"}},
        {"data": None},
        {"size": 501},
        {"page": "abc"},
        {"page": 5},
        {"page": ["x"]},
        {"size": "2"},
        {"data": "x"},
    ],
)
def test_a_wrong_question_fails_with_status_200(mimecast: Mimecast, wrong: dict[str, Any]) -> None:
    answer = ask(mimecast, **wrong)
    assert (answer.status_code, answer.json()["data"], len(answer.json()["fail"])) == (200, [], 1)


def test_a_token_may_be_over_and_belongs_to_its_question(mimecast: Mimecast) -> None:
    mimecast.emitter.emit(3)
    page = following(ask(mimecast))
    assert ask(mimecast, page, data=SPAN | {"endDateTime": "2026-03-02T23:00:00+0000"}).json()["fail"]
    headers = bearer(token(mimecast).json()["access_token"])
    mimecast.faults.plan("expired")
    assert ask(mimecast, page, headers=headers).json()["fail"]
    assert len(found(ask(mimecast, page, headers=headers))) == 1


def test_tokens_are_made_and_end(mimecast: Mimecast, clock: Clock) -> None:
    minted = token(mimecast).json()
    assert token(mimecast, client_secret="bad").status_code == 401
    clock.move(minted["expires_in"])
    assert ask(mimecast, headers=bearer(minted["access_token"])).status_code == 401


@pytest.mark.parametrize("other", [{"app_key": "x"}, {"secret_key": "eA=="}, {"app_id": "x"}])
def test_version_1_checks_the_signature(clock: Clock, other: dict[str, str]) -> None:
    with serving(Mimecast(clock=clock, version="1.0")) as mimecast:
        assert ask(mimecast, headers=signed(mimecast, **other)).status_code == 401
        headers = signed(mimecast)
        assert ask(mimecast, headers=headers).status_code == 200
        clock.move(1_000)
        assert ask(mimecast, headers=headers).status_code == 401


def test_a_used_up_quota_tells_no_wait(clock: Clock) -> None:
    with serving(Mimecast(clock=clock, per_minute=0)) as mimecast:
        assert (ask(mimecast).status_code, ask(mimecast).headers.get("Retry-After")) == (429, None)
