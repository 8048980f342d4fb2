"""`type: datadog`: Datadog Logs, API v2."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.posted import SMALLEST_BODY_BYTES, PostedRecord
from flicker_dagster.config.records import Count, Milliseconds, Status, Template


class DatadogDestination(PostedRecord):
    """Logs of Datadog, by its API v2."""

    GUIDE = Guide(
        title="Datadog Logs",
        create=(
            "In Organization Settings, API Keys, make a key for Flicker alone.",
            "Note your site: what follows `app.` in the address of your Datadog (`datadoghq.eu`, `us5.datadoghq.com` …).",
            "In Logs, Configuration, Pipelines, leave the JSON preprocessing on: it takes `message` apart into attributes.",
        ),
        rights="An API key. It needs no application key, and no role.",
        block="""datadog:
  type: datadog
  site: datadoghq.eu
  api_key: ${DD_API_KEY}
  service: saas-audit
  tags:
    env: prod
""",
        guarantee="at least once, same ids",
        bound="Datadog does not recognise what it has: an event comes twice only where its answer was lost, and then with the "
        "same `event_uid`. Count distinct ones (`Count unique of @event_uid`), or group by it.",
        body="a JSON array of logs with `message`, `ddsource`, `ddtags`, `service`; gzip",
        identity="the attribute `event_uid`",
        time="`timestamp` within Datadog's span, and the attribute `event_time`",
        find="@event_uid:{uid}",
        tested="the simulated intake, which `datadog-api-client` was held against; the Datadog endpoint of a real "
        "VictoriaLogs",
        notes=(
            "`message` is JSON text with the untouched event under `event_key`, so that no field of the vendor's is taken for "
            "one of Datadog's own (`status`, `host`, `date`). `event_uid` and `event_time` stand beside it.",
            "Datadog takes timestamps from 18 hours ago to 2 hours ahead. What was older when it was collected (a backfill) is "
            "sent without `timestamp` and is listed at its arrival; its own time is `event_time`. The same may become of what "
            "waited here for so long.",
            "Datadog truncates a log of more than 1 MB and answers 202 all the same. Such an event becomes a dead letter here.",
            "Tags stand in the body, so that there may be many of them.",
        ),
        answers=(
            ("202", "taken"),
            ("another 2xx", "everything waits: something else answers at the address"),
            ("400", "halved down to the guilty log, which becomes a dead letter"),
            ("401, 403", "everything waits until the API key is mended"),
            ("408, 429, 5xx", "tried again"),
        ),
        fixes=(
            Fix(
                "HTTP 403",
                "The API key is not one of this site's: check `api_key` (an API key, not an application key) and `site`.",
            ),
            Fix("HTTP 401", "The API key is missing: set its variable."),
            Fix("expected 202", "Something else answers at this address: check `site` or `endpoint`."),
        ),
    )

    type: Literal["datadog"]
    api_key: Template = Field(description="the API key, sent as `DD-API-KEY`; a template")
    site: Template = Field(default="datadoghq.com", description="the Datadog site; a template")
    endpoint: Template | None = Field(
        default=None,
        description="origin in place of `https://http-intake.logs.<site>`, such as a PrivateLink's or an Observability "
        "Pipelines Worker's",
    )
    source: str | None = Field(default=None, description="`ddsource`; default the vendor's name")
    service: str = Field(default="saas-audit", description="`service` of every log")
    hostname: str | None = Field(default=None, description="`hostname` of every log, such as the tenant's domain")
    tags: dict[str, str] = Field(default_factory=dict, description="tags of every log, sent as `ddtags`")
    event_key: str = Field(default="event", min_length=1, description="attribute under which the event is nested")
    oldest_ms: Milliseconds = Field(
        default=64_800_000, description="an event that was older when it was collected is sent without `timestamp`"
    )
    newest_ms: Milliseconds = Field(default=7_200_000, description="the same of one so far ahead")
    max_batch_events: Count = Field(default=1_000, description="logs per request at most")
    max_batch_bytes: Count = Field(
        default=5_000_000, ge=SMALLEST_BODY_BYTES, description="uncompressed bytes per request at most"
    )
    max_event_bytes: Count = Field(
        default=1_000_000, description="a larger log, as it is sent, becomes a dead letter: Datadog would truncate it"
    )
    success_status: list[Status] = Field(
        default_factory=lambda: [202], description="answers that acknowledge a request; Datadog's own is 202"
    )

    @property
    def origin(self) -> str:
        return self.endpoint.rstrip("/") if self.endpoint else f"https://http-intake.logs.{self.site}"

    def addresses(self) -> tuple[str, ...]:
        return (self.origin,)

    def faults(self) -> list[tuple[str, str]]:
        wrong = [name for name, value in self.tags.items() if not name or "," in name + value]
        return [(f"tags.{name}", "holds a comma or no name, expected `name: value` without commas") for name in wrong]
