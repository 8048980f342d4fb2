"""`${VAR:-5}` where a number or a switch is expected: filled in when the file is loaded, as no secret is a number."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from flicker_dagster.config.models import Record, SourceConfig
from flicker_dagster.config.secrets import references, resolve
from flicker_dagster.errors import SecretUnset

_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def fill_numbers(
    raw: Any, path: str, trouble: Callable[[str, str], None], env: Mapping[str, str], model: Any = SourceConfig
) -> Any:
    """The raw mapping with references in numeric and boolean places replaced by their values.

    What has no value or is no number is told to `trouble(path, what)`.
    """
    if not isinstance(raw, dict):
        return raw
    filled = dict(raw)
    for key, value in raw.items():
        field = model.model_fields.get(key) if isinstance(key, str) else None
        if field is None:
            continue
        inner = next((kind for kind in _kinds(field.annotation) if _is_record(kind)), None)
        if isinstance(value, dict) and inner is not None:
            filled[key] = fill_numbers(value, f"{path}.{key}", trouble, env, inner)
        elif isinstance(value, str) and references(value):
            wanted = [kind for kind in _kinds(field.annotation) if kind in (int, float, bool)]
            if wanted and str not in _kinds(field.annotation):
                filled[key] = _filled(value, wanted[0], f"{path}.{key}", trouble, env)
    return filled


def _filled(template: str, kind: type, path: str, trouble: Callable[[str, str], None], env: Mapping[str, str]) -> Any:
    try:
        text = resolve(template, env=env).strip()
        return _SWITCHES[text.lower()] if kind is bool else kind(text)
    except SecretUnset as error:
        trouble(path, f"{error}, or give a default: ${{NAME:-5}}")
    except (KeyError, ValueError):
        expected = "true or false" if kind is bool else "a number"
        trouble(path, f"{template} stands for something that is not {expected}")
    return 0 if kind is not bool else False


def _kinds(annotation: Any) -> list[Any]:
    """The plain types inside an annotation: through Annotated and unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for each in get_args(annotation) for kind in _kinds(each)]
    return [annotation]


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Record)
