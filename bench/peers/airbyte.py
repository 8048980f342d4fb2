"""Airbyte's CDK: a declarative manifest with an incremental cursor and a lookback, records to standard output."""

from __future__ import annotations

import json
import sys
from pathlib import Path

STREAM = """
version: "7.0.0"
type: DeclarativeSource
spec: {type: Spec, connection_specification: {type: object, properties: {}}}
check: {type: CheckStream, stream_names: [events]}
streams:
  - type: DeclarativeStream
    name: events
    primary_key: [uuid]
    schema_loader: {type: InlineSchemaLoader, schema: {type: object, properties: {}}}
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: published
      cursor_datetime_formats: ["%Y-%m-%dT%H:%M:%S.%_msZ"]
      datetime_format: "%Y-%m-%dT%H:%M:%S.%_msZ"
      start_datetime: "2020-01-01T00:00:00.000Z"
      lookback_window: PT2M
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: "http://127.0.0.1:PORT", path: /events, http_method: GET}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: cursor}
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ response.meta.next_cursor }}"
          stop_condition: "{{ not response.meta.next_cursor }}"
"""


def main(port: str, directory: str) -> None:
    import yaml
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    stream = {
        "name": "events",
        "json_schema": {},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
    }
    catalog = {"streams": [{"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}]}
    Path(directory, "catalog.json").write_text(json.dumps(catalog))
    Path(directory, "config.json").write_text("{}")
    manifest = yaml.safe_load(STREAM.replace("PORT", port))
    source = ConcurrentDeclarativeSource(
        catalog=None,
        config={},
        state=None,
        source_config=manifest,  # type: ignore[arg-type]
    )
    launch(source, ["read", "--config", f"{directory}/config.json", "--catalog", f"{directory}/catalog.json"])


if __name__ == "__main__":
    main(*sys.argv[1:])
