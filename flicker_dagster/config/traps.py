"""What goes wrong with sources that are written by hand for an API that a preset knows."""

from __future__ import annotations

from typing import Any

from flicker_dagster.config.models import SourceConfig
from flicker_dagster.config.vendors import GENERIC, Preset, presets_at_host


def traps_of(source: SourceConfig) -> list[tuple[str, str]]:
    """What to say of a source without a preset, by key: that one knows its API, and what of it is known to go wrong there. A
    trap whose key says what the preset says is none."""
    presets = presets_at_host(source.endpoint) if source.vendor in (None, GENERIC) else []
    found = [("endpoint", _known(preset)) for preset in presets]
    if len(presets) != 1:  # of several on one host nobody knows which is meant
        return found
    [preset], written = presets, source.model_dump(exclude_unset=True)
    for key, words in preset.traps.items():
        own = _at(written, key)
        if not key or own is None or own != _at(preset.source, key):
            found.append((key or "endpoint", f"{preset.title}: {' '.join(words.split())}"))
    return found


def _known(preset: Preset) -> str:
    needed = [name for name, param in preset.params.items() if param.required]
    told = f", told {', '.join(needed)} under params" if needed else ""
    return f"`vendor: {preset.vendor}` knows this API{told}; see `flicker vendors show {preset.vendor}`"


def _at(keys: Any, path: str) -> Any:
    for name in path.split("."):
        keys = keys.get(name) if isinstance(keys, dict) else None
    return keys
