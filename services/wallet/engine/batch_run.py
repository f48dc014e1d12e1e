"""Run one batch until each of its commands is answered, whatever fails on the way.

load, decide, save: and after any error the session is rolled back or dropped before anything else
is sent. The commands keep their ids over every rerun, so that a commit whose answer was lost is
found again by its keys.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from wallet.domain.batch import Batch
from wallet.domain.bound import account_owner
from wallet.domain.commands import (
    Atomic,
    Authorize,
    CaptureHold,
    Command,
    CreateWallet,
    FreezeAccount,
    LandLeg,
    PostTransaction,
    RegisterAsset,
    Reverse,
    SetAccountLimits,
    Transfer,
)
from wallet.domain.decide import decide
from wallet.engine.counterparties import Counterparties
from wallet.engine.meter import ShardMeter
from wallet.engine.queue import Item
from wallet.engine.traces import ShardTraces, Steps
from wallet.store.faults import Fault, classify, in_doubt
from wallet.store.needs import ReadSet, read_set
from wallet.store.probe import slot_lock
from wallet.store.shard import Shard
from walletkit.errors import ServiceError

MAX_RERUNS = 10
"""How often a batch is run again before its commands are answered UNAVAILABLE."""
MAX_LOST_S = 3.0
"""How long after its first lost connection a batch is run again: attempts on a server that hangs
take seconds each."""
TIMEOUTS_BEFORE_PARKING = 2
MAX_PARKS = 20
PAUSE_FIRST_S = 0.01
PAUSE_MOST_S = 1.0
SUSPECT_S = 10.0
"""How long after it was last found locked by a stranger a row is probed before each batch."""

log = structlog.get_logger()


class ShardLostError(Exception):
    """The shard does not answer, or is no longer ours; all commands of the batch are answered."""


@dataclass(slots=True)
class Tries:
    """What has happened to a batch so far."""

    reruns: int = 0
    timeouts: int = 0
    lost_at: float = math.inf
    """When the connection was first lost, by ``time.monotonic``."""
    saving: bool = False
    """Whether the present attempt has come to its commit."""


class BatchRun:
    """Runs batches against one shard, one at a time."""

    def __init__(
        self,
        shard: Shard,
        counterparties: Counterparties,
        on_commit: Callable[[Batch], None],
        park: Callable[[Item], None],
        meter: ShardMeter,
    ) -> None:
        """Name what a batch needs.

        ``on_commit`` is told of each batch after its commit, before the callers.
        """
        self.reruns = 0
        self._shard = shard
        self._counterparties = counterparties
        self._on_commit = on_commit
        self._park = park
        self._meter = meter
        self._traces = ShardTraces(shard.number)
        self._suspects: dict[bytes, float] = {}
        self._needs = ReadSet()
        self._account_wallets: dict[str, tuple[bytes, ...]] = {}
        """Wallets of accounts some of which were found locked; kept as long as suspects are."""

    async def commit(self, items: list[Item]) -> None:
        """Answer or park every item. Raise ``ShardLostError`` when the shard is gone."""
        tries = Tries()
        if self._suspects:
            items = await self._park_suspects(items)
        while items:
            try:
                await self._attempt(items, tries)
            except Exception as error:  # noqa: BLE001  # classified, logged and dealt with
                fault = classify(error)
                self.reruns += 1
                self._meter.failed(fault)
                log.warning(
                    "batch failed",
                    shard=self._shard.number,
                    fault=fault.name,
                    size=len(items),
                    rerun=tries.reruns,
                    error=repr(error)[:500],
                )
                if tries.saving and in_doubt(error):
                    self._doubt(items)
                items = await self._recover(items, fault, tries)
            else:
                return

    async def _attempt(self, items: Sequence[Item], tries: Tries) -> None:
        tries.saving = False
        commands = [item.command for item in items]
        needs = read_set(commands, self._shard.local_slots)
        counterparties = await self._counterparties.look_up(needs.counterparties)
        # The load adds the wallets of accounts, also one that then waits in vain for one of them.
        self._needs = needs
        began = time.perf_counter()
        batch = await self._shard.load(needs)
        loaded = time.perf_counter()
        batch.counterparties = await self._counterparties.renew(counterparties)
        renewed = time.perf_counter()
        outcomes = [decide(batch, command) for command in commands]
        decided = time.perf_counter()
        if batch.changes.any():
            batch.traces = self._traces.of(items)
            tries.saving = True
            seq = await self._shard.save(batch)
            saved = time.perf_counter()
            self._meter.commit.observe(saved - decided)
            if batch.traces:
                steps = (loaded - began, decided - loaded, saved - decided)
                self._tell_followers(batch, items, seq, Steps(*steps))
        else:
            await self._shard.rollback()
            seq = batch.seq
        self._meter.load.observe(loaded - began)
        self._meter.decide.observe(decided - renewed)
        self._tell(batch, len(items))
        for item, outcome in zip(items, outcomes, strict=True):
            item.answer(outcome, seq)

    def _tell(self, batch: Batch, commands: int) -> None:
        """Send off the legs of a committed batch; what fails here, the sweep makes good."""
        try:
            self._meter.committed(batch, commands)
        except Exception:
            # What was committed stands, whether or not it was counted.
            log.exception("batch was not counted", shard=self._shard.number)
        try:
            self._on_commit(batch)
        except Exception:
            log.exception("legs were not sent", shard=self._shard.number)

    def _tell_followers(self, batch: Batch, items: Sequence[Item], seq: int, steps: Steps) -> None:
        try:
            self._traces.committed(batch, items, seq, steps)
        except Exception:
            # What was committed stands, and is answered, whether or not anybody was told of it.
            log.exception("batch was not traced", shard=self._shard.number)

    async def _recover(self, items: list[Item], fault: Fault, tries: Tries) -> list[Item]:
        """Return what is to be run again; the rest is answered or parked."""
        if fault is Fault.LOST_CONNECTION:
            self._shard.drop_writer()
            tries.lost_at = min(tries.lost_at, time.monotonic())
        else:
            await self._shard.rollback()
        if fault is Fault.STALE_EPOCH:
            self._unavailable(items, "has another owner")
            raise ShardLostError
        if fault is Fault.OTHER:
            self._give_up(items)
            return []
        if fault is Fault.DATA:
            return await self._split(items)
        tries.reruns += 1
        lost_s = time.monotonic() - tries.lost_at if fault is Fault.LOST_CONNECTION else 0.0
        if tries.reruns > MAX_RERUNS or lost_s > MAX_LOST_S:
            return await self._exhausted(items, fault)
        if fault is Fault.LOCK_TIMEOUT:
            tries.timeouts += 1
            if tries.timeouts >= TIMEOUTS_BEFORE_PARKING:
                return await self._park_blocked(items)
        await _pause(tries.reruns)
        return items

    def _doubt(self, items: Sequence[Item]) -> None:
        """Note that the batch may be committed; a session that can't tell is out of step, too."""
        self._shard.drop_writer()
        for item in items:
            item.maybe_committed = True

    async def _split(self, items: list[Item]) -> list[Item]:
        """Halve until the one command that the database refuses stands alone, and fails alone."""
        if len(items) == 1:
            self._give_up(items)
            return []
        half = len(items) // 2
        try:
            await self.commit(items[:half])
        except ShardLostError:
            # Whoever catches it goes on with other work: the second half would wait for ever.
            self._unavailable(items[half:], "does not answer")
            raise
        return items[half:]

    async def _exhausted(self, items: list[Item], fault: Fault) -> list[Item]:
        if fault is Fault.LOST_RACE:
            return await self._split(items)
        self._unavailable(items, "does not answer")
        if fault is Fault.LOST_CONNECTION:
            raise ShardLostError
        return []

    async def _park_blocked(self, items: list[Item]) -> list[Item]:
        """Park the commands whose rows a stranger's transaction holds; return the others."""
        self._account_wallets.update(self._needs.account_wallets)
        locks = {lock for item in items for lock in self._locks(item.command)}
        blocked = await self._blocked(locks)
        until = time.monotonic() + SUSPECT_S
        self._suspects.update(dict.fromkeys(blocked, until))
        return self._without(items, blocked)

    async def _park_suspects(self, items: list[Item]) -> list[Item]:
        """Probe rows that were found locked lately, so that no batch waits for them again."""
        now = time.monotonic()
        self._suspects = {w: until for w, until in self._suspects.items() if until > now}
        asked = {w for item in items for w in self._locks(item.command) if w in self._suspects}
        if not self._suspects:
            self._account_wallets.clear()
        if not asked:
            return items
        blocked = await self._blocked(asked)
        for wallet_id in asked - blocked:
            del self._suspects[wallet_id]
        self._suspects.update(dict.fromkeys(blocked, now + SUSPECT_S))
        return self._without(items, blocked)

    async def _blocked(self, locks: set[bytes]) -> set[bytes]:
        try:
            return await self._shard.blocked(locks)
        except Exception as error:  # noqa: BLE001  # the run that follows answers for it
            log.warning("probe failed", shard=self._shard.number, error=repr(error))
            self._shard.drop_writer()
            return set()

    def _without(self, items: list[Item], blocked: set[bytes]) -> list[Item]:
        free = []
        for item in items:
            if not blocked.intersection(self._locks(item.command)):
                free.append(item)
            elif item.parks >= MAX_PARKS:
                self._unavailable([item], "has the wallet locked by another session")
            else:
                item.parks += 1
                self._meter.parked.add()
                self._park(item)
        return free

    def _locks(self, command: Command) -> Iterator[bytes]:
        """Yield the rows that a command may lock, see ``probe``.

        Wallets of other shards do no harm here.
        """
        if isinstance(command, (FreezeAccount, SetAccountLimits)):
            yield from self._account_wallets.get(command.account_id, ())
            yield from _slot_locks(command)
        elif isinstance(command, (CreateWallet, RegisterAsset)):
            yield from _slot_locks(command)
        elif isinstance(command, Atomic):
            for part in command.commands:
                yield from self._locks(part)
        else:
            yield from _locks(command)

    def _give_up(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.maybe_committed:
                item.unavailable("does not answer")
            else:
                item.answer(_internal(), 0)

    def _unavailable(self, items: Sequence[Item], why: str) -> None:
        for item in items:
            item.unavailable(why)


def _locks(command: Command) -> Iterator[bytes]:
    """Yield the wallets that a command names."""
    if isinstance(command, (Transfer, Reverse)):
        yield command.source
        yield command.destination
    elif isinstance(command, LandLeg):
        yield command.intent.destination
    elif isinstance(command, PostTransaction):
        for line in command.lines:
            yield line.source
            yield line.destination
        for wallet_id, _ in command.expected_versions:
            yield wallet_id
    else:
        if isinstance(command, (Authorize, CaptureHold)):
            yield command.destination
        named: bytes | None = getattr(command, "wallet_id", None)
        if named is not None:
            yield named


def _slot_locks(
    command: CreateWallet | FreezeAccount | SetAccountLimits | RegisterAsset,
) -> Iterator[bytes]:
    """Yield what stands for an account as a whole: its slot, and its limits."""
    yield slot_lock(command.slot)
    if isinstance(command, (CreateWallet, SetAccountLimits)):
        yield account_owner(command.account_id, command.currency)


def _internal() -> ServiceError:
    return ServiceError("INTERNAL", "the command could not be carried out")


async def _pause(reruns: int) -> None:
    """Wait with full jitter, doubling up to a bound."""
    most = min(PAUSE_MOST_S, PAUSE_FIRST_S * 2**reruns)
    await asyncio.sleep(random.uniform(0, most))  # noqa: S311  # spreads retries, guards nothing
