"""Elasticsearch."""

from __future__ import annotations

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.auth.fixed import HeaderAuth
from flicker_dagster.config.destinations.elasticsearch import ElasticsearchDestination
from flicker_dagster.deliver.bulk.destination import BulkDestination
from flicker_dagster.deliver.destination import LaneContext


class Elasticsearch(BulkDestination):
    """`_bulk` with API keys, and with the demand that a data stream is one."""

    def __init__(self, config: ElasticsearchDestination, context: LaneContext) -> None:
        is_demanded = config.require_data_stream and config.index is None
        super().__init__(
            config,
            context,
            auth=_auth_of(config),
            parameters={"require_data_stream": "true"} if is_demanded else None,
        )


def _auth_of(config: ElasticsearchDestination) -> Auth | None:
    if config.api_key is None:
        return config.auth
    return HeaderAuth(type="header", name="Authorization", value=f"ApiKey {config.api_key}")


OPENS = Elasticsearch
