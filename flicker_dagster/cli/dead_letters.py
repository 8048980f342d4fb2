"""`flicker dead-letters list | show | replay | drop`."""

from __future__ import annotations

import base64
import sys
from typing import Any

import click

from flicker_dagster.cli.command import FlickerGroup
from flicker_dagster.cli.options import json_option
from flicker_dagster.cli.selection import LOCK_WAIT_S, one_line, open_work, show_json, show_table
from flicker_dagster.errors import DestinationUnavailable, FlickerError, StateError
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.replay import replay as replay_object
from flicker_dagster.printable import visible
from flicker_dagster.state.dead_letters import DeadLetters, events_in, sources_with_dead_letters
from flicker_dagster.times import rfc3339_ms
from flicker_dagster.types import DeadLetter

SHOWN_REASON_CHARS = 120

KEPT = "the dead letters that the SIEM has not taken are kept"

#: So many objects in a row that were not taken: that is the SIEM, not what is in one of them.
GIVES_UP_AFTER = 3


@click.group("dead-letters", cls=FlickerGroup)
def dead_letters() -> None:
    """Events that the SIEM refused for good, kept byte for byte."""


@dead_letters.command("list")
@click.argument("source", required=False)
@json_option
@click.pass_obj
def list_command(settings: Settings, source: str | None, as_json: bool) -> None:
    """What is kept, of one SOURCE or of all."""
    rows: list[tuple[object, ...]] = []
    for name, letters in _stores(settings, source):
        for letter_id in letters.list():
            try:
                found = letters.read(letter_id)
            except StateError as error:  # one that is damaged hides no other
                rows.append((name, letter_id, None, str(error), None, events_in(letter_id)))
                continue
            first = found[0]
            why = first.reason if as_json else _reason(first)
            rows.append((name, letter_id, rfc3339_ms(first.at_ms), why, first.status, len(found)))
    if as_json:
        keys = ("source", "id", "at", "reason", "answer", "events")
        show_json({"dead_letters": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
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
    name, letters, letter_id = _find(settings, letter_id)
    found = letters.read(letter_id)
    if as_json:
        show_json({"source": name, "id": letter_id, "events": [_as_json(letter) for letter in found]})
        return
    for letter in found:
        if not raw:
            click.echo(f"# {rfc3339_ms(letter.at_ms)}  {letter.destination}  batch {letter.batch_id}")
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
        "batch": letter.batch_id,
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
        wanted: dict[str, list[str]] = {}
        for letter_id in ids:
            name, _, full_id = _find(settings, letter_id, source)
            wanted.setdefault(name, []).append(full_id)
    else:
        wanted = {name: letters.list() for name, letters in _stores(settings, source)}
    results = [_replay(settings, name, letter_ids) for name, letter_ids in wanted.items() if letter_ids]
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
        chosen = [(letters, full_id) for _, letters, full_id in (_find(settings, i, source) for i in ids)]
    elif source is not None:
        chosen = [(letters, i) for _, letters in _stores(settings, source) for i in letters.list()]
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


def _replay(settings: Settings, name: str, letter_ids: list[str]) -> bool:
    """Replay objects of one source; an outage ends it. True if the SIEM took all."""
    accepted = refused = failed = in_a_row = 0
    try:
        with open_work(settings, name) as work, work.spool.lock(wait_s=LOCK_WAIT_S):
            for letter_id in letter_ids:
                try:
                    done = replay_object(work, letter_id)
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
        click.echo(f"{name}: {accepted} events accepted and removed, {refused} refused again and kept")
    return refused == failed == 0


def _stores(settings: Settings, source: str | None) -> list[tuple[str, DeadLetters]]:
    """By source, those included that are no longer configured."""
    layout = settings.layout()
    names = sources_with_dead_letters(layout.store) if source is None else [source]
    return [(name, layout.dead_letters(name)) for name in names]


def _find(settings: Settings, part: str, source: str | None = None) -> tuple[str, DeadLetters, str]:
    """The one object whose id holds `part`: its source, where it is kept, and its whole id."""
    found = [(name, letters, i) for name, letters in _stores(settings, source) for i in letters.list() if part in i]
    exact = [entry for entry in found if entry[2] == part]
    found = exact or found
    if len(found) != 1:
        how_many = "no dead letters have" if not found else f"{len(found)} entries have"
        raise click.UsageError(f"{how_many} {part!r} in their id; see `flicker dead-letters list`")
    return found[0]


def _reason(letter: DeadLetter) -> str:
    """Why, without the answer's status, which has its own column."""
    why = letter.reason.removeprefix(letter.status).removeprefix(": ") or letter.reason
    return why if len(why) <= SHOWN_REASON_CHARS else why[:SHOWN_REASON_CHARS] + "…"
