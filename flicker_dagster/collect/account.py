"""What all streams, runs and machines that use one account at a vendor know together of its quota.

A pause that one was asked for holds back all, and places under declared limits are taken from one queue. It is courtesy: what
cannot be kept or read is said once, and collecting goes on with what this process knows.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from flicker_dagster.collect.pace import Pace, next_place_ms, take
from flicker_dagster.collect.quota_headers import MAX_WAIT_S, Told
from flicker_dagster.errors import StateError, WriteConflict

log = logging.getLogger("flicker.quota")

VERSION = 1

#: After a failure the shared notes are left alone for so long.
AWAY_S = 60.0

#: Ends of pauses that differ by less are the same.
SAME_S = 1.0

#: Clocks of machines that differ by less are not wrong.
CLOCKS_DIFFER_S = 60.0

#: Most places taken in advance, where each taking is a request to a store.
MOST_PLACES = 64
FIRST_PLACES = 4


class Book(Protocol):
    """Where the notes of an account lie."""

    #: Is touching it for each request of no account?
    is_near: bool
    #: How old what was read may be, seconds.
    look_every_s: float
    #: How old what the vendor told last may grow, seconds.
    tell_every_s: float
    #: Places may be taken in advance, to be used up to so long after their time, ms.
    ahead_ms: float
    #: Limits of shorter spans are kept over one of this length, ms.
    least_per_ms: int

    def read(self) -> bytes:
        """Empty where there is nothing. Raises StateError."""
        ...

    def update(self, change: Callable[[bytes], bytes]) -> None:
        """Replace what is there by what `change` makes of it, which may be called several times. Raises StateError."""
        ...


class LastTold(msgspec.Struct, frozen=True):
    """What an answer told of the scarcest quota; times are ms of our own clock, `span_s` the longest time to a reset so far."""

    remaining: float
    limit: float | None
    reset_ms: int | None
    span_s: float | None
    at_ms: int


class AccountNotes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody asks before `asked_until_ms` (a refusal said so) or `reserve_until_ms` (the rest is for others). `taken` is the
    state of the declared limits, see `collect.pace`."""

    version: int = VERSION
    asked_until_ms: float = 0.0
    reserve_until_ms: float = 0.0
    taken: dict[str, float] = {}
    told: LastTold | None = None


_decoder = msgspec.json.Decoder(AccountNotes)


def read_notes(data: bytes) -> AccountNotes:
    """What cannot be read, or was written by a newer Flicker, counts as nothing."""
    try:
        notes = _decoder.decode(data) if data else AccountNotes()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return AccountNotes()
    return notes if notes.version <= VERSION else AccountNotes()


class Account:
    """One process's view of an account. `clock` gives seconds since the epoch; without a book nothing is shared."""

    def __init__(self, book: Book | None, *, clock: Callable[[], float]) -> None:
        self._book = book
        self._clock = clock
        self._notes = AccountNotes()
        self._looked_s = self._away_until_s = -math.inf
        self._told_of_trouble = False
        self._places: deque[float] = deque()  # ms, taken in advance
        self._places_expire_ms = 0.0
        self._want = FIRST_PLACES

    def held_until_s(self) -> float:
        """Until when nobody may ask, as far as is known here; at most `MAX_WAIT_S` from now."""
        now_s = self._clock()
        book = self._book
        # Not `<`: a clock that was set back must not keep anybody from looking.
        if book is not None and now_s >= self._away_until_s and not 0 <= now_s - self._looked_s < book.look_every_s:
            self._look(book, now_s)
        notes = self._notes
        return max(_believed_s(notes.asked_until_ms, now_s), _believed_s(notes.reserve_until_ms, now_s))

    def hold(self, until_s: float, *, reserve: bool = False) -> None:
        """Nobody asks before: the vendor asked for a pause, or what is left is the reserve."""
        field, now_s = "reserve_until_ms" if reserve else "asked_until_ms", self._clock()
        if until_s <= _believed_s(getattr(self._notes, field), now_s) + SAME_S:
            return

        def prolong(notes: AccountNotes) -> AccountNotes:
            longer_s = max(until_s, _believed_s(getattr(notes, field), now_s))
            return msgspec.structs.replace(notes, **{field: round(longer_s * 1000)})

        self._change(prolong)

    def free(self) -> None:
        """There is more than the reserve again."""
        if self._notes.reserve_until_ms > self._clock() * 1000:
            self._change(lambda notes: msgspec.structs.replace(notes, reserve_until_ms=0.0))

    def place_s(self, paces: Sequence[Pace], *, ready_s: float, latest_s: float) -> float:
        """When the next request may be sent, not before `ready_s`. The place is taken unless it is after `latest_s`."""
        ready_ms, latest_ms = ready_s * 1000, latest_s * 1000
        near = self._book is None or self._book.is_near
        if not near:
            place_ms = self._taken_before(ready_ms)
            if place_ms is not None:
                return place_ms / 1000
        ahead_ms = 0.0 if self._book is None or near else self._book.ahead_ms
        want = 1 if near else self._want
        taken: list[float] = []

        def book_places(notes: AccountNotes) -> AccountNotes:
            taken.clear()
            spoken = notes.taken
            while len(taken) < want:
                place_ms = next_place_ms(paces, spoken, ready_ms=ready_ms)
                if not taken:
                    taken.append(place_ms)
                    if place_ms > latest_ms:
                        return notes
                elif place_ms > ready_ms + ahead_ms:
                    break
                else:
                    taken.append(place_ms)
                spoken = take(paces, spoken, at_ms=place_ms)
            return msgspec.structs.replace(notes, taken=spoken)

        self._change(book_places)
        if len(taken) > 1:
            self._places = deque(taken[1:])
            self._places_expire_ms = ready_ms + ahead_ms
        return taken[0] / 1000

    def _taken_before(self, ready_ms: float) -> float | None:
        """A place that was taken in advance. Where some were left over, fewer are taken the next time; else more."""
        if not self._places:
            return None
        if self._places_expire_ms < ready_ms:
            self._want = max(FIRST_PLACES, self._want // 2)
            self._places.clear()
            return None
        place_ms = self._places.popleft()
        if not self._places:
            self._want = min(MOST_PLACES, self._want * 2)
        return max(ready_ms, place_ms)

    def note(self, told: Told) -> None:
        """Keep what the vendor told, where what is kept has grown old."""
        now_ms = int(self._clock() * 1000)
        last = self._notes.told
        if self._book is None or (last and 0 <= now_ms - last.at_ms < self._book.tell_every_s * 1000):
            return
        self._change(lambda notes: msgspec.structs.replace(notes, told=_newer(notes.told, told, now_ms)))

    # -- the book

    def _look(self, book: Book, now_s: float) -> None:
        self._looked_s = now_s
        try:
            self._notes = read_notes(book.read())
        except StateError as error:
            self._failed(error)

    def _change(self, change: Callable[[AccountNotes], AccountNotes]) -> None:
        """Change the notes, those that are shared where they can be had."""
        now_s = self._clock()
        if self._book is not None and now_s >= self._away_until_s:
            changed = self._notes

            def rewrite(data: bytes) -> bytes:
                nonlocal changed
                notes = read_notes(data)
                changed = change(notes)
                return data if changed is notes else msgspec.json.encode(changed)

            try:
                self._book.update(rewrite)
                self._notes, self._looked_s = changed, now_s
                return
            except StateError as error:
                self._failed(error)
        self._notes = change(self._notes)

    def _failed(self, error: StateError) -> None:
        if isinstance(error, WriteConflict):  # others were faster; the next change may succeed
            return
        self._away_until_s = self._clock() + AWAY_S
        if not self._told_of_trouble:
            self._told_of_trouble = True
            log.warning(
                "%s; what other runs know of this account's quota is not heeded for now, and collecting goes on", error
            )


def _believed_s(until_ms: float, now_s: float) -> float:
    """The end of a pause, seconds since the epoch, at most `MAX_WAIT_S` from now. What lies further away was written by a
    machine with a wrong clock: it must not stop the others for ever."""
    if not until_ms:
        return 0.0
    latest_s, until_s = now_s + MAX_WAIT_S, until_ms / 1000
    return 0.0 if until_s > latest_s + CLOCKS_DIFFER_S else min(until_s, latest_s)


def _newer(last: LastTold | None, told: Told, now_ms: int) -> LastTold:
    seen_s = [seconds for seconds in (told.span_s, told.reset_s) if seconds is not None and seconds > 0]
    if last is not None and last.limit == told.limit and last.span_s is not None:
        seen_s.append(last.span_s)
    reset_ms = None if told.reset_s is None else now_ms + round(max(0.0, told.reset_s) * 1000)
    span_s = told.span_s or max(seen_s, default=None)
    return LastTold(told.remaining, told.limit, reset_ms, span_s, now_ms)
