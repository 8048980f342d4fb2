"""AWS Signature Version 4, by botocore's signer and with its chain of credentials."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import msgspec

from flicker_dagster.config.auth.sigv4 import SigV4Auth
from flicker_dagster.config.quiet import unlogged
from flicker_dagster.config.secrets import resolve
from flicker_dagster.transport.auth_failed import AuthFailed
from flicker_dagster.transport.exchange import Answer, NoAuth, Request

SESSION_NAME = "flicker"
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5, 20

#: Loggers of the SDK that write requests and answers, keys and session tokens included.
_TELLTALES = tuple(
    f"botocore.{name}"
    for name in ("auth", "parsers", "endpoint", "httpsession", "credentials", "utils", "hooks", "regions", "tokens")
)
#: How AWS says that a key or session token is over, rather than that it may not.
_OVER = re.compile(
    rb"ExpiredToken|InvalidClientTokenId|UnrecognizedClient|security token[^.]{0,60}(expired|invalid)", re.I
)
#: Error codes of STS that pass by themselves.
_PASSING = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "InternalFailure", "ServiceUnavailable"}
)


class SigV4(NoAuth):
    """Signs each request with its method, path, query, headers and body's hash. Thread-safe.

    Credentials that end are renewed by the SDK ahead of their end. Raises SecretUnset.
    """

    def __init__(self, auth: SigV4Auth, *, env: Mapping[str, str] | None) -> None:
        def given(template: str | None) -> str | None:
            return None if template is None else resolve(template, env=env)

        self._service = auth.service
        self._region = resolve(auth.region, env=env)
        self._key_id, self._secret = given(auth.access_key_id), given(auth.secret_access_key)
        self._session_token = given(auth.session_token)
        self._role, self._external_id = given(auth.role_arn), given(auth.external_id)
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._signed = threading.local()

    def sign(self, request: Request) -> Request:
        from botocore.auth import S3SigV4Auth
        from botocore.auth import SigV4Auth as Signer
        from botocore.awsrequest import AWSRequest

        frozen = self._frozen()
        self._signed.frozen = frozen
        # OpenSearch Serverless demands the hash as a header, S3 as well; others take it.
        headers = request.headers | {"X-Amz-Content-SHA256": sha256(request.body or b"").hexdigest()}
        asked = AWSRequest(request.method, request.url, headers=headers, data=request.body or b"")
        signer = S3SigV4Auth if self._service == "s3" else Signer
        with unlogged(*_TELLTALES):
            signer(frozen, self._service, self._region).add_auth(asked)
        return msgspec.structs.replace(request, headers=dict(asked.headers.items()))

    def renew(self, refused: Answer) -> bool:
        """Where the answer says that the credentials are over, and the environment has others by now."""
        used = getattr(self._signed, "frozen", None)
        if used is None or not _OVER.search(refused.body):
            return False
        with self._lock:
            if self._credentials is not None:
                with _explained(self._role), unlogged(*_TELLTALES):
                    if self._credentials.get_frozen_credentials() != used:
                        return True  # another thread was faster
            self._credentials = None
        return self._frozen() != used

    def secrets(self) -> tuple[str, ...]:
        used = getattr(self._signed, "frozen", None)
        return () if used is None else tuple(filter(None, (used.secret_key, used.token)))

    # -- credentials

    def _frozen(self) -> Any:
        """Key, secret and session token as they are now. Raises AuthFailed."""
        with self._lock, _explained(self._role), unlogged(*_TELLTALES):
            if self._credentials is None:
                self._credentials = self._opened()
            return self._credentials.get_frozen_credentials()

    def _opened(self) -> Any:
        from botocore.config import Config
        from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
        from botocore.session import Session

        session = Session()
        if self._key_id is not None:
            found: Any = Credentials(self._key_id, self._secret, self._session_token)
        else:
            found = session.get_credentials()
        if found is None:
            raise AuthFailed(
                "no AWS credentials are found; set access_key_id and secret_access_key, the environment's AWS_ACCESS_KEY_ID "
                "and AWS_SECRET_ACCESS_KEY, or give the machine a role",
                retryable=False,
            )
        if self._role is None:
            return found
        config = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, region_name=self._region)
        asked = {"RoleSessionName": SESSION_NAME}
        fetcher = AssumeRoleCredentialFetcher(
            lambda service, **keys: session.create_client(service, config=config, **keys),
            found,
            self._role,
            extra_args=asked if self._external_id is None else {**asked, "ExternalId": self._external_id},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


@contextmanager
def _explained(role: str | None) -> Iterator[None]:
    """Errors of the SDK, on the way to credentials, as AuthFailed."""
    from botocore import exceptions as sdk

    try:
        yield
    except sdk.ClientError as error:
        told = error.response.get("Error", {})
        code = str(told.get("Code", "unknown"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        passing = code in _PASSING or status >= 500 or status == 429
        advice = "" if passing else "; check the role's trust policy, external_id and the keys"
        raise AuthFailed(
            f"AWS STS did not give the role {role}: {code}: {told.get('Message', '')}{advice}", retryable=passing
        ) from None
    except (sdk.HTTPClientError, sdk.ConnectionError) as error:
        passing = not isinstance(error, sdk.SSLError)
        raise AuthFailed(
            f"AWS credentials could not be fetched: {type(error).__name__}; check the network", retryable=passing
        ) from None
    except (sdk.CredentialRetrievalError, sdk.MetadataRetrievalError) as error:
        # The machine's or container's own service did not answer, which passes.
        raise AuthFailed(
            f"AWS credentials could not be fetched: {type(error).__name__}; check the machine's role or credential process",
            retryable=True,
        ) from None
    except (sdk.BotoCoreError, ValueError) as error:  # ValueError: an endpoint of the environment that is no address
        raise AuthFailed(
            f"AWS credentials cannot be used: {type(error).__name__}; check the profile, its sign-on and the region",
            retryable=False,
        ) from None
