"""The syslog receiver reads strictly, keeps what it read, and fails as it is told to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.errors import FlickerError
from flicker_dagster.simulator.receivers.syslog import Message, SyslogReceiver
from flicker_dagster_tests.waiting import until

#: Of 163 octets and 162 characters.
VECTOR = (
    '<134>1 2026-11-23T20:45:01.123456Z acme.okta.com saas-audit - user.session.start [audit@32473 event_uid="7d0c4f"] '
    '{"eventType":"user.session.start","actor":"zoë"}'
).encode()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SyslogReceiver]:
    server = SyslogReceiver(journal=tmp_path / "journal", max_message_bytes=300)
    yield server
    server.close()


def talk(receiver: SyslogReceiver, *pieces: bytes) -> bytes:
    """Send pieces, end our side; gives what comes back until the other side ends. Raises ConnectionResetError."""
    with socket.create_connection((receiver.host, receiver.port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(100)


def test_a_message_is_taken_apart() -> None:
    message = Message.of(VECTOR)
    assert (message.facility, message.severity, message.hostname) == (16, 6, "acme.okta.com")
    assert (message.app_name, message.procid, message.msgid) == ("saas-audit", "-", "user.session.start")
    assert message.params == {"audit@32473": {"event_uid": "7d0c4f"}}
    assert json.loads(message.text)["actor"] == "zoë"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<192>1 - h a p m - x",
        b"<34>2 - h a p m - x",
        b"<34>1 2026-11-23T20:45:01.1234567Z h a p m - x",
        b"<34>1 2026-11-23T20:45:01 h a p m - x",
        b"<34>1 - h h a p m - x",
        b'<34>1 - h a p m [x a="b]"] x',
        b"<34>1 - h a p " + b"m" * 33 + b" - x",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="RFC 5424"):
        Message.of(data)


def test_both_framings_are_told_by_themselves(receiver: SyslogReceiver, tmp_path: Path) -> None:
    counted = b"%d %b" % (len(VECTOR), VECTOR)
    talk(receiver, counted + counted[:20], counted[20:])
    talk(receiver, VECTOR + b"\n", VECTOR[:50], VECTOR[50:] + b"\n")
    assert len(receiver.messages) == 4
    assert not receiver.malformed
    assert receiver.counts() == {"7d0c4f": 4}
    assert len((tmp_path / "journal").read_text().splitlines()) == 4


def test_a_wrong_length_and_a_long_message_are_told_as_malformed(receiver: SyslogReceiver) -> None:
    talk(receiver, b"%d %b" % (len(VECTOR) + 1, VECTOR))
    talk(receiver, b"%d %b" % (len(VECTOR) + 400, VECTOR + b"x" * 400))
    talk(receiver, b"12x " + VECTOR)
    assert len(receiver.messages) == 1  # the beginning of the long one
    assert len(receiver.malformed) == 3


def test_faults_of_a_connection(receiver: SyslogReceiver) -> None:
    receiver.faults.plan("cut_before_commit")
    receiver.faults.plan("commit_then_cut")
    for messages in (0, 1):
        with pytest.raises(ConnectionResetError):
            talk(receiver, VECTOR + b"\n")
        until(lambda expected=messages: len(receiver.messages) == expected, "what was read is kept")
    assert talk(receiver, VECTOR + b"\n") == b""


def test_a_port_that_is_taken_is_told(receiver: SyslogReceiver) -> None:
    with pytest.raises(FlickerError, match="choose another port"):
        SyslogReceiver(port=receiver.port)
