"""YAML with line numbers: plain data, and for every path in it the line it stands on."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from flicker_dagster.config.yaml_nodes import compose

_TAG = "tag:yaml.org,2002:"
MERGE = f"{_TAG}merge"
#: Plain text to us. YAML would make an object of a date, and has no word for `=` and a `<<` that is no key.
_TEXTS = frozenset({f"{_TAG}{name}" for name in ("str", "timestamp", "value", "merge")})
_PLAIN = frozenset({f"{_TAG}{name}" for name in ("int", "float", "bool", "null")})
_COLLECTIONS = frozenset({f"{_TAG}{name}" for name in ("map", "seq")})

#: No number that means anything is longer, and Python takes the square of its length to read one.
MAX_NUMBER_CHARS = 40
MAX_KEY_CHARS = 200
#: The line of what has a longer path is not kept: a long key over a long list would take gigabytes.
MAX_PATH_CHARS = 500

#: What a quoted text can hold by an escape and no name, URL, header or path may. Tabs and line breaks are let pass.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Document:
    """`data`, `lines` (path → line) and `problems`: (line, path, text) of what YAML would let pass or cannot read."""

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.lines: dict[str, int] = {}
        self.problems: list[tuple[int, str, str]] = []
        self._loader = yaml.SafeLoader("")
        try:
            node = compose(text)
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
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _COLLECTIONS:
            self._tag(node, path)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        for index, item in enumerate(node.value):
            self._stands(f"{path}[{index}]", item)
        return [self._value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        if node.tag not in _TEXTS | _PLAIN:
            self._tag(node, path)
            return None
        if control := _CONTROL.search(node.value):
            what = f"found the character #x{ord(control[0]):04x}, expected text without control characters"
            self._problem(node, path, what)
            return None
        if node.tag in _TEXTS or len(node.value) > MAX_NUMBER_CHARS:
            return node.value
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError):  # such as 0x or 1__ where YAML 1.1 sees a number, or !!bool with any word
            return node.value

    def _tag(self, node: yaml.Node, path: str) -> None:
        self._problem(node, path, f"found the tag {node.tag!r}, expected plain text, numbers, lists and mappings")

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[Any, Any]:
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:  # merged keys first: where one is also given, the line is that of the given one
                merged = self._merged(value_node, path) | merged
        own: dict[Any, Any] = {}
        first: dict[Any, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "found a list or mapping as a key, expected text")
                continue
            if len(key_node.value) > MAX_KEY_CHARS:
                what = f"found a key of {len(key_node.value)} characters, expected {MAX_KEY_CHARS} at most"
                self._problem(key_node, path, what)
                continue
            key = self._scalar(key_node, path)
            inner = f"{path}.{key}" if path else str(key)
            if key in own:
                self._problem(key_node, inner, f"given twice; the first is on line {first[key]}")
                continue
            first[key] = key_node.start_mark.line + 1
            self._stands(inner, key_node)
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

    def _stands(self, path: str, node: yaml.Node) -> None:
        if len(path) <= MAX_PATH_CHARS:
            self.lines[path] = node.start_mark.line + 1

    def _problem(self, node: yaml.Node, path: str, what: str) -> None:
        self.problems.append((node.start_mark.line + 1, path, what))


#: What PyYAML's words mean to somebody who does not know its tokens.
_MEANT = (
    ("\\t", "indent with spaces, YAML takes no tabs"),
    ("but got '{'", "a ${…} between { and } needs quotes"),
    ("'<stream end>'", "a bracket or brace was not closed above"),
    ("but found '<scalar>'", "a quote within a quoted value is written twice"),
    ("expected <block end>", "this line begins in another column than its neighbours, or a dash or colon is missing"),
    (
        "mapping values are not allowed here",
        "a value that holds ': ' needs quotes, or the line begins in a wrong column",
    ),
    ("could not find expected ':'", "a key needs ': ' behind it, or a quote was not closed above"),
    ("found unexpected end of stream", "a quote was not closed above"),
    ("cannot start any token", "a value that begins with this character needs quotes"),
)


def _reason(error: yaml.MarkedYAMLError) -> str:
    what = _shortened(error.problem or error.context or "cannot be read")
    if what.startswith("but ") and error.context:
        what = f"{error.context}, {what}"
    meant = next((meaning for words, meaning in _MEANT if words in what), None)
    return f"{what}; {meant}" if meant else what


def _shortened(what: str) -> str:
    """PyYAML quotes names of any length."""
    return what if len(what) <= 200 else f"{what[:150]}…"
