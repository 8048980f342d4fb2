"""Fields kept, dropped and masked in an event's own bytes: what no rule names keeps its spelling, numbers included.

An event is edited in place of being decoded and written again, because decoding forgets: the first of two equal keys (which
would then leave unmasked, or vanish), digits of long numbers, the order of members.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from flicker_dagster.deliver.field_mask import FieldMask
from flicker_dagster.deliver.json_parts import Unreadable, is_sound, items_of, members_of, only_object
from flicker_dagster.json_paths import Parts, split_path
from flicker_dagster.json_scan import Damaged

#: Arrays in arrays are walked so deep.
MOST_LEVELS = 64

_OBJECT, _ARRAY = b"{["

#: What has an escape of its own.
_OTHER_ESCAPES = re.compile(rb'[\x00-\x1f/"\\]')


class Unfit(ValueError):
    """An event in which the named fields cannot be found for certain. Its message never holds anything of the event."""


class Tally:
    """What was done to events, field by field."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.masked: Counter[str] = Counter()
        self.left_out = 0


class _Rule(NamedTuple):
    action: str  # keep, drop or mask
    path: str
    rest: Parts  # what of the path is still to come


class _Node:
    """Where a walk stands: which rules end here, and which keys lead to others.

    A path is followed at every reading at once: `a.b` is the key `a.b` and the key `b` of `a`, whichever an event holds.
    """

    __slots__ = ("drop", "keep", "keeps_below", "mask", "next")

    def __init__(self) -> None:
        self.keep = False
        self.keeps_below = False
        self.drop: str | None = None
        self.mask: str | None = None
        self.next: dict[str, _Node] = {}


class FieldEditor:
    """Compiled rules. `apply` is a function of its arguments alone, and safe to use from several threads."""

    def __init__(
        self,
        *,
        keep: Iterable[str] | None = None,
        drop: Iterable[str] = (),
        mask: Iterable[str] = (),
        masked_by: FieldMask | None = None,
    ) -> None:
        rules = [
            _Rule(action, path, split_path(path))
            for action, paths in (("keep", keep or ()), ("drop", drop), ("mask", mask))
            for path in paths
        ]
        self._keeps_all = keep is None
        self._mask = masked_by
        self._root = _compiled(frozenset(rules), {})
        self._needles = sorted({rule.rest[-1].encode("utf-8", "surrogatepass") for rule in rules})
        #: Most letters are hidden by a `\u` escape and by nothing else.
        self._hidden_by = b"\\" if any(_OTHER_ESCAPES.search(needle) for needle in self._needles) else b"\\u"

    def apply(self, event: bytes, tally: Tally) -> bytes:
        """The event without what the rules take away; the very same object where they take nothing. Raises Unfit."""
        if self._keeps_all and self._names_nothing_in(event):
            return event
        try:
            edited = self._object(only_object(event), self._root, self._keeps_all, tally)
        except Damaged as error:
            raise Unfit(f"it is no JSON object ({error}), and the rules of `fields` cannot be applied to it") from None
        except Unreadable as error:
            raise Unfit(f"{error}, and the rules of `fields` cannot be applied to it") from None
        return event if edited is None else edited or b"{}"

    def _names_nothing_in(self, event: bytes) -> bool:
        """Can it be told at a glance that no rule applies: sound JSON in which none of the keys can stand?"""
        if event[:1] != b"{" or self._hidden_by in event or any(needle in event for needle in self._needles):
            return False
        return is_sound(event) and (event.isascii() or _is_utf8(event))

    # What follows gives None for "as it is", and nothing (b"") for "nothing is left of it".

    def _value(self, value: bytes, node: _Node, keeping: bool, tally: Tally) -> bytes | None:
        if value[0] == _OBJECT:
            return self._object(value, node, keeping, tally)
        if value[0] == _ARRAY:
            return self._array(value, node, keeping, tally, MOST_LEVELS)
        return None if keeping else b""

    def _object(self, text: bytes, node: _Node, keeping: bool, tally: Tally) -> bytes | None:
        left: list[bytes] = []
        changed = False
        for key, name, value in members_of(text):
            edited = self._member(node.next.get(key), value, keeping, tally)
            if edited is None:
                left += (name, value, b",")
            else:
                changed = True
                if edited:
                    left += (name, edited, b",")
        if not left:
            return (b"{}" if changed else None) if keeping else b""
        return b"".join((b"{", *left[:-1], b"}")) if changed else None

    def _member(self, node: _Node | None, value: bytes, keeping: bool, tally: Tally) -> bytes | None:
        if node is None:
            tally.left_out += not keeping
            return None if keeping else b""
        keeping = keeping or node.keep
        if node.drop is not None:
            tally.dropped[node.drop] += 1
            return b""
        if node.mask is not None and (keeping or node.keeps_below):
            assert self._mask is not None
            tally.masked[node.mask] += 1
            return self._mask.of(value)
        if node.next:
            return self._value(value, node, keeping, tally)
        tally.left_out += not keeping
        return None if keeping else b""

    def _array(self, text: bytes, node: _Node, keeping: bool, tally: Tally, levels: int) -> bytes | None:
        if not levels:
            raise Unfit(f"it nests arrays more than {MOST_LEVELS} deep where a rule of `fields` leads")
        left: list[bytes] = []
        changed = False
        for item in items_of(text):
            if item[0] == _ARRAY:
                edited = self._array(item, node, keeping, tally, levels - 1)
            else:
                edited = self._value(item, node, keeping, tally)
            if edited is None:
                left.append(item)
            else:
                changed = True
                if edited:
                    left.append(edited)
        if not left and not keeping:
            return b""
        return b"[%b]" % b",".join(left) if changed else None


def _compiled(rules: frozenset[_Rule], known: dict[frozenset[_Rule], _Node]) -> _Node:
    if rules in known:
        return known[rules]
    node = known[rules] = _Node()
    following: dict[str, set[_Rule]] = {}
    for rule in sorted(rules):
        if not rule.rest:
            node.keep |= rule.action == "keep"
            node.drop = node.drop or (rule.path if rule.action == "drop" else None)
            node.mask = node.mask or (rule.path if rule.action == "mask" else None)
        for taken in range(1, len(rule.rest) + 1):
            key = ".".join(rule.rest[:taken])
            following.setdefault(key, set()).add(rule._replace(rest=rule.rest[taken:]))
    node.keeps_below = any(rule.action == "keep" and rule.rest for rule in rules)
    node.next = {key: _compiled(frozenset(each), known) for key, each in following.items()}
    return node


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
