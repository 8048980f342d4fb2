"""Records are made ready to be read before threads read them: half-made ones end the process (msgspec 0.22)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flicker_dagster

ROOT = Path(flicker_dagster.__file__).parent

#: Three threads read a record that nobody has read before, many times over; `{make}` makes it.
RACE = """
import sys, threading
import msgspec
from flicker_dagster.collect.paths import Reader
from flicker_dagster.readers import ready
sys.setswitchinterval(1e-6)
for number in range(1_500):
    record = {make}
    raw = {{f"key{{i}}": 1 for i in range(30)}} | {{"inner": {{"one": 1}}}}
    gate = threading.Barrier(3)
    def read():
        gate.wait()
        msgspec.convert(raw, record)
    threads = [threading.Thread(target=read) for _ in range(3)]
    for each in threads: each.start()
    for each in threads: each.join()
"""
STRUCT = """msgspec.defstruct(f"R{number}", [(f"key{i}", int, 0) for i in range(30)] + [
        ("inner", msgspec.defstruct(f"I{number}", [("one", int | None, None), ("two", int | None, None)]) | None, None)])"""
PATHS = """Reader({f"key{i}": int for i in range(30)} | {"inner.one": int, "inner.two": int}, f"R{number}").type"""


@pytest.mark.parametrize("make", [f"ready({STRUCT})", PATHS], ids=["a record", "fields of events"])
def test_threads_that_read_a_new_record_at_once_do_not_end_the_process(make: str) -> None:
    done = subprocess.run([sys.executable, "-c", RACE.format(make=make)], check=False, timeout=300)
    assert done.returncode == 0


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _made_ready(trees: list[ast.Module]) -> set[str]:
    """Names of records that are made with their module: decorated by `ready`, or read by a reader of the module."""
    found = set()
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(each) == "ready" for each in node.decorator_list):
                found.add(node.name)
            for call in (
                each for each in ast.walk(node) if isinstance(node, ast.Assign) and isinstance(each, ast.Call)
            ):
                if _called(call) in ("reader", "msgspec.json.Decoder") and call.args:
                    found |= {each.id for each in ast.walk(call.args[0]) if isinstance(each, ast.Name)}
    return found


def _read_late(tree: ast.Module, ready: set[str]) -> list[str]:
    """Calls that read what was not made ready."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if _called(call) == "msgspec.convert":
            kind = call.args[1]
        elif _called(call) in ("msgspec.json.decode", "msgspec.yaml.decode"):
            kind = next((each.value for each in call.keywords if each.arg == "type"), ast.Constant(None))
        else:
            continue
        names = {each.id for each in ast.walk(kind) if isinstance(each, ast.Name)}
        if not names <= ready | {"str", "int", "list", "dict", "msgspec"}:
            found.append(f"line {call.lineno}: {ast.unparse(call)}")
    return found


def test_every_record_of_the_package_is_made_ready_with_its_module() -> None:
    trees = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
    # `Tally.of` reads its own class, and `table` what the modules of schemas and mappings define.
    ready = _made_ready(list(trees.values())) | {"cls", "kind"}
    assert {"Tally", "Holder", "Document", "EcsTable", "OcsfTable", "Preset"} <= ready
    late = {str(path.relative_to(ROOT)): found for path, tree in trees.items() if (found := _read_late(tree, ready))}
    assert not late


def test_what_is_read_late_is_found() -> None:
    tree = ast.parse("found = msgspec.json.decode(data, type=_Line)\nother = msgspec.convert(raw, dict[str, str])")
    assert _read_late(tree, {"Tally"}) == ["line 1: msgspec.json.decode(data, type=_Line)"]
    assert _read_late(tree, {"_Line"}) == []
