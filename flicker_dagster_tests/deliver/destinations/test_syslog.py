"""Syslog by TCP and TLS: what is sent, what counts as arrived, and what every failure stands for."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.syslog import READ, SETTLED, Syslog
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.tls import Authority
from flicker_dagster_tests.waiting import until


@pytest.fixture
def receiver() -> Iterator[SyslogReceiver]:
    server = SyslogReceiver()
    yield server
    server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_directory(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.in_directory(tmp_path_factory.mktemp("stranger"), "stranger")


def server_context(
    authority: Authority, *, demand_client: bool = True, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = most
    authority.ca.issue_cert("127.0.0.1").configure_cert(context)
    if demand_client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.ca.configure_trust(context)
    return context


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[SyslogReceiver]:
    server = SyslogReceiver(tls=server_context(authority))
    yield server
    server.close()


def tls_of(authority: Authority, client: Authority | None = None) -> dict[str, str]:
    keys = {"ca_cert_path": authority.ca_path}
    if client is not None:
        keys |= {"cert_path": client.client_cert_path, "key_path": client.client_key_path}
    return keys


def opened(endpoint: str, *, env: dict[str, str] | None = None, **keys: object) -> Syslog:
    config = SyslogDestination.model_validate({"type": "syslog", "endpoint": endpoint, "timeout_ms": 5_000, **keys})
    assert not config.faults()
    return Syslog(config, LaneContext("okta", vendor="okta", env=env or {}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sent(receiver: SyslogReceiver, *events: bytes, **keys: object) -> list[bytes]:
    outcome = opened(receiver.address, **keys).send(lot_of(events))
    assert isinstance(outcome, Delivered), outcome
    return [message.text for message in receiver.messages]


# -- what is sent


@pytest.mark.parametrize("framing", ["octet_counting", "lf"])
@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_each_event_is_a_message_with_its_id_and_time(framing: str, confirm: str, receiver: SyslogReceiver) -> None:
    lot = lots_of(50)[0]
    outcome = opened(
        receiver.address,
        framing=framing,
        confirm=confirm,
        settle_ms=20,
        msgid="{event.action}",
        hostname="acme.okta.com",
    ).send(lot)
    assert outcome == Delivered(READ if confirm == "close" else SETTLED)
    until(lambda: len(receiver.messages) == 50, "everything that the receiver's system has was read")
    assert [message.text for message in receiver.messages] == lot.events
    assert list(receiver.counts()) == lot.uids
    first = receiver.messages[0]
    assert (first.facility, first.severity, first.time) == (16, 6, "2026-11-23T19:59:00.000Z")
    assert (first.hostname, first.app_name, first.procid, first.msgid) == (
        "acme.okta.com", "flicker", "-", "user.session.start",
    )  # fmt: skip
    assert first.params == {"flicker@32473": {"event_uid": lot.uids[0], "source": "okta"}}


def test_lengths_count_bytes_not_characters(receiver: SyslogReceiver) -> None:
    assert sent(receiver, '{"name":"Zoë 😀"}'.encode(), b'{"id":2}') == ['{"name":"Zoë 😀"}'.encode(), b'{"id":2}']


def test_line_breaks_between_values_are_left_out(receiver: SyslogReceiver) -> None:
    assert sent(receiver, b'{\n "a": "x y"\r\n}', framing="lf") == [b'{"a":"x y"}']


def test_a_byte_order_mark_is_sent_where_it_is_asked_for(receiver: SyslogReceiver) -> None:
    assert sent(receiver, b"{}", bom=True) == [b"\xef\xbb\xbf{}"]


def test_what_an_event_holds_cannot_break_the_header(receiver: SyslogReceiver) -> None:
    nasty = '{"id":1,"kind":"a b] \\u00e9\\n{event.id}","host":"' + "h" * 300 + '","x":"q\\"b\\\\s]e\\u0000\\nn"}'
    sent(
        receiver, nasty.encode(), msgid="{event.kind}", hostname="{event.host}", procid="{event.none}",
        structured_data={"x": "{event.x}", "none": "{event.none}"},
    )  # fmt: skip
    message = receiver.messages[0]
    assert (message.msgid, message.hostname, message.procid) == ("a_b]_{event.id}", "h" * 255, "-")
    assert message.params["flicker@32473"] == {
        "event_uid": lot_of([nasty.encode()]).uids[0],
        "x": 'q"b\\s]e n',
    }


@pytest.mark.parametrize(
    ("severity", "expected"), [("WARN", 4), ("error", 3), ("Informational", 6), ("nonsense", 5), (None, 5), (7, 5)]
)
def test_an_events_own_severity_is_known_by_its_name(receiver: SyslogReceiver, severity: object, expected: int) -> None:
    sent(
        receiver, event_of(1, severity=severity), severity="notice", severity_from="{event.severity}", facility="audit"
    )
    assert (receiver.messages[0].facility, receiver.messages[0].severity) == (13, expected)


def test_the_same_lot_makes_the_same_bytes() -> None:
    lot = lots_of(20)[0]
    one, other = (opened("tcp://h", format=form)._encoder.messages(lot)[0] for form in ("cef", "cef"))
    assert one == other


# -- CEF


def test_an_event_in_cef(receiver: SyslogReceiver) -> None:
    event = (
        '{"eventType":"user|login","displayMessage":"User\\nsigned | in","actor":{"alternateId":"zoë@x=y\\\\z"},'
        '"client":{"ipAddress":"203.0.113.7"},"outcome":{"result":"SUCCESS"},"severity":"WARN"}'
    ).encode()
    lot = lot_of([event])
    [text] = sent(receiver, event, format="cef", severity_from="{event.severity}", cef={"product": "System|Log"})
    head, _, extension = text.decode().partition(" ")
    assert text.decode().startswith(r"CEF:0|okta|System\|Log|1|user\|login|User signed \| in|6|rt=1795463940000 ")
    assert head
    assert f"externalId={lot.uids[0]}" in extension
    assert r"suser=zoë@x\=y\\z src=203.0.113.7 act=user|login outcome=SUCCESS rawEvent=" in extension
    raw = extension.split("rawEvent=")[1]
    assert raw.replace("\\=", "=").replace("\\\\", "\\").encode() == event


def test_keys_of_cef_can_be_added_and_left_out(receiver: SyslogReceiver) -> None:
    [text] = sent(
        receiver, b'{"type":"t","ip":"1.2.3.4","text":"a\\nb","n":7}', format="cef",
        cef={"extensions": {"src": None, "msg": "{event.text}", "cn1": "{event.n}", "cn1Label": "n"}, "raw_key": None},
    )  # fmt: skip
    uid = lot_of([b'{"type":"t","ip":"1.2.3.4","text":"a\\nb","n":7}']).uids[0]
    assert text == (
        rb"CEF:0|okta|audit|1|t|t|3|rt=1795463940000 externalId=" + uid.encode() + rb" act=t msg=a\nb cn1=7 cn1Label=n"
    )


def test_an_event_that_no_decoder_reads_is_sent_all_the_same(receiver: SyslogReceiver) -> None:
    event = b'{"type":"x","n":1e999999,"bad":"\xff\x01"}'
    assert sent(receiver, event, msgid="{event.type}") == [event]
    assert receiver.messages[0].msgid == "x"


# -- too large


def test_an_event_that_is_too_long_is_unfit_and_says_what_to_raise(receiver: SyslogReceiver) -> None:
    destination = opened(receiver.address)
    lot = lot_of([event_of(1), event_of(2, blob="x" * 8_000), event_of(3)])
    unfit = destination.unfit(lot)
    assert list(unfit) == [1]
    assert "max_message_bytes is 8192" in unfit[1]
    assert "MaxFrameSize" in unfit[1]
    assert isinstance(destination.send(lot), Rejected)
    assert isinstance(destination.send(lot.part([0, 2])), Delivered)
    assert not receiver.malformed
    assert not opened(receiver.address, max_message_bytes=20_000).unfit(lot)


def test_exactly_the_longest_message_passes(receiver: SyslogReceiver) -> None:
    lot = lot_of([event_of(1, text="é" * 100)])
    length = len(opened("tcp://h")._encoder.messages(lot)[0][0])
    assert not opened(receiver.address, max_message_bytes=length).unfit(lot)
    assert opened(receiver.address, max_message_bytes=length - 1).unfit(lot)


def test_the_largest_fields_can_be_left_out_and_are_named(receiver: SyslogReceiver) -> None:
    event = b'{"id":1,"big":"%b","n":1.10,"bigger":{"x":"%b"}}' % (b"x" * 5_000, b"y" * 9_000)
    assert sent(receiver, event, oversize="drop_fields") == [
        b'{"id":1,"big":"%b","n":1.10,"truncated":["bigger"]}' % (b"x" * 5_000)
    ]
    [_, text] = sent(receiver, event, oversize="drop_fields", format="cef")
    assert b"rawEvent" not in text
    lot = lot_of([b'{"id":1,"text":"a\nb"}', b'["%b"]' % (b"x" * 9_000)])
    assert list(opened(receiver.address, oversize="drop_fields").unfit(lot)) == [0, 1]


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
def test_a_connection_that_ends_otherwise(receiver: SyslogReceiver, fault: str, confirm: str, kind: type) -> None:
    receiver.faults.plan(fault, seconds=0.2)
    destination = opened(receiver.address, confirm=confirm, settle_ms=300, timeout_ms=1_500)
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
    receiver: SyslogReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    destination = opened(receiver.address, confirm="settle", settle_ms=20)
    lots = lots_of(30, size=10)
    destination.send(lots[0])
    destination.send(lots[1])
    assert receiver.connections == 1
    until(lambda: len(receiver.messages) == 20, "everything was read")
    receiver.reset_kept()
    with caplog.at_level(logging.WARNING):
        assert isinstance(destination.send(lots[2]), Delivered)
    assert receiver.connections == 2
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


# -- TLS


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


def test_tls_towards_a_receiver_of_plain_tcp(receiver: SyslogReceiver, authority: Authority) -> None:
    outcome = opened(receiver.address.replace("tcp", "tls"), tls=tls_of(authority), timeout_ms=300).send(lots_of(1)[0])
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


# -- the configuration


def test_the_endpoint_may_come_from_the_environment(receiver: SyslogReceiver) -> None:
    assert isinstance(opened("${SYSLOG}", env={"SYSLOG": receiver.address}).send(lots_of(1)[0]), Delivered)
    with pytest.raises(SecretUnset, match="SYSLOG"):
        opened("${SYSLOG}").send(lots_of(1)[0])
    with pytest.raises(DestinationBlocked, match="expected tls://host:port") as caught:
        opened("${SYSLOG}", env={"SYSLOG": "udp://secret:1"}).send(lots_of(1)[0])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"endpoint": "udp://h:1"}, "endpoint"),
        ({"endpoint": "tcp://h:1", "tls": {}}, "tls"),
        ({"tls": {"cert_path": "/x"}}, "tls.key_path"),
        ({"msgid": "{eventType}"}, "msgid"),
        ({"hostname": "{event.}"}, "hostname"),
        ({"structured_data": {"a b": "x"}}, "structured_data"),
        ({"structured_data": {"a": "{b}"}}, "structured_data.a"),
        ({"cef": {"extensions": {"a b": "x"}}}, "cef.extensions"),
        ({"cef": {"extensions": {"a": "{event.x|y}"}}}, "cef.extensions.a"),
        ({"severity_from": "{severity}"}, "severity_from"),
    ],
)
def test_what_contradicts_itself_is_named(keys: dict[str, object], where: str) -> None:
    config = SyslogDestination.model_validate({"type": "syslog", "endpoint": "tls://h:1", **keys})
    assert [key for key, _ in config.all_faults()] == [where]


# -- the contract


def test_a_quarter_of_the_requests_reset_after_reading_loses_nothing(receiver: SyslogReceiver) -> None:
    receiver.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(600, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(receiver.address), runs=200)
    assert drained.done
    counts = receiver.counts()
    assert counts.keys() == {uid for lot in lots for uid in lot.uids}
    assert sum(counts.values()) > 600  # the resets were real
    assert not receiver.malformed


def test_a_quarter_of_the_requests_reset_before_reading_repeats_nothing(receiver: SyslogReceiver) -> None:
    receiver.faults.plan("cut_before_commit", count=None, share=0.25)
    lots = lots_of(600, size=20)
    drained = drain(MemoryQueue(lots), lambda: opened(receiver.address), runs=200)
    assert drained.done
    assert receiver.counts() == dict.fromkeys((uid for lot in lots for uid in lot.uids), 1)


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


def test_ten_thousand_events_with_one_per_cent_too_long(receiver: SyslogReceiver) -> None:
    make = lambda n: event_of(n) if n % 100 else event_of(n, blob="x" * 9_000)  # noqa: E731
    drained = drain(MemoryQueue(lots_of(10_000, size=500, make=make)), lambda: opened(receiver.address))
    assert (drained.delivered, drained.dead, drained.done) == (9_900, 100, True)
    assert len(receiver.counts()) == len(receiver.messages) == 9_900
    assert not receiver.malformed
