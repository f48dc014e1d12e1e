"""Fill a suite through its own calls until it holds so many wallets and transactions.

Only what is missing is made, so a fill that was ended goes on where it was. It waits while the
ledger is too far behind, and stops before the disk is full.
"""

import asyncio
import random
import secrets
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeVar

import uvloop

from bench import pairs
from bench.calls import AMOUNTS_MINOR, CURRENCY
from bench.sending import FillError, Sender, sender
from bench.storage import Behind, Storage, opened
from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import wallet_service_pb2 as pb
from walletkit.stack import Stack

ACCOUNTS = "scale-"
"""Wallet n belongs to the account `scale-<n>`."""
FUNDS_MINOR = 10**9
"""A wallet can't spend that in any number of transfers that fit on a disk."""
BATCH = 1_000
CREATING = 512
"""Wallets that are made at a time: there is no batch of them, and a large commit costs least."""
BATCHES = 4
"""Batches under way at a time."""
DISK_GB = 10.0
RECORDS_BEHIND = 500
"""Commits that the ledger may lack; each holds up to 1,000 transfers."""
LEGS_BEHIND = 20_000
CATCH_UP_S = 900.0
"""How long the ledger may take to come near again."""

_LOOK_S = 1.0
_TELL_S = 5.0
_TRIM_S = 60.0
_GB = 1e9
_MINUTE = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Goal:
    """What the suite is to hold, and what the fill keeps clear of."""

    wallets: int
    transactions: int
    """Of all kinds, deposits and those of earlier runs included."""
    least_disk_gb: float = DISK_GB
    records_behind: int = RECORDS_BEHIND
    within: bool = False
    """Whether payer and payee of a transfer are on one shard: no legs, a third of the time."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the disk has, bytes."""

    free: int
    binlogs: int
    """What the servers' binlogs take: that comes and goes."""


@dataclass(slots=True)
class Progress:
    """How far a step is."""

    step: str
    done: int
    goal: int
    room: Room
    """When it began."""
    started_at: float
    began_with: int

    @classmethod
    def of(cls, step: str, done: int, goal: int, room: Room) -> Self:
        """Begin a step."""
        return cls(step, done, goal, room, time.monotonic(), done)

    def told(self, behind: Behind, room: Room) -> str:
        """Return it in a line."""
        took, made = time.monotonic() - self.started_at, self.done - self.began_with
        line = f"{self.step}: {self.done:,} of {self.goal:,}  {made / took:,.0f}/s"
        if made:
            left = self.goal - self.done
            kept = self.room.free + self.room.binlogs - room.free - room.binlogs
            at_end = f", {(room.free - kept * left / made) / _GB:.0f} at its end"
            line += f"  {left * took / made / _MINUTE:.0f} min left"
        else:
            at_end = ""
        return (
            f"{line}  ledger {behind.records} commits behind, {behind.legs} legs under way"
            f"  disk {room.free / _GB:.1f} GB left{at_end} (binlogs {room.binlogs / _GB:.1f})"
        )


def fill(stack: Stack, goal: Goal, tell: Callable[[str], None] | None = None) -> list[str]:
    """Fill a suite; return all its wallets for that. Raise `FillError` or what a database raises.

    When it returns the ledger has all of it.
    """
    try:
        return uvloop.run(_fill(stack, goal, tell or _tell))
    except BaseExceptionGroup as group:
        # Whatever failed first has ended the others.
        raise group.exceptions[0] from None


async def _fill(stack: Stack, goal: Goal, tell: Callable[[str], None]) -> list[str]:
    async with opened(stack) as storage, sender(stack) as calls:
        filler = Filler(stack, storage, calls, goal, tell)
        found = await storage.wallets(ACCOUNTS)
        ids = {number: wallet.wallet_id for number, wallet in found.items()}
        missing = [number for number in range(goal.wallets) if number not in ids]
        await filler.create(missing, ids)
        funded = {wallet.wallet_id for wallet in found.values() if wallet.posted > 0}
        await filler.deposit([one for one in ids.values() if one not in funded])
        wallets = [ids[number] for number in sorted(ids)]
        await filler.transfer(wallets, await storage.transactions())
        await filler.settle()
        return wallets


class Filler:
    """Makes wallets, funds and transfers, and watches what they bring about."""

    def __init__(
        self,
        stack: Stack,
        storage: Storage,
        calls: Sender,
        goal: Goal,
        tell: Callable[[str], None],
    ) -> None:
        """Make nothing yet."""
        self._stack = stack
        self._storage = storage
        self._sender = calls
        self._goal = goal
        self._tell = tell
        self._may_go = asyncio.Event()
        self._may_go.set()

    async def create(self, numbers: Sequence[int], into: dict[int, str]) -> None:
        """Make the wallets of these numbers."""
        progress = await self._begin("wallets", len(into), len(into) + len(numbers))

        async def one(number: int) -> None:
            request = pb.CreateWalletRequest(
                account_id=f"{ACCOUNTS}{number}", currency_code=CURRENCY, idempotency_key="scale"
            )
            reply = await self._sender.call("CreateWallet", number, request.SerializeToString())
            into[number] = pb.CreateWalletResponse.FromString(reply).wallet.wallet_id
            progress.done += 1

        await self._each(progress, numbers, one, CREATING)

    async def deposit(self, wallets: Sequence[str]) -> None:
        """Give each wallet its funds, if it has none."""
        progress = await self._begin("deposits", 0, len(wallets))
        money = Money(currency_code=CURRENCY, amount_minor=FUNDS_MINOR)

        async def some(place: int) -> None:
            asked = [
                pb.BatchCommand(
                    deposit=pb.DepositRequest(
                        wallet_id=wallet, amount=money, idempotency_key="scale-funds"
                    )
                )
                for wallet in wallets[place : place + BATCH]
            ]
            request = pb.BatchExecuteRequest(commands=asked).SerializeToString()
            await self._sender.batch(
                "BatchExecute", place // BATCH, request, pb.BatchExecuteResponse
            )
            progress.done += len(asked)

        await self._each(progress, range(0, len(wallets), BATCH), some, BATCHES)

    async def transfer(self, wallets: Sequence[str], there: int) -> None:
        """Make as many transfers as are missing, of any two wallets each."""
        progress = await self._begin("transactions", there, max(there, self._goal.transactions))
        pools = [wallets]
        if self._goal.within:
            groups = pairs.by_shard(wallets, len(self._stack.settings.shard_ports))
            pools = [group for group in groups if len(group) > 1]
            if not pools:
                raise FillError("no shard has two wallets to pay one another: make more")
        batches = _transfers(pools, progress.goal - there)

        async def some(batch: tuple[int, Sequence[pb.TransferRequest]]) -> None:
            number, asked = batch
            request = pb.BatchTransferRequest(transfers=asked).SerializeToString()
            await self._sender.batch("BatchTransfer", number, request, pb.BatchTransferResponse)
            progress.done += len(asked)

        await self._each(progress, batches, some, BATCHES)

    async def settle(self) -> None:
        """Wait until the ledger has all of it and no leg is under way. Raise `FillError`."""
        deadline = time.monotonic() + CATCH_UP_S
        while (behind := await self._storage.behind()).records or behind.legs:
            if time.monotonic() > deadline:
                raise FillError(f"after {CATCH_UP_S:.0f} s the ledger still lacks: {behind}")
            await asyncio.sleep(_LOOK_S)
        await self._storage.trim_binlogs()

    async def _each(
        self,
        progress: Progress,
        source: Iterable[T],
        work: Callable[[T], Awaitable[None]],
        side_by_side: int,
    ) -> None:
        """Do some work for each of many, so many at a time, watched."""
        left = iter(source)

        async def worker() -> None:
            for one in left:
                await self._may_go.wait()
                await work(one)

        if progress.done >= progress.goal:
            return
        self._check_disk()
        made = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(progress, made))
            working = [group.create_task(worker()) for _ in range(side_by_side)]
            await asyncio.wait(working)
            # Told, not cancelled: a session whose answer nobody takes is of no use any more.
            made.set()
        self._may_go.set()
        await self._say(progress, await self._storage.behind())

    async def _watch(self, progress: Progress, made: asyncio.Event) -> None:
        """Look each second; let the work wait for the ledger, and end it for the disk."""
        told = trimmed = waited_since = time.monotonic()
        while not made.is_set():
            behind = await self._storage.behind()
            self._check_disk()
            now = time.monotonic()
            # Half of it, so that it does not stop and go every second.
            share = 1.0 if self._may_go.is_set() else 0.5
            if (
                behind.records > share * self._goal.records_behind
                or behind.legs > share * LEGS_BEHIND
            ):
                self._may_go.clear()
                if now - waited_since > CATCH_UP_S:
                    raise FillError(f"the ledger does not catch up: {behind}")
            else:
                self._may_go.set()
                waited_since = now
            if now - trimmed > _TRIM_S:
                await self._storage.trim_binlogs()
                trimmed = now
            if now - told > _TELL_S:
                await self._say(progress, behind)
                told = now
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await made.wait()

    async def _begin(self, step: str, done: int, goal: int) -> Progress:
        return Progress.of(step, done, goal, await self._room())

    async def _say(self, progress: Progress, behind: Behind) -> None:
        waits = "" if self._may_go.is_set() else "  WAITS for the ledger"
        self._tell(progress.told(behind, await self._room()) + waits)

    async def _room(self) -> Room:
        return Room(self._free(), await self._storage.binlog_bytes())

    def _free(self) -> int:
        return shutil.disk_usage(self._stack.settings.run_dir).free

    def _check_disk(self) -> None:
        if (free := self._free() / _GB) < self._goal.least_disk_gb:
            raise FillError(
                f"only {free:.1f} GB are left on the disk of {self._stack.settings.run_dir},"
                f" less than {self._goal.least_disk_gb:g}; with more room, or a lower bound"
                " (--least-disk-gb), the fill goes on from here"
            )


def _transfers(
    pools: Sequence[Sequence[str]], count: int
) -> Iterator[tuple[int, list[pb.TransferRequest]]]:
    """Draw payers and payees of one pool, each wallet as likely as any; numbered, in batches."""
    sizes = [len(pool) for pool in pools]
    run = secrets.token_hex(6)
    draw = random.Random(run)  # noqa: S311  # other pairs in a fill that goes on
    monies = [Money(currency_code=CURRENCY, amount_minor=amount) for amount in AMOUNTS_MINOR]
    for number, start in enumerate(range(0, count, BATCH)):
        places = range(start, min(start + BATCH, count))
        (wallets,) = draw.choices(pools, weights=sizes)
        payers = draw.choices(wallets, k=len(places))
        amounts = draw.choices(monies, k=len(places))
        batch = [
            pb.TransferRequest(
                source_wallet_id=payer,
                destination_wallet_id=pairs.other(wallets, payer, draw),
                amount=amount,
                idempotency_key=f"{run}-{place}",
            )
            for place, payer, amount in zip(places, payers, amounts, strict=True)
        ]
        yield number, batch


def _tell(line: str) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
