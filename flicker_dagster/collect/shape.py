"""The shape of a walk: a fingerprint of everything in the configuration that a resume point depends on.

A page number, an offset or a cursor means something only to the request it was made for. Where any of it has changed, a
kept one is not used any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import is_secret_key, resolve

#: Keys of a source that decide what a listing holds and how it is cut, besides addresses, headers and paging.
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

#: Keys of `pagination` that say how to go on, and nothing of what was read before.
_FREE = {"cursor_expired_status", "durable_cursor"}


def shape_of(source: SourceConfig, env: Mapping[str, str] | None = None) -> str:
    """The fingerprint. Credentials are left out: a new token changes no listing. Raises SecretUnset."""
    spelt = {
        "endpoint": resolve(source.endpoint, env=env),
        "query_params": _resolved(source.query_params, env),
        "headers": _resolved(source.headers, env),
        "pagination": source.pagination.model_dump(exclude=_FREE),
    } | {key: getattr(source, key, None) for key in _KEYS}
    return blake2b(msgspec.json.encode(spelt, order="sorted"), digest_size=12).hexdigest()


def _resolved(templates: Mapping[str, str], env: Mapping[str, str] | None) -> dict[str, str]:
    return {name: resolve(text, env=env) for name, text in templates.items() if not is_secret_key(name)}
