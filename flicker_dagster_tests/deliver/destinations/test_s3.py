"""Objects in S3: each written once, laid out by the events' day, and every answer heeded for what it means."""

from __future__ import annotations

import gzip
import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from flicker_dagster.config.destinations import destination_adapter
from flicker_dagster.config.destinations.s3 import S3Destination
from flicker_dagster.deliver.destination import Destination, open_destination
from flicker_dagster.deliver.learned import LearnedLimits
from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Duplicate, Outcome, PerItem, Retry, Split
from flicker_dagster.errors import StateError
from flicker_dagster.lots import Lot
from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver
from flicker_dagster.types import Settled
from flicker_dagster_tests.deliver.contract import Letters, MemoryQueue, drain, event_of, lot_of, lots_of
from flicker_dagster_tests.deliver.destinations.stores import DAY_MS, ENV, KEYS, MONDAY_MS, context, record, two_days

Opens = Callable[..., Destination]


@pytest.fixture
def store() -> Iterator[S3Receiver]:
    receiver = S3Receiver(keys=KEYS)
    yield receiver
    receiver.close()


@pytest.fixture
def opened() -> Iterator[Opens]:
    found: list[Destination] = []

    def open_one(store: S3Receiver, *, message_field: str | None = None, env: Any = ENV, **keys: Any) -> Destination:
        destination = open_destination(record(store.url, **keys), context(message_field=message_field, env=env))
        found.append(destination)
        return destination

    yield open_one
    for each in found:
        each.close()


# -- what lies there


def test_a_lot_becomes_one_object_of_lines_with_id_and_time_beside_the_untouched_event(
    store: S3Receiver, opened: Opens
) -> None:
    lot = lot_of([event_of(0), b'{ "odd" : 1.50,\n "x":"\\ud800" }'], times_ms=[MONDAY_MS, None])
    assert opened(store, message_field="action").send(lot) == Delivered("HTTP 200 OK")
    (key, stored), *others = store.objects().items()
    assert not others
    assert key.startswith("audit/source=okta/day=2026-11-23/20261123T200000Z-")
    assert key.endswith(".ndjson.gz")
    assert stored.headers["content-type"] == "application/x-ndjson"
    assert "content-encoding" not in stored.headers
    first, second = gzip.decompress(stored.body).splitlines()
    head = f'{{"event_uid":"{lot.uids[0]}","time":"2026-11-23T20:00:00.000Z","source":"okta",'.encode()
    assert first == head + b'"message":"user.session.start","event":' + lot.events[0] + b"}"
    assert second.endswith(b'"event":{"odd":1.50,"x":"\\ud800"}}')


def test_lines_of_the_events_alone_are_the_vendor_s_bytes(store: S3Receiver, opened: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    opened(store, format="ndjson").send(lot)
    assert store.lines() == list(lot.events)


def test_the_same_lot_makes_the_same_object_and_another_format_another_name(store: S3Receiver, opened: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    for _ in range(2):
        opened(store).send(lot)
    opened(store, format="ndjson").send(lot)
    opened(store, message_field="action").send(lot)
    assert len(store.objects()) == 3
    assert {each.writes for each in store.objects().values()} == {1}


def test_events_of_several_days_become_an_object_for_each_in_one_send(store: S3Receiver, opened: Opens) -> None:
    lot = two_days()
    assert opened(store).send(lot) == Delivered("HTTP 200 OK")
    assert [key.split("/")[2] for key in store.objects()] == ["day=2026-11-23", "day=2026-11-24"]
    assert store.uids() == dict.fromkeys(lot.uids, 1)


@pytest.mark.parametrize(
    ("layout", "folders"),
    [
        ("", [""]),
        ("{vendor}/{source}/", ["okta/okta/"]),
        ("y={year}/m={month}/d={day_of_month}", ["y=2026/m=11/d=23/", "y=2026/m=11/d=24/"]),
        ("dt={day}/hour={hour}/", ["dt=2026-11-23/hour=20/", "dt=2026-11-23/hour=21/", "dt=2026-11-24/hour=20/"]),
        ("hour={hour}", ["hour=20/", "hour=21/"]),
    ],
)
def test_folders_follow_the_layout(store: S3Receiver, opened: Opens, layout: str, folders: list[str]) -> None:
    times = [MONDAY_MS, MONDAY_MS + DAY_MS, MONDAY_MS + 3_600_000]
    lot = lot_of([event_of(i) for i in range(3)], times_ms=times)
    assert isinstance(opened(store, layout=layout).send(lot), Delivered)
    assert [key.removeprefix("audit/").rpartition("/")[0] for key in store.objects()] == [
        f.rstrip("/") for f in folders
    ]
    assert store.uids() == dict.fromkeys(lot.uids, 1)


def test_a_stream_s_name_makes_no_folders_of_its_own() -> None:
    from flicker_dagster.deliver.layouts import Layout

    assert Layout("source={source}/", source="google/../login=é", vendor=None).folder(0) == "source=google-..-login-/"


def test_what_is_configured_for_objects_is_sent_with_each(store: S3Receiver, opened: Opens) -> None:
    destination = opened(
        store,
        server_side_encryption="aws:kms",
        kms_key_id="alias/${KMS}",
        env=ENV | {"KMS": "audit"},
        storage_class="STANDARD_IA",
        acl="bucket-owner-full-control",
        expected_bucket_owner="111122223333",
        tags={"team": "sec ops", "a&b": "c=d"},
        metadata={"Owner": "secops"},
        checksum="md5",
    )
    destination.send(lot_of([event_of(0)]))
    (stored,) = store.objects().values()
    assert stored.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert stored.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/audit"
    assert stored.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert stored.headers["x-amz-acl"] == "bucket-owner-full-control"
    assert stored.headers["x-amz-expected-bucket-owner"] == "111122223333"
    assert stored.headers["x-amz-tagging"] == "team=sec%20ops&a%26b=c%3Dd"
    assert stored.headers["x-amz-meta-owner"] == "secops"
    assert "content-md5" in stored.headers
    assert "x-amz-checksum-sha256" not in stored.headers


def test_an_address_of_aws_has_the_bucket_in_its_host_unless_a_dot_forbids_it() -> None:
    def address(**keys: Any) -> str:
        destination: Any = open_destination(record(None, **keys), context())
        return destination._bucket.url

    assert address() == f"https://logs.s3.{REGION}.amazonaws.com"
    assert address(bucket="my.logs") == f"https://s3.{REGION}.amazonaws.com/my.logs"
    assert address(region="cn-north-1") == "https://logs.s3.cn-north-1.amazonaws.com.cn"
    assert address(endpoint="https://store.example:9000/s3/") == "https://store.example:9000/s3/logs"
    assert address(endpoint="https://store.example:9000", path_style=False) == "https://logs.store.example:9000"


# -- what cannot be stored


def test_events_that_are_no_lines_are_named_and_the_others_go(store: S3Receiver, opened: Opens) -> None:
    lot = lot_of([event_of(0), b'{"a":"raw\nbreak"}', b'{"a":"\xff"}', event_of(3)])
    for form in ("envelope", "ndjson"):
        unfit = opened(store, format=form).unfit(lot)
        assert set(unfit) == {1, 2}
        assert "line break" in unfit[1]
        assert "UTF-8" in unfit[2]
    assert set(opened(store, format="parquet").unfit(lot)) == {2}


def test_more_than_an_object_is_to_hold_is_not_sent(store: S3Receiver, opened: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    assert isinstance(opened(store, max_object_bytes=500).send(lot), Split)
    assert isinstance(opened(store, max_object_events=2).send(lot), Split)
    assert isinstance(opened(store, max_object_bytes=10).send(lot.part([0])), Delivered)
    assert store.requests["PUT"] == 3  # two of them the test of the store


# -- exactly once


def test_what_was_stored_before_the_answer_got_lost_is_found_again(store: S3Receiver, opened: Opens) -> None:
    store.faults.plan("commit_then_cut", after=2)
    lot = lot_of([event_of(i) for i in range(3)])
    assert isinstance(opened(store).send(lot), Ambiguous)
    assert isinstance(opened(store).send(lot), Duplicate)
    assert store.uids() == dict.fromkeys(lot.uids, 1)
    assert [each.writes for each in store.objects().values()] == [1]


def test_of_several_objects_each_is_found_again_by_its_own_name(store: S3Receiver, opened: Opens) -> None:
    store.faults.plan("commit_then_cut", after=3)  # the test, the test again, the first day
    lot = two_days()
    answer = opened(store).send(lot)
    assert isinstance(answer, PerItem)
    assert [type(item) for item in answer.items] == [Delivered, Ambiguous] * 3
    again = opened(store).send(lot)
    assert again == Duplicate("HTTP 412 Precondition Failed: it is there")
    left = [index for index, item in enumerate(answer.items) if isinstance(item, Ambiguous)]
    assert isinstance(opened(store).send(lot.part(left)), Duplicate)
    assert store.uids() == dict.fromkeys(lot.uids, 1)


def test_what_follows_an_object_that_was_not_stored_is_not_tried(store: S3Receiver, opened: Opens) -> None:
    store.faults.plan("503", after=2)
    answer = opened(store).send(two_days())
    assert isinstance(answer, Retry)
    assert store.objects() == {}


def test_a_piece_that_is_too_large_does_not_change_the_name_of_one_that_is_stored(
    store: S3Receiver, opened: Opens
) -> None:
    store.faults.plan("400", says="EntityTooLarge", after=3)
    lot = two_days()
    answer = opened(store).send(lot)
    assert isinstance(answer, PerItem)
    assert [type(item) for item in answer.items] == [Delivered, Retry] * 3
    store.faults.plan("400", says="EntityTooLarge", after=1, count=2)
    assert isinstance(opened(store).send(two_days(count=8)), Split)  # nothing of it is stored


def test_another_s_object_under_the_name_is_not_taken_for_ours(store: S3Receiver, opened: Opens) -> None:
    lot = lot_of([event_of(i) for i in range(3)])
    opened(store).send(lot)
    (stored,) = store.objects().values()
    stored.headers["x-amz-meta-flicker-events"] = "7-abc"
    answer = opened(store).send(lot)
    assert isinstance(answer, Blocked)
    assert "another object lies at" in answer.why


@pytest.mark.parametrize("way", ["may_read", "keeps_metadata"])
def test_an_object_that_cannot_be_looked_at_is_known_by_its_name(store: S3Receiver, opened: Opens, way: str) -> None:
    setattr(store, way, False)
    lot = lot_of([event_of(0)])
    assert isinstance(opened(store).send(lot), Delivered)
    assert isinstance(opened(store).send(lot), Duplicate)


@pytest.mark.parametrize(("way", "words"), [("heeds_conditions", "ignores"), ("knows_conditions", "does not know")])
def test_a_store_without_conditions_is_told_of_once_and_written_to_all_the_same(
    store: S3Receiver, opened: Opens, caplog: pytest.LogCaptureFixture, way: str, words: str
) -> None:
    setattr(store, way, False)
    destination, lot = opened(store), lot_of([event_of(0)])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert isinstance(destination.send(lot), Delivered)
    assert [f"{words} If-None-Match" in each.message for each in caplog.records] == [True]
    (stored,) = store.objects().values()
    assert (stored.writes, len(stored.bodies)) == (3, 1)  # the same bytes in place of themselves


def test_a_store_that_heeds_conditions_is_asked_once_in_a_run_and_one_small_object_remains(
    store: S3Receiver, opened: Opens
) -> None:
    for _ in range(2):
        destination = opened(store)
        destination.send(lot_of([event_of(0)]))
        destination.send(lot_of([event_of(1)]))
    assert store.requests["PUT"] == 2 + 1 + 4  # the first run writes it, the second finds it
    assert store.buckets["logs"]["audit/_flicker_conditional_writes"].body == b""


# -- every answer for what it means

ROWS: list[tuple[dict[str, Any], type, str]] = [
    ({"kind": "503"}, Retry, "HTTP 503 Service Unavailable, SlowDown: Please reduce your request rate."),
    ({"kind": "503", "says": "ServiceUnavailable"}, Retry, "ServiceUnavailable"),
    ({"kind": "500"}, Retry, "InternalError"),
    ({"kind": "502", "says": "Bad"}, Retry, "HTTP 502"),
    ({"kind": "599", "says": "NeverHeardOf"}, Retry, "NeverHeardOf"),
    ({"kind": "429", "says": "TooManyRequests"}, Retry, "TooManyRequests"),
    ({"kind": "400", "says": "RequestTimeout"}, Retry, "RequestTimeout"),
    ({"kind": "408", "says": "Slow"}, Retry, "HTTP 408"),
    ({"kind": "400", "says": "BadDigest"}, Retry, "BadDigest"),
    ({"kind": "400", "says": "XAmzContentSHA256Mismatch"}, Retry, "XAmzContentSHA256Mismatch"),
    ({"kind": "409", "says": "ConditionalRequestConflict"}, Retry, "ConditionalRequestConflict"),
    ({"kind": "409", "says": "OperationAborted"}, Retry, "OperationAborted"),
    ({"kind": "307", "says": "TemporaryRedirect"}, Retry, "TemporaryRedirect"),
    ({"kind": "413"}, Split, "EntityTooLarge"),
    ({"kind": "400", "says": "EntityTooLarge"}, Split, "EntityTooLarge"),
    ({"kind": "413", "says": "WhoKnows"}, Split, "WhoKnows"),
    ({"kind": "403", "says": "AccessDenied"}, Blocked, "allow s3:PutObject"),
    ({"kind": "403", "says": "InvalidAccessKeyId"}, Blocked, "correct access_key_id"),
    ({"kind": "403", "says": "SignatureDoesNotMatch"}, Blocked, "correct secret_access_key"),
    ({"kind": "403", "says": "RequestTimeTooSkewed"}, Blocked, "clock is wrong"),
    ({"kind": "400", "says": "ExpiredToken"}, Blocked, "(credentials: config.yaml:9)"),
    ({"kind": "400", "says": "InvalidToken"}, Blocked, "renew the credentials"),
    ({"kind": "400", "says": "AuthorizationHeaderMalformed"}, Blocked, f"in the region {REGION}; correct region"),
    ({"kind": "301", "says": "PermanentRedirect"}, Blocked, f"in the region {REGION}; correct region"),
    ({"kind": "404", "says": "NoSuchBucket"}, Blocked, "create the bucket, or correct its name"),
    ({"kind": "400", "says": "InvalidStorageClass"}, Blocked, "correct storage_class"),
    ({"kind": "400", "says": "KMS.NotFoundException"}, Blocked, "KMS.NotFoundException"),
    ({"kind": "400", "says": "KMS.ThrottlingException"}, Retry, "KMS.ThrottlingException"),
    ({"kind": "400", "says": "NeverHeardOf"}, Blocked, "NeverHeardOf"),
    ({"kind": "422", "says": "NeverHeardOf"}, Blocked, "NeverHeardOf"),
    ({"kind": "405", "says": "MethodNotAllowed"}, Blocked, "MethodNotAllowed"),
    ({"kind": "501"}, Blocked, "does not know a header"),
    ({"kind": "507", "says": "XMinioStorageFull"}, Blocked, "the store is full"),
    ({"kind": "204", "says": "Strange"}, Ambiguous, "HTTP 204"),
    ({"kind": "html"}, Ambiguous, "no answer of S3; check endpoint"),
    ({"kind": "commit_then_cut"}, Ambiguous, "no answer after sending"),
    ({"kind": "cut_before_commit"}, Ambiguous, "no answer after sending"),
    ({"kind": "cut"}, Delivered, "HTTP 200 OK"),
    ({"kind": "endless"}, Delivered, "HTTP 200 OK"),
]


@pytest.mark.parametrize(
    ("fault", "kind", "words"), ROWS, ids=lambda row: "-".join(row.values()) if isinstance(row, dict) else ""
)
def test_an_answer_stands_for_its_outcome(
    store: S3Receiver, opened: Opens, fault: dict[str, Any], kind: type, words: str
) -> None:
    destination = opened(store)
    destination.send(lot_of([event_of(99)]))  # the store is tested
    store.faults.plan(fault["kind"], says=fault.get("says", ""))
    outcome = destination.send(lot_of([event_of(0)]))
    assert isinstance(outcome, kind)
    assert words in _words(outcome)
    assert "EXAMPLE" not in _words(outcome)


def test_a_wait_that_is_asked_for_is_heeded_up_to_a_quarter_of_an_hour(store: S3Receiver, opened: Opens) -> None:
    destination = opened(store)
    destination.send(lot_of([event_of(99)]))
    for asked, waited in (("7", 7.0), ("86400", 900.0)):
        store.faults.plan("503", retry_after=asked)
        outcome = destination.send(lot_of([event_of(0)]))
        assert isinstance(outcome, Retry)
        assert outcome.after_s == waited


def test_nothing_listens_there(opened: Opens, store: S3Receiver) -> None:
    destination = opened(store)
    store.close()
    assert isinstance(destination.send(lot_of([event_of(0)])), Retry)


def test_a_slow_store_ends_with_the_time_that_is_given(store: S3Receiver, opened: Opens) -> None:
    destination = opened(store, timeout_ms=300)
    destination.send(lot_of([event_of(99)]))
    store.faults.plan("slow", seconds=1.0)
    outcome = destination.send(lot_of([event_of(0)]))
    assert isinstance(outcome, Ambiguous)
    assert "destination.timeout_ms" in outcome.why


def test_a_clock_that_is_wrong_is_told_and_not_guessed_around(opened: Opens) -> None:
    store = S3Receiver(keys=KEYS, clock=lambda: 1_700_000_000.0)
    try:
        outcome = opened(store).send(lot_of([event_of(0)]))
    finally:
        store.close()
    assert isinstance(outcome, Blocked)
    assert "RequestTimeTooSkewed" in outcome.why


def test_an_expired_token_is_renewed_once_and_the_object_stored(
    store: S3Receiver, opened: Opens, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of a file that somebody else renews, as a web identity's or a vault's agent does."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    keys = "[default]\naws_access_key_id=AKIAEXAMPLE\naws_secret_access_key=" + KEYS["AKIAEXAMPLE"]
    file.write_text(f"{keys}\naws_session_token=old\n")
    store.tokens["AKIAEXAMPLE"] = "old"
    destination = opened(store, access_key_id=None, secret_access_key=None)
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    store.tokens["AKIAEXAMPLE"] = "new"
    store.faults.plan("400", says="ExpiredToken")
    file.write_text(f"{keys}\naws_session_token=new\n")
    assert isinstance(destination.send(lot_of([event_of(1)])), Delivered)
    store.faults.plan("400", says="ExpiredToken", count=None)
    assert isinstance(destination.send(lot_of([event_of(2)])), Blocked)


def test_a_wrong_secret_blocks_and_says_where_it_stands(store: S3Receiver, opened: Opens) -> None:
    outcome = opened(store, env=ENV | {"AWS_SECRET": "another-secret-of-forty-characters-here"}).send(
        lot_of([event_of(0)])
    )
    assert isinstance(outcome, Blocked)
    assert outcome.why.startswith("HTTP 403 Forbidden, SignatureDoesNotMatch")
    assert outcome.why.endswith("(credentials: config.yaml:9)")


# -- the contract


def test_commits_whose_answers_are_cut_end_exactly_once(store: S3Receiver) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    lots = lots_of(2_000, size=50)
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url), context()), runs=200)
    assert drained.done
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}
    assert len(store.objects()) == len(lots)
    assert {each.writes for each in store.objects().values()} == {1}


def test_cut_commits_of_lots_that_span_days_end_exactly_once(store: S3Receiver) -> None:
    store.faults.plan("commit_then_cut", count=None, share=0.25)
    store.faults.plan("503", count=None, share=0.1)
    times = [MONDAY_MS - DAY_MS * (i % 5) for i in range(40)]
    lots = [lot_of([event_of(40 * n + i) for i in range(40)], seq=n, times_ms=times) for n in range(20)]
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url, format="ndjson"), context()), runs=300)
    assert drained.done
    events = [event for lot in lots for event in lot.events]
    assert sorted(store.lines()) == sorted(events)
    assert len(store.objects()) == 5 * len(lots)


class Dying(MemoryQueue):
    """Killed, now and then, between an answer and writing it down."""

    def __init__(self, lots: list[Lot], chance: random.Random) -> None:
        super().__init__(lots)
        self.chance = chance

    def settle(self, lot: Lot, settled: Settled) -> None:
        if self.chance.random() < 0.15:
            raise StateError("killed before the journal")
        super().settle(lot, settled)


def a_lot_of_days(seq: int, chance: random.Random, *, days: int) -> Lot:
    """Up to 40 events, some of which pack badly, of several days."""
    count = chance.choice([1, 7, 40])
    details = [hex(chance.getrandbits(chance.choice([64, 2_000]))) for _ in range(count)]
    times = [MONDAY_MS - DAY_MS * chance.randrange(days) for _ in range(count)]
    return lot_of([event_of(100 * seq + i, detail=details[i]) for i in range(count)], seq=seq, times_ms=times)


@pytest.mark.parametrize("seed", range(36, 48))
def test_kills_lost_answers_and_limits_of_its_own_end_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    store = S3Receiver(keys=KEYS, seed=seed, max_bytes=2_500)
    store.faults.plan("commit_then_cut", count=None, share=0.15)
    store.faults.plan("503", count=None, share=0.1)
    store.faults.plan("409", count=None, share=0.05)
    lots = [a_lot_of_days(seq, chance, days=chance.choice([1, 3])) for seq in range(6)]
    queue, letters, learned = Dying(lots, chance), Letters(), LearnedLimits()
    try:
        for _ in range(300):
            with suppress(StateError):
                drain(
                    queue,
                    lambda: open_destination(record(store.url, max_in_flight=chance.choice([1, 4])), context()),
                    letters=letters,
                    learned=learned,
                )
            if not queue.waiting:
                break
    finally:
        store.close()
    assert not queue.waiting
    assert not letters.kept
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}


@pytest.mark.parametrize("fault", ["wrong_secret", "expired"])
def test_refused_credentials_keep_everything_until_they_are_mended(store: S3Receiver, fault: str) -> None:
    lots = lots_of(300)
    queue = MemoryQueue(lots)
    env = dict(ENV)
    if fault == "wrong_secret":
        env["AWS_SECRET"] = "another-secret-of-forty-characters-here"
    else:
        store.faults.plan("400", says="ExpiredToken", count=None)
    waiting = drain(queue, lambda: open_destination(record(store.url), context(env=env)), runs=3)
    assert queue.waiting == 300
    assert waiting.dead == 0
    assert "credentials: config.yaml:9" in waiting.last_words
    assert "EXAMPLE" not in waiting.last_words
    env["AWS_SECRET"] = ENV["AWS_SECRET"]
    store.faults.clear()
    assert drain(queue, lambda: open_destination(record(store.url), context(env=env)), runs=3).done
    assert store.uids() == {uid: 1 for lot in lots for uid in lot.uids}


@pytest.mark.parametrize("format", ["envelope", "ndjson"])
def test_a_store_s_own_limit_splits_down_to_the_event_that_is_too_large(store: S3Receiver, format: str) -> None:
    store.max_bytes = 3_000
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(4_000))
    lots = lots_of(400, make=lambda n: event_of(n, detail=noise) if n == 123 else event_of(n, detail=hex(n**9)))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url, format=format), context()), runs=20)
    assert drained.done
    assert (drained.delivered, drained.dead) == (399, 1)
    assert "EntityTooLarge" in drained.letters.kept[0].reason
    assert len(store.lines()) == 399


def test_poison_costs_itself_only(store: S3Receiver) -> None:
    lots = lots_of(10_000, size=500, make=lambda n: event_of(n)[:-1] + b',"x":"\xff"}' if n % 100 == 7 else event_of(n))
    queue = MemoryQueue(lots)
    drained = drain(queue, lambda: open_destination(record(store.url), context()), runs=5)
    assert drained.done
    assert (drained.delivered, drained.dead) == (9_900, 100)
    assert len(store.uids()) == 9_900
    assert set(store.uids().values()) == {1}


# -- configuration


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"bucket": "s3://logs/audit"}, "bucket"),
        ({"bucket": "Logs"}, "bucket"),
        ({"endpoint": "store.example"}, "endpoint"),
        ({"prefix": "/audit"}, "prefix"),
        ({"layout": "{date}/"}, "layout"),
        ({"layout": "{day/"}, "layout"),
        ({"layout": "a//b"}, "layout"),
        ({"layout": "../{day}"}, "layout"),
        ({"access_key_id": "A", "secret_access_key": None}, "secret_access_key"),
        ({"access_key_id": None, "secret_access_key": "s"}, "access_key_id"),
        ({"access_key_id": None, "secret_access_key": None, "session_token": "t"}, "session_token"),
        ({"kms_key_id": "alias/x"}, "kms_key_id"),
        ({"kms_key_id": "alias/x", "server_side_encryption": "AES256"}, "kms_key_id"),
        ({"tags": {str(n): "x" for n in range(11)}}, "tags"),
        ({"metadata": {"a b": "x"}}, "metadata.a b"),
        ({"metadata": {"a": "é"}}, "metadata.a"),
        ({"metadata": {"a": "x" * 2_048}}, "metadata"),
        ({"external_id": "x"}, "external_id"),
    ],
)
def test_a_fault_of_the_configuration_names_its_key(keys: dict[str, Any], key: str) -> None:
    assert [name for name, _ in record("https://store.example", **keys).faults()] == [key]


def test_what_the_guide_says_to_paste_is_valid() -> None:
    import yaml

    block = yaml.safe_load(S3Destination.GUIDE.block)["lake"]
    assert destination_adapter().validate_python(block).faults() == []


def _words(outcome: Outcome) -> str:
    return getattr(outcome, "why", None) or getattr(outcome, "status", "")


def test_a_line_s_members_are_read_back_as_they_were(store: S3Receiver, opened: Opens) -> None:
    lot = lots_of(5)[0]
    opened(store).send(lot)
    for line, uid, event in zip(store.lines(), lot.uids, lot.events):
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        assert json.loads(bytes(found["event_uid"])) == uid
        assert bytes(found["event"]) == event
