"""One entry of `api_sources` as the streams it stands for: chosen from its preset's, or written out by hand."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from flicker_dagster.config.explain import one_of, suggestion
from flicker_dagster.config.layers import fill_params, lay_beneath, merged_keys
from flicker_dagster.config.shown import shown
from flicker_dagster.config.vendors import GENERIC, Preset, presets, recognise
from flicker_dagster.config.whole_file import Overrule

#: From a path of the file and what is wrong there.
Trouble = Callable[[str, str], None]


def streams_of(raw: dict[str, Any], path: str, trouble: Trouble) -> list[tuple[str, dict[str, Any], list[Overrule]]]:
    """The streams of a source as the user wrote it: name (empty where the source is its only stream), keys with the preset's
    beneath and its parameters filled in, and what was overruled. Faults are told to `trouble`."""
    raw = dict(raw)
    preset = _preset(raw, path, trouble)
    chosen = _chosen(raw.pop("streams", None), preset, f"{path}.streams", trouble)
    given = _given(raw.pop("params", None), preset, f"{path}.params", trouble)
    found: list[tuple[str, dict[str, Any], list[Overrule]]] = []
    for stream, own in chosen.items():
        above = merged_keys(raw, own)
        if preset is None:
            found.append((stream, above, []))
            continue
        beneath = stream if stream in preset.streams else preset.alone
        merged, overruled = lay_beneath(preset, above, name=str(raw.get("name", path)), stream=beneath, given=given)
        told: set[str] = set()

        def tell(name: str, what: str, told: set[str] = told) -> None:
            if name not in told:
                told.add(name)
                trouble(f"{path}.params.{name}", what)

        found.append((stream, fill_params(merged, preset.params, given, tell), overruled))
    return found


def _chosen(written: Any, preset: Preset | None, path: str, trouble: Trouble) -> dict[str, dict[str, Any]]:
    """The streams that a source has, each with the keys that the user wrote for it alone."""
    known = preset.streams if preset is not None else {}
    if written is None:
        if not known or (preset is not None and preset.alone is not None):
            return {"": {}}
        return {name: {} for name, stream in known.items() if stream.usual}
    if isinstance(written, list) and all(isinstance(each, str) for each in written):
        written = dict.fromkeys(written)
    if not isinstance(written, dict) or not written:
        trouble(path, "expected a list of names, or a mapping of names to keys of a source")
        return {"": {}} if not known or (preset is not None and preset.alone is not None) else {next(iter(known)): {}}
    found: dict[str, dict[str, Any]] = {}
    for name, own in written.items():
        if known and name not in known:
            trouble(f"{path}.{name}", f"found {shown(name)}, expected {one_of(known)}{suggestion(name, known)}")
        elif own is not None and not isinstance(own, dict):
            trouble(f"{path}.{name}", f"found {shown(own)}, expected keys of a source for this stream")
        else:
            found[str(name)] = own or {}
    alike = [name for name, own in found.items() if not own]
    if not known and len(alike) > 1:
        trouble(
            path,
            f"{' and '.join(map(shown, alike[:2]))} would ask for the same, expected a mapping of names to keys of a source "
            "(endpoint, query_params …): no preset says here what tells them apart",
        )
    return found or {"": {}}


def _given(written: Any, preset: Preset | None, path: str, trouble: Trouble) -> dict[str, Any]:
    if written is None:
        return {}
    if not isinstance(written, dict):
        trouble(path, f"found {shown(written)}, expected a mapping of the preset's parameters")
        return {}
    if preset is None:
        trouble(path, "has no meaning without a preset: expected vendor, the name of one (`flicker vendors`)")
        return {}
    for name in written:
        if name not in preset.params:
            known = list(preset.params)
            expected = f"{one_of(known)}{suggestion(name, known)}" if known else "none: this preset has no parameters"
            trouble(f"{path}.{name}", f"unknown parameter of {preset.vendor}, expected {expected}")
    return {name: value for name, value in written.items() if value is not None}


def _preset(raw: dict[str, Any], path: str, trouble: Trouble) -> Preset | None:
    vendor = raw.get("vendor")
    if vendor == GENERIC:
        return None
    if not isinstance(vendor, str) or vendor in presets():
        return recognise(raw)
    known = [GENERIC, *presets()]
    near = suggestion(vendor, known)
    trouble(f"{path}.vendor", f"found {vendor!r}, expected the name of a preset (`flicker vendors` lists them){near}")
    probable = difflib.get_close_matches(vendor, presets(), n=1)
    return presets()[probable[0]] if probable else None  # keys that the preset gives are not missing then
