"""S3 cannot be reached at the commit: the run fails, the position stays behind, and nothing is sent again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flicker_dagster.errors import StateError
from flicker_dagster.pipeline.deliver import waiting_events
from flicker_dagster.state import s3
from flicker_dagster_tests.conformance.harness import Scene, plain_scene
from flicker_dagster_tests.outages.gate import Gate

HOUR_MS = 3_600_000

#: What the commit asks of S3, in its order, and what a run asks of it before.
LEDGER_READ = r"GET .*/ledger/"
LEDGER_WRITE = r"PUT .*/ledger/"
REGISTRY_READ = r"GET .*/registry\.json"
REGISTRY_WRITE = r"PUT .*/registry\.json"
HISTORY_WRITE = r"PUT .*/positions/"
LETTERS_WRITE = r"PUT .*/dead-letters/"
ANYTHING = r"."

_BUCKETS = count()


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    gate = Gate(*server.get_host_and_port())
    yield gate
    gate.close()
    server.stop()


@pytest.fixture
def scene(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """A source whose state lies in S3. The SDK's own retries are left out: they take their time, and change nothing."""
    for name in ("AWS_PROFILE", "AWS_S3_FORCE_PATH_STYLE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": gate.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3, "MAX_ATTEMPTS", 1)
    s3.shared_client.cache_clear()
    gate.open()
    bucket = f"logs-{next(_BUCKETS)}"
    boto3.client("s3", endpoint_url=gate.url, region_name="us-east-1").create_bucket(Bucket=bucket)
    with plain_scene(tmp_path, start_from="2h") as scene:
        scene.state = f"s3://{bucket}/state"
        yield scene
    gate.open()
    s3.shared_client.cache_clear()


@pytest.mark.parametrize("how", ["cut", "503", "done and cut"])
@pytest.mark.parametrize("request_", [LEDGER_READ, LEDGER_WRITE, REGISTRY_READ, REGISTRY_WRITE, ANYTHING])
def test_a_commit_that_cannot_reach_s3_fails_and_is_made_up_for(
    scene: Scene, gate: Gate, request_: str, how: str
) -> None:
    scene.emit(20)
    before = scene.poll().end
    scene.clock.now_s += 5
    scene.emit(20)
    scene.fetch()
    gate.shut(request_, how=how)
    done = how == "done and cut" and request_ in (LEDGER_WRITE, REGISTRY_WRITE)
    for _ in range(1 if done else 3):  # as Dagster's retries do; what is done is found done by the first of them
        with pytest.raises(StateError, match=r"cannot (read|write) s3://logs-"):
            scene.deliver()
    assert gate.refused
    gate.open()
    with scene.work() as work:
        assert (work.registry.position("plain") == before) is not (done and request_ == REGISTRY_WRITE)
    unasked = request_ in (
        LEDGER_READ,
        ANYTHING,
    )  # what another machine may have delivered is not sent before that is known
    assert len(scene.received()) == (20 if unasked else 40)
    scene.clock.now_s += 5
    scene.emit(5)
    scene.poll()
    scene.assert_each_once()
    assert scene.siem.inbox("/siem").repeated_batches == 0


@pytest.mark.parametrize("how", ["cut", "503"])
def test_a_fetch_that_cannot_read_the_ledger_fails_rather_than_take_all_for_new(
    scene: Scene, gate: Gate, how: str
) -> None:
    scene.emit(20)
    scene.poll()
    scene.clock.now_s += 5
    scene.emit(5)
    gate.shut(ANYTHING, how=how)
    with pytest.raises(StateError, match=r"cannot read s3://logs-"):
        scene.fetch()
    gate.open()
    scene.poll()
    scene.assert_each_once()


@pytest.mark.parametrize("how", ["cut", "503", "done and cut"])
def test_a_sweep_that_cannot_write_the_ledger_certifies_nothing_and_repeats_nothing(
    scene: Scene, gate: Gate, how: str
) -> None:
    scene.poll()
    hour_ms = scene.clock.now_ms // HOUR_MS * HOUR_MS - HOUR_MS
    scene.vendor.emitter.emit(20, at_ms=hour_ms + 60_000)
    gate.shut(LEDGER_WRITE, how=how)
    with pytest.raises(StateError, match=r"cannot write s3://logs-"):
        scene.sweep(scene.key_of(hour_ms))
    gate.open()
    report = scene.sweep(scene.key_of(hour_ms))
    assert (report.tally.seen, report.tally.new) == (20, 20)
    scene.poll()
    scene.assert_each_once()


@pytest.mark.parametrize("how", ["cut", "503", "done and cut"])
def test_a_refused_event_that_cannot_be_written_down_waits_and_what_repeats_carries_the_same_key(
    scene: Scene, gate: Gate, how: str
) -> None:
    """The event itself is sent again, the same bytes under the same key; its neighbours are not."""
    poisoned, *_ = scene.emit(20)
    scene.siem.poison = poisoned
    scene.siem.dedupe_by_key = True
    scene.fetch()
    gate.shut(LETTERS_WRITE, how=how)
    for _ in range(2):
        with pytest.raises(StateError, match=r"cannot write s3://logs-.*dead-letters"):
            scene.deliver()
    with scene.work() as work:
        assert waiting_events(work) == 1, "what was taken beside it is settled"
    gate.open()
    report = scene.deliver()
    assert (report.drained.delivered, report.drained.dead) == (0, 1)
    assert [poisoned.encode() in letter.event for letter in scene.dead_letters()] == [True]
    scene.poll()
    scene.assert_each_once(but=1)
    assert scene.siem.inbox("/siem").repeated_otherwise == 0


@pytest.mark.parametrize("how", ["cut", "503"])
def test_a_first_start_that_cannot_read_the_registry_is_no_first_start(scene: Scene, gate: Gate, how: str) -> None:
    gate.shut(REGISTRY_READ, how=how)
    with pytest.raises(StateError, match=r"cannot read s3://logs-.*registry\.json"):
        scene.fetch()
    assert scene.cursor is None


def test_a_position_whose_history_cannot_be_written_is_safe(scene: Scene, gate: Gate) -> None:
    scene.emit(20)
    gate.shut(HISTORY_WRITE, how="cut")
    scene.poll()
    assert gate.refused
    scene.poll()
    scene.assert_each_once()
