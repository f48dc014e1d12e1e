"""Compare a shard's own balances with the journal at exactly one seq (I1, I3, I7, I8).

The wallet service takes one snapshot and says at which seq; the ledger waits until it is that far,
takes a snapshot of its own at once, and takes off again what the few records in between did.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import structlog

from guilder.wallet.v1 import wallet_audit_service_pb2 as wallet
from ledger.domain.account import Account
from ledger.domain.findings import Findings
from ledger.domain.holding import Hold
from ledger.domain.reconciling import Comparison, Held, Later, LegKey, OpenLeg
from ledger.store import audit, audit_sparse
from ledger.store.codec import decode
from ledger.store.commit import Position
from ledger.store.pool import Pool, Session
from ledger.store.positions import Positions
from walletkit.chain import genesis_hash
from walletkit.errors import ServiceError

MAX_SECONDS = 600
"""The longest reconciliation, for callers without a deadline."""

_LAST_SYSTEM = b"\0" + b"\xff" * 15

if TYPE_CHECKING:
    # The generated class exists for type checkers alone.
    from guilder.wallet.v1.wallet_audit_service_pb2_grpc import WalletAuditServiceAsyncStub

log = structlog.get_logger()


class Reconciler:
    """Reconciles one shard at a time, whoever asks."""

    def __init__(
        self, pool: Pool, positions: Positions, stub: "WalletAuditServiceAsyncStub"
    ) -> None:
        self._pool = pool
        self._positions = positions
        self._stub = stub

    async def reconcile(
        self, shard: int, remaining_s: float | None
    ) -> tuple[Position, Comparison, int]:
        """Return where both were compared, what was found, and how many intents were open.

        Raise ``ServiceError`` (SHARD_NOT_FOUND, SHARD_UNAVAILABLE, DEADLINE_EXCEEDED,
        LEDGER_UNAVAILABLE).
        """
        limit = MAX_SECONDS if remaining_s is None else min(remaining_s, MAX_SECONDS)
        try:
            async with asyncio.timeout(limit):
                return await self._reconcile(shard, limit)
        except TimeoutError as error:
            text = f"shard {shard} could not be reconciled within {limit:.0f} s"
            raise ServiceError("DEADLINE_EXCEEDED", text) from error
        except grpc.aio.AioRpcError as error:
            unknown = error.code() == grpc.StatusCode.NOT_FOUND
            reason = "SHARD_NOT_FOUND" if unknown else "SHARD_UNAVAILABLE"
            text = f"shard {shard}: the wallet service says {error.code().name}: {error.details()}"
            raise ServiceError(reason, text, {"shard": str(shard)}) from error

    async def _reconcile(self, shard: int, limit_s: float) -> tuple[Position, Comparison, int]:
        request = wallet.StreamBalancesRequest(shard=shard)
        stream = self._stub.StreamBalances(request, timeout=limit_s)
        parts = aiter(stream)
        first = await anext(parts, None)
        if first is None:
            raise _cut(shard)
        at = Position(first.seq, first.hash)
        await self._positions.reached(shard, at.seq)
        comparison = Comparison(Findings(shard))
        async with _books(self._pool, shard, at.seq) as books:
            comparison.fork(at.seq, await books.hash(), at.hash)
            intents = await _compare(comparison, books, first, parts)
        log.info(
            "reconciled",
            shard=shard,
            seq=at.seq,
            wallets=comparison.wallets,
            differences=comparison.findings.count,
        )
        return at, comparison, intents


class _Books:
    """The journal as it was at one seq."""

    def __init__(self, session: Session, shard: int, seq: int) -> None:
        self._session = session
        self._shard = shard
        self._seq = seq
        self._later = Later()
        self._changed: dict[bytes, Hold] = {}
        self._before: dict[bytes, Hold] = {}

    async def load_later(self) -> None:
        """Read what was recorded after the seq, up to the snapshot."""
        cursor = await audit.cursor(self._session, self._shard)
        seq, until = self._seq, cursor.seq if cursor else 0
        while rows := await audit.records(self._session, self._shard, seq, until):
            for row in rows:
                self._later.add(decode(row.payload))
            seq = rows[-1].seq
            await asyncio.sleep(0)
        self._changed = await audit_sparse.holds(self._session, self._later.holds)
        self._before = await audit_sparse.holds_at(self._session, self._changed, self._seq)
        self._later.take_off_holds(self._changed, self._before)

    async def hash(self) -> bytes | None:
        """Return the hash of the record at the seq."""
        if self._seq == 0:
            return genesis_hash(self._shard)
        return await audit.hash_at(self._session, self._shard, self._seq)

    async def accounts(self, after: bytes, until: bytes) -> dict[bytes, Account]:
        """Return the accounts with ids above ``after`` up to ``until``, as they were."""
        found: dict[bytes, Account] = {}
        async for chunk in audit.accounts(self._session, self._shard, after, until):
            found |= {
                wallet_id: self._later.take_off(wallet_id, account)
                for wallet_id, account in chunk.items()
                if wallet_id not in self._later.created
            }
        return found

    async def holds(self) -> dict[bytes, Hold]:
        """Return the holds that were open."""
        open_now = await audit_sparse.open_holds(self._session, self._shard)
        rest = {key: hold for key, hold in open_now.items() if key not in self._changed}
        return rest | self._before

    async def intents(self) -> dict[LegKey, OpenLeg]:
        """Return the legs that were open."""
        open_now = await audit.open_intents(self._session, self._shard)
        before = {key: leg for key, leg in open_now.items() if key not in self._later.sent}
        closed = self._later.closed
        sent = await audit.sent_legs(self._session, self._shard, [tx_id for tx_id, _ in closed])
        return before | {key: leg for key, leg in sent.items() if key in closed}


@asynccontextmanager
async def _books(pool: Pool, shard: int, seq: int) -> AsyncIterator[_Books]:
    async with pool.snapshot() as session:
        books = _Books(session, shard, seq)
        await books.load_later()
        yield books


async def _compare(
    comparison: Comparison,
    books: _Books,
    first: wallet.StreamBalancesResponse,
    parts: AsyncIterator[wallet.StreamBalancesResponse],
) -> int:
    """Compare part by part; return how many intents were compared.

    Raise ``ServiceError`` for a stream that was cut.
    """
    system: dict[bytes, tuple[str, int]] = {}
    intents: dict[LegKey, OpenLeg] = {}
    holds: dict[bytes, Hold] = {}
    last = _LAST_SYSTEM
    part: wallet.StreamBalancesResponse | None = first
    while part is not None:
        held = [_held(balance) for balance in part.balances]
        if held:
            until = max(held[-1].wallet_id, last)
            comparison.customers(held, await books.accounts(last, until))
            last = until
        for item in part.system_wallets:
            system[item.wallet_id] = (item.currency_code, int(item.posted_minor))
        for leg in part.intents:
            key = (leg.transaction_id, leg.leg)
            intents[key] = (leg.currency_code, leg.amount_minor, leg.destination)
        holds |= {hold.hold_id: _hold(hold, comparison.findings.shard) for hold in part.holds}
        if part.complete:
            break
        part = await anext(parts, None)
    if part is None:
        raise _cut(comparison.findings.shard)
    comparison.customers([], await books.accounts(last, audit.LAST_ID))
    comparison.system(system, await books.accounts(b"", _LAST_SYSTEM))
    booked = await books.intents()
    comparison.intents(intents, booked)
    comparison.holds(holds, await books.holds())
    comparison.sums()
    return len(intents.keys() | booked.keys())


def _held(balance: wallet.SnapshotBalance) -> Held:
    return Held(
        *(balance.wallet_id, balance.currency_code, balance.posted_minor, balance.held_minor),
        *(balance.overdraft_limit_minor, balance.version, balance.status),
        balance.account_freeze,
    )


def _hold(hold: wallet.SnapshotHold, shard: int) -> Hold:
    return Hold(
        *(shard, hold.wallet_id, hold.currency_code, hold.state),
        *(hold.authorized_minor, hold.captured_minor, hold.released_minor, hold.expire_time_us),
    )


def _cut(shard: int) -> ServiceError:
    text = f"shard {shard}: the snapshot was cut before its end"
    return ServiceError("SHARD_UNAVAILABLE", text, {"shard": str(shard)})
