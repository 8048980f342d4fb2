"""Syslog messages as they arrive: header, text, CEF, and what is too large for one."""

from __future__ import annotations

import pytest

from flicker_dagster.deliver.destinations.syslog import READ, SETTLED
from flicker_dagster.deliver.outcomes import Delivered, Rejected
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.syslog_receivers import opened, sent
from flicker_dagster_tests.waiting import until

# -- what is sent


@pytest.mark.parametrize("framing", ["octet_counting", "lf"])
@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_each_event_is_a_message_with_its_id_and_time(framing: str, confirm: str, syslog: SyslogReceiver) -> None:
    lot = lots_of(50)[0]
    outcome = opened(
        syslog.address,
        framing=framing,
        confirm=confirm,
        settle_ms=20,
        msgid="{event.action}",
        hostname="acme.okta.com",
    ).send(lot)
    assert outcome == Delivered(READ if confirm == "close" else SETTLED)
    until(lambda: len(syslog.messages) == 50, "everything that the receiver's system has was read")
    assert [message.text for message in syslog.messages] == lot.events
    assert list(syslog.counts()) == lot.uids
    first = syslog.messages[0]
    assert (first.facility, first.severity, first.time) == (16, 6, "2026-11-23T19:59:00.000Z")
    assert (first.hostname, first.app_name, first.procid, first.msgid) == (
        "acme.okta.com", "flicker", "-", "user.session.start",
    )  # fmt: skip
    assert first.params == {"flicker@32473": {"event_uid": lot.uids[0], "source": "okta"}}


def test_lengths_count_bytes_not_characters(syslog: SyslogReceiver) -> None:
    assert sent(syslog, '{"name":"Zoë 😀"}'.encode(), b'{"id":2}') == ['{"name":"Zoë 😀"}'.encode(), b'{"id":2}']


def test_line_breaks_between_values_are_left_out(syslog: SyslogReceiver) -> None:
    assert sent(syslog, b'{\n "a": "x y"\r\n}', framing="lf") == [b'{"a":"x y"}']


def test_a_byte_order_mark_is_sent_where_it_is_asked_for(syslog: SyslogReceiver) -> None:
    assert sent(syslog, b"{}", bom=True) == [b"\xef\xbb\xbf{}"]


def test_what_an_event_holds_cannot_break_the_header(syslog: SyslogReceiver) -> None:
    nasty = '{"id":1,"kind":"a b] \\u00e9\\n{event.id}","host":"' + "h" * 300 + '","x":"q\\"b\\\\s]e\\u0000\\nn"}'
    sent(
        syslog, nasty.encode(), msgid="{event.kind}", hostname="{event.host}", procid="{event.none}",
        structured_data={"x": "{event.x}", "none": "{event.none}"},
    )  # fmt: skip
    message = syslog.messages[0]
    assert (message.msgid, message.hostname, message.procid) == ("a_b]_{event.id}", "h" * 255, "-")
    assert message.params["flicker@32473"] == {
        "event_uid": lot_of([nasty.encode()]).uids[0],
        "x": 'q"b\\s]e n',
    }


@pytest.mark.parametrize(
    ("severity", "expected"), [("WARN", 4), ("error", 3), ("Informational", 6), ("nonsense", 5), (None, 5), (7, 5)]
)
def test_an_events_own_severity_is_known_by_its_name(syslog: SyslogReceiver, severity: object, expected: int) -> None:
    sent(syslog, event_of(1, severity=severity), severity="notice", severity_from="{event.severity}", facility="audit")
    assert (syslog.messages[0].facility, syslog.messages[0].severity) == (13, expected)


def test_the_same_lot_makes_the_same_bytes() -> None:
    lot = lots_of(20)[0]
    one, other = (opened("tcp://h", format=form)._encoder.messages(lot)[0] for form in ("cef", "cef"))
    assert one == other


# -- CEF


def test_an_event_in_cef(syslog: SyslogReceiver) -> None:
    event = (
        '{"eventType":"user|login","displayMessage":"User\\nsigned | in","actor":{"alternateId":"zoë@x=y\\\\z"},'
        '"client":{"ipAddress":"203.0.113.7"},"outcome":{"result":"SUCCESS"},"severity":"WARN"}'
    ).encode()
    lot = lot_of([event])
    [text] = sent(syslog, event, format="cef", severity_from="{event.severity}", cef={"product": "System|Log"})
    assert text.decode().startswith(r"CEF:0|okta|System\|Log|1|user\|login|User signed \| in|6|rt=1795463940000 ")
    extension = text.decode().partition(" ")[2]
    assert f"externalId={lot.uids[0]}" in extension
    assert r"suser=zoë@x\=y\\z src=203.0.113.7 act=user|login outcome=SUCCESS rawEvent=" in extension
    raw = extension.split("rawEvent=")[1]
    assert raw.replace("\\=", "=").replace("\\\\", "\\").encode() == event


def test_keys_of_cef_can_be_added_and_left_out(syslog: SyslogReceiver) -> None:
    [text] = sent(
        syslog, b'{"type":"t","ip":"1.2.3.4","text":"a\\nb","n":7}', format="cef",
        cef={"extensions": {"src": None, "msg": "{event.text}", "cn1": "{event.n}", "cn1Label": "n"}, "raw_key": None},
    )  # fmt: skip
    uid = lot_of([b'{"type":"t","ip":"1.2.3.4","text":"a\\nb","n":7}']).uids[0]
    assert text == (
        rb"CEF:0|okta|audit|1|t|t|3|rt=1795463940000 externalId=" + uid.encode() + rb" act=t msg=a\nb cn1=7 cn1Label=n"
    )


def test_an_event_that_no_decoder_reads_is_sent_all_the_same(syslog: SyslogReceiver) -> None:
    event = b'{"type":"x","n":1e999999,"bad":"\xff\x01"}'
    assert sent(syslog, event, msgid="{event.type}") == [event]
    assert syslog.messages[0].msgid == "x"


# -- too large


def test_an_event_that_is_too_long_is_unfit_and_says_what_to_raise(syslog: SyslogReceiver) -> None:
    destination = opened(syslog.address)
    lot = lot_of([event_of(1), event_of(2, blob="x" * 8_000), event_of(3)])
    unfit = destination.unfit(lot)
    assert list(unfit) == [1]
    assert "max_message_bytes is 8192" in unfit[1]
    assert "MaxFrameSize" in unfit[1]
    assert isinstance(destination.send(lot), Rejected)
    assert isinstance(destination.send(lot.part([0, 2])), Delivered)
    assert not syslog.malformed
    assert not opened(syslog.address, max_message_bytes=20_000).unfit(lot)


def test_exactly_the_longest_message_passes(syslog: SyslogReceiver) -> None:
    lot = lot_of([event_of(1, text="é" * 100)])
    length = len(opened("tcp://h")._encoder.messages(lot)[0][0])
    assert not opened(syslog.address, max_message_bytes=length).unfit(lot)
    assert opened(syslog.address, max_message_bytes=length - 1).unfit(lot)


def test_the_largest_fields_can_be_left_out_and_are_named(syslog: SyslogReceiver) -> None:
    event = b'{"id":1,"big":"%b","n":1.10,"bigger":{"x":"%b"}}' % (b"x" * 5_000, b"y" * 9_000)
    assert sent(syslog, event, oversize="drop_fields") == [
        b'{"id":1,"big":"%b","n":1.10,"truncated":["bigger"]}' % (b"x" * 5_000)
    ]
    [_, text] = sent(syslog, event, oversize="drop_fields", format="cef")
    assert b"rawEvent" not in text
    lot = lot_of([b'{"id":1,"text":"a\nb"}', b'["%b"]' % (b"x" * 9_000)])
    assert list(opened(syslog.address, oversize="drop_fields").unfit(lot)) == [0, 1]
