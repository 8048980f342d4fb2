"""`type: s3` as it is configured: what is sent with each object, where to, and the faults that are named."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.s3 import S3Destination
from flicker_dagster.deliver.destination import open_destination
from flicker_dagster.deliver.layouts import Layout
from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.stores import ENV, Opens, context, record


def test_what_is_configured_for_objects_is_sent_with_each(store: S3Receiver, opened_s3: Opens) -> None:
    destination = opened_s3(
        store,
        server_side_encryption="aws:kms",
        kms_key_id="alias/${KMS}",
        env=ENV | {"KMS": "audit"},
        storage_class="STANDARD_IA",
        acl="bucket-owner-full-control",
        expected_bucket_owner="111122223333",
        tags={"team": "sec ops", "a&b": "c=d"},
        metadata={"Owner": "secops"},
        checksum="md5",
    )
    destination.send(lot_of([event_of(0)]))
    (stored,) = store.objects().values()
    assert stored.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert stored.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/audit"
    assert stored.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert stored.headers["x-amz-acl"] == "bucket-owner-full-control"
    assert stored.headers["x-amz-expected-bucket-owner"] == "111122223333"
    assert stored.headers["x-amz-tagging"] == "team=sec%20ops&a%26b=c%3Dd"
    assert stored.headers["x-amz-meta-owner"] == "secops"
    assert "content-md5" in stored.headers
    assert "x-amz-checksum-sha256" not in stored.headers


def test_an_address_of_aws_has_the_bucket_in_its_host_unless_a_dot_forbids_it() -> None:
    def address(**keys: Any) -> str:
        destination: Any = open_destination(record(None, **keys), context())
        return destination._bucket.url

    assert address() == f"https://logs.s3.{REGION}.amazonaws.com"
    assert address(bucket="my.logs") == f"https://s3.{REGION}.amazonaws.com/my.logs"
    assert address(region="cn-north-1") == "https://logs.s3.cn-north-1.amazonaws.com.cn"
    assert address(endpoint="https://store.example:9000/s3/") == "https://store.example:9000/s3/logs"
    assert address(endpoint="https://store.example:9000", path_style=False) == "https://logs.store.example:9000"


def test_a_stream_s_name_makes_no_folders_of_its_own() -> None:
    assert Layout("source={source}/", source="google/../login=é", vendor=None).folder(0) == "source=google-..-login-/"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"bucket": "s3://logs/audit"}, "bucket"),
        ({"bucket": "Logs"}, "bucket"),
        ({"endpoint": "store.example"}, "endpoint"),
        ({"prefix": "/audit"}, "prefix"),
        ({"layout": "{date}/"}, "layout"),
        ({"layout": "{day/"}, "layout"),
        ({"layout": "a//b"}, "layout"),
        ({"layout": "../{day}"}, "layout"),
        ({"access_key_id": "A", "secret_access_key": None}, "secret_access_key"),
        ({"access_key_id": None, "secret_access_key": "s"}, "access_key_id"),
        ({"access_key_id": None, "secret_access_key": None, "session_token": "t"}, "session_token"),
        ({"kms_key_id": "alias/x"}, "kms_key_id"),
        ({"kms_key_id": "alias/x", "server_side_encryption": "AES256"}, "kms_key_id"),
        ({"tags": {str(n): "x" for n in range(11)}}, "tags"),
        ({"metadata": {"a b": "x"}}, "metadata.a b"),
        ({"metadata": {"a": "é"}}, "metadata.a"),
        ({"metadata": {"a": "x" * 2_048}}, "metadata"),
        ({"external_id": "x"}, "external_id"),
    ],
)
def test_a_fault_of_the_configuration_names_its_key(keys: dict[str, Any], key: str) -> None:
    assert [name for name, _ in record("https://store.example", **keys).faults()] == [key]


def test_what_the_guide_says_to_paste_is_valid() -> None:
    block = yaml.safe_load(S3Destination.GUIDE.block)["lake"]
    assert destination_adapter().validate_python(block).faults() == []
