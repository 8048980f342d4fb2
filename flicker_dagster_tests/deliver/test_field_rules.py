"""Rules for the fields of one event: what is dropped, kept, masked and added, by example."""

from __future__ import annotations

import re

import pytest

from flicker_dagster.deliver.field_mask import FieldMask
from flicker_dagster.deliver.field_rules import FieldEditor, Tally, Unfit
from flicker_dagster.deliver.static_fields import StaticFields
from flicker_dagster_tests.deliver.field_edits import KEY, MASK, digest, edit

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
