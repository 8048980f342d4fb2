"""Syslog by TCP: what counts as arrived, and what every failure stands for."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Retry
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.syslog_receivers import opened
from flicker_dagster_tests.waiting import until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# -- what counts as arrived


@pytest.mark.parametrize(
    ("fault", "confirm", "kind"),
    [
        ("cut_before_commit", "close", Ambiguous),
        ("cut_before_commit", "settle", Ambiguous),
        ("commit_then_cut", "close", Ambiguous),
        ("slow", "close", Delivered),
        ("slow", "settle", Delivered),
        ("endless", "close", Ambiguous),
        ("endless", "settle", Delivered),
    ],
)
def test_a_connection_that_ends_otherwise(syslog: SyslogReceiver, fault: str, confirm: str, kind: type) -> None:
    syslog.faults.plan(fault, seconds=0.2)
    destination = opened(syslog.address, confirm=confirm, settle_ms=300, timeout_ms=1_500)
    outcome = destination.send(lots_of(2_000, size=2_000, make=lambda n: event_of(n, blob="x" * 2_000))[0])
    destination.close()
    assert isinstance(outcome, kind), outcome


def test_a_receiver_that_never_reads_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        destination = opened(f"tcp://127.0.0.1:{listener.getsockname()[1]}", timeout_ms=300, max_batch_bytes=2**30)
        big = lot_of([event_of(n, blob="x" * 7_000) for n in range(2_000)])
        for lot, says in ((big, "took no more bytes"), (lots_of(1)[0], "did not close the connection")):
            outcome = destination.send(lot)
            assert isinstance(outcome, Ambiguous)
            assert says in outcome.why
            assert "destination.timeout_ms (0.3 s)" in outcome.why


def test_an_end_that_crosses_the_request_proves_nothing() -> None:
    """The receiver closed before the bytes came: our side sees an end in order, and the bytes are gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for confirm in ("close", "settle"):
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            outcome = opened(f"tcp://127.0.0.1:{listener.getsockname()[1]}", confirm=confirm, timeout_ms=500).send(
                lots_of(1)[0]
            )
            assert isinstance(outcome, Ambiguous), confirm


def test_kept_connections_are_used_again_and_a_dead_one_is_noticed_before_it_is(
    syslog: SyslogReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    destination = opened(syslog.address, confirm="settle", settle_ms=20)
    lots = lots_of(30, size=10)
    destination.send(lots[0])
    destination.send(lots[1])
    assert syslog.connections == 1
    until(lambda: len(syslog.messages) == 20, "everything was read")
    syslog.reset_kept()
    with caplog.at_level(logging.WARNING):
        assert isinstance(destination.send(lots[2]), Delivered)
    assert syslog.connections == 2
    assert "may be lost" in caplog.text
    destination.close()


def test_what_a_receiver_says_is_not_repeated() -> None:
    """rsyslog was seen to write other messages back: they are events."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.sendall(b"<134>1 - secret event")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        outcome = opened(f"tcp://127.0.0.1:{listener.getsockname()[1]}", confirm="settle").send(lots_of(1)[0])
    assert isinstance(outcome, Ambiguous)
    assert "after it sent something" in outcome.why
    assert "secret" not in outcome.why


@pytest.mark.parametrize(
    ("says", "expected"),
    [(b"\x15\x03\x03\x00\x02\x02\x46", "tls://"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers in HTTP")],
)
def test_a_port_that_speaks_something_else_blocks(says: bytes, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.sendall(says)
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        outcome = opened(f"tcp://127.0.0.1:{listener.getsockname()[1]}").send(lots_of(1)[0])
    assert isinstance(outcome, Blocked)
    assert expected in outcome.why


def test_nobody_there_is_waited_out() -> None:
    for endpoint in (
        f"tcp://127.0.0.1:{free_port()}",
        f"tls://127.0.0.1:{free_port()}",
        "tcp://no.such.host.invalid:1",
    ):
        outcome = opened(endpoint).send(lots_of(1)[0])
        assert isinstance(outcome, Retry)
        assert "cannot connect" in outcome.why


# -- the contract


def test_a_quarter_of_the_requests_reset_after_reading_loses_nothing(syslog: SyslogReceiver) -> None:
    syslog.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(600, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(syslog.address), runs=200)
    assert drained.done
    counts = syslog.counts()
    assert counts.keys() == {uid for lot in lots for uid in lot.uids}
    assert sum(counts.values()) > 600  # the resets were real
    assert not syslog.malformed


def test_a_quarter_of_the_requests_reset_before_reading_repeats_nothing(syslog: SyslogReceiver) -> None:
    syslog.faults.plan("cut_before_commit", count=None, share=0.25)
    lots = lots_of(600, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(syslog.address), runs=200)
    assert drained.done
    assert syslog.counts() == dict.fromkeys((uid for lot in lots for uid in lot.uids), 1)


def test_ten_thousand_events_with_one_per_cent_too_long(syslog: SyslogReceiver) -> None:
    make = lambda n: event_of(n) if n % 100 else event_of(n, blob="x" * 9_000)  # noqa: E731
    drained = drain(MemoryQueue(lots_of(10_000, size=500, make=make)), lambda: opened(syslog.address))
    assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
    assert len(syslog.counts()) == len(syslog.messages) == 9_900
    assert not syslog.malformed
