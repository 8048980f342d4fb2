"""The configuration reference of the README, made from the models: `python -m flicker_dagster.config.reference README.md`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flicker_dagster.config import vocabulary
from flicker_dagster.config.destinations import records
from flicker_dagster.config.destinations.base import DestinationRecord, FieldRules
from flicker_dagster.config.destinations.http import AcceptedWhen, BodyHash, HttpDestination
from flicker_dagster.config.groups import (
    FieldFilter,
    Limits,
    Pagination,
    RetryConfig,
    SweepConfig,
    WindowConfig,
)
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.rate_limit import RateLimit, RequestBudget
from flicker_dagster.config.records import Record, Tls
from flicker_dagster.config.shape import options, records_in, takes_any_auth
from flicker_dagster.printable import visible

BEGIN, END = "<!-- configuration reference: made by `make reference` -->", "<!-- end of the reference -->"

SECTIONS: list[tuple[str, type[Record]]] = [
    ("A source (an entry of `api_sources`)", SourceConfig),
    ("`pagination`", Pagination),
    ("A destination of any type (`destination`, or an entry of `destinations`)", DestinationRecord),
    ("`destination` of type `http`, beside those keys", HttpDestination),
    ("`hmac`, in a destination of type `http`", BodyHash),
    ("`accepted_when`, in a destination of type `http`", AcceptedWhen),
    ("`fields`, in a destination", FieldRules),
    ("`retry`, at the top or in a source", RetryConfig),
    ("`window`", WindowConfig),
    ("`sweep`", SweepConfig),
    ("`rate_limit`", RateLimit),
    ("An entry of `rate_limit.budgets`", RequestBudget),
    ("`limits`", Limits),
    ("`tls`, in a source or a destination", Tls),
    ("An entry of `match_on` or `exclude_on` (or just the regular expression)", FieldFilter),
]


def reference() -> str:
    """The reference as Markdown: one table per record."""
    return "\n\n".join(_section(*section) for section in SECTIONS)


def _section(title: str, record: type[Record]) -> str:
    common = DestinationRecord.model_fields if issubclass(record, DestinationRecord) else {}
    rows = [
        f"| `{name}` | {default_of(field)} | {_meaning(name, field)} |"
        for name, field in record.model_fields.items()
        if record is DestinationRecord or name not in common
    ]
    types = [_types(), ""] if record is DestinationRecord else []
    return "\n".join([f"### {title}", "", *types, "| key | default | meaning |", "|---|---|---|", *rows])


def _types() -> str:
    """Every type, with the page of its keys."""
    pages = ", ".join(f"[`{kind}`](docs/destinations/{kind}.md)" for kind in records())
    return "\n".join(
        textwrap.wrap(
            f"Each type has a page with its own keys, what to create there and what is promised: {pages}.",
            120,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _meaning(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    words = options(field.annotation)
    said = f"{meaning}: {', '.join(f'`{word}`' for word in words)}" if words else meaning
    if takes_any_auth(field):
        return f"{said}; all ways are in [docs/auth.md](docs/auth.md)"
    if any(record.__module__ == vocabulary.__name__ for record in records_in(field.annotation)):
        return f"{said}; its keys are in [docs/vocabulary.md](docs/vocabulary.md#{name})"
    return f"{said}, see below" if _has_section(field) else said


def _has_section(field: FieldInfo) -> bool:
    """Do the keys that stand under this one have a table of their own?"""
    return any(record in (shown for _, shown in SECTIONS) for record in records_in(field.annotation))


def default_of(field: FieldInfo) -> str:
    """A key's default as the reference shows it; empty where there is none to tell."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if default is None or default is PydanticUndefined or isinstance(default, Record) or default in ({}, []):
        return ""
    if default == "":
        return '`""`'
    return f"`{str(default).lower() if isinstance(default, bool) else visible(str(default))}`"


def put_into(text: str) -> str:
    """A README with its reference renewed. Raises ValueError where the marks are missing."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:begin]}\n\n{reference()}\n\n{text[end:]}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    readme.write_text(put_into(readme.read_text()))
