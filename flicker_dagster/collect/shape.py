"""The shape of a walk: a fingerprint of everything in the configuration that a resume point depends on.

A page number, an offset or a cursor means something only to the request it was made for. Where any of it has changed, a
kept one is not used any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.records import Record
from flicker_dagster.config.secrets import is_secret_key, resolve

#: Keys of a source that decide what a listing holds and how it is cut, besides addresses, headers and paging: those that were
#: always counted, and those that count only where they are written, so that what an older Flicker kept still fits.
_KEYS = (
    "results_field",
    "time_filter_param",
    "time_filter_until_param",
    "time_filter_format",
    "time_filter_bounded_live",
    "time_filter_until_future",
    "time_zone",
    "slice_ms",
)
_WHERE_WRITTEN = ("rows", "request", "paging", "over", "each", "axis", "axis_field")

#: What a token's answer tells: known only once there is one.
_TOLD = re.compile(r"\$\{token:[^}]*\}")

#: Keys of `pagination` that say how to go on, and nothing of what was read before.
_FREE = {"cursor_expired_status", "durable_cursor"}


def shape_of(source: SourceConfig, env: Mapping[str, str] | None = None) -> str:
    """The fingerprint. Credentials are left out: a new token changes no listing. Raises SecretUnset."""
    spelt: dict[str, Any] = {
        "endpoint": resolve(_TOLD.sub("", source.endpoint), env=env),
        "query_params": _resolved(source.query_params, env),
        "headers": _resolved(source.headers, env),
        "pagination": source.pagination.model_dump(exclude=_FREE),
    } | {key: getattr(source, key, None) for key in _KEYS}
    for key in _WHERE_WRITTEN:
        if key in source.model_fields_set and (value := getattr(source, key)) is not None:
            spelt[key] = value.model_dump(mode="json") if isinstance(value, Record) else value
    return blake2b(msgspec.json.encode(spelt, order="sorted"), digest_size=12).hexdigest()


def _resolved(templates: Mapping[str, str | list[str]], env: Mapping[str, str] | None) -> dict[str, str | list[str]]:
    return {
        name: resolve(text, env=env) if isinstance(text, str) else [resolve(each, env=env) for each in text]
        for name, text in templates.items()
        if not is_secret_key(name)
    }
