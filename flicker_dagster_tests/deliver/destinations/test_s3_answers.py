"""What every answer of S3, and none, stands for."""

from __future__ import annotations

from typing import Any

import pytest

from flicker_dagster.deliver.outcomes import Ambiguous, Blocked, Delivered, Retry, Split
from flicker_dagster.simulator.receivers.s3 import REGION, S3Receiver
from flicker_dagster_tests.deliver.contract import event_of, lot_of
from flicker_dagster_tests.deliver.destinations.outcome_rows import words_of
from flicker_dagster_tests.deliver.destinations.stores import ENV, KEYS, Opens

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
    store: S3Receiver, opened_s3: Opens, fault: dict[str, Any], kind: type, words: str
) -> None:
    destination = opened_s3(store)
    destination.send(lot_of([event_of(99)]))  # the store is tested
    store.faults.plan(fault["kind"], says=fault.get("says", ""))
    outcome = destination.send(lot_of([event_of(0)]))
    assert isinstance(outcome, kind)
    assert words in words_of(outcome)
    assert "EXAMPLE" not in words_of(outcome)


def test_a_wait_that_is_asked_for_is_heeded_up_to_a_quarter_of_an_hour(store: S3Receiver, opened_s3: Opens) -> None:
    destination = opened_s3(store)
    destination.send(lot_of([event_of(99)]))
    for asked, waited in (("7", 7.0), ("86400", 900.0)):
        store.faults.plan("503", retry_after=asked)
        outcome = destination.send(lot_of([event_of(0)]))
        assert isinstance(outcome, Retry)
        assert outcome.after_s == waited


def test_nothing_listens_there(opened_s3: Opens, store: S3Receiver) -> None:
    destination = opened_s3(store)
    store.close()
    assert isinstance(destination.send(lot_of([event_of(0)])), Retry)


def test_a_slow_store_ends_with_the_time_that_is_given(store: S3Receiver, opened_s3: Opens) -> None:
    destination = opened_s3(store, timeout_ms=300)
    destination.send(lot_of([event_of(99)]))
    store.faults.plan("slow", seconds=1.0)
    outcome = destination.send(lot_of([event_of(0)]))
    assert isinstance(outcome, Ambiguous)
    assert "destination.timeout_ms" in outcome.why


def test_a_clock_that_is_wrong_is_told_and_not_guessed_around(opened_s3: Opens) -> None:
    store = S3Receiver(keys=KEYS, clock=lambda: 1_700_000_000.0)
    try:
        outcome = opened_s3(store).send(lot_of([event_of(0)]))
    finally:
        store.close()
    assert isinstance(outcome, Blocked)
    assert "RequestTimeTooSkewed" in outcome.why


def test_an_expired_token_is_renewed_once_and_the_object_stored(
    store: S3Receiver, opened_s3: Opens, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
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
    destination = opened_s3(store, access_key_id=None, secret_access_key=None)
    assert isinstance(destination.send(lot_of([event_of(0)])), Delivered)
    store.tokens["AKIAEXAMPLE"] = "new"
    store.faults.plan("400", says="ExpiredToken")
    file.write_text(f"{keys}\naws_session_token=new\n")
    assert isinstance(destination.send(lot_of([event_of(1)])), Delivered)
    store.faults.plan("400", says="ExpiredToken", count=None)
    assert isinstance(destination.send(lot_of([event_of(2)])), Blocked)


def test_a_wrong_secret_blocks_and_says_where_it_stands(store: S3Receiver, opened_s3: Opens) -> None:
    outcome = opened_s3(store, env=ENV | {"AWS_SECRET": "another-secret-of-forty-characters-here"}).send(
        lot_of([event_of(0)])
    )
    assert isinstance(outcome, Blocked)
    assert outcome.why.startswith("HTTP 403 Forbidden, SignatureDoesNotMatch")
    assert outcome.why.endswith("(credentials: config.yaml:9)")
