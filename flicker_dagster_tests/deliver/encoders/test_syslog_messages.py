"""Whatever an event holds, its message is one of RFC 5424, and its CEF can be taken apart again."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.deliver.encoders.cef import CefBody
from flicker_dagster.deliver.encoders.event_text import EventText, EventView
from flicker_dagster.deliver.encoders.syslog import JsonBody, Rfc5424, framed
from flicker_dagster.simulator.receivers.syslog import Message, _frames
from flicker_dagster_tests.deliver.contract import lot_of

_TEXT = st.text(max_size=40)
_VALUE = st.one_of(_TEXT, st.integers(), st.booleans(), st.none(), st.lists(_TEXT, max_size=2))
_EVENT = st.fixed_dictionaries(
    {}, optional={"kind": _VALUE, "who": st.dictionaries(st.just("mail"), _VALUE), "x": _VALUE}
)


def config(**keys: object) -> SyslogDestination:
    return SyslogDestination.model_validate(
        {
            "type": "syslog",
            "endpoint": "tcp://h",
            "hostname": "{event.who.mail}",
            "msgid": "{event.kind}",
            "severity_from": "{event.x}",
            "structured_data": {"kind": "{event.kind|event.x}"},
            **keys,
        }
    )


@given(_EVENT, st.booleans())
def test_every_event_is_a_message_that_holds_it(event: dict[str, object], escaped: bool) -> None:
    text = json.dumps(event, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    lot = lot_of([text])
    [message], unfit = Rfc5424(config(), JsonBody(), source="s", vendor=None).messages(lot)
    assert not unfit
    found = Message.of(message)
    assert found.text == text
    assert found.params["flicker@32473"]["event_uid"] == lot.uids[0]


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
def test_counted_messages_are_told_apart_whatever_they_hold(messages: list[bytes]) -> None:
    assert _frames(framed(messages, "octet_counting"), at_end=True) == (messages, b"")


@given(_EVENT)
def test_cef_can_be_taken_apart_again(event: dict[str, object]) -> None:
    text = json.dumps(event).encode()
    cef = {"signature_id": "{event.kind}", "extensions": {"msg": "{event.x}", "suser": "{event.who.mail}"}}
    keys = config(format="cef", cef=cef)
    body = CefBody(keys.cef, source="s", vendor=None, message_field=None).of(lot_of([text]), 0, EventView(text), 6)
    assert body is not None
    assert b"\n" not in body
    head = re.split(r"(?<!\\)(?:\\\\)*\|", body.decode(), maxsplit=7)
    assert len(head) == 8
    assert head[0] == "CEF:0"
    raw = body.decode().split(" rawEvent=")[1]
    assert re.search(r"(?<!\\)(?:\\\\)*=", raw) is None
    assert json.loads(raw.replace("\\=", "=").replace("\\\\", "\\")) == event


@pytest.mark.parametrize(
    ("text", "event", "expected"),
    [
        ("{event.a.b}", b'{"a":{"b":1.5}}', "1.5"),
        ("{event.a.b}", b'{"a.b":true}', "true"),
        ("{event.a|event.b}", b'{"a":{"x":1},"b":"two"}', "two"),
        ("{event.a|event.b}", b'{"a":{"x":[1]}}', '{"x":[1]}'),
        ("{event.a|event.b}", b'{"a":"","b":0}', "0"),
        ("{event.a}", b'["a"]', ""),
        ("{event.a}", b"nonsense", ""),
        ("{event.a}-{source}-{vendor}", b'{"a":"{source}","n":1e999999}', "{source}-s-v"),
    ],
)
def test_texts_with_parts_of_an_event(text: str, event: bytes, expected: str) -> None:
    assert EventText(text, source="s", vendor="v").of(EventView(event)) == expected
