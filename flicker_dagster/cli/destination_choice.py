"""Which destination `flicker test-destination NAME` means."""

from __future__ import annotations

from dataclasses import dataclass

import click

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.explain import suggestion
from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.whole_file import FlickerConfig

#: The source of a destination that no source uses: what its events are called after.
UNUSED = "flicker-test"


@dataclass(frozen=True)
class Choice:
    """One destination, as the lane of a source. `where` is its place in the file."""

    name: str
    source: SourceConfig
    lane: str
    where: str
    is_used: bool = True

    @property
    def record(self) -> DestinationRecord:
        return self.source.lanes[self.lane]


def choices_of(config: FlickerConfig) -> list[Choice]:
    """Every destination of the configuration: the named ones, then the lanes of each source."""
    lanes = [
        Choice(
            f"{source.name}@{lane}" if lane else source.name,
            source,
            lane,
            source.line_of(f"destination[{number}]" if lane else "destination"),
        )
        for source in config.sources
        for number, lane in enumerate(source.lanes)
    ]
    return [_named(config, name, lanes) for name in config.destinations] + lanes


def chosen(config: FlickerConfig, name: str | None) -> Choice:
    """The destination of that name: one under `destinations`, SOURCE, SOURCE@LANE, or a lane's name or type where only one
    has it. Raises UsageError with the choices."""
    choices = choices_of(config)
    by_name = [choice for choice in choices if choice.name == name]
    if by_name:
        return by_name[0]
    alike = {_same(choice.record).model_dump_json(): choice for choice in reversed(choices) if name in _names(choice)}
    if len(alike) == 1:
        return next(iter(alike.values()))
    raise click.UsageError(_told(name, choices, list(alike.values())[::-1], config.path))


def _names(choice: Choice) -> set[str]:
    """By what else it may be called."""
    return {choice.source.name, choice.record.lane_name, choice.record.type}


def _same(record: DestinationRecord) -> DestinationRecord:
    """Without its lane's name: a named destination has one only where it stands in a list."""
    return record.model_copy(update={"name": None})


def _named(config: FlickerConfig, name: str, lanes: list[Choice]) -> Choice:
    """A named destination as the first source that uses it has it, or by itself where none does."""
    record, where = config.destinations[name], f"{config.path}:{config.line_of(f'destinations.{name}')}"
    for lane in lanes:
        if _same(lane.record) == _same(record):
            return Choice(name, lane.source, lane.lane, where)
    source = SourceConfig(
        name=UNUSED,
        endpoint="https://any.invalid",
        polling_frequency_ms=1_000,
        timestamp_field="time",
        destination=record,
    )
    before = f"destinations.{name}"
    lines = {f"destination{at[len(before) :]}": line for at, line in config.lines.items() if at.startswith(before)}
    return Choice(name, source.written(config.path, lines), "", where, is_used=False)


def _told(name: str | None, choices: list[Choice], several: list[Choice], path: str) -> str:
    names = list(dict.fromkeys(choice.name for choice in several or choices))
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    if name is None:
        return f"name a destination of {path}: {listed}"
    if several:
        return f"{name!r} may be several destinations of {path}: {listed}"
    return f"no destination {name!r} in {path}{suggestion(name, names)}; there are {listed}"
