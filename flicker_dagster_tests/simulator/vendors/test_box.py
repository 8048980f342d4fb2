"""The simulated enterprise events keep the rules of Box's events guide and OpenAPI specification."""

from __future__ import annotations

import uuid
from itertools import chain
from typing import Any

import jwt
import pytest
import requests

from flicker_dagster.simulator.grants import JWT_BEARER
from flicker_dagster.simulator.vendors.box import FIRST_POSITION, Box
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import bearer, call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

URL, TOKEN_URL = "https://api.box.com/2.0/events", "https://api.box.com/oauth2/token"
CLIENT = {"client_id": Box.params["client_id"], "client_secret": Box.params["client_secret"]}
ENTERPRISE = {"box_subject_type": "enterprise", "box_subject_id": Box.params["enterprise_id"]}
GRANT = {"grant_type": "client_credentials", **CLIENT, **ENTERPRISE}

box = served(Box)


def ask(box: Box, position: Any = 0, *, kind: str = "admin_logs_streaming", **query: Any) -> requests.Response:
    query = {"stream_type": kind, "stream_position": position, **query}
    return call(box, URL, query, headers=bearer(box.minting.mint()))


def found(answer: requests.Response) -> list[str]:
    return [entry["event_id"] for entry in answer.json()["entries"]]


def chunks(box: Box, position: Any = 0, **query: Any) -> tuple[list[list[str]], Any]:
    """All chunks until the position stands still, and that position."""
    listed = []
    while (following := (answer := ask(box, position, **query)).json()["next_stream_position"]) != position:
        listed.append(found(answer))
        position = following
    return listed, position


def test_a_position_is_kept_and_what_comes_late_is_behind_none(box: Box, clock: Clock) -> None:
    events = box.emitter.emit(7)
    listed, position = chunks(box, limit=3)
    assert sorted(chain(*listed)) == sorted(ids(events))
    assert [len(chunk) for chunk in listed] == [2, 2, 2, 1]
    assert position > 2**53
    (late,) = box.emitter.emit(1, at_ms=clock.ago_ms(DAY_S))
    assert found(ask(box, position)) == [late.id]


def test_a_chunk_may_be_empty_and_yet_move_the_position(box: Box) -> None:
    events = box.emitter.emit(2)
    box.faults.plan("empty")
    answer = ask(box).json()
    assert (answer["chunk_size"], answer["entries"]) == (0, [])
    assert answer["next_stream_position"] > FIRST_POSITION
    assert sorted(found(ask(box, answer["next_stream_position"]))) == sorted(ids(events))


def test_now_is_the_place_after_everything(box: Box) -> None:
    box.emitter.emit(3)
    answer = ask(box, "now").json()
    assert answer["entries"] == ask(box, answer["next_stream_position"]).json()["entries"] == []


def test_the_stream_keeps_two_weeks_and_the_history_a_year(box: Box, clock: Clock) -> None:
    old, recent = (box.emitter.emit(1, at_ms=clock.ago_ms(days * DAY_S))[0] for days in (30, 3))
    clock.move(15 * DAY_S)
    assert found(ask(box)) == []
    assert found(ask(box, kind="admin_logs")) == ids([old, recent])
    since = rfc3339_ms(recent.published_ms)
    assert found(ask(box, kind="admin_logs", created_after=since)) == [recent.id]


def test_positions_may_be_text_and_the_stream_behind(clock: Clock) -> None:
    with serving(Box(text_positions=True, behind_s=12, clock=clock)) as box:
        (event,) = box.emitter.emit(1)
        assert ask(box).json()["entries"] == []
        clock.move(12)
        assert found(ask(box)) == [event.id]
        assert ask(box).json()["next_stream_position"] == str(FIRST_POSITION + 2)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "501"}, {"limit": "0"}, {"position": "1.152922979252291e18"}, {"kind": "all"}, {"since": "1"},
        {"kind": "admin_logs", "created_after": "2026-03-01"},
        {"kind": "admin_logs", "created_after": "2026-03-02T00:00:00Z", "created_before": "2026-03-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_a_senseless_question_is_refused(box: Box, query: dict[str, Any]) -> None:
    answer = ask(box, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_client_credentials_name_the_enterprise_and_live_an_hour(box: Box, clock: Clock) -> None:
    answer = call(box, TOKEN_URL, method="POST", data=GRANT).json()
    assert answer["expires_in"] == 3600
    headers, query = bearer(answer["access_token"]), {"stream_type": "admin_logs_streaming"}
    assert call(box, URL, query, headers=headers).status_code == 200
    clock.move(3600)
    refused = call(box, URL, query, headers=headers)
    assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")


@pytest.mark.parametrize(
    "changed", [{"client_secret": "x"}, {"box_subject_id": "1"}, {"box_subject_type": ""}, {"grant_type": "password"}]
)
def test_no_token_is_given_out(box: Box, changed: dict[str, str]) -> None:
    assert call(box, TOKEN_URL, method="POST", data=GRANT | changed).status_code == 400
    assert call(box, TOKEN_URL, method="POST", json=GRANT).status_code == 400


def test_a_refresh_token_is_good_for_one_time(clock: Clock) -> None:
    with serving(Box(auth="refresh_token", clock=clock)) as box:
        first = {"grant_type": "refresh_token", **Box.refresh_params}
        second = first | {"refresh_token": call(box, TOKEN_URL, method="POST", data=first).json()["refresh_token"]}
        assert call(box, TOKEN_URL, method="POST", data=first).json()["error"] == "invalid_grant"
        assert call(box, TOKEN_URL, method="POST", data=second).status_code == 200


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 200), ({"sub": "1"}, 400), ({"exp": 3600}, 400), ({"aud": "https://box.com"}, 400), ({"jti": "short"}, 400)],
)
def test_an_assertion_is_of_the_enterprise_and_of_this_minute(
    clock: Clock, changed: dict[str, Any], status: int
) -> None:
    with serving(Box(auth="jwt", clock=clock)) as box:
        params = Box.jwt_params()
        claims: dict[str, Any] = {
            "iss": params["client_id"],
            "sub": params["enterprise_id"],
            "box_sub_type": "enterprise",
        }
        claims |= {"aud": TOKEN_URL, "jti": str(uuid.uuid4()), "exp": 45} | changed
        claims["exp"] += int(clock())
        signed = jwt.encode(claims, params["private_key"], algorithm="RS256", headers={"kid": params["key_id"]})
        form = {"grant_type": JWT_BEARER, "assertion": signed, **CLIENT}
        assert call(box, TOKEN_URL, method="POST", data=form).status_code == status
        assert call(box, TOKEN_URL, method="POST", data=form).status_code == 400  # once is enough


def test_the_quota_is_refused_with_retry_after(clock: Clock) -> None:
    with serving(Box(per_minute=1, clock=clock)) as box:
        assert ask(box).status_code == 200
        answer = ask(box)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
