"""`type: file`: lines appended to a local file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flicker_dagster.config.destinations.base import DestinationRecord, Fix, Guide
from flicker_dagster.config.records import Count, Template


class FileDestination(DestinationRecord):
    """Events as lines of a local file, for a log shipper that follows it: each event in it exactly once."""

    GUIDE = Guide(
        title="Local file",
        create=(
            "Choose a directory on a local disk that outlives the container or host (a mounted volume).",
            "Let your shipper (Filebeat, Fluent Bit, Vector, the Splunk forwarder, rsyslog's `imfile`) follow the active "
            "name, such as `/var/log/flicker/okta.ndjson`, by name and through renames.",
        ),
        rights="Flicker's user writes the directory: the file, its rotated forms, and two hidden files beside it. The shipper "
        "reads the file (`mode`).",
        block="""lines:
  type: file
  path: /var/log/flicker/{source}.ndjson
  rotate_bytes: 100000000
  rotate_every: day
  gzip: true
""",
        guarantee="exactly once",
        bound="as long as the hidden files beside it stay and nobody else writes the file. The last 30,000 requests at least "
        "are remembered; a file that somebody moved away or removed is no longer known to hold its events",
        body="lines: the events alone (`ndjson`), or envelopes with id, time and source (`envelope`)",
        identity="the event's own id; `id` of an envelope",
        time="the event's own; `time` of an envelope",
        find="grep -F {mark} {record.path}   (for {{source}} the stream's name)",
        tested="real file systems: kills at every write, full disks, rotation, several processes",
        notes=(
            "Each request is written, synced, and entered in `.NAME.commits`, which is synced too. Whatever a killed process "
            "leaves behind the last entry is cut off by the next one, so that a reader may see lines that are taken back after "
            "a crash, and written again.",
            "Rotation renames: `okta.ndjson` becomes `okta-20261129T000003Z.ndjson` (when it was begun, UTC), and a new file "
            "gets the name. It happens when something is written: a quiet stream's file stays. Leave it to Flicker: what "
            "`logrotate` moves away is kept, but no longer looked into for a request that comes again, and `copytruncate` "
            "loses lines by itself.",
            "Nothing is ever removed: rotated files are yours (or your shipper's) to clear away.",
            "Without `{source}` all streams of this destination share one file, taking turns under a lock. That holds "
            "for processes of one machine; on network file systems give each machine a file of its own.",
            "`format: ndjson` is the vendor's own bytes, one event per line; `envelope` puts id, time and source around them, "
            "which tells events of a shared file apart.",
            "A full disk is waited out. Missing permissions, a read-only file system, or something else under that name block "
            "this destination, and keep everything, until somebody mends them.",
        ),
        answers=(
            ("written and synced", "taken"),
            ("it is in the file already", "nothing is written"),
            ("disk full, quota, I/O error", "tried again"),
            ("missing permission or directory, read-only, not a file", "everything waits until somebody mends it"),
        ),
        http_answers=False,
        fixes=(
            Fix("Permission denied", "Let Flicker's user write the directory and the file."),
            Fix("No such file", "Create the directory."),
            Fix("Read-only", "Mount the file system writable, or choose another `path`."),
            Fix("Is a directory", "`path` names a directory: name a file in it."),
            Fix("Not a directory", "A part of `path` is a file: correct it."),
            Fix("not absolute", "Begin `path` with a slash."),
            Fix("free some space", "Free some space."),
        ),
    )

    type: Literal["file"]
    path: Template = Field(
        description="the active file, absolute; may hold ${VAR}, and {source} for the stream's name: a file for each stream",
    )
    format: Literal["ndjson", "envelope"] = Field(
        default="ndjson", description="the vendor's bytes line by line, or in envelopes with id, time and source"
    )
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field(
        default="0640", description="permissions of new files, in quotes; whatever the umask is"
    )
    rotate_bytes: Count | None = Field(
        default=100_000_000, description="a new file begins before one grows beyond this; null for never"
    )
    rotate_every: Literal["hour", "day"] | None = Field(
        default="day", description="a new file begins with each hour or day of UTC; null for neither"
    )
    gzip: bool = Field(default=False, description="compress rotated files")
    max_batch_bytes: Count = Field(
        default=8_000_000, description="bytes per request at most: each is synced to the disk"
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1)] = Field(
        default=1, description="always 1: requests of a file are written one behind the other"
    )

    def faults(self) -> list[tuple[str, str]]:
        found = super().faults()
        if not self.path.startswith(("/", "${")):
            found.append(("path", f"{self.path!r} is not absolute, expected /directory/name.ndjson"))
        elif self.path.endswith("/"):
            found.append(("path", f"{self.path!r} names a directory, expected a file in it"))
        return found
