"""`type: syslog` as it is configured."""

from __future__ import annotations

import pytest

from flicker_dagster.config.destinations.syslog import SyslogDestination
from flicker_dagster.deliver.outcomes import Delivered
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.simulator.receivers.syslog import SyslogReceiver
from flicker_dagster_tests.deliver.contract import lots_of
from flicker_dagster_tests.deliver.destinations.syslog_receivers import opened


def test_the_endpoint_may_come_from_the_environment(syslog: SyslogReceiver) -> None:
    assert isinstance(opened("${SYSLOG}", env={"SYSLOG": syslog.address}).send(lots_of(1)[0]), Delivered)
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
