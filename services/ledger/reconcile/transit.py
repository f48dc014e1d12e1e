"""Prove that nothing is stranded between shards (I2, I10), at one moment of this database."""

import asyncio
from typing import NamedTuple

from ledger.domain.findings import Findings
from ledger.domain.pairing import Pairs, Waiting
from ledger.store import audit
from ledger.store.commit import Position
from ledger.store.pool import Pool, Session

GRACE_US = 60_000_000
"""Shards' clocks differ, and streams lag: a missing half is missing once its shard's stream is so
far past the other."""

MAX_WAITING = 1_000
"""Events without their other half that are looked into; more of them than this are normal only
under a broken stream."""

_NO_SHARD = 0


class TransitReport(NamedTuple):
    """What the pairing came to."""

    pairs: Pairs
    positions: dict[int, Position]


async def verify_transit(pool: Pool) -> TransitReport:
    """Pair all legs. Raise ``ServiceError`` (LEDGER_UNAVAILABLE)."""
    pairs = Pairs(Findings(_NO_SHARD))
    async with pool.snapshot() as session:
        positions = await audit.cursors(session)
        async for where in audit.leg_ranges(session):
            pairs.paired += await audit.plain_legs(session, where)
            pairs.judge(await audit.other_legs(session, where))
            await asyncio.sleep(0)
        pairs.compare_transit(await audit.transit_balances(session))
        await _report_missing(session, pairs, positions)
    return TransitReport(pairs, positions)


async def _report_missing(session: Session, pairs: Pairs, positions: dict[int, Position]) -> None:
    """Report the halves that can't be on their way any more."""
    waiting = pairs.waiting[:MAX_WAITING]
    events = {(item.event.shard, item.event.seq) for item in waiting}
    heads = {(shard, position.seq) for shard, position in positions.items()}
    times = await audit.times(session, events | heads)
    streams = {shard: times.get((shard, at.seq), 0) for shard, at in positions.items()}
    homes = await audit.shards_of(
        session, [item.destination for item in waiting if item.destination]
    )
    for item in waiting:
        happened_us = times.get((item.event.shard, item.event.seq), 0)
        if _stream_of_half(item, homes, streams) > happened_us + GRACE_US:
            pairs.report_missing(item)


def _stream_of_half(item: Waiting, homes: dict[bytes, int], streams: dict[int, int]) -> int:
    """Return how far, in time, the stream is that should hold the missing half.

    The least of all that could.
    """
    home = homes.get(item.destination)
    if home is not None:
        return streams.get(home, 0)
    others = [time_us for shard, time_us in streams.items() if shard != item.event.shard]
    return min(others, default=0)
