"""OpenSearch."""

from __future__ import annotations

from flicker_dagster.config.destinations.opensearch import OpenSearchDestination
from flicker_dagster.deliver.bulk.destination import BulkDestination
from flicker_dagster.deliver.destination import LaneContext


class OpenSearch(BulkDestination):
    """`_bulk` without `require_data_stream`, which OpenSearch refuses."""

    def __init__(self, config: OpenSearchDestination, context: LaneContext) -> None:
        super().__init__(config, context, auth=config.auth)


OPENS = OpenSearch
