"""`flicker dead-letters list | show | replay | drop`."""

from __future__ import annotations

import base64
import sys
from typing import Any, NamedTuple

import click

from flicker_dagster.cli.command import FlickerGroup
from flicker_dagster.cli.options import json_option
from flicker_dagster.cli.selection import LOCK_WAIT_S, one_line, open_work
from flicker_dagster.cli.tables import show_json, show_table
from flicker_dagster.errors import DestinationUnavailable, FlickerError, StateError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.lanes import LaneWork
from flicker_dagster.pipeline.replay import replay as replay_object
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.printable import visible
from flicker_dagster.state.dead_letters import DeadLetters, events_in, sources_with_dead_letters
from flicker_dagster.state.layout import StateLayout
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import DeadLetter

SHOWN_REASON_CHARS = 120

KEPT = "the dead letters that the SIEM has not taken are kept"

#: So many objects in a row that were not taken: that is the SIEM, not what is in one of them.
GIVES_UP_AFTER = 3


class Kept(NamedTuple):
    """The dead letters of one lane."""

    source: str
    lane: str
    storage: str
    letters: DeadLetters

    @property
    def shown(self) -> str:
        return f"{self.source}@{self.lane}" if self.lane else self.source


@click.group("dead-letters", cls=FlickerGroup)
def dead_letters() -> None:
    """Events that the SIEM refused for good, kept byte for byte."""


@dead_letters.command("list")
@click.argument("source", required=False)
@json_option
@click.pass_obj
def list_command(settings: Settings, source: str | None, as_json: bool) -> None:
    """What is kept, of one SOURCE (of one of several destinations: SOURCE@LANE) or of all."""
    found = [(kept, letter_id) for kept in _stores(settings, source) for letter_id in kept.letters.list()]
    if as_json:
        keys = ("id", "at", "reason", "answer", "events")
        show_json(
            {
                "dead_letters": [
                    {"source": kept.source, "lane": kept.lane or None}
                    | dict(zip(keys, _described(kept, letter_id, whole=True), strict=True))
                    for kept, letter_id in found
                ]
            }
        )
        return
    rows: list[tuple[object, ...]] = [
        (kept.shown, *_described(kept, letter_id, whole=False)) for kept, letter_id in found
    ]
    columns = ("source", "id", "when", "reason", "SIEM answer", "events")
    show_table("Dead letters", columns, rows, empty="no dead letters")


@dead_letters.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Only the events, byte for byte, one per line.")
@json_option
@click.pass_obj
def show_command(settings: Settings, letter_id: str, raw: bool, as_json: bool) -> None:
    """The events behind an ID of `list` and why each was refused."""
    if raw and as_json:
        raise click.UsageError("give either --raw or --json")
    kept, letter_id = _find(settings, letter_id)
    found = kept.letters.read(letter_id)
    if as_json:
        show_json(
            {
                "source": kept.source,
                "lane": kept.lane or None,
                "id": letter_id,
                "events": [_as_json(letter) for letter in found],
            }
        )
        return
    for letter in found:
        if not raw:
            click.echo(f"# {rfc3339_ms(letter.at_ms)}  {letter.destination}  lot {letter.lot_id}")
            click.echo(f"# {visible(letter.reason)}")
            click.echo(visible(letter.event.decode("utf-8", "backslashreplace")))
            continue
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.event + b"\n")
        sys.stdout.buffer.flush()


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    """`event` is the text; null where the bytes are none, and then they are in `event_base64`."""
    try:
        text, encoded = letter.event.decode(), None
    except UnicodeDecodeError:
        text, encoded = None, base64.b64encode(letter.event).decode()
    event_time = letter.event_time_ms
    return {
        "at": rfc3339_ms(letter.at_ms),
        "destination": letter.destination,
        "batch": letter.lot_id,
        "reason": letter.reason,
        "answer": letter.status,
        "event_time": None if event_time is None else rfc3339_ms(event_time),
        "event": text,
        "event_base64": encoded,
    }


@dead_letters.command("replay")
@click.argument("source", required=False)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this one; may be given again.")
@click.pass_obj
def replay_command(settings: Settings, source: str | None, ids: tuple[str, ...]) -> None:
    """Send them again. What the SIEM takes is removed, what it refuses again stays. Exit 1 unless all were taken."""
    if ids:
        wanted: dict[Kept, list[str]] = {}
        for letter_id in ids:
            kept, full_id = _find(settings, letter_id, source)
            wanted.setdefault(kept, []).append(full_id)
    else:
        wanted = {kept: kept.letters.list() for kept in _stores(settings, source)}
    results = [_replay(settings, kept, letter_ids) for kept, letter_ids in wanted.items() if letter_ids]
    if not results:
        click.echo("no dead letters")
    sys.exit(0 if all(results) else 1)


@dead_letters.command("drop")
@click.argument("source", required=False)
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this one; may be given again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop_command(settings: Settings, source: str | None, ids: tuple[str, ...], yes: bool) -> None:
    """Remove them for good: they will never be in the SIEM. Name a SOURCE or ids."""
    if ids:
        chosen = [(kept.letters, full_id) for kept, full_id in (_find(settings, i, source) for i in ids)]
    elif source is not None:
        chosen = [(kept.letters, i) for kept in _stores(settings, source) for i in kept.letters.list()]
    else:
        raise click.UsageError("name a source, or ids with --id; see `flicker dead-letters list`")
    events = sum(events_in(letter_id) for _, letter_id in chosen)
    if not events:
        click.echo("no dead letters")
        return
    if not yes:
        click.confirm(f"Remove {events} events for good? They are in no SIEM", abort=True)
    for letters, letter_id in chosen:
        letters.drop(letter_id)
    click.echo(f"{events} events removed")


def _replay(settings: Settings, kept: Kept, letter_ids: list[str]) -> bool:
    """Replay objects of one lane; an outage ends it. True if the SIEM took all."""
    accepted = refused = failed = in_a_row = 0
    name = kept.source
    try:
        with open_work(settings, name) as work, work.exclusive(wait_s=LOCK_WAIT_S):
            for letter_id in letter_ids:
                try:
                    done = replay_object(work, _lane_of(work, kept), letter_id)
                except (DestinationUnavailable, StateError) as error:  # one event may be what the SIEM dies of
                    failed, in_a_row = failed + 1, in_a_row + 1
                    if in_a_row == GIVES_UP_AFTER:
                        raise
                    click.echo(f"{one_line(error, name)} ({KEPT})", err=True)
                else:
                    accepted, refused, in_a_row = accepted + done.accepted, refused + done.refused, 0
    except FlickerError as error:
        click.echo(f"{one_line(error, name)} ({KEPT})", err=True)
        return False
    finally:
        click.echo(f"{kept.shown}: {accepted} events accepted and removed, {refused} refused again and kept")
    return refused == failed == 0


def _lane_of(work: SourceWork, kept: Kept) -> LaneWork:
    """The lane that letters are sent by. Raises StateError where it is no longer configured."""
    for lane in work.lanes:
        if lane.storage == kept.storage:
            return lane
    raise StateError(
        f"{kept.shown}: this lane is no longer configured; list its destination under the source again to send its dead "
        "letters, or drop them"
    )


def _stores(settings: Settings, source: str | None) -> list[Kept]:
    """By source and lane, those included that are no longer configured; of a SOURCE and its streams, or a SOURCE@LANE."""
    layout = settings.layout()
    kept = sources_with_dead_letters(layout.store)
    of_lane = source is not None and source not in kept and "@" in source
    name = source.rpartition("@")[0] if source is not None and of_lane else source
    found = [
        Kept(each, lane, storage, layout.dead_letters(each, storage))
        for each in (kept if name is None else [name, *(each for each in kept if each.startswith(f"{name}/"))])
        for storage, lane in _lanes(layout, each).items()
    ]
    return [each for each in found if each.shown == source] if of_lane else found


def _lanes(layout: StateLayout, source: str) -> dict[str, str]:
    """Places of lanes in the state, each with the lane's name; the lane of a single destination has none."""
    book = layout.lane_book(source).read()
    return {"": ""} | {place.storage: name for name, place in book.items()}


def _find(settings: Settings, part: str, source: str | None = None) -> tuple[Kept, str]:
    """The one object whose id holds `part`: where it is kept, and its whole id."""
    found = [(kept, i) for kept in _stores(settings, source) for i in kept.letters.list() if part in i]
    exact = [entry for entry in found if entry[1] == part]
    found = exact or found
    if len(found) != 1:
        how_many = "no dead letters have" if not found else f"{len(found)} entries have"
        raise click.UsageError(f"{how_many} {part!r} in their id; see `flicker dead-letters list`")
    return found[0]


def _described(kept: Kept, letter_id: str, *, whole: bool) -> tuple[object, ...]:
    """Id, time, reason, answer and number of events of an object; one that is damaged hides no other."""
    try:
        found = kept.letters.read(letter_id)
    except StateError as error:
        return letter_id, None, str(error), None, events_in(letter_id)
    first = found[0]
    return letter_id, rfc3339_ms(first.at_ms), first.reason if whole else _reason(first), first.status, len(found)


def _reason(letter: DeadLetter) -> str:
    """Why, without the answer's status, which has its own column."""
    why = letter.reason.removeprefix(letter.status).removeprefix(": ") or letter.reason
    return why if len(why) <= SHOWN_REASON_CHARS else why[:SHOWN_REASON_CHARS] + "…"
