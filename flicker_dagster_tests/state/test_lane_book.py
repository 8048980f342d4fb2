"""The book of a stream's lanes: where each one's state lies, and from when on it delivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.errors import StateError
from flicker_dagster.state.lane_book import LaneBook, LanePlace, book_key, stored_as
from flicker_dagster.state.stores import ANYTHING, LocalStore, Store

SINCE = {"siem": 1_000, "lake": 2_000, "debug": None}


def test_a_single_unnamed_destination_needs_no_book(store: Store) -> None:
    assert LaneBook(store, "okta").places([""], begun=True, since_ms={}) == {"": LanePlace()}
    assert store.read(book_key("okta")) is None


def test_lanes_of_a_stream_that_begins_get_everything(store: Store) -> None:
    places = LaneBook(store, "okta").places(["siem", "lake"], begun=False, since_ms=SINCE)
    assert places == {"siem": LanePlace(""), "lake": LanePlace("lake")}
    assert LaneBook(store, "okta").read() == places


def test_the_first_lane_has_the_state_from_before_there_were_several_and_others_begin_where_they_are_told(
    store: Store,
) -> None:
    places = LaneBook(store, "okta").places(["siem", "lake", "debug"], begun=True, since_ms=SINCE)
    assert places == {"siem": LanePlace(""), "lake": LanePlace("lake", 2_000), "debug": LanePlace("debug", None)}


def test_a_place_once_given_stays_whatever_the_order_and_the_time(store: Store) -> None:
    book = LaneBook(store, "okta")
    before = book.places(["siem", "lake"], begun=True, since_ms=SINCE)
    later = LaneBook(store, "okta").places(["lake", "siem", "debug"], begun=True, since_ms={"debug": 9_000, "lake": 7})
    assert later == before | {"debug": LanePlace("debug", 9_000)}


def test_a_lane_that_is_no_longer_configured_keeps_its_place_until_it_is_forgotten(store: Store) -> None:
    book = LaneBook(store, "okta")
    book.places(["siem", "lake"], begun=True, since_ms=SINCE)
    assert book.places(["siem"], begun=True, since_ms={}).keys() == {"siem"}
    assert book.read().keys() == {"siem", "lake"}
    book.forget("lake")
    book.forget("never there")
    assert LaneBook(store, "okta").read().keys() == {"siem"}


def test_two_writers_at_once_keep_each_others_lanes(tmp_path: Path) -> None:
    class Raced(LocalStore):
        """Another process writes between its read and its write, once."""

        raced = False

        def write(self, key: str, data: bytes, *, expected: object) -> str:  # type: ignore[override]
            if not Raced.raced:
                Raced.raced = True
                LaneBook(LocalStore(tmp_path), "okta").places(["siem"], begun=False, since_ms={})
            return super().write(key, data, expected=expected)  # type: ignore[arg-type]

    places = LaneBook(Raced(tmp_path), "okta").places(["siem", "lake"], begun=True, since_ms=SINCE)
    assert places == {"siem": LanePlace(""), "lake": LanePlace("lake", 2_000)}
    assert LaneBook(LocalStore(tmp_path), "okta").read() == places


def test_streams_do_not_share_a_book(store: Store) -> None:
    LaneBook(store, "okta").places(["siem", "lake"], begun=False, since_ms={})
    assert LaneBook(store, "okta/system").read() == {}


def test_no_folder_of_a_lane_is_another_streams(store: Store) -> None:
    folders = [stored_as(stream, lane) for stream in ("okta", "okta@lake", "okta/lake") for lane in ("", "lake", "a@b")]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize(
    ("data", "told"), [(b"{", "is damaged"), (b'{"version": 2, "lanes": {}}', "version 2, written by a newer Flicker")]
)
def test_a_book_that_cannot_be_read_is_told_and_not_begun_anew(store: Store, data: bytes, told: str) -> None:
    store.write(book_key("okta"), data, expected=ANYTHING)
    with pytest.raises(StateError, match=told):
        LaneBook(store, "okta").places(["siem"], begun=True, since_ms=SINCE)
    stored = store.read(book_key("okta"))
    assert stored is not None
    assert stored.data == data
