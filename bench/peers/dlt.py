"""dlt: `rest_api` source to gzipped JSON lines in a directory, appended; incremental with a lag and a primary key."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.remove(str(Path(__file__).parent))  # this file has the library's name

import dlt
from dlt.sources.rest_api import rest_api_source


def main(port: str, directory: str) -> None:
    os.environ["DESTINATION__FILESYSTEM__BUCKET_URL"] = f"file://{directory}/out"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    source = rest_api_source(
        {
            "client": {"base_url": f"http://127.0.0.1:{port}/"},
            "resources": [
                {
                    "name": "events",
                    "primary_key": "uuid",
                    "write_disposition": "append",
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": "events",
                        "params": {
                            "limit": 1000,
                            "since": {
                                "type": "incremental", "cursor_path": "published", "lag": 120,
                                "initial_value": "2020-01-01T00:00:00.000Z",
                            },
                        },
                        "data_selector": "data",
                        "paginator": {"type": "cursor", "cursor_path": "meta.next_cursor", "cursor_param": "cursor"},
                    },
                }
            ],
        }
    )  # fmt: skip
    pipeline = dlt.pipeline("bench", pipelines_dir=f"{directory}/state", destination="filesystem", dataset_name="audit")
    pipeline.run(source, loader_file_format="jsonl")


if __name__ == "__main__":
    main(*sys.argv[1:])
