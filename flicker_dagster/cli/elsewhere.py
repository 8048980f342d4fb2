"""Commands that are imported when they are called: help, completion and the other commands need their names and a sentence."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from flicker_dagster.lazy import lazy


class Elsewhere(click.Command):
    """The command called `name` of the module that is called like it, in this package. `summary` is how its own help begins:
    a test compares them."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._prepare: list[Callable[[click.Command], None]] = []

    def when_loaded(self, prepare: Callable[[click.Command], None]) -> None:
        """Let `prepare` change the command before it is used."""
        self._prepare.append(prepare)

    @lazy
    def loaded(self) -> click.Command:
        """The command itself."""
        word = str(self.name).replace("-", "_")
        command: click.Command = getattr(import_module(f"{__package__}.{word}"), word)
        for prepare in self._prepare:
            prepare(command)
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """A context of the command itself, which click goes on with."""
        return self.loaded.make_context(info_name, args, parent, **extra)
