"""One shard's part of the ledger's database, over one connection of its own. Only ingest uses it.

Whatever goes wrong, the connection is dropped, and with it what it had not committed.
"""

import asyncio
import time
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import asyncmy

from ledger.domain.account import Account
from ledger.domain.holding import Hold
from ledger.store.commit import Commit, Position, packets
from walletkit.chain import genesis_hash
from walletkit.sql.literals import id_list, literal
from walletkit.sql.session import Rows, open_session, run_packet

PACKET_TIMEOUT_S = 10
MAX_IDLE_S = 20
"""A session idle for longer is opened anew: the server may have dropped it."""

ACCOUNT_COLUMNS = (
    "wallet_id,shard,currency,account_id,status,posted,version,debit,credit,time_us,"
    "held,overdraft_limit,account_freeze"
)
HOLD_COLUMNS = f"hold_id,{','.join(Hold._fields)}"


class Locked(NamedTuple):
    """What a commit builds on; of what was asked for, all that exists."""

    position: Position
    accounts: dict[bytes, Account]
    holds: dict[bytes, Hold]
    assets: dict[str, int]


def account_of(row: tuple[Any, ...]) -> tuple[bytes, Account]:
    """Read a row of ``ACCOUNT_COLUMNS``; the driver gives DECIMAL as ``Decimal``."""
    wallet_id, shard, currency, owner, status, posted, version, debit, credit, *rest = row
    amounts: tuple[Decimal, Decimal, Decimal] = posted, debit, credit
    whole = [int(amount) for amount in amounts]
    return wallet_id, Account(
        *(shard, currency, owner, status),
        *(whole[0], version, whole[1], whole[2], *rest),
    )


def hold_of(row: tuple[Any, ...]) -> tuple[bytes, Hold]:
    """Read a row of ``HOLD_COLUMNS``."""
    return row[0], Hold(*row[1:])


class ShardStore:
    """Rows of one shard. Every call may raise ``OSError``, ``MySQLError``, ``TimeoutError``."""

    def __init__(self, url: str, shard: int, *, durable: bool) -> None:
        self._url = url
        self._shard = shard
        self._durable = durable
        self._connection: asyncmy.Connection | None = None
        self._used_at = 0.0

    async def position(self) -> Position:
        """Return how far the shard is; a shard never seen before stands at its genesis."""
        genesis = literal(genesis_hash(self._shard))
        # Not IGNORE: that would also forgive what is no duplicate.
        packet = f"""INSERT INTO cursors VALUES ({self._shard:d},0,{genesis})
            ON DUPLICATE KEY UPDATE seq=seq; COMMIT; {self._cursor()}; COMMIT"""
        await self._begin()
        (((seq, hash_),),) = await self._run(packet)
        return Position(seq, hash_)

    async def lock(
        self,
        wallet_ids: Collection[bytes],
        hold_ids: Collection[bytes] = (),
        currencies: Collection[str] = (),
    ) -> Locked:
        """Lock the shard's cursor until the commit; return it with all that was asked for."""
        statements = [f"{self._cursor()} FOR UPDATE"]
        for wanted, columns, table, key in (
            (wallet_ids, ACCOUNT_COLUMNS, "accounts", "wallet_id"),
            (hold_ids, HOLD_COLUMNS, "holds", "hold_id"),
            ([code.encode() for code in currencies], "currency,exponent", "assets", "currency"),
        ):
            if wanted:
                where = f"{key} IN ({id_list(wanted)})"
                statements.append(f"SELECT {columns} FROM {table} WHERE {where}")
        await self._begin()
        (((seq, hash_),), *found) = await self._run(";".join(statements))
        accounts, holds, assets = [
            found.pop(0) if wanted else () for wanted in (wallet_ids, hold_ids, currencies)
        ]
        return Locked(
            Position(seq, hash_),
            dict(map(account_of, accounts)),
            dict(map(hold_of, holds)),
            dict(assets),
        )

    async def unlock(self) -> None:
        """Give the cursor back without a change."""
        await self._run("ROLLBACK")

    async def save(self, commit: Commit) -> None:
        """Write everything and commit.

        After an error nobody knows whether it is there: ask ``position``.
        """
        for packet in packets(self._shard, commit):
            await self._run(packet)

    async def hashes(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Return the hashes of those records that are here."""
        await self._begin()
        listed = ",".join([literal(seq) for seq in seqs])
        packet = f"""SELECT seq,hash FROM records
            WHERE shard={self._shard:d} AND seq IN ({listed}); COMMIT"""
        return dict((await self._run(packet))[0])

    def drop(self) -> None:
        """Drop the connection; the server undoes what it had not committed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self) -> str:
        return f"SELECT seq,hash FROM cursors WHERE shard={self._shard:d}"

    async def _begin(self) -> None:
        """Have a connection that is alive.

        Never between ``lock`` and ``save``: a new one holds no lock.
        """
        if self._connection is not None and time.monotonic() - self._used_at > MAX_IDLE_S:
            self.drop()
        if self._connection is None:
            self._connection = await open_session(
                self._url, autocommit=False, durable=self._durable
            )

    async def _run(self, packet: str) -> list[Rows]:
        if self._connection is None:
            raise ConnectionError("the session that held the lock is gone")
        try:
            async with asyncio.timeout(PACKET_TIMEOUT_S):
                rows = await run_packet(self._connection, packet)
        except BaseException:
            # A cancelled call leaves a reply on its way: the session is of no more use either.
            self.drop()
            raise
        self._used_at = time.monotonic()
        return rows
