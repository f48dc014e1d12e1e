"""Write the reply to each command.

Without a position it was only asked what would happen: ``without_id`` then takes out the id of what
does not exist.
"""

from typing import TypeVar

from google.protobuf.message import Message

from guilder.type.v1.position_pb2 import Position
from guilder.wallet.v1 import holds_pb2 as holds
from guilder.wallet.v1 import limits_pb2 as limits
from guilder.wallet.v1 import postings_pb2 as postings
from guilder.wallet.v1 import resources_pb2 as res
from guilder.wallet.v1 import wallet_service_pb2 as pb
from wallet.api import render
from wallet.domain.commands import Limits
from wallet.domain.outcome import AccountSet, AssetSet, HoldSet, Posted, WalletSet
from walletkit.money import exponent_of

Made = Position | None
"""At or behind the change in the shard's stream; None where nothing was to be made."""

WalletReply = TypeVar(
    "WalletReply",
    pb.CreateWalletResponse,
    pb.UpdateWalletResponse,
    pb.FreezeWalletResponse,
    pb.UnfreezeWalletResponse,
    pb.CloseWalletResponse,
)
HoldReply = TypeVar(
    "HoldReply",
    holds.AuthorizeResponse,
    holds.IncrementHoldResponse,
    holds.ExtendHoldResponse,
    holds.VoidHoldResponse,
)


def transfer(posted: Posted, made: Made) -> pb.TransferResponse:
    """Reply to a transfer."""
    reply = pb.TransferResponse()
    fill_transfer(reply, posted, made)
    return reply


def fill_transfer(reply: pb.TransferResponse, posted: Posted, made: Made) -> None:
    """Write the reply to a transfer in its place: in a batch that spares a copy of it."""
    source, destination = render.fill_posted(reply.transaction, posted)
    currency = posted.command.currency
    exponent = exponent_of(currency)
    if (after := posted.source_after) is not None:
        render.fill_balance(reply.source_balance, source, currency, exponent, after)
    if (after := posted.destination_after) is not None:
        render.fill_balance(reply.destination_balance, destination, currency, exponent, after)
    if posted.replayed:
        reply.replayed = True
    if made is not None:
        reply.position.CopyFrom(made)


def deposit(posted: Posted, made: Made) -> pb.DepositResponse:
    """Reply to a deposit."""
    reply = pb.DepositResponse(
        balance=_destination(posted), replayed=posted.replayed, position=made
    )
    render.fill_posted(reply.transaction, posted)
    return reply


def withdrawal(posted: Posted, made: Made) -> pb.WithdrawResponse:
    """Reply to a withdrawal."""
    reply = pb.WithdrawResponse(balance=_source(posted), replayed=posted.replayed, position=made)
    render.fill_posted(reply.transaction, posted)
    return reply


def capture(posted: Posted, made: Made) -> holds.CaptureHoldResponse:
    """Reply to a capture."""
    reply = holds.CaptureHoldResponse(
        hold=render.hold(posted.hold) if posted.hold is not None else None,
        balance=_source(posted),
        replayed=posted.replayed,
        position=made,
        destination_balance=_destination(posted),
    )
    render.fill_posted(reply.transaction, posted)
    return reply


def post(posted: Posted, made: Made) -> postings.PostTransactionResponse:
    """Reply to several postings."""
    reply = postings.PostTransactionResponse(
        balances=_balances(posted), replayed=posted.replayed, position=made
    )
    render.fill_posted(reply.transaction, posted)
    return reply


def reverse(posted: Posted, made: Made) -> postings.ReverseTransactionResponse:
    """Reply to a reversal."""
    reply = postings.ReverseTransactionResponse(
        balances=_balances(posted), replayed=posted.replayed, position=made
    )
    render.fill_posted(reply.transaction, posted)
    return reply


def hold_set(reply: type[HoldReply], outcome: HoldSet, made: Made) -> HoldReply:
    """Reply to all that changes a hold without a transaction."""
    hold = outcome.hold
    return reply(
        hold=render.hold(hold),
        balance=render.balance_after(hold.wallet_id, hold.currency, outcome.after),
        replayed=outcome.replayed,
        position=made,
    )


def wallet_set(reply: type[WalletReply], outcome: WalletSet, made: Made) -> WalletReply:
    """Reply to all that changes a wallet without moving money, but for limits."""
    return reply(
        wallet=_wallet(outcome),
        balance=_balance(outcome),
        replayed=outcome.replayed,
        position=made,
    )


def wallet_limits(outcome: WalletSet, made: Made) -> limits.SetWalletLimitsResponse:
    """Reply to a change of a wallet's limits."""
    return limits.SetWalletLimitsResponse(
        wallet=_wallet(outcome),
        balance=_balance(outcome),
        limits=render.wallet_limits(outcome.limits or Limits()),
        replayed=outcome.replayed,
        position=made,
    )


def account_limits(outcome: AccountSet, made: Made) -> limits.SetAccountLimitsResponse:
    """Reply to a change of an account's limits."""
    return limits.SetAccountLimitsResponse(
        limits=render.account_limits(outcome.limits or Limits()),
        wallets=outcome.wallets,
        replayed=outcome.replayed,
        position=made,
        exponent=exponent_of(outcome.currency),
    )


def freeze_account(outcome: AccountSet, made: Made) -> limits.FreezeAccountResponse:
    """Reply to the freeze of an account."""
    return limits.FreezeAccountResponse(
        account_freeze=outcome.freeze.value,  # type: ignore[arg-type]  # same numbers, by design
        wallets=outcome.wallets,
        replayed=outcome.replayed,
        position=made,
    )


def unfreeze_account(outcome: AccountSet, made: Made) -> limits.UnfreezeAccountResponse:
    """Reply to the unfreeze of an account."""
    return limits.UnfreezeAccountResponse(
        wallets=outcome.wallets,
        replayed=outcome.replayed,
        position=made,
        account_freeze=outcome.freeze.value,  # type: ignore[arg-type]  # same numbers, by design
    )


def asset(outcome: AssetSet, made: Made) -> limits.RegisterAssetResponse:
    """Reply to the registration of an asset."""
    return limits.RegisterAssetResponse(
        asset=render.asset(outcome.currency, outcome.exponent, registered=True),
        replayed=outcome.replayed,
        position=made,
    )


def without_id(reply: Message, makes: str) -> None:
    """Take out the id of what a command would make: nothing has it."""
    if makes:
        getattr(reply, makes).ClearField(f"{makes}_id")
    if isinstance(reply, pb.CreateWalletResponse):
        reply.balance.ClearField("wallet_id")


def _source(posted: Posted) -> res.Balance | None:
    command, after = posted.command, posted.source_after
    if after is None:
        return None
    return render.balance_after(command.source, command.currency, after)


def _destination(posted: Posted) -> res.Balance | None:
    command, after = posted.command, posted.destination_after
    if after is None:
        return None
    return render.balance_after(command.destination, command.currency, after)


def _balances(posted: Posted) -> list[res.Balance]:
    """Write the balances of all wallets of the home shard that a transaction touched, by id."""
    if posted.balances:
        return [render.balance_after(*touched) for touched in posted.balances]
    found = [balance for balance in (_source(posted), _destination(posted)) if balance is not None]
    return sorted(found, key=lambda balance: balance.wallet_id)


def _wallet(outcome: WalletSet) -> res.Wallet:
    return render.wallet(outcome.facts, outcome.status, outcome.account_freeze)


def _balance(outcome: WalletSet) -> res.Balance:
    facts = outcome.facts
    return render.balance_after(facts.wallet_id, facts.currency, outcome.after)
