"""Take one shard's records in.

Exactly once, in order, many to a commit, and nothing of a record that does not fit.

The running balances are kept in memory and tied to a position. A commit locks the shard's cursor
and compares it with that position, so a second process or stream is harmless: whoever comes second
forgets its balances and goes on from the database. Balances in memory move only after COMMIT has
answered, so they are never ahead.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import structlog
from asyncmy.errors import MySQLError

from ledger.domain.account import Account, JournalMismatchError
from ledger.domain.auditing import audit_rows
from ledger.domain.holding import holds_of
from ledger.domain.journal import effective_entries, journal, wallets_of
from ledger.ingest.incoming import Incoming, refusal
from ledger.ingest.traces import tell_of
from ledger.store.commit import Commit, Kept, Position
from ledger.store.positions import Positions
from ledger.store.shard_store import Locked, ShardStore
from walletkit.chain import genesis_hash
from walletkit.errors import ServiceError
from walletkit.sql.session import error_number
from walletkit.telemetry.metrics import ledger as metrics

MAX_TRIES = 8
RETRY_PAUSE_S = 0.05
MAX_PAUSE_S = 1.0
MAX_CACHED_ACCOUNTS = 250_000

_NO_PARTITION = 1526
_OUT_OF_RANGE = 1264
_DATA_ERRORS = frozenset({_NO_PARTITION, _OUT_OF_RANGE, 1366, 1406, 1690})
"""Values that a column can't hold. All else may pass: locks, lost races, a server that is ill."""

_T = TypeVar("_T")

log = structlog.get_logger()


class Taken(NamedTuple):
    """How far the shard is after a batch, and why the rest of the batch was refused."""

    position: Position
    refusal: ServiceError | None


class _OvertakenError(OSError):
    """Another process has taken records in meanwhile."""


class ShardWriter:
    """The one writer of a shard in this process; any number of streams may hand it records."""

    def __init__(self, shard: int, store: ShardStore, positions: Positions) -> None:
        self._shard = shard
        self._store = store
        self._positions = positions
        self._lock = asyncio.Lock()
        self._position = Position(0, genesis_hash(shard))
        self._sure = False
        self._accounts: dict[bytes, Account] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._meter = _Meter(shard)

    async def position(self) -> Position:
        """Return how far the shard is durable. Raise ``ServiceError`` (LEDGER_UNAVAILABLE)."""
        return await self._own(self._retried(self._reread))

    async def take(self, batch: Sequence[Incoming]) -> Taken:
        """Take a batch in.

        Raise ``ServiceError`` (LEDGER_UNAVAILABLE); a record that does not fit is no exception.

        What has begun is finished even if the caller goes away.
        """
        return await self._own(self._retried(lambda: self._take(batch)))

    async def drain(self) -> None:
        """Wait for what has begun, then drop the connection."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._store.drop()

    async def _own(self, work: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # The caller may have gone away; then nobody else asks for what went wrong.
            task.exception()

    async def _retried(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Run work alone; when the database fails, ask it anew where it stands, and try again."""
        failure: Exception | None = None
        async with self._lock:
            for attempt in range(1, MAX_TRIES + 1):
                try:
                    return await work()
                except (OSError, MySQLError, TimeoutError) as error:
                    log.warning(
                        "commit failed", shard=self._shard, attempt=attempt, error=repr(error)
                    )
                    self._doubt()
                    self._meter.faults.add()
                    failure = error
                except BaseException:
                    self._doubt()
                    raise
                pause = min(RETRY_PAUSE_S * 2**attempt, MAX_PAUSE_S)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
        text = f"shard {self._shard} can't be taken in: {failure}"
        raise ServiceError("LEDGER_UNAVAILABLE", text) from failure

    def _doubt(self) -> None:
        """Let go of the session with its locks: nobody knows where a failed batch has left it."""
        self._store.drop()
        self._sure = False

    async def _reread(self) -> Position:
        """Ask the database: a relay that opens may know more than this process."""
        self._sure = False
        return await self._current()

    async def _current(self) -> Position:
        """Return where the shard stands; balances of another position are forgotten."""
        if not self._sure:
            position = await self._store.position()
            if position != self._position:
                self._accounts.clear()
                self._position = position
            self._sure = True
            self._positions.announce(self._shard, position.seq)
        return self._position

    async def _take(self, batch: Sequence[Incoming]) -> Taken:
        position = await self._current()
        fresh, refused = await self._fresh(batch, position)
        if not fresh:
            return Taken(position, refused)
        try:
            mismatch = await self._commit(fresh, position)
        except MySQLError as error:
            if error_number(error) in _DATA_ERRORS:
                return await self._isolate(fresh, error)
            raise
        return Taken(self._position, mismatch or refused)

    async def _fresh(
        self, batch: Sequence[Incoming], position: Position
    ) -> tuple[list[Incoming], ServiceError | None]:
        """Return what follows the position without a gap, up to the first misfit."""
        known = {item.seq for item in batch if item.seq <= position.seq}
        hashes = await self._store.hashes(known) if known else {}
        fresh: list[Incoming] = []
        last = position
        for item in batch:
            if item.seq <= last.seq:
                if hashes.get(item.seq) != item.hash:
                    return fresh, self._refusal("RECORD_CONFLICT", item, "another one is here")
            elif item.seq != last.seq + 1:
                return fresh, self._refusal("RECORD_GAP", item, f"expected {last.seq + 1}")
            elif item.prev_hash != last.hash:
                text = f"it does not follow {last.hash.hex()}"
                return fresh, self._refusal("CHAIN_BROKEN", item, text)
            else:
                fresh.append(item)
                last = Position(item.seq, item.hash)
                hashes[item.seq] = item.hash
        return fresh, None

    async def _commit(self, fresh: Sequence[Incoming], position: Position) -> ServiceError | None:
        """Write the records up to the first that contradicts the journal.

        Return that one's refusal.
        """
        began = time.perf_counter()
        touched: set[bytes] = set()
        holds: set[bytes] = set()
        currencies: set[str] = set()
        for item in fresh:
            touched |= wallets_of(item.record)
            holds |= holds_of(item.record)
            currencies.update([currency for currency, _ in item.record.assets])
        # A set less a dict's keys walks through the dict, and of it all is kept.
        missing = {id_ for id_ in touched if id_ not in self._accounts}
        locked = await self._store.lock(missing, holds, currencies)
        if locked.position != position:
            raise _OvertakenError(f"the shard is at {locked.position.seq}, not {position.seq}")
        self._accounts.update(locked.accounts)
        running = {id_: self._accounts[id_] for id_ in touched if id_ in self._accounts}
        commit, mismatch = self._journal(fresh, locked._replace(accounts=running))
        if commit.records:
            await self._store.save(commit)
            last = commit.records[-1]
            self._position = Position(last.seq, last.hash)
            self._remember(commit.accounts)
            self._positions.announce(self._shard, last.seq)
            seconds = time.perf_counter() - began
            self._meter.committed(commit, seconds)
            tell_of(self._shard, fresh[: len(commit.records)], seconds)
        else:
            await self._store.unlock()
        return mismatch

    def _journal(
        self, fresh: Sequence[Incoming], before: Locked
    ) -> tuple[Commit, ServiceError | None]:
        commit = Commit()
        _, running, holds, assets = before
        for item in fresh:
            record, seq = item.record, item.seq
            try:
                done = journal(record, seq, running, holds=holds, assets=assets)
            except JournalMismatchError as error:
                mismatch = error.mismatch
                text = f"wallet {mismatch.wallet_id.hex()}: {mismatch.sentence()}"
                return commit, self._refusal("JOURNAL_MISMATCH", item, text)
            running.update(done.accounts)
            commit.accounts.update(done.accounts)
            commit.entries += done.entries
            commit.legs += [(seq, leg) for leg in record.legs]
            commit.states.update(record.states)
            if done.holds:
                holds.update(done.holds)
                commit.holds.update(done.holds)
                commit.hold_changes += [(seq, change) for change in record.holds]
            if record.effective:
                commit.effective += effective_entries(record, done.entries)
            commit.labels += [(seq, record.time_us, label) for label in record.labels]
            if record.audit_events:
                commit.audit_events += audit_rows(record, seq, done.accounts)
            assets.update(record.assets)
            commit.assets.update(record.assets)
            kept = Kept(seq, item.prev_hash, item.hash, record.time_us, item.payload)
            commit.records.append(kept)
        return commit, None

    async def _isolate(self, fresh: Sequence[Incoming], error: MySQLError) -> Taken:
        """Take in what goes before the one record that can't be stored, and refuse that one."""
        self._doubt()
        if len(fresh) == 1:
            position = await self._current()
            no_day = error_number(error) in (_NO_PARTITION, _OUT_OF_RANGE)
            reason = "RECORD_DAY_UNKNOWN" if no_day else "JOURNAL_MISMATCH"
            return Taken(position, self._refusal(reason, fresh[0], f"the database says {error}"))
        half = len(fresh) // 2
        taken = await self._take(fresh[:half])
        return taken if taken.refusal else await self._take(fresh[half:])

    def _remember(self, accounts: dict[bytes, Account]) -> None:
        self._accounts.update(accounts)
        surplus = len(self._accounts) - MAX_CACHED_ACCOUNTS
        if surplus > 0:
            # A quarter at once: the oldest by first use, which costs a read each if they come back.
            for id_ in list(islice(self._accounts, surplus + MAX_CACHED_ACCOUNTS // 4)):
                del self._accounts[id_]

    def _refusal(self, reason: str, item: Incoming, text: str) -> ServiceError:
        return refusal(reason, self._shard, item.seq, text)


class _Meter:
    """The instruments of one shard."""

    def __init__(self, number: int) -> None:
        shard = str(number)
        self.faults = metrics.COMMIT_FAULTS.of(shard)
        self._records = metrics.RECORDS.of(shard)
        self._entries = metrics.ENTRIES.of(shard)
        self._size = metrics.COMMIT_RECORDS.of(shard)
        self._seconds = metrics.COMMIT_SECONDS.of(shard)
        self._lag = metrics.LAG.of(shard)
        self._position = metrics.POSITION.of(shard)

    def committed(self, commit: Commit, seconds: float) -> None:
        """Count a commit."""
        last = commit.records[-1]
        self._records.add(len(commit.records))
        self._entries.add(len(commit.entries))
        self._size.observe(len(commit.records))
        self._seconds.observe(seconds)
        self._lag.set(max(0.0, time.time() - last.time_us / 1_000_000))
        self._position.set(last.seq)
