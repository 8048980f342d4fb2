"""Which entries of a push Loki refused, by its own words: it stores the others, and its answer is a 400 or 429 all the same.

Two writers speak. The distributor names times to the second (`has timestamp too old: …`), each text as often as it says
(`3 errors like: …`). The ingester names them to the nanosecond (`entry with timestamp … ignored, reason: '…'`), the first
ten of them, and the number of all. An answer is believed only where it accounts for every entry that it refuses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flicker_dagster.times import parse_time_ms, rfc3339_ms

_NAMED = re.compile(r"entry with timestamp (.{19,60}?) ignored, reason: '(.*)'(?: for stream: .*)?,?")
_TOTAL = re.compile(r"(?:user '.*', )?total ignored: (\d{1,9}) out of (\d{1,9})(?: for stream: .*)?")
_OLDEST = re.compile(r"oldest acceptable timestamp is: (\S+)")
_OUTSIDE = re.compile(
    r"(?:(\d{1,9}) errors like: )?(entry for stream '[^']*' has timestamp "
    r"(?:too old: (\S+?)(?:, oldest acceptable timestamp is: (\S+?))?|too new: (\S+?)))(?:;|$)"
)
_COUNTED = re.compile(r"\A\d{1,9} errors: ")
_TOO_MUCH = re.compile(r"rate limit exceeded|stream limit exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """Why an entry was not stored, in Loki's words; `passing` where it may be taken later."""

    why: str
    passing: bool


def refused_entries(text: str, times_ms: Sequence[int]) -> dict[int, Refusal] | None:
    """The refused ones of the entries that were pushed, by index, where the text accounts for all of them; else None.

    `times_ms` are the times of all entries of the one stream that was pushed.
    """
    text = text.strip()
    if text.startswith("entry with timestamp "):
        return _by_ingester(text, times_ms)
    return _by_distributor(text, times_ms)


def _by_ingester(text: str, times_ms: Sequence[int]) -> dict[int, Refusal] | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    total = _TOTAL.fullmatch(lines.pop()) if lines else None
    if total is None or int(total[2]) != len(times_ms):
        return None
    named: Counter[int] = Counter()
    reasons: dict[int, str] = {}
    for line in lines:
        found = _NAMED.fullmatch(line)
        at_ms = None if found is None else parse_time_ms(found[1].removesuffix(" UTC"))
        if found is None or at_ms is None:
            return None
        named[at_ms] += 1
        reasons[at_ms] = found[2]
    refused = _at_these_times(named, reasons, times_ms)
    if refused is None:
        return None
    if len(refused) < int(total[1]):  # ten at most are named
        refused |= _behind(set(reasons.values()), times_ms)
    return refused if len(refused) == int(total[1]) else None


def _at_these_times(named: Counter[int], reasons: dict[int, str], times_ms: Sequence[int]) -> dict[int, Refusal] | None:
    """Entries at the named times. Where several share one, all have to be named, unless the time itself is the reason."""
    there = Counter(times_ms)
    for ms, count in named.items():
        if count != there[ms] and ("timestamp" not in reasons[ms] or count > there[ms]):
            return None
    return {
        index: Refusal(reasons[ms], passing=_TOO_MUCH.search(reasons[ms]) is not None)
        for index, ms in enumerate(times_ms)
        if ms in reasons
    }


def _behind(reasons: set[str], times_ms: Sequence[int]) -> dict[int, Refusal]:
    """Entries before the oldest time that the reasons call acceptable, if they agree on one; it is told in whole seconds."""
    told = {found[1].rstrip("',") for why in reasons if (found := _OLDEST.search(why)) is not None}
    oldest_ms = parse_time_ms(told.pop()) if len(told) == 1 else None
    if oldest_ms is None:
        return {}
    why = f"entry too far behind, oldest acceptable timestamp is: {rfc3339_ms(oldest_ms)}"
    return {index: Refusal(why, passing=False) for index, ms in enumerate(times_ms) if ms < oldest_ms}


def _by_distributor(text: str, times_ms: Sequence[int]) -> dict[int, Refusal] | None:
    rest = _COUNTED.sub("", text, count=1)
    if _OUTSIDE.sub("", rest).strip(" \n;"):
        return None  # it speaks of something else as well
    refused: dict[int, Refusal] = {}
    expected = 0
    for count, why, too_old, _, too_new in (found.groups() for found in _OUTSIDE.finditer(rest)):
        at_ms = parse_time_ms(too_old or too_new)
        if at_ms is None:
            return None
        expected += int(count or 1)
        refused |= {
            index: Refusal(why, passing=False) for index, ms in enumerate(times_ms) if ms // 1_000 == at_ms // 1_000
        }
    return refused if refused and len(refused) == expected else None
