"""`type: sentinel`: Microsoft Sentinel and Azure Monitor, by the Logs Ingestion API."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from flicker_dagster.config.auth.oauth2 import OAuth2ClientCredentials
from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.posted import SMALLEST_BODY_BYTES, PostedRecord
from flicker_dagster.config.records import Count, Record, Template

#: Where each cloud mints tokens, and for whom. The double slash before `.default` is Azure's own spelling.
CLOUDS = {
    "public": ("https://login.microsoftonline.com", "https://monitor.azure.com"),
    "us_government": ("https://login.microsoftonline.us", "https://monitor.azure.us"),
    "china": ("https://login.partner.microsoftonline.cn", "https://monitor.azure.cn"),
}

_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,44}")
_RESERVED = frozenset({"_resourceid", "id", "_subscriptionid", "tenantid", "type", "uniqueid", "title"})


class SentinelColumns(Record):
    """Columns of the stream's declaration, and what they are given."""

    time: str | None = Field(
        default="TimeGenerated", description="datetime, the event's time; null where the rule's transformation makes it"
    )
    event_time: str | None = Field(
        default="EventTime",
        description="datetime, the same once more: Azure may replace TimeGenerated where it is far from the present",
    )
    uid: str = Field(default="EventUid", description="string, the event's id")
    source: str | None = Field(default="Source", description="string, the stream's name; null leaves it out")
    message: str | None = Field(default=None, description="string, the text of `message_field`; default left out")
    raw: str = Field(default="Raw", description="the event")
    raw_type: Literal["string", "dynamic"] = Field(
        default="string", description="type of `raw`: `string` keeps the event byte for byte, `dynamic` takes it apart"
    )
    overflow: list[str] = Field(
        default_factory=list,
        description="string columns that take, in this order, what of an event is beyond `max_field_bytes` of `raw`: "
        "`strcat(Raw, Raw2, …)` is the event again",
    )

    @property
    def names(self) -> list[str]:
        given = (self.time, self.event_time, self.uid, self.source, self.message, self.raw, *self.overflow)
        return [name for name in given if name is not None]


class SentinelDestination(PostedRecord):
    """A table of a Log Analytics workspace, through a data collection rule."""

    GUIDE = Guide(
        title="Microsoft Sentinel",
        create=(
            "Register an application in Entra ID and make a client secret for it.",
            "In the workspace make a custom table (DCR-based), such as `SaasAudit_CL`, with the columns `TimeGenerated` "
            "(datetime), `EventTime` (datetime), `EventUid`, `Source` and `Raw` (string).",
            "Make a data collection rule of kind `Direct` (or one with a data collection endpoint) whose stream "
            "`Custom-SaasAudit` declares the same columns. Its logs ingestion endpoint and immutable id (`dcr-…`) go below.",
            "On the rule give the application the role Monitoring Metrics Publisher. Until that has reached everywhere, up to "
            "half an hour, Azure answers 403: Flicker waits, and nothing is lost.",
        ),
        rights="`Monitoring Metrics Publisher` on the data collection rule, and nothing else.",
        block="""sentinel:
  type: sentinel
  endpoint: https://acme-x1y2.westeurope-1.ingest.monitor.azure.com
  rule_id: dcr-00000000000000000000000000000000
  stream: Custom-SaasAudit
  tenant_id: 00000000-0000-0000-0000-000000000000
  client_id: 00000000-0000-0000-0000-000000000000
  client_secret: ${SENTINEL_CLIENT_SECRET}
""",
        guarantee="at least once, same ids",
        bound="The workspace does not recognise what it has: an event comes twice only where its answer was lost, and then "
        "with the same `EventUid`. Query with `| summarize arg_min(TimeGenerated, *) by EventUid`.",
        body="a JSON array of rows with the columns that the rule's stream declares; gzip",
        identity="the column `EventUid` (`columns.uid`)",
        time="the columns `TimeGenerated` and `EventTime`",
        find='search in (*) "{uid}"   (or your table | where {record.columns.uid} == "{uid}"; rows appear after 2 to 10 '
        "minutes)",
        tested="the simulated API, which `azure-monitor-ingestion` was held against",
        notes=(
            "204 says that Azure took the request, not that a row is in the table: a column that the stream does not declare "
            "is dropped without a word, a value of another type becomes null, and a transformation may filter rows. Look at "
            "the rule's metrics (Logs Rows Dropped) once after setting up; `flicker test-destination` sends a row to look for.",
            "Azure truncates values of more than 64 KB without a word. An event that is longer becomes a dead letter here, "
            "unless `columns.overflow` names further columns for what is left of it.",
            "An Auxiliary table takes a request only where its times lie within half an hour: set `columns.time` to "
            "null there, and let the rule's transformation make TimeGenerated.",
            "The old HTTP Data Collector API (with a shared key) is gone; this is not it.",
        ),
        answers=(
            ("204", "taken by Azure; a row may still be dropped by the rule, which nobody is told"),
            ("another 2xx", "everything waits: something else answers at the address"),
            ("400 that names the stream, rule or version", "everything waits until the configuration is mended"),
            ("400 of the rows", "halved down to the guilty event, which becomes a dead letter"),
            ("403", "everything waits: the role is missing, or has not reached everywhere yet"),
            ("429", "tried again when Azure says so"),
        ),
        fixes=(
            Fix("AADSTS7000215", "The client secret is wrong: use its value, not its id."),
            Fix("AADSTS7000222", "The client secret has expired: make a new one."),
            Fix("AADSTS700016", "Check `client_id` and `tenant_id`: the application is not known in this directory."),
            Fix("AADSTS90002", "Check `tenant_id`: the directory is not known."),
            Fix(
                "Monitoring Metrics Publisher",
                "On the data collection rule, Access control (IAM), give the application the role Monitoring Metrics "
                "Publisher; wait up to 30 minutes.",
            ),
            Fix(
                "HTTP 404",
                "Check `rule_id` (the immutable id, `dcr-…`), `stream` (`Custom-…`), and that `endpoint` is that of this "
                "rule's region.",
            ),
            Fix(
                "expected 204",
                "Check `endpoint`: it is the logs ingestion endpoint, `https://….ingest.monitor.azure.com`.",
            ),
            Fix("invalid_client", "Check `client_id`, and `client_secret`: its value, not its id, and not expired."),
            Fix("token endpoint", "Check `tenant_id`, `client_id`, `client_secret` and `cloud`."),
        ),
    )

    type: Literal["sentinel"]
    endpoint: Template = Field(description="logs ingestion endpoint of the rule, or a data collection endpoint's")
    rule_id: Template = Field(description="the rule's immutable id, `dcr-…`; a template")
    stream: str = Field(pattern="^[^/?#]+$", description="the stream, as the rule declares it: `Custom-…`")
    tenant_id: Template = Field(description="directory (tenant) of the application; a template")
    client_id: Template = Field(description="the application; a template")
    client_secret: Template = Field(description="its secret; a template")
    cloud: Literal["public", "us_government", "china"] = Field(
        default="public", description="the cloud, which decides where tokens are minted and for whom"
    )
    authority: Template | None = Field(
        default=None, description="origin in place of the cloud's, from which tokens are asked for"
    )
    audience: str | None = Field(default=None, description="audience of tokens in place of the cloud's")
    api_version: str = Field(default="2023-01-01", description="version of the API")
    columns: SentinelColumns = Field(default_factory=SentinelColumns, description="names of the columns")
    max_field_bytes: Count = Field(default=64_000, description="what one column may hold, a little below Azure's 64 KB")
    max_batch_events: Count = Field(default=1_000, description="rows per request at most")
    max_batch_bytes: Count = Field(
        default=1_000_000,
        ge=SMALLEST_BODY_BYTES,
        description="bytes per request at most, before compression and after it",
    )

    @property
    def auth(self) -> OAuth2ClientCredentials:
        authority, audience = CLOUDS[self.cloud]
        return OAuth2ClientCredentials(
            type="oauth2_client_credentials",
            token_url=f"{(self.authority or authority).rstrip('/')}/{self.tenant_id}/oauth2/v2.0/token",
            client_id=self.client_id,
            client_secret=self.client_secret,
            scope=f"{self.audience or audience}//.default",
        )

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint, *([self.authority] if self.authority else []))

    def faults(self) -> list[tuple[str, str]]:
        names = self.columns.names
        found = [
            ("columns", f"{name!r} is no column, expected a letter, then letters, digits and _, 45 in all at most")
            for name in names
            if not _COLUMN.fullmatch(name)
        ]
        found += [("columns", f"{name!r} is Azure's own") for name in names if name.lower() in _RESERVED]
        found += [("columns", f"{name!r} is there twice") for name in sorted({n for n in names if names.count(n) > 1})]
        if self.columns.raw_type == "dynamic" and self.columns.overflow:
            found.append(("columns.overflow", "needs `raw_type: string`: what is cut is no JSON any more"))
        return found
