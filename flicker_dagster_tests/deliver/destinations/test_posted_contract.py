"""What every destination lives up to that posts a lot at once: through lost answers, wrong credentials, limits and poison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flicker_dagster.config.masking import Masker
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Retry
from flicker_dagster.errors import SecretUnset
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.scenes import SCENES, Answering, Scene, on

every_destination = pytest.mark.parametrize("build", SCENES.values(), ids=SCENES)

POISON = "poison-pill"


@pytest.fixture
def scene(build: Callable[..., Scene]) -> Iterator[Scene]:
    with on(build) as made:
        yield made


def uids(lots: list[Any]) -> set[str]:
    return {uid for lot in lots for uid in lot.uids}


@every_destination
def test_answers_that_are_lost_lose_nothing_and_repeat_only_under_the_same_id(scene: Scene) -> None:
    lots = lots_of(600, size=10)
    scene.receiver.faults.plan("commit_then_cut", count=None, share=0.25)
    drained = drain(MemoryQueue(lots), scene.open, runs=100)
    assert drained.done
    assert (drained.delivered, drained.dead) == (600, 0)
    counts = scene.receiver.counts()
    assert set(counts) == uids(lots)
    lost = scene.receiver.requests - len(lots)
    assert lost > 0
    if scene.type == "google_secops":  # which finds a batch that it had before by its content
        assert scene.receiver.repeated == lost
        assert counts.total() == 600
    else:
        assert counts.total() == 600 + 10 * lost


@every_destination
def test_refused_credentials_keep_everything_until_they_are_mended(scene: Scene) -> None:
    lots = lots_of(200)
    queue = MemoryQueue(lots)
    refused = drain(queue, lambda: scene.open(env=scene.wrong), runs=2)
    assert (refused.delivered, refused.dead, queue.waiting) == (0, 0, 200)
    assert "credentials" in refused.last_words
    mended = drain(queue, scene.open)
    assert (mended.done, mended.delivered, mended.dead) == (True, 200, 0)
    assert scene.receiver.counts() == dict.fromkeys(uids(lots), 1)


@every_destination
def test_what_is_too_large_is_cut_down_to_the_one_event_that_is(build: Callable[..., Scene]) -> None:
    def make(number: int) -> bytes:
        return event_of(number, detail="x" * 30_000) if number == 61 else event_of(number)

    with on(build, max_bytes=20_000) as scene:
        lots = lots_of(150, size=50, make=make)
        drained = drain(MemoryQueue(lots), scene.open)
        assert (drained.done, drained.delivered, drained.dead) == (True, 149, 1)
        assert drained.letters.kept[0].event == make(61)
        assert scene.receiver.counts() == dict.fromkeys(uids(lots) - {lots[1].uids[11]}, 1)


@every_destination
def test_one_event_in_a_hundred_that_is_refused_costs_itself_alone(build: Callable[..., Scene]) -> None:
    def is_poison(number: int) -> bool:
        return number % 1_000 in range(500, 510)

    def make(number: int) -> bytes:
        return event_of(number, what=POISON) if is_poison(number) else event_of(number)

    with on(build, poison=POISON) as scene:
        lots = lots_of(10_000, size=400, make=make)
        drained = drain(MemoryQueue(lots), scene.open)
        assert (drained.done, drained.delivered, drained.dead) == (True, 9_900, 100)
        assert all(POISON.encode() in letter.event for letter in drained.letters.kept)
        counts = scene.receiver.counts()
        assert (len(counts), counts.total()) == (9_900, 9_900)


@every_destination
def test_a_server_that_takes_little_and_fails_often_gets_each_event_once(build: Callable[..., Scene]) -> None:
    with on(build, max_bytes=20_000) as scene:
        scene.receiver.faults.plan("500", count=None, share=0.2)
        lots = lots_of(600, size=150)
        drained = drain(MemoryQueue(lots), scene.open, runs=100)
        assert (drained.done, drained.delivered, drained.dead) == (True, 600, 0)
        assert scene.receiver.counts() == dict.fromkeys(uids(lots), 1)


@every_destination
def test_a_busy_server_is_waited_for(scene: Scene) -> None:
    lots = lots_of(100, size=10)
    scene.receiver.faults.plan("429", count=3, retry_after="2")
    scene.receiver.faults.plan("503", count=2)
    drained = drain(MemoryQueue(lots), scene.open, runs=10)
    assert (drained.done, drained.delivered) == (True, 100)
    assert scene.receiver.counts() == dict.fromkeys(uids(lots), 1)


@every_destination
@pytest.mark.parametrize(
    ("fault", "outcome", "stored"),
    [
        ("commit_then_cut", Ambiguous, True),
        ("cut_before_commit", Ambiguous, False),
        ("endless", Delivered, True),
        ("cut", Delivered, True),
        ("html", (Blocked, Ambiguous), False),
    ],
)
def test_what_becomes_of_an_answer_that_is_none(scene: Scene, fault: str, outcome: Any, stored: bool) -> None:
    scene.receiver.faults.plan(fault)
    destination = scene.open()
    assert isinstance(destination.send(lot_of([event_of(1)])), outcome)
    destination.close()
    assert bool(scene.receiver.stored) is stored


@every_destination
def test_an_answer_that_comes_too_late_is_ambiguous(scene: Scene) -> None:
    destination = scene.open(timeout_ms=1_000)
    assert isinstance(destination.send(lot_of([event_of(1)])), Delivered)  # a token is there now, and a connection
    destination.close()
    scene.receiver.faults.plan("slow", seconds=1.0)
    destination = scene.open(timeout_ms=300)
    assert isinstance(destination.send(lot_of([event_of(2)])), Ambiguous)
    destination.close()


@every_destination
def test_nobody_there_is_a_retry(scene: Scene) -> None:
    scene.receiver.close()
    destination = scene.open()
    assert isinstance(destination.send(lot_of([event_of(1)])), Retry)
    destination.close()


@every_destination
def test_the_same_part_of_a_lot_is_the_same_bytes_whenever_it_is_sent(scene: Scene, answering: Answering) -> None:
    lot = lot_of([event_of(number) for number in range(20)])
    answering.says(202)
    scene.context["clock"] = iter(range(1_795_464_000, 1_795_464_100)).__next__
    answering.requests.clear()
    for part in (lot, lot.part(range(5, 9)), lot, lot.part(range(5, 9))):
        destination = scene.open(endpoint=f"{answering.url}/in")
        destination.send(part)
        destination.close()
    first, part, again, part_again = [request.body for request in answering.requests[-4:]]
    assert first == again != part == part_again


@every_destination
def test_compressed_or_not_it_is_the_same_to_the_receiver(scene: Scene) -> None:
    lot = lot_of([event_of(number) for number in range(20)])
    sizes = []
    for compression in ("gzip", "none"):
        scene.receiver.received_bytes = scene.receiver.inflated_bytes = 0
        part = lot.part(range(10)) if compression == "gzip" else lot.part(range(10, 20))
        destination = scene.open(compression=compression)
        assert isinstance(destination.send(part), Delivered)
        destination.close()
        sizes.append((scene.receiver.received_bytes, scene.receiver.inflated_bytes))
    assert sizes[0][0] < sizes[0][1] == pytest.approx(sizes[1][0], rel=0.01)
    assert set(scene.receiver.counts()) == set(lot.uids)


@every_destination
def test_a_gateway_in_between_gets_its_headers(scene: Scene, answering: Answering) -> None:
    scene.env["GATEWAY"] = "gateway-key"
    destination = scene.open(endpoint=f"{answering.url}/in", headers={"X-Gateway": "${GATEWAY}", "Content-Type": "x/y"})
    destination.send(lot_of([event_of(1)]))
    destination.close()
    headers = answering.requests[-1].headers
    assert headers["x-gateway"] == "gateway-key"
    assert headers["content-type"] != "x/y"


@every_destination
def test_no_word_of_a_refusal_holds_a_secret_or_an_event(scene: Scene, answering: Answering) -> None:
    secrets = [value for name, value in scene.env.items() if name != "GOOGLE_KEY"]
    if scene.type == "sumo_logic":
        scene.env["SUMO_URL"] = f"{answering.url}/receiver/v1/http/a-code-that-nobody-may-read=="
        secrets = [scene.env["SUMO_URL"], "a-code-that-nobody-may-read=="]
        keys: dict[str, Any] = {}
    else:
        scene.context["masker"] = Masker(list(scene.env.values()))
        keys = {"endpoint": answering.url}
    event = event_of(1, actor="somebody.by.the.name@acme.example")
    answering.says(400, f'{{"message": "no: {" ".join(secrets)} somebody.by.the.name@acme.example"}}')
    destination = scene.open(**keys)
    why = destination.send(lot_of([event])).why  # type: ignore[union-attr]
    destination.close()
    assert why.startswith("HTTP 400")
    assert not any(secret in why for secret in secrets)
    assert "somebody" not in why
    assert not any(secret in destination.describe() for secret in secrets)


@every_destination
def test_opening_it_resolves_nothing_and_asks_nobody(scene: Scene) -> None:
    destination = scene.open(env={})
    assert destination.describe()
    assert destination.unfit(lot_of([event_of(1)])) == {}
    with pytest.raises(SecretUnset):
        destination.send(lot_of([event_of(1)]))
    destination.close()
    assert scene.receiver.requests == 0
