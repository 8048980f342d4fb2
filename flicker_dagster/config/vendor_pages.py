"""The pages of `docs/vendors`, made from the presets.

`python -m flicker_dagster.config.vendor_pages docs/vendors` renews those of the vendors; `README.md`, which also says what is
run in the tests, is made by `flicker_dagster_tests.catalogue.page`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flicker_dagster.config.markdown import page_of, table
from flicker_dagster.config.vendor_blocks import NOT_NEEDED, block_of, params_needed
from flicker_dagster.config.vendor_facts import facts_of
from flicker_dagster.config.vendor_guides import how_collected, steps_of, streams_of_guide
from flicker_dagster.config.vendors import Param, Preset, presets


def pages() -> dict[str, str]:
    """The page of every vendor by its file's name."""
    return {f"{name}.md": page(preset) for name, preset in sorted(presets().items())}


def vendor_table() -> str:
    """All vendors, with links to their pages."""
    rows = []
    for name, preset in sorted(presets().items()):
        facts = facts_of(preset)
        rows.append(
            [
                f"[`{name}`]({name}.md)",
                preset.title,
                str(facts.streams),
                facts.auth,
                facts.retention,
                facts.lag,
                facts.axis,
            ]
        )
    return table(["vendor", "title", "streams", "auth", "retention", "lag", "axis"], rows)


def page(preset: Preset) -> str:
    block = "".join(f"  {line}\n" for line in block_of(preset).splitlines())
    streams = streams_of_guide(preset)
    return page_of(
        f"# {preset.title}",
        f"`vendor: {preset.vendor}` · [the vendor's documentation]({preset.docs}) · [all vendors](README.md)",
        *_section(
            "What to create there", "\n".join(f"{n}. {step}" for n, step in enumerate(steps_of(preset.create), 1))
        ),
        *_section("Least rights", _bullets(preset.rights)),
        "## What to write",
        f"```yaml\napi_sources:\n{block}```",
        f"`NAME` is a destination ([all of them](../destinations/README.md)). `flicker add {preset.vendor}` asks for what is "
        "needed, writes the block and tests it; `flicker test SOURCE` asks once and says what is missing.",
        *_params(preset),
        *_streams(preset),
        "## How it is collected",
        table(["what", "how"], [list(row) for row in how_collected(streams[0].source)]),
        *_section("Limits", " ".join(preset.limits.split())),
        *_section("What comes how late", " ".join(preset.lag.split())),
        *_section("Good to know", _bullets(preset.notes)),
        *_section("Where it goes wrong without the preset", _traps(preset)),
    )


def _section(title: str, words: str) -> list[str]:
    return [f"## {title}", words] if words else []


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {' '.join(item.split())}" for item in items)


def _params(preset: Preset) -> list[str]:
    if not preset.params:
        return []
    needed = params_needed(preset)
    rows = [
        [
            f"`{name}`",
            param.description,
            "secret" if param.secret else "",
            f"`{param.example}`" if param.example and not param.secret else "",
            _default(param, needed=name in needed),
        ]
        for name, param in preset.params.items()
    ]
    return ["## Parameters", table(["`params`", "what it is", "", "such as", "default"], rows)]


def _default(param: Param, *, needed: bool) -> str:
    if param.default is not None:
        return f"`{param.default}`"
    return NOT_NEEDED if param.optional else "required" if needed else ""


def _streams(preset: Preset) -> list[str]:
    if not preset.streams:
        return []
    rows = [
        [f"`{each.name}`", each.title, "yes" if each.usual else "where it is named"]
        for each in streams_of_guide(preset)
    ]
    return ["## Streams", table(["stream", "what it lists", "collected"], rows)]


def _traps(preset: Preset) -> str:
    if not preset.traps:
        return ""
    return table(
        ["key", "what happens"],
        [[f"`{key}`" if key else "any", " ".join(words.split())] for key, words in preset.traps.items()],
    )


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text)
