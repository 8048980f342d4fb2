"""Every spelling of a time that a vendor's or SIEM's documentation shows stands for the instant it means."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.errors import FlickerError
from flicker_dagster.time_bounds import bound_after, bound_before
from flicker_dagster.times import (
    EARLIEST_MS,
    LATEST_MS,
    format_time,
    parse_http_date_ms,
    parse_retry_after_s,
    parse_time_ms,
    resolution_ms,
    rfc3339_ms,
    start_from_ms,
    times_of_texts,
    zone_of,
)


def utc_ms(*parts: int, ms: int = 0) -> int:
    return (
        int((datetime(*parts, tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()) * 1000
        + ms
    )  # type: ignore[misc]


MARCH = (2026, 3, 2, 9, 14, 7)
MAY = (2026, 5, 2, 9, 14, 7)
NOVEMBER = (2026, 11, 23, 20, 45, 1)

#: (vendor, value, format, instant)
DOCUMENTED = [
    ("okta", "2026-03-02T09:14:07.512Z", "auto", utc_ms(*MARCH, ms=512)),
    ("github", 1772442847512, "auto", utc_ms(*MARCH, ms=512)),
    ("github", 1772442847512, "unix_ms", utc_ms(*MARCH, ms=512)),
    ("salesforce objects", "2026-03-02T09:14:07.000+0000", "auto", utc_ms(*MARCH)),
    ("salesforce event log files", "20260302091407.512", "auto", utc_ms(*MARCH, ms=512)),
    ("google workspace", "2026-03-02T09:14:07.512Z", "rfc3339", utc_ms(*MARCH, ms=512)),
    ("microsoft 365 management, no zone", "2026-03-02T09:14:07", "auto", utc_ms(*MARCH)),
    ("microsoft entra, seven digits", "2026-03-02T09:14:07.7215374Z", "auto", utc_ms(*MARCH, ms=721)),
    ("slack", 1772442847, "auto", utc_ms(*MARCH)),
    ("slack", 1772442847, "unix", utc_ms(*MARCH)),
    ("atlassian organisations", "2026-03-02T09:14:07.281Z", "auto", utc_ms(*MARCH, ms=281)),
    ("jira", "2026-03-02T09:14:07.943+0000", "auto", utc_ms(*MARCH, ms=943)),
    ("confluence", 1772442847512, "auto", utc_ms(*MARCH, ms=512)),
    ("zoom", "2026-03-02T09:14:07Z", "auto", utc_ms(*MARCH)),
    ("box", "2026-03-02T01:14:07-08:00", "auto", utc_ms(*MARCH)),
    ("dropbox", "2026-03-02T09:14:07Z", "auto", utc_ms(*MARCH)),
    ("figma", "1772442847", "auto", utc_ms(*MARCH)),
    ("docusign", "2026-03-02T09:14:07.1234567Z", "auto", utc_ms(*MARCH, ms=123)),
    ("duo", 1777713247, "auto", utc_ms(*MAY)),
    ("duo isotimestamp", "2026-05-02T09:14:07.221003+00:00", "auto", utc_ms(*MAY, ms=221)),
    ("duo date header", "Tue, 21 Aug 2012 17:29:18 -0000", "auto", utc_ms(2012, 8, 21, 17, 29, 18)),
    ("quay", "Sat, 02 May 2026 09:14:07 -0000", "auto", utc_ms(*MAY)),
    ("bitwarden, four digits", "2026-05-02T09:14:07.2213Z", "auto", utc_ms(*MAY, ms=221)),
    ("lastpass, a blank for the T", "2026-05-02 09:14:07", "auto", utc_ms(*MAY)),
    ("servicenow", "2026-05-02 09:14:07", "%Y-%m-%d %H:%M:%S", utc_ms(*MAY)),
    ("tailscale, six digits", "2026-05-02T09:14:07.221893Z", "auto", utc_ms(*MAY, ms=221)),
    ("crowdstrike", 1777713247221, "auto", utc_ms(*MAY, ms=221)),
    ("mimecast, no colon", "2026-05-02T09:14:07+0000", "auto", utc_ms(*MAY)),
    ("wiz, five digits", "2026-05-02T09:14:07.66643Z", "auto", utc_ms(*MAY, ms=666)),
    ("miro", "2026-05-02T09:14:07.221+0000", "auto", utc_ms(*MAY, ms=221)),
    ("openai", 1777713247, "unix", utc_ms(*MAY)),
    ("launchdarkly", 1777713247221, "unix_ms", utc_ms(*MAY, ms=221)),
    ("snowflake", "2026-05-02T09:14:07.221+00:00", "auto", utc_ms(*MAY, ms=221)),
    ("splunk hec", 1795466701.123, "auto", utc_ms(*NOVEMBER, ms=123)),
    ("azure monitor", "2026-11-23T20:45:01.123456Z", "auto", utc_ms(*NOVEMBER, ms=123)),
    ("loki, nanoseconds in text", "1795466701123000000", "auto", utc_ms(*NOVEMBER, ms=123)),
    ("loki, nanoseconds in text", "1795466701123000000", "unix_ns", utc_ms(*NOVEMBER, ms=123)),
    ("microseconds", 1795466701123456, "auto", utc_ms(*NOVEMBER, ms=123)),
    ("microseconds", "1795466701123456", "unix_us", utc_ms(*NOVEMBER, ms=123)),
    ("a lower-case zone", "2026-05-02T09:14:07z", "auto", utc_ms(*MAY)),
    ("a zone by name", "2026-05-02 09:14:07 UTC", "auto", utc_ms(*MAY)),
    ("a comma for the point", "2026-05-02T09:14:07,221Z", "auto", utc_ms(*MAY, ms=221)),
    ("a leap second", "2016-12-31T23:59:60Z", "auto", utc_ms(2016, 12, 31, 23, 59, 59, ms=999)),
    ("an offset of hours only", "2026-05-02T11:14:07+02", "auto", utc_ms(*MAY)),
    ("a day", "2026-05-02", "auto", utc_ms(2026, 5, 2)),
]


@pytest.mark.parametrize(
    ("vendor", "value", "fmt", "expected_ms"), DOCUMENTED, ids=[f"{r[0]}-{r[2]}" for r in DOCUMENTED]
)
def test_a_documented_spelling_is_its_instant(vendor: str, value: object, fmt: str, expected_ms: int) -> None:
    assert parse_time_ms(value, fmt) == expected_ms


NO_TIMES = [None, True, False, "", " ", "never", 0, -1, 5, 10**30, 1e400, -1e400, float("nan"), [], {}, "0", "9" * 5000]
NO_TIMES += [
    "1969-12-31T23:59:59Z",
    "2100-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-02-30",
    "2026-05-02T25:00:00Z",
]
NO_TIMES += [
    "2026-05-02T09:14:75.221Z",
    "2026-05-02T09:14:+7.221Z",
    "2026-05-02T09:14:07.-21Z",
    "2026-05-02T09:14.07.221Z",
]
NO_TIMES += ["9" * 5000 + ".5", "Mon, 99 Foo 2026 00:00:00 GMT", "1" * 400]
FORMATS = ["auto", "iso8601", "rfc3339", "unix", "unix_ms", "unix_us", "unix_ns", "%Y-%m-%d"]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("value", NO_TIMES, ids=lambda value: repr(value)[:30])
def test_what_is_no_time_is_none_and_no_error(value: object, fmt: str) -> None:
    assert parse_time_ms(value, fmt) is None


plausible = st.integers(EARLIEST_MS, LATEST_MS - 1)


@given(plausible, st.sampled_from(["rfc3339", "iso8601", "unix_ms", "unix_us", "unix_ns", "%Y-%m-%dT%H:%M:%S.%f%z"]))
def test_what_is_written_for_a_request_is_read_back(ms: int, fmt: str) -> None:
    assert parse_time_ms(format_time(ms, fmt), fmt) == ms


@given(plausible, st.sampled_from(["unix", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H", "%d.%m.%Y"]))
def test_a_coarse_format_is_read_back_to_its_resolution(ms: int, fmt: str) -> None:
    step_ms = resolution_ms(fmt)
    start_ms = ms // step_ms * step_ms
    assert parse_time_ms(format_time(start_ms, fmt), fmt) == start_ms


@given(plausible)
def test_auto_finds_the_unit_of_a_number(ms: int) -> None:
    assert parse_time_ms(ms * 1_000) == ms
    assert parse_time_ms(ms * 1_000_000) == ms
    assert parse_time_ms(str(ms)) == parse_time_ms(ms) == ms
    assert parse_time_ms(ms // 1_000) == ms // 1_000 * 1_000


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(plausible, offsets, st.sampled_from([" ", "T"]), st.integers(3, 9), st.booleans())
def test_iso_times_of_every_offset_and_precision(ms: int, zone: timezone, gap: str, digits: int, colon: bool) -> None:
    moment = datetime.fromtimestamp(ms // 1000, tz=zone)
    offset = f"{moment:%z}"[:5]
    offset = offset if not colon else f"{offset[:3]}:{offset[3:]}"
    text = f"{moment:%Y-%m-%d}{gap}{moment:%H:%M:%S}.{f'{ms % 1000:03d}'.ljust(digits, '7')}{offset}"
    assert parse_time_ms(text) == ms


@given(plausible)
def test_http_dates(ms: int) -> None:
    second_ms = ms // 1000 * 1000
    text = format_datetime(datetime.fromtimestamp(second_ms / 1000, tz=timezone.utc), usegmt=True)
    assert parse_http_date_ms(text) == parse_time_ms(text) == second_ms


digits_and_signs = st.text("0123456789-+:.,TZ z\u0662Mon,ayGMT", max_size=32)
mutated = st.builds(
    lambda ms, at, what: rfc3339_ms(ms)[:at] + what + rfc3339_ms(ms)[at + 1 :],
    plausible,
    st.integers(0, 23),
    st.sampled_from("0123456789 +-_.:TZ\u0662"),
)
texts = st.one_of(
    plausible.map(rfc3339_ms), mutated, digits_and_signs, st.sampled_from([str(r[1]) for r in DOCUMENTED])
)


@given(st.lists(texts, max_size=20))
def test_many_texts_are_read_as_one_by_one(values: list[str]) -> None:
    assert times_of_texts(values) == [parse_time_ms(value) for value in values]


@given(plausible, st.sampled_from("0123456789 +-_.:"), st.integers(16, 23))
def test_a_minute_that_is_known_lets_no_nonsense_through(ms: int, what: str, at: int) -> None:
    good = rfc3339_ms(ms)
    times_of_texts([good])
    bad = good[:at] + what + good[at + 1 :]
    assert times_of_texts([bad]) == [parse_time_ms(bad)]


@given(st.one_of(st.text(), digits_and_signs, st.floats(), st.integers(), st.binary()), st.sampled_from(FORMATS))
def test_wild_values_are_a_plausible_time_or_none(value: object, fmt: str) -> None:
    ms = parse_time_ms(value, fmt)
    assert ms is None or EARLIEST_MS <= ms < LATEST_MS


NOW_MS = utc_ms(*MAY)


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("Sat, 02 May 2026 09:15:07 GMT", 60.0),
        ("Sat, 02 May 2026 09:13:07 GMT", 0.0),
        ("2026-05-02T09:15:07Z", 60.0),
        ("2026-05-02T11:15:07+02:00", 60.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_in_every_spelling(text: str | None, expected_s: float | None) -> None:
    assert parse_retry_after_s(text, now_ms=NOW_MS) == expected_s


@given(st.one_of(st.text(max_size=40), digits_and_signs))
def test_any_retry_after_is_seconds_or_nothing(text: str) -> None:
    waited_s = parse_retry_after_s(text, now_ms=NOW_MS)
    assert waited_s is None or waited_s >= 0


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [("now", 0), (" NOW ", 0), ("90s", 90_000), ("24h", 86_400_000), ("7d ago", 604_800_000), ("5 m", 300_000)],
)
def test_a_start_may_be_an_age(text: str, ago_ms: int) -> None:
    assert start_from_ms(text, NOW_MS) == NOW_MS - ago_ms


def test_a_start_may_be_a_time_and_nothing_else() -> None:
    assert start_from_ms("2026-05-02T09:14:07Z", 0) == NOW_MS
    with pytest.raises(FlickerError, match="'yesterday' is no start"):
        start_from_ms("yesterday", NOW_MS)


# -- zones: what a time without an offset means

ZONES = [
    "Asia/Tokyo",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Pacific/Apia",
    "+05:45",
]
LOCAL_FORMATS = ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H", "%Y-%m-%d"]
#: Around hours that come twice or never: Berlin, Beirut (at midnight), Lord Howe (half an hour), the day Apia left out.
TURNS = [
    "2026-10-25T01:00:00Z",
    "2026-03-29T01:00:00Z",
    "2026-03-28T22:00:00Z",
    "2026-04-04T15:00:00Z",
    "2011-12-30T10:00:00Z",
]
near_a_turn = st.builds(
    lambda turn, ms: (parse_time_ms(turn) or 0) + ms, st.sampled_from(TURNS), st.integers(-8 * 3_600_000, 8 * 3_600_000)
)
instants = st.integers(EARLIEST_MS + 10**10, LATEST_MS - 10**10) | near_a_turn


def readings(text: str, fmt: str, zone: str) -> list[int]:
    """Every instant that a vendor may take a local time for."""
    shown = datetime.strptime(text, fmt).replace(tzinfo=zone_of(zone))
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return [(shown.replace(fold=fold) - epoch) // timedelta(milliseconds=1) for fold in (0, 1)]


@pytest.mark.fuzz
@given(instants, st.sampled_from(ZONES), st.sampled_from(LOCAL_FORMATS))
def test_however_a_vendor_reads_a_local_bound_it_asks_for_no_less(ms: int, zone: str, fmt: str) -> None:
    before, after = bound_before(ms, fmt, zone_of(zone)), bound_after(ms, fmt, zone_of(zone))
    assert before <= ms <= after
    assert after - before <= 2 * 86_400_000 + 2 * 3_600_000
    assert all(each <= ms for each in readings(format_time(before, fmt, zone_of(zone)), fmt, zone))
    assert all(each >= ms for each in readings(format_time(after, fmt, zone_of(zone)), fmt, zone))
    assert bound_before(before, fmt, zone_of(zone)) <= before
    assert (parse_time_ms(format_time(before, fmt, zone_of(zone)), fmt, zone_of(zone)) or 0) <= ms


@pytest.mark.fuzz
@given(instants, st.sampled_from(ZONES), st.sampled_from(["auto", *LOCAL_FORMATS[:2]]))
def test_a_local_time_is_read_as_the_instant_it_was_or_the_first_that_looks_the_same(
    ms: int, zone: str, fmt: str
) -> None:
    ms = ms // 1000 * 1000
    text = format_time(ms, "%Y-%m-%d %H:%M:%S" if fmt == "auto" else fmt, zone_of(zone))
    read = parse_time_ms(text, fmt, zone_of(zone))
    assert read is not None
    assert read <= ms
    assert format_time(read, "%Y-%m-%d %H:%M:%S", zone_of(zone)) == format_time(ms, "%Y-%m-%d %H:%M:%S", zone_of(zone))


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-11-27 21:00:00", "Asia/Tokyo", "2026-11-27T12:00:00.000Z"),
        ("2026-11-27T21:00:00Z", "Asia/Tokyo", "2026-11-27T21:00:00.000Z"),
        ("2026-11-27T21:00:00+01:00", "Asia/Tokyo", "2026-11-27T20:00:00.000Z"),
        ("2026-11-27", "+09:00", "2026-11-26T15:00:00.000Z"),
        ("2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),  # twice: the first
        ("2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29T00:30:00.000Z"),  # never
        ("20261127210000", "-0330", "2026-11-28T00:30:00.000Z"),
    ],
)
def test_a_time_without_an_offset_is_one_of_the_zone(text: str, zone: str, utc: str) -> None:
    ms = parse_time_ms(text, zone=zone_of(zone))
    assert ms is not None
    assert rfc3339_ms(ms) == utc
    assert times_of_texts([text, text], zone_of(zone)) == [ms, ms]


@pytest.mark.parametrize("text", ["Asia/Tokio", "", "+25:00", "../etc/passwd", "/etc/localtime", "9", "Asia", "\x00"])
def test_what_is_no_zone_is_an_error(text: str) -> None:
    with pytest.raises(FlickerError, match="no time zone"):
        zone_of(text)


@given(st.lists(texts | plausible.map(lambda ms: rfc3339_ms(ms)[:19]), max_size=20), st.sampled_from(ZONES))
def test_many_texts_of_a_zone_are_read_as_one_by_one(values: list[str], zone: str) -> None:
    assert times_of_texts(values, zone_of(zone)) == [parse_time_ms(value, zone=zone_of(zone)) for value in values]


@pytest.mark.fuzz
@given(
    st.one_of(st.text(), digits_and_signs, st.floats(), st.integers(), st.none(), st.lists(st.integers())),
    st.sampled_from([*FORMATS, *LOCAL_FORMATS, "%Z %Y", "%s", "%j %U"]),
    st.sampled_from(ZONES),
)
def test_no_value_in_any_format_and_zone_fails(value: object, fmt: str, zone: str) -> None:
    ms = parse_time_ms(value, fmt, zone_of(zone))
    assert ms is None or EARLIEST_MS <= ms < LATEST_MS
