"""`type: syslog`: messages of RFC 5424 by TCP or TLS."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.event_templates import EventTemplate, template_fault
from flicker_dagster.config.records import Count, Milliseconds, Record, Template, Tls

SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")

#: Where vendors put who, from where, what and with which end. `null` in the configuration leaves a key out.
EXTENSIONS = {
    "suser": "{event.actor.alternateId|event.actor.email|event.actor.name|event.actor|event.user.email|event.userName"
    "|event.user}",
    "src": "{event.client.ipAddress|event.actor.ip|event.actor_ip|event.ipAddress|event.sourceIPAddress|event.ip}",
    "requestClientApplication": "{event.client.userAgent.rawUserAgent|event.userAgent|event.user_agent}",
    "act": "{event.action|event.eventType|event.event_type|event.operation|event.type}",
    "outcome": "{event.outcome.result|event.outcome|event.result|event.status}",
}
_WHAT = "{event.eventType|event.event_type|event.action|event.operation|event.type|event.name}"


class Cef(Record):
    """How events are written in the Common Event Format."""

    vendor: str = Field(default="{vendor}", description="Device Vendor; {source} and {vendor} are filled in")
    product: str = Field(default="audit", description="Device Product")
    version: str = Field(default="1", description="Device Version")
    signature_id: EventTemplate = Field(default=_WHAT, description="Signature ID: what kind of event it is")
    name: EventTemplate = Field(
        default="{event.displayMessage|event.message|event.description}",
        description="Name, where message_field of the source has nothing; without either it is the Signature ID",
    )
    extensions: dict[str, EventTemplate | None] = Field(
        default_factory=dict,
        description="keys of the extension and what they hold, over the usual ones; null leaves a key out",
    )
    raw_key: str | None = Field(
        default="rawEvent", description="key of the extension that holds the whole event as text; null for none"
    )

    def pairs(self) -> dict[str, str]:
        return {key: text for key, text in (EXTENSIONS | self.extensions).items() if text is not None}


class SyslogDestination(DestinationRecord):
    """One RFC 5424 message for each event by TCP or TLS, as JSON or in CEF: rsyslog, syslog-ng, QRadar, ArcSight, and
    whatever else takes syslog."""

    GUIDE = Guide(
        title="Syslog (RFC 5424) over TCP or TLS, JSON or CEF",
        create=(
            "Open a TLS (6514) or TCP input on the receiver that takes RFC 5424 with octet counting (RFC 6587, RFC 5425). "
            "Where it splits by line feeds only, set `framing: lf`.",
            'Raise its message size: rsyslog `global(maxMessageSize="256k")` and `MaxFrameSize` of `imtcp`, syslog-ng '
            "`log-msg-size(262144)`; then set `max_message_bytes` to the same. Receivers take 8,192 bytes by default, and many "
            "events of many vendors are longer.",
            "rsyslog: `EscapeControlCharactersOnReceive off`, for the event's exact bytes.",
            "For mutual TLS issue a client certificate, and name it under `tls`.",
        ),
        rights="A client certificate that the receiver trusts, where it asks for one; there are no accounts in syslog.",
        block="""syslog:
  type: syslog
  endpoint: tls://syslog.example.com:6514
  tls:
    ca_cert_path: /etc/flicker/syslog-ca.pem
    cert_path: /etc/flicker/client.pem
    key_path: /etc/flicker/client.key
  hostname: acme.okta.com
  msgid: "{event.eventType}"
  max_message_bytes: 65536
""",
        guarantee="at least once, same ids",
        bound="syslog has no acknowledgement. With `confirm: close` an event counts once the receiving program has read it; "
        "what that program loses afterwards nobody can tell. With a load balancer between, that program is the load balancer",
        body="RFC 5424 messages, octet-counted or ended by line feeds, with the event as JSON or in CEF",
        identity="`event_uid` in the structured data; in CEF `externalId`",
        time="TIMESTAMP; in CEF `rt`",
        find="grep 'event_uid=\"{uid}\"' (or externalId={uid} in CEF) where the receiver writes its messages",
        tested="a real rsyslog by mutual TLS, the syslog receiver of a real OpenTelemetry Collector, a real VictoriaLogs by "
        "TCP, and the simulated receiver",
        notes=(
            "`confirm: close` (the default) ends the connection after each request and waits for the receiver to end it too: a "
            "receiver that closed in order, after everything was acknowledged and without a reset, has read every byte. "
            "`confirm: settle` keeps connections, waits until the receiver's system has acknowledged every byte, and for "
            "`settle_ms` more for a reset: what a receiver that dies later had not read by then is lost. Choose it only for "
            "receivers that do not close when we do: `close` says so after `timeout_ms`.",
            "Debian 12's rsyslog (8.2302, `ossl` driver) was seen to write messages to the wrong descriptor when a TLS "
            "connection ended in the moment in which it opened an output file: there `settle`, which ends fewer connections, "
            "loses less.",
            "A connection that breaks within a request says nothing about what was read, so the whole request is sent again "
            "with the same ids: drop repeats by `event_uid` in the structured data (in CEF `externalId`).",
            "A message longer than `max_message_bytes` is never cut. It becomes a dead letter that says how long it is; raise "
            "the limits of both sides and send the dead letters again. `oversize: drop_fields` leaves out the event's largest "
            "fields instead, and names them under `truncated` (in CEF: leaves out the whole event's text).",
            "With `framing: lf` a connection that breaks in the middle leaves half a message, which many receivers take for a "
            "whole one; with octet counting they know better.",
            "The event stands in the message byte for byte, on one line. UTF-8 is sent without a byte order mark, which RFC "
            "5424 asks for and most receivers show as rubbish; `bom: true` sends it.",
            "`structured_data_id` needs your own enterprise number (IANA PEN) behind the `@`; 32473 is the one for examples.",
            "A receiver that refuses our certificate in TLS 1.3 does so after the handshake: that blocks this destination, and "
            "keeps everything, until it is mended.",
            "Proxies of the environment are not used.",
        ),
        answers=(
            ("the receiver closes in order after us (`confirm: close`)", "taken: it has read every byte"),
            ("the connection breaks within a request", "sent again with the same ids"),
            ("no connection", "tried again"),
            ("certificates refused by either side, another protocol", "everything waits until somebody mends it"),
            (
                "a message above `max_message_bytes`",
                "a dead letter, never sent (or shortened: `oversize: drop_fields`)",
            ),
        ),
        http_answers=False,
        fixes=(
            Fix("did not close the connection", "The receiver keeps connections open: set `confirm: settle`."),
            Fix("answers in TLS", "Write `endpoint: tls://…`."),
            Fix("answers in HTTP", "Check the port: it is one of a web server."),
            Fix("is it TLS", "The port does not speak TLS: use `tcp://`, or its TLS port (6514)."),
            Fix(
                "cert_path",
                "The receiver wants a client certificate that it trusts: `tls.cert_path` and `tls.key_path`.",
            ),
            Fix(
                "CERTIFICATE_VERIFY_FAILED",
                "Name the authority of the receiver's certificate in `tls.ca_cert_path`; its name must be the one in "
                "`endpoint`.",
            ),
            Fix("max_message_bytes", "Raise `max_message_bytes`, and the receiver's own limit."),
        ),
    )

    type: Literal["syslog"]
    endpoint: Template = Field(description="tls://host:port (6514 by default) or tcp://host:port (514)")
    tls: Tls | None = Field(default=None, description="client certificate and authorities")
    framing: Literal["octet_counting", "lf"] = Field(
        default="octet_counting",
        description="how messages are told apart: by their length before them, or a line feed behind",
    )
    format: Literal["json", "cef"] = Field(
        default="json", description="what follows the header: the event itself, or CEF"
    )
    cef: Cef = Field(default_factory=Cef, description="how CEF is written")
    facility: Literal[
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
        "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ] = Field(default="local0", description="where the receiver files messages")  # fmt: skip
    severity: Literal["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"] = Field(
        default="info", description="of every event, or of those whose own is not known"
    )
    severity_from: EventTemplate | None = Field(
        default=None,
        description="where an event's own severity stands, such as {event.severity}: names such as warn or HIGH",
    )
    hostname: EventTemplate = Field(default="{source}", description="HOSTNAME: where the event comes from, as a text; may hold "
        "{source}, {vendor} and {event.path}")  # fmt: skip
    app_name: EventTemplate = Field(default="flicker", description="APP-NAME, a text likewise")
    procid: EventTemplate = Field(default="-", description="PROCID, a text likewise")
    msgid: EventTemplate = Field(default="-", description="MSGID, a text likewise, such as {event.eventType}")
    structured_data_id: Annotated[str, Field(pattern=r'^[^\s="\]@]{1,20}@[0-9]{1,10}$')] = Field(
        default="flicker@32473", description="SD-ID of our structured data: a name, @, and your enterprise number"
    )
    structured_data: dict[str, EventTemplate] = Field(
        default_factory=lambda: {"source": "{source}"}, description="parameters beside event_uid, each a text likewise"
    )
    bom: bool = Field(default=False, description="a byte order mark before the event, as RFC 5424 asks for")
    max_message_bytes: Annotated[int, Field(ge=480, le=2**31)] = Field(
        default=8_192, description="longest message, header included, that the receiver takes whole"
    )
    oversize: Literal["dead_letter", "drop_fields"] = Field(
        default="dead_letter", description="what becomes of an event that is longer"
    )
    confirm: Literal["close", "settle"] = Field(
        default="close", description="how a request is known to have arrived, see the notes"
    )
    settle_ms: Milliseconds = Field(default=250, description="with confirm settle: so long no reset may come")
    max_batch_bytes: Count = Field(default=1_000_000, description="bytes of events per request at most")

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)

    def address_fault(self, address: str) -> str | None:
        if "${" in address or re.match(r"(tcp|tls)://[^/\s]+$", address):
            return None
        return f"found {address!r}, expected tls://host:port or tcp://host:port"

    def faults(self) -> list[tuple[str, str]]:
        found = super().faults()
        if self.tls is not None and self.endpoint.startswith("tcp:"):
            found.append(("tls", "is set for an endpoint of tcp://, expected tls://"))
        for name in self.structured_data:
            if not re.fullmatch(r"[!#-<>-\\^-~]{1,32}", name):
                found.append(("structured_data", f"{name!r} cannot be a parameter's name, expected printable ASCII"))
        for name in self.cef.extensions:
            if not re.fullmatch(r"[A-Za-z0-9_.]{1,63}", name):
                found.append(("cef.extensions", f"{name!r} cannot be a key of CEF, expected letters and digits"))
        return found + [(key, why) for key, text in self._templates() if (why := template_fault(text))]

    def _templates(self) -> list[tuple[str, str]]:
        return [
            ("hostname", self.hostname),
            ("app_name", self.app_name),
            ("procid", self.procid),
            ("msgid", self.msgid),
            ("severity_from", self.severity_from or ""),
            ("cef.signature_id", self.cef.signature_id),
            ("cef.name", self.cef.name),
            *((f"structured_data.{name}", text) for name, text in self.structured_data.items()),
            *((f"cef.extensions.{name}", text or "") for name, text in self.cef.extensions.items()),
        ]
