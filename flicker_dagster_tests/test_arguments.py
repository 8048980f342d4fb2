"""A function takes what it reads, not the whole configuration of a source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flicker_dagster

PACKAGE = Path(flicker_dagster.__file__).parent

#: Whoever reads no more of a source than this takes just that, or a record of it.
MOST_READ = 5

#: These check the keys of sources against each other while a file is loaded: sources as they are written are their subject.
OF_LOADING = {"config/check.py", "config/spans.py", "config/extras.py", "config/accounts.py"}

#: What a source makes of itself as a whole; and so does whatever pydantic calls `model_…`.
MADE_OF_THE_WHOLE = {"as_stream", "within", "written"}
_WHOLE = "the whole"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if str(path.relative_to(PACKAGE)) not in OF_LOADING]


def narrower_arguments(text: str) -> list[str]:
    """Every function of a module that takes a source and reads a few of its attributes only; with which ones."""
    tree = ast.parse(text)
    methods = {method: owner for owner in ast.walk(tree) if isinstance(owner, ast.ClassDef) for method in owner.body}
    found: list[str] = []
    for function in ast.walk(tree):
        if not isinstance(function, Function):
            continue
        for argument in _sources(function):
            read = _read_of(function, argument)
            kept = _kept_as(function, argument)
            if kept is not None and kept.startswith("_"):
                read = read | _read_of(methods[function], f"self.{kept}")
            elif kept is not None:
                continue  # whoever holds the object reads it
            if _WHOLE not in read and len(read) <= MOST_READ:
                found.append(f"{function.name}({argument}) in line {function.lineno} reads {sorted(read)}")
    return found


def _sources(function: Function) -> Iterator[str]:
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        said = "" if argument.annotation is None else ast.unparse(argument.annotation).strip("'\"")
        if said.removesuffix(" | None") == "SourceConfig":
            yield argument.arg


def _read_of(tree: ast.AST, name: str) -> set[str]:
    """The attributes that are read of a name; _WHOLE where it is also used by itself: passed on, returned, compared."""
    inner = {id(node.value): node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    uses = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node) == name
    ]
    kept = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign) and _attributes(node)}
    read = {inner.get(id(use), _WHOLE) for use in uses if id(use) not in kept}
    return {_WHOLE if each in MADE_OF_THE_WHOLE or each.startswith("model_") else each for each in read}


def _kept_as(function: Function, name: str) -> str | None:
    """The attribute under which a constructor keeps its argument."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name:
            for attribute in _attributes(node):
                return attribute
    return None


def _attributes(assigned: ast.Assign) -> list[str]:
    """The attributes of `self` that an assignment sets."""
    targets = [each for each in assigned.targets if isinstance(each, ast.Attribute)]
    return [each.attr for each in targets if isinstance(each.value, ast.Name) and each.value.id == "self"]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_takes_a_source_of_which_it_reads_a_little(path: Path) -> None:
    assert narrower_arguments(path.read_text()) == []


def test_the_modules_of_loading_are_there() -> None:
    assert all((PACKAGE / name).is_file() for name in OF_LOADING)


@pytest.mark.parametrize(
    "body",
    [
        "def f(source: SourceConfig): return source.name",
        "def f(a, *, source: SourceConfig | None): return source.name, source.lanes",
        "def f(source: 'SourceConfig'): return [source.a, source.b, source.c, source.d, source.e.f.g, source.e.h]",
        "def f(source: SourceConfig):\n    def g(): return source.name\n    return g",
        "class C:\n    def f(self, source: SourceConfig): self._source = source\n    def g(self): return self._source.name",
        "def f(source: SourceConfig): pass",
    ],
)
def test_a_function_that_reads_a_little_of_a_source_is_found(body: str) -> None:
    (found,) = narrower_arguments(body)
    assert found.startswith("f(source) in line")


@pytest.mark.parametrize(
    "body",
    [
        "def f(source: SourceConfig): return g(source)",
        "def f(source: SourceConfig): return source.name, g(of=source)",
        "def f(source: SourceConfig): return source.model_copy(update={'limits': source.limits})",
        "def f(source: SourceConfig): return source.a, source.b, source.c, source.d, source.e, source.f",
        "def f(sources: list[SourceConfig]): return [source.name for source in sources]",
        "def f(name: str): return name.upper",
        "class C:\n    def f(self, source: SourceConfig): self.source = source",
        "class C:\n    def f(self, source: SourceConfig): self._source = source\n    def g(self): return h(self._source)",
    ],
)
def test_a_function_that_reads_much_of_a_source_or_passes_it_on_is_none(body: str) -> None:
    assert narrower_arguments(body) == []
