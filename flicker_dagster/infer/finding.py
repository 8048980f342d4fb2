"""What was found out about an API, each thing with how sure it is and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

#: A second answer has shown it; what was seen hardly allows anything else; nothing but a name or a custom speaks for it.
Sure = Literal["sure", "probable", "guess"]


class Finding(msgspec.Struct, frozen=True):
    """A key of a source (dotted), its value, how sure it is, and why."""

    key: str
    value: Any
    sure: Sure
    why: str


class Findings:
    """Findings by key; a later one of a key takes the place of the earlier."""

    def __init__(self, found: Iterable[Finding] = ()) -> None:
        self._found: dict[str, Finding] = {}
        for each in found:
            self.add(each)

    def add(self, finding: Finding) -> None:
        self._found[finding.key] = finding

    def note(self, key: str, value: Any, sure: Sure, why: str) -> None:
        self.add(Finding(key, value, sure, why))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def get(self, key: str) -> Finding | None:
        return self._found.get(key)

    def drop(self, *keys: str) -> None:
        for key in keys:
            self._found.pop(key, None)

    def source(self) -> dict[str, Any]:
        """A source of what is known so far."""
        return {"name": "inferred", **self.raw()}

    def raw(self) -> dict[str, Any]:
        """The keys as a source has them."""
        source: dict[str, Any] = {}
        for each in self._found.values():
            *above, last = each.key.split(".")
            inner = source
            for name in above:
                inner = inner.setdefault(name, {})
            inner[last] = each.value
        return source
