"""`renamed_from`: the state of a source's earlier name goes on under the new one, all of it and once.

Each piece is written under the new name before the old one is removed, so that whatever is interrupted is completed by
the next attempt. Where the new name has collected already, the two are joined: no event that waits is lost, none that was
delivered is sent again, and what lies between the old position and the new beginning is collected.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count

from flicker_dagster.errors import StateError, TokenUnreadable, WriteConflict
from flicker_dagster.pipeline.plan import time_of
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.files import make_directory, sync_directory
from flicker_dagster.state.lane_book import book_key
from flicker_dagster.state.layout import begun_key, renamed_key
from flicker_dagster.state.names import file_safe
from flicker_dagster.state.position_history import history_key
from flicker_dagster.state.rewinds import rewind_key
from flicker_dagster.state.stores import ANYTHING
from flicker_dagster.state.walk_notes import notes_key
from flicker_dagster.times import parse_time_ms

log = logging.getLogger("flicker.carry_over")


def carry_over(work: SourceWork) -> bool:
    """Take the state of `renamed_from` along; True if there was any. For callers that are not in `exclusive`.

    Raises SourceBusy while a run of either name is at work, StateError where a piece cannot be moved: collection under the
    new name must not begin without it.
    """
    old = work.source.renamed_from
    if old is None or (_is_done(work, old) and not work.layout.spool(old).units()):
        return False
    new = work.source.name
    with ExitStack() as stack:
        for name in sorted({old, new}):
            stack.enter_context(work.exclusive(stream=name))
        work.spool.close()
        moved = _move_spool(work, old)
        moved += _move_ledger(work, old)
        for storage in work.layout.storages(old):
            moved += work.layout.dead_letters(old, storage).move_to(new, storage)
        moved += _move_tokens(work, old)
        moved += _move_begin(work, old)
        for key_of in (rewind_key, history_key, notes_key, book_key):
            moved += _move_object(work, key_of(old), key_of(new))
        moved += _move_position(work, old)
        work.layout.store.write(renamed_key(new), old.encode(), expected=ANYTHING)
    if moved:
        log.info(
            "%s: the state of %s was carried over: position, ledger, dead letters and what waits for the SIEM. Its green "
            "windows stay with the old asset in Dagster; here they are read again and found delivered",
            new,
            old,
        )
    return moved > 0


@contextmanager
def carried_over(work: SourceWork) -> Iterator[None]:
    """`carry_over` before the work becomes exclusive, in one `with`."""
    carry_over(work)
    yield


def _is_done(work: SourceWork, old: str) -> bool:
    stored = work.layout.store.read(renamed_key(work.source.name))
    return stored is not None and stored.data == old.encode()


def _move_spool(work: SourceWork, old: str) -> int:
    """Whole units, by renaming them: lots keep their ids. Where the new name has collected already they get other names;
    deliveries send what waits in them, but what the ledgers know."""
    spool, moved = work.layout.spool(old), 0
    joins = work.registry.position(work.source.name) is not None or bool(work.layout.ledger(work.source.name).windows())
    for unit in spool.units():
        moved += 1
        taken = {*work.spool.units(), *([unit] if joins else [])}  # `live` is the new name's own
        name = next(name for name in _names_for(unit, old) if name not in taken)
        source, target = spool.directory / file_safe(unit), work.spool.directory / file_safe(name)
        try:
            make_directory(target.parent)
            os.rename(source, target)
            sync_directory(target.parent)
            sync_directory(source.parent)
        except OSError as error:
            raise StateError(f"cannot move {source} to {target}: {error.strerror}; check the permissions") from error
    return moved


def _names_for(unit: str, old: str) -> Iterator[str]:
    yield unit
    yield from (f"{unit} of {old} {number}" for number in count(1))


def _move_ledger(work: SourceWork, old: str) -> int:
    moved = 0
    for storage in work.layout.storages(old):
        ledger, target = work.layout.ledger(old, storage), work.layout.ledger(work.source.name, storage)
        for shard in ledger.windows():
            target.add({shard: ledger.known(shard).blob()})
            ledger.drop(shard)
            moved += 1
    return moved


def _move_tokens(work: SourceWork, old: str) -> int:
    """A token that cannot be read here is minted anew."""
    tokens, moved = work.layout.tokens(), 0
    for name in tokens.of_stream(old):
        with suppress(TokenUnreadable):
            tokens.carry_over(name, f"{work.source.name}@{name.rpartition('@')[2]}")
        tokens.forget(name)
        moved += 1
    return moved


def _move_begin(work: SourceWork, old: str) -> int:
    """The earlier of the two beginnings counts: windows since then are ours to verify."""
    store, key = work.layout.store, begun_key(work.source.name)
    begun = store.read(begun_key(old))
    if begun is None:
        return 0
    own = store.read(key)
    own_ms = None if own is None else parse_time_ms(own.data.decode())
    old_ms = parse_time_ms(begun.data.decode())
    if own_ms is None or (old_ms is not None and old_ms < own_ms):
        store.write(key, begun.data, expected=ANYTHING)
    store.delete(begun_key(old))
    return 1


def _move_object(work: SourceWork, old_key: str, new_key: str) -> int:
    """What the new name has of its own stays as it is."""
    store = work.layout.store
    stored = store.read(old_key)
    if stored is None:
        return 0
    try:
        store.write(new_key, stored.data, expected=None)
    except WriteConflict:
        log.debug("%s is there already", store.describe(new_key))
    store.delete(old_key)
    return 1


def _move_position(work: SourceWork, old: str) -> int:
    """Last of all: until now a reader finds the old name in the registry. Where the new name stands further on, its live
    collection is ordered back to where the old one stood."""
    position, own = work.registry.position(old), work.registry.position(work.source.name)
    if position is None:
        work.registry.remove(old)
        return 0
    if own is None:
        work.registry.commit(work.source.name, position, seen=None)
    else:
        stood_ms, own_ms = time_of(position), time_of(own)
        if stood_ms is not None and own_ms is not None and stood_ms < own_ms and work.rewinds.standing() is None:
            work.rewinds.order(position, redeliver=False)
    work.registry.remove(old)
    return 1
