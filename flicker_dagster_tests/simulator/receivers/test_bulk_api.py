"""The simulated clusters refuse what real ones refuse, and the vendors' own clients get along with them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import elasticsearch
import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers
import pytest
import urllib3

from flicker_dagster.simulator.bulk_api import BulkReceiver, api_key, basic
from flicker_dagster.simulator.bulk_store import ItemRefusal
from flicker_dagster.simulator.receivers.elasticsearch import ElasticsearchReceiver
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver

STREAM = "logs-okta-default"
NDJSON = "application/x-ndjson"


@pytest.fixture(params=[ElasticsearchReceiver, OpenSearchReceiver])
def cluster(request: pytest.FixtureRequest) -> Iterator[BulkReceiver]:
    receiver = request.param()
    yield receiver
    receiver.close()


def post(
    cluster: BulkReceiver, body: bytes, path: str = f"/{STREAM}/_bulk", **headers: str
) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": NDJSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = urllib3.request("POST", cluster.url + path, body=body, headers=headers, retries=False)
    return answer.status, json.loads(answer.data) if answer.data else {}


def body_of(*documents: str, kind: str = "create") -> bytes:
    return "".join(f'{{"{kind}":{{"_id":"d{n}"}}}}\n{each}\n' for n, each in enumerate(documents)).encode()


def results(answer: dict[str, Any]) -> list[tuple[int, str | None]]:
    return [
        (result["status"], result.get("error", {}).get("type")) for item in answer["items"] for result in item.values()
    ]


GOOD = '{"@timestamp":"2026-11-23T20:00:00Z"}'


# -- requests


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (body_of(GOOD)[:-1], "illegal_argument_exception"),
        (b"", "parse_exception"),
        (b"[]\n{}\n", "illegal_argument_exception"),
        (b'{"update":{"_id":"a"}}\n{}\n', "illegal_argument_exception"),
        (b'{"create":{"_id":"a"}}\n', "illegal_argument_exception"),
        (b'{"create":{"_id":"' + b"a" * 513 + b'"}}\n' + GOOD.encode() + b"\n", "action_request_validation_exception"),
    ],
)
def test_a_malformed_request_is_refused_whole(cluster: BulkReceiver, body: bytes, kind: str) -> None:
    status, answer = post(cluster, body)
    assert (status, answer["error"]["type"]) == (400, kind)
    assert not cluster.counts()


@pytest.mark.parametrize("content_type", ["text/plain", ""])
def test_another_content_type_is_refused(cluster: BulkReceiver, content_type: str) -> None:
    assert post(cluster, body_of(GOOD), Content_Type=content_type)[0] == 406


def test_an_unknown_parameter_is_refused(cluster: BulkReceiver) -> None:
    status, answer = post(cluster, body_of(GOOD), f"/{STREAM}/_bulk?consistency=one")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")


def test_only_elasticsearch_knows_require_data_stream(cluster: BulkReceiver) -> None:
    status, _ = post(cluster, body_of(GOOD), f"/{STREAM}/_bulk?require_data_stream=true")
    assert status == (200 if isinstance(cluster, ElasticsearchReceiver) else 400)


def test_the_inflated_body_counts_and_its_refusal_has_no_body(cluster: BulkReceiver) -> None:
    cluster.max_content_bytes = 1_000
    body = body_of(json.dumps({"@timestamp": "2026-11-23T20:00:00Z", "m": "x" * 1_000}))
    assert post(cluster, gzip.compress(body), Content_Encoding="gzip") == (413, {})
    cluster.max_content_bytes = 2_000
    assert post(cluster, gzip.compress(body), Content_Encoding="gzip")[0] == 200
    assert post(cluster, b"no gzip", Content_Encoding="gzip")[0] == 400


def test_credentials_are_asked_for(cluster: BulkReceiver) -> None:
    cluster.authorizations = (basic("u", "p"), api_key("k"))
    assert post(cluster, body_of(GOOD))[0] == 401
    assert post(cluster, body_of(GOOD), Authorization=basic("u", "q"))[0] == 401
    assert post(cluster, body_of(GOOD), Authorization=basic("u", "p"))[0] == 200
    assert post(cluster, body_of(GOOD), Authorization=api_key("k"))[0] == 200


# -- items


def test_an_id_is_known_to_the_index_that_is_written_to(cluster: BulkReceiver) -> None:
    assert results(post(cluster, body_of(GOOD))[1]) == [(201, None)]
    assert results(post(cluster, body_of(GOOD))[1]) == [(409, "version_conflict_engine_exception")]
    cluster.roll_over(STREAM)
    assert results(post(cluster, body_of(GOOD))[1]) == [(201, None)]
    assert cluster.counts() == {"d0": 2}


def test_a_data_stream_takes_creations_only_and_an_index_overwrites(cluster: BulkReceiver) -> None:
    assert results(post(cluster, body_of(GOOD, kind="index"))[1]) == [(400, "illegal_argument_exception")]
    for _ in range(2):
        assert results(post(cluster, body_of(GOOD, kind="index"), "/audit/_bulk")[1]) == [(201, None)]
    assert cluster.counts() == {"d0": 1}


@pytest.mark.parametrize(
    "document",
    [
        '{"a":',
        "[1]",
        '{"@timestamp":"x","a":1,"a":2}',
        '{"@timestamp":"x","":1}',
        '{"no":"time"}',
    ],
)
def test_a_broken_document_costs_itself_only(cluster: BulkReceiver, document: str) -> None:
    _, answer = post(cluster, body_of(GOOD, document, GOOD))
    assert [status for status, _ in results(answer)] == [201, 400, 201]
    assert answer["errors"]


@pytest.mark.parametrize(
    "document",
    ['{"@timestamp":"x","n":[9223372036854775808]}', '{"@timestamp":"x","a":' + '{"a":' * 20 + "1" + "}" * 21],
)
def test_large_numbers_and_many_levels_are_refused_by_a_dynamic_mapping(cluster: BulkReceiver, document: str) -> None:
    assert results(post(cluster, body_of(document))[1]) == [(201, None)]
    cluster.state.is_dynamic = True
    assert [status for status, _ in results(post(cluster, body_of(GOOD, document))[1])] == [409, 400]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/Audit/_bulk", 400, "invalid_index_name_exception"),
        (f"/{STREAM}/_bulk?pipeline=geo", 400, "illegal_argument_exception"),
    ],
)
def test_a_wrong_name_is_an_items_refusal(cluster: BulkReceiver, path: str, status: int, kind: str) -> None:
    code, answer = post(cluster, body_of(GOOD), path)
    assert code == 200
    assert results(answer) == [(status, kind)]


def test_items_of_which_nothing_is_asked_for_are_missing_from_the_answer(cluster: BulkReceiver) -> None:
    body = body_of(GOOD, '{"no":"time"}', GOOD)
    _, errors_only = post(cluster, body, f"/{STREAM}/_bulk?filter_path=errors,items.*.error.type")
    assert len(errors_only["items"]) == 1
    _, with_status = post(cluster, body, f"/{STREAM}/_bulk?filter_path=errors,items.*.status")
    assert [item["create"] for item in with_status["items"]] == [{"status": 409}, {"status": 400}, {"status": 409}]


# -- the vendors' own clients


def client_of(cluster: BulkReceiver, **how: Any) -> Any:
    if isinstance(cluster, ElasticsearchReceiver):
        return elasticsearch.Elasticsearch(cluster.url, max_retries=0, **how)
    return opensearchpy.OpenSearch(cluster.url, max_retries=0, **how)


def helpers_of(cluster: BulkReceiver) -> Any:
    return elasticsearch.helpers if isinstance(cluster, ElasticsearchReceiver) else opensearchpy.helpers


def actions(count: int) -> list[dict[str, Any]]:
    return [
        {"_op_type": "create", "_index": STREAM, "_id": f"d{n}", "@timestamp": "2026-11-23T20:00:00Z", "n": n}
        for n in range(count)
    ]


def test_the_vendors_client_creates_documents_and_is_told_of_duplicates(cluster: BulkReceiver) -> None:
    with client_of(cluster, http_compress=True) as client:
        helpers = helpers_of(cluster)
        assert helpers.bulk(client, actions(30), chunk_size=10) == (30, [])
        taken, errors = helpers.bulk(client, actions(31), raise_on_error=False)
    assert taken == 1
    assert {error["create"]["status"] for error in errors} == {409}
    assert cluster.counts() == {f"d{n}": 1 for n in range(31)}


def test_the_vendors_client_reads_refusals_per_item_and_sends_throttled_ones_again(cluster: BulkReceiver) -> None:
    cluster.refuse_items(ItemRefusal(429, "rejected_execution_exception", "queue full"), count=2)
    cluster.refuse_items(ItemRefusal(400, "mapper_parsing_exception", "no"), holding=b'"n":7')
    with client_of(cluster) as client:
        taken, errors = helpers_of(cluster).bulk(
            client, actions(10), raise_on_error=False, max_retries=2, initial_backoff=0
        )
    assert taken == 9
    assert [error["create"]["error"]["type"] for error in errors] == ["mapper_parsing_exception"]


def test_the_vendors_client_is_refused_by_status(cluster: BulkReceiver) -> None:
    cluster.max_content_bytes = 100
    with client_of(cluster) as client, pytest.raises(Exception, match="413") as raised:
        helpers_of(cluster).bulk(client, actions(10))
    assert isinstance(raised.value, elasticsearch.ApiError | opensearchpy.TransportError)


def test_the_vendors_client_signs_in(cluster: BulkReceiver) -> None:
    cluster.authorizations = (basic("flicker", "p4ss"), api_key("aWQ6a2V5"))
    is_elastic = isinstance(cluster, ElasticsearchReceiver)
    credentials = {"basic_auth" if is_elastic else "http_auth": ("flicker", "p4ss")}
    with client_of(cluster, **credentials) as client:
        assert helpers_of(cluster).bulk(client, actions(1))[0] == 1
    if is_elastic:
        with client_of(cluster, api_key="aWQ6a2V5") as client:
            assert client.info()["version"]["number"]
    with (
        client_of(cluster) as client,
        pytest.raises((elasticsearch.AuthenticationException, opensearchpy.AuthenticationException)),
    ):
        helpers_of(cluster).bulk(client, actions(1))
