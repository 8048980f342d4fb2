"""Events that are no UTF-8, which text columns and lines of JSON cannot hold (RFC 8259, 8.1)."""

from __future__ import annotations

from collections.abc import Mapping

from flicker_dagster.lots import Lot


def not_utf8(lot: Lot) -> Mapping[int, str]:
    """Indices of such events, each with the reason."""
    if _is_utf8(lot.array):
        return {}
    why = "it is not UTF-8, and so cannot be text in a file"
    return {index: why for index, event in enumerate(lot.events) if not _is_utf8(event)}


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
