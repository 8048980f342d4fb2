"""`type: elasticsearch`: Elasticsearch, self-managed or Elastic Cloud."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import Guide
from flicker_dagster.config.destinations.bulk import (
    ANSWERS,
    BODY,
    BOUND,
    FIND,
    FIXES,
    IDENTITY,
    NOTES,
    TIME,
    BulkRecord,
)
from flicker_dagster.config.records import Template


class ElasticsearchDestination(BulkRecord):
    """Documents by `_bulk` into a data stream or an index, each created under the event's id."""

    GUIDE = Guide(
        title="Elasticsearch",
        create=(
            "Nothing for the default data stream: `logs-*-*` has a template in every cluster. For other names create an index "
            'template with `"data_stream": {}`.',
            "Map `event.original` as `keyword` with `index: false` and `doc_values: false` where your template does not (the "
            "built-in component template `ecs@mappings` does).",
            'Create an API key: `POST /_security/api_key {"name": "flicker", "role_descriptors": {"flicker": {"index": '
            '[{"names": ["logs-*"], "privileges": ["create_doc", "auto_configure"]}]}}}`, and use its `encoded` value.',
        ),
        rights="`create_doc` and `auto_configure` on the data streams written to: such a key can neither read nor overwrite.",
        block="""siem:
  type: elasticsearch
  endpoint: https://elasticsearch.example.com:9200
  api_key: ${ELASTICSEARCH_API_KEY}
  data_stream:
    dataset: okta.system
""",
        guarantee="exactly once",
        bound=BOUND,
        body=BODY,
        identity=IDENTITY,
        time=TIME,
        find=FIND,
        tested="the simulated cluster, which the Python client of Elastic was held against",
        notes=(
            *NOTES,
            "Events that the failure store of a data stream took are dead letters here as well: they are not in the stream.",
            "The CA of a cluster that made its own is at `config/certs/http_ca.crt`: name it in `tls.ca_cert_path`.",
        ),
        answers=ANSWERS,
        http_answers=False,
        fixes=FIXES,
    )

    type: Literal["elasticsearch"]
    api_key: Template | None = Field(
        default=None, description="encoded API key, as `POST /_security/api_key` gives it; in place of `auth`"
    )
    require_data_stream: bool = Field(
        default=True,
        description="ask the server to refuse documents where the name is not a data stream's, rather than to create an index; "
        "Elasticsearch before 8.13 does not know this",
    )

    def faults(self) -> list[tuple[str, str]]:
        both = self.api_key is not None and self.auth is not None
        return super().faults() + (
            [("api_key", "both api_key and auth are given, expected one of them")] if both else []
        )
