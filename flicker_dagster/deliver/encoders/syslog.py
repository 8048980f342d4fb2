"""Messages of RFC 5424, one for each event: header, structured data with the event's id, and the event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import msgspec

from flicker_dagster.config.destinations.syslog import SEVERITIES, SyslogDestination
from flicker_dagster.deliver.encoders.event_text import EventText, EventView
from flicker_dagster.lots import Lot, one_line
from flicker_dagster.times import rfc3339_ms

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
    "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip

#: How else vendors spell them.
_ALIASES = {
    "emerg": 0, "panic": 0, "fatal": 1, "crit": 2, "error": 3, "err": 3, "high": 3, "warn": 4, "medium": 4, "low": 5,
    "notice": 5, "information": 6, "informational": 6, "trace": 7,
} | {name: level for level, name in enumerate(SEVERITIES)}  # fmt: skip

#: RFC 5424, section 6.
HOSTNAME_CHARS, APP_NAME_CHARS, PROCID_CHARS, MSGID_CHARS = 255, 48, 128, 32
#: Of a value in the structured data; what is longer is in the event itself.
PARAM_CHARS = 500

_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_ESCAPED = re.compile(r'(["\\\]])')
_BOM = b"\xef\xbb\xbf"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode


class Body(Protocol):
    """What stands behind the header."""

    def of(self, lot: Lot, index: int, view: EventView, severity: int) -> bytes | None:
        """None for an event that cannot be written on one line."""
        ...

    def shorter(self, lot: Lot, index: int, view: EventView, severity: int, *, at_most: int) -> bytes | None:
        """The same with as much left out as it takes, and with the names of what was left out. None where that is not
        enough."""
        ...


class JsonBody:
    """The event itself, byte for byte."""

    def of(self, lot: Lot, index: int, view: EventView, severity: int) -> bytes | None:
        return one_line(view.event)

    def shorter(self, lot: Lot, index: int, view: EventView, severity: int, *, at_most: int) -> bytes | None:
        """Without its largest members, whose names are put beside under `truncated`."""
        try:
            members = {name: one_line(bytes(value)) or b"null" for name, value in _members(view.event).items()}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        left_out: list[str] = []
        for name in sorted(members, key=lambda name: len(members[name]), reverse=True):
            left_out.append(name)
            kept = [b"%b:%b" % (_encode(key), value) for key, value in members.items() if key not in left_out]
            text = b"{%b}" % b",".join([*kept, b'"truncated":%b' % _encode(left_out)])
            if len(text) <= at_most:
                return text
        return None


class Rfc5424:
    """Writes messages. `encoding` is everything of the configuration that shapes them."""

    def __init__(self, config: SyslogDestination, body: Body, *, source: str, vendor: str | None) -> None:
        text = lambda template: EventText(template, source=source, vendor=vendor)  # noqa: E731
        self._body = body
        self._facility = FACILITIES.index(config.facility)
        self._severity = SEVERITIES.index(config.severity)
        self._severity_text = None if config.severity_from is None else text(config.severity_from)
        names = (config.hostname, config.app_name, config.procid, config.msgid)
        caps = (HOSTNAME_CHARS, APP_NAME_CHARS, PROCID_CHARS, MSGID_CHARS)
        self._names = [(text(template), cap) for template, cap in zip(names, caps)]
        self._sd_id = config.structured_data_id
        self._params = [(name, text(template)) for name, template in config.structured_data.items()]
        self._bom = _BOM if config.bom else b""
        self._at_most = config.max_message_bytes
        self._shortens = config.oversize == "drop_fields"
        self._fixed = self._fixed_header()

    def messages(self, lot: Lot) -> tuple[list[bytes], Mapping[int, str]]:
        """A message for each event (empty for one that cannot be sent), and why some cannot."""
        messages: list[bytes] = []
        unfit: dict[int, str] = {}
        for index, event in enumerate(lot.events):
            message, why = self._message(lot, index, EventView(event))
            messages.append(message)
            if why:
                unfit[index] = why
        return messages, unfit

    def _message(self, lot: Lot, index: int, view: EventView) -> tuple[bytes, str]:
        severity = self._severity_of(view)
        before = self._header(lot, index, view, severity)
        body = self._body.of(lot, index, view, severity)
        if body is None:
            return b"", "it is not JSON (a raw line break in a string) and cannot be a line of syslog"
        message = b"%b %b%b" % (before, self._bom, body)
        if len(message) <= self._at_most:
            return message, ""
        if self._shortens:
            room = self._at_most - len(before) - 1 - len(self._bom)
            shorter = self._body.shorter(lot, index, view, severity, at_most=room)
            if shorter is not None:
                return b"%b %b%b" % (before, self._bom, shorter), ""
        return b"", (
            f"its message is {len(message)} bytes long, and max_message_bytes is {self._at_most}; raise it once the receiver "
            "takes messages as long (rsyslog: maxMessageSize, and MaxFrameSize of imtcp; syslog-ng: log-msg-size), "
            "then send the dead letters again"
        )

    # -- header

    def _severity_of(self, view: EventView) -> int:
        if self._severity_text is None:
            return self._severity
        return _ALIASES.get(self._severity_text.of(view).strip().lower(), self._severity)

    def _header(self, lot: Lot, index: int, view: EventView, severity: int) -> bytes:
        ms = lot.time_ms(index)
        names, params = self._fixed or (self._written_names(view), self._written_params(view))
        return b'<%d>1 %b%03dZ %b [%b event_uid="%b"%b]' % (
            self._facility * 8 + severity,
            _second(ms // 1_000),
            ms % 1_000,
            names,
            self._sd_id.encode(),
            lot.uids[index].encode(),
            params,
        )

    def _fixed_header(self) -> tuple[bytes, bytes] | None:
        """Names and parameters, where they are the same for every event."""
        texts = [*(text for text, _ in self._names), *(text for _, text in self._params)]
        if any(text.fixed is None for text in texts):
            return None
        view = EventView(b"")
        return self._written_names(view), self._written_params(view)

    def _written_names(self, view: EventView) -> bytes:
        return " ".join(_name(text.of(view), cap) for text, cap in self._names).encode()

    def _written_params(self, view: EventView) -> bytes:
        written = [(name, _param(text.of(view))) for name, text in self._params]
        return "".join(f' {name}="{value}"' for name, value in written if value).encode()


def framed(messages: list[bytes], framing: str) -> bytes:
    """Messages as they go over a connection (RFC 6587): with their length in bytes before, or a line feed behind."""
    if framing == "octet_counting":
        return b"".join([b"%d %b" % (len(message), message) for message in messages])
    return b"\n".join([*messages, b""])


def _name(text: str, cap: int) -> str:
    return _NOT_PRINTABLE.sub("_", text.strip())[:cap] or "-"


def _param(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", _CONTROL.sub(" ", text[:PARAM_CHARS]))


@lru_cache(4_096)
def _second(seconds: int) -> bytes:
    """`2026-05-02T09:14:07.`: RFC 3339 up to the milliseconds."""
    return rfc3339_ms(seconds * 1_000)[:-4].encode()
