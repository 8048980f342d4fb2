"""The configuration of the benchmarks' sources."""

from __future__ import annotations

from typing import Any

from bench.servers import PAGE_EVENTS, Servers


def entry(servers: Servers, *, name: str = "bench", path: str = "/events", **changes: Any) -> dict[str, Any]:
    """An entry of `api_sources` over the bench's vendor and SIEM."""
    source: dict[str, Any] = {
        "name": name,
        "endpoint": f"http://127.0.0.1:{servers.vendor_port}{path}",
        "polling_frequency_ms": 30_000,
        "results_field": "data",
        "id_field": "uuid",
        "timestamp_field": "published",
        "time_filter_param": "since",
        "time_filter_until_param": "until",
        "pagination": {
            "pagination_type": "cursor",
            "cursor_param": "cursor",
            "next_cursor_field": "meta.next_cursor",
            "limit_param": "limit",
            "page_size": PAGE_EVENTS,
        },
        "start_from": "3d",
        "destination": {"type": "http", "endpoint": f"http://127.0.0.1:{servers.siem_port}/siem", "compression": True},
    }
    return source | changes
