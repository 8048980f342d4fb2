"""State in S3: conditional reads and writes over one shared client with short time-outs and bounded retries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from flicker_dagster.errors import StateError, StoreAway, StoreRefused, WriteConflict
from flicker_dagster.failpoints import reach
from flicker_dagster.state.stores import ANYTHING, UNCHANGED, Marker, Stored

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20
#: Tries of one request, the first included, with the SDK's standard back-off (5xx, SlowDown, time-outs).
MAX_ATTEMPTS = 5
#: The SDK does not retry once an answer's body has begun.
BODY_ATTEMPTS = 3

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})

#: Answers to a condition that does not hold; NoSuchKey: the object that If-Match names is gone.
_CONFLICTS = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey")

#: What to do about a store that cannot keep state.
ADVICE = (
    "use AWS S3 or another store that honours If-Match and If-None-Match, or a --state-dir on a local disk "
    "and no second Flicker"
)

#: Answers that pass by themselves.
_AWAY = frozenset({"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "Throttling"})
_AWAY_STATUS = frozenset({408, 429, 500, 502, 503, 504})

_DENIED = frozenset({"AccessDenied", "403", "Forbidden"})
_PERMISSIONS = {"read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject", "list": "s3:ListBucket"}

#: What to do about an error code of S3.
_ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it or correct its name",
    "InvalidAccessKeyId": "the access key is unknown; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key does not fit; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the session token has expired; renew the credentials",
    "RequestTimeTooSkewed": "this machine's clock is wrong; synchronise it",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "NotImplemented": f"this S3 service has no conditional writes; {ADVICE}",
    "501": f"this S3 service has no conditional writes; {ADVICE}",
    "SlowDown": "S3 is throttling; it is tried again at the next run",
}


class S3Settings(NamedTuple):
    """What the environment says about S3.

    Credentials stay with the SDK's own chain; the key id only tells one client from another.
    """

    endpoint_url: str | None
    region: str | None
    path_style: bool | None  # None: the SDK's choice
    profile: str | None
    key_id: str | None

    @classmethod
    def from_env(cls) -> S3Settings:
        """Read `AWS_ENDPOINT_URL(_S3)`, `AWS_REGION`, `AWS_S3_FORCE_PATH_STYLE`. Raises StateError for a value of the
        last one that is neither true nor false."""
        env = os.environ
        endpoint_url = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None
        wish = env.get("AWS_S3_FORCE_PATH_STYLE")
        if wish is None:
            path_style = True if endpoint_url else None
        elif wish.strip().lower() in _TRUE:
            path_style = True
        elif wish.strip().lower() in _FALSE:
            path_style = False
        else:
            raise StateError(f"AWS_S3_FORCE_PATH_STYLE={wish}: expected true or false")
        region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or None
        return cls(endpoint_url, region, path_style, env.get("AWS_PROFILE") or None, env.get("AWS_ACCESS_KEY_ID"))


@lru_cache(maxsize=8)
def shared_client(settings: S3Settings) -> Any:
    """A client made by Dagster's S3 resource; one per process and settings, since making one takes long."""
    import boto3
    from botocore.config import Config
    from dagster_aws.s3 import S3Resource
    from dagster_aws.utils import construct_boto_client_retry_config

    class StateS3Resource(S3Resource):
        """Dagster's resource has no fields for time-outs and addressing: its settings, with ours on top."""

        def get_client(self) -> Any:
            options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": READ_TIMEOUT_S}
            if settings.path_style is not None:
                options["s3"] = {"addressing_style": "path" if settings.path_style else "virtual"}
            if settings.endpoint_url and "AWS_REQUEST_CHECKSUM_CALCULATION" not in os.environ:
                # Many S3-compatible services refuse the trailing checksums that newer SDKs add unasked.
                options["request_checksum_calculation"] = "when_required"
            config = construct_boto_client_retry_config(self.max_attempts).merge(Config(**options))
            session = boto3.Session(profile_name=self.profile_name)
            return session.client(
                "s3", region_name=self.region_name, endpoint_url=self.endpoint_url, use_ssl=self.use_ssl, config=config
            )

    # The resource reads `max_attempts` as the SDK's retries config does: the number of tries after the first.
    resource = StateS3Resource(
        region_name=settings.region, endpoint_url=settings.endpoint_url, max_attempts=MAX_ATTEMPTS - 1
    )
    return resource.get_client()


def endpoint_shown(settings: S3Settings) -> str:
    """The service as a message may name it, without a user or password that stands in its address."""
    if settings.endpoint_url is None:
        return "AWS S3"
    parts = urlsplit(settings.endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def let_go_of_clients() -> None:
    """Forget the shared clients; whoever uses one at this moment keeps it. A process must do so before it forks: two that
    write to one connection would read each other's answers."""
    shared_client.cache_clear()


class S3Store:
    """Objects of a bucket below a prefix. A version is an ETag."""

    def __init__(self, bucket: str, prefix: str = "", client: Any | None = None) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self._given = client

    @property
    def client(self) -> Any:
        return self._given if self._given is not None else shared_client(S3Settings.from_env())

    def read(self, key: str) -> Stored | None:
        found = self._read(key, {})
        assert found is not UNCHANGED
        return found

    def read_changed(self, key: str, version: str) -> Stored | Literal[Marker.UNCHANGED] | None:
        return self._read(key, {"IfNoneMatch": version})

    def _read(self, key: str, condition: dict[str, str]) -> Stored | Literal[Marker.UNCHANGED] | None:
        def get() -> Stored | Literal[Marker.UNCHANGED] | None:
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key), **condition)
            return Stored(answer["Body"].read(), self._etag(answer, key))

        return self._call("read", key, get, {"NoSuchKey": None, "304": UNCHANGED, "NotModified": UNCHANGED})

    def write(self, key: str, data: bytes, *, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        condition: dict[str, str] = {}
        if expected is None:
            condition = {"IfNoneMatch": "*"}
        elif expected is not ANYTHING:
            condition = {"IfMatch": expected}

        def put() -> str | None:
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self._key(key), Body=data, ContentType=_content_type(key), **condition
            )
            return self._etag(answer, key)

        reach("store.write.before")
        conflicts: dict[str, Any] = dict.fromkeys(_CONFLICTS)
        etag = self._call("write", key, put, conflicts)
        if etag is None:
            raise WriteConflict(f"{self.describe(key)} was changed by another writer since it was read")
        reach("store.write.after")
        return etag

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self.client.delete_object(Bucket=self.bucket, Key=self._key(key)), {})

    def list(self, prefix: str) -> Iterator[str]:
        full = self._key(prefix)
        cut = len(full) - len(prefix)
        token: dict[str, str] = {}
        while True:
            request = {"Bucket": self.bucket, "Prefix": full, **token}
            answer = self._call("list", prefix, lambda request=request: self.client.list_objects_v2(**request), {})
            for entry in answer.get("Contents", []):
                yield entry["Key"][cut:]
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def describe(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def _etag(self, answer: Any, key: str) -> str:
        etag = answer.get("ETag")
        if not etag:
            raise StoreRefused(
                f"{self.describe(key)}: answered without an ETag, which conditional writes compare; {ADVICE}"
            )
        return etag

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _call(self, doing: str, key: str, request: Callable[[], T], expected: dict[str, Any]) -> T | Any:
        """Run a request; an error code of `expected` becomes its value, every other failure a StateError."""
        from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError, ResponseStreamingError
        from botocore.exceptions import ReadTimeoutError as BodyTimeout

        for attempt in range(1, BODY_ATTEMPTS + 1):
            try:
                return request()
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", "unknown"))
                if code in expected:
                    return expected[code]
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
                advice = _denied(doing) if status == 403 and code in _DENIED else None
                advice = advice or _ADVICE.get(
                    code, "check the bucket, AWS_REGION, AWS_ENDPOINT_URL and the credentials"
                )
                kind = StoreAway if code in _AWAY or status in _AWAY_STATUS else StateError
                kind = StoreRefused if code in ("NotImplemented", "501") or status == 501 else kind
                raise kind(f"cannot {doing} {self.describe(key)}: {code} (HTTP {status}); {advice}") from error
            except (IncompleteReadError, ResponseStreamingError, BodyTimeout) as error:
                if doing != "read" or attempt == BODY_ATTEMPTS:
                    raise self._unreachable(doing, key, error) from error
            except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no address
                raise self._unreachable(doing, key, error) from error
        raise AssertionError("unreachable")

    def _unreachable(self, doing: str, key: str, error: Exception) -> StateError:
        from botocore import exceptions as sdk

        passing = (sdk.HTTPClientError, sdk.ConnectionError, sdk.CredentialRetrievalError)
        away = isinstance(error, passing) and not isinstance(error, sdk.SSLError)
        if isinstance(error, sdk.NoCredentialsError | sdk.PartialCredentialsError):
            return StateError(
                f"cannot {doing} {self.describe(key)}: no AWS credentials are found; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or give the machine a role"
            )
        # Not the SDK's own text: it may quote the endpoint with user and password in it.
        return (StoreAway if away else StateError)(
            f"cannot {doing} {self.describe(key)}: {type(error).__name__}; check the network, AWS_REGION, "
            "AWS_ENDPOINT_URL and the credentials"
        )


def _denied(doing: str) -> str:
    others = ", ".join(name for name in _PERMISSIONS.values() if name != _PERMISSIONS[doing])
    advice = f"access denied; allow {_PERMISSIONS[doing]} there (as well as {others})"
    if doing == "read":  # a missing object is then told as a forbidden one
        advice += "; without s3:ListBucket S3 does not tell a missing object from a forbidden one"
    return advice


def _content_type(key: str) -> str:
    return "application/json" if key.endswith(".json") else "application/octet-stream"
