"""Values of the configuration as messages show them."""

from __future__ import annotations

from typing import Any

from flicker_dagster.config.secrets import is_secret_key


def shown(value: Any, key: str = "") -> str:
    """A value as a message may show it. What stands under a secret key is named by its kind only."""
    if value is None:
        return "nothing"
    kinds = {dict: "a mapping", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    if isinstance(value, dict | list) or is_secret_key(key):
        return kinds.get(type(value), "text")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "…")
    return repr(value)
