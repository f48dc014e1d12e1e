"""Gather the proofs of a suite: what each shard, the ledger and its chain say. No output here."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from guilder.client import Guilder, GuilderError
from guilder.ledger.v1.ledger_service_pb2 import (
    GetTrialBalanceResponse,
    ReconcileResponse,
    VerifyChainResponse,
    VerifyTransitResponse,
)

T = TypeVar("T")

MAX_PROOFS_AT_ONCE = 2
"""Each walks a whole shard inside the ledger, which also has records to take in."""

LAG_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ShardProof:
    """What was proved about a shard; an error stands where a proof could not be made."""

    reconciliation: ReconcileResponse | GuilderError
    chain: VerifyChainResponse | GuilderError


@dataclass(slots=True)
class Proofs:
    """What all parts say, as it came."""

    shards: dict[int, ShardProof] | GuilderError
    transit: VerifyTransitResponse | GuilderError
    trial: GetTrialBalanceResponse | GuilderError
    lag: list[str] = field(default_factory=list)
    """What the ledger had not taken in when the wait for it ended."""


async def gather(guilder: Guilder, wait_lag_seconds: float | None) -> Proofs:
    """Ask for every proof; one that fails leaves its error and does not stop the others."""
    shards = await _attempt(guilder.audit.list_shards())
    if isinstance(shards, GuilderError):
        proved: dict[int, ShardProof] | GuilderError = shards
        lag = []
    else:
        lag = (
            []
            if wait_lag_seconds is None
            else await wait_for_ledger(guilder, shards, wait_lag_seconds)
        )
        limit = asyncio.Semaphore(MAX_PROOFS_AT_ONCE)
        proofs = await asyncio.gather(*(_prove(guilder, shard, limit) for shard in shards))
        proved = dict(zip(shards, proofs, strict=True))
    transit = await _attempt(guilder.ledger.verify_transit())
    trial = await _attempt(guilder.ledger.get_trial_balance())
    return Proofs(proved, transit, trial, lag)


async def _attempt(call: Awaitable[T]) -> T | GuilderError:
    try:
        return await call
    except GuilderError as error:
        return error


async def _prove(guilder: Guilder, shard: int, limit: asyncio.Semaphore) -> ShardProof:
    """Reconcile, then walk the chain: so the walk covers the record that was reconciled at."""
    async with limit:
        reconciliation = await _attempt(guilder.ledger.reconcile(shard))
        chain = await _attempt(guilder.ledger.verify_chain(shard))
    return ShardProof(reconciliation, chain)


async def wait_for_ledger(guilder: Guilder, shards: list[int], seconds: float) -> list[str]:
    """Wait until the ledger has what the shards have now; return what is missing at the end."""
    heads: dict[int, int] = {}
    missing: dict[int, str] = {}
    try:
        async with asyncio.timeout(seconds):
            for shard in shards:
                missing[shard] = f"shard {shard}: its newest record is unknown"
                heads[shard] = await guilder.audit.get_head(shard)
            while missing:
                reply = await guilder.ledger.get_trial_balance()
                reached = {position.shard: position.seq for position in reply.positions}
                missing = {
                    shard: f"shard {shard} is at record {head}, the ledger at {at}"
                    for shard, head in heads.items()
                    if (at := reached.get(shard, 0)) < head
                }
                if missing:
                    await asyncio.sleep(LAG_POLL_SECONDS)
    except TimeoutError:
        return [f"{text}, after {seconds:g} s" for text in missing.values()]
    except GuilderError as error:
        return [f"how far the ledger is: {error}"]
    return []
