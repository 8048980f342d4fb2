"""`type: splunk_hec`: Splunk's HTTP Event Collector, and what speaks its protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Count, Milliseconds, Template, Tls

#: The indexed field that holds an event's id.
EVENT_UID = "event_uid"

FieldName = Annotated[str, Field(min_length=1)]


class SplunkHecDestination(DestinationRecord):
    """Splunk's HTTP Event Collector: one JSON object per event, the vendor's own bytes as its `event`."""

    GUIDE = Guide(
        title="Splunk (HTTP Event Collector)",
        create=(
            "Settings > Data inputs > HTTP Event Collector > Global Settings: enable all tokens, and TLS.",
            "New Token: choose the index under `Select Allowed Indexes`, and a source type for JSON (`_json` or your own).",
            "Splunk Enterprise: tick `Enable indexer acknowledgement`, so that an event counts as delivered once it is "
            "indexed, not once it was received.",
            "Raise `TRUNCATE` of the source type in `props.conf`, should your events be longer than its 10,000 bytes.",
        ),
        rights="The token, allowed to write to that index and to no other.",
        block="""splunk:
  type: splunk_hec
  url: https://splunk.example.com:8088
  token: ${SPLUNK_HEC_TOKEN}
  index: saas
  sourcetype: _json
""",
        guarantee="at least once, same ids",
        bound="an event that was repeated has the same `event_uid` as an indexed field: `| dedup event_uid` shows each once",
        body="one JSON object per event with `time`, `event`, `fields` and metadata (`format: event`), or lines (`raw`); "
        "gzip",
        identity="the indexed field `event_uid`",
        time="`time` of the object, in seconds with milliseconds: `_time` in Splunk",
        find="index=* event_uid::{uid}",
        tested="the simulated collector, which Python's `splunk-data-sender` was held against; the HEC endpoint of a real "
        "VictoriaLogs",
        notes=(
            "`ack: auto` asks for indexer acknowledgement and takes what the token gives; without it events are received, not "
            "yet indexed, when they count as delivered, and the log and `status` say so once. `required` asks first and sends "
            "nothing to a token without it. Splunk Cloud offers acknowledgement to few kinds of clients: leave it at `auto`.",
            "Acknowledgements are asked for on the channel, and with the load balancer's cookies, of the request that they "
            "belong to. A load balancer in front of several indexers must be sticky by cookie. One that is not is found out "
            "by acknowledgement ids that come twice: `auto` then goes on without acknowledgement, `required` stops.",
            "Splunk says `true` to an acknowledgement once. Where that answer is lost, or no `true` comes within "
            "`ack_expires_ms`, the same events are sent again with the same `event_uid`.",
            "Which acknowledgements are still to come is kept in the work directory of the machine that sent the events. "
            "Where another machine takes the stream over before they came (or that directory is lost), it sends these events "
            "again, with the same `event_uid`.",
            "Where Splunk names the event that it refuses (`invalid-event-number`), this one becomes a dead letter. The events "
            "behind it were not read and are sent again. Those before it may have been taken: with an acknowledgement for "
            "them nothing is repeated, else they are sent again, because an event twice can be told by its `event_uid`, and a "
            "lost one cannot.",
            "An event that is not strictly JSON (bytes that are no UTF-8, half of an emoji, NaN), and one that is no object, "
            "is sent as text: one bad event would make Splunk refuse its neighbours. Blank events never leave.",
            "Codes 24 and 25 (approaching capacity) count as accepted, and halve the requests in flight for a while. A 404 is "
            "waited out, since Splunk Cloud gives it during maintenance. A 400 in other words than Splunk's own stops the "
            "destination instead of refusing events: it comes from something in between.",
            "`format: raw` sends lines to `/services/collector/raw`, each begun with its time and `event_uid=…`; the source "
            "type must break lines at `\\n` and take the time from their start. `raw_lines: bare` leaves both out, and "
            "repeated events can then no longer be told. Prefer `format: event`.",
        ),
        answers=(
            ("200, code 0", "taken; with indexer acknowledgement an event counts once Splunk says that it is indexed"),
            ("200, codes 24, 25", "taken, and fewer requests are in flight for a while"),
            ("400, code 6, 12, 13", "the event that is named becomes a dead letter; those behind it are sent again"),
            (
                "400, code 7 (incorrect index); 401, 403, codes 1 to 4",
                "everything waits until the token or index is mended",
            ),
            ("404", "tried again: Splunk Cloud says so during maintenance"),
            ("413", "halved and sent again, down to the one guilty event"),
            ("429, 5xx, codes 8, 9, 18 to 20, 23, 26, 27", "tried again"),
            ("no acknowledgement within `ack_expires_ms`", "the same events are sent again with the same `event_uid`"),
        ),
        http_answers=False,
        fixes=(
            Fix(
                "Incorrect index",
                "Create the index, allow it in the token's settings (`Select Allowed Indexes`), or change `index`.",
            ),
            Fix(
                "Invalid token",
                "Compare the token with Settings > Data inputs > HTTP Event Collector; it is a GUID, without `Splunk` "
                "before it.",
            ),
            Fix(
                "Token disabled",
                "Enable the token; Global Settings of the HTTP Event Collector disable all of them at once.",
            ),
            Fix("Token is required", "The token is empty: set its variable."),
            Fix("Invalid authorization", "The token has blanks or a scheme in it: give the GUID alone."),
            Fix("ACK is disabled", "Tick `Enable indexer acknowledgement` for the token, or set `ack: auto`."),
            Fix("without an ackId", "Tick `Enable indexer acknowledgement` for the token, or set `ack: auto`."),
            Fix("come twice", "Make the load balancer sticky by cookie, or set `ack: auto`."),
            Fix(
                "HTTP 404",
                "Check `url`: scheme, host and port of the collector (8088; Splunk Cloud "
                "`https://http-inputs-….splunkcloud.com:443`), without `/services/collector`.",
            ),
            Fix(
                "not yet acknowledged",
                "The events were received and are not indexed yet: look at the indexers' queues, or wait longer "
                "(`--wait`).",
            ),
        ),
    )

    type: Literal["splunk_hec"]
    url: Template = Field(
        description="scheme, host and port of the collector, such as https://splunk.example.com:8088; a path before "
        "`/services/collector` is kept"
    )
    token: Template = Field(description="the token, sent as `Authorization: Splunk …`")
    format: Literal["event", "raw"] = Field(
        default="event", description="JSON objects with metadata for each event, or lines of text"
    )
    index: Template | None = Field(default=None, description="index to write to; default the token's")
    sourcetype: Template | None = Field(default=None, description="source type; default the token's")
    source: Template | None = Field(default=None, description="Splunk's `source`; default the name of the stream")
    host: Template | None = Field(
        default=None, description="Splunk's `host`; default what Splunk makes of the connection"
    )
    indexed_fields: dict[FieldName, Template | list[Template]] = Field(
        default_factory=dict,
        description=f"more indexed fields for every event, beside `{EVENT_UID}`: texts or lists of texts (`format: event`)",
    )
    raw_lines: Literal["stamped", "bare"] = Field(
        default="stamped", description="`format: raw`: lines with time and event_uid in front, or the bare events"
    )
    compression: Literal["gzip", "none"] = Field(default="gzip", description="how bodies are packed")
    tls: Tls | None = Field(default=None, description="client certificate and authorities")
    max_batch_events: Count = Field(default=1_000, description="events per request at most")
    max_batch_bytes: Count = Field(
        default=1_000_000, description="uncompressed bytes per request at most; a single event may be larger"
    )
    max_event_bytes: Count = Field(
        default=5_242_880, description="larger events become dead letters; the server's `maxEventSize`"
    )
    ack: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="indexer acknowledgement: where the token gives it, or nothing is sent without it, or never asked for",
    )
    ack_ask_after_ms: Milliseconds = Field(
        default=10_000, description="how long after a request its acknowledgement is first asked for"
    )
    ack_expires_ms: Milliseconds = Field(
        default=300_000, description="without an acknowledgement for so long the same events are sent again"
    )

    def addresses(self) -> tuple[str, ...]:
        return (self.url,)

    def faults(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        if EVENT_UID in self.indexed_fields:
            found.append(("indexed_fields", f"{EVENT_UID} is set for every event; expected other names"))
        if self.format == "raw" and self.indexed_fields:
            found.append(("indexed_fields", "raw lines carry no fields; expected format: event, or none"))
        if self.ack_expires_ms <= self.ack_ask_after_ms:
            found.append(
                (
                    "ack_expires_ms",
                    f"{self.ack_expires_ms} is not after ack_ask_after_ms ({self.ack_ask_after_ms}); expected several times it",
                )
            )
        return found
