"""An HTTP source of Sumo Logic: whoever knows its address may send lines."""

from __future__ import annotations

import json
from typing import Any

from flicker_dagster.simulator.receivers.api import ApiReceiver, Refusal, Stored
from flicker_dagster.simulator.server import Request, Response

PATH = "/receiver/v1/http/"
PIECE_BYTES = 65_536


class SumoLogicReceiver(ApiReceiver):
    """`POST /receiver/v1/http/<code>`. `fields` are the defined ones; others are dropped without a word.

    With `budget_used` it answers 200 and keeps nothing. The next `times_out` requests are answered with 408 after half of
    their lines were kept.
    """

    def __init__(
        self,
        *,
        code: str = "ZaVnC4dhaV1-secret-code==",
        fields: frozenset[str] = frozenset(),
        max_bytes: int | None = None,
        **options: Any,
    ) -> None:
        self.code = code
        self.fields = fields
        self.max_bytes = max_bytes
        self.budget_used = False
        self.times_out = 0
        super().__init__(**options)

    @property
    def source_url(self) -> str:
        return f"{self.url}{PATH}{self.code}"

    def refusal(self, status: int, says: str) -> Response:
        return Response.json({"status": status, "id": "SIM01-00001-00001", "code": "error", "message": says}, status)

    def take(self, request: Request) -> Response:
        if request.path != PATH + self.code:
            raise Refusal(self.refusal(401, "The URL is invalid"))
        if request.method != "POST":
            raise Refusal(self.refusal(405, ""))
        body = self.inflated(request, most=self.max_bytes)
        beside = self._metadata(request)
        stored: list[Stored] = []
        for line in body.split(b"\n"):
            if line.strip():
                stored += self._pieces(line, beside)
        with self.lock:
            half = self.times_out > 0
            self.times_out -= half
        if half:
            self.store(stored[: len(stored) // 2])
            return self.refusal(408, "The request timed out")
        if not self.budget_used:
            self.store(stored)
        return Response(200)

    def _metadata(self, request: Request) -> dict[str, Any]:
        told = request.headers.get("x-sumo-fields", "")
        pairs = [pair.partition("=") for pair in told.split(",") if pair]
        return {
            "category": request.headers.get("x-sumo-category"),
            "name": request.headers.get("x-sumo-name"),
            "host": request.headers.get("x-sumo-host"),
            "fields": {name: value for name, _, value in pairs if name in self.fields},
        }

    @staticmethod
    def _pieces(line: bytes, beside: dict[str, Any]) -> list[Stored]:
        try:
            value = json.loads(line)
            uid = value.get("event_uid", "") if isinstance(value, dict) else ""
        except ValueError:
            uid = ""
        pieces = [line[at : at + PIECE_BYTES] for at in range(0, len(line), PIECE_BYTES)]
        return [Stored(uid, piece, {**beside, "pieces": len(pieces)}) for piece in pieces]


RECEIVES = SumoLogicReceiver
