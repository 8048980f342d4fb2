"""State on S3: everything local is deleted, and collection goes on from the registry with each event once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flicker_dagster.simulator.world import World
from flicker_dagster_tests.e2e.stack import a_stack

pytestmark = pytest.mark.timeout(600)

BUCKET = "company-logs"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


def test_collection_resumes_from_s3_after_all_local_state_is_gone(tmp_path: Path, s3) -> None:
    registry = f"s3://{BUCKET}/flicker-registry.json"
    with World(rate=2, history_s=1800) as world:
        home = tmp_path / "first"
        home.mkdir()
        with a_stack(home, world, registry_file=registry) as stack:
            stack.wait_delivered("everything is delivered")
        shutil.rmtree(home)
        saved = json.loads(s3.get_object(Bucket=BUCKET, Key="flicker-registry.json")["Body"].read())
        assert set(saved["api_sources"]) == {"okta-audit-logs", "github-audit-log", "salesforce-audit"}
        assert saved["version"] == 1
        world.vendor("okta").emitter.emit(3)
        home = tmp_path / "second"
        home.mkdir()
        with a_stack(home, world, registry_file=registry) as stack:
            stack.wait_delivered("collection goes on from S3")
        assert [row.twice for row in world.compare()] == [0, 0, 0]
