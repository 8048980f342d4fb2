"""`${aws_secret:name}`, `${aws_secret:name#json.path}` and `${aws_ssm:name}`: entries of AWS Secrets Manager and of the SSM
Parameter Store, by the SDK's own chain of credentials.

A value is remembered for some minutes, and read again at once where it is refused by whom it was sent to: it may have been
rotated. Where AWS does not answer, what was read before serves on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from flicker_dagster.errors import SecretUnset
from flicker_dagster.json_paths import lookup_any, readings
from flicker_dagster.json_text import read_json
from flicker_dagster.printable import cut

log = logging.getLogger("flicker.config")

REMEMBERED_S = 300.0
#: What was read so shortly ago is fresh: of many requests that are refused together, one asks.
FRESH_S = 5.0
#: A refusal is told again for so long without asking.
REFUSED_S = 30.0
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3, 10
SAID_CHARS = 200

#: Loggers of the SDK that write answers, secrets included.
_TELLTALES = tuple(
    f"botocore.{name}" for name in ("auth", "parsers", "endpoint", "httpsession", "credentials", "hooks")
)

_SERVICES = {"aws_secret": "secretsmanager", "aws_ssm": "ssm"}
_GRANTS = {"aws_secret": "secretsmanager:GetSecretValue", "aws_ssm": "ssm:GetParameter"}
_ADVICE = {
    "ResourceNotFoundException": "there is none of this name; correct it, or the region (AWS_REGION)",
    "ParameterNotFound": "there is none of this name; correct it, or the region (AWS_REGION)",
    "ParameterVersionNotFound": "there is no such version",
    "DecryptionFailure": "its key cannot be used; grant kms:Decrypt on the key",
    "InvalidKeyId": "its key cannot be used; grant kms:Decrypt on the key",
    "UnrecognizedClientException": "the AWS credentials are unknown or expired; renew them",
    "InvalidSignatureException": "check AWS_SECRET_ACCESS_KEY, and this machine's clock",
    "ExpiredTokenException": "the AWS session token has expired; renew the credentials",
}


class _Read(msgspec.Struct, frozen=True):
    """What an entry was found to hold, or why it could not be read, and when (seconds of a steady clock)."""

    at_s: float
    text: str | None
    refused: str = ""


class _Entries:
    """What was read, by service and name. Thread-safe: one reads, the others wait for it."""

    def __init__(self, read: Callable[[str, str], str], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[tuple[str, str], _Read] = {}
        self._lock = threading.Lock()

    def text(self, kind: str, name: str, *, fresh: bool) -> str:
        with self._lock:
            known, now_s = self._known.get((kind, name)), self._clock()
            if known is not None:
                age_s = now_s - known.at_s
                if known.text is None and age_s < (FRESH_S if fresh else REFUSED_S):
                    raise SecretUnset(known.refused)
                if known.text is not None and age_s < (FRESH_S if fresh else REMEMBERED_S):
                    return known.text
            try:
                found = _Read(now_s, self._read(kind, name))
            except _Away as error:
                if known is None or known.text is None:
                    self._known[kind, name] = _Read(now_s, None, str(error))
                    raise SecretUnset(str(error)) from None
                log.warning("%s; what was read before is used", error)
                found = _Read(now_s, known.text)
            except SecretUnset as error:
                found = _Read(now_s, None, str(error))
            self._known[kind, name] = found
            if found.text is None:
                raise SecretUnset(found.refused)
            return found.text


class _Away(SecretUnset):
    """AWS did not answer, which passes."""


def aws_value(kind: str, entry: str, *, fresh: bool = False) -> str:
    """What an entry holds. `kind` is aws_secret or aws_ssm; `entry` its name or ARN, of a secret perhaps with `#` and a path
    into its JSON. Raises SecretUnset, which names it and says what to do."""
    reference = f"${{{kind}:{entry}}}"
    name, hash_, path = entry.partition("#") if kind == "aws_secret" else (entry, "", "")
    try:
        text = _entries().text(kind, name, fresh=fresh)
    except SecretUnset as error:
        raise SecretUnset(f"{reference} cannot be read: {error}", reference=reference) from None
    return _member(text, path, reference) if hash_ else text


@cache
def _entries() -> _Entries:
    return _Entries(_read, time.monotonic)


def _member(text: str, path: str, reference: str) -> str:
    try:
        value = read_json(text.encode())
    except (ValueError, RecursionError):
        raise SecretUnset(f"{reference}: the secret is no JSON, leave #{path} out", reference=reference) from None
    found = lookup_any(value, readings(path)) if isinstance(value, dict) else None
    if isinstance(found, str):
        return found
    if isinstance(found, int | float) and not isinstance(found, bool):
        return str(found)
    known = ", ".join(map(str, value)) if isinstance(value, dict) else "no members"
    raise SecretUnset(
        f"{reference}: the secret's JSON holds no text at {path}, but {cut(known, SAID_CHARS)}", reference=reference
    )


# -- asking AWS


@cache
def _client(kind: str, region: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    region = region or os.environ.get("AWS_REGION") or None  # the SDK reads AWS_DEFAULT_REGION only
    return boto3.Session(region_name=region).client(_SERVICES[kind], config=config)


def _read(kind: str, name: str) -> str:
    """Raises SecretUnset, and _Away where asking again may help."""
    from botocore import exceptions as sdk

    from flicker_dagster.config.quiet import unlogged

    region = name.split(":")[3] if name.startswith("arn:") and name.count(":") > 4 else None
    try:
        with unlogged(*_TELLTALES):
            client = _client(kind, region)
            region = client.meta.region_name
            if kind == "aws_ssm":
                return client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
            answer = client.get_secret_value(SecretId=name)
            text = answer.get("SecretString")
            return answer["SecretBinary"].decode() if text is None else text
    except UnicodeDecodeError:
        raise SecretUnset("it is binary, expected text") from None
    except sdk.ClientError as error:
        raise _refused(kind, region, error) from None
    except sdk.NoRegionError:
        raise SecretUnset("no AWS region is set; set AWS_REGION") from None
    except (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.ProfileNotFound):
        raise SecretUnset(
            "no AWS credentials are found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role that "
            f"may {_GRANTS[kind]}"
        ) from None
    except (sdk.BotoCoreError, ValueError) as error:  # ValueError: an endpoint of the environment that is no address
        raise _Away(
            f"AWS in {region or 'no region'} did not answer: {type(error).__name__}; check the network"
        ) from None


def _refused(kind: str, region: str | None, error: Any) -> SecretUnset:
    told = error.response.get("Error", {})
    code, status = str(told.get("Code", "unknown")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    where = f"AWS in {region}"
    if status >= 500 or status == 429 or "Throttling" in code:
        return _Away(f"{where} answered {code}; it is asked again")
    advice = _ADVICE.get(code)
    if advice is None and "AccessDenied" in code:
        advice = f"grant {_GRANTS[kind]} on it, and kms:Decrypt on its key if it has one of its own"
    said = cut(str(told.get("Message", "")), SAID_CHARS)
    return SecretUnset(
        f"{where} answered {code}{f', {said}' if said and advice is None else ''}; {advice or 'check its name'}"
    )
