"""An S3 bucket in memory: conditional writes, and answers that get lost on their way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from flicker_dagster.errors import StateError, WriteConflict
from flicker_dagster.state.stores import ANYTHING, UNCHANGED, Marker, Stored


class Bucket:
    """The objects, shared by all machines."""

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.writes = 0


class SimStore:
    """One machine's way to the bucket, as a `state.stores.Store`.

    `io` is told of each request before it is made and may kill the machine; `fault` gives what goes wrong with it:
    `away` (not done), `lost` (done, no answer), `again` (done, the answer lost, and asked again by the SDK), or nothing.
    """

    def __init__(self, bucket: Bucket, prefix: str, io: Callable[[str], None], fault: Callable[[], str | None]) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._io = io
        self._fault = fault

    def read(self, key: str) -> Stored | None:
        self._request("read", key)
        return self._bucket.objects.get(self._prefix + key)

    def read_changed(self, key: str, version: str) -> Stored | Literal[Marker.UNCHANGED] | None:
        found = self.read(key)
        return UNCHANGED if found is not None and found.version == version else found

    def write(self, key: str, data: bytes, *, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        fault = self._request("write", key)
        version = self._put(key, data, expected)
        self._io(f"answered write {key}")
        if fault == "again":  # the SDK repeats what it got no answer to
            return self._put(key, data, expected)
        if fault == "lost":
            raise StateError(f"cannot write {self.describe(key)}: no answer")
        return version

    def delete(self, key: str) -> None:
        self._request("delete", key)
        self._bucket.objects.pop(self._prefix + key, None)

    def list(self, prefix: str) -> Iterator[str]:
        self._request("list", prefix)
        full = self._prefix + prefix
        return iter(sorted(key[len(self._prefix) :] for key in self._bucket.objects if key.startswith(full)))

    def describe(self, key: str) -> str:
        return f"s3://simulated/{self._prefix}{key}"

    def _put(self, key: str, data: bytes, expected: str | Literal[Marker.ANYTHING] | None) -> str:
        there = self._bucket.objects.get(self._prefix + key)
        if expected is not ANYTHING and expected != (None if there is None else there.version):
            raise WriteConflict(f"{self.describe(key)} was changed by another writer since it was read")
        self._bucket.writes += 1
        version = f'"{self._bucket.writes}"'
        self._bucket.objects[self._prefix + key] = Stored(data, version)
        return version

    def _request(self, doing: str, key: str) -> str | None:
        self._io(f"{doing} {key}")
        fault = self._fault()
        if fault == "away":
            raise StateError(f"cannot {doing} {self.describe(key)}: the store is away; it is tried again")
        return fault
