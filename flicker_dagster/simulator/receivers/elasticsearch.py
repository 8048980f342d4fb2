"""Elasticsearch, as far as `_bulk` goes."""

from __future__ import annotations

from typing import Any

from flicker_dagster.simulator.bulk_api import BulkReceiver, Dialect

DIALECT = Dialect(
    parameters=frozenset(
        {"filter_path", "pipeline", "refresh", "require_alias", "require_data_stream", "routing", "timeout", "pretty"}
    ),
    content_types=frozenset(
        {
            "application/x-ndjson",
            "application/json",
            "application/vnd.elasticsearch+x-ndjson",
            "application/vnd.elasticsearch+json",
        }
    ),
    parse_failure="document_parsing_exception",
    schemes=('Basic realm="security" charset="UTF-8"', "ApiKey"),
    about={
        "name": "simulated",
        "cluster_name": "simulated",
        "version": {"number": "9.5.0"},
        "tagline": "You Know, for Search",
    },
    headers=(("X-Elastic-Product", "Elasticsearch"),),  # the vendor's clients speak to nobody else
)


class ElasticsearchReceiver(BulkReceiver):
    """Data streams for `logs-*-*` without anybody's doing."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(DIALECT, **settings)


RECEIVES = ElasticsearchReceiver
