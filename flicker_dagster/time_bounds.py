"""Which instants a request can name: a vendor's format may be as coarse as a day, and its clock may be set back."""

from __future__ import annotations

from datetime import timezone, tzinfo

from flicker_dagster.times import DIRECTIVE, EPOCH, MS, datetime_of, resolution_ms


def bound_before(ms: int, fmt: str, zone: tzinfo | None = None) -> int:
    """The last instant by `ms` that a request in this format can name, however the vendor reads it: what is written in a
    zone may be read as another instant where clocks are set back, and that must not be later."""
    step_ms = resolution_ms(fmt)
    if zone is None or not _is_local(fmt):
        return ms // step_ms * step_ms
    local_ms = _local_ms(ms, zone) // step_ms * step_ms
    while True:
        readings = _readings(local_ms, zone)
        if readings and readings[-1] <= ms:
            return readings[-1]
        over_ms = readings[-1] - ms if readings else 1
        local_ms -= -(-over_ms // step_ms) * step_ms


def bound_after(ms: int, fmt: str, zone: tzinfo | None = None) -> int:
    """The first instant from `ms` on that a request in this format can name; no reading of it is earlier."""
    step_ms = resolution_ms(fmt)
    if zone is None or not _is_local(fmt):
        return -(-ms // step_ms) * step_ms
    local_ms = -(-_local_ms(ms, zone) // step_ms) * step_ms
    while True:
        readings = _readings(local_ms, zone)
        if readings and readings[0] >= ms:
            return readings[0]
        short_ms = ms - readings[0] if readings else 1
        local_ms += -(-short_ms // step_ms) * step_ms


def _is_local(fmt: str) -> bool:
    """Does a format write the clock of a zone, without saying which?"""
    return "%" in fmt and not any(found in "zZs" for found in DIRECTIVE.findall(fmt))


def _local_ms(ms: int, zone: tzinfo) -> int:
    """What a zone's clock shows at an instant, as if it were UTC."""
    shown = datetime_of(ms).astimezone(zone).replace(tzinfo=timezone.utc)
    return (shown - EPOCH) // MS


def _readings(local_ms: int, zone: tzinfo) -> list[int]:
    """The instants at which a zone's clock shows this, in order: one, two where it is set back, none where it is set
    forward."""
    shown = datetime_of(local_ms).replace(tzinfo=zone)
    found = {(shown.replace(fold=fold) - EPOCH) // MS for fold in (0, 1)}
    return sorted(ms for ms in found if _local_ms(ms, zone) == local_ms)
