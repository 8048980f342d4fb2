"""What a lane changes of events: nothing that is taken away is left in any spelling, and nothing else changes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.destinations.base import FieldRules as RulesRecord
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.field_mask import FieldMask
from flicker_dagster.deliver.field_rules import FieldEditor, Tally, Unfit
from flicker_dagster.deliver.shaping import ShapeCounts, Shaper, Unshapable
from flicker_dagster.deliver.static_fields import StaticFields
from flicker_dagster.errors import DestinationBlocked, SecretUnset
from flicker_dagster.json_paths import lookup_any, readings, split_path
from flicker_dagster.lots import Lot

KEY = "correct horse battery staple"
MASK = FieldMask(KEY)
TIME_MS = 1_777_713_247_221


def digest(text: str, key: str = KEY) -> str:
    return "***" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def edit(event: str, tally: Tally | None = None, **rules: Any) -> str:
    return FieldEditor(**rules, masked_by=MASK).apply(event.encode(), tally or Tally()).decode()


def lot_of(*events: bytes) -> Lot:
    return Lot.of(
        events,
        digests=[bytes([index]) * 16 for index in range(len(events))],
        times_ms=[TIME_MS] * len(events),
        source="okta",
        collected_ms=TIME_MS + 1,
    )


def shaper(*, env: dict[str, str] | None = None, **fields: Any) -> Shaper:
    record = DestinationRecord(type="any", fields=RulesRecord(**fields) if fields else None)
    return Shaper(record, LaneContext("okta", env={"FLICKER_MASK_KEY": KEY} if env is None else env))


# -- rules on one event


@pytest.mark.parametrize(
    ("event", "path", "left"),
    [
        ('{"a":1,"b":2,"c":3}', "b", '{"a":1,"c":3}'),
        ('{"a":1}', "a", "{}"),
        ('{"a":{"b":1,"c":2}}', "a.b", '{"a":{"c":2}}'),
        ('{"a":{"b":1}}', "a.b", '{"a":{}}'),
        ('{"a.b":1,"c":2}', "a.b", '{"c":2}'),
        ('{"a.b":1,"a":{"b":2,"c":3}}', "a.b", '{"a":{"c":3}}'),
        ('{"a.b":1,"a":{"b":2}}', r"a\.b", '{"a":{"b":2}}'),
        ('{"a.b":{"c":1},"a":{"b.c":2}}', "a.b.c", '{"a.b":{},"a":{}}'),
        ('{"a":[{"b":1,"c":2},3,[{"b":4}]]}', "a.b", '{"a":[{"c":2},3,[{}]]}'),
        ('{"a":1,"x":2,"a":3}', "a", '{"x":2}'),
        ('{"a":{"b":1},"a":{"c":1}}', "a.b", '{"a":{},"a":{"c":1}}'),
        ('{"\\u0061":1,"x":2}', "a", '{"x":2}'),
        ('{"a\\/b":1,"x":2}', "a/b", '{"x":2}'),
        ('{"\\u00E9":1,"é":2,"x":3}', "é", '{"x":3}'),
        ('{ "a" : 1 ,\n "b" : 1.10 }', "a", '{"b" : 1.10}'),
        ('{"a":1,"b":2,}', "a", '{"b":2}'),
        ('{"a":NaN,"b":1e400}', "a", '{"b":1e400}'),
    ],
)
def test_a_dropped_field_is_gone_at_every_reading_of_its_path(event: str, path: str, left: str) -> None:
    assert edit(event, drop=[path]) == left


@pytest.mark.parametrize(
    ("event", "paths", "left"),
    [
        ('{"a":1,"b":2,"c":3}', ["a", "c"], '{"a":1,"c":3}'),
        ('{"a":{"b":1,"c":2},"d":3}', ["a.b"], '{"a":{"b":1}}'),
        ('{"a":{"b":{"x":[1]}},"d":3}', ["a"], '{"a":{"b":{"x":[1]}}}'),
        ('{"a":[{"b":1,"c":2},{"c":3},4]}', ["a.b"], '{"a":[{"b":1}]}'),
        ('{"a":{"c":2},"d":[],"e":{}}', ["a.b", "d.x", "e.x"], "{}"),
        ('{"a":1}', [], "{}"),
        ('{"a.b":1,"a":{"b":2}}', ["a.b"], '{"a.b":1,"a":{"b":2}}'),
    ],
)
def test_only_kept_fields_are_left(event: str, paths: list[str], left: str) -> None:
    assert edit(event, keep=paths) == left


def test_rules_come_in_the_order_keep_drop_mask() -> None:
    event = '{"a":{"b":"x","c":"y","d":"z"},"e":1}'
    assert edit(event, keep=["a"], drop=["a.b"], mask=["a.c"]) == '{"a":{"c":"' + digest("y") + '","d":"z"}}'
    assert edit(event, keep=["a.b"], mask=["e", "a"]) == ('{"a":"' + digest('{"b":"x","c":"y","d":"z"}') + '"}')
    assert edit(event, drop=["a"], mask=["a"]) == '{"e":1}'


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ('"ana@acme.test"', f'"{digest("ana@acme.test")}"'),
        ('"\\u0061na@acme.test"', f'"{digest("ana@acme.test")}"'),
        ('"é"', f'"{digest("é")}"'),
        ('"\\u00e9"', f'"{digest("é")}"'),
        ("42", f'"{digest("42")}"'),
        ('"42"', f'"{digest("42")}"'),
        ("123456789012345678901234567890", f'"{digest("123456789012345678901234567890")}"'),
        ("true", f'"{digest("true")}"'),
        ("null", "null"),
        (
            '["a", ["b", null], {"c": 1}]',
            f'["{digest("a")}",["{digest("b")}",null],"{digest(chr(123) + chr(34) + "c" + chr(34) + ":1}")}"]',
        ),
        ("[]", "[]"),
        ('{"ana@acme.test": 1}', f'"{digest(chr(123) + chr(34) + "ana@acme.test" + chr(34) + ":1}")}"'),
    ],
)
def test_a_mask_is_the_keyed_digest_of_the_value(value: str, masked: str) -> None:
    assert edit(f'{{"a":{value},"b":1}}', mask=["a"]) == f'{{"a":{masked},"b":1}}'


def test_masks_join_values_and_another_key_makes_others() -> None:
    event = '{"actor":{"ip":"203.0.113.9"},"chain":[{"ip":"203.0.113.9"},{"ip":"198.51.100.1"}]}'
    found = re.findall(r"\*\*\*\w+", edit(event, mask=["actor.ip", "chain.ip"]))
    assert found[0] == found[1] != found[2]
    assert FieldMask(KEY + "!").of(b'"203.0.113.9"') != MASK.of(b'"203.0.113.9"')


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"null",
        b'"text"',
        b'[{"secret":1}]',
        b'{"secret":1',
        b'{"secret":1} {"secret":2}',
        b"{'secret':1}",
        b"{secret:1}",
        b'{"x":1 "secret":2}',
        b'{"x":1,/* "secret" */"secret":2}',
        b'{"\\secret":1}',
        b'{"se\\cret":1}',
        b'{"\\u00zz":1}',
        b'{"se\xffcret":1}',
        b'{"\xff\\u0073ecret":1}',
        b'{"secret\\ud800":1}',
        b'\xef\xbb\xbf{"secret":1}',
        b'{"secret":' + b"[" * 80 + b"1" + b"]" * 80 + b',"secret.x":"y"}',
    ],
)
@pytest.mark.parametrize("rules", [{"drop": ["secret.y"]}, {"mask": ["secret.y"]}, {"keep": ["secret.y"]}])
def test_what_cannot_be_read_for_certain_is_unfit_and_the_reason_tells_nothing_of_it(
    event: bytes, rules: dict[str, list[str]]
) -> None:
    with pytest.raises(Unfit) as refused:
        FieldEditor(**rules, masked_by=MASK).apply(event, Tally())
    assert "secret" not in str(refused.value)
    assert "fields" in str(refused.value) or "key" in str(refused.value)


@pytest.mark.parametrize(
    "event",
    [
        b'{"x":{"b":1.10,"c":1e400},"y":[ 1, 2 ]}',
        b'{ "x" : "\\u00e9 \\ud800 \\" \xff", "n": 123456789012345678901234567890 }',
        b'{"x":"a.b","y":["a"],"z":"\\u0061"}',
        b'{"a":{"c":1},"b":2}',
        b'{"a":1}',
        b'{"a":[1,"b"]}',
    ],
)
def test_an_event_without_the_named_field_stays_the_very_same_object(event: bytes) -> None:
    assert FieldEditor(drop=["a.b"], mask=["a.b.x"], masked_by=MASK).apply(event, Tally()) is event


# -- properties: a tree is the JSON text of a scalar, a list of trees, or an object as members, equal keys included


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


def masked(tree: Any) -> Any:
    return MASK.of(text_of(tree).encode()).decode()


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


@given(st.data(), PATHS)
def test_what_is_dropped_appears_nowhere_and_all_else_is_equal(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    left = edit(data.draw(spelled(tree)), drop=[path])
    assert_no_secret(left)
    assert read(left) == read(text_of(changed(tree, split_path(path), lambda _: None)))


@given(st.data(), PATHS)
def test_what_is_masked_appears_nowhere_and_all_else_is_equal(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    left = edit(data.draw(spelled(tree)), mask=[path])
    assert_no_secret(left)
    objects = re.compile(r"\*\*\*[0-9a-f]{16}")  # objects are digested with the spelling of their keys

    def alike(text: str) -> Any:
        return read(objects.sub("***", text))

    assert alike(left) == alike(text_of(changed(tree, split_path(path), masked)))


@given(st.data(), PATHS)
def test_what_is_not_kept_appears_nowhere(data: st.DataObject, path: str) -> None:
    tree = data.draw(planted(path))
    kept = Members([*tree, ("kept", Members([("x", "1.10"), ("y", "[]")]))])
    left = edit(data.draw(spelled(kept)), keep=["kept.x", "kept.z"])
    assert read(left) == read('{"kept":{"x":1.10}}')


@given(st.data(), EVENTS, PATHS, PATHS)
def test_an_event_that_holds_none_of_the_paths_keeps_its_bytes(
    data: st.DataObject, tree: Members, one: str, other: str
) -> None:
    hit = [*values_at(tree, one), *values_at(tree, other)]
    event = data.draw(spelled(tree)).encode()
    left = FieldEditor(drop=[one], mask=[other], masked_by=MASK).apply(event, Tally())
    assert (left is event) or hit


@given(st.data(), EVENTS, PATHS, st.text(max_size=5))
def test_a_static_field_is_read_at_its_path_and_all_else_is_equal(
    data: st.DataObject, tree: Members, path: str, text: str
) -> None:
    left = StaticFields({path: text}).add(data.draw(spelled(tree)).encode()).decode()
    assert lookup_any(json.loads(left), readings(path)) == text
    others = text_of(changed(tree, split_path(path), lambda _: None))
    assert pruned(read(edit(left, drop=[path]))) == pruned(read(others))


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


@given(st.data(), PATHS, st.sampled_from(["drop", "mask"]))
def test_no_decoder_finds_a_secret_at_the_path_of_an_event_that_was_damaged(
    data: st.DataObject, path: str, action: str
) -> None:
    event = data.draw(damaged(data.draw(spelled(data.draw(planted(path))))))
    try:
        left = FieldEditor(**{action: [path]}, masked_by=MASK).apply(event, Tally())
    except Unfit:
        return
    for errors in ("surrogateescape", "ignore", "replace"):
        try:
            found = json.loads(left.decode("utf-8", errors), object_pairs_hook=as_members, strict=False)
        except ValueError:
            continue
        assert not [text for text in everything(values_at(found, path)) if SECRET_TEXT in text]


def values_at(tree: Any, path: str) -> list[Any]:
    found: list[Any] = []
    changed(tree, split_path(path), lambda value: found.append(value) or value)
    return found


def as_members(pairs: list[tuple[str, Any]]) -> Members:
    return Members(pairs)


# -- static fields


@pytest.mark.parametrize(
    ("event", "texts", "left"),
    [
        (b"{}", {"env": "prod"}, b'{"env":"prod"}'),
        (b'{ "a" : 1.10 }', {"env": 'p"'}, b'{ "a" : 1.10,"env":"p\\""}'),
        (b'{"a":1}', {"labels.env": "prod", "labels.site": "fr"}, b'{"a":1,"labels":{"env":"prod","site":"fr"}}'),
        (b'{"labels":{"x":1},"a":1}', {"labels.env": "prod"}, b'{"labels":{"x":1,"env":"prod"},"a":1}'),
        (b'{"labels":[1]}', {"labels.env": "prod"}, b'{"labels":[1],"labels.env":"prod"}'),
        (b'{"env":"forged","\\u0065nv":2}', {"env": "prod"}, b'{"env":"prod"}'),
    ],
)
def test_static_fields_stand_at_the_end_and_in_the_place_of_the_vendors(
    event: bytes, texts: dict[str, str], left: bytes
) -> None:
    assert StaticFields(texts).add(event) == left


# -- the lots of a lane


def test_a_lane_without_rules_sends_the_very_same_lot() -> None:
    lot = lot_of(b'{"a":1}', b"not json")
    plain = shaper()
    assert plain.shape(lot) is lot
    assert plain.changes_nothing
    assert plain.shaped(lot).counts == ShapeCounts()
    assert shaper(mask_key="x").shape(lot) is lot


def test_ids_times_and_places_stay_and_the_rules_are_in_the_requests_name() -> None:
    lot = lot_of(b'{"a":1,"b":1.10}', b'{"b":2}')
    shaped = shaper(drop=["a"], static={"env": "prod"}).shape(lot)
    assert shaped.events == [b'{"b":1.10,"env":"prod"}', b'{"b":2,"env":"prod"}']
    assert (shaped.digests, shaped.times_ms, shaped.places, shaped.lot_id, shaped.uids, shaped.schema) == (
        lot.digests,
        lot.times_ms,
        lot.places,
        lot.lot_id,
        lot.uids,
        "vendor",
    )
    assert shaped.key("json") == shaper(drop=["a"], static={"env": "prod"}).shape(lot).key("json")


def test_no_two_sets_of_rules_make_the_same_requests_name() -> None:
    lot = lot_of(b'{"a":{"b":"x"}}')
    keys = {
        each.shape(lot).key("json")
        for each in (
            shaper(),
            shaper(drop=["a"]),
            shaper(keep=["a"]),
            shaper(mask=["a"]),
            shaper(mask=["a.b"]),
            shaper(mask=["a"], env={"FLICKER_MASK_KEY": KEY + "!"}),
            shaper(static={"a": "b"}),
            shaper(static={"a": "c"}),
        )
    }
    assert len(keys) == 8


def test_what_was_done_is_counted_by_the_path_of_the_rule() -> None:
    counted = shaper(drop=["a.b", "x"], mask=["who"])
    first = counted.shaped(lot_of(b'{"a":[{"b":1},{"b":2}],"who":"ana"}', b'{"who":["ana","bob"]}', b'{"c":1}')).counts
    assert first == ShapeCounts(events=3, touched=2, dropped={"a.b": 2}, masked={"who": 2})
    both = first + counted.shaped(lot_of(b'{"x":1}')).counts
    assert both == ShapeCounts(events=4, touched=3, dropped={"a.b": 2, "x": 1}, masked={"who": 2})
    kept = shaper(keep=["c"]).shaped(lot_of(b'{"a":1,"b":2,"c":3}')).counts
    assert kept == ShapeCounts(events=1, touched=1, left_out=2)


def test_an_event_that_cannot_be_masked_is_never_shaped_and_its_neighbours_are() -> None:
    lot, masking = lot_of(b'{"who":"ana"}', b'{"who":"bob"', b'["who"]'), shaper(mask=["who"])
    with pytest.raises(Unshapable, match="2 events cannot be shaped") as refused:
        masking.shape(lot)
    assert list(refused.value.reasons) == [1, 2]
    assert "bob" not in str(refused.value) + str(refused.value.reasons)
    shaped = masking.shape(lot.part([0]))
    assert shaped.events == [f'{{"who":"{digest("ana")}"}}'.encode()]
    assert list(shaped.places) == [0]


def test_nothing_is_masked_under_no_key_or_one_that_can_be_tried_out() -> None:
    lot = lot_of(b'{"who":"ana"}')
    with pytest.raises(SecretUnset, match="FLICKER_MASK_KEY"):
        shaper(mask=["who"], env={}).shape(lot)
    with pytest.raises(SecretUnset, match="OTHER"):
        shaper(mask=["who"], mask_key="${OTHER}").shape(lot)
    with pytest.raises(DestinationBlocked, match="mask_key has 5 characters, expected 16 or more"):
        shaper(mask=["who"], mask_key="short").shape(lot)
    assert shaper(mask=["who"], mask_key="${OTHER}", env={"OTHER": KEY}).shape(lot).events == [
        f'{{"who":"{digest("ana")}"}}'.encode()
    ]
    assert shaper(drop=["who"], env={}).shape(lot).events == [b"{}"]
