"""S3 and Security Lake against moto, a store that nobody here wrote, and read back by boto3."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import msgspec
import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate
from flicker_dagster.simulator.receivers.s3 import S3Receiver
from flicker_dagster_tests.deliver.contract import MemoryQueue, drain, lots_of
from flicker_dagster_tests.deliver.destinations.stores import ENV, context, two_days
from flicker_dagster_tests.deliver.destinations.test_security_lake import SOURCES
from flicker_dagster_tests.deliver.destinations.test_security_lake import lots_of as ocsf_lots_of
from flicker_dagster_tests.deliver.parquets import Parquets

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str) -> str:
    name = f"logs-{uuid4().hex[:8]}"
    client(moto).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def client(url: str) -> Any:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    return boto3.client("s3", region_name=REGION, endpoint_url=url, **keys)


def opened(url: str, bucket: str, *, type: str = "s3", env: Any = ENV, **keys: Any) -> Destination:
    given = {
        "type": type,
        "bucket": bucket,
        "region": REGION,
        "endpoint": url,
        "access_key_id": "${AWS_KEY}",
        "secret_access_key": "${AWS_SECRET}",
    } | keys
    return open_destination(destination_adapter().validate_python(given), context(env=env))


def objects(url: str, bucket: str) -> dict[str, Any]:
    """Objects as boto3 gets them, but for the one that only tests the store."""
    s3 = client(url)
    found = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key) for key in found if not key.rpartition("/")[2].startswith("_")}


def test_lines_are_stored_once_with_everything_that_is_configured(moto: str, bucket: str) -> None:
    lot = two_days()
    given: dict[str, Any] = {
        "prefix": "audit/",
        "storage_class": "STANDARD_IA",
        "tags": {"team": "sec ops"},
        "metadata": {"owner": "secops"},
        "server_side_encryption": "AES256",
    }
    assert opened(moto, bucket, **given).send(lot) == Delivered("HTTP 200 OK")
    assert isinstance(opened(moto, bucket, **given).send(lot), Duplicate)
    found = objects(moto, bucket)
    assert [key.split("/")[:3] for key in found] == [
        ["audit", "source=okta", "day=2026-11-23"],
        ["audit", "source=okta", "day=2026-11-24"],
    ]
    first = next(iter(found.values()))
    assert (first["StorageClass"], first["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")
    assert first["Metadata"]["owner"] == "secops"
    assert first["ContentType"] == "application/x-ndjson"
    tags = client(moto).get_object_tagging(Bucket=bucket, Key=next(iter(found)))
    assert tags["TagSet"] == [{"Key": "team", "Value": "sec ops"}]
    lines = [line for each in found.values() for line in gzip.decompress(each["Body"].read()).splitlines()]
    assert sorted(msgspec.json.decode(line)["event_uid"] for line in lines) == sorted(lot.uids)


def test_a_lane_is_drained_into_it(moto: str, bucket: str, tmp_path: Path) -> None:
    lots = lots_of(300, size=100)
    assert drain(MemoryQueue(lots), lambda: opened(moto, bucket, format="parquet")).done
    found = Parquets(tmp_path, [each["Body"].read() for each in objects(moto, bucket).values()])
    assert found.rows("count(*), count(DISTINCT event_uid)") == [(300, 300)]


def test_a_lake_is_filled_in_it(moto: str, bucket: str, tmp_path: Path) -> None:
    keys = {"type": "security_lake", "account_id": "111122223333", "sources": SOURCES}
    for _ in range(2):
        assert drain(MemoryQueue(ocsf_lots_of(100)), lambda: opened(moto, bucket, **keys)).done
    for source in ("okta-auth", "okta-api"):
        bodies = [each["Body"].read() for key, each in objects(moto, bucket).items() if f"ext/{source}/" in key]
        assert Parquets(tmp_path / source, bodies).rows("count(*), count(DISTINCT metadata.uid)") == [(50, 50)]


def test_each_custom_source_is_written_under_its_own_role(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto gives the roles; the receiver remembers under which session each object was written."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto)
    roles = {name: f"arn:aws:iam::111122223333:role/AmazonSecurityLake-Provider-{name}" for name in ("auth", "api")}
    sources = {
        "authentication": {"name": "auth", "role_arn": roles["auth"], "external_id": "${LAKE_ID}"},
        "api_activity": {"name": "api", "role_arn": roles["api"]},
    }
    store = S3Receiver()
    keys = {"type": "security_lake", "account_id": "111122223333", "sources": sources}
    try:
        destination = opened(store.url, "logs", env=ENV | {"LAKE_ID": "said at creation"}, **keys)
        assert drain(MemoryQueue(ocsf_lots_of(100)), lambda: destination).done
        sessions = {
            name: {
                each.headers["x-amz-security-token"] for key, each in store.objects().items() if f"ext/{name}/" in key
            }
            for name in roles
        }
    finally:
        store.close()
    assert [len(each) for each in sessions.values()] == [1, 1]
    assert not sessions["auth"] & sessions["api"]


def test_a_bucket_that_is_not_there_blocks(moto: str) -> None:
    outcome = opened(moto, "nowhere-to-be-found").send(two_days())
    assert isinstance(outcome, Blocked)
    assert "NoSuchBucket" in outcome.why
    assert "create the bucket" in outcome.why
