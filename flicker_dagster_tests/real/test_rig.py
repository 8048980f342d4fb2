"""The receivers themselves: each is the real one, and gives back what it took."""

from __future__ import annotations

import json

from flicker_dagster_tests.real.opensearch import LARGEST_BODY_BYTES, OpenSearch
from flicker_dagster_tests.real.programs import call
from flicker_dagster_tests.real.victorialogs import VictoriaLogs

NDJSON = {"Content-Type": "application/x-ndjson"}


def test_opensearch_creates_a_document_once(opensearch: OpenSearch) -> None:
    body = b'{"create":{"_index":"rig-once","_id":"a"}}\n{"n":1}\n'
    statuses = []
    for _ in range(2):
        status, answer = call("POST", f"{opensearch.url}/_bulk", body, NDJSON)
        assert status == 200
        statuses.append(json.loads(answer)["items"][0]["create"]["status"])
    assert statuses == [201, 409]
    assert [(each["_id"], each["_source"]) for each in opensearch.documents("rig-once")] == [("a", {"n": 1})]


def test_opensearch_refuses_a_large_body_with_413(opensearch: OpenSearch) -> None:
    status, answer = call("POST", f"{opensearch.url}/_bulk", b"x" * (LARGEST_BODY_BYTES + 1), NDJSON)
    assert (status, answer) == (413, b"")


def test_opensearch_killed_and_started_again_has_what_it_took(opensearch: OpenSearch) -> None:
    opensearch.ask("PUT", "/rig-kept/_doc/a", {"n": 1})
    opensearch.program.kill()
    opensearch.program.start()
    assert opensearch.count("rig-kept") == 1


def test_victorialogs_gives_back_what_it_took(victorialogs: VictoriaLogs) -> None:
    line = b'{"_msg":"rig {\\"n\\":1.10}","_time":"2026-01-02T03:04:05Z","test":"rig"}\n'
    status, _ = call("POST", f"{victorialogs.jsonline}?_stream_fields=test", line, {"Content-Type": "application/json"})
    assert status == 200
    (row,) = victorialogs.rows("test:rig")
    assert row["_msg"] == 'rig {"n":1.10}'
    assert row["_time"] == "2026-01-02T03:04:05Z"
