"""`type: opensearch` against a node of OpenSearch: documents, refusals, and the simulated cluster beside it."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
import urllib3

from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Rejected, Retry
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster_tests.deliver.bulk.test_documents import HOSTILE
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.real.opensearch import OpenSearch
from flicker_dagster_tests.real.opensearch_lanes import kinds, send, stream

NDJSON = {"Content-Type": "application/x-ndjson"}


# -- documents


def test_events_come_back_from_a_data_stream_byte_for_byte(node: OpenSearch) -> None:
    lot = lot_of([*HOSTILE, event_of(1)])

    assert send(node, lot, **stream("exact")) == Delivered("HTTP 200 OK")

    found = {each["_id"]: each["_source"] for each in node.documents("logs-exact-default")}
    originals = [found[uid]["event"]["original"].encode("utf-8", "surrogateescape") for uid in lot.uids]
    assert originals == lot.events
    assert found[lot.uids[-1]]["message"] == "Zoë Ünal"
    assert node.ask("GET", "/_data_stream/logs-exact-default")["data_streams"]


def test_what_is_sent_again_is_known_until_a_rollover(node: OpenSearch) -> None:
    lot = lot_of([event_of(n) for n in range(5)])
    send(node, lot, **stream("again"))
    assert kinds(send(node, lot, **stream("again"))) == [Duplicate] * 5
    assert node.count("logs-again-default") == 5

    node.ask("POST", "/logs-again-default/_rollover")
    assert isinstance(send(node, lot, **stream("again")), Delivered)
    assert node.count("logs-again-default") == 10


def test_a_dated_index_knows_its_events(node: OpenSearch) -> None:
    lot = lot_of([event_of(n) for n in range(5)])
    assert isinstance(send(node, lot, index="dated-%Y.%m.%d"), Delivered)
    assert kinds(send(node, lot, index="dated-%Y.%m.%d")) == [Duplicate] * 5
    assert node.count("dated-2026.11.23") == 5


def test_an_object_is_refused_for_what_a_string_holds(node: OpenSearch) -> None:
    lot = lot_of([b'{"a":1,"a":2}', b'{"b":{"":1}}', b'{"n":123456789012345678901}', b'{"ok":1}'])
    outcome = send(node, lot, index="objects", object_field="okta")
    assert kinds(outcome) == [Rejected, Rejected, Rejected, Delivered]
    assert isinstance(send(node, lot, index="strings"), Delivered)


# -- refusals


def test_a_document_that_the_mapping_refuses_costs_itself_only(node: OpenSearch) -> None:
    node.ask("PUT", "/strict", {"mappings": {"properties": {"message": {"type": "long"}}}})
    events = [event_of(n, actor={"name": "7" if n % 5 else "no number"}) for n in range(20)]
    outcome = send(node, lot_of(events), index="strict")
    assert kinds(outcome) == [Delivered if n % 5 else Rejected for n in range(20)]
    assert len({item for item in outcome.items if isinstance(item, Rejected)}) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "made", "keys", "kind", "said"),
    [
        ("Upper", None, {}, Blocked, "must be lowercase"),
        ("pipe", None, {"pipeline": "absent"}, Blocked, "pipeline with id [absent] does not exist"),
        ("blocked", {"index.blocks.write": True}, {}, Blocked, "index write"),
        ("flooded", {"index.blocks.read_only_allow_delete": True}, {}, Retry, "free disk space"),
    ],
)
def test_what_somebody_can_mend_costs_no_event(
    node: OpenSearch, name: str, made: dict[str, Any] | None, keys: dict[str, Any], kind: type, said: str
) -> None:
    if made is not None:
        node.ask("PUT", f"/{name}", {"settings": made})
    outcome = send(node, lot_of([event_of(1), event_of(2)]), index=name, **keys)
    assert kinds(outcome) == [kind, kind]
    assert said in outcome.items[0].why  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("setting", "value"), [("action.auto_create_index", "false"), ("cluster.max_shards_per_node", "1")]
)
def test_an_index_that_is_not_made_costs_no_event(node: OpenSearch, setting: str, value: str) -> None:
    node.ask("PUT", "/_cluster/settings", {"transient": {setting: value}})
    try:
        assert kinds(send(node, lot_of([event_of(1)]), index="never-made")) == [Blocked]
    finally:
        node.ask("PUT", "/_cluster/settings", {"transient": {setting: None}})


def test_a_closed_index_costs_no_event(node: OpenSearch) -> None:
    node.ask("PUT", "/shut")
    node.ask("POST", "/shut/_close")
    assert kinds(send(node, lot_of([event_of(1)]), index="shut")) == [Blocked]


def test_a_parameter_that_it_does_not_know_costs_no_event(node: OpenSearch) -> None:
    """As it would be, were `require_data_stream` sent to OpenSearch."""
    keys = {"type": "elasticsearch", "require_data_stream": True}
    outcome = send(node, lot_of([event_of(1)]), **keys)
    assert isinstance(outcome, Blocked)
    assert "require_data_stream" in outcome.why


# -- the simulated cluster answers as the real one


GOOD = '{"@timestamp":"2026-11-23T20:00:00Z"}'
DEEP = '{"@timestamp":"2026-11-23T20:00:00Z","a":' + '{"a":' * 21 + "1" + "}" * 22
ONE = '{"create":{"_id":"a"}}\n'

SAME: list[tuple[str, str, str, dict[str, str]]] = [
    ("created, and again", "", ONE + GOOD + "\n" + ONE + GOOD + "\n", {}),
    ("no last newline", "", ONE + GOOD, {}),
    ("no body", "", "", {}),
    ("no content type", "", ONE + GOOD + "\n", {"Content-Type": "text/plain"}),
    ("an unknown parameter", "?consistency=one", ONE + GOOD + "\n", {}),
    ("require_data_stream", "?require_data_stream=true", ONE + GOOD + "\n", {}),
    ("a missing pipeline", "?pipeline=absent", ONE + GOOD + "\n", {}),
    ("an id that is too long", "", '{"create":{"_id":"' + "a" * 513 + '"}}\n' + GOOD + "\n", {}),
    ("index into a data stream", "", '{"index":{"_id":"a"}}\n' + GOOD + "\n", {}),
    ("an unknown action", "", '{"change":{"_id":"a"}}\n' + GOOD + "\n", {}),
    ("a broken document", "", ONE + '{"a":\n' + '{"create":{"_id":"b"}}\n' + GOOD + "\n", {}),
    ("a duplicate key", "", ONE + '{"@timestamp":"2026-11-23T20:00:00Z","a":1,"a":2}\n', {}),
    ("no time", "", ONE + '{"a":1}\n', {}),
    ("a filter that keeps places", "?filter_path=errors,items.*.status", ONE + GOOD + "\n" + ONE + GOOD + "\n", {}),
    ("a filter that moves them", "?filter_path=items.*.error.type", ONE + GOOD + "\n" + ONE + GOOD + "\n", {}),
    ("a body that is too large", "", ONE + '{"a":"' + "x" * 1_100_000 + '"}\n', {}),
]


@pytest.mark.parametrize(("name", "query", "body", "headers"), SAME, ids=[each[0] for each in SAME])
def test_the_simulated_cluster_answers_as_the_real_one(
    node: OpenSearch, name: str, query: str, body: str, headers: dict[str, str]
) -> None:
    simulated = OpenSearchReceiver(max_content_bytes=1024 * 1024)
    path = f"/logs-same.{SAME.index((name, query, body, headers))}-default/_bulk{query}"
    try:
        assert _answer(simulated.url + path, body, headers) == _answer(node.url + path, body, headers)
    finally:
        simulated.close()


@pytest.mark.parametrize("document", [DEEP, '{"n":9223372036854775808}', '{"n":-1e400,"a":{"":1}}', "[1]", '{"a":1}'])
def test_the_simulated_cluster_maps_fields_as_the_real_one(node: OpenSearch, document: str) -> None:
    simulated = OpenSearchReceiver()
    simulated.state.is_dynamic = True
    path = f"/mapped-{zlib.crc32(document.encode())}/_bulk"
    try:
        assert _answer(simulated.url + path, f"{ONE}{document}\n", {}) == _answer(
            node.url + path, f"{ONE}{document}\n", {}
        )
    finally:
        simulated.close()


def _answer(url: str, body: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Status, and what there is of it: the type of the error, or each item's status and the type of its error."""
    answer = urllib3.request("POST", url, body=body.encode(), headers=NDJSON | headers, retries=False)
    if not answer.data:
        return answer.status, None
    said = json.loads(answer.data)
    if "items" not in said:
        error = said.get("error")
        return answer.status, error["type"] if isinstance(error, dict) else "text"
    results = [result for item in said["items"] for result in item.values()]
    return answer.status, [(each.get("status"), each.get("error", {}).get("type")) for each in results]
