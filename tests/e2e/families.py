"""Families over two shards: a hold, its captures in parts, refunds of these; each step is retried.

The payer lies on shard 0 and the payee on shard 1, so a capture crosses over, and a refund's home
is the payee's shard.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from guilder.client import Guilder, UnavailableError
from guilder.client.errors import TransactionProcessingError
from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1.resources_pb2 import (
    HOLD_STATE_CAPTURED,
    HOLD_STATE_VOIDED,
    TRANSACTION_TYPE_CAPTURE,
    TRANSACTION_TYPE_REVERSAL,
    Transaction,
    TransactionType,
)
from tests.e2e.traffic import EACH, PATIENCE_S, euros
from tests.engine.world import account_on

Reply = TypeVar("Reply")
Member = tuple[TransactionType.ValueType, str, str, int]
"""Type, id, parent and amount of a transaction."""


@dataclass(slots=True)
class Family:
    """What the suite has acknowledged of one."""

    hold_id: str
    payer: str
    payee: str
    authorized: int
    captured: int = 0
    refunded: int = 0
    voided: bool = False
    members: list[Member] = field(default_factory=list)
    positions: dict[int, Position] = field(default_factory=dict)


@dataclass
class Families:
    """Clients that go through one family after the other."""

    guilder: Guilder
    chance: random.Random
    name: str = field(default_factory=lambda: f"family-{time.time_ns()}")
    pairs: list[tuple[str, str]] = field(default_factory=list)
    done: list[Family] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _keys: Iterator[int] = field(default_factory=itertools.count)

    async def prepare(self, clients: int) -> None:
        """Make a payer with money and a payee for each client."""
        for _ in range(clients):
            wallets = []
            for shard in (0, 1):
                made = await self.guilder.wallet.create_wallet(
                    account_on(shard), "EUR", idempotency_key=self.name
                )
                wallets.append(made.wallet.wallet_id)
            payer, payee = wallets
            await self.guilder.wallet.deposit(payer, euros(EACH), idempotency_key=self.name)
            self.pairs.append((payer, payee))

    async def run(self, stop: asyncio.Event) -> None:
        """Let all clients work until the event; what was begun is finished."""
        await asyncio.gather(*[self._client(payer, payee, stop) for payer, payee in self.pairs])

    async def _client(self, payer: str, payee: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.done.append(await self._family(payer, payee))

    async def _family(self, payer: str, payee: str) -> Family:
        """Authorize, capture in parts, and send parts of the parts back."""
        bound = self.chance.random() < 0.5
        made = await self._until_final(
            lambda key: self.guilder.holds.authorize(
                payer,
                euros(10_000),
                destination_wallet_id=payee if bound else "",
                idempotency_key=key,
            )
        )
        family = Family(made.hold.hold_id, payer, payee, 10_000)
        family.positions[made.position.shard] = made.position
        if self.chance.random() < 0.3:
            more = await self._until_final(
                lambda key: self.guilder.holds.increment_hold(
                    family.hold_id, euros(700), idempotency_key=key
                )
            )
            family.authorized = more.hold.authorized_minor
        captures = [await self._capture(family, amount, bound=bound) for amount in (3_000, 2_500)]
        await self._end(family, bound=bound)
        await self._refund(family, captures[0], 1_000)
        await self._refund(family, captures[1], 500)
        await self._refund(family, captures[0], 2_000)
        return family

    async def _capture(
        self, family: Family, amount: int, *, bound: bool, final: bool = False
    ) -> Transaction:
        reply = await self._until_final(
            lambda key: self.guilder.holds.capture_hold(
                family.hold_id,
                euros(amount),
                final=final,
                destination_wallet_id="" if bound else family.payee,
                idempotency_key=key,
            )
        )
        made = reply.transaction
        assert reply.hold.captured_minor == family.captured + amount
        family.captured += amount
        member = (TRANSACTION_TYPE_CAPTURE, made.transaction_id, family.hold_id, amount)
        family.members.append(member)
        family.positions[reply.position.shard] = reply.position
        return made

    async def _end(self, family: Family, *, bound: bool) -> None:
        """End the hold by its last capture, or by a void."""
        family.voided = self.chance.random() < 0.3
        if not family.voided:
            await self._capture(family, 4_000, bound=bound, final=True)
            return
        ended = await self._until_final(
            lambda key: self.guilder.holds.void_hold(family.hold_id, idempotency_key=key)
        )
        assert ended.hold.released_minor == family.authorized - family.captured
        family.positions[ended.position.shard] = ended.position

    async def _refund(self, family: Family, original: Transaction, amount: int) -> None:
        reply = None
        while reply is None:
            try:
                reply = await self._until_final(
                    lambda key: self.guilder.wallet.reverse_transaction(
                        original.transaction_id, euros(amount), idempotency_key=key
                    )
                )
            except TransactionProcessingError:
                # The capture is still on its way: that is a decision, so a fresh key is needed.
                await asyncio.sleep(0.2)
        made = reply.transaction
        assert reply.position.shard == 1, "a refund's home is the payee's shard"
        family.refunded += amount
        member = (TRANSACTION_TYPE_REVERSAL, made.transaction_id, original.transaction_id, amount)
        family.members.append(member)
        family.positions[1] = reply.position

    async def _until_final(self, call: Callable[[str], Awaitable[Reply]]) -> Reply:
        """Call until the answer is final, always with the same key."""
        key, give_up = f"{self.name}-{next(self._keys)}", time.monotonic() + PATIENCE_S
        while True:
            try:
                return await call(key)
            except UnavailableError as error:
                self.refused.append(error.reason)
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.05)

    async def faults(self) -> list[str]:
        """Compare every family and balance with what was acknowledged."""
        await self._books_of(self.done)
        found = []
        for number, family in enumerate(self.done):
            # By a member of each kind in turn; of the last ones by every kind.
            askers = (family.hold_id, family.members[0][1], family.members[-1][1])
            last = number >= len(self.done) - len(self.pairs)
            for asker in askers if last else (askers[number % 3],):
                found += await self._family_faults(family, asker)
        for payer, payee in self.pairs:
            mine = [family for family in self.done if family.payer == payer]
            paid = sum(family.captured - family.refunded for family in mine)
            for wallet_id, expected in ((payer, EACH - paid), (payee, paid)):
                balance = await self.guilder.wallet.get_balance(wallet_id)
                if (balance.posted_minor, balance.held_minor) != (expected, 0):
                    found.append(f"{wallet_id} has {balance}, {expected} was acknowledged")
        return found

    async def _books_of(self, families: list[Family]) -> None:
        """Let the ledger come to the last position of each shard: every later list has it all."""
        last: dict[int, Position] = {}
        for family in families:
            for shard, position in family.positions.items():
                if shard not in last or position.seq > last[shard].seq:
                    last[shard] = position
        for position in last.values():
            await self.guilder.wallet.get_transaction_family(
                families[-1].hold_id, min_position=position, timeout_seconds=PATIENCE_S
            )

    async def _family_faults(self, family: Family, asker: str) -> list[str]:
        reply = await self.guilder.wallet.get_transaction_family(
            asker, min_position=family.positions[1]
        )
        found = []
        members = [
            (one.type, one.transaction_id, one.parent_id, one.amount.amount_minor)
            for one in reply.transactions
        ]
        roots = {one.family_id for one in reply.transactions}
        if sorted(members) != sorted(family.members) or roots != {family.hold_id}:
            found.append(f"family {family.hold_id} is {members} by {asker}: {family.members}")
        hold, state = reply.hold, HOLD_STATE_VOIDED if family.voided else HOLD_STATE_CAPTURED
        numbers = (hold.hold_id, hold.state, hold.authorized_minor, hold.captured_minor)
        if numbers != (family.hold_id, state, family.authorized, family.captured):
            found.append(f"family {family.hold_id} begins with {hold}")
        return found
