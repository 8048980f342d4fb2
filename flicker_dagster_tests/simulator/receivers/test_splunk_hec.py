"""The simulated collector does what Splunk documents, and an independent client gets along with it."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from splunk_data_sender import SplunkSender

from flicker_dagster.simulator.receivers.hec_protocol import CODES
from flicker_dagster.simulator.receivers.splunk_hec import HecToken, SplunkHecReceiver
from flicker_dagster_tests.deliver.contract import FakeClock

CHANNEL = str(uuid.UUID(int=7))
ACK, PLAIN = "ack-token", "plain-token"

Open = Callable[..., SplunkHecReceiver]


@pytest.fixture
def collector() -> Iterator[Open]:
    opened: list[SplunkHecReceiver] = []

    def open_one(**keys: Any) -> SplunkHecReceiver:
        tokens = {
            ACK: HecToken(ack=True),
            PLAIN: HecToken(indexes=frozenset({"main", "saas"})),
            "off": HecToken(enabled=False),
        }
        opened.append(SplunkHecReceiver(**{"tokens": tokens, "clock": FakeClock()} | keys))
        return opened[-1]

    yield open_one
    for siem in opened:
        siem.close()


def post(siem: SplunkHecReceiver, body: str | bytes, path: str = "event", **how: Any) -> dict[str, Any]:
    """The answer's body, with its HTTP status under `status`."""
    headers = {"Authorization": f"Splunk {how.pop('token', PLAIN)}"} | how.pop("headers", {})
    if "channel" in how:
        headers["X-Splunk-Request-Channel"] = how.pop("channel")
    data = body.encode() if isinstance(body, str) else body
    answer = requests.post(f"{siem.url}/services/collector/{path}", data=data, headers=headers, timeout=30, **how)
    return answer.json() | {"status": answer.status_code, "cookies": answer.cookies.get_dict()}


def said(answer: dict[str, Any]) -> tuple[int, int]:
    return answer["status"], answer["code"]


def asked(siem: SplunkHecReceiver, ids: list[int], **how: Any) -> dict[str, bool]:
    body = json.dumps({"acks": ids})
    return post(siem, body, "ack", **({"token": ACK, "channel": CHANNEL} | how))["acks"]


# -- reading


@pytest.mark.parametrize("between", ["", " ", "\n", "\r\n\t  "])
def test_objects_follow_each_other_with_white_space_or_without(collector: Open, between: str) -> None:
    siem = collector()
    body = between.join(['{"event":{"a": 1}}', '{"time":"1763930701.123","event":"x","host":"h"}', '{"event":{}}'])
    assert said(post(siem, between + body + between)) == (200, 0)
    assert [each.event for each in siem.stored] == [b'{"a": 1}', b'"x"', b"{}"]
    assert siem.stored[1].beside["time_ms"] == 1_763_930_701_123
    assert (siem.stored[0].beside["index"], siem.stored[1].beside["host"]) == ("main", "h")


def test_metadata_of_the_address_count_for_events_without_their_own(collector: Open) -> None:
    siem = collector()
    post(siem, '{"event":"a"}{"event":"b","index":"main"}', params={"index": "saas", "source": "s"})
    assert [(each.beside["index"], each.beside["source"]) for each in siem.stored] == [("saas", "s"), ("main", "s")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 5),
        (" \n", 5),
        ('[{"event":"a"}]', 6),
        ('{"event":"a"},{"event":"b"}', 6),
        ('{"event":"a"', 6),
        ('{"event":NaN}', 6),
        ('{"event":17}', 6),
        ('{"event":"a","time":"soon"}', 6),
        ('{"event":"a","time":true}', 6),
        (b'{"event":"\xff"}', 6),
        ('{"event":"a","index":"elsewhere"}', 7),
        ('{"time":1}', 12),
        ('{"event":null}', 12),
        ('{"event":""}', 13),
        ('{"event":" \\n"}', 13),
        ('{"event":"a","fields":{"x":{"y":"z"}}}', 15),
        ('{"event":"a","fields":{"x":[{"y":"z"}]}}', 15),
        ('{"event":"a","fields":["x"]}', 15),
    ],
)
def test_what_splunk_refuses_is_refused_with_its_code(collector: Open, body: str | bytes, code: int) -> None:
    siem = collector()
    assert said(post(siem, body)) == (CODES[code][0], code)
    assert siem.counts().total() == (1 if b"},{" in (body.encode() if isinstance(body, str) else body) else 0)


def test_flat_fields_are_texts_and_lists_of_texts(collector: Open) -> None:
    siem = collector()
    assert said(post(siem, '{"event":"a","fields":{"event_uid":"u1","tags":["x","y"]}}')) == (200, 0)
    assert siem.counts() == {"u1": 1}


@pytest.mark.parametrize("keeps_before", [True, False])
def test_reading_stops_at_the_first_event_that_is_wrong(collector: Open, keeps_before: bool) -> None:
    siem = collector(keeps_before=keeps_before)
    answer = post(siem, '{"event":"a"}{"event":"b"}{"event":""}{"event":"d"}', token=ACK, channel=CHANNEL)
    assert (*said(answer), answer["invalid-event-number"]) == (400, 13, 2)
    assert [each.event for each in siem.stored] == ([b'"a"', b'"b"'] if keeps_before else [])
    assert ("ackId" in answer) is keeps_before


def test_lines_are_events(collector: Open) -> None:
    siem = collector()
    body = '2026-11-23T20:00:00.007Z event_uid=u1 {"a":1}\nplain line\n\n'
    assert said(post(siem, body, "raw", channel=CHANNEL, params={"sourcetype": "x"})) == (200, 0)
    assert [each.event for each in siem.stored] == [b'{"a":1}', b"plain line"]
    assert (siem.stored[0].uid, siem.stored[0].beside["stamp"]) == ("u1", "2026-11-23T20:00:00.007Z")
    assert said(post(siem, body, "raw")) == (400, 10)


def test_sizes_count_inflated_and_packed(collector: Open) -> None:
    siem = collector(max_content_bytes=1_000)
    big = json.dumps({"event": "x" * 2_000}).encode()
    assert post(siem, big)["status"] == 413
    assert post(siem, gzip.compress(big), headers={"Content-Encoding": "gzip"})["status"] == 413
    assert said(post(siem, gzip.compress(b'{"event":"a"}'), headers={"Content-Encoding": "gzip"})) == (200, 0)
    assert said(post(siem, b"no gzip", headers={"Content-Encoding": "gzip"})) == (400, 6)


# -- tokens and channels


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, 2),
        ("Bearer plain-token", 3),
        ("Splunk", 3),
        ("Basic ???", 3),
        ("Splunk nobody", 4),
        ("Splunk off", 1),
        ("Splunk plain-token", 0),
        ("Basic eDpwbGFpbi10b2tlbg==", 0),
    ],
)
def test_tokens(collector: Open, authorization: str | None, code: int) -> None:
    siem = collector()
    answer = post(siem, '{"event":"a"}', headers={"Authorization": authorization})
    assert said(answer) == (CODES[code][0], code)


def test_a_token_in_the_address_counts_for_nothing(collector: Open) -> None:
    answer = post(collector(), '{"event":"a"}', headers={"Authorization": None}, params={"token": PLAIN})
    assert said(answer) == (400, 16)


def test_a_token_with_acknowledgement_wants_a_channel_that_is_a_guid(collector: Open) -> None:
    siem = collector()
    assert said(post(siem, '{"event":"a"}', token=ACK)) == (400, 10)
    assert said(post(siem, '{"event":"a"}', token=ACK, channel="mine")) == (400, 11)
    assert post(siem, '{"event":"a"}', token=ACK, params={"channel": CHANNEL})["ackId"] == 0
    assert "ackId" not in post(siem, '{"event":"a"}', channel=CHANNEL)


def test_health_and_unknown_addresses(collector: Open) -> None:
    siem = collector()
    health = f"{siem.url}/services/collector/health/1.0"
    assert requests.get(health, timeout=30).json()["code"] == 17
    siem.unhealthy = 18
    assert requests.get(health, timeout=30).status_code == 503
    assert post(siem, "{}", "nowhere")["status"] == 404


# -- acknowledgement


def test_requests_are_counted_from_0_for_each_channel(collector: Open) -> None:
    siem = collector()
    other = str(uuid.UUID(int=8))
    given = [post(siem, '{"event":"a"}', token=ACK, channel=each)["ackId"] for each in (CHANNEL, CHANNEL, other)]
    assert given == [0, 1, 0]


def test_true_is_said_once_after_indexing_and_false_of_anything_else(collector: Open) -> None:
    clock = FakeClock()
    siem = collector(ack_delay_s=5, clock=clock)
    post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)
    assert asked(siem, [0, 1]) == {"0": False, "1": False}
    clock.sleep(5)
    assert asked(siem, [0]) == {"0": True}
    assert asked(siem, [0]) == {"0": False}
    assert asked(siem, [0], channel=str(uuid.UUID(int=8))) == {"0": False}


def test_asking_with_a_token_without_acknowledgement(collector: Open) -> None:
    assert said(post(collector(), '{"acks":[0]}', "ack", channel=CHANNEL)) == (400, 14)


@pytest.mark.parametrize("keys", ["unindexed", "unacknowledged"])
def test_requests_that_are_never_acknowledged(collector: Open, keys: str) -> None:
    siem = collector()
    setattr(siem, keys, 1)
    for text in ("a", "b"):
        post(siem, json.dumps({"event": text}), token=ACK, channel=CHANNEL)
    assert asked(siem, [0, 1]) == {"0": False, "1": True}
    assert len(siem.stored) == (1 if keys == "unindexed" else 2)


def test_an_idle_channel_and_a_restart_forget_everything(collector: Open) -> None:
    clock = FakeClock()
    siem = collector(idle_s=60, clock=clock)
    post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)
    clock.sleep(61)
    assert asked(siem, [0]) == {"0": False}
    post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)
    siem.restart()
    assert post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)["ackId"] == 0


def test_two_indexers_behind_one_address_count_for_themselves(collector: Open) -> None:
    siem = collector(indexers=2, cookie="node")
    first = post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)
    second = post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL)
    assert (first["ackId"], second["ackId"]) == (0, 0)
    assert first["cookies"] != second["cookies"]
    again = post(siem, '{"event":"a"}', token=ACK, channel=CHANNEL, cookies=first["cookies"])
    assert (again["ackId"], again["cookies"]) == (1, {})
    assert asked(siem, [0, 1], cookies=second["cookies"]) == {"0": True, "1": False}


# -- faults


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "503"}, 503, 9),
        ({"kind": "503", "says": "18"}, 503, 18),
        ({"kind": "429"}, 429, 26),
        ({"kind": "400", "says": "7"}, 400, 7),
        ({"kind": "500"}, 500, 8),
        ({"kind": "404"}, 404, 404),
    ],
)
def test_faults_speak_like_splunk(collector: Open, fault: dict[str, str], status: int, code: int) -> None:
    siem = collector()
    siem.faults.plan(**fault)
    assert said(post(siem, '{"event":"a"}')) == (status, code)
    assert siem.stored == []


def test_an_answer_may_be_cut_off_after_everything_was_stored(collector: Open) -> None:
    siem = collector()
    siem.faults.plan("commit_then_cut")
    with pytest.raises(requests.ConnectionError):
        post(siem, '{"event":"a"}')
    assert len(siem.stored) == 1


def test_near_its_capacity_it_says_so_and_takes_the_events(collector: Open) -> None:
    siem = collector()
    siem.says.append(24)
    assert said(post(siem, '{"event":"a"}')) == (200, 24)
    assert len(siem.stored) == 1


# -- an independent client


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("channel_in", ["url", "header"])
def test_an_independent_client_sends_and_has_its_events_acknowledged(
    collector: Open, compress: bool, channel_in: str
) -> None:
    siem = collector()
    address = urlsplit(siem.url)
    client = SplunkSender(
        endpoint=address.hostname,
        port=address.port,
        protocol="http",
        verify=False,
        token=ACK,
        channel=CHANNEL,
        channel_in=channel_in,
        compress=compress,
        source_type="okta:im2",
        index="saas",
        hostname="acme.okta.com",
        allow_overrides=True,
    )
    assert client.get_health()
    answer = client.send_data(
        [{"event": {"id": "e1"}, "time": "1763930701.123"}, {"event": {"id": "e2"}, "time": 1763930702}]
    )
    assert answer == {"text": "Success", "code": 0, "ackId": 0}
    assert client.send_acks([0]) == {"acks": {"0": True}}
    assert client.send_acks(0) == {"acks": {"0": False}}
    assert [json.loads(each.event)["id"] for each in siem.stored] == ["e1", "e2"]
    assert [each.beside["time_ms"] for each in siem.stored] == [1_763_930_701_123, 1_763_930_702_000]
    assert siem.stored[0].beside["sourcetype"] == "okta:im2"


def test_an_independent_client_knows_the_codes_by_the_same_names() -> None:
    for code in range(17):
        status, text = CODES[code]
        assert SplunkSender._dispatch_splunk_res_code(status, code) == text
