"""Where an object lies: folders by stream and by the time of its events, and a name by what it holds."""

from __future__ import annotations

import re

from flicker_dagster.config.destinations.s3 import PLACEHOLDER
from flicker_dagster.lots import Lot
from flicker_dagster.times import datetime_of

HOUR_MS, DAY_MS = 3_600_000, 86_400_000

#: What every store and reader of keys takes as it is ("Creating object key names"); `=` and `/` would make folders.
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Layout:
    """A template of folders, such as `source={source}/day={day}/`."""

    def __init__(self, template: str, *, source: str, vendor: str | None) -> None:
        folders = template.strip("/")
        self._template = f"{folders}/" if folders else ""
        names = set(PLACEHOLDER.findall(template))
        self._width_ms = HOUR_MS if "hour" in names else DAY_MS if names - {"source", "vendor"} else 0
        self._fixed = {"source": safe(source), "vendor": safe(vendor or "other")}

    def parts(self, lot: Lot) -> list[tuple[str, list[int]]]:
        """Folders with the indices of the events that belong there, by time."""
        if not self._width_ms:
            return [(self.folder(0), list(range(len(lot))))]
        width_ms = self._width_ms
        indices: dict[int, list[int]] = {}
        for index in range(len(lot)):
            indices.setdefault(lot.time_ms(index) // width_ms, []).append(index)
        folders: dict[str, list[int]] = {}
        for bucket, those in sorted(indices.items()):  # a layout without the year puts several days into one folder
            folders.setdefault(self.folder(bucket * width_ms), []).extend(those)
        return [(folder, sorted(those)) for folder, those in folders.items()]

    def folder(self, ms: int) -> str:
        moment = datetime_of(ms)
        values = self._fixed | {
            "year": f"{moment:%Y}",
            "month": f"{moment:%m}",
            "day_of_month": f"{moment:%d}",
            "day": f"{moment:%Y-%m-%d}",
            "hour": f"{moment:%H}",
        }
        return PLACEHOLDER.sub(lambda found: values[found[1]], self._template)


def object_name(lot: Lot, encoding: str, suffix: str) -> str:
    """The name of the object that holds these events: the time of the first one, for whoever looks at a list, and the
    request's key."""
    first_ms = min(map(lot.time_ms, range(len(lot))))
    return f"{datetime_of(first_ms):%Y%m%dT%H%M%SZ}-{lot.key(encoding)}{suffix}"


def safe(name: str) -> str:
    """A name as part of a folder's."""
    return _UNSAFE.sub("-", name)
