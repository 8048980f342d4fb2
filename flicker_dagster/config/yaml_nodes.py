"""YAML text to nodes, within bounds: the text decides neither how deep we recurse nor how much its aliases expand to."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

#: Lists and mappings inside each other, aliases followed; the grammar of `config.yaml` needs eight.
MAX_DEPTH = 64
#: Values with all aliases expanded: about 5,000 sources written out in full.
MAX_VALUES = 250_000
#: Text of these values: what aliases repeat is checked as often as it is repeated.
MAX_TEXT_CHARS = 16 * 1024 * 1024


class _Extent(NamedTuple):
    """What a node comes to with its aliases expanded."""

    depth: int = 1
    values: int = 1
    chars: int = 0


class TooLarge(yaml.MarkedYAMLError):
    """The text goes beyond one of the bounds above, or an alias stands inside what it names."""


class BoundedLoader(yaml.SafeLoader):
    """A loader whose nodes are counted as they are composed, before anything follows an alias."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._extents: dict[
            int, _Extent
        ] = {}  # by the id of a finished node; `_nodes` keeps these ids from being reused
        self._nodes: list[yaml.Node] = []
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark = event.start_mark
        if self._depth >= MAX_DEPTH:
            raise self._too_large(f"nested deeper than {MAX_DEPTH} levels", mark)
        if len(self._nodes) >= MAX_VALUES:
            raise self._too_large(f"more than {MAX_VALUES:,} values", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        assert node is not None
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._extents:
                raise TooLarge(
                    problem="found an alias of itself, expected an alias of something else", problem_mark=mark
                )
        else:
            self._extents[id(node)] = self._extent(node, mark)
        self._nodes.append(node)
        return node

    def _extent(self, node: yaml.Node, mark: Any) -> _Extent:
        if isinstance(node, yaml.ScalarNode):
            return _Extent(chars=len(node.value))
        entries = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        found = [self._extents[id(each)] for each in entries]
        depth = 1 + max((each.depth for each in found), default=0)
        values, chars = 1 + sum(each.values for each in found), sum(each.chars for each in found)
        if depth > MAX_DEPTH:
            raise self._too_large(f"with aliases followed nested deeper than {MAX_DEPTH} levels", mark)
        if values > MAX_VALUES:
            raise self._too_large(f"with aliases expanded more than {MAX_VALUES:,} values", mark)
        if chars > MAX_TEXT_CHARS:
            raise self._too_large(f"with aliases expanded more than {MAX_TEXT_CHARS:,} characters", mark)
        return _Extent(depth, values, chars)

    def _too_large(self, what: str, mark: Any) -> TooLarge:
        return TooLarge(problem=f"{what}, expected less", problem_mark=mark)


def compose(text: str) -> yaml.Node | None:
    """The root of the text's one document, or None where it is empty. Raises yaml.MarkedYAMLError (TooLarge among
    them) and yaml.reader.ReaderError."""
    loader = BoundedLoader(text)
    try:
        return loader.get_single_node()
    except (ValueError, OverflowError):  # PyYAML reads the digits of an escape or a %YAML line without a bound
        raise TooLarge(problem="found a number out of range, expected less", problem_mark=loader.get_mark()) from None
    finally:
        loader.dispose()
