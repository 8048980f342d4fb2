"""What is asked about acknowledgements, and what of an answer counts."""

from __future__ import annotations

import pytest

from flicker_dagster.deliver.hec.acknowledgements import (
    MOST_CHANNELS,
    MOST_IDS,
    Channels,
    PartlyRefused,
    Ticket,
    acknowledged,
    questions,
)
from flicker_dagster.deliver.outcomes import Delivered, PerItem, Rejected, Retry

OK = Delivered("indexed")


def tickets(*found: Ticket) -> dict[str, Ticket]:
    return {ticket.token(): ticket for ticket in found}


@pytest.mark.parametrize(
    "ticket",
    [
        Ticket("c", 0),
        Ticket("c", 7, (("AWSALB", "x=y"), ("node", "b"))),
        Ticket("c", 7, refused=PartlyRefused(2, 5, "HTTP 400 Bad Request", 1_795_464_000_000)),
    ],
)
def test_a_token_is_all_it_takes_to_ask_later(ticket: Ticket) -> None:
    assert Ticket.read(ticket.token()) == ticket


@pytest.mark.parametrize("token", ["", "x", "[]", "null", '{"channel":"c"}', '{"channel":"c","ack_id":"0"}', "\ud800"])
def test_what_is_no_token_is_none(token: str) -> None:
    assert Ticket.read(token) is None


def test_one_question_is_about_one_channel_at_one_indexer() -> None:
    a, b = (("node", "a"),), (("node", "b"),)
    asked = questions(tickets(Ticket("c", 0, a), Ticket("c", 0, b), Ticket("d", 0, a), Ticket("c", 1, a)))
    assert [(question.channel, question.cookies, question.ids) for question in asked] == [
        ("c", a, [0, 1]),
        ("c", b, [0]),
        ("d", a, [0]),
    ]


def test_a_question_holds_so_many_ids() -> None:
    asked = questions(tickets(*(Ticket("c", number) for number in range(2 * MOST_IDS + 1))))
    assert [len(question.ids) for question in asked] == [MOST_IDS, MOST_IDS, 1]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"acks":{"0":true,"1":false,"12":true}}', {0, 12}),
        (b'{"acks":{"0":1,"1":"true","2":null}}', set()),
        (b'{"acks":{"-1":true,"x":true,"\xc2\xb2":true,"":true}}', set()),
        (b'{"acks":[true]}', set()),
        (b'{"acks":null}', set()),
        (b'{"text":"ACK is disabled","code":14}', set()),
        (b"[true]", set()),
        (b"", set()),
        (b"<html>", set()),
        (b'{"acks":{"0":tr', set()),
        (b"[" * 100_000, set()),
    ],
)
def test_only_true_is_true(body: bytes, ids: set[int]) -> None:
    assert acknowledged(body) == ids


def test_what_is_not_acknowledged_is_left_out() -> None:
    (question,) = questions(tickets(Ticket("c", 0), Ticket("c", 1)))
    assert question.outcomes({1, 5}, OK, now_ms=0) == {Ticket("c", 1).token(): OK}


def test_what_stood_before_a_refused_event_is_waited_for_until_its_time() -> None:
    refused = PartlyRefused(1, 3, "bad", until_ms=1_000)
    (question,) = questions(tickets(Ticket("c", 0, refused=refused)))
    again = Retry("not read: it stood behind an event that was refused", 0.0)
    assert list(question.outcomes({0}, OK, now_ms=0).values()) == [PerItem((OK, Rejected("bad"), again), "bad")]
    assert question.outcomes(set(), OK, now_ms=999) == {}
    (outcome,) = question.outcomes(set(), OK, now_ms=1_000).values()
    assert isinstance(outcome, PerItem)
    assert [type(item) for item in outcome.items] == [Retry, Rejected, Retry]


def test_an_id_that_comes_twice_spoils_its_channel_and_another_takes_its_place() -> None:
    channels = Channels()
    first = channels.current
    assert channels.gives(first, (), 0)
    assert channels.gives(first, (), 1)
    assert channels.gives(first, (("node", "b"),), 0), "another indexer counts for itself"
    assert not channels.gives(first, (), 0)
    assert channels.is_spoilt(first)
    assert channels.current != first
    assert not channels.gives(first, (), 2), "nothing that comes late on it counts"
    assert not channels.unpinned


def test_ids_that_come_twice_on_one_channel_after_another_are_the_rule() -> None:
    channels = Channels()
    for _ in range(MOST_CHANNELS):
        assert not channels.unpinned
        channels.gives(channels.current, (), 0)
        channels.gives(channels.current, (), 0)
    assert channels.unpinned
