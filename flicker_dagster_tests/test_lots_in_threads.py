"""Lots are taken apart by many threads at once: lanes, and the senders of each."""

from __future__ import annotations

import threading

from flicker_dagster.lots import Lot

PATIENCE_S = 10


def test_no_lot_waits_for_another_one() -> None:
    """Python's own `cached_property` has one lock for all objects of a class (until 3.12): a part that is put together of its
    lot's events, and a lot that is just cut into events, waited for each other for ever."""
    goes_on = threading.Event()

    def unpacked() -> bytes:
        goes_on.wait(PATIENCE_S)
        return b"[{}]"

    slow = Lot(
        seq=0, lot_id="slow", source="s", collected_ms=0, array=unpacked, lengths=[2], digests=[b"0"], times_ms=[None]
    )
    quick = Lot.of([b"{}", b"[]"], digests=[b"1", b"2"], times_ms=[None, None], source="s", collected_ms=0)
    done = threading.Event()

    def take_apart() -> None:
        assert quick.part([1]).array == b"[[]]"
        done.set()

    first, second = threading.Thread(target=lambda: slow.events), threading.Thread(target=take_apart)
    first.start()
    try:
        second.start()
        assert done.wait(PATIENCE_S / 2)
    finally:
        goes_on.set()
        first.join()
        second.join()
