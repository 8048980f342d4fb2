"""What waits under a source's earlier name, where the new name has collected already: only what is new to it waits on.

A new name begins by `start_from` and its lookback, so it may have delivered what waits under the old one.
"""

from __future__ import annotations

import shutil
from itertools import compress

import msgspec
from isal import igzip

from flicker_dagster.deliver.batching import batch_id_of, pack
from flicker_dagster.deliver.formats import JsonArray, NdJson
from flicker_dagster.pipeline.intake import Known
from flicker_dagster.pipeline.work import SourceWork
from flicker_dagster.state.digests import split
from flicker_dagster.state.spool import SpoolUnit, UnitState
from flicker_dagster.types import Batch


def join_unit(work: SourceWork, unit: SpoolUnit, name: str) -> None:
    """Move what waits in a unit into a unit `name` of the source's spool, without what the source knows already. What is
    acknowledged goes into the ledger. The caller holds both locks. Raises StateError.

    Interrupted and done again, it finds what it has moved in the source's spool.
    """
    spool = work.layout.spool(
        work.source.name
    )  # without a cap: no room for what is fetched already would be a way to lose it
    known = Known(work.ledger, [spool.unit(each).digests() for each in spool.units()])
    waiting = list(unit.pending())
    work.ledger.add(unit.digests(but={batch.seq for batch in waiting}))
    batches = [part for batch in waiting if (part := _unknown_part(work, known, batch)) is not None]
    if batches:
        spool.unit(name).append(batches, UnitState(base=None, frontier=None))
        spool.unit(name).sync()
    spool.close()
    unit.close()
    shutil.rmtree(unit.directory)


def _unknown_part(work: SourceWork, known: Known, batch: Batch) -> Batch | None:
    """The batch as it is, the part of it that is unknown as a batch of its own, or None."""
    keeps: list[bool] = []
    digests: dict[str, bytes] = {}
    for shard, blob in batch.digests.items():
        found = split(blob)
        new = set(known.unknown(shard, found, [None] * len(found)))
        known.take(shard, [found[index] for index in sorted(new)])
        keeps += [index in new for index in range(len(found))]
        if new:
            digests[shard] = b"".join(found[index] for index in sorted(new))
    if all(keeps):
        return batch
    if not any(keeps):
        return None
    form = NdJson() if batch.content_type == NdJson.content_type else JsonArray()
    body = form.join(list(compress(form.split(igzip.decompress(batch.body), batch.count), keeps)))
    return msgspec.structs.replace(
        batch,
        batch_id=batch_id_of(work.source.name, b"".join(digests.values())),
        count=sum(keeps),
        body=pack(body),
        body_bytes=len(body),
        digests=digests,
    )
