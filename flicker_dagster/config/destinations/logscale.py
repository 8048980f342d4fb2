"""`type: logscale`: CrowdStrike Falcon LogScale (Humio), by its structured ingest API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Count, Template, Tls

#: Attributes that are set for every event.
EVENT_UID, MESSAGE, EVENT = "event_uid", "message", "event"

AttributeName = Annotated[str, Field(min_length=1)]


class LogScaleDestination(DestinationRecord):
    """CrowdStrike Falcon LogScale: the vendor's own bytes as `@rawstring`, the event's id as an attribute."""

    GUIDE = Guide(
        title="CrowdStrike Falcon LogScale",
        create=(
            "Open the repository > Settings > Ingest tokens > Add token.",
            "Assign the parser `json` to it, or none and use `parseJson()` in queries.",
        ),
        rights="The ingest token of one repository; it can do nothing but write.",
        block="""logscale:
  type: logscale
  url: https://cloud.us.humio.com
  token: ${LOGSCALE_INGEST_TOKEN}
""",
        guarantee="at least once, same ids",
        bound="an event that was repeated has the same attribute `event_uid`: "
        "`groupBy(event_uid, function=selectLast([@rawstring]))` shows each once",
        body="an array of one object with `tags` and `events`: `timestamp`, `attributes`, `rawstring`; gzip",
        identity="the attribute `event_uid`",
        time="`timestamp` of the event: `@timestamp` in LogScale",
        find='event_uid = "{uid}"',
        tested="the simulated repository, which `humiolib` was held against",
        notes=(
            "`tags` decide over LogScale's data sources, of which a repository holds a limited number: keep them few, and "
            "their values too. By default the only one is `source`, the name of the stream.",
            "LogScale cuts what is larger than its largest event without a word: larger events become dead letters here "
            "(`max_event_bytes`).",
            "LogScale replaces times that lie more than 10 seconds ahead of its clock by its own.",
            "The event stands in `@rawstring`, byte for byte. `event_attributes: true` sends it parsed as well, below "
            "`event.`, which counts as ingested volume.",
            "There is no acknowledgement beyond the answer: 200 says that the events were received and committed.",
        ),
        answers=(
            ("200", "taken"),
            ("201 to 399", "tried again"),
            (
                "400",
                "halved down to the guilty event, which becomes a dead letter; in words of something in between "
                "everything waits",
            ),
            ("401, 403, 404", "everything waits until token or address are mended"),
        ),
        fixes=(
            Fix(
                "HTTP 401",
                "Check the ingest token (Settings > Ingest tokens of the repository): it is no personal API token.",
            ),
            Fix("HTTP 403", "Check the ingest token: it is no personal API token, and it is of this repository."),
            Fix("HTTP 404", "Check `url`: scheme and host of the cloud, such as `https://cloud.us.humio.com`."),
            Fix("not LogScale's own words", "A proxy or gateway in between refuses it: look there."),
        ),
    )

    type: Literal["logscale"]
    url: Template = Field(
        description="scheme and host of the cloud or cluster, such as https://cloud.us.humio.com; a path before `/api/v1` "
        "is kept"
    )
    token: Template = Field(description="the ingest token, sent as `Authorization: Bearer …`")
    tags: dict[str, Template] | None = Field(
        default=None, description="tags of all events; default `source` with the name of the stream"
    )
    attributes: dict[AttributeName, Template] = Field(
        default_factory=dict, description=f"more attributes for every event, beside `{EVENT_UID}`"
    )
    event_attributes: bool = Field(
        default=False, description="true: send the fields of the event as attributes too, below `event.`"
    )
    compression: Literal["gzip", "none"] = Field(default="gzip", description="how bodies are packed")
    tls: Tls | None = Field(default=None, description="client certificate and CA")
    max_batch_events: Count = Field(default=5_000, description="events per request at most")
    max_batch_bytes: Count = Field(default=5_000_000, description="uncompressed bytes per request at most")
    max_event_bytes: Count = Field(
        default=1_000_000, description="larger events become dead letters: LogScale would cut them"
    )

    def addresses(self) -> tuple[str, ...]:
        return (self.url,)

    def faults(self) -> list[tuple[str, str]]:
        return [
            ("attributes", f"{name} is set for every event; expected another name")
            for name in (EVENT_UID, MESSAGE, EVENT)
            if name in self.attributes
        ]
