"""Where in the file a source's credentials come from: an error about them names line and variable, never a value."""

from __future__ import annotations

import re

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.secrets import is_secret_key, references, texts_of
from flicker_dagster.errors import FlickerError, SecretUnset

#: What a source sends to its vendor.
_TO_VENDOR = re.compile(r"(headers|api_key|basic|auth|query_params|request)(\.|$)")
_NO_SECRET = re.compile(r"\.(type|name)$")


def vendor_credentials(source: SourceConfig) -> str:
    """`headers.Authorization, from ${OKTA_API_TOKEN} (config.yaml:8)`, or that there are none."""
    return _credentials(source, _TO_VENDOR) or "none are configured: add auth, headers, api_key or basic"


def credentials_sent(source: SourceConfig) -> tuple[tuple[str, str], ...]:
    """What a source signs its requests with, as it is written: two that have the same are refused together."""
    return tuple(
        (path, text)
        for path, text in ((path.removeprefix("."), text) for path, text in texts_of(source, ""))
        if _TO_VENDOR.match(path) and (path.startswith("auth") or is_secret_key(path) or references(text))
    )


def siem_credentials(source: SourceConfig, lane: str = "") -> str:
    """The same for what is sent to the destination of a lane."""
    at = f"destination[{list(source.lanes).index(lane)}]" if lane else "destination"
    wanted = re.compile(re.escape(at) + r"\.(?!tls(\.|$)|endpoint$)")
    return _credentials(source, wanted) or "none are configured: add destination.auth"


def told(error: FlickerError, source: SourceConfig) -> str:
    """An error about a source on one line, with the place in the file of what is unset."""
    if not isinstance(error, SecretUnset) or error.reference is None:
        return error.one_line(source.name)
    place = _place_of(error.reference, source)
    return f"{source.name}: {f'{place}: ' if place else ''}{error}"


def _credentials(source: SourceConfig, wanted: re.Pattern[str]) -> str:
    found = []
    for path, text in texts_of(source, ""):
        path = path.removeprefix(".")
        if wanted.match(path) and (is_secret_key(path) or references(text)) and not _NO_SECRET.search(path):
            names = list(dict.fromkeys(map(str, references(text))))
            at = source.path_of(path, names[0]) if names else path
            line, origin = source.line_of(at), f", from {', '.join(names)}" if names else ""
            found.append(f"{at}{origin}{f' ({line})' if line else ''}")
    return "; ".join(found)


def _place_of(reference: str, source: SourceConfig) -> str:
    """`config.yaml:8: headers.Authorization`, where a reference stands first; empty where it stands nowhere."""
    for path, text in texts_of(source, ""):
        if reference in map(str, references(text)):
            at = source.path_of(path, reference).removeprefix(".")
            line = source.line_of(at)
            return f"{line}: {at}" if line else at
    return ""
