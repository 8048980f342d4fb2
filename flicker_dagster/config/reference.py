"""The configuration reference of the README, made from the models: `python -m flicker_dagster.config.reference README.md`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flicker_dagster.config.destinations import records
from flicker_dagster.config.destinations.base import DestinationRecord, FieldRules
from flicker_dagster.config.destinations.http import AcceptedWhen, BodyHash, HttpDestination
from flicker_dagster.config.groups import (
    FieldFilter,
    Limits,
    Pagination,
    RetryConfig,
    SweepConfig,
    WindowConfig,
)
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.rate_limit import RateLimit, RequestBudget
from flicker_dagster.config.records import Record, Tls
from flicker_dagster.printable import visible

BEGIN, END = "<!-- configuration reference: made by `make reference` -->", "<!-- end of the reference -->"

SECTIONS: list[tuple[str, str, type[Record]]] = [
    ("A source (an entry of `api_sources`)", "", SourceConfig),
    ("`pagination`", "pagination.", Pagination),
    ("A destination of any type (`destination`, or an entry of `destinations`)", "destination.", DestinationRecord),
    ("`destination` of type `http`, beside those keys", "destination.", HttpDestination),
    ("`hmac`, in a destination of type `http`", "hmac.", BodyHash),
    ("`accepted_when`, in a destination of type `http`", "accepted_when.", AcceptedWhen),
    ("`fields`, in a destination", "fields.", FieldRules),
    ("`retry`, at the top or in a source", "retry.", RetryConfig),
    ("`window`", "window.", WindowConfig),
    ("`sweep`", "sweep.", SweepConfig),
    ("`rate_limit`", "rate_limit.", RateLimit),
    ("An entry of `rate_limit.budgets`", "budgets.", RequestBudget),
    ("`limits`", "limits.", Limits),
    ("`tls`, in a source or a destination", "tls.", Tls),
    ("An entry of `match_on` or `exclude_on` (or just the regular expression)", "match_on.", FieldFilter),
]

#: Meanings of keys whose model gives none.
MEANINGS = {
    "name": "names the source in Dagster, the registry and the logs",
    "endpoint": "the API's address; a template",
    "description": "shown on the asset's page",
    "owners": "owners of the asset, such as `team:secops`",
    "polling_frequency_ms": "how often to poll; Dagster reaches no less than 5 s",
    "live": "`false` leaves the live tail out: each window is collected once it has closed",
    "headers": "request headers; templates",
    "api_key": "sent as `Authorization: Bearer …`",
    "basic": "`{username, password}` for HTTP basic authentication",
    "tls": "TLS towards the vendor, see below",
    "results_field": "path of the array of events in an answer, such as `data.items`; empty where the array is the answer. "
    "In every path a key that holds the dots itself (`@odata.nextLink`) is found first, and `\\.` is always a dot of the key",
    "id_field": "path (or paths, together) of an event's id; without one its content identifies it",
    "message_field": "sent as `message` beside the event in `format: envelope`; the event itself is never cut down",
    "time_filter_param": "query parameter for the start of the span asked for",
    "time_filter_until_param": "query parameter for its end",
    "pagination": "see below",
    "order": "how the vendor lists; collecting relies on no order",
    "lookback_ms": "overlap with what was read before; what is known by its id is not sent again",
    "window": "see below",
    "sweep": "see below",
    "match_on": "keep only events that match one of these",
    "exclude_on": "then drop events that match one of these",
    "buffer_size": "events per request to the SIEM",
    "flush_interval_ms": "how long a fetched event may wait for its lot to fill",
    "destination": "where the events go: a mapping, a name under the top-level `destinations`, or a list of either",
    "retry": "see below",
    "rate_limit": "see below",
    "limits": "see below",
    "pagination.pagination_type": "how the vendor pages",
    "pagination.page_size": "events asked for per page",
    "pagination.limit_param": "parameter that carries page_size",
    "pagination.cursor_param": "parameter that carries the cursor",
    "pagination.next_cursor_field": "body field with the next cursor; null, empty or absent ends the walk",
    "pagination.page_param": "parameter that carries the page number",
    "pagination.first_page": "number of the first page",
    "pagination.next_page_field": "body field with the number of the next page",
    "pagination.offset_param": "parameter that carries the offset",
    "pagination.has_more_field": "body field that says whether there is more; false ends the walk",
    "pagination.link_rel": "relation of the next page in the Link header",
    "pagination.cursor_expired_status": "answers that mean a kept cursor has expired: start again by time",
    "destination.type": "what kind it is, one of those above",
    "destination.endpoint": "where events are posted to; a template",
    "destination.auth": "how requests are signed, such as `{type: bearer, token}`; more in "
    "[docs/destinations/http.md](docs/destinations/http.md)",
    "destination.require_auth": "refuse to start without auth",
    "destination.headers": "more request headers; templates",
    "destination.compression": "`true` or `gzip` sends gzip",
    "destination.format": "a JSON array of the vendor's events byte for byte, one per line, or in envelopes",
    "destination.tls": "client certificate and CA, see below",
    "destination.max_in_flight": "requests on the way at the same time; 1 keeps strict order",
    "destination.max_batch_bytes": "uncompressed bytes per request at most",
    "destination.success_status": "answers that acknowledge a request",
    "hmac.secret": "key of the hash; a template",
    "hmac.algorithm": "the hash",
    "hmac.encoding": "how the hash is written",
    "retry.max_retries": "retries of an op within a run; then the run fails and the sensor goes on with a growing pause",
    "retry.initial_delay_ms": "first delay; each further one doubles",
    "retry.max_delay_ms": "longest delay",
    "window.size": "the Dagster partition",
    "sweep.enabled": "read closed windows again",
    "sweep.max_windows_per_tick": "windows asked for at once, newest first",
    "budgets.requests": "requests that the vendor allows in per_ms",
    "budgets.per_ms": "in any span of that length",
    "limits.connect_timeout_ms": "time-out for a connection",
    "tls.cert_path": "client certificate (PEM)",
    "tls.key_path": "its key (PEM)",
    "tls.ca_cert_path": "CA bundle to trust",
    "tls.accept_invalid_certs": "trust anybody; for tests only",
    "match_on.field": "path of the field; without it every scalar value is tried, never the raw text",
    "match_on.pattern": "regular expression, matched in linear time (RE2): `\\d`, `\\w` and `\\s` know all scripts, `\\b` only "
    "ASCII, `$` is the very end; no look-around, no backreferences. An event with a value of more than 1 MB is kept",
}


def reference() -> str:
    """The reference as Markdown: one table per record."""
    return "\n\n".join(_section(*section) for section in SECTIONS)


def _section(title: str, prefix: str, record: type[Record]) -> str:
    common = DestinationRecord.model_fields if issubclass(record, DestinationRecord) else {}
    rows = [
        f"| `{name}` | {default_of(field)} | {_meaning(prefix + name, field)} |"
        for name, field in record.model_fields.items()
        if record is DestinationRecord or name not in common
    ]
    types = [_types(), ""] if record is DestinationRecord else []
    return "\n".join([f"### {title}", "", *types, "| key | default | meaning |", "|---|---|---|", *rows])


def _types() -> str:
    """Every type, with the page of its keys."""
    pages = ", ".join(f"[`{kind}`](docs/destinations/{kind}.md)" for kind in records())
    return "\n".join(
        textwrap.wrap(
            f"Each type has a page with its own keys, what to create there and what is promised: {pages}.",
            120,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _meaning(path: str, field: FieldInfo) -> str:
    meaning = (MEANINGS.get(path) or field.description or "").replace("|", "\\|")
    options = [option for kind in (field.annotation, *get_args(field.annotation)) for option in _literals(kind)]
    return f"{meaning}: {', '.join(f'`{option}`' for option in options)}" if options else meaning


def _literals(kind: Any) -> list[str]:
    return [option for option in get_args(kind) if isinstance(option, str)] if "Literal" in str(kind)[:20] else []


def default_of(field: FieldInfo) -> str:
    """A key's default as the reference shows it; empty where there is none to tell."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if default is None or default is PydanticUndefined or isinstance(default, Record) or default in ({}, []):
        return ""
    if default == "":
        return '`""`'
    return f"`{str(default).lower() if isinstance(default, bool) else visible(str(default))}`"


def put_into(text: str) -> str:
    """A README with its reference renewed. Raises ValueError where the marks are missing."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n\n{reference()}\n\n{text[end:]}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(put_into(readme.read_text()))
