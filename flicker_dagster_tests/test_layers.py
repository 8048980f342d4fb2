"""Lower floors never import higher ones, nothing heavy is imported on the way to a run, and no file is too long to be read."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import flicker_dagster

PACKAGE = Path(flicker_dagster.__file__).parent
REPOSITORY = PACKAGE.parent
MOST_LINES = 350

#: What each floor may import of the package, besides itself.
BASE = {
    "errors",
    "types",
    "times",
    "json_text",
    "json_paths",
    "json_scan",
    "json_items",
    "time_bounds",
    "failpoints",
    "printable",
    "lots",
    "lazy",
    "readers",
}
ALLOWED = {
    "errors": {"printable"},
    "types": set(),
    "lots": {"json_scan", "lazy"},
    "lazy": set(),
    "readers": set(),
    "times": {"errors"},
    "json_text": set(),
    "printable": set(),
    "json_paths": set(),
    "json_scan": {"json_text"},
    "json_items": {"json_scan"},
    "time_bounds": {"times"},
    "failpoints": {"errors"},
    "config": BASE,
    "transport": BASE | {"config"},
    "collect": BASE | {"config", "transport"},
    "infer": BASE | {"config", "transport", "collect"},
    "deliver": BASE | {"config", "transport"},
    "state": BASE | {"config", "transport"},
    "pipeline": BASE | {"transport", "config", "collect", "deliver", "state"},
    "simulator": {"errors", "times"},
    "report": BASE | {"config", "state", "pipeline"},
    "orchestration": BASE | {"transport", "config", "collect", "deliver", "state", "pipeline"},
    "web": BASE | {"config", "orchestration"},
    "definitions": BASE | {"config", "orchestration"},
}
DAGSTER_FREE = ("config", "transport", "collect", "infer", "deliver", "state", "pipeline")
HEAVY = ("pandas", "numpy", "boto3", "dagster_aws")


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _floor(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_floor_and_lower_ones(path: Path) -> None:
    floor = _floor(path)
    if floor not in ALLOWED:  # cli stands on top; the package's own __init__ imports nothing
        return
    used = {name.split(".")[1] for name in _imports(ast.parse(path.read_text())) if name.startswith("flicker_dagster.")}
    assert used - {floor} <= ALLOWED[floor]


@pytest.mark.parametrize("floor", DAGSTER_FREE)
def test_the_lower_floors_load_without_dagster_pandas_or_boto3(floor: str) -> None:
    modules = [
        ".".join(["flicker_dagster", *path.relative_to(PACKAGE).with_suffix("").parts])
        for path in _modules()
        if _floor(path) == floor and path.stem != "__init__"
    ]
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules!r}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dagster", *HEAVY} & set(loaded)


def test_the_code_location_loads_nothing_heavy_on_the_way_to_a_run() -> None:
    code = (
        "import sys, flicker_dagster.definitions, flicker_dagster.orchestration.ops, flicker_dagster.pipeline.fetch;"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(HEAVY) & set(loaded)


def _written_files() -> Iterator[Path]:
    """All Python and YAML of the repository; what tools leave there is in hidden folders, `build` and `dist`."""
    for folder, folders, names in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("build", "dist")]
        yield from (Path(folder, name) for name in names if name.endswith((".py", ".yaml", ".yml")))


def test_no_file_is_over_350_lines() -> None:
    """A file has one subject; what is longer has two, and is two files."""
    lines = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in _written_files()}
    assert {"flicker_dagster_tests/test_layers.py", "flicker_dagster/config/presets/okta.yaml"} <= lines.keys()
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}
