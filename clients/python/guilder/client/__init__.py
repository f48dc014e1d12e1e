"""The Python client of the Guilder suite: typed calls, deadlines, safe retries, errors by reason.

Example::

    async with Guilder() as guilder:
        made = await guilder.wallet.create_wallet("alice", "EUR")
        await guilder.wallet.deposit(made.wallet.wallet_id, parse_amount("12.50", "EUR"))
"""

from guilder.client.amounts import parse_amount
from guilder.client.batches import Answer, Outcome
from guilder.client.calls import CallPolicy, ChangeOptions, MoneyOptions
from guilder.client.errors import (
    BalanceOverflowError,
    CurrencyMismatchError,
    CursorExpiredError,
    DeadlineExceededError,
    DeclinedError,
    GuilderError,
    IdempotencyKeyReusedError,
    InsufficientFundsError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutcomeUnknownError,
    ShardNotFoundError,
    SubscriptionNotFoundError,
    TransactionNotFoundError,
    UnavailableError,
    VersionMismatchError,
    WalletClosedError,
    WalletFrozenError,
    WalletHasOpenIntentsError,
    WalletNotEmptyError,
    WalletNotFoundError,
    WalletNotFrozenError,
)
from guilder.client.suite import Addresses, Guilder
from guilder.client.wallet import transfer_request
from guilder.type.v1.money_pb2 import Money

__all__ = [
    "Addresses",
    "Answer",
    "BalanceOverflowError",
    "CallPolicy",
    "ChangeOptions",
    "CurrencyMismatchError",
    "CursorExpiredError",
    "DeadlineExceededError",
    "DeclinedError",
    "Guilder",
    "GuilderError",
    "IdempotencyKeyReusedError",
    "InsufficientFundsError",
    "InternalError",
    "InvalidArgumentError",
    "Money",
    "MoneyOptions",
    "NotFoundError",
    "Outcome",
    "OutcomeUnknownError",
    "ShardNotFoundError",
    "SubscriptionNotFoundError",
    "TransactionNotFoundError",
    "UnavailableError",
    "VersionMismatchError",
    "WalletClosedError",
    "WalletFrozenError",
    "WalletHasOpenIntentsError",
    "WalletNotEmptyError",
    "WalletNotFoundError",
    "WalletNotFrozenError",
    "parse_amount",
    "transfer_request",
]
