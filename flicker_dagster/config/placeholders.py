"""`{name}` in texts of the configuration, beside `${VAR}`: filled in one pass, so that no value is read as a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from pydantic import JsonValue

from flicker_dagster.config.secrets import REFERENCE, resolve

#: A name, or `key.` and a path. Other braces are text.
_PART = re.compile(rf"(?:{REFERENCE.pattern})|\{{(?P<placeholder>[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_.-]+)?)\}}")


def names_in(text: str) -> Iterator[str]:
    """The names of a text's placeholders, in order."""
    return (found["placeholder"] for found in _PART.finditer(text) if found["placeholder"])


def placeholder_fault(text: str, known: Collection[str]) -> str | None:
    """What is wrong with a text's placeholders. A known name that ends with a dot may be followed by anything."""
    for name in names_in(text):
        head, dot, _ = name.partition(".")
        if head + dot not in known:
            expected = " ".join(f"{{{each}path}}" if each.endswith(".") else f"{{{each}}}" for each in known)
            return f"{{{name}}} stands for nothing here, expected {expected or 'no placeholder'}"
    return None


def fill(template: str, values: Callable[[str], str], *, env: Mapping[str, str] | None, fresh: bool = False) -> str:
    """The template with its references and placeholders filled in; `$$` is a dollar. Raises SecretUnset, and what
    `values` raises for a name."""

    def part(found: re.Match[str]) -> str:
        name = found["placeholder"]
        return values(name) if name else resolve(found[0], env=env, fresh=fresh)

    return _PART.sub(part, template)


def fill_all(
    value: JsonValue, values: Callable[[str], str], *, env: Mapping[str, str] | None, fresh: bool = False
) -> JsonValue:
    """The same for every text inside a JSON value; its keys stay as they are."""
    if isinstance(value, str):
        return fill(value, values, env=env, fresh=fresh)
    if isinstance(value, list):
        return [fill_all(each, values, env=env, fresh=fresh) for each in value]
    if isinstance(value, dict):
        return {key: fill_all(each, values, env=env, fresh=fresh) for key, each in value.items()}
    return value
