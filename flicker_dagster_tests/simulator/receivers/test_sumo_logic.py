"""The Sumo Logic receiver does as an HTTP source does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flicker_dagster.simulator.receivers.sumo_logic import SumoLogicReceiver
from flicker_dagster_tests.simulator.receivers.asking import post

LINES = b'{"event_uid":"1"}\n{"event_uid":"2"}\n'


@pytest.fixture
def siem() -> Iterator[SumoLogicReceiver]:
    receiver = SumoLogicReceiver(fields=frozenset({"tenant"}))
    yield receiver
    receiver.close()


def test_lines_are_taken_with_what_the_headers_say_of_them(siem: SumoLogicReceiver) -> None:
    headers = {"X_Sumo_Category": "c", "X_Sumo_Fields": "tenant=acme,unknown=x"}
    assert post(siem.source_url, LINES, packed=True, **headers) == (200, b"")
    assert siem.counts() == {"1": 1, "2": 1}
    assert siem.stored[0].beside["category"] == "c"
    assert siem.stored[0].beside["fields"] == {"tenant": "acme"}  # the other is not defined, and gone


def test_it_refuses_as_sumo_logic_does(siem: SumoLogicReceiver) -> None:
    assert post(siem.source_url + "x", LINES)[0] == 401
    assert post(siem.source_url, LINES, method="PUT")[0] == 405
    assert post(siem.source_url, LINES, Content_Encoding="deflate")[0] == 400
    assert siem.stored == []


def test_a_long_line_is_cut_into_pieces(siem: SumoLogicReceiver) -> None:
    post(siem.source_url, b"x" * 70_000)
    assert [len(each.event) for each in siem.stored] == [65_536, 4_464]


def test_a_request_that_timed_out_may_be_there_in_part(siem: SumoLogicReceiver) -> None:
    siem.times_out = 1
    assert post(siem.source_url, LINES)[0] == 408
    assert siem.counts() == {"1": 1}


def test_a_budget_that_is_used_up_drops_what_it_acknowledges(siem: SumoLogicReceiver) -> None:
    siem.budget_used = True
    assert post(siem.source_url, LINES)[0] == 200
    assert siem.stored == []
