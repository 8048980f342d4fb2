"""`type: loki`: Grafana Loki's push API, and what takes it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.auth.fixed import BasicCredentials, BearerAuth, HeaderAuth
from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.posted import SMALLEST_BODY_BYTES, PostedRecord
from flicker_dagster.config.records import Count, Template

PUSH_PATH = "/loki/api/v1/push"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")
_LONGEST_VALUE_BYTES = 2_048


class LokiDestination(PostedRecord):
    """Grafana Loki, Grafana Cloud Logs, and others that take Loki's push API, such as VictoriaLogs."""

    GUIDE = Guide(
        title="Grafana Loki",
        create=(
            "Grafana Cloud: in the stack's Loki details note the URL and the user, and make an access policy token with the "
            "scope `logs:write`.",
            "Your own Loki: note the address of its gateway or distributor, and the tenant if it has several.",
            "Let `reject_old_samples_max_age` (a week, unless set) be as long as the oldest events you want: what is older is "
            "refused by Loki and becomes a dead letter with Loki's own words.",
        ),
        rights="To push: `logs:write` in Grafana Cloud.",
        block="""loki:
  type: loki
  endpoint: https://logs-prod-012.grafana.net
  auth:
    type: basic
    username: "123456"
    password: ${GRAFANA_CLOUD_TOKEN}
  labels:
    job: saas_audit
    env: prod
""",
        guarantee="at least once, same ids",
        bound="Loki leaves out a line only where the last one of its stream was the same. Where an answer was lost, a line may "
        "stand there twice, with the same time, text and `event_uid`; Grafana can deduplicate a view (Signature, Exact).",
        body="one stream with the configuration's labels, an entry per event: time, line, structured metadata; JSON, gzip",
        identity="`event_uid` in the structured metadata (or in the line: `uid_in: line`)",
        time="the entry's time, in nanoseconds",
        find='{{{record.selector}}} | event_uid="{uid}"   (with uid_in: line: |= "{uid}")',
        tested="the simulated Loki; the Loki endpoint of a real VictoriaLogs",
        notes=(
            "The line is the untouched event; its time is the event's own, never that of sending. Labels are those of the "
            "configuration and the stream's name, never anything of an event: users, addresses and ids as labels take Loki "
            "down.",
            "`event_uid` stands in the structured metadata of each entry. Where that is switched off (Loki before 3.0, schema "
            "before v13), choose `uid_in: line`.",
            "Loki takes entries out of order only down to an hour behind the newest of their stream (`max_chunk_age`). Give "
            "each Flicker that writes to the same Loki a label of its own, and a backfill to an active stream another set of "
            "labels.",
            "VictoriaLogs takes a line apart into fields, unless it is told not to: "
            '`headers: {VL-Loki-Disable-Message-Parsing: "1"}` keeps it byte for byte.',
            "Only 204 counts. 260, or 200, is what a Loki answers whose ingestion is blocked, and it stores nothing.",
        ),
        answers=(
            ("204", "taken"),
            ("200, 260", "everything waits: Loki's ingestion is blocked"),
            (
                "400 that names entries (too old, too far behind, too long)",
                "those become dead letters with Loki's words; it has stored the others",
            ),
            ("400 about labels, tenant or structured metadata", "everything waits until the configuration is mended"),
            ("429", "tried again, entries that were taken left out"),
            ("500 `received message larger than max`", "halved and sent again"),
        ),
        fixes=(
            Fix(
                "HTTP 401",
                "Check user and token (Grafana Cloud: the user is the number in the stack's Loki details, the token has "
                "the scope `logs:write`).",
            ),
            Fix("org id", "Set `tenant`: this Loki has several."),
            Fix("structured", "Structured metadata is off (`allow_structured_metadata`): set `uid_in: line`."),
            Fix("label", "Change `labels` or `max_labels`: Loki refuses them."),
            Fix("too old", "Raise `reject_old_samples_max_age` of Loki."),
            Fix(
                "expected 204",
                "Loki's ingestion is blocked, or something else answers there: ask who runs it, check `endpoint`.",
            ),
            Fix("HTTP 404", "Check `endpoint`: it is what stands before `/loki/api/v1/push`."),
        ),
    )

    type: Literal["loki"]
    endpoint: Template = Field(description=f"address before `{PUSH_PATH}`; VictoriaLogs: with `/insert` behind it")
    auth: Annotated[BearerAuth | BasicCredentials | HeaderAuth, Field(discriminator="type")] | None = Field(
        default=None, description="how requests are signed; default not at all"
    )
    tenant: Template | None = Field(default=None, description="tenant, sent as `X-Scope-OrgID`; a template")
    labels: dict[str, str] = Field(
        default_factory=lambda: {"job": "flicker"}, description="labels of every entry, the same for all"
    )
    source_label: str | None = Field(
        default="source", description="label that holds the stream's name; null leaves it out"
    )
    uid_in: Literal["metadata", "line"] = Field(
        default="metadata",
        description="where `event_uid` stands: in the entry's structured metadata, or in its line, which is then "
        '`{"event_uid": …, "event": …}`',
    )
    max_labels: Count = Field(default=15, description="labels that Loki lets a stream have")
    max_line_bytes: Count = Field(
        default=262_144, description="a longer line becomes a dead letter: Loki would discard or truncate it"
    )
    max_batch_events: Count = Field(default=1_000, description="entries per request at most")
    max_batch_bytes: Count = Field(
        default=1_000_000, ge=SMALLEST_BODY_BYTES, description="uncompressed bytes per request at most"
    )

    @property
    def selector(self) -> str:
        """The labels of the configuration, as LogQL selects them."""
        return ", ".join(f"{name}={json.dumps(value)}" for name, value in self.labels.items())

    @property
    def push_url(self) -> str:
        return self.endpoint.rstrip("/").removesuffix(PUSH_PATH) + PUSH_PATH

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)

    def faults(self) -> list[tuple[str, str]]:
        names = [*self.labels, *([self.source_label] if self.source_label else [])]
        found = [
            (
                f"labels.{name}" if name in self.labels else "source_label",
                "is no label, expected `[a-zA-Z_][a-zA-Z0-9_]*`",
            )
            for name in names
            if not _LABEL.fullmatch(name)
        ]
        found += [
            (f"labels.{name}", f"is empty or longer than {_LONGEST_VALUE_BYTES} bytes, which Loki does not keep")
            for name, value in self.labels.items()
            if not 0 < len(value.encode()) <= _LONGEST_VALUE_BYTES
        ]
        if self.source_label in self.labels:
            found.append(("source_label", f"is {self.source_label}, which labels has as well, expected another name"))
        if not 0 < len(names) <= self.max_labels:
            found.append(("labels", f"makes {len(names)} labels, expected 1 to {self.max_labels}"))
        return found
