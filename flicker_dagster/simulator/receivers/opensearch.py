"""OpenSearch, as far as `_bulk` goes."""

from __future__ import annotations

from typing import Any

from flicker_dagster.simulator.bulk_api import BulkReceiver, Dialect

DIALECT = Dialect(
    parameters=frozenset({"filter_path", "pipeline", "refresh", "require_alias", "routing", "timeout", "pretty"}),
    content_types=frozenset({"application/x-ndjson", "application/json"}),
    parse_failure="mapper_parsing_exception",
    schemes=('Basic realm="OpenSearch Security"',),
    about={
        "name": "simulated",
        "cluster_name": "simulated",
        "version": {"distribution": "opensearch", "number": "2.19.6"},
    },
)


class OpenSearchReceiver(BulkReceiver):
    """Data streams only for names that somebody made a template for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(DIALECT, **settings)


RECEIVES = OpenSearchReceiver
