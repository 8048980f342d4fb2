"""The block of a source that a preset makes: with a comment for whatever a person has to know, ready to paste."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import yaml

from flicker_dagster.config.layers import params_in
from flicker_dagster.config.vendors import Param, Preset

#: Of a parameter that is optional.
NOT_NEEDED = "need not be given"

#: Comments above a key are broken here.
WIDEST = 72


def usual_streams(preset: Preset) -> list[str]:
    """The streams that are collected where a source names none."""
    return [name for name, stream in preset.streams.items() if stream.usual]


def ways_to_sign(preset: Preset) -> list[list[str]]:
    """The preset's ways to sign, the usual one first: of each the parameters that no other key of the preset has."""
    rest = {key: value for key, value in preset.source.items() if key != "auth"}
    shared = {*params_in(rest), *(name for each in preset.streams.values() for name in params_in(each.source))}
    ways = [preset.source.get("auth"), *preset.other_auth]
    return [[name for name in preset.params if name in set(params_in(way)) - shared] for way in ways]


def params_needed(preset: Preset, streams: Sequence[str] | None = None, given: Collection[str] = ()) -> list[str]:
    """The parameters on which these streams rest (or the usual ones), as the preset lists them: with those of the usual way
    to sign, or of another one that some of the `given` are for."""
    usual, *others = ways_to_sign(preset)
    way = next((each for each in others if (set(each) - set(usual)) & set(given)), usual)
    chosen = usual_streams(preset) if streams is None else streams
    if not preset.streams or not chosen:
        chosen = [preset.alone] if preset.alone is not None else []
    rest = {key: value for key, value in preset.source.items() if key != "auth"}
    auth = params_in(preset.source.get("auth")) if way is usual else params_in(preset.other_auth[others.index(way)])
    used = {*auth, *params_in(rest), *(name for each in chosen for name in params_in(preset.streams[each].source))}
    return [name for name in preset.params if name in used]


def variable_of(preset: Preset, name: str) -> str:
    """The reference that a block has for a secret: that of the parameter's example, or one named after the vendor."""
    example = preset.params[name].example
    return example if example.startswith("${") else f"${{{_upper(preset.vendor)}_{_upper(name)}}}"


def block_of(
    preset: Preset,
    *,
    name: str | None = None,
    given: Mapping[str, str] | None = None,
    streams: Sequence[str] | None = None,
    destination: Any = "NAME",
) -> str:
    """An entry of `api_sources`. A parameter that is not `given` stands as a variable where it is secret, else as its
    example; one that is not required, or that none of the streams needs, is a comment. So are streams that are not chosen."""
    chosen = usual_streams(preset) if streams is None else list(streams)
    lines = [f"- name: {scalar(name or preset.vendor.replace('_', '-'))}", f"  vendor: {preset.vendor}"]
    lines += [f"  {line}" for line in _params(preset, given or {}, params_needed(preset, chosen, given or ()))]
    lines += [f"  {line}" for line in _streams(preset, chosen)]
    lines.append(f"  destination: {scalar(destination)}")
    return "".join(f"{line}\n" for line in lines)


def scalar(value: Any) -> str:
    """A value as YAML writes it on one line; what no terminal may show, spelt out."""
    text = _flow(value, allow_unicode=True)
    return text if text.isprintable() else _flow(value, allow_unicode=False)


def _flow(value: Any, *, allow_unicode: bool) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=100_000, allow_unicode=allow_unicode, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def comment(words: str, *, width: int = WIDEST) -> list[str]:
    """Words as lines of a comment."""
    return [f"# {line}" for line in textwrap.wrap(" ".join(words.split()), width, break_long_words=False)]


def _params(preset: Preset, given: Mapping[str, str], needed: list[str]) -> Iterator[str]:
    if not preset.params:
        return
    set_here = [name for name in preset.params if name in given or _must(preset.params[name], name in needed)]
    yield "params:" if set_here else "# params:"
    for name, param in preset.params.items():
        yield from (f"  {line}" for line in comment(_described(preset, name, param)))
        if name in set_here:
            yield f"  {name}: {scalar(given.get(name, _stands_for(preset, name)))}"
        else:
            shown = param.default if param.default is not None else _stands_for(preset, name)
            yield f"  # {name}: {scalar(shown)}"


def _must(param: Param, needed: bool) -> bool:
    return needed and param.required


def _described(preset: Preset, name: str, param: Param) -> str:
    words = param.description[:1].upper() + param.description[1:].rstrip(".")
    if param.default is not None:
        return f"{words}; this is the default"
    if param.optional:
        return f"{words}; {NOT_NEEDED}"
    only = [stream for stream, each in preset.streams.items() if name in params_in(each.source)]
    everywhere = name in set(params_in(preset.source)) or len(only) == len(preset.streams)
    said = all(stream in words for stream in only)
    return words if everywhere or said else f"{words}; for {', '.join(only)}"


def _stands_for(preset: Preset, name: str) -> str:
    param = preset.params[name]
    return variable_of(preset, name) if param.secret or not param.example else param.example


def _streams(preset: Preset, chosen: list[str]) -> Iterator[str]:
    if not preset.streams:
        return
    if not chosen:
        yield from comment("Without streams it is " + (preset.alone or "its own only stream"))
    yield "streams:" if chosen else "# streams:"
    widest = max(len(name) + (0 if name in chosen else 2) for name in preset.streams)
    for name, stream in preset.streams.items():
        item = f"- {name}" if name in chosen else f"# - {name}"
        yield f"  {item:<{widest + 4}}# {stream.title}"


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).upper()
