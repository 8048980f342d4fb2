"""Events that nobody wrote down, with secrets planted at a path, in every spelling of JSON, or damaged.

A tree is the JSON text of a scalar, a list of trees, or an object as members, equal keys included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from flicker_dagster.json_paths import split_path


class Members(list[tuple[str, Any]]):
    """An object."""


SECRET_TEXT, SECRET_NUMBER = "s3cr3t", "990011223344556677889900"
SECRETS = (
    f'"{SECRET_TEXT}"',
    '"\\u00733cr3t"',
    SECRET_NUMBER,
    [f'"{SECRET_TEXT}"', [SECRET_NUMBER, f'"x {SECRET_TEXT}"']],
    Members([(SECRET_TEXT, "1"), ("x", f'"{SECRET_TEXT}"')]),
    [Members([("x", SECRET_NUMBER)]), "null"],
)
KEYS = st.sampled_from(["a", "b", "a.b", "c", "é", "", 'q"/\\'])
PATHS = st.sampled_from(["a", "a.b", "b.a", "a.b.c", "é", "c.a", r"a\.b", r"a\.b.c", 'q"/\\'])
SCALARS = st.sampled_from(["1.10", "-0", "1E2", "123456789012345678901234567890", "null", "true", "1e400"]) | st.text(
    max_size=5
).map(json.dumps)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(Members),
    max_leaves=10,
)
EVENTS = st.lists(st.tuples(KEYS, TREES), max_size=5).map(Members)


def text_of(tree: Any, *, key: Callable[[str], str] = json.dumps, space: str = "") -> str:
    if isinstance(tree, str):
        return tree
    if isinstance(tree, Members):
        members = (f"{key(name)}{space}:{space}{text_of(value, key=key, space=space)}" for name, value in tree)
        return "{" + space + f"{space},{space}".join(members) + space + "}"
    return "[" + space + f"{space},{space}".join(text_of(each, key=key, space=space) for each in tree) + "]"


@st.composite
def spelled(draw: st.DrawFn, tree: Members) -> str:
    """JSON text of an event, with its keys and spaces in spellings that are drawn."""

    def key(name: str) -> str:
        if draw(st.booleans()):
            return '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'
        return json.dumps(name, ensure_ascii=draw(st.booleans()))

    return text_of(tree, key=key, space=draw(st.sampled_from(["", " ", "\n\t"])))


@st.composite
def planted(draw: st.DrawFn, path: str) -> Members:
    """An event with secrets at a path: at any of its readings, through arrays, beside equal keys."""
    event = Members(draw(EVENTS))
    for _ in range(draw(st.integers(1, 3))):
        tree: Any = draw(st.sampled_from(SECRETS))
        keys = [split_path(path)[0]]
        for part in split_path(path)[1:]:
            keys[-1:] = [f"{keys[-1]}.{part}"] if draw(st.booleans()) else [keys[-1], part]
        for name in reversed(keys):
            tree = Members([*draw(st.lists(st.tuples(KEYS, SCALARS), max_size=2)), (name, tree)])
            tree = draw(st.sampled_from([tree, tree, [tree], ["1", [tree]]])) if name is not keys[0] else tree
        for member in tree:
            event.insert(draw(st.integers(0, len(event))), member)
    return event


def changed(tree: Any, parts: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """The reference: what `change` makes of every value at a path, where None takes the member away."""
    if isinstance(tree, Members):
        left = Members()
        for name, value in tree:
            rests = [parts[n:] for n in range(1, len(parts) + 1) if name == ".".join(parts[:n])]
            new = value
            for rest in rests:
                new = changed(new, rest, change) if rest else change(new)
            if new is not None:
                left.append((name, new))
        return left
    return [changed(each, parts, change) for each in tree] if isinstance(tree, list) else tree


def read(text: str) -> Any:
    """JSON as nested pairs: equal keys, their order and the spelling of numbers count."""
    return json.loads(text, object_pairs_hook=lambda found: ("{", found), parse_int=_Number, parse_float=_Number)


class _Number(str):
    """A number as it is spelled."""


def everything(value: Any) -> Iterator[str]:
    """Every key, string and number."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from everything(each)
    elif isinstance(value, str):
        yield value


def assert_no_secret(text: str) -> None:
    assert not [each for each in everything(read(text)) if SECRET_TEXT in each or SECRET_NUMBER in each]


def pruned(value: Any) -> Any:
    """Without members that are empty objects, which may have been made for a static field."""
    if isinstance(value, tuple):
        members = [(name, pruned(each)) for name, each in value[1]]
        return "{", [(name, each) for name, each in members if each != ("{", [])]
    return [pruned(each) for each in value] if isinstance(value, list) else value


BROKEN = st.sampled_from(
    [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u0061", b"\xff", b"\x00", b" ", b"\n", b"/*", b"'", b"a"]
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text with a few bytes put in, taken away or doubled, often in keys."""
    event = text.encode()
    for _ in range(draw(st.integers(1, 3))):
        quotes = [place + 1 for place, byte in enumerate(event) if byte == ord('"')]
        at = draw(st.integers(0, len(event)) | st.sampled_from(quotes or [0]))
        upto = min(len(event), at + draw(st.integers(0, 3)))
        event = event[:at] + draw(BROKEN | st.just(b"") | st.just(event[at:upto] * 2)) + event[upto:]
    return event


def values_at(tree: Any, path: str) -> list[Any]:
    found: list[Any] = []
    changed(tree, split_path(path), lambda value: found.append(value) or value)
    return found


def as_members(pairs: list[tuple[str, Any]]) -> Members:
    return Members(pairs)
