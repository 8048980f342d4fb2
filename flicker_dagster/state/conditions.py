"""Does a store in S3 keep the conditions that positions and ledgers rely on? Asked at the start, by writing an object.

Without them two sources that save their positions at the same time overwrite each other, and nobody notices: a store
that does not know `If-Match` answers 200.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from flicker_dagster.errors import StateError, StoreAway, StoreRefused, WriteConflict
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.state.s3 import ADVICE, S3Settings, S3Store, endpoint_shown

log = logging.getLogger("flicker.state")

FOLDER = "probe/"
#: An object of a probe that was killed is removed by another one after so long.
LEFT_AFTER = timedelta(days=1)
#: A write whose answer was lost is repeated by the SDK and then finds its own object: that proves nothing, so another
#: object is tried.
ATTEMPTS = 3
_STAMP = "%Y%m%dT%H%M%SZ"

OVERWRITTEN = "so sources would overwrite each other's positions and ledgers"


def check_conditions(layout: StateLayout) -> None:
    """Try the store of a layout, if it is in S3. Raises StoreRefused, in one line that names store and remedy.

    A store that does not answer is no reason to refuse it: collecting waits for it as it does later. The registry is
    not tried by itself, as it lies in the same bucket.
    """
    store = layout.store
    if not isinstance(store, S3Store):
        return
    try:
        _check(store)
        _sweep(store)
    except StoreRefused:
        raise
    except StoreAway as error:
        log.warning("%s; whether it honours conditional writes is asked at the next start", error)
    except StateError as error:
        raise StoreRefused(str(error)) from error


def _check(store: S3Store) -> None:
    for _ in range(ATTEMPTS):
        key = f"{FOLDER}{datetime.now(timezone.utc).strftime(_STAMP)}-{uuid.uuid4().hex}"
        try:
            fault = _fault(store, key)
        except StateError:  # the one thing to tell; whether the object can be removed is beside it
            with suppress(StateError):
                store.delete(key)
            raise
        _remove(store, key)
        if fault is None:
            return
    where = f"{store.describe('').rstrip('/')} at {endpoint_shown(S3Settings.from_env())}"
    raise StoreRefused(f"{where} {fault}; {ADVICE}")


def _fault(store: S3Store, key: str) -> str | None:
    """What the store gets wrong with an object of this name, which nobody else has, or None."""
    first = store.write(key, b"first", expected=None)
    if first.startswith("W/"):
        return (
            f"gives weak ETags ({first[:60]}), which If-Match never matches (RFC 9110), so no position could be saved"
        )
    if _written(store, key, b"again", expected=None):
        return f"ignores conditional writes: it made one object twice with If-None-Match: *, {OVERWRITTEN}"
    try:
        second = store.write(key, b"second", expected=first)
    except WriteConflict:
        return "refuses If-Match with the ETag that it gave itself, so no position could be saved"
    if _written(store, key, b"third", expected=first):
        return f"ignores conditional writes: it replaced an object that If-Match no longer matched, {OVERWRITTEN}"
    found = store.read(key)
    if found is None or found.data != b"second":
        return f"does not give back what was written last, {OVERWRITTEN}"
    if found.version != second:
        return "gives another ETag when an object is read than when it is written, so no position could be saved"
    return None


def _written(store: S3Store, key: str, data: bytes, *, expected: str | None) -> bool:
    try:
        store.write(key, data, expected=expected)
    except WriteConflict:
        return False
    return True


def _remove(store: S3Store, key: str) -> None:
    """Remove the object. That it may not be removed is no reason to refuse the store: what is old stays then."""
    try:
        store.delete(key)
    except StoreAway:
        return  # another probe sweeps it
    except StateError as error:
        log.warning("%s; without it what is old is never removed", error)


def _sweep(store: S3Store) -> None:
    before = datetime.fromtimestamp(time.time(), timezone.utc) - LEFT_AFTER
    for key in list(store.list(FOLDER)):
        with suppress(ValueError, StateError):
            stamp = datetime.strptime(key.removeprefix(FOLDER).partition("-")[0], _STAMP)
            if stamp.replace(tzinfo=timezone.utc) < before:
                store.delete(key)
