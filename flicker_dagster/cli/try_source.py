"""`flicker test SOURCE`: one look at a vendor: who is asking, what is left of the quota, the newest event, the clocks, and
what to do about a refusal. No event is shown."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import click

from flicker_dagster.cli.command import defect_told
from flicker_dagster.cli.guide_text import console, prose, show_labelled
from flicker_dagster.cli.lags import span
from flicker_dagster.cli.refused_credentials import RefusedCredentials
from flicker_dagster.cli.selection import SHOWN_NAMES
from flicker_dagster.cli.tables import show_json
from flicker_dagster.collect.quota_headers import Told as Quota
from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.load import load_config
from flicker_dagster.config.masking import Masker, shown_endpoint
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendor_fixes import CLOCK_TOLERATED_MS, fix_for, rights_wanted
from flicker_dagster.config.vendors import Preset, preset_of
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.config.written import told
from flicker_dagster.errors import FlickerError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.look import Look, look_at
from flicker_dagster.printable import cut, visible
from flicker_dagster.times import rfc3339_ms

SHOWN_CHARS, SHOWN_RIGHTS = 120, 20

#: The request in front of a message, which the line above has already.
_ADDRESS = re.compile(r"^(GET|POST|PUT) \S+: ")


@dataclass(frozen=True)
class Tried:
    """A look at a stream, in words. `said` is what went wrong."""

    source: SourceConfig
    look: Look
    said: str
    now_ms: int
    took_ms: int
    #: The stream whose refusal is the reason why this one was not asked.
    not_asked_after: str | None = None

    @property
    def preset(self) -> Preset | None:
        return preset_of(self.source.vendor)

    @property
    def fix(self) -> str | None:
        return fix_for(self.preset, self.said) if self.said else None

    @property
    def rights_wanted(self) -> list[str]:
        return rights_wanted(self.preset, self.said)


def try_sources(settings: Settings, name: str, *, as_json: bool) -> int:
    """Look at every stream that the name stands for; 0 where all of them answered and nothing is in doubt, else 1. Raises
    ConfigError, UsageError."""
    tried = _each_tried(settings, streams_named(load_config(settings.config_path), name))
    if as_json:
        show_json({"streams": [_document(each) for each in tried]})
    else:
        for each in tried:
            if each.not_asked_after is None:
                _show(each)
        _show_not_asked([each for each in tried if each.not_asked_after is not None])
    return 0 if all(not each.said for each in tried) else 1


def streams_named(config: FlickerConfig, name: str) -> list[SourceConfig]:
    """The streams of a source, or the one of that name. Raises UsageError."""
    found = [source for source in config.sources if name in (source.name, source.source_name)]
    if not found:
        names = list(dict.fromkeys(each for source in config.sources for each in (source.source_name, source.name)))
        meant = suggestion(name, names) or f"; expected {one_of(names[:SHOWN_NAMES])}"
        raise click.UsageError(f"no source {name[:100]!r} in {config.path}{meant}")
    return found


def _each_tried(settings: Settings, sources: list[SourceConfig]) -> list[Tried]:
    """One after the other; with credentials that were refused no further stream is asked."""
    tried: list[Tried] = []
    refused = RefusedCredentials()
    for source in sources:
        first = refused.first_refused(source)
        if first is None:
            tried.append(_tried(settings, source))
            refused.note(source, tried[-1].look.error)
        else:
            said = f"not asked: the same credentials were refused for {first}"
            tried.append(Tried(source, Look(), said, int(time.time() * 1000), 0, not_asked_after=first))
    return tried


def _tried(settings: Settings, source: SourceConfig) -> Tried:
    began_s = time.monotonic()
    try:
        with settings.work(source) as work:
            look = look_at(work)
        said = look.doubt if look.error is None else told(look.error, source).removeprefix(f"{source.name}: ")
    except Exception as error:  # whatever goes wrong with one stream costs no other its look
        look = Look()
        said = told(error, source) if isinstance(error, FlickerError) else defect_told(error)
    return Tried(source, look, said, int(time.time() * 1000), int((time.monotonic() - began_s) * 1000))


def _show(tried: Tried) -> None:
    source, look = tried.source, tried.look
    answered = f"HTTP {look.status}" if look.status is not None else ""
    rows = [
        ("source", f"{source.name}{f' ({place})' if (place := source.line_of('')) else ''}"),
        ("asked", shown_endpoint(source.endpoint)),
        ("answered", _ADDRESS.sub("", tried.said) or answered or "nothing"),
        *(("who", line) for line in _who(tried)),
        *_rights(tried),
        *(("quota", quota_words(each)) for each in look.quotas),
        *([("newest", _newest(tried))] if look.error is None and look.requests else []),
        *_clock(tried),
        ("took", f"{tried.took_ms / 1000:.1f} s, {look.requests} request{'' if look.requests == 1 else 's'}"),
    ]
    if tried.fix is not None:
        rows.append(("do", tried.fix))
    state = "answers" if not tried.said else "in doubt" if look.error is None and look.requests else "fails"
    show_labelled(f"{source.name} {state}", [(label, visible(words)) for label, words in rows], good=not tried.said)
    if tried.said and tried.fix is None:
        prose(console(), "FLICKER_LOG=debug shows more.", first="", indent="")


def _show_not_asked(tried: list[Tried]) -> None:
    for first in dict.fromkeys(each.not_asked_after for each in tried):
        names = ", ".join(each.source.name for each in tried if each.not_asked_after == first)
        prose(console(), f"Not asked: {visible(names)}. The credentials are those of {first}.", first="", indent="")


def _who(tried: Tried) -> list[str]:
    found = [] if tried.look.told is None else tried.look.told.who
    if not found:
        return ["the answer does not tell"] if tried.look.error is None and tried.look.requests else []
    masker = Masker.for_source(tried.source)
    return [", ".join(f"{label} {cut(masker.mask(value), SHOWN_CHARS)}" for label, value in found)]


def _rights(tried: Tried) -> list[tuple[str, str]]:
    facts, rows = tried.look.told, []
    if facts is not None and facts.rights is not None:
        shown = ", ".join(facts.rights[:SHOWN_RIGHTS]) or "none"
        more = len(facts.rights) - SHOWN_RIGHTS
        rows.append(("rights", f"{shown}{f' and {more} more' if more > 0 else ''}"))
    if facts is not None and facts.missing:
        rows.append(("missing", ", ".join(facts.missing)))
    rows += [("needs", right) for right in tried.rights_wanted]
    if facts is not None and facts.ends_ms is not None:
        rows.append(("token ends", _when(facts.ends_ms, tried.now_ms)))
    return rows


def _newest(tried: Tried) -> str:
    look = tried.look
    since = f"since {rfc3339_ms(look.since_ms)}"
    if not look.events:
        return f"no event {since}"
    count = f"{look.events} event{'' if look.events == 1 else 's'} on the first page {since}"
    count += ", more follow" if look.more else ""
    return count if look.newest_ms is None else f"{_when(look.newest_ms, tried.now_ms)}; {count}"


def _clock(tried: Tried) -> list[tuple[str, str]]:
    ahead_ms = None if tried.look.told is None else tried.look.told.ahead_ms
    if ahead_ms is None:
        return [("clock", "the answer tells no time")] if tried.look.status is not None else []
    if ahead_ms == 0:
        return [("clock", "as ours")]
    way = "ahead of" if ahead_ms > 0 else "behind"
    words = f"the vendor's is {span(max(1000, abs(ahead_ms)))} {way} ours"
    if abs(ahead_ms) > CLOCK_TOLERATED_MS:
        words += "; set this machine's clock (NTP): signatures and tokens rest on it"
    return [("clock", words)]


def _when(at_ms: int, now_ms: int) -> str:
    distance = f"{span(now_ms - at_ms)} ago" if at_ms <= now_ms else f"in {span(at_ms - now_ms)}"
    return f"{rfc3339_ms(at_ms)} ({distance})"


def quota_words(quota: Quota) -> str:
    """`59 of 60 left, full again in 34 s`."""
    of = f" of {quota.limit:,.0f}" if quota.limit is not None else ""
    name = f"{quota.name}: " if quota.name else ""
    full = f", full again in {span(int(max(1.0, quota.reset_s) * 1000))}" if quota.reset_s is not None else ""
    return f"{name}{quota.remaining:,.0f}{of} left{full}"


def _document(tried: Tried) -> dict[str, Any]:
    look, facts = tried.look, tried.look.told
    return {
        "source": tried.source.name,
        "written": tried.source.line_of(""),
        "good": not tried.said,
        "status": look.status,
        "said": tried.said or None,
        "fix": tried.fix,
        "requests": look.requests,
        "events": look.events,
        "more": look.more,
        "newest": None if look.newest_ms is None else rfc3339_ms(look.newest_ms),
        "who": {}
        if facts is None
        else {label: Masker.for_source(tried.source).mask(value) for label, value in facts.who},
        "rights": None if facts is None else facts.rights,
        "missing": [] if facts is None else facts.missing,
        "needs": tried.rights_wanted,
        "token_ends": None if facts is None or facts.ends_ms is None else rfc3339_ms(facts.ends_ms),
        "clock_ahead_ms": None if facts is None else facts.ahead_ms,
        "quotas": [
            {"name": each.name, "remaining": each.remaining, "limit": each.limit, "reset_s": each.reset_s}
            for each in look.quotas
        ],
        "took_ms": tried.took_ms,
    }
