"""Say what an import would do, and change nothing: `guilder import --dry-run`.

The wallet service judges every row whose wallets exist, by `validate_only`, in the file's order;
rows of wallets that the file has yet to create, and money that earlier rows would bring, are
reckoned here. Balances are those of now: what others do meanwhile is nobody's promise.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from guilder.cli.importing.rows import OK, Op, Row, Sheet
from guilder.cli.importing.run import MAX_BATCHES, MAX_CALLS, SKIPPED
from guilder.client import (
    Command,
    Guilder,
    GuilderError,
    Money,
    MoneyOptions,
    NotFoundError,
    UnavailableError,
    deposit_request,
    transfer_request,
    withdraw_request,
)
from guilder.wallet.v1.resources_pb2 import Balance, Wallet

T = TypeVar("T")

MAX_ASKED = 1_000
"""Rows judged in one call."""

_FUNDS = "INSUFFICIENT_FUNDS"


@dataclass(slots=True)
class Projected:
    """A wallet as the rows so far would leave it. Minor units."""

    wallet_id: str
    """Empty where the file has yet to create it."""
    currency: str
    exponent: int | None
    before_minor: int
    after_minor: int
    available_minor: int
    credited: bool = False
    """Whether a row would bring money to it that is not there yet."""

    def move(self, amount_minor: int) -> None:
        """Add an amount, negative for a debit."""
        self.after_minor += amount_minor
        self.available_minor += amount_minor
        self.credited |= amount_minor > 0


@dataclass(frozen=True, slots=True)
class Step:
    """What would become of a row: OK or a reason, and whether an earlier run has done it."""

    row: Row
    reason: str
    replayed: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an import would do: a step a row, and the wallets by the names of the file."""

    steps: Sequence[Step]
    wallets: dict[str, Projected]


async def rehearse(guilder: Guilder, sheet: Sheet) -> Rehearsal:
    """Ask and reckon; raise ``GuilderError`` where a service is away."""
    wallets = await existing(guilder, sheet.rows)
    creations = [row for row in sheet.rows if row.op is Op.CREATE_WALLET]
    created = await _gather((_create(guilder, row) for row in creations), MAX_CALLS)
    judged: dict[str, Step] = {}
    for row, (step, wallet) in zip(creations, created, strict=True):
        judged[row.key] = step
        if wallet is not None:
            wallets[row.label] = wallet
    moves = [row for row in sheet.rows if row.op is not Op.CREATE_WALLET and _known(row, wallets)]
    chunks = [moves[start : start + MAX_ASKED] for start in range(0, len(moves), MAX_ASKED)]
    for steps in await _gather((_judge(guilder, chunk, wallets) for chunk in chunks), MAX_BATCHES):
        judged |= {step.row.key: step for step in steps}
    return Rehearsal([_project(row, judged.get(row.key), wallets) for row in sheet.rows], wallets)


async def existing(guilder: Guilder, rows: Iterable[Row]) -> dict[str, Projected]:
    """Return the wallets that rows name by id or alias; those that do not exist are left out."""
    names = sorted({name for row in rows for name in row.existing})

    async def find(name: str) -> Projected | None:
        try:
            return _projected(await guilder.wallet.get_balance(name))
        except NotFoundError:
            return None

    found = await _gather((find(name) for name in names), MAX_CALLS)
    return {name: item for name, item in zip(names, found, strict=True) if item is not None}


def _projected(balance: Balance) -> Projected:
    posted, available = balance.posted_minor, balance.available_minor
    wallet_id, currency = balance.wallet_id, balance.currency_code
    return Projected(wallet_id, currency, balance.exponent, posted, posted, available)


async def _gather(work: Iterable[Coroutine[Any, Any, T]], at_once: int) -> list[T]:
    limit = asyncio.Semaphore(at_once)

    async def within(one: Coroutine[Any, Any, T]) -> T:
        async with limit:
            return await one

    return await asyncio.gather(*(within(one) for one in work))


async def _create(guilder: Guilder, row: Row) -> tuple[Step, Projected | None]:
    """Judge a creation; a wallet that an earlier run created comes with its balance of now."""
    try:
        reply = await guilder.wallet.create_wallet(
            row.account,
            row.currency,
            {"label": row.label},
            idempotency_key=row.key,
            validate_only=True,
        )
        if reply.replayed:
            there = await _find(guilder, reply.wallet)
            return Step(row, OK, replayed=True), there and _projected(there)
    except UnavailableError:
        raise
    except GuilderError as error:
        return Step(row, error.reason, message=error.message), None
    return Step(row, OK), Projected("", row.currency, reply.wallet.exponent, 0, 0, 0)


async def _find(guilder: Guilder, wanted: Wallet) -> Balance | None:
    """Return the balance of now of a wallet that an earlier run created.

    A dry run tells no id: the wallet is the one of its account that was made at that moment, and
    where several were, the one that was made with the row's label.
    """
    found = [
        wallet
        async for wallet in guilder.wallet.list_wallets(wanted.account_id)
        if wallet.create_time == wanted.create_time and wallet.currency_code == wanted.currency_code
    ]
    if len(found) > 1:
        found = [wallet for wallet in found if wallet.metadata == wanted.metadata]
    return await guilder.wallet.get_balance(found[0].wallet_id) if found else None


def _known(row: Row, wallets: dict[str, Projected]) -> bool:
    """Tell whether the service knows the wallets of a row, or is to say that it does not."""
    return all(
        name in row.existing or (name in wallets and wallets[name].wallet_id != "")
        for name in row.wallets
    )


async def _judge(
    guilder: Guilder, rows: Sequence[Row], wallets: dict[str, Projected]
) -> list[Step]:
    commands = [command_of(row, lambda name: _id_of(name, wallets)) for row in rows]
    outcomes = await guilder.wallet.batch_execute(commands, validate_only=True)
    steps = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, UnavailableError):
            raise outcome
        if isinstance(outcome, GuilderError):
            steps.append(Step(row, outcome.reason, message=outcome.message))
        else:
            steps.append(Step(row, OK, replayed=outcome.replayed))
    return steps


def _id_of(name: str, wallets: dict[str, Projected]) -> str:
    return wallets[name].wallet_id if name in wallets else name


def command_of(row: Row, wallet_id: Callable[[str], str]) -> Command:
    """Return a row that moves money as a command; ``wallet_id`` gives ids by name."""
    amount = Money(currency_code=row.currency, amount_minor=row.amount_minor)
    said: MoneyOptions = {"idempotency_key": row.key, "reference": row.reference}
    if row.op is Op.DEPOSIT:
        return deposit_request(wallet_id(row.destination), amount, **said)
    if row.op is Op.WITHDRAW:
        return withdraw_request(wallet_id(row.source), amount, **said)
    return transfer_request(wallet_id(row.source), wallet_id(row.destination), amount, **said)


def _project(row: Row, step: Step | None, wallets: dict[str, Projected]) -> Step:
    """Return what would become of a row behind those above it, and move its money."""
    if step is not None and (step.replayed or step.reason not in {OK, _FUNDS}):
        return step
    if row.op is Op.CREATE_WALLET:
        assert step is not None
        return step
    if any(name not in wallets for name in row.wallets):
        return step or Step(row, SKIPPED, message="a wallet of this row would not be created")
    if any(wallets[name].currency != row.currency for name in row.wallets):
        message = f"a wallet of this row is not in {row.currency}"
        return Step(row, "CURRENCY_MISMATCH", message=message)
    if row.source:
        refused = _refused(row, step, wallets[row.source])
        if refused is not None:
            return refused
        wallets[row.source].move(-row.amount_minor)
    if row.destination:
        wallets[row.destination].move(row.amount_minor)
    return Step(row, OK)


def _refused(row: Row, step: Step | None, source: Projected) -> Step | None:
    """Return a step that lacks funds; None where they would be there.

    The service does not see what rows of other shards would bring before. Where no row brings
    anything, its word counts: it may be the stored decision of an earlier run.
    """
    if step is not None and step.reason == _FUNDS and not source.credited:
        return step
    if row.amount_minor <= source.available_minor:
        return None
    message = f"{source.available_minor} would be available, {row.amount_minor} is required"
    return Step(row, _FUNDS, message=message)
