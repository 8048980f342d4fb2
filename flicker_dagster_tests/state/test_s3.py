from __future__ import annotations

import socket

import pytest

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state.s3 import S3Settings, S3Store, shared_client


def test_a_missing_bucket_is_an_error_and_not_an_absence(s3_env: None) -> None:
    with pytest.raises(StateError, match=r"cannot read s3://no-such-bucket/a: NoSuchBucket .*create it"):
        S3Store("no-such-bucket").read("a")


def test_a_server_that_does_not_answer_is_an_error_without_secrets(
    s3_env: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:pass-word@127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr("flicker_dagster.state.s3.MAX_ATTEMPTS", 1)
        with pytest.raises(StateError) as refused:
            S3Store("logs").read("a")
    message = str(refused.value)
    assert "s3://logs/a" in message
    assert "AWS_ENDPOINT_URL" in message
    assert "pass-word" not in message
    assert "a-secret-key" not in message


class _Failing:
    """A client whose every request fails as told."""

    def __init__(self, code: str, status: int) -> None:
        self._code, self._status = code, status

    def __getattr__(self, operation: str) -> object:
        from botocore.exceptions import ClientError

        def fail(**_: object) -> None:
            answer = {"Error": {"Code": self._code}, "ResponseMetadata": {"HTTPStatusCode": self._status}}
            raise ClientError(answer, operation)  # type: ignore[arg-type]

        return fail


@pytest.mark.parametrize(
    ("code", "status", "advice"),
    [
        ("AccessDenied", 403, "allow s3:GetObject"),
        ("ExpiredToken", 400, "renew the credentials"),
        ("SlowDown", 503, "throttling"),
        ("InternalError", 500, "check the bucket"),
    ],
)
def test_every_failure_but_absence_says_what_to_do(code: str, status: int, advice: str) -> None:
    with pytest.raises(StateError, match=advice):
        S3Store("logs", client=_Failing(code, status)).read("a")


@pytest.mark.parametrize(
    ("code", "status"),
    [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409), ("NoSuchKey", 404)],
)
def test_a_condition_that_does_not_hold_is_a_conflict(code: str, status: int) -> None:
    with pytest.raises(WriteConflict):
        S3Store("logs", client=_Failing(code, status)).write("a", b"x", expected='"etag"')


def test_an_answer_cut_short_is_read_again() -> None:
    from botocore.exceptions import IncompleteReadError

    class Body:
        cuts = 2

        def read(self) -> bytes:
            if Body.cuts:
                Body.cuts -= 1
                raise IncompleteReadError(actual_bytes=1, expected_bytes=3)
            return b"abc"

    class Client:
        def get_object(self, **_: object) -> dict:
            return {"Body": Body(), "ETag": '"e"'}

    assert S3Store("logs", client=Client()).read("a") == (b"abc", '"e"')


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://minio:9000"}, True),
        ({"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_S3_FORCE_PATH_STYLE": "false"}, False),
        ({"AWS_S3_FORCE_PATH_STYLE": "true"}, True),
        ({"AWS_S3_FORCE_PATH_STYLE": "1"}, True),
        ({"AWS_S3_FORCE_PATH_STYLE": "False"}, False),
    ],
)
def test_path_style_follows_the_environment(
    env: dict[str, str], expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_S3_FORCE_PATH_STYLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert S3Settings.from_env().path_style is expected


def test_a_path_style_that_is_neither_true_nor_false_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_FORCE_PATH_STYLE", "maybe")
    with pytest.raises(StateError, match="AWS_S3_FORCE_PATH_STYLE=maybe"):
        S3Settings.from_env()


def test_the_client_is_dagsters_with_short_time_outs_and_bounded_retries(s3_env: None) -> None:
    client = shared_client(S3Settings.from_env())
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 20)
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == 5
    assert config.s3["addressing_style"] == "path"
    assert client.meta.region_name == "us-east-1"
    assert S3Store("a").client is S3Store("b").client


def test_addressing_by_host_is_kept_where_it_was_asked_for(s3_env: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.example.com:9000")
    monkeypatch.setenv("AWS_S3_FORCE_PATH_STYLE", "false")
    client = shared_client(S3Settings.from_env())
    url = client.generate_presigned_url("get_object", Params={"Bucket": "logs", "Key": "a"})
    assert url.startswith("http://logs.minio.example.com:9000/a")


def test_more_keys_than_one_answer_holds_are_all_listed(bucket: str) -> None:
    store = S3Store(bucket, "p")
    real = store.client.list_objects_v2

    class Client:
        def list_objects_v2(self, **request: object) -> dict:
            return real(**request, MaxKeys=2)

    for i in range(5):
        store.write(f"ledger/{i}", b"x", expected=None)
    assert list(S3Store(bucket, "p", client=Client()).list("ledger/")) == [f"ledger/{i}" for i in range(5)]
