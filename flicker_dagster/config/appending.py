"""A further source in a configuration file: the rest of it stays as it is, byte for byte."""

from __future__ import annotations

import re

import yaml

from flicker_dagster.config.yaml_lines import Document
from flicker_dagster.config.yaml_nodes import compose
from flicker_dagster.errors import FlickerError

#: A line with its end, as YAML counts lines.
_LINE = re.compile("[^\n\r\x85\u2028\u2029]*(?:\r\n|[\n\r\x85\u2028\u2029])|[^\n\r\x85\u2028\u2029]+$")


class CannotAppend(FlickerError):
    """The file is written in a way that nothing can be added to by a machine: somebody has to paste the block."""


def appended(text: str, block: str) -> str:
    """The text of a configuration with a block (an entry of `api_sources`, not indented) as the last of them. Raises
    CannotAppend; ConfigError is not raised: whether the whole is valid, the loader says."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if not text.strip():
        return _joined(text, _indented(block, 2, "api_sources:"), newline)
    before = Document(text).data
    try:
        root = compose(text)
    except yaml.YAMLError as error:
        raise CannotAppend(f"it is not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if before is None:
        return _joined(text, _indented(block, 2, "api_sources:"), newline)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise CannotAppend("it is no mapping in block style")
    new = _within(text, root, block, newline)
    _check(before, new, block)
    return new


def _within(text: str, root: yaml.MappingNode, block: str, newline: str) -> str:
    sources = next((value for key, value in root.value if getattr(key, "value", None) == "api_sources"), None)
    if sources is None:
        return _joined(text, _indented(block, 2, "api_sources:"), newline)
    if isinstance(sources, yaml.ScalarNode) and sources.tag.endswith(":null"):
        at, indent = sources.end_mark.line if sources.value else sources.start_mark.line, 2
    elif isinstance(sources, yaml.SequenceNode) and sources.value and not sources.flow_style:
        at, indent = _last_line(sources.value[-1]), sources.start_mark.column
    else:
        raise CannotAppend("api_sources is no list in block style, each entry on lines of its own")
    lines = _LINE.findall(text)
    at = _behind_comments(lines, at + 1, indent)
    head, rest = "".join(lines[:at]), "".join(lines[at:])
    if head and not head.endswith(("\n", "\r")):
        head += newline
    return f"{head}{newline.join(_indented(block, indent).splitlines())}{newline}{rest}"


def _last_line(node: yaml.Node) -> int:
    """The last line of a node's own text: marks of collections lie behind the white space and comments after them."""
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode) and node.value and not node.flow_style:
        parts = (
            node.value[-1] if isinstance(node, yaml.MappingNode) else node.value
        )  # an alias stands where its anchor does
        return max(map(_last_line, parts))
    end = node.end_mark
    return end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line


def _behind_comments(lines: list[str], at: int, indent: int) -> int:
    """Behind the comments that belong to the entry above: those that are further in than its dash."""
    after = at
    for number in range(at, len(lines)):
        line = lines[number].lstrip(" ")
        if line.startswith("#") and len(lines[number]) - len(line) > indent:
            after = number + 1
        elif line.strip():
            break
    return after


def _indented(block: str, indent: int, head: str = "") -> str:
    body = "".join(f"{' ' * indent}{line}\n" for line in block.splitlines())
    return f"{head}\n{body}" if head else body


def _joined(text: str, block: str, newline: str) -> str:
    gap = "" if not text or text.endswith(("\n", "\r")) else newline
    return f"{text}{gap}{newline.join(block.splitlines())}{newline}"


def _check(before: object, new: str, block: str) -> None:
    """What was there is there as before, and the entry behind it: whatever the file's style, nothing was mangled."""
    after, [entry] = Document(new).data, Document(block).data
    sources = [*((before.get("api_sources") or []) if isinstance(before, dict) else []), entry]
    if not isinstance(before, dict) or after != {**before, "api_sources": sources}:
        raise CannotAppend("nothing can be added to it without changing what is there")
