"""`type: sumo_logic`: an HTTP Logs and Metrics source of Sumo Logic."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import Fix, Guide
from flicker_dagster.config.destinations.posted import SMALLEST_BODY_BYTES, PostedRecord
from flicker_dagster.config.records import Count, Template

#: Within so much time Sumo Logic wants to have the whole of a request.
LONGEST_REQUEST_MS = 30_000


class SumoLogicDestination(PostedRecord):
    """An HTTP source of Sumo Logic: one line per event."""

    GUIDE = Guide(
        title="Sumo Logic",
        create=(
            "Under Data Management, Collection, add a Hosted Collector, and to it an HTTP Logs & Metrics source.",
            "In its Advanced Options for Logs switch off Multiline Processing (Detect Messages Spanning Multiple Lines), so "
            "that each line is a message; leave Timestamp Parsing on.",
            "Copy the source's URL. It is the credential: whoever has it can send. Keep it in a variable or file.",
            "Define the names of `sumo_fields` under Logs, Fields: Sumo Logic drops those it does not know without a word.",
        ),
        rights="The URL of the source, and nothing else.",
        block="""sumo:
  type: sumo_logic
  endpoint: ${SUMO_SOURCE_URL}
  category: saas/audit
  sumo_fields:
    tenant: acme
""",
        guarantee="at least once, same ids",
        bound="Sumo Logic does not recognise what it has: an event comes twice only where its answer was lost or was 408, and "
        "then with the same `event_uid`. Search with `| first(_raw) by event_uid`.",
        body='lines `{"timestamp", "event_uid", "event"}`; gzip',
        identity="the field `event_uid` of the line",
        time="`timestamp`, first in the line",
        find='_sourceCategory=* "{uid}"',
        tested="the simulated HTTP source",
        notes=(
            'A line is `{"timestamp": …, "event_uid": …, "event": …}`: the time stands first, where Sumo Logic finds it, and '
            "the untouched event last. Times of more than a year ago or two days ahead are replaced with the arrival's.",
            "While an Ingest Budget with the action `Stop Collecting` is used up, Sumo Logic answers 200 and drops what it "
            "gets; nothing here can see that. Give the collector a budget that does not stop it, and an alert.",
            "Sumo Logic cuts messages of more than 64 KB into pieces. Such an event becomes a dead letter, unless "
            "`max_event_bytes` is raised.",
        ),
        answers=(
            ("200", "taken (or dropped by a used-up budget, which nobody is told)"),
            ("401", "everything waits: the address is not a source's (any more)"),
            ("408", "sent again with the same ids: half of it may have been taken"),
            ("413", "halved and sent again"),
            ("429, 5xx", "tried again"),
        ),
        fixes=(
            Fix(
                "HTTP 401",
                "The source's URL is wrong, or was regenerated: copy it again (Manage Data, Collection, the source, Show "
                "URL).",
            ),
            Fix("HTTP 404", "Copy the source's whole URL, with everything behind `/receiver/v1/http/`."),
            Fix("without a page", "Something else answers at this address: copy the source's URL again."),
        ),
    )

    type: Literal["sumo_logic"]
    endpoint: Template = Field(
        description="the source's URL, which is secret as a whole: give it as `${SUMO_SOURCE_URL}` or `${file:…}`"
    )
    category: str | None = Field(default=None, description="source category of what is sent (`X-Sumo-Category`)")
    source_name: str | None = Field(
        default=None, description="source name of what is sent (`X-Sumo-Name`); default the stream's"
    )
    host: str | None = Field(default=None, description="source host of what is sent (`X-Sumo-Host`)")
    sumo_fields: dict[str, str] = Field(
        default_factory=dict, description="fields of what is sent (`X-Sumo-Fields`); each must be defined in Sumo Logic"
    )
    event_key: str = Field(default="event", min_length=1, description="member of the line that holds the event")
    max_batch_events: Count = Field(default=1_000, description="events per request at most")
    max_batch_bytes: Count = Field(
        default=1_000_000, ge=SMALLEST_BODY_BYTES, description="uncompressed bytes per request at most"
    )
    max_event_bytes: Count | None = Field(
        default=65_536, description="a larger line becomes a dead letter: Sumo Logic would cut it into pieces"
    )

    def addresses(self) -> tuple[str, ...]:
        return (self.endpoint,)

    def faults(self) -> list[tuple[str, str]]:
        found = [
            (
                f"sumo_fields.{name}",
                "holds a comma or an equals sign, or what is not ASCII; expected `name: value` without",
            )
            for name, value in self.sumo_fields.items()
            if not name or re.search("[,=]", name) or "," in value or not (name + value).isascii()
        ]
        for key, value in (("category", self.category), ("source_name", self.source_name), ("host", self.host)):
            if value is not None and not (value.isprintable() and value.isascii()):
                found.append((key, "holds characters that no header can, expected printable ASCII"))
        if self.timeout_ms > LONGEST_REQUEST_MS:
            found.append(("timeout_ms", f"is above {LONGEST_REQUEST_MS}, after which Sumo Logic gives up a request"))
        return found
