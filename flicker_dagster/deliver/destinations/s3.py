"""Objects in S3: compressed lines or Parquet, each written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flicker_dagster.config.destinations.s3 import S3Destination
from flicker_dagster.deliver.bucket import Bucket
from flicker_dagster.deliver.destination import DestinationBase, LaneContext, LotLimits
from flicker_dagster.deliver.encoders.encoder import Encoder
from flicker_dagster.deliver.encoders.ndjson import NdJson
from flicker_dagster.deliver.encoders.parquet import Parquet
from flicker_dagster.deliver.encoders.uid_lines import UidLines
from flicker_dagster.deliver.encoders.utf8 import not_utf8
from flicker_dagster.deliver.http_destination import pack
from flicker_dagster.deliver.layouts import Layout, object_name
from flicker_dagster.deliver.outcomes import Outcome, Split
from flicker_dagster.deliver.pieces import Piece, send_pieces
from flicker_dagster.lots import Lot


class S3(DestinationBase):
    """One object for the events of a request, or one for each folder of the layout that they belong to."""

    def __init__(self, config: S3Destination, context: LaneContext) -> None:
        self.limits = LotLimits(config.max_object_events, config.max_object_bytes, config.max_in_flight)
        self._config = config
        self._encoder = _encoder_of(config, context)
        self._is_lines = config.format != "parquet"
        self._layout = Layout(config.layout, source=context.stream, vendor=context.vendor)
        self._bucket = Bucket(config, context, auth=config.credentials(), prefix=config.prefix)

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return {**not_utf8(lot), **self._encoder.unfit(lot)} if self._is_lines else self._encoder.unfit(lot)

    def send(self, lot: Lot) -> Outcome:
        if len(lot) > 1 and (lot.size_bytes > self.limits.bytes or len(lot) > self.limits.events):
            what = f"{len(lot)} events of {lot.size_bytes:,} bytes are more than one object is to hold"
            return Split(what, teaches=False)  # normalised events have other sizes than the lane counts
        self._bucket.deadline = self.deadline
        parts = self._layout.parts(lot)
        return send_pieces([Piece(those, self._put(lot.part(those), folder)) for folder, those in parts], len(lot))

    def describe(self) -> str:
        return self._bucket.describe()

    def close(self) -> None:
        self._bucket.close()

    def _put(self, lot: Lot, folder: str) -> Callable[[], Outcome]:
        def put() -> Outcome:
            body = self._encoder.encode(lot)
            suffix = ".ndjson.gz" if self._is_lines else ".parquet"
            key = self._bucket.resolve(self._config.prefix) + folder + object_name(lot, self._encoder.encoding, suffix)
            return self._bucket.put_once(
                key,
                pack(body) if self._is_lines else body,
                content_type=self._encoder.content_type,
                lot=lot,
            )

        return put


def _encoder_of(config: S3Destination, context: LaneContext) -> Encoder:
    if config.format == "parquet":
        return Parquet(context.message_field)
    return UidLines(context.message_field) if config.format == "envelope" else NdJson()


OPENS = S3
