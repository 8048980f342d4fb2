"""`type: opensearch`: OpenSearch, self-managed, Amazon OpenSearch Service or Serverless."""

from __future__ import annotations

from typing import Literal

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


class OpenSearchDestination(BulkRecord):
    """Documents by `_bulk` into a data stream or an index, each created under the event's id."""

    GUIDE = Guide(
        title="OpenSearch",
        create=(
            'Create an index template for the data streams: `PUT /_index_template/flicker {"index_patterns": ["logs-*-*"], '
            '"data_stream": {}, "priority": 200, "template": {"mappings": {"dynamic": false, "properties": {"@timestamp": '
            '{"type": "date"}, "message": {"type": "text"}, "event": {"properties": {"id": {"type": "keyword"}, "dataset": '
            '{"type": "keyword"}, "original": {"type": "keyword", "index": false, "doc_values": false}}}}}}}`. Without one '
            "OpenSearch creates a plain index of that name.",
            "Create a user, map it to a role with the rights below, or let an IAM role assume them (`auth.type: aws_sigv4`, "
            "service `es` for domains, `aoss` for Serverless).",
        ),
        rights="Index permissions `indices:data/write/index`, `indices:data/write/bulk*`, `indices:admin/create`, "
        "`indices:admin/auto_create` and `indices:admin/mapping/put` on the names written to, cluster permission "
        "`indices:data/write/bulk`; for Serverless `aoss:WriteDocument` and `aoss:CreateIndex` in the data access policy.",
        block="""siem:
  type: opensearch
  endpoint: https://opensearch.example.com:9200
  auth:
    type: basic
    username: flicker
    password: ${OPENSEARCH_PASSWORD}
  data_stream:
    dataset: okta.system
""",
        guarantee="exactly once",
        bound=BOUND,
        body=BODY,
        identity=IDENTITY,
        time=TIME,
        find=FIND,
        tested="a real OpenSearch 2.19 node (`_bulk`, data streams, rollover, full queues, kills), with nginx before it; "
        "the simulated cluster, which opensearch-py was held against, signatures of AWS included",
        notes=(
            *NOTES,
            "Collections of Serverless of the type time series may refuse ids of one's own: use one of the type search.",
        ),
        answers=ANSWERS,
        http_answers=False,
        fixes=FIXES,
    )

    type: Literal["opensearch"]
