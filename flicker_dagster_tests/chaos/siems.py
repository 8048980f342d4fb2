"""The SIEMs that every source of the chaos trial delivers to, and a file, and how each is harmed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.receiver import Receiver
from flicker_dagster_tests.siems import API_KEY, TOKEN, Elastic, Splunk, vendor_id

#: A fault of a SIEM hits this share of its requests, or of the items in them.
SHARE, ITEM_SHARE = 0.7, 0.3
#: Bytes as they are sent; a portion of 20 events has more, uncompressed and compressed.
TOO_LARGE = {"http": 4_000, "elasticsearch": 6_000}
ACK_DELAY_S, LATE_S = 0.2, 6.0
ASK_AFTER_MS, EXPIRES_MS = 500, 15_000

THROTTLED = ItemRefusal(429, "es_rejected_execution_exception", "queue is full")


class Siems:
    """`http` is the world's own; files lie in `directory`, one for each source."""

    def __init__(self, http: Receiver, directory: Path, *, seed: int, clock: Callable[[], float]) -> None:
        directory.mkdir()
        self.http = http
        self.directory = directory
        self.elastic = Elastic(seed=seed, clock=clock)
        self.splunk = Splunk(seed=seed, ack_delay_s=ACK_DELAY_S)

    def destinations(self, source: dict[str, Any]) -> list[dict[str, Any]]:
        """What a source delivers to: where it did already, and the others."""
        return [
            source["destination"],
            {
                "type": "elasticsearch",
                "endpoint": self.elastic.url,
                "api_key": API_KEY,
                "data_stream": {"dataset": dataset(source["name"])},
            },
            {
                "type": "splunk_hec",
                "url": self.splunk.url,
                "token": TOKEN,
                "ack": "required",
                "ack_ask_after_ms": ASK_AFTER_MS,
                "ack_expires_ms": EXPIRES_MS,
            },
            {"type": "file", "path": f"{self.directory}/{{source}}.ndjson"},
        ]

    def written(self, source: str) -> Counter[str]:
        """How often each of the vendor's events stands in the file of a source."""
        found: Counter[str] = Counter()
        for path in self.directory.glob(f"{source}*.ndjson"):
            lines = path.read_bytes().split(b"\n")[:-1]  # behind the last one is what is just being written
            found.update(vendor_id(json.loads(line)) for line in lines)
        return found

    def harm(self, siem: str, kind: str) -> None:
        receiver = self._receiver(siem)
        if kind == "too large":
            self._bound(siem, TOO_LARGE[siem])
        elif kind == "items":
            self.elastic.refuse_items(THROTTLED, share=ITEM_SHARE)
        elif kind == "late":
            self.splunk.ack_delay_s = LATE_S
        elif kind == "unconfirmed":
            self.splunk.unacknowledged += 2
        elif kind == "lost answer":
            self.splunk.ack_faults.plan("commit_then_cut", count=None, share=SHARE)
        elif kind == "restart":
            self.splunk.restart()
        else:
            receiver.faults.plan(kind, count=None, share=SHARE, seconds=1.0)

    def mend(self, siem: str) -> None:
        self._receiver(siem).faults.clear()
        if siem == "splunk_hec":
            self.splunk.ack_delay_s = ACK_DELAY_S
            self.splunk.unacknowledged = 0
            self.splunk.ack_faults.clear()
            return
        self._bound(siem, None)
        if siem == "elasticsearch":
            self.elastic.item_faults.clear()

    def close(self) -> None:
        self.elastic.close()
        self.splunk.close()

    def _receiver(self, siem: str) -> Any:
        return {"http": self.http, "elasticsearch": self.elastic, "splunk_hec": self.splunk}[siem]

    def _bound(self, siem: str, most: int | None) -> None:
        if siem == "http":
            self.http.max_bytes = most
        else:
            self.elastic.max_content_bytes = 100 * 1024 * 1024 if most is None else most


def dataset(source: str) -> str:
    """The data stream of a source, in a name that may not have everything."""
    return source.replace("-", "_")
