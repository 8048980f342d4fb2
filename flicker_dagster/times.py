"""Reading the times vendors write, and writing the times they read. Everything is integer milliseconds UTC inside.

The spellings are those of the vendors' own documentation: ISO 8601 with none to nine fraction digits and every form of
offset, epochs in four units, compact digits (Salesforce event log files), RFC 2822 (Quay).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from flicker_dagster.errors import FlickerError

UNIX_FORMATS = ("unix", "unix_ms", "unix_us", "unix_ns")
NAMED_FORMATS = ("auto", "iso8601", "rfc3339", *UNIX_FORMATS)

#: A time outside is the wrong unit or nonsense; both have muted collectors for ever (flicker-and-helr.md b.5).
EARLIEST_MS = 946_684_800_000  # 2000-01-01
LATEST_MS = 4_102_444_800_000  # 2100-01-01

#: Longer text is no time.
LONGEST_TEXT = 100

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MS = timedelta(milliseconds=1)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?"
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_OFFSET = re.compile(r"([+-])(\d\d?)(?::?([0-5]\d))?")
DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
#: A span of time as a person types it.
SPAN = re.compile(r"\d{1,15}[smhdw]")
_AGE = re.compile(r"(\d{1,15})\s*(ms|s|m|h|d|w)(?:\s+ago)?")
_AGE_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class _Minutes(dict[str, int]):
    """`YYYY-MM-DDTHH:MM` → ms, read when first asked for. Raises KeyError for what is no such text."""

    def __missing__(self, text: str) -> int:
        ms = parse_time_ms(text + ":00Z") if len(text) == 16 and text[10:11] == "T" else None
        if ms is None:
            raise KeyError(text)
        self[text] = ms
        return ms


class _Seconds(dict[str, int]):
    """`YYYY-MM-DDTHH:MM:SS` → ms likewise. Events of a page share them, which spares a full parse."""

    def __missing__(self, text: str) -> int:
        ms = self[text] = _minutes[text[:16]] + _SECONDS[text[16:]]
        return ms


class _LocalMinutes(dict[str, int]):
    """`YYYY-MM-DD HH:MM` (or with a T) in a zone → ms likewise."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, text: str) -> int:
        usual = len(text) == 16 and text[10:11] in ("T", " ")
        ms = parse_time_ms(text + ":00", zone=self._zone) if usual else None
        if ms is None:
            raise KeyError(text)
        self[text] = ms
        return ms


class _LocalSeconds(dict[str, int]):
    """`YYYY-MM-DD HH:MM:SS` (or with a T) in a zone → ms likewise."""

    def __init__(self, zone: tzinfo) -> None:
        self.minutes = _LocalMinutes(zone)

    def __missing__(self, text: str) -> int:
        ms = self[text] = self.minutes[text[:16]] + _SECONDS[text[16:]]
        return ms


@lru_cache(64)
def _local_seconds(zone: tzinfo) -> _LocalSeconds:
    return _LocalSeconds(zone)


#: So many minutes and so many seconds are remembered, at about 150 bytes each.
_REMEMBERED = 20_000
_minutes, _seconds = _Minutes(), _Seconds()
_SECONDS = {f":{second:02d}": second * 1_000 for second in range(60)}
_FRACTIONS = {"Z": 0} | {f".{milli:03d}Z": milli for milli in range(1_000)}
_LOCAL_FRACTIONS = {"": 0} | {f".{milli:03d}": milli for milli in range(1_000)}


@lru_cache(256)
def zone_of(text: str) -> tzinfo:
    """The zone of an IANA name (`Asia/Tokyo`), `UTC`, or an offset (`+09:00`). Raises FlickerError."""
    offset = _OFFSET.fullmatch(text)
    if offset is not None and int(offset[2]) < 24:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return timezone.utc if text in ("UTC", "Z") else ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise FlickerError(f"{text!r} is no time zone") from None


def parse_time_ms(value: object, fmt: str = "auto", zone: tzinfo | None = None) -> int | None:
    """The instant a vendor's value stands for, or None where it stands for none between 2000 and 2100.

    A time without an offset is one of `zone`, or of UTC. A local time that comes twice (the hour in which clocks are set
    back) is taken for its first, so that a position never runs ahead of the vendor.

    `fmt` is `auto`, `iso8601`, `rfc3339`, `unix`, `unix_ms`, `unix_us`, `unix_ns` or a strptime pattern. `auto` takes
    any spelling of the module's list; numbers are read in the unit that puts them between 2000 and 2100.
    """
    if isinstance(value, bool) or value is None:
        return None
    if fmt in UNIX_FORMATS:
        return _plausible(_unix_ms(value, fmt))
    if fmt not in NAMED_FORMATS:
        return _plausible(_strptime_ms(value, fmt, zone))
    if isinstance(value, str):
        return _text_ms(value, numbers=fmt == "auto", zone=zone)
    return _guess_unit(value) if isinstance(value, int | float) and fmt == "auto" else None


def times_of_texts(values: list[str], zone: tzinfo | None = None) -> list[int | None]:
    """`parse_time_ms` of many texts: the common spellings `YYYY-MM-DDTHH:MM:SS[.mmm]`, with Z or without, cost two
    look-ups."""
    for remembered in (_minutes, _seconds):
        if len(remembered) > _REMEMBERED:
            remembered.clear()
    try:
        return [_seconds[value[:19]] + _FRACTIONS[value[19:]] for value in values]
    except KeyError:
        pass
    seconds = _local_seconds(zone or timezone.utc)
    for remembered in (seconds, seconds.minutes):
        if len(remembered) > _REMEMBERED:
            remembered.clear()
    try:
        return [seconds[value[:19]] + _LOCAL_FRACTIONS[value[19:]] for value in values]
    except KeyError:
        return [parse_time_ms(value, zone=zone) for value in values]


def format_time(ms: int, fmt: str, zone: tzinfo | None = None) -> str:
    """An instant as a vendor wants it in a request. In a strftime pattern, written in `zone` (or UTC), `%f` is
    microseconds, `%L` milliseconds and `%s` seconds of the epoch."""
    if fmt in ("rfc3339", "iso8601", "auto"):
        return rfc3339_ms(ms)
    if fmt == "unix":
        return str(ms // 1_000)
    if fmt == "unix_ms":
        return str(ms)
    if fmt == "unix_us":
        return str(ms * 1_000)
    if fmt == "unix_ns":
        return str(ms * 1_000_000)
    own = {"L": f"{ms % 1000:03d}", "s": str(ms // 1000)}
    pattern = DIRECTIVE.sub(lambda found: own.get(found[1], found[0]), fmt)
    return datetime_of(ms).astimezone(zone or timezone.utc).strftime(pattern)


def resolution_ms(fmt: str) -> int:
    """The step of a request's time format: what lies between two of its values cannot be asked for."""
    if fmt in ("rfc3339", "iso8601", "auto", "unix_ms", "unix_us", "unix_ns") or "%f" in fmt or "%L" in fmt:
        return 1
    if fmt == "unix" or "%S" in fmt or "%s" in fmt or "%T" in fmt or "%X" in fmt:
        return 1_000
    if "%M" in fmt or "%R" in fmt:
        return 60_000
    return 3_600_000 if "%H" in fmt else 86_400_000


def rfc3339_ms(ms: int) -> str:
    """RFC 3339, UTC, milliseconds: the registry's spelling."""
    return f"{datetime_of(ms).isoformat(timespec='milliseconds')[:23]}Z"


def datetime_of(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def parse_http_date_ms(text: str | None) -> int | None:
    """The instant of an HTTP date (`Date`, `Retry-After`), or None."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def start_from_ms(text: str, now_ms: int) -> int:
    """What `start_from` asks for: `now`, an age such as `90s`, `24h` or `7d`, or a time. Raises FlickerError."""
    if text.strip().lower() == "now":
        return now_ms
    age = _AGE.fullmatch(text.strip())
    if age is not None:
        age_ms = int(age[1]) * _AGE_MS[age[2]]
        if age_ms > LATEST_MS - EARLIEST_MS:
            raise FlickerError(f"{text!r} is longer ago than anything is kept; expected an age such as 24h or 7d")
        return now_ms - age_ms
    ms = parse_time_ms(text)
    if ms is None:
        raise FlickerError(f"{text!r} is no start; expected now, an age such as 24h or 7d, or an ISO time")
    return ms


def parse_retry_after_s(text: str | None, *, now_ms: int) -> float | None:
    """Seconds to wait as `Retry-After` says it: seconds, a fraction, an HTTP date (RFC 9110) or an ISO time (Zoom)."""
    if not text:
        return None
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return max(0.0, float(text))
    at_ms = _iso_ms(text) if _ISO.fullmatch(text) else parse_http_date_ms(text)
    return None if at_ms is None else max(0.0, (at_ms - now_ms) / 1000)


def _text_ms(text: str, *, numbers: bool, zone: tzinfo | None) -> int | None:
    if len(text) > LONGEST_TEXT:
        return None
    text = text.strip()
    ms = _iso_ms(text, zone)
    if ms is not None:
        return _plausible(ms)
    if numbers:
        compact = _COMPACT.fullmatch(text)
        if compact is not None:
            ms = _plausible(_civil_ms(compact.groups()[:6], compact[7], None, zone))
            if ms is not None:
                return ms
        if _NUMBER.fullmatch(text):
            return _guess_unit(_number_of(text))
    return _plausible(parse_http_date_ms(text))


def _iso_ms(text: str, zone: tzinfo | None = None) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    return _civil_ms(found.groups()[:6], found[7], found[8], zone)


def _civil_ms(
    parts: tuple[str | None, ...], fraction: str | None, offset: str | None, zone: tzinfo | None
) -> int | None:
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    leap = second == 60  # a leap second is the last instant of its minute
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=timezone.utc)
    except ValueError:
        return None
    if zone is not None and not offset:
        moment = _first(moment, zone)
    ms = int((moment - EPOCH).total_seconds()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    if leap:
        ms = ms // 1000 * 1000 + 999
    if offset and offset[0] in "+-":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        shift_ms = (int(digits[:2]) * 60 + int(digits[2:])) * 60_000
        ms += -shift_ms if offset[0] == "+" else shift_ms
    return ms


def _first(shown: datetime, zone: tzinfo) -> datetime:
    """The first instant at which a zone's clock may be meant to show this."""
    return min((shown.replace(tzinfo=zone, fold=fold) for fold in (0, 1)), key=lambda moment: moment - EPOCH)


def _guess_unit(value: float) -> int | None:
    """Seconds, milliseconds, microseconds or nanoseconds: whichever gives a time between 2000 and 2100."""
    for to_ms in (_seconds_ms, int, lambda v: int(v // 1_000), lambda v: int(v // 1_000_000)):
        try:
            ms = to_ms(value)
        except (OverflowError, ValueError):
            return None
        if _plausible(ms) is not None:
            return ms
    return None


def _number_of(text: str) -> int | float:
    """Text of digits as a number; more digits than a time can have are too many for `int` as well."""
    return float(text) if "." in text or len(text) > 30 else int(text)


def _seconds_ms(value: float) -> int:
    return value * 1_000 if isinstance(value, int) else round(value * 1_000)


def _unix_ms(value: object, fmt: str) -> int | None:
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        value = _number_of(text)
    if not isinstance(value, int | float):
        return None
    try:
        if fmt == "unix":
            return _seconds_ms(value)
        return int(value // {"unix_ms": 1, "unix_us": 1_000, "unix_ns": 1_000_000}[fmt])
    except (OverflowError, ValueError):
        return None


def _strptime_ms(value: object, fmt: str, zone: tzinfo | None) -> int | None:
    if isinstance(value, dict | list) or (isinstance(value, str) and len(value) > LONGEST_TEXT):
        return None
    try:
        moment = datetime.strptime(str(value), fmt)
    except (ValueError, OverflowError, re.error):
        return None
    if moment.tzinfo is None:
        named = zone is None or "%Z" in fmt  # the only names that strptime knows everywhere are UTC and GMT
        moment = moment.replace(tzinfo=timezone.utc) if named else _first(moment, zone)  # type: ignore[arg-type]
    return (moment - EPOCH) // MS


def _plausible(ms: int | None) -> int | None:
    return ms if ms is not None and EARLIEST_MS <= ms < LATEST_MS else None
