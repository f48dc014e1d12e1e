"""Write what the wallets keep as protobuf: wallets, balances, transactions, holds, limits."""

import json
from typing import Any

from guilder.type.v1.money_pb2 import Money
from guilder.wallet.v1 import resources_pb2 as res
from wallet.domain.batch import Balance
from wallet.domain.bound import Bound, Usage
from wallet.domain.commands import Limits, Line, Transfer, VelocityLimit
from wallet.domain.kinds import (
    ACCOUNT_FREEZE_FLAGS,
    AccountFreeze,
    TransactionState,
    VelocityWindow,
    WalletStatus,
)
from wallet.domain.outcome import BalanceAfter, Hold, Posted, WalletFacts
from wallet.store.queries import StoredTransaction, StoredWallet
from walletkit.ids import NIL, SystemKind, format_id
from walletkit.money import exponent_of
from walletkit.rpc.times import MICROS, NANOS_OF_MICRO, timestamp

_OUTSIDE = frozenset((0, SystemKind.WORLD))


def transaction(stored: StoredTransaction) -> res.Transaction:
    """Write a transaction; the outside has no wallet id."""
    message = res.Transaction()
    _fill_transaction(message, stored.tx_id, stored, stored.state, stored.create_time_us)
    if stored.lines:
        message.postings.extend(map(_posting, stored.lines))
    return message


def fill_posted(message: res.Transaction, posted: Posted) -> tuple[str, str]:
    """Write the transaction that a command made; return the texts of its sides.

    On the hot path, so it is written in its place: that costs a third of making and copying it.
    """
    command = posted.command
    sides = _fill_transaction(message, command.ref, command, posted.state, posted.create_time_us)
    if posted.lines:
        message.postings.extend(map(_posting, posted.lines))
    return sides


def wallet(facts: WalletFacts, status: WalletStatus, freeze: AccountFreeze) -> res.Wallet:
    """Write a wallet."""
    return res.Wallet(
        wallet_id=format_id(facts.wallet_id),
        account_id=facts.account_id,
        currency_code=facts.currency,
        status=status.value,  # type: ignore[arg-type]  # same numbers, by design
        metadata=json.loads(facts.opaque).get("m") if facts.opaque else None,
        create_time=timestamp(facts.create_time_us),
        alias=facts.alias,
        account_freeze=freeze.value,  # type: ignore[arg-type]
        exponent=exponent_of(facts.currency),
    )


def stored_wallet(stored: StoredWallet) -> res.Wallet:
    """Write a wallet that was read."""
    return wallet(stored.facts, stored.status, AccountFreeze(stored.flags & ACCOUNT_FREEZE_FLAGS))


def balance_after(wallet_id: bytes, currency: str, after: BalanceAfter) -> res.Balance:
    """Write a balance."""
    message = res.Balance()
    fill_balance(message, format_id(wallet_id), currency, exponent_of(currency), after)
    return message


def fill_balance(
    message: res.Balance, wallet: str, currency: str, exponent: int, after: BalanceAfter
) -> None:
    """Write a balance in its place, as ``fill_posted`` does; what is known already is not asked."""
    posted, held, overdraft_limit, version = after
    message.wallet_id = wallet
    message.currency_code = currency
    message.exponent = exponent
    message.posted_minor = posted
    message.available_minor = posted - held + overdraft_limit
    message.version = version
    if held:
        message.held_minor = held
    if overdraft_limit:
        message.overdraft_limit_minor = overdraft_limit


def balance(wallet_id: bytes, found: Balance) -> res.Balance:
    """Write a balance that was read."""
    return balance_after(wallet_id, found.currency, found.after())


def hold(found: Hold) -> res.Hold:
    """Write a hold."""
    message = res.Hold(
        hold_id=format_id(found.hold_id),
        wallet_id=format_id(found.wallet_id),
        destination_wallet_id="" if found.destination == NIL else format_id(found.destination),
        state=found.state.value,  # type: ignore[arg-type]  # same numbers, by design
        currency_code=found.currency,
        exponent=exponent_of(found.currency),
        authorized_minor=found.authorized,
        captured_minor=found.captured,
        released_minor=found.released,
        open_minor=found.open,
        expire_time=timestamp(found.expire_time_us),
        create_time=timestamp(found.create_time_us),
        reference=found.reference.decode(),
    )
    if found.opaque:
        said = json.loads(found.opaque)
        message.description = said.get("d", "")
        message.metadata.update(said.get("m", {}))
    return message


def wallet_limits(limits: Limits) -> res.WalletLimits:
    """Write a wallet's limits."""
    return res.WalletLimits(
        overdraft_limit_minor=limits.overdraft,
        min_balance_minor=limits.min_balance,
        max_balance_minor=limits.max_balance,
        max_transaction_minor=limits.max_transaction,
        over_capture_percent=limits.over_capture_percent,
        velocity=map(_velocity, limits.velocity),
    )


def account_limits(limits: Limits) -> res.AccountLimits:
    """Write an account's limits."""
    return res.AccountLimits(
        max_transaction_minor=limits.max_transaction,
        velocity=map(_velocity, limits.velocity),
    )


def usage(used: Usage, now_us: int) -> list[res.VelocityUsage]:
    """Write what is used of each window now."""
    bound = Bound(NIL, 0, Limits(), 0, used)
    found = []
    for window in VelocityWindow:
        spent = bound.spent(window, now_us)
        found.append(
            res.VelocityUsage(
                window=window.value,  # type: ignore[arg-type]  # same numbers, by design
                start_time=timestamp(spent.start_us),
                debit_minor=_capped(spent.debits),
                credit_minor=_capped(spent.credits),
                debit_count=spent.begun,
                credit_count=spent.received,
            )
        )
    return found


def asset(currency: str, exponent: int, *, registered: bool) -> res.Asset:
    """Write an asset."""
    return res.Asset(currency_code=currency, exponent=exponent, registered=registered)


def _fill_transaction(
    message: res.Transaction,
    tx_id: bytes,
    told: StoredTransaction | Transfer,
    state: TransactionState,
    create_time_us: int,
) -> tuple[str, str]:
    """Write all but a transaction's postings; return the texts of its sides."""
    # The numbers of types and states are the same, by design.
    message.transaction_id = format_id(tx_id)
    message.type = told.type  # type: ignore[assignment]
    message.state = state  # type: ignore[assignment]
    message.source_wallet_id = source = _side(told.source)
    message.destination_wallet_id = destination = _side(told.destination)
    message.exponent = exponent_of(told.currency)
    amount, create_time = message.amount, message.create_time
    amount.currency_code = told.currency
    amount.amount_minor = told.amount
    create_time.seconds, micros = divmod(create_time_us, MICROS)
    create_time.nanos = micros * NANOS_OF_MICRO
    if told.reference:
        message.reference = told.reference.decode()
    if told.opaque:
        _fill_said(message, json.loads(told.opaque))
    if told.parent:
        message.parent_id = format_id(told.parent)
        message.family_id = format_id(told.family)
    return source, destination


def _fill_said(message: res.Transaction, said: dict[str, Any]) -> None:
    """Tell back what the caller said; see ``fields.opaque``."""
    message.description = said.get("d", "")
    message.metadata.update(said.get("m", {}))
    message.reason = said.get("r", "")
    message.actor = said.get("a", "")
    if "e" in said:
        message.effective_time.CopyFrom(timestamp(said["e"]))


def _side(wallet_id: bytes) -> str:
    """Name a side of a transaction; `world`, which is the outside, has no name."""
    if wallet_id[0] == 0 and wallet_id[1] in _OUTSIDE:
        return ""
    return format_id(wallet_id)


def _posting(line: Line) -> res.TransactionPosting:
    return res.TransactionPosting(
        source_wallet_id=format_id(line.source),
        destination_wallet_id=format_id(line.destination),
        amount=Money(currency_code=line.currency, amount_minor=line.amount),
        exponent=exponent_of(line.currency),
    )


def _velocity(limit: VelocityLimit) -> res.VelocityLimit:
    return res.VelocityLimit(
        window=limit.window.value,  # type: ignore[arg-type]  # same numbers, by design
        basis=limit.basis.value,  # type: ignore[arg-type]
        max_amount_minor=limit.max_amount,
        max_count=limit.max_count,
    )


def _capped(total: int) -> int:
    """Fit a sum into 64 bits: what passes through a wallet in a month has no bound of its own."""
    return min(total, 2**63 - 1)
