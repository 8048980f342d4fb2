"""What was found out, as a block to paste: every line with how sure it is, and why."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from flicker_dagster.config.vendor_blocks import scalar
from flicker_dagster.infer.finding import Finding, Findings
from flicker_dagster.printable import visible

#: The order of a source's keys; what is not named stands behind.
ORDER = (
    "endpoint", "polling_frequency_ms", "auth", "headers", "query_params", "request", "time_filter_format", "results_field",
    "rows", "id_field", "equal_rows", "timestamp_field", "timestamp_format", "time_zone", "order", "paging", "lookback_ms",
)  # fmt: skip
IN_PAGING = (
    "page_size", "limit", "cursor", "following", "more", "page", "first_page", "offset", "total", "most", "empty_page_ends",
    "ends_at_start",
)  # fmt: skip

#: Comments stand behind a line of at most so many characters, else above it.
WIDEST = 128


def block_of(findings: Findings, *, name: str, destination: str) -> str:
    """A whole `api_sources` of one entry."""
    found = {each.key: each for each in findings}
    for each in _usual(found):
        found.setdefault(each.key, each)
    lines = [f"- name: {scalar(name)}", "  vendor: generic"]
    tops: dict[str, list[Finding]] = {}
    for each in found.values():
        tops.setdefault(each.key.split(".")[0], []).append(each)
    for top in sorted(tops, key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER)):
        lines += [f"  {line}" for line in _key(top, tops[top])]
    lines.append(f"  destination: {destination}")
    return "api_sources:\n" + "".join(f"  {line}\n" for line in lines)


def name_of(endpoint: str) -> str:
    """A name for the source: the host's own word."""
    host = urlsplit(endpoint).hostname or "source"
    words = [word for word in host.split(".") if word not in ("api", "www", "com", "net", "org", "io", "co", "eu")]
    name = re.sub(r"[^a-z0-9-]+", "-", (words[-1] if words else host).lower()).strip("-")
    return f"{name}-audit" if name and not name.isdigit() else "new-source"


def _usual(found: dict[str, Finding]) -> list[Finding]:
    """What no answer tells, and a source needs."""
    usual = [
        Finding("polling_frequency_ms", 60_000, "guess", "once a minute is bearable for most"),
        Finding("lookback_ms", 300_000, "guess", "how late events come, only the vendor can say"),
    ]
    if any(key.startswith("paging.") for key in found):
        usual.append(Finding("paging.page_size", 100, "guess", "how many a page has at most, only the vendor can say"))
    else:
        usual.append(Finding("paging", {"page_size": 100}, "guess", "nothing leads to a next page"))
    return usual


def _key(top: str, found: list[Finding]) -> list[str]:
    if len(found) == 1 and found[0].key == top:
        return _line(f"{top}: {scalar(_shown(found[0].value))}", found[0])
    lines = [f"{top}:"]
    rank = {key: number for number, key in enumerate(IN_PAGING)}
    for each in sorted(found, key=lambda each: rank.get(each.key.partition(".")[2], 99)):
        name = re.sub(r"\\\.", ".", each.key.partition(".")[2])
        lines += [f"  {line}" for line in _line(f"{scalar(name)}: {scalar(_shown(each.value))}", each)]
    return lines


def _line(text: str, finding: Finding) -> list[str]:
    said = f"# {finding.sure}: {visible(' '.join(finding.why.split()))}"
    behind = f"{text}  {said}"
    return [behind] if len(behind) <= WIDEST - 4 else [said, text]


def _shown(value: Any) -> Any:
    return value
