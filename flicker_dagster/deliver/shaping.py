"""What a lane changes of events before they are encoded: fields kept, dropped and masked, normalised, static fields added.

In this order: rules name fields of the vendor's event, so that nothing that was dropped or masked comes back in the original
that a normalised event carries beside it; static fields are written last, into what is sent.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from flicker_dagster.config.destinations.base import DestinationRecord
from flicker_dagster.config.secrets import resolve
from flicker_dagster.deliver.destination import LaneContext
from flicker_dagster.deliver.field_mask import SHORTEST_KEY_CHARS, FieldMask
from flicker_dagster.deliver.field_rules import FieldEditor, Tally, Unfit
from flicker_dagster.deliver.normalise import Normaliser, normaliser_of
from flicker_dagster.deliver.shape_counts import ShapeCounts
from flicker_dagster.deliver.static_fields import StaticFields
from flicker_dagster.errors import DestinationBlocked, FlickerError
from flicker_dagster.lots import Lot

#: Changes whenever the same rules make other bytes: bodies under one key never differ.
SHAPING_VERSION = 2

MASK_KEY = "${FLICKER_MASK_KEY}"


class Unshapable(FlickerError):
    """Events of a lot that cannot be shaped, and are not sent as they are. `reasons` by their index; the others of the
    lot can be shaped as a part of it."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons):,} events cannot be shaped: {next(iter(reasons.values()))}")
        self.reasons = reasons


class Shaped(NamedTuple):
    """A lot with its events shaped, and what was done to them."""

    lot: Lot
    counts: ShapeCounts


class Shaper:
    """Shapes the lots of one lane. Safe to use from several threads; the same lot always becomes the same bytes."""

    def __init__(self, config: DestinationRecord, context: LaneContext) -> None:
        rules = config.fields
        self._context = context
        self._rules = rules if rules is not None and (rules.keep is not None or rules.drop or rules.mask) else None
        self._static = StaticFields(rules.static) if rules is not None and rules.static else None
        self._normaliser: Normaliser | None = None
        if config.normalise is not None:
            self._normaliser = normaliser_of(
                config.normalise, vendor=context.vendor, stream=context.stream, ocsf_version=config.ocsf_version
            )
        self._declared = msgspec.json.encode(
            [
                SHAPING_VERSION,
                None if rules is None else rules.model_dump(mode="json", exclude={"mask_key"}),
                self._normaliser and self._normaliser.fingerprint,
            ],
            order="deterministic",
        )
        self._lock = threading.Lock()
        self._compiled: FieldEditor | None = None
        self._fingerprint = ""

    @property
    def changes_nothing(self) -> bool:
        """Are events sent as the vendor wrote them?"""
        return self._rules is None and self._static is None and self._normaliser is None

    def shape(self, lot: Lot) -> Lot:
        """As `shaped`, without the counts."""
        return self.shaped(lot).lot

    def shaped(self, lot: Lot) -> Shaped:
        """The lot with its events shaped; the very same lot where nothing is configured. What comes normalised stays so.

        Raises Unshapable with the events that cannot be shaped; SecretUnset and DestinationBlocked where the key of the
        masks is missing.
        """
        if self.changes_nothing:
            return Shaped(lot, ShapeCounts())
        normaliser = self._normaliser if lot.schema == "vendor" else None
        rules, fingerprint = self._opened()
        tally, normalised = Tally(), Counter[str]()
        touched = 0
        shaped: list[bytes] = []
        reasons: dict[int, str] = {}
        for index, event in enumerate(lot.events):
            try:
                edited = event if rules is None else rules.apply(event, tally)
                touched += edited is not event
                if normaliser is not None:
                    edited, kind = normaliser.document(edited, lot, index)
                    normalised[kind] += 1
                shaped.append(edited if self._static is None else self._static.add(edited))
            except Unfit as error:
                reasons[index] = str(error)
        if reasons:
            raise Unshapable(reasons)
        made = lot.with_events(shaped, shape=fingerprint, schema=None if normaliser is None else normaliser.schema)
        return Shaped(
            made,
            ShapeCounts(
                events=len(lot),
                touched=touched,
                dropped=dict(tally.dropped),
                masked=dict(tally.masked),
                left_out=tally.left_out,
                normalised=dict(normalised),
            ),
        )

    def _opened(self) -> tuple[FieldEditor | None, str]:
        """The rules with the key of their masks, which is resolved when it is first needed."""
        with self._lock:
            if not self._fingerprint:
                mask = self._open_mask() if self._rules is not None and self._rules.mask else None
                if self._rules is not None:
                    self._compiled = FieldEditor(
                        keep=self._rules.keep, drop=self._rules.drop, mask=self._rules.mask, masked_by=mask
                    )
                told = self._declared if mask is None else self._declared + mask.fingerprint.encode()
                self._fingerprint = blake2b(told, digest_size=16).hexdigest()
            return self._compiled, self._fingerprint

    def _open_mask(self) -> FieldMask:
        assert self._rules is not None
        template = self._rules.mask_key or MASK_KEY
        key = resolve(template, env=self._context.env)
        if len(key) < SHORTEST_KEY_CHARS:
            raise DestinationBlocked(
                f"{self._context.stream}: destination.fields.mask_key has {len(key)} characters, expected "
                f"{SHORTEST_KEY_CHARS} or more that nobody can guess, such as `openssl rand -hex 32` prints"
            )
        return FieldMask(key)
