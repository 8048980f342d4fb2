"""`${VAR:-5}` where a number or a switch is expected: filled in when the file is loaded, as no secret is a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flicker_dagster.config.secrets import references, resolve
from flicker_dagster.config.shape import meant, options, plain_kinds, records_in
from flicker_dagster.errors import SecretUnset

_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}


def fill_numbers(
    raw: Any, path: str, trouble: Callable[[str, str], None], env: Mapping[str, str], annotation: Any
) -> Any:
    """The raw mapping with references in numeric and boolean places replaced by their values.

    `annotation` says which records the mapping may be. What has no value or is no number is told to `trouble(path, what)`
    and stays as it is.
    """
    if not isinstance(raw, dict):
        return raw
    filled = dict(raw)
    for record in meant(records_in(annotation, raw), raw)[:1]:
        for key, value in raw.items():
            field = record.model_fields.get(key) if isinstance(key, str) else None
            if field is None:
                continue
            if isinstance(value, dict):
                filled[key] = fill_numbers(value, f"{path}.{key}", trouble, env, field.annotation)
            elif isinstance(value, list):
                filled[key] = [
                    fill_numbers(each, f"{path}.{key}[{number}]", trouble, env, field.annotation)
                    for number, each in enumerate(value)
                ]
            elif isinstance(value, str) and references(value):
                filled[key] = _filled(value, field.annotation, f"{path}.{key}", trouble, env)
    return filled


def _filled(
    template: str, annotation: Any, path: str, trouble: Callable[[str, str], None], env: Mapping[str, str]
) -> Any:
    kinds = plain_kinds(annotation)
    wanted = [kind for kind in kinds if kind in _EXPECTED]
    if not wanted or str in kinds:
        return template
    try:
        text = resolve(template, env=env).strip()
        if text in options(annotation):
            return text
        return _SWITCHES[text.lower()] if wanted[0] is bool else wanted[0](text)
    except SecretUnset as error:
        trouble(path, f"{error}, or give a default: ${{NAME:-5}}")
    except (KeyError, ValueError):
        trouble(path, f"found {template!r} with a value that is not {_EXPECTED[wanted[0]]}")
    return template
