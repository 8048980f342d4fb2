"""Syslog by TLS: who trusts whom, and what a refusal of either side stands for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.deliver.destinations.syslog import READ, SETTLED
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of
from flicker_dagster_tests.deliver.destinations.syslog_receivers import opened, server_context, tls_of
from flicker_dagster_tests.tls import Authority
from flicker_dagster_tests.waiting import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_directory(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_directory(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[SyslogReceiver]:
    server = SyslogReceiver(tls=server_context(authority))
    yield server
    server.close()


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_mutual_tls(authority: Authority, most: ssl.TLSVersion, confirm: str) -> None:
    receiver = SyslogReceiver(tls=server_context(authority, most=most))
    destination = opened(
        receiver.address, tls=tls_of(authority, authority), confirm=confirm, settle_ms=20, max_batch_bytes=2**30
    )
    lots = lots_of(4_000, size=2_000)
    assert [destination.send(lot) for lot in lots] == [Delivered(READ if confirm == "close" else SETTLED)] * 2
    destination.close()
    until(lambda: len(receiver.messages) == 4_000, "everything that the receiver's system has was read")
    receiver.close()
    assert sorted(receiver.counts()) == sorted(uid for lot in lots for uid in lot.uids)
    assert not receiver.malformed


@pytest.mark.parametrize("confirm", ["close", "settle"])
@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_a_client_that_the_receiver_does_not_trust_is_blocked(
    authority: Authority, stranger: Authority, most: ssl.TLSVersion, who: str, confirm: str
) -> None:
    """In TLS 1.3 the handshake succeeds on our side, and the refusal comes with the first bytes that are read."""
    receiver = SyslogReceiver(tls=server_context(authority, most=most))
    client = stranger if who == "a stranger" else None
    for count in (1, 2_000):
        outcome = opened(receiver.address, tls=tls_of(authority, client), confirm=confirm, max_batch_bytes=2**30).send(
            lots_of(count, size=count)[0]
        )
        assert isinstance(outcome, Blocked), outcome
        assert "TLS failed" in outcome.why
    receiver.close()
    assert not receiver.messages


def test_a_receiver_that_we_do_not_trust_is_blocked(tls_receiver: SyslogReceiver, stranger: Authority) -> None:
    for keys in ({"tls": tls_of(stranger)}, {}):
        outcome = opened(tls_receiver.address, **keys).send(lots_of(1)[0])
        assert isinstance(outcome, Blocked)
        assert "certificate verify failed" in outcome.why


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("other.example.test").configure_cert(context)
    receiver = SyslogReceiver(tls=context)
    outcome = opened(receiver.address, tls=tls_of(authority)).send(lots_of(1)[0])
    assert isinstance(outcome, Blocked)
    trusting = tls_of(authority) | {"accept_invalid_certs": True}
    assert isinstance(opened(receiver.address, tls=trusting).send(lots_of(1)[0]), Delivered)
    receiver.close()


def test_tls_towards_a_receiver_of_plain_tcp(syslog: SyslogReceiver, authority: Authority) -> None:
    outcome = opened(syslog.address.replace("tcp", "tls"), tls=tls_of(authority), timeout_ms=300).send(lots_of(1)[0])
    assert isinstance(outcome, Retry)
    assert "TLS" in outcome.why


def test_plain_tcp_towards_a_receiver_of_tls(tls_receiver: SyslogReceiver) -> None:
    outcome = opened(tls_receiver.address.replace("tls", "tcp")).send(lots_of(1)[0])
    assert isinstance(outcome, Blocked | Ambiguous)
    assert not tls_receiver.messages


def test_a_key_with_a_password_is_told_and_nobody_is_asked(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(Path(authority.client_key_path).read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(DestinationBlocked, match="without a password"):
        opened("tls://h", tls=tls_of(authority, authority) | {"key_path": str(locked)}).send(lots_of(1)[0])


def test_a_wrong_certificate_is_waited_out_and_then_everything_is_drained(
    tls_receiver: SyslogReceiver, authority: Authority, stranger: Authority
) -> None:
    queue = MemoryQueue(lots_of(300))
    blocked = drain(queue, lambda: opened(tls_receiver.address, tls=tls_of(authority, stranger)), runs=3)
    assert queue.waiting == 300
    assert "TLS failed" in blocked.last_words
    assert drain(queue, lambda: opened(tls_receiver.address, tls=tls_of(authority, authority))).done
    assert len(tls_receiver.counts()) == 300
    assert set(tls_receiver.counts().values()) == {1}
