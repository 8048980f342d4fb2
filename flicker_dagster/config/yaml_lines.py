"""YAML with line numbers: plain data, and for every path in it the line it stands on."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.reader import ReaderError

MERGE = "tag:yaml.org,2002:merge"
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Document:
    """`data`, `lines` (path → line) and `problems`: (line, path, text) of what YAML would let pass or cannot read."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.lines: dict[str, int] = {}
        self.problems: list[tuple[int, str, str]] = []
        self._open: list[yaml.Node] = []
        self._loader = yaml.SafeLoader("")
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.problems.append((mark.line + 1 if mark else 1, "", f"not valid YAML: {_reason(error)}"))
        except ReaderError as error:
            line = text[: error.position].count("\n") + 1
            what = f"the character #x{ord(text[error.position]):04x} is not allowed"
            self.problems.append((line, "", f"not valid YAML: {what}"))
        else:
            if node is not None:
                self.lines[""] = node.start_mark.line + 1
                self.data = self._value(node, "")

    def _value(self, node: yaml.Node, path: str) -> Any:
        if any(node is outer for outer in self._open):
            self._problem(node, path, "refers to itself, expected an alias of something else")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            for index, item in enumerate(node.value):
                self.lines[f"{path}[{index}]"] = item.start_mark.line + 1
            return [self._value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        if node.tag == TIMESTAMP:  # a date is text to us; YAML would make an object of it
            return node.value
        try:
            return self._loader.construct_object(node)
        except yaml.MarkedYAMLError:
            self._problem(node, path, f"found the tag {node.tag!r}, expected plain text, numbers, lists and mappings")
        except ValueError:  # such as 0x or 1__ where YAML 1.1 sees a number
            return node.value
        return None

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:  # merged keys first: where one is also given, the line is that of the given one
                merged = self._merged(value_node, path) | merged
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "found a list or mapping as a key, expected text")
                continue
            key = self._scalar(key_node, path)
            inner = f"{path}.{key}" if path else str(key)
            if key in own:
                self._problem(key_node, inner, f"given twice; the first is on line {self.lines[inner]}")
                continue
            self.lines[inner] = key_node.start_mark.line + 1
            own[key] = self._value(value_node, inner)
        return merged | own

    def _merged(self, node: yaml.Node, path: str) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        for each in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(each, yaml.MappingNode):
                found = self._value(each, path)
                merged = (found if isinstance(found, dict) else {}) | merged
            else:
                self._problem(each, f"{path}.<<" if path else "<<", "expected the alias of a mapping, such as *shared")
        return merged

    def _problem(self, node: yaml.Node, path: str, what: str) -> None:
        self.problems.append((node.start_mark.line + 1, path, what))


def _reason(error: yaml.MarkedYAMLError) -> str:
    what = error.problem or error.context or "cannot be read"
    if what.startswith("but ") and error.context:
        what = f"{error.context}, {what}"
    if "\\t" in what:
        what += "; indent with spaces, YAML takes no tabs"
    if what.endswith("but got '{'"):
        what += "; a ${…} between { and } needs quotes"
    return what
