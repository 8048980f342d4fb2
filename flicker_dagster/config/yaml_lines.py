"""YAML with line numbers: plain data, and for every path in it the line it stands on."""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class Document:
    """`data`, `lines` (path → line) and `problems` ((line, text) for what YAML itself would let pass or cannot read)."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.lines: dict[str, int] = {}
        self.problems: list[tuple[int, str]] = []
        self._loader = yaml.SafeLoader("")
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = error.problem or error.context or "cannot be read"
            hint = "; indent with spaces, YAML takes no tabs" if "\\t" in what else ""
            self.problems.append((mark.line + 1 if mark else 1, f"not valid YAML: {what}{hint}"))
            return
        except yaml.YAMLError as error:
            self.problems.append((1, f"not valid YAML: {error}"))
            return
        if node is not None:
            self.lines[""] = node.start_mark.line + 1
            self.data = self._value(node, "")

    def _value(self, node: yaml.Node, path: str) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[f"{path}[{index}]"] = item.start_mark.line + 1
            return [self._value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        if node.tag == TIMESTAMP:  # a date is text to us; YAML would make an object of it
            return node.value
        try:
            return self._loader.construct_object(node)
        except yaml.YAMLError as error:
            self.problems.append((node.start_mark.line + 1, f"{path}: cannot be read: {error}"))
            return None

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == MERGE:
                for each in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    merged = self._value(each, path) | merged
                continue
            key = self._loader.construct_object(key_node)
            inner = f"{path}.{key}" if path else str(key)
            if key in own:
                self.problems.append((line, f"{inner}: given twice; the first is on line {self.lines[inner]}"))
                continue
            self.lines[inner] = line
            own[key] = self._value(value_node, inner)
        return merged | own
