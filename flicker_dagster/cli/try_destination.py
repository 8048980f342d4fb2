"""`flicker test-destination`: one marked event to a destination, what was answered, and where to find it or what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console

from flicker_dagster.cli.destination_choice import UNUSED, Choice, chosen
from flicker_dagster.cli.guide_text import console, prose, show_labelled
from flicker_dagster.cli.tables import show_json
from flicker_dagster.config.destination_answers import UNSET as UNSET_FIX
from flicker_dagster.config.destination_answers import fix_for
from flicker_dagster.config.load import load_config
from flicker_dagster.config.written import told
from flicker_dagster.deliver.destination import Destination
from flicker_dagster.deliver.trial import Tell, Verdict, attempt, marked_event, new_mark
from flicker_dagster.errors import DeliverError, SecretUnset
from flicker_dagster.orchestration.settings import Settings
from flicker_dagster.pipeline.lanes import open_lane
from flicker_dagster.printable import visible
from flicker_dagster.transport.deadlines import Deadline

#: The name of the lane of a test, towards what lets one of a name in at a time (Kafka): a run is never pushed out.
CALLED = "test"

#: What a missing secret or a destination that cannot be opened is called beside the outcomes.
UNSET, UNUSABLE = "unset", "unusable"


@dataclass(frozen=True)
class Tried:
    """A test and what came of it."""

    choice: Choice
    to: str
    uid: str
    mark: str
    verdict: Verdict
    took_ms: int

    @property
    def find(self) -> str:
        return self.choice.record.search_for(self.uid, mark=self.mark)

    @property
    def fix(self) -> str | None:
        if self.verdict.taken:
            return None
        return UNSET_FIX.do if self.verdict.kind == UNSET else fix_for(type(self.choice.record), self.verdict.said)


def try_destination(settings: Settings, name: str | None, *, wait_s: float, as_json: bool) -> int:
    """Send one event; 0 where it was taken, else 1. Raises ConfigError, and UsageError for a name that is not one."""
    choice = chosen(load_config(settings.config_path), name)
    tried = _tried(choice, wait_s=wait_s)
    if as_json:
        show_json(_document(tried))
    else:
        _show(tried)
    return 0 if tried.verdict.taken else 1


def _tried(choice: Choice, *, wait_s: float) -> Tried:
    source, mark, began_s = choice.source, new_mark(), time.monotonic()
    lot = marked_event(mark, source=source.name, destination=choice.name, now_ms=int(time.time() * 1000))
    destination = open_lane(source, choice.lane, env=None, clock=time.time, layout=None, called=CALLED)
    to = visible(destination.describe())
    try:
        # It bounds what a destination waits for beside the time-out of a request, which comes first and says so.
        destination.deadline = Deadline.after(wait_s + choice.record.timeout_ms / 1000, f"--wait ({wait_s:g} s)")
        with _progress(f"sending one event to {to}") as tell:
            verdict = _verdict(choice, destination, lot, wait_s=wait_s, tell=tell)
    finally:
        destination.close()
    return Tried(choice, to, lot.uids[0], mark, verdict, int((time.monotonic() - began_s) * 1000))


def _verdict(choice: Choice, destination: Destination, lot: Any, *, wait_s: float, tell: Tell) -> Verdict:
    try:
        return attempt(destination, lot, wait_s=wait_s, clock=time.monotonic, sleep=time.sleep, tell=tell)
    except SecretUnset as error:
        return Verdict(False, UNSET, told(error, choice.source))
    except DeliverError as error:
        return Verdict(False, UNUSABLE, error.one_line(choice.source.name))


@contextmanager
def _progress(doing: str) -> Iterator[Tell]:
    """Says on standard error what is waited for, with a sign of life where that is a terminal."""
    screen = Console(stderr=True, highlight=False)
    if not screen.is_terminal:
        click.echo(f"{doing} …", err=True)
        yield lambda words: click.echo(f"{visible(words)} …", err=True)
        return
    with screen.status(f"{doing} …", spinner="dots") as status:
        yield lambda words: status.update(f"{visible(words)} …")


def _show(tried: Tried) -> None:
    verdict, record = tried.verdict, tried.choice.record
    lane = f", lane {tried.choice.lane}" if tried.choice.lane else ""
    used = f"as {tried.choice.source.name} uses it{lane}" if tried.choice.is_used else "used by no source yet"
    rows = [
        ("destination", f"{tried.choice.name}: {record.GUIDE.title}, {used} ({tried.choice.where})"),
        ("sent to", tried.to),
        ("event_uid", tried.uid),
        ("marked", tried.mark),
        ("answered", verdict.said or "nothing"),
        ("took", f"{tried.took_ms / 1000:.1f} s"),
    ]
    if verdict.taken:
        rows.append(("find it", tried.find))
    elif tried.fix is not None:
        rows.append(("do", tried.fix))
    if not verdict.taken and verdict.kind in ("ambiguous", "unacknowledged"):
        rows.append(("look for it", tried.find))
    show_labelled("taken" if verdict.taken else "not taken", rows, good=verdict.taken, whole=("find it", "look for it"))
    if not verdict.taken:
        prose(console(), f"`flicker destinations show {record.type}` says what it needs.", first="", indent="")


def _document(tried: Tried) -> dict[str, Any]:
    verdict, choice = tried.verdict, tried.choice
    return {
        "destination": choice.name,
        "type": choice.record.type,
        "source": None if choice.source.name == UNUSED and not choice.is_used else choice.source.name,
        "lane": choice.lane or None,
        "written": choice.where,
        "sent_to": tried.to,
        "event_uid": tried.uid,
        "mark": tried.mark,
        "taken": verdict.taken,
        "outcome": verdict.kind,
        "answered": verdict.said,
        "fix": tried.fix,
        "find": tried.find,
        "took_ms": tried.took_ms,
    }
