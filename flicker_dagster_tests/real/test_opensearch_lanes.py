"""Lanes of `type: opensearch` into a node of OpenSearch."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import urllib3

from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.outcomes import Delivered, Outcome, PerItem, Retry
from flicker_dagster.simulator.faults import Fault
from flicker_dagster.simulator.server import Request, Response, Server
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lots_of
from flicker_dagster_tests.real.nginx import Front
from flicker_dagster_tests.real.opensearch import OpenSearch, running
from flicker_dagster_tests.real.opensearch_lanes import ids_in, opened, opening, stream, uids_of


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
