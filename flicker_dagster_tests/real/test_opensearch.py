"""`type: opensearch` against a node of OpenSearch, and the simulated cluster beside it."""

from __future__ import annotations

import itertools
import json
import random
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import urllib3

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.opensearch import OpenSearchDestination
from flicker_dagster.deliver.destination import Destination, LaneContext, open_destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Outcome, PerItem, Rejected, Retry
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.receivers.opensearch import OpenSearchReceiver
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.bulk.test_documents import HOSTILE
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.real.nginx import Front
from flicker_dagster_tests.real.opensearch import OpenSearch, running

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def node(opensearch: OpenSearch) -> OpenSearch:
    """The node, with the index template that the guide tells to make."""
    found = re.search(r"`PUT (/_index_template/\S+) (\{.*?\})`\.", OpenSearchDestination.GUIDE.create[0])
    assert found is not None
    opensearch.ask("PUT", found[1], json.loads(found[2]))
    return opensearch


def opened(url: str, **keys: Any) -> Destination:
    record = destination_adapter().validate_python({"type": "opensearch", "endpoint": url} | keys)
    return open_destination(record, LaneContext("okta", vendor="okta", message_field="actor.name"))


def opening(url: str, **keys: Any) -> Callable[[], Destination]:
    return lambda: opened(url, **keys)


def send(node: OpenSearch, lot: Lot, **keys: Any) -> Outcome:
    destination = opened(node.url, **keys)
    try:
        return destination.send(lot)  # type: ignore[return-value]
    finally:
        destination.close()


def kinds(outcome: Outcome) -> list[type]:
    assert isinstance(outcome, PerItem), outcome
    return [type(item) for item in outcome.items]


def uids_of(lots: Sequence[Lot]) -> list[str]:
    return sorted(uid for lot in lots for uid in lot.uids)


def ids_in(node: OpenSearch, index: str) -> list[str]:
    return sorted(each["_id"] for each in node.documents(index))


def stream(name: str) -> dict[str, Any]:
    """Keys for a data stream of a test's own, and the name it has."""
    return {"data_stream": {"dataset": name}}


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


# -- whole deliveries


class Between:
    """Stands between destination and node, passes requests on, and loses the answers that `loses` names."""

    def __init__(self, node: OpenSearch, loses: Callable[[], bool]) -> None:
        self._node = node
        self._loses = loses
        self._pool = urllib3.PoolManager(maxsize=8)
        self.server = Server(self._forward)

    def close(self) -> None:
        self.server.close()
        self._pool.clear()

    def _forward(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in ("content-type", "content-encoding")}
        address = self._node.url + request.target
        try:
            answer = self._pool.request("POST", address, body=request.body, headers=headers, retries=False)
        except urllib3.exceptions.HTTPError:
            return Response(fault=Fault("cut_before_commit"))
        lost = Fault("commit_then_cut") if self._loses() else None
        return Response(answer.status, answer.data, [("Content-Type", "application/json")], lost)


@pytest.mark.parametrize(
    ("keys", "index"), [(stream("cut"), "logs-cut-default"), ({"index": "cut-%Y.%m"}, "cut-2026.11")]
)
def test_answers_that_are_lost_end_exactly_once(node: OpenSearch, keys: dict[str, Any], index: str) -> None:
    chance = random.Random(7)
    between = Between(node, lambda: chance.random() < 0.25)
    lots = lots_of(2_000, size=50)
    try:
        drained = drain(MemoryQueue(lots), opening(between.server.url, **keys), runs=100)
    finally:
        between.close()
    assert drained.done
    assert drained.delivered == 2_000
    assert ids_in(node, index) == uids_of(lots)


def test_a_node_killed_before_it_answers_has_everything_once(node: OpenSearch) -> None:
    answered = itertools.count(1)

    def kills() -> bool:
        if is_last := next(answered) == 10:
            node.program.kill()
        return is_last

    between = Between(node, kills)
    lots = lots_of(1_000, size=50)
    queue = MemoryQueue(lots)
    try:
        stopped = drain(queue, opening(between.server.url, **stream("killed")))
        assert stopped.reports[0].failed is not None
        node.program.start()
        drained = drain(queue, opening(between.server.url, **stream("killed")), runs=10)
    finally:
        between.close()
    assert drained.done
    assert ids_in(node, "logs-killed-default") == uids_of(lots)
    assert any(settled.duplicate for _, settled in queue.history)


def test_what_is_too_large_is_halved_down_to_the_one_that_is(node: OpenSearch) -> None:
    lots = lots_of(400, size=200, make=lambda n: event_of(n, detail="x" * (1_200_000 if n == 123 else 8_000)))

    drained = drain(MemoryQueue(lots), opening(node.url, **stream("large")))

    assert drained.done
    assert [letter.event for letter in drained.letters.kept] == [lots[0].events[123]]
    assert "413" in drained.letters.kept[0].reason
    assert ids_in(node, "logs-large-default") == sorted(set(uids_of(lots)) - {lots[0].uids[123]})


def test_behind_a_proxy_with_certificates_passwords_and_a_limit_of_its_own(
    node: OpenSearch, nginx_before: Callable[..., Front], tmp_path: Path
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("flicker:{PLAIN}right\n")
    tmp_path.chmod(0o755)
    front = nginx_before(
        node.url, largest_body_bytes=8_000, extra=f'auth_basic "cluster"; auth_basic_user_file {passwords};'
    )
    authority = front.authority
    tls = {
        "ca_cert_path": authority.ca_path,
        "cert_path": authority.client_cert_path,
        "key_path": authority.client_key_path,
    }

    def through(password: str, **more: Any) -> Callable[[], Destination]:
        auth = {"type": "basic", "username": "flicker", "password": password}
        return opening(front.url, auth=auth, compression="none", **(stream("proxied") | {"tls": tls} | more))

    lots = lots_of(300)
    queue = MemoryQueue(lots)
    assert "HTTP 401" in drain(queue, through("wrong")).last_words
    assert "TLS" in drain(queue, through("right", tls=None)).last_words
    assert queue.waiting == 300

    drained = drain(queue, through("right"))
    assert drained.done
    assert not drained.dead
    assert drained.reports[0].statuses["HTTP 413 Request Entity Too Large"]
    assert ids_in(node, "logs-proxied-default") == uids_of(lots)


def test_a_poisoned_event_in_a_hundred_is_set_aside_alone(node: OpenSearch) -> None:
    node.ask("PUT", "/poisoned", {"mappings": {"properties": {"message": {"type": "long"}}}})
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n, actor={"name": "poison" if n % 100 == 50 else str(n)}))

    drained = drain(MemoryQueue(lots), opening(node.url, index="poisoned"))

    assert drained.done
    assert (drained.delivered, drained.dead) == (9_900, 100)
    assert drained.reports[0].requests == len(lots)
    assert node.count("poisoned") == 9_900


def test_a_full_write_queue_costs_only_what_it_could_not_hold(
    tmp_path_factory: pytest.TempPathFactory, node: OpenSearch
) -> None:
    with running(tmp_path_factory.mktemp("small"), thread_pool__write__queue_size="1") as small:
        lots = lots_of(6_000, size=100)
        answers: list[Outcome] = []
        destination = opened(small.url, index="busy", max_in_flight=16)

        def send_some(first: int) -> None:
            answers.extend(destination.send(lot) for lot in lots[first::16])  # type: ignore[arg-type]

        threads = [Thread(target=send_some, args=(first,)) for first in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if not isinstance(answer, Delivered)]
        assert refused, "the queue was never full"
        items = [item for answer in refused for item in (answer.items if isinstance(answer, PerItem) else (answer,))]
        assert {type(item) for item in items} <= {Delivered, Retry}

        drained = drain(MemoryQueue(lots), opening(small.url, index="busy", max_in_flight=16), runs=50)
        assert drained.done
        assert ids_in(small, "busy") == uids_of(lots)


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
