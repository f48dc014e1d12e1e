"""Run a plan: as many rows at once as their order allows, each by its own key.

Whatever stops it, running the same file again goes on: rows that were decided give their stored
decision again, and no row was sent before all that it depends on were decided.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import grpc

from guilder.cli.importing.order import Plan
from guilder.cli.importing.rows import OK, RETURNED, Op, Row
from guilder.client import GuilderError, Money, Outcome, UnavailableError, transfer_request
from guilder.client.wallet import WalletClient
from guilder.wallet.v1.resources_pb2 import Transaction, TransactionState

MAX_CALLS = 64
"""Creations, deposits and withdrawals in flight."""
MAX_BATCHES = 4
"""Batches of transfers in flight."""
MAX_BATCH = 200
"""Transfers in a batch: more would only make the rows behind it wait longer."""
LANDING_SECONDS = 60.0
"""How long money may be on its way to another shard before the import stops."""
MAX_POLLS = 32
"""Questions in flight whether money has landed."""
FIRST_POLL_SECONDS = 0.01
MAX_POLL_SECONDS = 0.5

SKIPPED = "SKIPPED"
"""Result of a row whose wallet could not be created."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a row: OK or a reason, and whether an earlier run had done it.

    A decline that is given again is not told from a fresh one.
    """

    reason: str
    replayed: bool = False
    message: str = ""


class Run:
    """One run of a plan."""

    def __init__(
        self,
        wallet: WalletClient,
        plan: Plan,
        on_decided: Callable[[], None],
        wallet_ids: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Begin with every row that waits for none; ``on_decided`` is called once a row.

        ``wallet_ids`` are those of wallets that were there before, by the names of the file.
        """
        self._wallet = wallet
        self._plan = plan
        self._on_decided = on_decided
        self._waits_for = list(plan.waits_for)
        self._calls: deque[int] = deque()
        self._transfers: deque[int] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._polls = asyncio.Semaphore(MAX_POLLS)
        self._busy_calls = 0
        self._busy_batches = 0
        self.wallet_ids: dict[str, str] = dict(wallet_ids)
        self.results: list[Result | None] = [None] * len(plan.rows)
        self.stopped: GuilderError | None = None
        """Why rows were left over."""
        for index, count in enumerate(self._waits_for):
            if count == 0:
                self._ready(index)

    async def finish(self) -> None:
        """Run until every row is decided and landed, or a service stays away: see ``stopped``."""
        try:
            self._launch()
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                self._tasks -= done
                for task in done:
                    task.result()
                self._launch()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ready(self, index: int) -> None:
        is_transfer = self._plan.rows[index].op is Op.TRANSFER
        (self._transfers if is_transfer else self._calls).append(index)

    def _launch(self) -> None:
        """Start what may start now; nothing new once a service stays away."""
        while self._calls and self._busy_calls < MAX_CALLS and self.stopped is None:
            self._busy_calls += 1
            self._start(self._call(self._calls.popleft()))
        while self._transfers and self._busy_batches < MAX_BATCHES and self.stopped is None:
            self._busy_batches += 1
            count = min(MAX_BATCH, len(self._transfers))
            self._start(self._batch([self._transfers.popleft() for _ in range(count)]))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _call(self, index: int) -> None:
        """Do a row that is one call."""
        row = self._plan.rows[index]
        try:
            if not self._has_wallets(row):
                self._skip(index)
            elif row.op is Op.CREATE_WALLET:
                made = await self._wallet.create_wallet(
                    row.account, row.currency, {"label": row.label}, idempotency_key=row.key
                )
                self.wallet_ids[row.label] = made.wallet.wallet_id
                self._decide(index, Result(OK, made.replayed))
            else:
                self._decide(index, Result(OK, await self._move(row)))
            self._land(index)
        except GuilderError as error:
            self._fail(index, error)
        finally:
            self._busy_calls -= 1

    async def _move(self, row: Row) -> bool:
        """Deposit or withdraw; return whether it is a replay."""
        amount = Money(currency_code=row.currency, amount_minor=row.amount_minor)
        if row.op is Op.DEPOSIT:
            wallet_id = self._id(row.destination)
            deposited = await self._wallet.deposit(
                wallet_id, amount, idempotency_key=row.key, reference=row.reference
            )
            return deposited.replayed
        withdrawn = await self._wallet.withdraw(
            self._id(row.source),
            amount,
            idempotency_key=row.key,
            reference=row.reference,
        )
        return withdrawn.replayed

    async def _batch(self, indexes: list[int]) -> None:
        """Do transfers in one call; each has its own outcome."""
        sent = []
        for index in indexes:
            if self._has_wallets(self._plan.rows[index]):
                sent.append(index)
            else:
                self._skip(index)
                self._land(index)
        requests = [
            transfer_request(
                self._id(row.source),
                self._id(row.destination),
                Money(currency_code=row.currency, amount_minor=row.amount_minor),
                idempotency_key=row.key,
                reference=row.reference,
            )
            for row in (self._plan.rows[index] for index in sent)
        ]
        try:
            outcomes = await self._wallet.batch_transfer(requests) if sent else []
        except GuilderError as error:
            outcomes = [error] * len(sent)
        finally:
            self._busy_batches -= 1
        for index, outcome in zip(sent, outcomes, strict=True):
            self._transferred(index, outcome)

    def _transferred(self, index: int, outcome: Outcome) -> None:
        if isinstance(outcome, GuilderError):
            self._fail(index, outcome)
            return
        self._decide(index, Result(OK, outcome.replayed))
        if outcome.transaction.state == TransactionState.TRANSACTION_STATE_PROCESSING:
            self._start(self._follow(index, outcome.transaction.transaction_id))
        else:
            self._arrived(index, outcome.transaction)

    async def _follow(self, index: int, transaction_id: str) -> None:
        """Wait until a transfer has landed on the other shard, or has come back."""
        pause = FIRST_POLL_SECONDS
        try:
            async with asyncio.timeout(LANDING_SECONDS):
                while True:
                    await asyncio.sleep(pause)
                    async with self._polls:
                        found = await self._wallet.get_transaction(transaction_id)
                    if found.state != TransactionState.TRANSACTION_STATE_PROCESSING:
                        self._arrived(index, found)
                        return
                    pause = min(2 * pause, MAX_POLL_SECONDS)
        except TimeoutError:
            message = f"transfer {transaction_id} is on its way for {LANDING_SECONDS:g} s"
            self._stop(UnavailableError(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", message))
        except GuilderError as error:
            self._stop(error)

    def _arrived(self, index: int, transaction: Transaction) -> None:
        decided = self.results[index]
        assert decided is not None
        if transaction.state == TransactionState.TRANSACTION_STATE_RETURNED:
            self.results[index] = replace(decided, reason=RETURNED)
        self._land(index)

    def _has_wallets(self, row: Row) -> bool:
        return all(name in self.wallet_ids or name in row.existing for name in row.wallets)

    def _id(self, name: str) -> str:
        """Return a wallet's id; one that nobody knows the service is to refuse by its name."""
        return self.wallet_ids.get(name, name)

    def _skip(self, index: int) -> None:
        self._decide(index, Result(SKIPPED, message="a wallet of this row could not be created"))

    def _fail(self, index: int, error: GuilderError) -> None:
        """Take a decline as the row's result; a service that stays away stops the run."""
        if isinstance(error, UnavailableError):
            self._stop(error)
            return
        self._decide(index, Result(error.reason, message=error.message))
        self._land(index)

    def _stop(self, error: GuilderError) -> None:
        self.stopped = self.stopped or error

    def _decide(self, index: int, result: Result) -> None:
        self.results[index] = result
        self._on_decided()
        self._release(self._plan.after_decision[index])

    def _land(self, index: int) -> None:
        self._release(self._plan.after_landing[index])

    def _release(self, waiting: list[int]) -> None:
        for index in waiting:
            self._waits_for[index] -= 1
            if self._waits_for[index] == 0:
                self._ready(index)
