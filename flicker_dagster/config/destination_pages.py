"""The pages of `docs/destinations`, made from the records.

`python -m flicker_dagster.config.destination_pages docs/destinations` renews them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from flicker_dagster.config.destination_answers import ANSWERS, FIXES, HTTP_ANSWERS, UNSET
from flicker_dagster.config.destination_keys import KeyGroup, key_groups
from flicker_dagster.config.destinations import destination_adapter, records
from flicker_dagster.config.destinations.base import DestinationRecord, Fix
from flicker_dagster.config.extras import pip_install
from flicker_dagster.config.markdown import code, key_table, page_of, table

DIRECTORY = "docs/destinations"

#: Limits that the table of all shows: of events and of bytes, as each record calls them, and of one event.
_MOST_EVENTS = ("max_batch_events", "max_object_events")
_MOST_BYTES = ("max_batch_bytes", "max_object_bytes")
_MOST_OF_ONE = ("max_event_bytes", "max_line_bytes", "max_message_bytes", "max_field_bytes")

#: A few refusals of every page: what every destination may say. The others are told by `flicker test-destination`.
_SHOWN_FIXES = (
    "not known to DNS",
    "Connection refused",
    "CERTIFICATE_VERIFY_FAILED",
    "proxy",
    "timed out",
    "is not set",
)
_SHOWN_HTTP_FIXES = ("HTTP 401", "HTTP 403", "HTTP 404", "HTTP 413", "HTTP 429", "HTTP 5")

_LOCAL = ("file", "stdout")


def page_path(kind: str) -> str:
    """Where the page of a type is, from the repository's root."""
    return f"{DIRECTORY}/{kind}.md"


def pasted(record: type[DestinationRecord]) -> DestinationRecord:
    """What the guide's block makes."""
    ((_, keys),) = yaml.safe_load(record.GUIDE.block).items()
    return destination_adapter().validate_python(keys)


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    return {"README.md": index()} | {f"{kind}.md": page(kind, record) for kind, record in records().items()}


# -- the table of all


def index() -> str:
    rows = [
        [
            f"[`{kind}`]({kind}.md)",
            record.GUIDE.title,
            record.GUIDE.guarantee,
            f"`{record.GUIDE.extra}`" if record.GUIDE.extra else "",
        ]
        for kind, record in records().items()
    ]
    details = [
        [f"[`{kind}`]({kind}.md)", record.GUIDE.body, record.GUIDE.identity, record.GUIDE.time, limits_of(record)]
        for kind, record in records().items()
    ]
    tested = [[f"[`{kind}`]({kind}.md)", record.GUIDE.tested] for kind, record in records().items()]
    return page_of(
        "# Destinations",
        "Events go to one of these, or to several at once: `destination` of a source is a mapping, a name under the "
        "top-level `destinations`, or a list of either. Each page says what to create there, with which rights, and has a "
        "block to paste; `flicker destinations show TYPE` says the same, and `flicker test-destination NAME` sends one "
        "marked event and says what was answered. What of an event goes there, and in which schema: "
        "[fields](../fields.md), [examples of ECS and OCSF](normalise.md).",
        table(["type", "destination", "guarantee", "extra"], rows),
        "*Exactly once* holds however answers get lost, and whoever dies in between; where a page names a bound, it says "
        "what is beyond. *At least once, same ids*: an event comes twice only where an answer was lost, and then under the "
        "same id, by which it can be told. *Best effort* promises neither. An extra is installed by "
        f"`{pip_install('EXTRA')}`.",
        "## What is sent, and where id and time stand",
        "Limits are the defaults of one request; `max_…` keys change them.",
        table(["type", "a request holds", "the event's id", "its time", "limits"], details),
        "## Tested against",
        "Every one is tried against a simulated receiver that is faithful to its API: wrong credentials, full queues, "
        "answers that are lost, cut or never end. Beside that:",
        table(["type", "tested against"], tested),
    )


def limits_of(record: type[DestinationRecord]) -> str:
    """What a request may hold by default, in words."""
    said = []
    for names, unit in ((_MOST_EVENTS, "events"), (_MOST_BYTES, "bytes"), (_MOST_OF_ONE, "bytes an event")):
        for name in names:
            field = record.model_fields.get(name)
            if field is not None and isinstance(field.default, int):
                said.append(f"{field.default:,} {unit}")
    return "; ".join(said) or "none of its own"


# -- a page


def page(kind: str, record: type[DestinationRecord]) -> str:
    guide = record.GUIDE
    name = guide.block.partition(":")[0]
    fixes = [*guide.fixes, *_general_fixes(kind, guide.http_answers)]
    answers = [*guide.answers, *(HTTP_ANSWERS if guide.http_answers else ()), *ANSWERS[: 0 if kind in _LOCAL else None]]
    return page_of(
        f"# {guide.title}",
        f"`type: {kind}` · {guide.guarantee} · [all destinations](README.md)",
        *([f"Needs an extra: `{pip_install(guide.extra)}`."] if guide.extra else []),
        "## What to create there",
        "\n".join(f"{number}. {step}" for number, step in enumerate(guide.create, 1)),
        f"*Least rights.* {guide.rights}",
        "## What to write",
        f"```yaml\ndestinations:\n{_indented(guide.block)}```",
        f"A source then has `destination: {name}`, or has it in a list of several. To try it: "
        f"`flicker test-destination {name}`.",
        "## The guarantee",
        f"**{guide.guarantee[0].upper()}{guide.guarantee[1:]}**: {guide.bound.rstrip('.')}.",
        "## Where things are",
        table(
            ["what", "where, or how much"],
            [
                ["a request holds", guide.body],
                ["the event's id", guide.identity],
                ["its time", guide.time],
                ["limits", limits_of(record)],
            ],
        ),
        "To find an event again, here that of the block above (`EVENT_UID` stands for its id, `MARK` for a text in it; "
        "`flicker test-destination` prints this line with the ones of its event):",
        f"```\n{pasted(record).search_for('EVENT_UID', mark='MARK')}\n```",
        "## What becomes of events",
        table(["answer", "what becomes of the events"], [list(row) for row in answers]),
        *(["## Good to know", "\n".join(f"- {note}" for note in guide.notes)] if guide.notes else []),
        "## When it is refused",
        "`flicker test-destination`, the run's page and `flicker status` say what was answered. What it means:",
        table(["it says", "do this"], [[code(fix.said), fix.do] for fix in fixes]),
        "## All keys",
        *[part for group in key_groups(record) for part in _group(group)],
        f"*Tested against* {guide.tested}.",
    )


def _general_fixes(kind: str, is_http: bool) -> list[Fix]:
    if kind in _LOCAL:
        return []
    shown = (*_SHOWN_FIXES, *(_SHOWN_HTTP_FIXES if is_http else ()))
    own = {fix.said for fix in records()[kind].GUIDE.fixes}
    return [*(fix for fix in FIXES if fix.said in shown and fix.said not in own), UNSET]


def _group(group: KeyGroup) -> list[str]:
    more = " What they mean for an event: [fields](../fields.md)." if group.title == "`fields`" else ""
    return [f"### {group.title}", *([more.strip()] if more else []), key_table(group)]


def _indented(block: str) -> str:
    return "".join(f"  {line}\n" for line in block.rstrip().splitlines())


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text)
