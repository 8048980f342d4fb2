"""Custom sources of Amazon Security Lake: OCSF in Parquet, one class in each source, one day in each folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from flicker_dagster.config.destinations.security_lake import CLASS_UIDS, CustomSource, SecurityLakeDestination
from flicker_dagster.deliver.bucket import Bucket
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.encoders.ocsf.parquet import OcsfParquet
from flicker_dagster.deliver.layouts import DAY_MS, object_name
from flicker_dagster.deliver.outcomes import Blocked, Outcome, Split
from flicker_dagster.deliver.pieces import Piece, send_pieces
from flicker_dagster.lots import Lot
from flicker_dagster.times import datetime_of

_NAMES = {uid: name for name, uid in CLASS_UIDS.items()}


class SecurityLake(DestinationBase):
    """One object for each class and day among the events of a request, written under the class's own role."""

    def __init__(self, config: SecurityLakeDestination, context: LaneContext) -> None:
        self.limits = LotLimits(config.max_object_events, config.max_object_bytes, config.max_in_flight)
        self._config = config
        self._encoder = OcsfParquet(config.ocsf_version)
        self._sources = {CLASS_UIDS[name]: _Source(config, context, source) for name, source in config.sources.items()}

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._encoder.unfit(lot) if lot.schema == "ocsf" else {}

    def send(self, lot: Lot) -> Outcome:
        if lot.schema != "ocsf":
            return Blocked(f"the events came as {lot.schema!r}, and Security Lake takes OCSF only; set normalise: ocsf")
        if len(lot) > 1 and (lot.size_bytes > self.limits.bytes or len(lot) > self.limits.events):
            what = f"{len(lot)} events of {lot.size_bytes:,} bytes are more than one object is to hold"
            return Split(what, teaches=False)  # the lane counts the vendor's bytes, and these are normalised
        parts: dict[tuple[int, int], list[int]] = {}
        for index, event in enumerate(lot.events):
            parts.setdefault((self._encoder.class_of(event), lot.time_ms(index) // DAY_MS), []).append(index)
        pieces = [
            Piece(those, self._put(lot.part(those), class_uid, day), to=str(class_uid))
            for (class_uid, day), those in sorted(parts.items())
        ]
        return send_pieces(pieces, len(lot))

    def describe(self) -> str:
        return f"Security Lake s3://{self._config.bucket}/ext/"

    def close(self) -> None:
        for source in self._sources.values():
            source.bucket.close()

    def _put(self, lot: Lot, class_uid: int, day: int) -> Callable[[], Outcome]:
        source = self._sources.get(class_uid)

        def put() -> Outcome:
            if source is None:
                name = _NAMES.get(class_uid, str(class_uid))
                return Blocked(
                    f"there are events of the class {name} and no custom source for it; create one in Security Lake and "
                    f"name it as sources.{name}"
                )
            source.bucket.deadline = self.deadline
            key = source.folder(day * DAY_MS) + object_name(lot, self._encoder.encoding, ".parquet")
            body = self._encoder.encode(lot)
            return source.bucket.put_once(key, body, content_type=self._encoder.content_type, lot=lot)

        return put


class _Source:
    """A custom source: its folder, and the bucket as its provider role sees it."""

    def __init__(self, config: SecurityLakeDestination, context: LaneContext, source: CustomSource) -> None:
        self._config = config
        self._location = (source.location or f"ext/{source.name}").rstrip("/") + "/"
        self.bucket = Bucket(
            config,
            replace(context, lane=f"{context.lane}/{source.name}"),  # the tokens of each role are its own
            auth=config.credentials(role_arn=source.role_arn, external_id=source.external_id),
            prefix=self._location,
        )

    def folder(self, ms: int) -> str:
        """Where the events of a day lie ("Collecting data from custom sources")."""
        region, account = self.bucket.resolve(self._config.region), self.bucket.resolve(self._config.account_id)
        return f"{self._location}region={region}/accountId={account}/eventDay={datetime_of(ms):%Y%m%d}/"


OPENS = SecurityLake
