"""What kind of value each fact is, by the last word of its name; None for what is no such value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

_EMAIL = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")


def fact_of(slot: str, value: Any) -> Any:
    """A value of an event as the fact that `slot` names, or None."""
    return _KINDS.get(slot.rpartition(".")[2], _text)(value)


def word_of(value: Any) -> str:
    """A value as mappings write it among a vendor's words: `true`, `50126`; empty for what is no word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value or None
    return str(value) if _number(value) is not None else None


def _ip(value: Any) -> str | None:
    try:
        return str(ipaddress.ip_address(value.strip())) if isinstance(value, str) else None
    except ValueError:
        return None


def _email(value: Any) -> str | None:
    return value if isinstance(value, str) and _EMAIL.fullmatch(value) else None


def _degrees(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and -180 <= value <= 180
    return float(value) if usable else None


def _country_code(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha() else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64 else None


_KINDS: dict[str, Callable[[Any], Any]] = {
    "ip": _ip,
    "email": _email,
    "lat": _degrees,
    "lon": _degrees,
    "country_code": _country_code,
    "as_number": _number,
}
