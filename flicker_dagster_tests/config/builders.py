"""Small configuration files, and what loading says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flicker_dagster.config.load import load_config
from flicker_dagster.config.whole_file import FlickerConfig
from flicker_dagster.errors import ConfigError

#: Lines 1 to 8 of most files here.
SOURCE = """api_sources:
  - name: one
    endpoint: https://api.example.com/events
    polling_frequency_ms: 30000
    timestamp_field: time
    destination:
      type: http
      endpoint: https://siem.example.com
"""

#: The same source without its destination: lines 1 to 5.
HEAD = SOURCE[: SOURCE.index("    destination")]


def without(key: str) -> str:
    """SOURCE without the first line that gives the key."""
    line = next(line for line in SOURCE.splitlines(keepends=True) if line.strip().startswith(f"{key}:"))
    return SOURCE.replace(line, "", 1)


def entry(name: str) -> str:
    """SOURCE as another entry of the list, of another name."""
    return SOURCE.removeprefix("api_sources:\n").replace("name: one", f"name: {name}")


def load(folder: Path, text: str, **env: str) -> FlickerConfig:
    """The configuration of a file with this text and these variables."""
    path = folder / "config.yaml"
    path.write_text(text)
    return load_config(str(path), env=env)


def faults(folder: Path, text: str, **env: str) -> list[str]:
    """The lines that loading gives, with the file's folder left out."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **env)
    return [line.removeprefix(f"{folder}/") for line in caught.value.problems]
