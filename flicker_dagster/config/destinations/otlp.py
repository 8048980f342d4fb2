"""`type: otlp`: logs by OTLP/HTTP, to an OpenTelemetry Collector or any backend that takes OTLP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Count, Status, Template, Tls


class OtlpDestination(DestinationRecord):
    """Log records by OTLP/HTTP, in protobuf or JSON: the body of a record is the event as one string, byte for byte."""

    GUIDE = Guide(
        title="OpenTelemetry (OTLP/HTTP logs)",
        create=(
            "In the Collector: the `otlp` receiver with `protocols: http`, and a `logs` pipeline that it belongs to.",
            "Raise `max_request_body_size` of the receiver above `max_batch_bytes`: it counts inflated bytes.",
            "With a vendor's backend: note the whole address of its logs, which ends in `/v1/logs`, and make a token.",
        ),
        rights="A token that may write logs, and nothing else.",
        block="""collector:
  type: otlp
  endpoint: https://collector.example.com:4318/v1/logs
  auth:
    type: bearer
    token: ${OTLP_TOKEN}
""",
        guarantee="at least once, same ids",
        bound="the protocol knows no key of a request: one whose answer was lost is sent again with the same "
        "`log.record.uid` in each record",
        body="an `ExportLogsServiceRequest` of one resource and scope, in protobuf or JSON; gzip",
        identity="the attribute `log.record.uid`",
        time="`timeUnixNano`; `observedTimeUnixNano` is that of the collection",
        find='attributes["log.record.uid"] == "{uid}"',
        tested="a real OpenTelemetry Collector, a real VictoriaLogs, and the simulated Collector, which OpenTelemetry's own "
        "exporter was held against",
        notes=(
            "Where to find things: the event is the record's body; its id is the attribute `log.record.uid`; its time is "
            "`timeUnixNano` and that of its collection `observedTimeUnixNano`; the stream is the name of the scope and the "
            "resource attribute `flicker.stream`; `flicker.schema` is vendor, ecs or ocsf.",
            "Bytes that are no UTF-8 arrive as `bytesValue` instead of `stringValue`.",
            "A server may take a part of a request and say only how many records it refused (`partialSuccess`). Which ones, "
            "nobody can tell. With `partial_success: dead_letter` all records of that request become dead letters that say "
            "so: none is repeated, none is lost, and who looks for their `log.record.uid` finds which to replay. With "
            "`partial_success: resend` the request is halved and sent again until the refused ones stand alone: those taken "
            "before arrive again, with the same `log.record.uid`. Where all records are refused, none was taken, and the "
            "refused ones are looked for in either case.",
            "HTTP 500 is tried again, though the specification would drop it: audit events are not dropped.",
            "VictoriaLogs takes protobuf only.",
        ),
        answers=(
            ("200 with an empty partial success", "taken"),
            (
                "200 that counts refused records",
                "which ones nobody can tell: all become dead letters that say so, or are halved and sent again "
                "(`partial_success`)",
            ),
            ("400 that says too large, 413", "halved and sent again"),
            ("another 400", "halved down to the guilty record, which becomes a dead letter"),
            ("408, 429, 5xx (500 included)", "tried again"),
        ),
        fixes=(
            Fix(
                "no OTLP server",
                "Something else answers there: check `endpoint`, which ends in `/v1/logs`; for a backend with words of "
                "its own set `check_answer: false`.",
            ),
            Fix("HTTP 404", "Check `endpoint`: it is the whole address, `/v1/logs` included."),
            Fix("HTTP 415", "The server does not take this encoding: try `encoding: protobuf`."),
            Fix("HTTP 401", "Check the token, and in which header the backend wants it (`headers`)."),
            Fix("HTTP 400", "Look at the Collector's log; a proxy for gRPC (4317) takes no OTLP/HTTP (4318)."),
        ),
    )

    type: Literal["otlp"]
    endpoint: Template = Field(description="the whole address that is posted to, `/v1/logs` included")
    encoding: Literal["protobuf", "json"] = Field(default="protobuf", description="protobuf is understood by all")
    auth: Auth | None = Field(default=None, description="how requests are signed")
    headers: dict[str, Template] = Field(
        default_factory=dict, description="sent with every request, such as a tenant's name"
    )
    resource_attributes: dict[str, Template] = Field(
        default_factory=dict,
        description="attributes of the resource, beside `service.name` (flicker, unless given), `flicker.stream` and "
        "`flicker.schema`",
    )
    compression: Literal["gzip", "none"] = Field(default="gzip", description="of the bodies that are sent")
    tls: Tls | None = Field(default=None, description="authority and client certificate, where they are one's own")
    max_batch_bytes: Count = Field(default=2_000_000, description="largest body of a request before compression")
    max_batch_events: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1_000, description="most records of a request"
    )
    partial_success: Literal["dead_letter", "resend"] = Field(
        default="dead_letter",
        description="what becomes of a request of which some records were refused, and which is not said",
    )
    check_answer: bool = Field(
        default=True,
        description="false: for a backend that answers success in words of its own; records it refuses are not noticed",
    )
    success_status: list[Status] = Field(
        default_factory=lambda: [200, 202, 204],
        description="what says that the events were taken; the specification has 200, some backends 202 or 204",
    )

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)
