"""Where state may lie: a path, or `s3://bucket/key`. Everything else that looks like an address is a mistake, and told."""

from __future__ import annotations

import os
import re

from flicker_dagster.errors import LocationError
from flicker_dagster.printable import visible

S3 = "s3://"

#: What `s3://` is misspelt as, or what belongs to other software. `s3//bucket` would be a local directory `s3`.
_S3_MEANT = re.compile(r"\W*s3[an]?\s*(?::\W*|//+)(?P<rest>.*)", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):/")
_AWS_ADDRESS = re.compile(r"https?://(?P<bucket>[a-z0-9.-]+)\.s3[a-z0-9.-]*\.amazonaws\.com/(?P<key>[^?#]*)")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")  # wider than S3's own rule, for what speaks like it
MAX_KEY_BYTES = 800  # S3 takes 1,024; the names of shards come behind
MAX_PATH_BYTES, MAX_NAME_BYTES = 3_000, 255  # Linux takes 4,096; ours come behind

_EXPECTED = "expected a path or s3://bucket/key"


def is_s3(location: str) -> bool:
    return location.startswith(S3)


def checked_location(text: str, *, local_only: bool = False) -> str:
    """The location with `~` expanded. Raises LocationError, in words that go behind the option's name."""
    expected = "expected a local directory" if local_only else _EXPECTED
    if not text.strip():
        raise LocationError(f"is empty, {expected}")
    if visible(text) != text:
        raise LocationError(f"found {_shown(text)} with a control character, {expected}")
    if is_s3(text):
        if local_only:
            raise LocationError(f"found {_shown(text)}, {expected}; only --registry-file and --state-dir may be in S3")
        split_s3(text)
        return text
    if text != text.strip():
        raise LocationError(f"found {_shown(text)} with a space around it, {expected}")
    meant = _S3_MEANT.fullmatch(text)
    if meant is not None:
        raise LocationError(f"found {_shown(text)}, {expected}{'' if local_only else _did_you_mean(meant['rest'])}")
    found = _SCHEME.match(text)
    if found is not None or text.startswith("arn:"):
        scheme = f"{found['scheme']}://" if found is not None else "arn:"
        raise LocationError(f"found an address with {scheme}, which is no store of Flicker, {expected}{_hint(text)}")
    return _checked_path(text)


def checked_registry(text: str) -> str:
    """The location of a registry file, `~` expanded. Raises LocationError likewise, and for what holds no object."""
    location = checked_location(text)
    if is_s3(location):
        bucket, key = split_s3(location)
        if not key:
            raise LocationError(
                f"found {_shown(text)}, a bucket and no object, expected s3://{bucket}/flicker-registry.json"
            )
    elif location.endswith("/") or os.path.isdir(location):
        raise LocationError(f"found {_shown(text)}, a directory, expected the path of a JSON file")
    return location


def split_s3(url: str) -> tuple[str, str]:
    """`s3://bucket/some/key` as bucket and key. Raises LocationError."""
    bucket, _, key = url.removeprefix(S3).partition("/")
    if not bucket:
        raise LocationError(f"found {_shown(url)}, which names no bucket, expected s3://bucket/key")
    if "@" in bucket:  # not shown: a secret key may stand there
        raise LocationError(
            "holds a user or key before the bucket, expected s3://bucket/key; credentials go into AWS_ACCESS_KEY_ID"
        )
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise LocationError(
            f"found the bucket {_shown(bucket)}, expected letters, digits, dots, hyphens or underscores"
        )
    if any(part in (".", "..") for part in key.split("/")):
        raise LocationError(f"found {_shown(url)}, expected a key without the parts . and ..; S3 knows no directories")
    if len(key.encode("utf-8", "surrogateescape")) > MAX_KEY_BYTES:
        raise LocationError(f"found a key of more than {MAX_KEY_BYTES} bytes, expected a shorter one")
    return bucket, key.strip("/")


def _checked_path(text: str) -> str:
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise LocationError(f"found {_shown(text)}, and there is no such user, expected a path")
    too_long = max(len(os.fsencode(name)) for name in path.split("/")) > MAX_NAME_BYTES
    if too_long or len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise LocationError(f"found {_shown(text)}, which is too long for a path, expected a shorter one")
    above = path
    while above and not os.path.lexists(above):
        above = os.path.dirname(above)
    if above and above != path and not os.path.isdir(above):
        raise LocationError(f"found {_shown(text)}, but {above} is no directory, expected a path below a directory")
    return path


def _hint(text: str) -> str:
    """What an address of another scheme stands for, where that can be told."""
    if text.lower().startswith("file:"):
        return f" (did you mean /{text[len('file:') :].lstrip('/')[:100]}?)"
    aws = _AWS_ADDRESS.fullmatch(text)
    return _did_you_mean(f"{aws['bucket']}/{aws['key']}") if aws is not None else ""


def _did_you_mean(rest: str) -> str:
    return f" (did you mean {S3}{visible(rest)[:100]}?)" if rest and "@" not in rest else ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")
