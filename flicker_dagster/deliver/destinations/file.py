"""`type: file`: lines of a local file, each event in it once."""

from __future__ import annotations

import errno
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from flicker_dagster.config.destinations.file import FileDestination
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.encoders.encoder import Encoder
from flicker_dagster.deliver.encoders.envelope import EnvelopeLines
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.files.line_file import LineFile
from flicker_dagster.deliver.files.rotation import Rotation
from flicker_dagster.deliver.outcomes import Blocked, Delivered, Duplicate, Outcome, PerItem, Rejected, Retry
from flicker_dagster.errors import DestinationBlocked
from flicker_dagster.lots import Lot
from flicker_dagster.transport.deadlines import Deadline

log = logging.getLogger("flicker.deliver")

#: Gone by themselves, or once somebody makes room.
PASSING = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EIO: "check the disk",
    errno.EINTR: "it is tried again",
    errno.EAGAIN: "it is tried again",
    errno.ENOMEM: "it is tried again",
    errno.EMFILE: "it is tried again",
    errno.ENFILE: "it is tried again",
    errno.ESTALE: "check the network file system",
    errno.ETIMEDOUT: "check the network file system",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def lines_encoder(form: str, message_field: str | None) -> Encoder:
    """How events become lines: `ndjson` or `envelope`."""
    return EnvelopeLines(message_field) if form == "envelope" else NdJson()


class FileOfLines(DestinationBase):
    """One file of this stream, or of several. What is in it already is `Duplicate`."""

    def __init__(self, config: FileDestination, context: LaneContext) -> None:
        self.config = config
        self.context = context
        self.limits = LotLimits(events=10_000, bytes=config.max_batch_bytes, in_flight=1)
        self._encoder = lines_encoder(config.format, context.message_field)
        self._guard = threading.Lock()
        self._file: LineFile | None = None

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._encoder.unfit(lot)

    def send(self, lot: Lot) -> Outcome:
        timeout_s = self.config.timeout_ms / 1000
        deadline = Deadline.after(timeout_s, f"destination.timeout_ms ({timeout_s:g} s)").or_earlier(self.deadline)
        with self._guard:
            file = self._opened()
            try:
                fresh = file.write(
                    lot.lot_id,
                    lot.places,
                    lambda indices: self._encoder.encode(lot.part(indices)),
                    wait_s=max(0.0, deadline.left_s),
                )
            except BlockingIOError:
                return Retry(f"another process has been writing {file.path} for longer than {deadline.limit}")
            except OSError as error:
                return self._outcome_of(error, file.path)
            except ValueError as error:
                return Rejected(str(error))
        if len(fresh) == len(lot):
            return Delivered(f"written to {file.path}")
        if not fresh:
            return Duplicate(f"{file.path} holds them already")
        new = set(fresh)
        items = [Delivered("written") if index in new else Duplicate("written before") for index in range(len(lot))]
        return PerItem(tuple(items), f"written to {file.path}")

    def describe(self) -> str:
        return self.config.path

    def close(self) -> None:
        with self._guard:
            if self._file is None:
                return
            self._file.close()
            if self.config.gzip:
                try:
                    self._file.compress(deadline=self.deadline)
                except OSError as error:
                    log.warning("%s: rotated files are not compressed: %s", self.config.path, error)
            self._file = None

    def _opened(self) -> LineFile:
        if self._file is None:
            self._file = LineFile(
                path_of(self.config.path, source=self.context.stream, env=self.context.env),
                mode=int(self.config.mode, 8),
                rotation=Rotation(self.config.rotate_bytes, self.config.rotate_every),
                now_ms=self.context.now_ms,
            )
        return self._file

    def _outcome_of(self, error: OSError, path: Path) -> Outcome:
        words = self.context.masker.shown(f"cannot write {path}: {error.strerror or error}", at_most=300)
        if error.errno in PASSING:
            return Retry(f"{words}; {PASSING[error.errno]}")
        return Blocked(f"{words}; check path, permissions and the file system")


def path_of(template: str, *, source: str, env: Mapping[str, str]) -> Path:
    """The file of a stream. Its name becomes one part of the path, whatever stands in it.

    Raises SecretUnset, and DestinationBlocked for a path that is not absolute.
    """
    name = _UNSAFE.sub("_", source).lstrip(".") or "_"
    path = Path(resolve(template, env=env).replace("{source}", name))
    if not path.is_absolute():
        raise DestinationBlocked(
            f"{source}: destination.path {template} is not absolute, expected /directory/name.ndjson"
        )
    return path


OPENS = FileOfLines
