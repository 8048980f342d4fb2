"""The `_bulk` API that Elasticsearch and OpenSearch share: what is sent, and what its answers stand for."""
