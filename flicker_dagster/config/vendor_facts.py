"""What is told of a preset in a word or two: how it signs, how far back the vendor keeps events, how late they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flicker_dagster.config.auth import Auth
from flicker_dagster.config.load import parse_config
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.shape import tag_of
from flicker_dagster.config.vendor_blocks import block_of, usual_streams
from flicker_dagster.config.vendors import Preset
from flicker_dagster.config.vocabulary import RequestKeys

#: Ways to sign, as a table has room for them.
AUTH_WORDS = {
    "bearer": "token",
    "basic": "user, password",
    "header": "key",
    "headers": "keys",
    "query": "key in address",
    "digest": "digest",
    "oauth2_client_credentials": "OAuth2 client",
    "oauth2_refresh_token": "OAuth2 refresh",
    "oauth2_jwt_bearer": "signed JWT",
    "google_service_account": "service account",
    "jwt": "signed JWT",
    "login": "login",
    "hmac": "signature",
    "aws_sigv4": "AWS SigV4",
    "part": "a part",
}

_UNITS = ((31_536_000_000, "y"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


@dataclass(frozen=True)
class Facts:
    """Of all streams together; where they differ, each thing once."""

    streams: int
    auth: str
    retention: str
    lag: str
    axis: str


def facts_of(preset: Preset) -> Facts:
    sources = example_sources(preset)
    return Facts(
        len(sources),
        _each(sources, lambda source: auth_words(source.auth, source.request)),
        _spans(sources, lambda source: source.retention_ms),
        _spans(sources, lambda source: source.sweep.settle_ms),
        _each(sources, lambda source: source.axis),
    )


def example_sources(preset: Preset) -> list[SourceConfig]:
    """Every stream of the preset, with the examples of its parameters."""
    text = block_of(preset, streams=list(preset.streams), destination={"type": "stdout"})
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    found = parse_config(f"api_sources:\n{indented}", path=f"{preset.vendor}.yaml", env={}).sources
    usual = usual_streams(preset)
    return sorted(found, key=lambda source: source.stream not in usual)


def auth_words(auth: Auth | None, request: RequestKeys) -> str:
    """How a source's requests are signed, in a word or two."""
    if auth is not None:
        tag = tag_of(type(auth)) or ""
        return AUTH_WORDS.get(tag, tag)
    return "key in body" if "${" in str(request.body) else "none"


def span_words(ms: int) -> str:
    """A span of time in one unit, `90 d`; rounded where it is just below one."""
    for unit_ms, unit in _UNITS:
        least = 2 * unit_ms if unit == "y" else unit_ms  # a year is told as 365 days
        if ms >= least * 0.98 and abs(ms / unit_ms - round(ms / unit_ms)) < 0.02:
            return f"{round(ms / unit_ms)} {unit}"
    return f"{ms / 3_600_000:.1f} h" if ms >= 3_600_000 else f"{ms / 1000:g} s"


def _each(sources: list[SourceConfig], of: Callable[[SourceConfig], str]) -> str:
    return ", ".join(dict.fromkeys(map(of, sources)))


def _spans(sources: list[SourceConfig], of: Callable[[SourceConfig], int | None]) -> str:
    found: Iterable[int] = {ms for source in sources if (ms := of(source)) is not None}
    return ", ".join(map(span_words, sorted(found)))
