"""What the databases of a suite say of what they store: rows, bytes, page reads, binlogs.

Reads only, but for ANALYZE, which renews the sizes, and for binlogs that nothing follows.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncmy

from bench.sessions import ask, sessions
from walletkit.ids import format_id
from walletkit.sql.session import Rows
from walletkit.stack import Stack

QUERY_TIMEOUT_S = 900.0
"""Counting tens of millions of rows takes so long on a slow disk."""
IDLE_S = 3_600
"""How long a session may be silent."""
PAGE_WALLETS = 50_000
BINLOGS_BYTES = 2**30
"""Binlogs that a server may keep: they expire by themselves, but only when a file is full."""

_HEAD = "SELECT (SELECT seq FROM head WHERE id=1),(SELECT COUNT(*) FROM intents)"
_CURSORS = "SELECT shard,seq FROM cursors"
_COUNT = "SELECT COUNT(*) FROM transactions"
_WALLETS = (
    "SELECT w.account_id,w.wallet_id,b.posted FROM wallets w JOIN balances b USING(wallet_id)"
    " WHERE w.account_id>'{0}' AND w.account_id LIKE '{1}%' ORDER BY w.account_id LIMIT {2}"
)
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema='{}'"
_SIZES = (
    "SELECT table_name,data_length+index_length FROM information_schema.tables"
    " WHERE table_schema='{}'"
)
_READS = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_reads'"
_POOL = "SELECT @@innodb_buffer_pool_size"
_DISK_BUSY_MS = 12
"""Field of /proc/diskstats: how long the device had something to do, milliseconds."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet that is there."""

    wallet_id: str
    posted: int


@dataclass(frozen=True, slots=True)
class Behind:
    """What committed transactions still have to bring about."""

    records: int
    """Commits that the ledger has not taken in."""
    legs: int
    """Transfers between shards whose intent is open."""


class Storage:
    """Sessions on each shard, and on the server that ledger and notify share."""

    def __init__(
        self, stack: Stack, shards: list[asyncmy.Connection], books: asyncmy.Connection
    ) -> None:
        """Ask over these."""
        self._stack = stack
        self._shards = shards
        self._books = books

    async def wallets(self, prefix: str) -> dict[int, Wallet]:
        """Return the wallets whose account is the prefix and a number, by that number."""
        found: dict[int, Wallet] = {}
        for shard in self._shards:
            last = prefix
            while page := await _ask(shard, _WALLETS.format(last, prefix, PAGE_WALLETS)):
                for account, wallet_id, posted in page:
                    if (number := account.removeprefix(prefix)).isdecimal():
                        found[int(number)] = Wallet(format_id(wallet_id), posted)
                last = page[-1][0]
        return found

    async def transactions(self) -> int:
        """Count the transactions of all shards; that reads all of them."""
        counts = await asyncio.gather(*[_ask(shard, _COUNT) for shard in self._shards])
        return sum(int(rows[0][0]) for rows in counts)

    async def behind(self) -> Behind:
        """Tell what is under way. The ledger is asked first, so that nothing is overlooked."""
        taken: dict[int, int] = dict(await _ask(self._books, _CURSORS))
        heads = [(await _ask(shard, _HEAD))[0] for shard in self._shards]
        records = sum(int(seq or 0) - taken.get(n, 0) for n, (seq, _) in enumerate(heads))
        return Behind(records, sum(int(legs) for _, legs in heads))

    async def sizes(self) -> dict[str, int]:
        """Return the bytes of each table, indexes included; shards together, as `shards.<table>`.

        ANALYZE first, or they would be those of some time ago.
        """
        sizes: dict[str, int] = {}
        places = [
            *[("shards", f"wallet_{n}", shard) for n, shard in enumerate(self._shards)],
            *[(name, name, self._books) for name in ("ledger", "notify")],
        ]
        for group, database, session in places:
            names = [
                f"{database}.{row[0]}" for row in await _ask(session, _TABLES.format(database))
            ]
            await _ask(session, f"ANALYZE NO_WRITE_TO_BINLOG TABLE {','.join(names)}")
            for table, size in await _ask(session, _SIZES.format(database)):
                name = f"{group}.{table}"
                sizes[name] = sizes.get(name, 0) + int(size or 0)
        return sizes

    async def page_reads(self) -> tuple[int, int]:
        """Return how many pages shards and books have read because their pool had them not."""
        shards = [int((await _ask(shard, _READS))[0][1]) for shard in self._shards]
        return sum(shards), int((await _ask(self._books, _READS))[0][1])

    async def pool_bytes(self) -> int:
        """Return the size of each server's buffer pool."""
        return int((await _ask(self._books, _POOL))[0][0])

    async def binlog_bytes(self) -> int:
        """Return what the binlogs of all servers take; 0 where they write none."""
        return sum([sum(await _binlogs(one)) for one in (*self._shards, self._books)])

    async def trim_binlogs(self, most_bytes: int = BINLOGS_BYTES) -> None:
        """Delete full binlogs of servers that keep too many: nothing follows a local suite's."""
        for session in (*self._shards, self._books):
            if sum(await _binlogs(session)) > most_bytes:
                newest = (await _ask(session, "SHOW BINARY LOGS"))[-1][0]
                await _ask(session, f"PURGE BINARY LOGS TO '{newest}'")


@asynccontextmanager
async def opened(stack: Stack) -> AsyncIterator[Storage]:
    """Open a session on each database of a suite, for as long as the block lasts."""
    async with sessions(stack) as (shards, books):
        for session in (*shards, books):
            # One waits while another counts.
            await _ask(session, f"SET wait_timeout={IDLE_S}")
        yield Storage(stack, shards, books)


def disk_busy_seconds(folder: Path) -> float | None:
    """Return how long a folder's disk has been busy since the machine started; None: not known."""
    device = folder.stat().st_dev
    numbers = [str(device >> 8 & 0xFFF), str(device & 0xFF)]
    for line in Path("/proc/diskstats").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[:2] == numbers:
            return int(fields[_DISK_BUSY_MS]) / 1e3
    return None


async def _binlogs(session: asyncmy.Connection) -> list[int]:
    if not (await _ask(session, "SELECT @@log_bin"))[0][0]:
        return []
    return [int(row[1]) for row in await _ask(session, "SHOW BINARY LOGS")]


async def _ask(connection: asyncmy.Connection, sql: str) -> Rows:
    return await ask(connection, sql, QUERY_TIMEOUT_S)
