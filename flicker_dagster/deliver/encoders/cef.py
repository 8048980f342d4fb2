"""Events in the Common Event Format, version 0: seven header fields, then `key=value` pairs."""

from __future__ import annotations

import re

from flicker_dagster.config.destinations.syslog import Cef
from flicker_dagster.deliver.encoders.event_text import EventText, EventView
from flicker_dagster.lots import Lot, one_line

VENDOR_CHARS, NAME_CHARS, SIGNATURE_CHARS = 63, 512, 1_023

#: Syslog's severities (emergency to debug) on the scale of CEF, where 10 is the worst.
SEVERITY = (10, 10, 9, 8, 6, 5, 3, 1)

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


class CefBody:
    """`rt` is the event's time, `externalId` its id; the whole event stands beside as text, where `raw_key` names a key."""

    def __init__(self, config: Cef, *, source: str, vendor: str | None, message_field: str | None) -> None:
        text = lambda template: EventText(template, source=source, vendor=vendor)  # noqa: E731
        self._device = "|".join(
            _header(text(each).fixed or each, VENDOR_CHARS) for each in (config.vendor, config.product, config.version)
        )
        self._signature = text(config.signature_id)
        self._name = text(config.name)
        self._message = None if message_field is None else text(f"{{event.{message_field}}}")
        self._pairs = [(key, text(template)) for key, template in config.pairs().items()]
        self._raw_key = config.raw_key

    def of(self, lot: Lot, index: int, view: EventView, severity: int) -> bytes | None:
        line = one_line(view.event)
        return None if line is None else self._written(lot, index, view, severity, line.decode("utf-8", "replace"))

    def shorter(self, lot: Lot, index: int, view: EventView, severity: int, *, at_most: int) -> bytes | None:
        """Without the text of the whole event."""
        text = self._written(lot, index, view, severity, None)
        return text if len(text) <= at_most else None

    def _written(self, lot: Lot, index: int, view: EventView, severity: int, raw: str | None) -> bytes:
        signature = self._signature.of(view)
        name = (self._message.of(view) if self._message else "") or self._name.of(view) or signature
        pairs = [("rt", str(lot.time_ms(index))), ("externalId", lot.uids[index])]
        pairs += [(key, text.of(view)) for key, text in self._pairs]
        if self._raw_key is not None:
            pairs.append((self._raw_key, "") if raw is None else (self._raw_key, raw))
        extension = " ".join(f"{key}={_value(value)}" for key, value in pairs if value)
        head = f"{_header(signature, SIGNATURE_CHARS) or 'event'}|{_header(name, NAME_CHARS) or 'event'}"
        return f"CEF:0|{self._device}|{head}|{SEVERITY[severity]}|{extension}".encode("utf-8", "replace")


def _header(text: str, cap: int) -> str:
    return _plain(text)[:cap].replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("=", "\\=")
    if not text.isprintable():
        text = text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r")
    return _plain(text)


def _plain(text: str) -> str:
    return (text if text.isprintable() else _CONTROL.sub(" ", text)).strip()
