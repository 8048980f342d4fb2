"""An object around the array: `{"records":[…]}`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flicker_dagster.deliver.encoders.encoder import Encoder
from flicker_dagster.lots import Lot


class Wrapped:
    """The body of another encoder (an array) as the value of `key`, the object's only one."""

    content_type = "application/json"

    def __init__(self, key: str, array: Encoder) -> None:
        self._opening = b"{%b:" % json.dumps(key).encode()
        self._array = array
        self.encoding = f"wrapped {json.dumps(key)} {array.encoding}"

    def encode(self, lot: Lot) -> bytes:
        return b"".join((self._opening, self._array.encode(lot), b"}"))

    def unfit(self, lot: Lot) -> Mapping[int, str]:
        return self._array.unfit(lot)
