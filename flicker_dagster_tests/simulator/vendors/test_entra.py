"""The simulated audit logs keep the rules of Microsoft Graph's directoryAudit and signIn lists."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from flicker_dagster.simulator.vendors.entra import Entra
from flicker_dagster.times import rfc3339_ms
from flicker_dagster_tests.simulator.vendors.by_http import call
from flicker_dagster_tests.simulator.worlds import DAY_S, Clock, ids, served, serving

AUDITS = "https://graph.microsoft.com/v1.0/auditLogs/directoryAudits"
SIGN_INS = "https://graph.microsoft.com/v1.0/auditLogs/signIns"
TOKEN = f"https://login.microsoftonline.com/{Entra.params['tenant_id']}/oauth2/v2.0/token"

entra = served(Entra, requests_per_10_s=1_000)


def token(entra: Entra, resource: str = "https://graph.microsoft.com") -> requests.Response:
    sent = {"grant_type": "client_credentials", "scope": f"{resource}/.default"}
    sent |= {name: entra.params[name] for name in ("client_id", "client_secret")}
    return call(entra, TOKEN, method="POST", data=sent)


def ask(entra: Entra, url: str = AUDITS, bearer: str = "", **query: Any) -> requests.Response:
    bearer = bearer or token(entra).json()["access_token"]
    named = {f"${name}": value for name, value in query.items()}
    return call(entra, url, named, headers={"Authorization": f"Bearer {bearer}"})


def walked(entra: Entra, url: str = AUDITS, **query: Any) -> list[list[str]]:
    answer = ask(entra, url, **query)
    pages = [[event["id"] for event in answer.json()["value"]]]
    while "@odata.nextLink" in answer.json():
        answer = ask(entra, answer.json()["@odata.nextLink"])
        pages.append([event["id"] for event in answer.json()["value"]])
    return pages


@pytest.mark.parametrize(("url", "field"), [(AUDITS, "activityDateTime"), (SIGN_INS, "createdDateTime")])
def test_the_newest_come_first_unless_ordered_otherwise(entra: Entra, url: str, field: str) -> None:
    stream = entra.streams[url == SIGN_INS]
    entra.emitters[stream].emit(5)
    events = ask(entra, url).json()["value"]
    times = [event[field] for event in events]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 5
    ordered = walked(entra, url, top=2, orderby=f"{field} asc")
    assert ordered == [[events[4]["id"], events[3]["id"]], [events[2]["id"], events[1]["id"]], [events[0]["id"]]]


def test_filters_are_inclusive_to_the_tick_and_late_events_are_found(entra: Entra, clock: Clock) -> None:
    at_ms = clock.ago_ms(60)
    on_the_tick, beyond = entra.emitter.emit(2, at_ms=at_ms)
    (late,) = entra.emitter.emit(1, at_ms=at_ms + 5, visible_ms=clock.now_ms + 1_000)
    time = rfc3339_ms(at_ms)
    assert walked(entra, filter=f"activityDateTime ge {time} and activityDateTime le {time}") == [[on_the_tick.id]]
    assert walked(entra, filter=f"activityDateTime eq {time}") == [[on_the_tick.id]]
    since = f"activityDateTime ge {time}"
    assert walked(entra, filter=since, orderby="activityDateTime asc") == [ids([on_the_tick, beyond])]
    clock.move(1)
    assert walked(entra, filter=since, orderby="activityDateTime asc") == [ids([on_the_tick, beyond, late])]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "activityDateTime gt 2026-03-02T08:00:00Z"},
        {"filter": "activityDateTime ge '2026-03-02T08:00:00Z'"},
        {"filter": "createdDateTime ge 2026-03-02T08:00:00Z"},
        {"filter": "activityDateTime ge 2026-01-02T08:00:00Z"},
        {"orderby": "id asc"},
        {"top": 1001},
        {"skip": 5},
        {"skiptoken": "made-up"},
    ],
)
def test_what_cannot_be_asked_is_refused(entra: Entra, query: dict[str, Any]) -> None:
    answer = ask(entra, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


def test_an_empty_page_may_lead_to_a_full_one_and_a_place_that_is_gone_is_refused(entra: Entra) -> None:
    (event,) = entra.emitter.emit(1)
    entra.faults.plan("empty", after=1)
    assert walked(entra) == [[], [event.id]]
    entra.emitter.emit(5)
    link = ask(entra, top=1).json()["@odata.nextLink"]
    entra.faults.plan("wrong_host", after=1)
    assert ask(entra, top=1).json()["@odata.nextLink"].startswith("http://evil.invalid/v1.0/")
    entra.faults.plan("expired", after=1)
    assert ask(entra, link).status_code == 400


def test_tokens_are_for_graph_and_end(entra: Entra, clock: Clock) -> None:
    assert token(entra, "https://manage.office.com").status_code == 400
    bearer = token(entra).json()["access_token"]
    assert ask(entra, bearer=bearer).status_code == 200
    clock.move(3599)
    assert ask(entra, bearer=bearer).status_code == 401


def test_five_requests_in_ten_seconds_are_all_with_a_fraction_to_wait(clock: Clock) -> None:
    with serving(Entra(clock=clock)) as entra:
        bearer = token(entra).json()["access_token"]
        for url in (AUDITS, SIGN_INS) * 2 + (AUDITS,):
            assert ask(entra, url, bearer=bearer).status_code == 200
            clock.move(0.5)
        refused = ask(entra, SIGN_INS, bearer=bearer)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7.500")
        clock.move(7.5)
        assert ask(entra, bearer=bearer).status_code == 200
        clock.move(8 * DAY_S)
        assert ask(entra).json()["value"] == []
