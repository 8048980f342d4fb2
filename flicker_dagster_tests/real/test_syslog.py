"""Real receivers of syslog: rsyslog and the OpenTelemetry Collector over mutual TLS, VictoriaLogs over TCP."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.destinations.syslog import Syslog
from flicker_dagster.deliver.outcomes import Blocked, Delivered
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.waiting import until

if TYPE_CHECKING:
    from flicker_dagster_tests.real.collector import Collector
    from flicker_dagster_tests.real.rsyslog import Rsyslog
    from flicker_dagster_tests.real.victorialogs import VictoriaLogs
    from flicker_dagster_tests.tls import Authority

_UID = re.compile(rb'event_uid="([0-9a-f]{32})"')


def opened(port: int, authority: Authority | None = None, *, client: bool = True, **keys: object) -> Syslog:
    tls = {} if authority is None else {"ca_cert_path": authority.ca_path}
    if authority is not None and client:
        tls |= {"cert_path": authority.client_cert_path, "key_path": authority.client_key_path}
    scheme = "tcp" if authority is None else "tls"
    config = {"type": "syslog", "endpoint": f"{scheme}://127.0.0.1:{port}", "timeout_ms": 20_000, **keys}
    if tls:
        config["tls"] = tls
    return Syslog(SyslogDestination.model_validate(config), LaneContext("okta"))


def drained(lots: list, open_destination: Callable[[], Syslog]) -> None:
    found = drain(MemoryQueue(lots), open_destination)
    assert found.done, found.last_words


def warm(rsyslog: Rsyslog) -> None:
    """Its file is open from here on: rsyslog 8.2302 mixes descriptors up where a TLS connection ends just then."""
    destination = opened(rsyslog.port, rsyslog.authority, confirm="settle", hostname="warm")
    before = len(rsyslog.messages())
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    rsyslog.wait_for(before + 1)
    destination.close()


@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_rsyslog_reads_every_event_byte_for_byte(rsyslog: Rsyslog, confirm: str) -> None:
    warm(rsyslog)
    make = lambda n: event_of(n, text="é\u2028🦊\\n", big="x" * (n % 7 * 40_000))  # noqa: E731
    lots = lots_of(1_000, size=100, source=f"rsyslog-{confirm}", make=make)
    keys = {"confirm": confirm, "hostname": f"host-{confirm}", "max_message_bytes": 500_000, "max_batch_bytes": 2**26}
    drained(lots, lambda: opened(rsyslog.port, rsyslog.authority, **keys))
    of_ours = f" host-{confirm} flicker ".encode()
    ours = lambda: [each for each in rsyslog.messages() if of_ours in each]  # noqa: E731
    until(lambda: len(ours()) == 1_000, "every message is in the file")
    found = {_UID.search(each)[1].decode(): each.split(b"] ", 1)[1] for each in ours()}  # type: ignore[index]
    assert found == {uid: event for lot in lots for uid, event in zip(lot.uids, lot.events)}
    assert all(each.startswith(b"<134>1 2026-11-23T19:59:00.") for each in ours())


def test_rsyslog_takes_cef_and_what_was_torn_nothing(rsyslog: Rsyslog) -> None:
    warm(rsyslog)
    lots = lots_of(200, size=50, source="cef")
    drained(lots, lambda: opened(rsyslog.port, rsyslog.authority, format="cef", hostname="cef"))
    until(lambda: sum(b" cef flicker " in each for each in rsyslog.messages()) == 200, "every message is in the file")
    ours = [each for each in rsyslog.messages() if b" cef flicker " in each]
    assert all(b"] CEF:0|okta|audit|1|user.session.start|" in each for each in ours)
    assert Counter(_UID.search(each)[1].decode() for each in ours) == Counter(  # type: ignore[index]
        uid for lot in lots for uid in lot.uids
    )


@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_rsyslog_blocks_a_client_without_a_certificate(rsyslog: Rsyslog, confirm: str) -> None:
    for count in (1, 3_000):
        lot = lots_of(count, size=count)[0]
        destination = opened(
            rsyslog.port, rsyslog.authority, client=False, confirm=confirm, hostname="refused", max_batch_bytes=2**26
        )
        outcome = destination.send(lot)
        destination.close()
        assert isinstance(outcome, Blocked), outcome
        assert "CERTIFICATE_REQUIRED" in outcome.why
    assert not any(b" refused " in each for each in rsyslog.messages())


@pytest.mark.parametrize("confirm", ["close", "settle"])
def test_the_collector_reads_every_event(collector: Collector, confirm: str) -> None:
    lots = lots_of(1_000, source=f"collector-{confirm}")
    keys = {"confirm": confirm, "hostname": f"host-{confirm}", "msgid": "{event.action}"}
    drained(lots, lambda: opened(collector.syslog_port, collector.authority, **keys))

    def ours() -> list[dict[str, object]]:
        return [each for each in map(attributes, collector.records()) if each.get("hostname") == f"host-{confirm}"]

    until(lambda: len(ours()) == 1_000, "every record is in the file")
    found = ours()
    assert {each["message"] for each in found} == {event.decode() for lot in lots for event in lot.events}
    assert {each["msg_id"] for each in found} == {"user.session.start"}
    assert Counter(each["event_uid"] for each in found) == Counter(uid for lot in lots for uid in lot.uids)


def attributes(record: dict) -> dict[str, object]:
    """A record's attributes as text, those of our structured data among them."""
    found: dict[str, object] = {}

    def take(members: list) -> None:
        for member in members:
            value = member["value"]
            if "kvlistValue" in value:
                take(value["kvlistValue"]["values"])
            else:
                found[member["key"]] = value.get("stringValue")

    take(record.get("attributes", []))
    return found


@pytest.mark.parametrize("framing", ["octet_counting", "lf"])
def test_victorialogs_reads_every_event_by_tcp(victorialogs: VictoriaLogs, framing: str) -> None:
    lots = lots_of(1_000, source=f"tcp-{framing}")
    drained(lots, lambda: opened(victorialogs.syslog_port, framing=framing, hostname=f"tcp-{framing}"))
    query = f'hostname:="tcp-{framing}"'
    until(lambda: len(victorialogs.rows(query)) == 1_000, "every message was taken")
    rows = victorialogs.rows(query)
    assert {row["app_name"] for row in rows} == {"flicker"}
    assert {row["flicker@32473.event_uid"] for row in rows} == {uid for lot in lots for uid in lot.uids}
