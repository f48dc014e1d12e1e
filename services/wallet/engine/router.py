"""Find a command's shard, and carry it through: queue, commit, leg, barrier."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog

from wallet.domain.batch import Batch
from wallet.domain.commands import (
    Atomic,
    ChangeStatus,
    Command,
    FreezeAccount,
    KeyedCommand,
)
from wallet.domain.kinds import AccountFreeze, TransactionState, WalletChangeKind
from wallet.domain.outcome import AtomicSet, Outcome, Posted, SingleOutcome
from wallet.engine import dry_run
from wallet.engine.counterparties import STATUS_TTL_S, Counterparties, Reader
from wallet.engine.expiry import Expiry
from wallet.engine.group_commit import ShardLoop
from wallet.engine.legs import Legs
from wallet.engine.queue import Answer
from wallet.store import queries
from wallet.store.shard import Shard
from walletkit.errors import ServiceError
from walletkit.ids import SLOTS, slot_of

START_WAIT_S = 5.0
"""How long a start waits for its shards before it goes on without those that are down."""
START_POLL_S = 0.05
DRAIN_POLL_S = 0.01
COMMIT_S = 0.1
"""How long another process may take from its decision to its commit; ours are waited for."""

log = structlog.get_logger()


class SlotMapError(RuntimeError):
    """A slot is owned twice, or by no shard: nothing may be written like that."""


class Router:
    """All shards of this process, behind one door."""

    def __init__(
        self, shards: Sequence[Shard], *, window_s: float, queue_limit: int, leg_wait_s: float
    ) -> None:
        """Make the loops; nothing runs yet."""
        self._leg_wait_s = leg_wait_s
        self._owners: list[ShardLoop | None] = [None] * SLOTS
        self.counterparties = Counterparties(self._reader_of)
        self.legs = Legs(self.submit, self._shards_up)
        self.loops = [
            ShardLoop(
                shard,
                self.counterparties,
                self._committed,
                self._map_slots,
                window_s=window_s,
                queue_limit=queue_limit,
            )
            for shard in shards
        ]
        self._expiries = [
            Expiry(loop.shard, self.submit, partial(_is_up, loop)) for loop in self.loops
        ]
        self._misfit = False
        self._readers: dict[ShardLoop, Reader] = {loop: _reader(loop.shard) for loop in self.loops}

    async def start(self) -> None:
        """Start the loops.

        Raise ``SlotMapError`` when the slots of the shards don't fit together.
        """
        for loop in self.loops:
            loop.start()
        give_up = time.monotonic() + START_WAIT_S
        while not self._all_up() and not self._misfit and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(START_POLL_S)  # several shards, once in a life
        self._map_slots()
        unowned = self._owners.count(None)
        if unowned and self._all_up():
            message = f"{unowned} slots are owned by no shard"
            raise SlotMapError(message)
        self.legs.start()
        for expiry in self._expiries:
            expiry.start()

    async def drain(self) -> None:
        """Take no more from callers, finish what is queued, and stop.

        All loops go on until none has work: what one commits last sends legs to another.
        """
        for loop in self.loops:
            loop.close()
        await asyncio.gather(self.legs.stop(), *[expiry.stop() for expiry in self._expiries])
        while self.legs.under_way or not all(loop.quiet for loop in self.loops):  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_POLL_S)  # many conditions, once in a life
        await asyncio.gather(*[loop.stop() for loop in self.loops])

    def ready(self) -> bool:
        """Tell whether the loops run and at least one shard answers."""
        alive = self.legs.running and all(loop.running for loop in self.loops)
        alive = alive and all(expiry.running for expiry in self._expiries)
        return alive and any(loop.up for loop in self.loops)

    def loop_of(self, slot: int) -> ShardLoop:
        """Return the loop of a slot's shard. Raise ``ServiceError`` SHARD_UNAVAILABLE."""
        loop = self._owners[slot]
        if loop is None:
            message = f"the shard of slot {slot} does not answer; nothing was changed"
            raise ServiceError("SHARD_UNAVAILABLE", message, {"slot": str(slot)})
        return loop

    def shard_of(self, id_: bytes) -> Shard:
        """Return the shard of a wallet or transaction, to read from."""
        return self.shard_of_slot(slot_of(id_))

    def shard_of_slot(self, slot: int) -> Shard:
        """Return the shard of a slot, to read from."""
        loop = self.loop_of(slot)
        if not loop.up:
            raise loop.unavailable()
        return loop.shard

    def submit(self, command: Command, deadline: float) -> asyncio.Future[Answer]:
        """Queue a command at its shard; see ``ShardLoop.submit``."""
        return self.loop_of(command.slot).submit(command, deadline)

    async def validate(self, commands: Sequence[KeyedCommand], deadline: float) -> list[Outcome]:
        """Decide commands as if they came in this order, and change nothing.

        A key that was used replays. Nothing is promised: what is decided later may find other
        balances. An error of its shard is the command's outcome.
        """
        return await dry_run.validate(commands, deadline, self.loop_of, self.counterparties)

    async def finish(self, command: Command | None, answer: Answer) -> Answer:
        """Wait for what belongs to a committed change before its caller hears of it."""
        outcome = answer.outcome
        if isinstance(outcome, Posted):
            # The way of nearly all: one test more, and the reply.
            if outcome.state == TransactionState.PROCESSING:
                return answer._replace(outcome=await self._landed(outcome))
            return answer
        if isinstance(outcome, AtomicSet):
            landed = await asyncio.gather(*[self._landed(part) for part in outcome.outcomes])
            answer = answer._replace(outcome=outcome._replace(outcomes=tuple(landed)))
        if command is not None and not isinstance(outcome, ServiceError):
            await self._barrier(command.commands if isinstance(command, Atomic) else (command,))
        return answer

    async def _landed(self, outcome: SingleOutcome) -> SingleOutcome:
        """Return the outcome with the state that its legs bring it to within the time given."""
        if not isinstance(outcome, Posted) or outcome.state != TransactionState.PROCESSING:
            return outcome
        legs = outcome.legs or (0,)
        state = await self.legs.wait(outcome.command.ref, legs, self._leg_wait_s)
        return outcome if state is None else outcome._replace(state=state)

    async def _barrier(self, commands: Sequence[Command]) -> None:
        """Let every batch that may have seen the old status end: nothing passes after the reply."""
        stopping = [self._forget(command) for command in commands]
        if not any(stopping) or len(self.loops) == 1:
            return
        # Other processes believe what they have read for so long, and then commit.
        await asyncio.sleep(STATUS_TTL_S + COMMIT_S)
        await asyncio.gather(*[loop.settled() for loop in self.loops])

    def _forget(self, command: Command) -> bool:
        """Forget what was read of wallets that a command changes; tell whether it stops them."""
        if isinstance(command, ChangeStatus):
            self.counterparties.forget(command.wallet_id)
            return command.kind != WalletChangeKind.UNFROZEN
        if isinstance(command, FreezeAccount):
            # All wallets of an account are in its slot, and few others.
            self.counterparties.forget_slot(command.slot)
            return command.freeze != AccountFreeze.NONE
        return False

    def _committed(self, batch: Batch) -> None:
        self.legs.on_commit(batch)

    def _all_up(self) -> bool:
        return all(loop.up for loop in self.loops)

    def _shards_up(self) -> list[Shard]:
        return [loop.shard for loop in self.loops if loop.up]

    def _reader_of(self, wallet_id: bytes) -> Reader | None:
        loop = self._owners[slot_of(wallet_id)]
        return self._readers[loop] if loop is not None and loop.up else None

    def _map_slots(self) -> None:
        """Lay the shards' slots together; a slot that two shards claim stops this process."""
        owners: list[ShardLoop | None] = [None] * SLOTS
        for loop in self.loops:
            for slot, here in enumerate(loop.shard.local_slots):
                if not here:
                    continue
                other = owners[slot]
                if other is not None:
                    self._misfit = True
                    numbers = f"{other.shard.number} and {loop.shard.number}"
                    message = f"slot {slot} is owned by shards {numbers}"
                    raise SlotMapError(message)
                owners[slot] = loop
        self._owners = owners
        self._misfit = False


def _is_up(loop: ShardLoop) -> bool:
    return loop.up


def _reader(shard: Shard) -> Reader:
    async def read(wallet_ids: list[bytes]) -> queries.Counterparties:
        return await queries.counterparties(shard, wallet_ids)

    return read
