"""Make the requests that change wallets: for a call, or for a batch. Client room, pure.

Each request gets an idempotency key of its own where the caller gives none, so that whoever keeps
the request can send it again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from guilder.client.amounts import Amount, to_money
from guilder.client.options import (
    HoldOptions,
    MoneyOptions,
    PostingOptions,
    WalletOptions,
    hold_fields,
    money_fields,
    posting_fields,
    wallet_fields,
)
from guilder.client.times import to_timestamp
from guilder.wallet.v1.holds_pb2 import (
    AuthorizeRequest,
    AuthorizeResponse,
    CaptureHoldRequest,
    CaptureHoldResponse,
    ExtendHoldRequest,
    ExtendHoldResponse,
    IncrementHoldRequest,
    IncrementHoldResponse,
    VoidHoldRequest,
    VoidHoldResponse,
)
from guilder.wallet.v1.postings_pb2 import (
    Posting,
    PostTransactionRequest,
    PostTransactionResponse,
    ReverseTransactionRequest,
    ReverseTransactionResponse,
)
from guilder.wallet.v1.wallet_service_pb2 import (
    BatchCommand,
    DepositRequest,
    DepositResponse,
    TransferRequest,
    TransferResponse,
    WithdrawRequest,
    WithdrawResponse,
)

Command = (
    DepositRequest
    | WithdrawRequest
    | TransferRequest
    | AuthorizeRequest
    | IncrementHoldRequest
    | ExtendHoldRequest
    | CaptureHoldRequest
    | VoidHoldRequest
    | ReverseTransactionRequest
    | PostTransactionRequest
)
"""What ``batch_execute`` carries out; the functions of this file make them."""

CommandResponse = (
    DepositResponse
    | WithdrawResponse
    | TransferResponse
    | AuthorizeResponse
    | IncrementHoldResponse
    | ExtendHoldResponse
    | CaptureHoldResponse
    | VoidHoldResponse
    | ReverseTransactionResponse
    | PostTransactionResponse
)
"""What a command of a batch is answered with: the reply of the call that it stands for."""


def deposit_request(
    wallet_id: str, amount: Amount, **options: Unpack[MoneyOptions]
) -> DepositRequest:
    """Make a deposit."""
    return DepositRequest(wallet_id=wallet_id, amount=to_money(amount), **money_fields(options))


def withdraw_request(
    wallet_id: str, amount: Amount, **options: Unpack[MoneyOptions]
) -> WithdrawRequest:
    """Make a withdrawal."""
    return WithdrawRequest(wallet_id=wallet_id, amount=to_money(amount), **money_fields(options))


def transfer_request(
    source_wallet_id: str,
    destination_wallet_id: str,
    amount: Amount,
    **options: Unpack[MoneyOptions],
) -> TransferRequest:
    """Make a transfer."""
    return TransferRequest(
        source_wallet_id=source_wallet_id,
        destination_wallet_id=destination_wallet_id,
        amount=to_money(amount),
        **money_fields(options),
    )


def authorize_request(
    wallet_id: str,
    amount: Amount,
    *,
    destination_wallet_id: str = "",
    expire_time: datetime | None = None,
    **options: Unpack[HoldOptions],
) -> AuthorizeRequest:
    """Make an authorization."""
    return AuthorizeRequest(
        wallet_id=wallet_id,
        amount=to_money(amount),
        destination_wallet_id=destination_wallet_id,
        expire_time=to_timestamp(expire_time),
        **hold_fields(options),
    )


def increment_hold_request(
    hold_id: str, amount: Amount, **options: Unpack[WalletOptions]
) -> IncrementHoldRequest:
    """Make an increment of a hold."""
    return IncrementHoldRequest(hold_id=hold_id, amount=to_money(amount), **wallet_fields(options))


def extend_hold_request(
    hold_id: str, expire_time: datetime, **options: Unpack[WalletOptions]
) -> ExtendHoldRequest:
    """Make an extension of a hold."""
    return ExtendHoldRequest(
        hold_id=hold_id, expire_time=to_timestamp(expire_time), **wallet_fields(options)
    )


def capture_hold_request(
    hold_id: str,
    amount: Amount | None = None,
    *,
    final: bool = False,
    destination_wallet_id: str = "",
    **options: Unpack[MoneyOptions],
) -> CaptureHoldRequest:
    """Make a capture; without an amount of all that is open."""
    return CaptureHoldRequest(
        hold_id=hold_id,
        amount=None if amount is None else to_money(amount),
        final=final,
        destination_wallet_id=destination_wallet_id,
        **money_fields(options),
    )


def void_hold_request(hold_id: str, **options: Unpack[WalletOptions]) -> VoidHoldRequest:
    """Make a void."""
    return VoidHoldRequest(hold_id=hold_id, **wallet_fields(options))


def reverse_transaction_request(
    transaction_id: str,
    amount: Amount | None = None,
    *,
    reason: str = "",
    actor: str = "",
    **options: Unpack[MoneyOptions],
) -> ReverseTransactionRequest:
    """Make a reversal; without an amount of all that is not reversed yet."""
    return ReverseTransactionRequest(
        transaction_id=transaction_id,
        amount=None if amount is None else to_money(amount),
        reason=reason,
        actor=actor,
        **money_fields(options),
    )


def posting(source_wallet_id: str, destination_wallet_id: str, amount: Amount) -> Posting:
    """Make one of several postings."""
    return Posting(
        source_wallet_id=source_wallet_id,
        destination_wallet_id=destination_wallet_id,
        amount=to_money(amount),
    )


def post_transaction_request(
    postings: Sequence[Posting], **options: Unpack[PostingOptions]
) -> PostTransactionRequest:
    """Make a transaction of several postings."""
    return PostTransactionRequest(postings=postings, **posting_fields(options))


_FIELD_OF: Mapping[type[Command], str] = {
    DepositRequest: "deposit",
    WithdrawRequest: "withdraw",
    TransferRequest: "transfer",
    AuthorizeRequest: "authorize",
    IncrementHoldRequest: "increment_hold",
    ExtendHoldRequest: "extend_hold",
    CaptureHoldRequest: "capture_hold",
    VoidHoldRequest: "void_hold",
    ReverseTransactionRequest: "reverse_transaction",
    PostTransactionRequest: "post_transaction",
}


def batch_command(command: Command) -> BatchCommand:
    """Return a command as an item of a batch."""
    item: dict[str, Any] = {_FIELD_OF[type(command)]: command}
    return BatchCommand(**item)


def atomic_command(command: Command) -> BatchCommand:
    """Return a command as an item of an atomic batch, whose key and dry run are the batch's."""
    item = batch_command(command)  # a copy: making a message copies its parts
    part: Command = getattr(item, _FIELD_OF[type(command)])
    part.ClearField("idempotency_key")
    part.ClearField("validate_only")
    return item
