"""s3 and security_lake in SeaweedFS: signatures, conditions and metadata as a store of its own makes them."""

from __future__ import annotations

import gzip
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of
from flicker_dagster_tests.deliver.destinations.stores import context, two_days
from flicker_dagster_tests.deliver.destinations.test_security_lake import SOURCES
from flicker_dagster_tests.deliver.destinations.test_security_lake import lots_of as ocsf_lots_of
from flicker_dagster_tests.deliver.parquets import Parquets
from flicker_dagster_tests.real.object_stores import ObjectStore


@pytest.fixture
def bucket(seaweedfs: ObjectStore) -> str:
    name = f"logs-{uuid4().hex[:8]}"
    seaweedfs.client().create_bucket(Bucket=name)
    return name


def opened(store: ObjectStore, bucket: str, *, secret: str = "", **keys: Any) -> Destination:
    given = {
        "type": "s3",
        "bucket": bucket,
        "region": store.region,
        "endpoint": store.url,
        "access_key_id": "${AWS_KEY}",
        "secret_access_key": "${AWS_SECRET}",
        "prefix": "audit/",
    } | keys
    if given["type"] == "security_lake":
        given.pop("prefix")
    env = {"AWS_KEY": store.key_id, "AWS_SECRET": secret or store.secret}
    return open_destination(destination_adapter().validate_python(given), context(env=env))


def objects(store: ObjectStore, bucket: str) -> dict[str, bytes]:
    """What lies in a bucket, but for what readers pass over."""
    return {key: body for key, body in store.objects(bucket).items() if not key.rpartition("/")[2].startswith("_")}


def uids(store: ObjectStore, bucket: str) -> Counter[str]:
    lines = [line for body in objects(store, bucket).values() for line in gzip.decompress(body).splitlines()]
    return Counter(msgspec.json.decode(line)["event_uid"] for line in lines)


def test_what_is_there_already_is_known_by_its_metadata(seaweedfs: ObjectStore, bucket: str) -> None:
    lot = two_days()
    given: dict[str, Any] = {"tags": {"team": "sec ops"}, "metadata": {"owner": "secops"}, "layout": "d={day}/h={hour}"}
    assert opened(seaweedfs, bucket, **given).send(lot) == Delivered("HTTP 200 OK")
    assert opened(seaweedfs, bucket, **given).send(lot) == Duplicate("HTTP 412 Precondition Failed: it is there")
    assert uids(seaweedfs, bucket) == dict.fromkeys(lot.uids, 1)
    head = seaweedfs.client().head_object(Bucket=bucket, Key=next(iter(objects(seaweedfs, bucket))))
    assert head["Metadata"]["owner"] == "secops"
    assert head["ContentType"] == "application/x-ndjson"


def test_of_eight_that_write_at_once_one_does(seaweedfs: ObjectStore, bucket: str) -> None:
    (lot,) = lots_of(100)
    writers = [opened(seaweedfs, bucket) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(type(each) for each in threads.map(lambda writer: writer.send(lot), writers))
    assert outcomes[Delivered] == 1
    assert uids(seaweedfs, bucket) == dict.fromkeys(lot.uids, 1)


def test_a_wrong_secret_keeps_everything_until_it_is_mended(seaweedfs: ObjectStore, bucket: str) -> None:
    queue = MemoryQueue(lots_of(300))
    waiting = drain(queue, lambda: opened(seaweedfs, bucket, secret="another"), runs=2)
    assert queue.waiting == 300
    assert "SignatureDoesNotMatch" in waiting.last_words
    assert drain(queue, lambda: opened(seaweedfs, bucket)).done
    assert set(uids(seaweedfs, bucket).values()) == {1}
    assert isinstance(opened(seaweedfs, bucket, secret="another").send(two_days()), Blocked)


@pytest.mark.parametrize("checksum", ["sha256", "md5", "none"])
def test_every_checksum_is_taken(seaweedfs: ObjectStore, bucket: str, checksum: str) -> None:
    assert isinstance(opened(seaweedfs, bucket, checksum=checksum).send(two_days()), Delivered)


def test_a_lake_is_filled(seaweedfs: ObjectStore, bucket: str, tmp_path: Path) -> None:
    keys = {"type": "security_lake", "account_id": "111122223333", "sources": SOURCES}
    for _ in range(2):
        assert drain(MemoryQueue(ocsf_lots_of(200)), lambda: opened(seaweedfs, bucket, **keys)).done
    for source in ("okta-auth", "okta-api"):
        bodies = [body for key, body in objects(seaweedfs, bucket).items() if f"ext/{source}/" in key]
        assert Parquets(tmp_path / source, bodies).rows("count(*), count(DISTINCT metadata.uid)") == [(100, 100)]
